// The bank as a wall: names, tags, likeness, and what is in the blend.

import { get } from "./api.js";
import { attempt, byId, make, say } from "./dom.js";
import { changed, choose, on, state, toggle } from "./state.js";

const tags = new Set();
const cards = new Map();            // name of style -> elements
let distances = {};
let reference = "";

export async function load() {
  const { styles, damaged } = await get("api/styles");
  state.styles = styles;
  cards.clear();
  for (const name of state.blend.keys()) if (!styles.some((style) => style.name === name)) state.blend.delete(name);
  byId("damaged").replaceChildren(...damaged.map((text) => make("li", { textContent: text })));
  drawTags();
  await sort();
  changed("blend");
}

function drawTags() {
  const all = [...new Set(state.styles.flatMap((style) => style.tags))].sort();
  for (const tag of tags) if (!all.includes(tag)) tags.delete(tag);
  byId("tags").replaceChildren(...all.map((tag) => {
    const button = make("button", { type: "button", textContent: tag, "aria-pressed": tags.has(tag) });
    button.addEventListener("click", () => {
      if (!tags.delete(tag)) tags.add(tag);
      button.setAttribute("aria-pressed", tags.has(tag));
      draw();
    });
    return button;
  }));
}

async function sort() {
  const wanted = byId("sort").value === "likeness" ? [...state.blend.keys()][0] ?? "" : "";
  const note = byId("likeness-note");
  note.hidden = byId("sort").value !== "likeness";
  const scale = `0 is the same style as ${wanted}, 2 the farthest.`;
  note.textContent = !wanted ? "Choose a style to compare with." : wanted === reference ? scale : "Comparing …";
  if (wanted !== reference) {
    reference = wanted;
    distances = {};
    if (wanted) {
      const found = await attempt(() => get(`api/likeness?name=${encodeURIComponent(wanted)}`));
      if (reference !== wanted) return;
      distances = found ? { ...found, [wanted]: 0 } : {};
      note.textContent = found ? scale : "";
    }
  }
  draw();
}

function order(one, other) {
  if (reference) {
    const difference = (distances[one.name] ?? 3) - (distances[other.name] ?? 3);
    if (difference) return difference;
  }
  return one.label.localeCompare(other.label);
}

function draw() {
  const wanted = byId("find").value.trim().toLowerCase();
  const shown = state.styles.filter((style) => [...tags].every((tag) => style.tags.includes(tag))
    && [style.label, ...style.tags].some((text) => text.toLowerCase().includes(wanted))).sort(order);
  const items = shown.map((style) => {
    if (!cards.has(style.name)) cards.set(style.name, makeCard(style));
    return update(cards.get(style.name), style);
  });
  const list = byId("styles");
  if (items.length !== list.children.length || items.some((item, index) => list.children[index] !== item)) {
    list.replaceChildren(...items);
  }
  const all = state.styles.length;
  byId("wall-count").textContent = shown.length === all ? `${all}` : `${shown.length} of ${all}`;
  if (!all) byId("wall-count").textContent = "The bank is empty. Add a painting.";
}

function makeCard(style) {
  const distance = make("span", { className: "distance" });
  const pick = make("button", { type: "button", className: "pick", data: { style: style.name } }, picture(style),
    make("span", { className: "name", textContent: style.label.replaceAll("_", "_\u200b") }), distance);
  pick.addEventListener("click", (event) => (event.ctrlKey || event.metaKey || event.shiftKey ? toggle : choose)(style.name));
  const plus = make("button", { type: "button", className: "plus", data: { style: style.name } });
  plus.addEventListener("click", () => toggle(style.name));
  return { item: make("li", { className: "style" }, pick, plus), pick, plus, distance };
}

function update(card, style) {
  const chosen = state.blend.has(style.name), far = distances[style.name];
  card.item.classList.toggle("chosen", chosen);
  card.pick.setAttribute("aria-pressed", chosen);
  card.plus.textContent = chosen ? "−" : "+";
  card.plus.setAttribute("aria-label", chosen ? `Take ${style.label} out of the blend` : `Add ${style.label} to the blend`);
  card.distance.textContent = far === undefined ? "" : far.toFixed(3);
  return card.item;
}

function picture(style) {
  if (style.thumbnail) {
    return make("img", { className: "picture", src: `api/thumbnails/${style.thumbnail}`, alt: "", loading: "lazy" });
  }
  return make("span", { className: "picture" }, ...style.palette.map((color) => {
    const stripe = make("span");
    stripe.style.background = color;
    return stripe;
  }));
}

export function start() {
  byId("find").addEventListener("input", draw);
  byId("sort").addEventListener("change", sort);
  on("blend", () => (byId("sort").value === "likeness" && state.blend.size ? sort() : draw()));
  say("");
}
