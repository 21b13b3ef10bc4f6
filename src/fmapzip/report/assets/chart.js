// A plot in a frame: drawn to the width that there is, drawn again when that changes, saved as SVG or PNG.

function plot(title, height, paint) {
  const body = make("div");
  const save = (kind) => make("button", { type: "button", "aria-label": `Save the plot "${title}" as ${kind}`, onclick: () => exporting[kind](body.querySelector("svg"), title) }, kind);
  const frame = make("figure", {}, make("figcaption", {}, make("h3", {}, title), make("span", {}, save("SVG"), save("PNG"))), body);
  let drawn = 0;
  const repaint = () => {
    const width = Math.floor(body.clientWidth);
    if (!width) return;
    drawn = width;
    const tall = typeof height === "function" ? height(width) : height;
    const svg = draw("svg", { viewBox: `0 0 ${width} ${tall}`, height: tall, role: "img", "aria-label": title });
    paint(svg, width, tall);
    body.replaceChildren(svg);
  };
  const resized = () => Math.floor(body.clientWidth) !== drawn && repaint();
  new ResizeObserver(() => setTimeout(resized)).observe(body);
  frame.repaint = repaint;
  return frame;
}

function axes(svg, box, x, y, { xTicks, yTicks, xLabel, yLabel, xText = tickText, yText = tickText }) {
  for (const value of yTicks) {
    const place = y(value);
    svg.append(draw("line", { class: "axis", x1: box.left, x2: box.right, y1: place, y2: place }));
    svg.append(draw("text", { x: box.left - 6, y: place + 4, "text-anchor": "end" }, yText(value)));
  }
  svg.append(draw("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }));
  for (const value of xTicks) {
    svg.append(draw("line", { class: "axis", x1: x(value), x2: x(value), y1: box.bottom, y2: box.bottom + 4 }));
    svg.append(draw("text", { x: x(value), y: box.bottom + 16, "text-anchor": "middle" }, xText(value)));
  }
  if (xLabel) svg.append(draw("text", { class: "strong", x: (box.left + box.right) / 2, y: box.bottom + 33, "text-anchor": "middle" }, xLabel));
  if (yLabel) svg.append(draw("text", { class: "strong", x: box.left - 34, y: box.top - 12 }, yLabel));
}

const exporting = {
  SVG(svg, title) {
    download(new Blob([standalone(svg)], { type: "image/svg+xml" }), `${fileName(title)}.svg`);
  },
  PNG(svg, title) {
    const { width, height } = svg.viewBox.baseVal;
    const image = new Image();
    image.onload = () => {
      const canvas = make("canvas", { width: 2 * width, height: 2 * height });
      const pen = canvas.getContext("2d");
      pen.scale(2, 2);
      pen.drawImage(image, 0, 0, width, height);
      canvas.toBlob((blob) => download(blob, `${fileName(title)}.png`));
    };
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(standalone(svg))}`;
  },
};

const PAINTED = ["fill", "stroke", "stroke-width", "stroke-dasharray", "font-size", "font-family", "opacity", "fill-opacity", "visibility"];

// The plot with the style that it has on the page written into it, on the page's background.
function standalone(svg) {
  const copy = svg.cloneNode(true);
  const originals = svg.querySelectorAll("*");
  copy.querySelectorAll("*").forEach((element, i) => {
    const style = getComputedStyle(originals[i]);
    for (const name of PAINTED) element.setAttribute(name, style.getPropertyValue(name));
    element.removeAttribute("style");
  });
  const { width, height } = svg.viewBox.baseVal;
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  const paper = getComputedStyle(document.body).backgroundColor;
  copy.prepend(draw("rect", { width, height, fill: paper }));
  return new XMLSerializer().serializeToString(copy);
}

function fileName(title) {
  return title.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
}

function download(blob, name) {
  const address = URL.createObjectURL(blob);
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
