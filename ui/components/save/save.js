// Saves the chart above it: the SVG that the browser has drawn, as it is or as PNG; and the table behind it, as CSV.
// A chart of SVG is read by screen readers too: what is drawn of a brush has nothing to tell them.
const SCALE = 2; // of a PNG: sharp on paper

export default function ({ parentElement, data }) {
  const root = parentElement.querySelector(".save");
  for (const button of root.querySelectorAll("button")) {
    button.textContent = data.words[button.dataset.kind];
    button.onclick = () => save(parentElement, data.name, button.dataset.kind);
  }
  const table = root.querySelector("a");
  table.hidden = !data.table;
  table.textContent = data.words.csv;
  if (data.table) table.href = data.table; // an address of our own server
  const drawing = new MutationObserver(hushBrushes); // charts are drawn later, and again
  drawing.observe(document.body, { childList: true, subtree: true });
  hushBrushes();
  return () => drawing.disconnect();
}

/** Vega gives the rectangle of an interval selection a role and no name, and no way to leave it out. */
function hushBrushes() {
  const brushes = document.querySelectorAll("svg.marks [class*='brush_brush']:not([aria-hidden])");
  for (const brush of brushes) brush.setAttribute("aria-hidden", "true");
}

function save(parentElement, name, kind) {
  const drawn = chartAbove(parentElement.getRootNode().host ?? parentElement);
  if (!drawn) return;
  const box = drawn.viewBox.baseVal;
  const [width, height] = [box.width || drawn.clientWidth, box.height || drawn.clientHeight];
  const copy = drawn.cloneNode(true);
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  Object.entries({ width, height }).forEach(([side, pixels]) => copy.setAttribute(side, pixels));
  copy.style.background = getComputedStyle(parentElement.getRootNode().host ?? parentElement).getPropertyValue("--st-background-color") || "#fff";
  const source = new XMLSerializer().serializeToString(copy);
  if (kind === "svg") hand(new Blob([source], { type: "image/svg+xml" }), `${name}.svg`);
  else paint(source, width, height, (blob) => hand(blob, `${name}.png`));
}

/** The last chart that stands before the element in the page. */
function chartAbove(element) {
  const charts = [...document.querySelectorAll("[data-testid=stVegaLiteChart] svg.marks")];
  const isBefore = (chart) => element.compareDocumentPosition(chart) & Node.DOCUMENT_POSITION_PRECEDING;
  return charts.filter(isBefore).at(-1);
}

function paint(source, width, height, done) {
  const image = new Image();
  image.onload = () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: width * SCALE, height: height * SCALE });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob(done, "image/png");
  };
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(source)}`;
}

function hand(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1_000);
}
