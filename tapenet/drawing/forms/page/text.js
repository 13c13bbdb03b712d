// Words and numbers as the page shows them. Everything reaches the document as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";
// Controls, lone surrogates, and what turns the direction of writing.
const UNSEEN = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffe\uffff]|\p{Surrogate}/gu;

const visible = (text) => String(text).replace(UNSEEN, " ");

// One line of at most so many letters.
function clean(text, limit = 48) {
  const shown = visible(String(text).slice(0, 4 * limit)).replaceAll("\n", " ");
  const letters = Array.from(shown);
  return letters.length <= limit ? shown : `${letters.slice(0, limit - 1).join("")}…`;
}

const DATA = JSON.parse(document.getElementById("drawing").textContent);

// How wide a text is, as in stills: the data has the widths of its letters, usual and bold, in thousandths of their size.
function room(text, size, bold = false) {
  let total = 0;
  for (const letter of text) total += (DATA.widths[letter] || [1000, 1000])[Number(bold)];
  return (total * size) / 1000;
}

// An element with attributes, listeners (functions) and children (nodes, or texts).
function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(name, value);
  }
  for (const child of children) {
    if (child !== null && child !== undefined && child !== false) element.append(child instanceof Node ? child : visible(child));
  }
  return element;
}

const find = (id) => document.getElementById(id);
const thousands = (n) => String(n).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
const plural = (n, word, words = `${word}s`) => `${thousands(n)} ${n === 1 ? word : words}`;

const valueText = (value) => (value ? String(value) : "");
const clusterTitle = (cluster) => cluster.title || { repeat: "repeated", kernel: "kernel" }[cluster.around] || "module";

// The units that are written with a prefix, each with its size, from the largest on.
const PREFIXED = {
  s: [[1, "s"], [1e-3, "ms"], [1e-6, "µs"]],
  B: [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"], [1, "B"]],
};

// A measured number: "nan", "inf" and "-inf" come as text.
function numberText(x, unit = "") {
  if (x === null || x === undefined) return "–";
  if (typeof x === "string") return { nan: "NaN", inf: "∞", "-inf": "−∞" }[x] || x;
  const size = Math.abs(x);
  const prefixed = PREFIXED[unit];
  if (prefixed && size > 0) {
    const [factor, name] = prefixed.find(([least]) => size >= 0.9995 * least) || prefixed[prefixed.length - 1];
    return `${Number((x / factor).toPrecision(3))} ${name}`;
  }
  let text;
  if (size === 0) text = "0";
  else if (Number.isInteger(x) && size < 1e6) text = thousands(x);
  else if (size >= 1e-3 && size < 1e6) text = String(Number(x.toPrecision(3)));
  else text = x.toExponential(2);
  return unit ? `${text} ${unit}` : text;
}
