// The page of traffic: what an accelerator moves for each map along the depth, before and after, and what bounds it.

function trafficPage() {
  const data = DATA();
  return [
    heading(data),
    make("section", { class: "summary", "aria-label": "In words" }, data.summary.map((text) => make("p", {}, text))),
    make("h2", {}, "Along the depth"),
    make("p", { class: "soft" }, "Each map in the order in which the network reads them: written once, read by its layers, and their weights."),
    make("div", { class: "legend" }, beforeAndAfter.map(([name, paint]) => make("span", {}, make("i", { style: `background:var(--${paint})` }), name))),
    make("div", { class: "grid" }, pairsPlot("Traffic", data.maps, "bytes", figure.size), pairsPlot("Time, ms", data.maps, "ms", figure.small)),
    make("h2", {}, "Feature maps"),
    trafficTable(data.maps),
    make("h2", {}, "Conditions"),
    make("dl", {}, data.environment.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
    ...data.notes.map((note) => make("p", { class: "soft" }, note)),
  ];
}

function trafficTable(maps) {
  const column = (name, key, text) => ({ name, value: (row) => row.map[key], text });
  const said = (name, key) => ({ name, value: (row) => row.map[key], words: true });
  return sortable([
    { name: "feature map", value: (row) => row.map.name, words: true },
    { name: "place", value: (row) => row.i + 1, up: true },
    said("shape", "label"),
    column("bytes before", "bytes_before", figure.size),
    column("after", "bytes_after", figure.size),
    column("frame", "mean_frame", figure.size),
    column("worst frame", "worst_frame", figure.size),
    column("times read", "reads", figure.small),
    column("weights", "weights", figure.size),
    column("MACs a byte before", "raw_macs_per_byte", figure.small),
    column("after", "coded_macs_per_byte", figure.small),
    said("bound before", "raw_bound"),
    said("after", "coded_bound"),
  ], maps.map((map, i) => ({ map, i })), { label: "feature maps" });
}
