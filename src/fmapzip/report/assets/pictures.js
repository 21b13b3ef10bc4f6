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
  const place = make("div", { class: "maps" });
  const chips = rows.map((row, i) => make("button", { type: "button", onclick: () => choose(i) }, make("i"), row.label));
  const choose = (chosen) => {
    chips.forEach((chip, i) => {
      chip.setAttribute("aria-pressed", String(i === chosen));
      chip.firstChild.style.background = i === chosen ? `var(--${paintOf(rows[i])})` : "none";
    });
    place.replaceChildren(...(pictures.input ? [inputFigure(pictures.input)] : []), ...pictures.maps.map((map) => mapFigure(map, chosen, rows[chosen])));
  };
  choose(Math.max(0, rows.findIndex((row) => !row.lossless)));
  return [
    make("h2", {}, "The maps themselves"),
    make("p", { class: "soft" }, "A feature map is what one layer of a network writes and a later one reads: a stack of small images, its channels. Here are some channels of some maps of the first image, from the input's side to the output's: as 8-bit integers, as decoded from the stored bytes, and where the two differ (differences on an earlier map reach the later ones)."),
    make("div", { class: "chips", role: "group", "aria-label": "Method whose maps are shown" }, chips),
    place,
  ];
}

function inputFigure(address) {
  return make("figure", { class: "map" }, make("figcaption", {}, make("h3", {}, "the image")), make("img", { src: address, alt: "The network's input" }));
}

function mapFigure(map, chosen, row) {
  const tap = DATA().taps[map.tap], found = row.taps[map.tap];
  const bytes = figure.size((tap.raw_bytes / tap.samples)), stored = figure.size(found.bytes / tap.samples);
  const channels = `channels ${map.channels.join(", ")}`;
  const difference = map.difference[chosen];
  const picture = (name, address, alt) => make("div", {}, make("span", { class: "soft" }, name), make("img", { src: address, alt }));
  return make("figure", { class: "map" },
    make("figcaption", {}, make("h3", {}, make("a", { href: `#/tap/${map.tap + 1}` }, `${map.tap + 1}  ${tap.name}`))),
    make("p", { class: "soft" }, `${tap.shape.join(" x ")}: ${bytes} as 8 bits, ${stored} stored`),
    picture("8 bits", map.reference, `${tap.name}, ${channels}, as 8-bit integers`),
    picture("decoded", map.decoded[chosen], `${tap.name}, ${channels}, as ${row.label} decoded them`),
    difference
      ? picture(`difference, at most ${figure.percent(map.largest[chosen])}`, difference, `${tap.name}, ${channels}: decoded less 8 bits, red above and blue below zero`)
      : make("p", { class: "same" }, "no difference: bit for bit the same"));
}
