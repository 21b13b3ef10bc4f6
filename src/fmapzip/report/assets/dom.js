// Elements, figures as text, and the box that follows the pointer.

const SVG = "http://www.w3.org/2000/svg";

function make(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function draw(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const figure = {
  fixed: (digits) => (value) => (value === null || value === undefined ? "" : value.toFixed(digits)),
  speed: (value) => (value === null || value === undefined ? "" : value >= 10 ? value.toFixed(0) : value.toFixed(1)),
  megabits: (value) => (value === null || value === undefined ? "" : figure.speed(value / 1e6)),
  percent: (value) => `${(100 * value).toFixed(1)} %`,
  size(bytes) {
    if (bytes === null || bytes === undefined) return "";
    for (const [unit, scale] of [["MB", 1e6], ["kB", 1e3]]) {
      if (bytes >= scale) return `${(bytes / scale).toFixed(bytes >= 100 * scale ? 0 : 1)} ${unit}`;
    }
    return `${bytes} B`;
  },
  small: (value) => (value === null || value === undefined ? "" : value === 0 ? "0" : value < 1e-4 ? value.toExponential(1) : value.toPrecision(3)),
};

const tip = {
  show(event, text) {
    const box = document.getElementById("tip");
    box.textContent = text;
    box.hidden = false;
    const { width, height } = box.getBoundingClientRect();
    const left = event.clientX + 14 + width > innerWidth ? event.clientX - 14 - width : event.clientX + 14;
    const top = event.clientY + 14 + height > innerHeight ? event.clientY - 10 - height : event.clientY + 14;
    box.style.left = `${Math.max(4, left)}px`;
    box.style.top = `${Math.max(4, top)}px`;
  },
  hide() {
    document.getElementById("tip").hidden = true;
  },
};

function hover(element, text) {
  element.addEventListener("pointermove", (event) => tip.show(event, typeof text === "function" ? text(event) : text));
  element.addEventListener("pointerleave", tip.hide);
  return element;
}
