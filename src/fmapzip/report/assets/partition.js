// The page of a split: the ways to run a network against the bandwidth of a link, and what each was measured at.

function partitionPage() {
  const data = DATA();
  return [
    heading(data),
    make("section", { class: "summary", "aria-label": "In words" }, data.summary.map((text) => make("p", {}, text))),
    make("h2", {}, "Against bandwidth"),
    make("p", { class: "soft" }, "The ways that are the best at some bandwidth, with the best cut, its plain 8-bit integers, the image itself and running all on the device. Dashed: the link that was asked for."),
    make("div", { class: "legend" }, data.lines.map((line, i) => make("span", {}, make("i", { style: `background:var(--s${i % COLORS})` }), line.name))),
    linkPlot("Latency", "latencies", data),
    linkPlot("Time from one output to the next", "intervals", data),
    make("h2", {}, "Ways"),
    waysTable(data),
    make("h2", {}, "Conditions"),
    make("dl", {}, data.environment.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
    ...data.notes.map((note) => make("p", { class: "soft" }, note)),
  ];
}

function linkPlot(title, key, data) {
  return plot(`${title} against bandwidth`, 360, (svg, width, height) => {
    const box = { left: 56, right: width - 14, top: 26, bottom: height - 44 };
    const speeds = data.bandwidths.map((bits) => bits / 1e6);
    const times = data.lines.flatMap((line) => line[key]).map((seconds) => 1000 * seconds).filter((ms) => ms > 0);
    if (!times.length) return;
    const x = logarithmic([speeds[0], speeds[speeds.length - 1]], [box.left, box.right]);
    const y = logarithmic(padded(times, 0.2, true), [box.bottom, box.top]);
    axes(svg, box, x, y, { xTicks: x.ticks(width < 420 ? 4 : 9), yTicks: y.ticks(7), xLabel: "Mbit/s", yLabel: "ms" });
    const asked = data.bandwidth / 1e6;
    if (asked >= speeds[0] && asked <= speeds[speeds.length - 1]) svg.append(draw("line", { class: "front", x1: x(asked), x2: x(asked), y1: box.top, y2: box.bottom }));
    data.lines.forEach((line, i) => {
      const points = line[key].map((seconds, j) => `${x(speeds[j]).toFixed(1)},${y(1000 * seconds).toFixed(1)}`).join(" ");
      const drawn = draw("polyline", { points, fill: "none", style: `stroke:var(--s${i % COLORS})`, "stroke-width": line.kind === "cut" ? 2.4 : 1.5 });
      svg.append(hover(drawn, `${line.name}\n${figure.size(line.sent)} an image`));
    });
  });
}

function waysTable(data) {
  const ms = (name, key) => ({ name, value: (way) => 1000 * way[key], text: figure.fixed(1), up: true });
  const pays = (name, key) => ({ name, value: (way) => (way.coded ? way[key] ?? Infinity : null), text: (bits) => (bits === Infinity ? "any" : figure.megabits(bits)) });
  const columns = [
    { name: "way", value: (way) => way.name, words: true },
    ms("ms", "latency"),
    ms("ms between outputs", "interval"),
    { name: "device ms", value: (way) => 1000 * way.device, text: figure.fixed(1) },
    { name: "server ms", value: (way) => 1000 * way.server, text: figure.fixed(1) },
    { name: "bytes", value: (way) => way.sent, text: figure.fixed(0) },
    { name: data.kl ? "KL to float" : "error over energy", value: (way) => way.distortion, text: figure.small, idle: (way) => !way.allowed },
    pays("pays below Mbit/s", "pays_below"),
    pays("overlapped", "pays_overlapped"),
    { name: "device mJ", value: (way) => (way.energy === null ? null : 1000 * way.energy), text: figure.fixed(1) },
  ];
  const known = data.ways.some((way) => way.energy !== null);
  return sortable(known ? columns : columns.slice(0, -1), data.ways, { label: "ways" });
}
