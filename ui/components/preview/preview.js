// The first posts of a file as moderators will see them, and its first bad rows. Whatever the file holds is text here,
// never markup.
const SHAPES = { normal: "●", suspicious: "▲", violation: "■" };
const ODD = /[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/u; // invisible characters and those that turn the text round

let sentences = {}; // in the language of who looks at the page

export default function (args) {
  const { parentElement, data } = args;
  sentences = data.words;
  const root = parentElement.querySelector(".preview");
  root.classList.toggle("dark", isDark(getComputedStyle(root).getPropertyValue("--st-background-color").trim()));
  const wrong = root.querySelector(".wrong");
  wrong.hidden = data.rejects.length === 0;
  wrong.querySelector("h3").textContent = data.rejects_title;
  wrong.querySelector("ol").replaceChildren(...data.rejects.map(drawReject));
  const first = root.querySelector(".first");
  first.hidden = data.cards.length === 0;
  first.querySelector("h3").textContent = data.cards_title;
  first.querySelector(".cards").replaceChildren(...data.cards.map(drawCard));
}

function drawReject(reject) {
  const row = element("li", "");
  row.append(
    element("span", "line", {}, reject.line),
    element("span", "reason", {}, visible(reject.reason)),
    element("code", "", { lang: "zh" }, visible(reject.raw.replace(/\n/gu, "\\n"))),
  );
  return row;
}

function drawCard(card) {
  const drawn = element("article", "card");
  const facts = element("div", "why");
  facts.append(element("span", "", {}, card.pid));
  if (card.author) facts.append(element("span", "author", { lang: "zh" }, visible(card.author)));
  if (card.label) facts.append(element("span", `label ${card.label}`, {}, `${SHAPES[card.label]} ${card.label_in_words}`));
  facts.append(element("span", "rows", {}, card.rows));
  const text = element("div", "text", { lang: "zh" });
  text.append(...readable(card.segments).map((segment) => drawSegment(segment, card.words)));
  drawn.append(facts, text);
  return drawn;
}

/** Quotations stand in a block of their own: the line breaks around them would only leave gaps. */
function readable(segments) {
  return segments.map((segment, index) => {
    if (segment.kind === "quote") return { ...segment, text: segment.text.trim() };
    const isAfterQuote = segments[index - 1]?.kind === "quote";
    return isAfterQuote ? { ...segment, text: segment.text.replace(/^\s+/u, "") } : segment;
  });
}

function drawSegment(segment, words) {
  if (segment.kind === "quote") return drawQuote(segment.text, words);
  const drawn = element("span", { text: "", link: "link" }[segment.kind] ?? "chip");
  drawn.append(...marked(segment.text, words));
  return drawn;
}

/** Folded to its beginning, as on the label page. */
function drawQuote(text, words) {
  const quote = element("details", "");
  const whole = element("blockquote", "");
  whole.append(...marked(text, words));
  quote.append(element("summary", "", {}, visible(text.replace(/\s+/gu, " "))), whole);
  return quote;
}

/** Text nodes and <mark> elements; never markup. */
function marked(text, words) {
  const known = words.filter(Boolean).sort((a, b) => b.length - a.length);
  if (!known.length) return withOddMarks(text);
  const found = new RegExp(`(${known.map((word) => word.replace(/[\\^$.*+?()[\]{}|/]/gu, "\\$&")).join("|")})`, "giu");
  return text.split(found).flatMap((part, index) => (index % 2 ? [element("mark", "", {}, part)] : withOddMarks(part)));
}

function withOddMarks(text) {
  return text.split(new RegExp(`(${ODD.source})`, "u")).filter(Boolean).map((part) =>
    ODD.test(part) && part.length === 1
      ? element("span", "odd", { title: sentences.invisible }, codePoint(part))
      : document.createTextNode(part),
  );
}

function visible(text) {
  return text.replace(new RegExp(ODD.source, "gu"), (character) => `⟦${codePoint(character)}⟧`);
}

function codePoint(character) {
  return `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
}

function element(tag, className, attributes = {}, text = null) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== null) made.textContent = text;
  return made;
}

function isDark(colour) {
  const [r, g, b] = (colour.match(/[0-9a-f]{2}/gi) ?? []).map((part) => parseInt(part, 16));
  return r !== undefined && 0.299 * r + 0.587 * g + 0.114 * b < 128;
}
