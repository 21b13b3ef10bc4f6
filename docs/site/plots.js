// Ratio against speed: a network, a way and lossy methods are chosen; each point can be reached by pointer and by key.
(function () {
  const place = document.getElementById("plots-place");
  const networks = JSON.parse(document.getElementById("plots-data").textContent);
  const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT] = [760, 400, 48, 44, 12, 130];
  const make = (name, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const choice = (label, options) => {
    const outer = document.createElement("label");
    const select = document.createElement("select");
    options.forEach(([value, name]) => select.add(new Option(name, value)));
    outer.append(`${label} `, select);
    select.onchange = draw;
    place.append(outer);
    return select;
  };
  const network = choice("Network", networks.map((each, i) => [i, each.network]));
  const way = choice("Speed", [["decode", "of decoding"], ["encode", "of encoding"]]);
  const lossy = choice("Methods", [["", "lossless"], ["1", "all"]]);
  const drawing = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "group", "aria-label": "Plot" });
  const told = document.createElement("p");
  told.setAttribute("aria-live", "polite");
  place.append(drawing, told);

  function draw() {
    const found = networks[network.value];
    const points = found.points.filter((point) => lossy.value || point.lossless);
    const speeds = points.map((point) => Math.log10(point[way.value]));
    const [low, high] = [Math.floor(Math.min(...speeds)), Math.ceil(Math.max(...speeds))];
    const most = Math.ceil(Math.max(...points.map((point) => point.ratio)) * 2) / 2;
    const x = (speed) => LEFT + ((Math.log10(speed) - low) / (high - low)) * (WIDTH - LEFT - RIGHT);
    const y = (ratio) => HEIGHT - BOTTOM - ((ratio - 1) / (most - 1)) * (HEIGHT - BOTTOM - TOP);
    drawing.replaceChildren();
    for (let power = low; power <= high; power++) {
      drawing.append(make("line", { x1: x(10 ** power), x2: x(10 ** power), y1: TOP, y2: HEIGHT - BOTTOM, class: "grid" }));
      drawing.append(make("text", { x: x(10 ** power), y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, (10 ** power).toLocaleString("en")));
    }
    for (let ratio = 1; ratio <= most; ratio += 0.5) {
      drawing.append(make("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(ratio), y2: y(ratio), class: "grid" }));
      drawing.append(make("text", { x: LEFT - 6, y: y(ratio) + 4, "text-anchor": "end" }, ratio.toFixed(1)));
    }
    drawing.append(make("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 8, "text-anchor": "middle" }, `MB/s of ${way.value.replace("code", "coding")}, one thread`));
    for (const point of points) {
      const words = `${point.label}: ratio ${point.ratio.toFixed(2)}, encodes ${point.encode} MB/s, decodes ${point.decode} MB/s${point.lossless ? "" : ", lossy"}`;
      const at = { cx: x(point[way.value]), cy: y(point.ratio) };
      const dot = make("circle", { ...at, r: point.ours ? 7 : 5, class: point.ours ? "ours" : "", tabindex: 0, role: "img", "aria-label": words });
      dot.onmouseenter = dot.onfocus = () => (told.textContent = words);
      drawing.append(dot);
      if (point.ours) drawing.append(make("text", { x: at.cx + 10, y: at.cy + 4, class: "name" }, point.label));
    }
    told.textContent = `${found.images} images; ${points.length} methods, ours in orange.`;
  }
  draw();
})();
