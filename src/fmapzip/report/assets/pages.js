// The overview, a page for each feature map, and the way between them.

const COLORS = 10;
const measured = () => DATA().rows.filter((row) => row.taps);

function overview() {
  const data = DATA(), rows = measured();
  return [
    heading(data),
    headline(data),
    ...mapPictures(data, rows),
    make("section", { class: "summary", "aria-label": "In words" }, data.summary.map((text) => make("p", {}, text))),
    make("h2", {}, "Along the depth"),
    make("p", { class: "soft" }, "Each method's ratio on each feature map, what is kept once beside the maps left out. The ratios follow the share of zeros below them, each method in its own way. A click opens a map's page."),
    ...depthSection(rows),
    make("h2", {}, "Ratio against speed and distortion"),
    frontLegend(),
    make("div", { class: "grid" }, fronts(data, rows)),
    make("h2", {}, "Methods"),
    methodTable(data.rows),
    ...missingMethods(data.rows),
    data.baselines.length ? make("p", { class: "soft" }, data.baselines.map(baseline).join(" ")) : null,
    make("h2", {}, "Where the bytes went"),
    partsLegend(),
    partsPlot("Bytes by part", rows, (row) => ({ parts: { ...row.parts, side: row.side }, total: row.total })),
    make("h2", {}, "Feature maps"),
    make("p", { class: "soft" }, "The smallest lossless method on each map. Names open the map's page."),
    tapTable(rows),
    make("h2", {}, "Conditions"),
    make("dl", {}, data.environment.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
    ...data.notes.map((note) => make("p", { class: "soft" }, note)),
    ...vocabulary(),
    ...sources(rows),
  ];
}

function heading(data) {
  const facts = data.facts.map(([name, value]) => make("span", {}, `${name} `, make("b", {}, value)));
  return make("header", { class: "top" }, make("div", {}, make("h1", {}, data.title), make("div", { class: "facts" }, facts)), themeButton());
}

function baseline([name, found]) {
  const texts = [];
  if (found.top1 !== null && found.top1 !== undefined) texts.push(`top-1 ${figure.percent(found.top1)}`);
  if (found.kl_vs_float) texts.push(`KL to float ${figure.small(found.kl_vs_float)}`);
  else if (found.output_sqnr_db) texts.push(`output SQNR ${found.output_sqnr_db.toFixed(1)} dB`);
  return texts.length ? `The ${name} without compression: ${texts.join(", ")}.` : "";
}

function fronts(data, rows) {
  const idle = (row) => !row.timed;
  const distortion = data.distortion;
  const distortionOf = (row) => (row.lossless ? NaN : distortion.key === "sqnr" ? row.sqnr : row.distortion[distortion.key]);
  return [
    frontPlot("Ratio against encode speed", "encode, MB/s", (row) => row.encode ?? NaN, { rows, hollow: idle }),
    frontPlot("Ratio against decode speed", "decode, MB/s", (row) => row.decode ?? NaN, { rows, hollow: idle }),
    distortion ? frontPlot("Ratio against distortion", distortion.name, (row) => distortionOf(row) ?? NaN, { rows, log: distortion.log, less: distortion.log }) : null,
  ].filter(Boolean);
}

function paintFirst() {
  if (!paints.size) firstLines(measured()).forEach(paint);
}

// A line gets a colour that no other has while there are some left.
function paint(row) {
  const used = [...paints.values()];
  const free = Array.from({ length: COLORS }, (_, i) => `s${i}`);
  free.sort((p, q) => used.filter((u) => u === p).length - used.filter((u) => u === q).length);
  paints.set(row, free[0]);
}

// The plot and the buttons that choose its lines; the other plots follow their colours.
function depthSection(rows) {
  const chart = depthPlot(() => rows.filter((row) => paints.has(row)).map((row) => ({ row, paint: paintOf(row) })));
  const chips = rows.map((row) => {
    const swatch = make("i");
    const chip = make("button", { type: "button", onclick() {
      if (!paints.delete(row)) paint(row);
      dress();
      document.querySelectorAll("figure").forEach((frame) => frame.repaint && frame.repaint());
    } }, swatch, row.label);
    const dress = () => {
      chip.setAttribute("aria-pressed", String(paints.has(row)));
      swatch.style.background = paints.has(row) ? `var(--${paintOf(row)})` : "none";
    };
    dress();
    return chip;
  });
  return [chart, make("div", { class: "chips", role: "group", "aria-label": "Lines" }, chips)];
}

// What a reader wants to see first: ours, the best baselines, and the bitmap that papers compare with.
function firstLines(rows) {
  const ours = rows.filter((row) => row.ours && row.lossless).slice(0, 3);
  const lossy = rows.filter((row) => row.ours && !row.lossless).slice(0, 2);
  const baselines = rows.filter((row) => !row.ours && row.lossless).slice(0, 2);
  const known = rows.filter((row) => /^ebpc:block=16|^zstd:level=3$|^zvc$/.test(row.label));
  return [...new Set([...ours, ...lossy, ...known, ...baselines])].slice(0, COLORS);
}

function sources(rows) {
  const named = [...new Map(rows.filter((row) => row.source && !row.ours).map((row) => [row.label.split(":")[0], row.source]))];
  if (!named.length) return [];
  return [make("h2", {}, "Sources"), make("dl", {}, named.flatMap(([name, source]) => [make("dt", {}, name), make("dd", {}, source)]))];
}

function tapPage(i) {
  const tap = DATA().taps[i], rows = measured();
  const facts = [["shape", tap.shape.join(" x ")], ["samples", tap.samples], ["zeros", figure.percent(tap.zeros)], ["entropy", `${tap.entropy_bits.toFixed(2)} bits`], ["values", tap.raw_bytes]];
  const bytesOf = (row) => ({ parts: { ...row.taps[i].parts, side: row.taps[i].side }, total: row.taps[i].bytes + row.taps[i].side });
  return [
    tapLinks(i),
    tapHeading(tap.name, facts),
    make("h2", {}, "What is in it"),
    ...tapPictures(DATA(), rows, i),
    histogramPlot(tap),
    make("h2", {}, "Where the bytes went"),
    partsLegend(),
    partsPlot("Bytes by part", rows, bytesOf),
    make("h2", {}, "Methods on this map"),
    tapMethods(rows, i, tap),
  ];
}

// The way back, and to the other maps.
function tapLinks(i) {
  const taps = DATA().taps;
  const link = (to, text) => (taps[to] ? make("a", { href: `#/tap/${to + 1}`, title: taps[to].name }, text) : null);
  const options = taps.map((tap, j) => make("option", { value: j + 1, selected: j === i }, `${j + 1}  ${tap.name}`));
  const choice = make("select", { "aria-label": "Feature map", onchange: (event) => (location.hash = `#/tap/${event.target.value}`) }, options);
  return make("nav", { class: "pages" }, make("a", { href: "#/" }, "Overview"), choice, link(i - 1, "previous"), link(i + 1, "next"));
}

function tapHeading(name, facts) {
  const shown = facts.map(([what, value]) => make("span", {}, `${what} `, make("b", {}, String(value))));
  return make("header", { class: "top" }, make("div", {}, make("h1", {}, name), make("div", { class: "facts" }, shown)), themeButton());
}

function tapMethods(rows, i, tap) {
  const of = (row) => row.taps[i];
  const has = (key) => rows.some((row) => of(row)[key]);
  const columns = [
    { name: "method", value: (row) => row.label, words: true },
    { name: "ratio", value: (row) => tap.raw_bytes / of(row).bytes, text: figure.fixed(3) },
    { name: "bits a value", value: (row) => (8 * of(row).bytes) / tap.raw_bytes, text: figure.fixed(2) },
    { name: "bytes", value: (row) => of(row).bytes },
    { name: "beside", title: "bytes kept once beside the maps", value: (row) => of(row).side || null, text: figure.size, needs: "side" },
    { name: "encode MB/s", value: (row) => of(row).encode, text: figure.speed, idle: (row) => !row.timed, needs: "encode" },
    { name: "decode MB/s", value: (row) => of(row).decode, text: figure.speed, idle: (row) => !row.timed, needs: "decode" },
    { name: "SQNR dB", value: (row) => of(row).sqnr, text: figure.fixed(1), needs: "sqnr" },
    { name: "largest error", value: (row) => of(row).max_error || null, text: words, needs: "max_error" },
    { name: "path", value: (row) => of(row).path, text: words, words: true, needs: "path" },
  ];
  return sortable(columns.filter((column) => !column.needs || has(column.needs)), rows, { classOf: rowClass, label: "methods on this map" });
}

function themeButton() {
  const root = document.documentElement;
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  return make("button", { type: "button", id: "theme", onclick: () => (root.dataset.theme = dark() ? "light" : "dark") }, "light / dark");
}
