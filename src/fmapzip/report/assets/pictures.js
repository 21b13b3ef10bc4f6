// The first screen: what was saved and kept, in large figures, and the maps themselves before and after.

function headline(data) {
  if (!data.headline || !data.headline.length) return null;
  const cards = data.headline.map(({ figure: shown, words: said }) => make("div", { class: "card" }, make("b", {}, shown), make("span", {}, said)));
  return make("section", { class: "cards", "aria-label": "In figures" }, cards);
}

// Maps along the depth: as the 8-bit network has them, as the chosen method decoded them, and where these differ.
function mapPictures(data, rows) {
  const pictures = data.pictures;
  if (!pictures || !pictures.maps.length) return [];
  const shown = (chosen) => [...(pictures.input ? [inputFigure(pictures.input)] : []), ...pictures.maps.map((map) => mapFigure(map, chosen, rows[chosen], true))];
  return [
    make("h2", {}, "The maps themselves"),
    make("p", { class: "soft" }, "A feature map is what one layer of a network writes and a later one reads: a stack of small images, its channels. Here are some channels of some maps of the first image, from the input's side to the output's: as 8-bit integers, as decoded from the stored bytes, and where the two differ (differences on an earlier map reach the later ones)."),
    ...picturesByMethod(rows, shown),
  ];
}

// The same of one map, on its page; nothing where it was not drawn.
function tapPictures(data, rows, i) {
  const map = data.pictures && data.pictures.maps.find((one) => one.tap === i);
  if (!map) return [];
  return [
    make("p", { class: "soft" }, `Channels ${map.channels.join(", ")} of the first image's map.`),
    ...picturesByMethod(rows, (chosen) => [mapFigure(map, chosen, rows[chosen], false)]),
  ];
}

// Buttons that choose a method, and what `shown` gives for it.
function picturesByMethod(rows, shown) {
  const place = make("div", { class: "maps" });
  const chips = rows.map((row, i) => make("button", { type: "button", onclick: () => choose(i) }, make("i"), row.label));
  const choose = (chosen) => {
    chips.forEach((chip, i) => {
      chip.setAttribute("aria-pressed", String(i === chosen));
      chip.firstChild.style.background = i === chosen ? `var(--${paintOf(rows[i])})` : "none";
    });
    place.replaceChildren(...shown(chosen));
  };
  const lossy = rows.filter((row) => !row.lossless).sort((a, b) => a.total - b.total);
  choose(Math.max(0, rows.indexOf(lossy[0])));
  return [make("div", { class: "chips", role: "group", "aria-label": "Method whose maps are shown" }, chips), place];
}

function inputFigure(address) {
  return make("figure", { class: "map" }, make("figcaption", {}, make("h3", {}, "the image")), make("img", { src: address, alt: "The network's input" }));
}

function mapFigure(map, chosen, row, linked) {
  const tap = DATA().taps[map.tap], found = row.taps[map.tap];
  const bytes = figure.size((tap.raw_bytes / tap.samples)), stored = figure.size(found.bytes / tap.samples);
  const channels = `channels ${map.channels.join(", ")}`;
  const difference = map.difference[chosen];
  const picture = (name, address, alt) => make("div", {}, make("span", { class: "soft" }, name), make("img", { src: address, alt }));
  const name = `${map.tap + 1}  ${tap.name}`;
  return make("figure", { class: linked ? "map" : "map alone" },
    linked ? make("figcaption", {}, make("h3", {}, make("a", { href: `#/tap/${map.tap + 1}` }, name))) : null,
    make("p", { class: "soft" }, `${tap.shape.join(" x ")}: ${bytes} as 8 bits, ${stored} stored`),
    picture("8 bits", map.reference, `${tap.name}, ${channels}, as 8-bit integers`),
    picture("decoded", map.decoded[chosen], `${tap.name}, ${channels}, as ${row.label} decoded them`),
    difference
      ? picture(`difference, at most ${figure.percent(map.largest[chosen])}`, difference, `${tap.name}, ${channels}: decoded less 8 bits, red above and blue below zero`)
      : make("p", { class: "same" }, "no difference: bit for bit the same"));
}
