// Tables that sort by any column.

// columns: [{ name, value: row => sortable, text: value => string, idle: row => bool, words: bool, long: bool }]
function sortable(columns, rows, { classOf = () => "", open = null, sorted = 1, label }) {
  const body = make("tbody");
  const heads = columns.map((column, i) => make("th", { scope: "col", title: column.title, class: column.words ? "words" : null }, make("button", { type: "button", onclick: () => sort(i) }, column.name)));
  let by = -1, up = false;
  const sort = (i) => {
    up = by === i ? !up : Boolean(columns[i].words || columns[i].up);
    by = i;
    heads.forEach((head, j) => (j === i ? head.setAttribute("aria-sort", up ? "ascending" : "descending") : head.removeAttribute("aria-sort")));
    const keyed = rows.map((row) => [columns[i].value(row), row]);
    keyed.sort(([a], [b]) => compare(a, b, up));
    body.replaceChildren(...keyed.map(([, row]) => line(row)));
  };
  const line = (row) => make("tr", { class: classOf(row) }, columns.map((column, i) => cell(column, row, i)));
  const cell = (column, row, i) => {
    const text = (column.text || String)(column.value(row) ?? null) ?? "";
    const inside = i === 0 && open && open(row) ? make("a", { href: open(row) }, text) : text;
    return make("td", { class: column.words ? (column.long ? "words long" : "words") : column.idle && column.idle(row) ? "idle" : null, title: column.hint ? column.hint(row) : null }, inside);
  };
  sort(sorted);
  return make("div", { class: "scroll" }, make("table", { "aria-label": label, class: columns.length > 10 ? "dense" : null }, make("thead", {}, make("tr", {}, heads)), body));
}

// What a row does not have comes last, whichever way the others go.
function compare(a, b, up) {
  const none = (value) => value === null || value === undefined || value === "" || Number.isNaN(value);
  if (none(a) || none(b)) return none(a) - none(b);
  const order = typeof a === "string" ? a.localeCompare(b) : a - b;
  return up ? order : -order;
}

const words = (value) => value ?? "";

function methodColumns(has) {
  const timed = (name, key) => ({ name, value: (row) => row[key], text: figure.speed, idle: (row) => !row.timed });
  const pays = (name, key, title) => ({ name, title, value: (row) => row[key], text: figure.megabits, idle: (row) => !row.timed, needs: key });
  const distortion = (name, key, text) => ({ name, value: (row) => row.distortion && row.distortion[key], text });
  const all = [
    { name: "method", value: (row) => row.label, words: true, hint: (row) => row.source },
    { name: "kind", value: (row) => (row.lossless ? "lossless" : "lossy"), words: true, needs: "loss" },
    { name: "ratio", value: (row) => RAW / row.total, text: figure.fixed(3) },
    { name: "bits a value", value: (row) => (8 * row.total) / RAW, text: figure.fixed(2) },
    { name: "maps alone", title: "ratio without what is kept once beside the maps", value: (row) => RAW / row.bytes, text: figure.fixed(3) },
    { name: "beside", title: "bytes kept once beside the maps", value: (row) => row.side || null, text: figure.size },
    timed("encode MB/s", "encode"),
    timed("decode MB/s", "decode"),
    pays("pays below Mbit/s", "pays_below", "the bandwidth below which coded maps arrive sooner than their 8-bit values, map by map"),
    pays("overlapped", "pays_overlapped", "the same where coding and sending overlap"),
    { name: "SQNR dB", value: (row) => row.sqnr, text: figure.fixed(1), needs: "sqnr" },
    { name: "largest error", value: (row) => row.max_error || null, text: words, needs: "max_error" },
    { ...distortion("KL to float", "kl_vs_float", figure.small), needs: "kl_vs_float" },
    { ...distortion("changed", "changed_vs_int8", words), title: "predictions that differ from the 8-bit network's", needs: "changed_vs_int8" },
    { ...distortion("top-1", "top1", (value) => (value === null ? "" : figure.percent(value))), needs: "top1" },
    { ...distortion("output SQNR dB", "output_sqnr_db", figure.fixed(1)), needs: "output_sqnr_db" },
    { name: "peak memory", value: (row) => row.peak, text: figure.size, needs: "peak" },
    { name: "order", title: "of the values, for general and image codecs", value: (row) => row.layout, text: words, words: true, needs: "layout" },
    { name: "", value: (row) => (row.status === "ok" ? "" : row.status), text: words, words: true, needs: "status" },
  ];
  return all.filter((column) => !column.needs || has(column.needs));
}

function methodTable(rows) {
  const found = rows.filter((row) => row.taps);
  const kinds = new Set(found.map((row) => row.lossless));
  const has = (key) => (key === "loss" ? kinds.size > 1 : hasFigure(found, key));
  const byRatio = [...found].sort((a, b) => a.total - b.total); // stays within each kind
  return sortable(methodColumns(has), byRatio, { classOf: rowClass, label: "methods" });
}

// Methods without figures, and why: those of a reason together.
function missingMethods(rows) {
  const reasons = new Map();
  for (const row of rows.filter((one) => !one.taps)) reasons.set(row.status, [...(reasons.get(row.status) || []), row.label]);
  return [...reasons].map(([reason, labels]) => make("p", { class: "soft" }, `${labels.join(", ")}: ${reason}.`));
}

function hasFigure(rows, key) {
  return rows.some((row) => (key === "status" ? row.status !== "ok" : row[key] || (row.distortion && row.distortion[key] !== null && row.distortion[key] !== undefined)));
}

const rowClass = (row) => (row.ours ? "ours" : "");

function tapTable(rows) {
  const taps = DATA().taps.map((tap, i) => ({ tap, i, ...winners(rows, i) }));
  const both = taps.some((t) => t.ours && t.theirs);
  const best = (name, key) => [
    { name, value: (t) => t[key] && t.tap.raw_bytes / t[key].taps[t.i].bytes, text: figure.fixed(2) },
    { name: "", value: (t) => (t[key] ? t[key].label : ""), text: words, words: true },
  ];
  const columns = [
    { name: "feature map", value: (t) => t.tap.name, words: true },
    { name: "place", value: (t) => t.i + 1, up: true },
    { name: "shape", value: (t) => t.tap.shape.join(" x "), words: true },
    { name: "values", value: (t) => t.tap.raw_bytes },
    { name: "zeros", value: (t) => t.tap.zeros, text: figure.percent },
    { name: "entropy, bits", title: "order-0", value: (t) => t.tap.entropy_bits, text: figure.fixed(2) },
    ...best(both ? "best lossless of ours" : "best", "ours"),
    ...(both ? best("best lossless baseline", "theirs") : []),
  ];
  return sortable(columns, taps, { open: (t) => `#/tap/${t.i + 1}`, label: "feature maps", classOf: (t) => (both && t.ahead ? "ours" : "") });
}

function winners(rows, i) {
  const exact = rows.filter((row) => row.lossless);
  const least = (list) => list.reduce((best, row) => (!best || row.taps[i].bytes < best.taps[i].bytes ? row : best), null);
  const ours = least(exact.filter((row) => row.ours)) || least(rows.filter((row) => row.ours));
  const theirs = least(exact.filter((row) => !row.ours));
  return { ours, theirs, ahead: ours && theirs && ours.taps[i].bytes < theirs.taps[i].bytes };
}
