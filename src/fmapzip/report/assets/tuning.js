// The page of a tuning: the way that its epochs took through rate and distortion, and each map before and after.

function tuningPage() {
  const data = DATA();
  return [
    heading(data),
    make("section", { class: "summary", "aria-label": "In words" }, data.summary.map((text) => make("p", {}, text))),
    make("h2", {}, "Rate and distortion"),
    make("p", { class: "soft" }, "The way that the epochs took, from 0, before tuning, to the one that is kept. Dashed: the untuned network, its grids coarser."),
    pathPlot(data),
    make("h2", {}, "Feature maps"),
    make("div", { class: "legend" }, beforeAndAfter.map(([name, paint]) => make("span", {}, make("i", { style: `background:var(--${paint})` }), name))),
    make("div", { class: "grid" }, pairsPlot("Bits a value", data.maps, "bits", figure.fixed(2)), pairsPlot("Zeros", data.maps, "zeros", figure.percent)),
    mapTable(data.maps),
    make("h2", {}, "Epochs"),
    epochTable(data),
    make("h2", {}, "Conditions"),
    make("dl", {}, data.environment.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
    ...data.notes.map((note) => make("p", { class: "soft" }, note)),
    ...vocabulary(),
  ];
}

const beforeAndAfter = [["before", "s9"], ["after", "s0"]];

function pathPlot(data) {
  return plot("Distortion against bits a value", 340, (svg, width, height) => {
    const box = { left: 56, right: width - 14, top: 26, bottom: height - 44 };
    const epochs = data.epochs.filter((epoch) => usable(epoch.distortion) && usable(epoch.bits));
    const untuned = data.untuned.filter((point) => usable(point.distortion));
    const points = [...epochs, ...untuned];
    if (!points.length) return;
    const x = linear(padded(points.map((point) => point.bits), 0.08, false), [box.left, box.right]);
    const y = distortionScale(points.map((point) => point.distortion), box);
    axes(svg, box, x, y, { xTicks: x.ticks(width < 420 ? 4 : 8), yTicks: y.ticks(7), xLabel: "bits a value", yLabel: data.metric.name });
    const line = (list) => list.map((point) => `${x(point.bits).toFixed(1)},${y(point.distortion).toFixed(1)}`).join(" ");
    svg.append(draw("polyline", { class: "front", points: line(untuned) }));
    for (const point of untuned) {
      const text = `untuned, grids ${figure.small(point.coarser)} times as coarse\n${point.bits.toFixed(3)} bits\n${figure.small(point.distortion)}`;
      svg.append(hover(draw("circle", { cx: x(point.bits), cy: y(point.distortion), r: 3.5, style: "fill:var(--paper);stroke:var(--s9)" }), text));
    }
    svg.append(draw("polyline", { points: line(epochs), fill: "none", style: "stroke:var(--s1)", "stroke-width": 1.6 }));
    for (const epoch of epochs) {
      const kept = epoch.number === data.kept;
      const text = `epoch ${epoch.number}${kept ? ", kept" : ""}\n${epoch.bits.toFixed(3)} bits, ratio ${(8 / epoch.bits).toFixed(2)}\n${figure.small(epoch.distortion)}\nlambda ${figure.small(epoch.lambda)}`;
      svg.append(hover(draw("circle", { cx: x(epoch.bits), cy: y(epoch.distortion), r: kept ? 7 : 4, style: color(kept ? "s0" : "s1") }), text));
    }
    for (const epoch of epochs.filter((one) => one.number === 0 || one.number === data.kept)) {
      svg.append(draw("text", { class: "strong halo", x: x(epoch.bits), y: y(epoch.distortion) - 11, "text-anchor": "middle" }, String(epoch.number)));
    }
  });
}

// Two bars for each map: a figure before tuning and after it.
function pairsPlot(title, maps, key, text) {
  return plot(title, () => 30 * maps.length + 8, (svg, width) => {
    const left = Math.min(180, width * 0.4), right = width - 52;
    const values = maps.map((map) => [map[`${key}_before`], map[`${key}_after`]]);
    const x = linear([0, Math.max(...values.flat(), 1e-9)], [left, right]);
    maps.forEach((map, i) => {
      const top = 5 + 30 * i;
      const name = draw("text", { class: "strong", x: left - 8, y: top + 15, "text-anchor": "end" }, short(map.name, (left - 12) / 6.3));
      svg.append(hover(name, `${map.name}\n${map.label}`));
      beforeAndAfter.forEach(([when, paint], j) => {
        const value = values[i][j], down = 11 * j;
        const bar = draw("rect", { x: left, y: top + down, width: Math.max(0.5, x(value) - left), height: 9, style: color(paint) });
        svg.append(hover(bar, `${map.name}\n${text(value)} ${when}`), draw("text", { x: x(value) + 5, y: top + down + 9, style: "font-size:10px" }, text(value)));
      });
    });
  });
}

function mapTable(maps) {
  const column = (name, key, text) => ({ name, value: (row) => row.map[key], text });
  return sortable([
    { name: "feature map", value: (row) => row.map.name, words: true },
    { name: "place", value: (row) => row.i + 1, up: true },
    { name: "shape", value: (row) => row.map.shape.join(" x "), words: true },
    { name: "codec", value: (row) => row.map.label, words: true, long: true },
    column("bits before", "bits_before", figure.fixed(3)),
    column("bits", "bits_after", figure.fixed(3)),
    { ...column("expected", "expected_bits_after", figure.fixed(3)), title: "bits as training counts them" },
    column("zeros before", "zeros_before", figure.percent),
    column("zeros", "zeros_after", figure.percent),
  ], maps.map((map, i) => ({ map, i })), { label: "feature maps" });
}

function epochTable(data) {
  const column = (name, key, text) => ({ name, value: (epoch) => epoch[key], text });
  return sortable([
    { ...column("epoch", "number", String), up: true },
    column("bits", "bits", figure.fixed(3)),
    { ...column("expected", "expected", figure.fixed(3)), title: "bits as training counts them" },
    { name: "ratio", value: (epoch) => (epoch.bits ? 8 / epoch.bits : null), text: figure.fixed(2) },
    column("distortion", "distortion", figure.small),
    column("task", "task", figure.small),
    column("lambda", "lambda", figure.small),
    column("seconds", "seconds", figure.fixed(0)),
  ], data.epochs, { sorted: 0, label: "epochs", classOf: (epoch) => (epoch.number === data.kept ? "ours" : "") });
}
