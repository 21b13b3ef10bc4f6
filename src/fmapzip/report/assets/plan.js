// The pages of a plan: the curve with the chosen point, where the budget went, and each map's candidates.

function planOverview() {
  const data = DATA();
  return [
    heading(data),
    make("section", { class: "summary", "aria-label": "In words" }, data.summary.map((text) => make("p", {}, text))),
    make("h2", {}, "Rate and distortion"),
    make("p", { class: "soft" }, "Every plan that was measured with all maps stored (filled), and what had been predicted for it (hollow)."),
    curvePlot(data),
    make("h2", {}, "Where the budget went"),
    make("div", { class: "legend" }, make("span", {}, make("i", { style: "background:var(--s1)" }), "share of the bytes"), make("span", {}, make("i", { style: "background:var(--s0)" }), "share of the distortion")),
    sharesPlot(data.taps),
    make("h2", {}, "Choices"),
    make("p", { class: "soft" }, "Names open the map's page with all its candidates."),
    choiceTable(data.taps),
    make("h2", {}, "Conditions"),
    make("dl", {}, data.environment.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
    ...data.notes.map((note) => make("p", { class: "soft" }, note)),
    ...vocabulary(),
  ];
}

const shownDistortion = (value) => (DATA().metric.log ? figure.small(value) : figure.fixed(1)(value));

function distortionScale(values, box) {
  const log = DATA().metric.log;
  return (log ? logarithmic : linear)(padded(values, log ? 0.3 : 0.08, log), [box.bottom, box.top]);
}

const PLAN = "the plan";

// Where the plan's name stands beside its point without meeting another point, the nearest place first.
function freePlace([x, y], points, box) {
  const wide = 6.1 * PLAN.length, places = [];
  for (const down of [0, -16, 16, -30, 30, -44, 44]) places.push([x + 11, y + down], [x - 11 - wide, y + down]);
  const inside = ([left, middle]) => left > box.left && left + wide < box.right && middle > box.top && middle < box.bottom;
  const free = ([left, middle]) => !points.some(([px, py]) => px > left - 6 && px < left + wide + 6 && Math.abs(py - middle) < 12);
  return places.find((place) => inside(place) && free(place)) || places[0];
}

function curvePlot(data) {
  const steps = data.curve.filter((step) => usable(step.distortion));
  const chosen = usable(data.chosen.distortion) ? data.chosen : null;
  return plot("Distortion against bytes", 340, (svg, width, height) => {
    const box = { left: 56, right: width - 14, top: 26, bottom: height - 44 };
    const values = [...steps.flatMap((s) => [s.distortion, s.predicted]), chosen && chosen.distortion, data.budget].filter(usable);
    if (!values.length) return;
    const sizes = [...steps.map((s) => s.bytes), data.chosen.bytes];
    const x = linear(padded(sizes, 0.08, false), [box.left, box.right]);
    const y = distortionScale(values, box);
    axes(svg, box, x, y, { xTicks: x.ticks(6), yTicks: y.ticks(7), xLabel: "bytes of an image's maps", yLabel: data.metric.name, xText: (v) => figure.size(v) });
    if (data.budget !== null) {
      const line = draw("line", { class: "front", x1: box.left, x2: box.right, y1: y(data.budget), y2: y(data.budget) });
      svg.append(hover(line, `budget ${shownDistortion(data.budget)}`), draw("text", { x: box.right, y: y(data.budget) - 5, "text-anchor": "end" }, "budget"));
    }
    for (const step of steps) {
      const text = `${figure.size(step.bytes)} an image\nmeasured ${shownDistortion(step.distortion)}\npredicted ${shownDistortion(step.predicted)}`;
      if (usable(step.predicted)) svg.append(hover(draw("circle", { cx: x(step.bytes), cy: y(step.predicted), r: 3.5, style: "fill:var(--paper);stroke:var(--s9)" }), text));
      svg.append(hover(draw("circle", { cx: x(step.bytes), cy: y(step.distortion), r: 4.5, style: color("s1") }), text));
    }
    if (!chosen) return;
    const star = draw("circle", { cx: x(chosen.bytes), cy: y(chosen.distortion), r: 7, style: "fill:var(--s0);stroke:var(--paper)", "stroke-width": 2 });
    svg.append(hover(star, `the plan\n${figure.size(chosen.bytes)} an image\n${shownDistortion(chosen.distortion)}`));
    const points = steps.flatMap((s) => [s.distortion, s.predicted].filter(usable).map((value) => [x(s.bytes), y(value)]));
    const place = freePlace([x(chosen.bytes), y(chosen.distortion)], points, box);
    svg.append(draw("text", { class: "strong halo", x: place[0], y: place[1] + 4 }, PLAN));
  });
}

const usable = (value) => value !== null && value !== undefined && Number.isFinite(value) && (!DATA().metric.log || value > 0);

function shares(taps) {
  const bytes = taps.reduce((sum, tap) => sum + tap.choice.bytes, 0);
  const distortion = taps.reduce((sum, tap) => sum + (tap.choice.alone || 0), 0);
  return taps.map((tap) => ({ bytes: tap.choice.bytes / bytes, distortion: distortion ? (tap.choice.alone || 0) / distortion : 0 }));
}

function sharesPlot(taps) {
  const parts = shares(taps);
  return plot("Bytes and distortion by feature map", () => 30 * taps.length + 8, (svg, width) => {
    const left = Math.min(230, width * 0.4), right = width - 52;
    const x = linear([0, Math.max(...parts.flatMap((part) => [part.bytes, part.distortion]))], [left, right]);
    taps.forEach((tap, i) => {
      const top = 5 + 30 * i;
      const name = draw("text", { class: "strong", x: left - 8, y: top + 15, "text-anchor": "end" }, short(tap.name, (left - 12) / 6.3));
      svg.append(hover(name, `${tap.name}\n${tap.choice.label}`));
      for (const [share, paint, down] of [[parts[i].bytes, "s1", 0], [parts[i].distortion, "s0", 11]]) {
        const bar = draw("rect", { x: left, y: top + down, width: Math.max(0.5, x(share) - left), height: 9, style: color(paint) });
        svg.append(hover(bar, `${tap.name}\n${figure.percent(share)} of the ${down ? "distortion" : "bytes"}`), draw("text", { x: x(share) + 5, y: top + down + 9, style: "font-size:10px" }, figure.percent(share)));
      }
    });
  });
}

function choiceTable(taps) {
  const parts = shares(taps);
  const rows = taps.map((tap, i) => ({ tap, i, ...parts[i] }));
  return sortable([
    { name: "feature map", value: (row) => row.tap.name, words: true },
    { name: "place", value: (row) => row.i + 1, up: true },
    { name: "choice", value: (row) => row.tap.choice.label, words: true, long: true },
    { name: "ratio", value: (row) => row.tap.raw_bytes / row.tap.choice.bytes, text: figure.fixed(2) },
    { name: "bytes", value: (row) => row.tap.choice.bytes, text: figure.fixed(0) },
    { name: "share", value: (row) => row.bytes, text: figure.percent },
    { name: "distortion alone", value: (row) => row.tap.choice.distortion, text: shownDistortion },
    { name: "its share", value: (row) => row.distortion, text: figure.percent },
    { name: "runner-up", value: (row) => row.tap.runner_up && row.tap.runner_up.label, text: words, words: true, long: true },
    { name: "its bytes", value: (row) => row.tap.runner_up && row.tap.runner_up.bytes, text: (v) => (v === null ? "" : v.toFixed(0)) },
    { name: "its distortion", value: (row) => row.tap.runner_up && row.tap.runner_up.distortion, text: shownDistortion },
  ], rows, { open: (row) => `#/tap/${row.i + 1}`, label: "choices" });
}

function planTapPage(i) {
  const tap = DATA().taps[i];
  const facts = [["shape", tap.shape.join(" x ")], ["values", tap.raw_bytes], ["choice", tap.choice.label]];
  return [
    tapLinks(i),
    tapHeading(tap.name, facts),
    make("h2", {}, "Candidates"),
    make("div", { class: "legend" }, make("span", {}, "large: the choice; filled: distortion measured; hollow: estimated; line: the lower hull")),
    candidatePlot(tap),
    sortable([
      { name: "candidate", value: (c) => c.label, words: true, long: true },
      { name: "ratio", value: (c) => tap.raw_bytes / c.bytes, text: figure.fixed(2) },
      { name: "bytes", value: (c) => c.bytes, text: figure.fixed(0) },
      { name: "distortion alone", value: (c) => c.distortion, text: shownDistortion, idle: (c) => !c.measured },
      { name: "measured", value: (c) => (c.measured ? "yes" : "no"), words: true },
      { name: "on the hull", value: (c) => (c.on_hull ? "yes" : "no"), words: true },
    ], tap.candidates, { label: "candidates", classOf: (c) => (c.chosen ? "ours" : "") }),
  ];
}

function candidatePlot(tap) {
  const shown = tap.candidates.filter((c) => usable(c.distortion));
  if (!shown.length) return null;
  return plot("Distortion against bytes, this map alone", 340, (svg, width, height) => {
    const box = { left: 56, right: width - 14, top: 26, bottom: height - 44 };
    const x = logarithmic(padded(shown.map((c) => c.bytes), 0.1, true), [box.left, box.right]);
    const y = distortionScale(shown.map((c) => c.distortion), box);
    axes(svg, box, x, y, { xTicks: x.ticks(6), yTicks: y.ticks(7), xLabel: "bytes of an image's map", yLabel: DATA().metric.name, xText: (v) => figure.size(v) });
    const hull = shown.filter((c) => c.on_hull).sort((a, b) => a.bytes - b.bytes);
    svg.append(draw("polyline", { class: "front", points: hull.map((c) => `${x(c.bytes)},${y(c.distortion)}`).join(" ") }));
    for (const c of [...shown].sort((a, b) => a.chosen - b.chosen)) {
      const paint = c.chosen ? "var(--s0)" : "var(--s1)";
      const style = c.measured || c.chosen ? `fill:${paint};stroke:${paint}` : `fill:var(--paper);stroke:${paint}`;
      svg.append(hover(draw("circle", { cx: x(c.bytes), cy: y(c.distortion), r: c.chosen ? 7 : 4, style }), `${c.label}\n${figure.size(c.bytes)}\n${shownDistortion(c.distortion)}${c.measured ? "" : " (estimated)"}`));
    }
  });
}
