// From values to places, and round ticks.

function linear([low, high], [from, to]) {
  const span = high - low || 1;
  const scale = (value) => from + ((value - low) / span) * (to - from);
  scale.ticks = (count) => linearTicks(low, high, count);
  return scale;
}

function logarithmic([low, high], [from, to]) {
  const span = Math.log(high / low) || 1;
  const scale = (value) => from + (Math.log(Math.max(value, low) / low) / span) * (to - from);
  scale.ticks = (count) => logTicks(low, high, count);
  return scale;
}

function linearTicks(low, high, count) {
  const rough = (high - low) / Math.max(1, count) || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) ticks.push(+(i * step).toPrecision(12));
  return ticks;
}

function logTicks(low, high, count) {
  for (const digits of [[1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 4, 5, 6, 8], [1, 1.5, 2, 3, 4, 6, 8], [1, 2, 3, 5], [1, 2, 5], [1, 3], [1]]) {
    const ticks = [];
    for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power++) {
      for (const digit of digits) {
        const value = +(digit * 10 ** power).toPrecision(6);
        if (value >= low * 0.999 && value <= high * 1.001) ticks.push(value);
      }
    }
    if (ticks.length <= count || digits.length === 1) return thinned(ticks, count);
  }
  return [];
}

function thinned(ticks, count) {
  const keep = Math.ceil(ticks.length / Math.max(2, count));
  return ticks.filter((_, i) => i % keep === 0);
}

function padded(values, share, log) {
  const low = Math.min(...values), high = Math.max(...values);
  if (log) return [low / (1 + share), high * (1 + share)];
  const room = (high - low || Math.abs(high) || 1) * share;
  return [low - room, high + room];
}

function tickText(value) {
  if (value === 0) return "0";
  if (Math.abs(value) < 1e-3) return value.toExponential(0);
  return Math.abs(value) >= 1e4 ? `${value / 1000}k` : String(value);
}
