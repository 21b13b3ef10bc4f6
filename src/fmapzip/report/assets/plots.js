// The plots: ratio along the depth, fronts, where the bytes went, values of a map.

const PARTS = ["payload", "masks", "tables", "headers", "side"];
const RAW = DATA().taps.reduce((sum, tap) => sum + tap.raw_bytes, 0);

function DATA() {
  DATA.parsed = DATA.parsed || JSON.parse(document.getElementById("data").textContent);
  return DATA.parsed;
}

const color = (name) => `fill:var(--${name})`;

// A method has one colour on the whole page: that of its line along the depth, grey without one.
const paints = new Map();
const paintOf = (row) => paints.get(row) || "faint";
const ratioOf = (row) => RAW / row.total;

// Ratio of each chosen method on each tap, above the share of zeros of the tap.
function depthPlot(chosen) {
  const taps = DATA().taps;
  return plot("Ratio along the depth, above the share of zeros", (width) => (width < 560 ? 430 : 470), (svg, width, height) => {
    const left = 44, right = width - 8, split = height - 150;
    const x = linear([-0.5, taps.length - 0.5], [left, right]);
    const lines = chosen().map((one) => ({ ...one, values: one.row.taps.map((found, i) => taps[i].raw_bytes / found.bytes) }));
    const all = lines.flatMap((line) => line.values);
    const y = logarithmic(padded(all.length ? [...all, 1] : [1, 4], 0.06, true), [split, 22]);
    axes(svg, { left, right, top: 22, bottom: split }, x, y, { xTicks: [], yTicks: y.ticks(9), yLabel: "ratio to 8 bits" });
    const z = linear([0, 1], [height - 44, split + 30]);
    axes(svg, { left, right, top: split + 30, bottom: height - 44 }, x, z, {
      xTicks: tapTicks(taps.length, right - left), yTicks: [0, 0.5, 1], xText: (i) => i + 1, yText: (v) => `${100 * v} %`,
      xLabel: "feature maps, from input to output", yLabel: "zeros",
    });
    const wide = Math.max(1, ((right - left) / taps.length) * 0.7);
    taps.forEach((tap, i) => svg.append(draw("rect", { x: x(i) - wide / 2, y: z(tap.zeros), width: wide, height: z(0) - z(tap.zeros), style: color("s6"), opacity: 0.55 })));
    for (const { values, row, paint } of lines) {
      const points = values.map((value, i) => `${x(i).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
      svg.append(draw("polyline", { points, fill: "none", style: `stroke:var(--${paint})`, "stroke-width": row.ours ? 2.4 : 1.5, "stroke-dasharray": row.lossless ? "none" : "5 3" }));
      if (taps.length < 60) values.forEach((value, i) => svg.append(draw("circle", { cx: x(i), cy: y(value), r: row.ours ? 2.8 : 2, style: color(paint) })));
    }
    const cursor = draw("line", { class: "cursor", y1: 18, y2: height - 44 });
    svg.append(cursor, follow(svg, { left, right, height }, x, taps, lines, cursor));
  });
}

function tapTicks(count, width) {
  const step = Math.ceil(count / Math.max(2, Math.floor(width / 34)));
  return Array.from({ length: count }, (_, i) => i).filter((i) => i % step === 0);
}

// The strip over the plot that tells the tap under the pointer, and opens its page.
function follow(svg, { left, right, height }, x, taps, lines, cursor) {
  const strip = draw("rect", { class: "hit", x: left, y: 0, width: right - left, height, style: "cursor:pointer" });
  const under = (event) => {
    const share = (event.clientX - strip.getBoundingClientRect().left) / strip.getBoundingClientRect().width;
    return Math.min(taps.length - 1, Math.max(0, Math.floor(share * taps.length)));
  };
  hover(strip, (event) => {
    const i = under(event), tap = taps[i];
    cursor.setAttribute("x1", x(i));
    cursor.setAttribute("x2", x(i));
    cursor.style.visibility = "visible";
    const found = [...lines].sort((a, b) => b.values[i] - a.values[i]).map((line) => `${line.values[i].toFixed(2)}  ${line.row.label}${pathOf(line.row, i)}`);
    return [`${i + 1}  ${tap.name}`, `${tap.shape.join(" x ")}, ${figure.percent(tap.zeros)} zeros`, ...found].join("\n");
  });
  strip.addEventListener("pointerleave", () => (cursor.style.visibility = "hidden"));
  strip.addEventListener("click", (event) => (location.hash = `#/tap/${under(event) + 1}`));
  return strip;
}

const pathOf = (row, i) => (row.taps[i].path ? ` (${row.taps[i].path})` : "");

// Ratio against something: a point a method, and the front of those that none beats in both.
function frontPlot(title, xLabel, valueOf, { log = true, less = false, rows, hollow = () => false }) {
  const points = rows.map((row) => ({ row, x: valueOf(row), y: ratioOf(row) })).filter((p) => Number.isFinite(p.x) && (!log || p.x > 0));
  if (points.length < 2) return null;
  return plot(title, 330, (svg, width, height) => {
    const box = { left: 44, right: width - 14, top: 24, bottom: height - 44 };
    const x = (log ? logarithmic : linear)(padded(points.map((p) => p.x), log ? 0.35 : 0.08, log), [box.left, box.right]);
    const y = logarithmic(padded(points.map((p) => p.y), 0.1, true), [box.bottom, box.top]);
    axes(svg, box, x, y, { xTicks: x.ticks(width < 420 ? 4 : 6), yTicks: y.ticks(8), xLabel, yLabel: "ratio to 8 bits" });
    const timed = points.filter((p) => !hollow(p.row));
    const front = [true, false].flatMap((lossless) => {
      const found = frontOf(timed.filter((p) => p.row.lossless === lossless), less);
      svg.append(draw("polyline", { class: "front", points: found.map((p) => `${x(p.x)},${y(p.y)}`).join(" ") }));
      return found;
    });
    const named = nameable(points, front, x, y, box);
    for (const point of [...points].sort((a, b) => a.row.ours - b.row.ours)) mark(svg, point, x, y, hollow(point.row), xLabel);
    for (const { point, left, end } of named) {
      svg.append(draw("text", { class: point.row.ours ? "strong halo" : "halo", x: left, y: y(point.y) + 4, "text-anchor": end ? "end" : "start" }, point.row.label));
    }
  });
}

// Those that none beats in both ways, from left to right.
function frontOf(points, less) {
  const beats = (q, p) => q !== p && q.y >= p.y && (less ? q.x <= p.x : q.x >= p.x) && (q.y > p.y || q.x !== p.x);
  return points.filter((p) => !points.some((q) => beats(q, p))).sort((a, b) => a.x - b.x);
}

// The names that fit beside their points without meeting another: ours and those of the front first.
function nameable(points, front, x, y, box) {
  const order = [...points].sort((a, b) => b.row.ours - a.row.ours || front.includes(b) - front.includes(a));
  const taken = points.map((p) => [x(p.x) - 5, y(p.y) - 5, x(p.x) + 5, y(p.y) + 5]);
  const found = [];
  for (const point of order) {
    const wide = 6.1 * point.row.label.length;
    for (const end of [false, true]) {
      const left = x(point.x) + (end ? -8 : 8), from = end ? left - wide : left;
      const area = [from, y(point.y) - 7, from + wide, y(point.y) + 7];
      const free = area[0] > box.left && area[2] < box.right + 12 && !taken.some((t) => area[0] < t[2] && t[0] < area[2] && area[1] < t[3] && t[1] < area[3]);
      if (!free) continue;
      taken.push(area);
      found.push({ point, left, end });
      break;
    }
  }
  return found;
}

function mark(svg, { row, x: value, y: ratio }, x, y, hollow, xLabel) {
  const paint = `var(--${paintOf(row)})`;
  const style = hollow ? `fill:var(--paper);stroke:${paint}` : `fill:${paint};stroke:${paint}`;
  const [cx, cy, r] = [x(value), y(ratio), row.ours ? 5.5 : 4.2];
  const shape = row.lossless ? draw("circle", { cx, cy, r, style }) : draw("path", { d: `M${cx} ${cy - r - 1}L${cx + r + 1} ${cy}L${cx} ${cy + r + 1}L${cx - r - 1} ${cy}Z`, style });
  svg.append(hover(shape, `${row.label}\nratio ${ratio.toFixed(3)}\n${xLabel}: ${figure.small(value)}${hollow ? "\n(written in NumPy: the time says nothing)" : ""}`));
}

function frontLegend() {
  return make("div", { class: "legend" }, make("span", {}, "colours are those of the lines above, grey what has no line there; circles lossless, diamonds lossy; large: ours; dashed: nothing of its kind is better in both"));
}

// Bytes by part, a bar a method.
function partsPlot(title, rows, bytesOf) {
  const bars = rows.map((row) => ({ row, ...bytesOf(row) })).sort((a, b) => a.total - b.total);
  return plot(title, () => 26 * bars.length + 8, (svg, width) => {
    const left = Math.min(250, width * 0.42), right = width - 64;
    const x = linear([0, Math.max(...bars.map((bar) => bar.total))], [left, right]);
    bars.forEach((bar, i) => {
      const top = 6 + 26 * i;
      const name = short(bar.row.label, (left - 12) / 6.3);
      svg.append(draw("text", { class: "strong", x: left - 8, y: top + 14, "text-anchor": "end" }, name));
      let done = 0;
      for (const part of PARTS.filter((p) => bar.parts[p])) {
        const size = bar.parts[part];
        const rect = draw("rect", { x: x(done), y: top, width: Math.max(0.4, x(done + size) - x(done)), height: 19, style: color(part) });
        svg.append(hover(rect, `${bar.row.label}\n${part}: ${figure.size(size)} (${figure.percent(size / bar.total)})`));
        done += size;
      }
      svg.append(draw("text", { x: x(bar.total) + 6, y: top + 14 }, figure.size(bar.total)));
    });
  });
}

const short = (text, most) => (text.length > most ? `${text.slice(0, Math.max(3, most - 1))}…` : text);

function partsLegend() {
  const words = { payload: "values", masks: "masks", tables: "tables", headers: "headers", side: "kept once beside the maps" };
  return make("div", { class: "legend" }, PARTS.map((part) => make("span", {}, make("i", { style: `background:var(--${part})` }), words[part])));
}

// How often each value occurs in a tap, on a logarithmic scale.
function histogramPlot(tap) {
  const shares = tap.histogram.map((count) => count / tap.raw_bytes);
  return plot("Values", 260, (svg, width, height) => {
    const box = { left: 52, right: width - 8, top: 22, bottom: height - 42 };
    const used = shares.map((share, i) => (share ? i : -1)).filter((i) => i >= 0);
    const first = Math.min(used[0], 0 - tap.first_value), last = used[used.length - 1];
    const x = linear([first - 0.5, last + 0.5], [box.left, box.right]);
    const y = logarithmic([Math.min(...shares.filter(Boolean)) / 1.6, 1], [box.bottom, box.top]);
    const ticks = linearTicks(first + tap.first_value, last + tap.first_value, width < 420 ? 5 : 9).map((v) => v - tap.first_value);
    axes(svg, box, x, y, { xTicks: ticks, yTicks: y.ticks(6), xText: (i) => i + tap.first_value, xLabel: "8-bit value", yLabel: "share" });
    const wide = Math.max(0.8, (x(1) - x(0)) * 0.9);
    for (const i of used) {
      const value = i + tap.first_value;
      const bar = draw("rect", { x: x(i) - wide / 2, y: y(shares[i]), width: wide, height: box.bottom - y(shares[i]), style: color(value === 0 ? "s0" : "s1") });
      svg.append(hover(bar, `value ${value}\n${figure.percent(shares[i])} (${tap.histogram[i]} times)`));
    }
  });
}
