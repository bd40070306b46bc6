// The blend and the settings, and the order that they become.

import { post, upload } from "./api.js";
import { byId, make, say, show } from "./dom.js";
import { maskFile } from "./mask.js";
import { changed, on, showJob, state, toggle } from "./state.js";

// Sliders are linear in what the eye sees; `value` turns a position into the setting.
const SLIDERS = [
  { name: "strength", label: "Strength", min: 0, max: 1, step: 0.05, help: "How far from the photograph to the style" },
  { name: "content_weight", label: "Content", min: 0, max: 8, step: "any", help: "How closely shapes of the photograph stay",
    value: (place) => Number((place ** 2 / 8).toFixed(2)), place: (weight) => Math.sqrt(8 * weight) },
  { name: "content_detail", label: "Detail", min: 0, max: 1, step: 0.05, help: "How much of the content weight goes to detail",
    note: "At 1, skies and walls are left to the style; at 0, all places keep their shapes alike." },
  { name: "tv_weight", label: "Smoothness", min: 0, max: 10, step: 0.25, help: "How much fine grain is removed" },
  { name: "style_scale", label: "Stroke size", min: -2, max: 2, step: 0.25, help: "Size of the strokes",
    value: (place) => 2 ** place, place: Math.log2 },
];
const touched = new Set();

const value = (slider) => {
  const place = Number(byId(slider.name).value);
  return Number((slider.value ? slider.value(place) : place).toPrecision(4));
};

function makeSlider(slider) {
  const output = make("output", { id: `${slider.name}-out` });
  const input = make("input", { type: "range", id: slider.name, min: slider.min, max: slider.max, step: slider.step,
    title: slider.help });
  const update = () => { output.textContent = value(slider).toFixed(2); };
  input.addEventListener("input", () => { touched.add(slider.name); update(); });
  input.addEventListener("update", update);
  const note = slider.note ? [make("span", { className: "help", id: `${slider.name}-help`, textContent: slider.note })] : [];
  if (slider.note) input.setAttribute("aria-describedby", `${slider.name}-help`);
  return make("div", { className: "slider" }, make("label", { for: slider.name, textContent: slider.label }), output, input, ...note);
}

function put(name, content) {
  const input = byId(name), slider = SLIDERS.find((each) => each.name === name);
  input.value = slider?.place ? slider.place(content) : content;
  input.dispatchEvent(new Event("update"));
}

function reset() {
  touched.clear();
  for (const { name } of SLIDERS) put(name, state.defaults[name]);
  put("keep_color", state.defaults.keep_color);
}

// A preset sets size and steps, as on the command line; what the user types stays.
function followPreset() {
  const values = { ...state.defaults, ...state.presetValues[byId("preset").value] };
  for (const name of ["size", "steps"]) {
    touched.delete(name);
    byId(name).value = "";
    byId(name).placeholder = byId("preset").value in state.presetValues ? values[name] : "as the preset says";
  }
}

function drawBlend() {
  const several = state.blend.size > 1;
  show("no-style", state.blend.size === 0);
  const total = [...state.blend.values()].reduce((sum, weight) => sum + weight, 0);
  byId("blend").replaceChildren(...[...state.blend].map(([name, weight]) => {
    const text = () => `${Math.round(100 * state.blend.get(name) / [...state.blend.values()].reduce((a, b) => a + b, 0))} %`;
    const output = make("output", { textContent: several && total ? text() : "", data: { share: name } });
    const remove = make("button", { type: "button", className: "remove", textContent: "×", "aria-label": `Take ${name} out` });
    remove.addEventListener("click", () => toggle(name));
    const row = make("div", { className: "slider" }, make("span", { className: "label", textContent: name }), output, remove);
    if (several) {
      const input = make("input", { type: "range", min: 0.05, max: 1, step: 0.05, value: weight, "aria-label": `Share of ${name}` });
      input.addEventListener("input", () => {
        state.blend.set(name, Number(input.value));
        for (const each of byId("blend").querySelectorAll("output")) {
          const sum = [...state.blend.values()].reduce((a, b) => a + b, 0);
          each.textContent = `${Math.round(100 * state.blend.get(each.dataset.share) / sum)} %`;
        }
      });
      row.append(input);
    }
    return make("li", {}, row);
  }));
}

function settings() {
  const chosen = {};
  for (const slider of SLIDERS) if (touched.has(slider.name)) chosen[slider.name] = value(slider);
  if (byId("keep_color").value !== state.defaults.keep_color) chosen.keep_color = byId("keep_color").value;
  if (byId("preset").value !== "standard") chosen.preset = byId("preset").value;
  const print = byId("print").value.trim();
  for (const name of print ? ["dpi", "steps"] : ["size", "steps"]) {
    if (byId(name).value) chosen[name] = Number(byId(name).value);
  }
  if (print) Object.assign(chosen, { print, fit: byId("fit").value });
  if (byId("format").value !== state.defaults.format) chosen.format = byId("format").value;
  return chosen;
}

// The control that a sentence of the server is about: "print '10x15': expected ...".
function control(message) {
  const element = byId("fields").querySelector(`[id="${message.match(/^\w+/)?.[0]}"]`);
  return element?.matches("input, select") ? element : null;
}

async function submit() {
  for (const each of byId("fields").querySelectorAll("[aria-invalid]")) each.removeAttribute("aria-invalid");
  say("");
  try {
    const broken = byId("fields").querySelector(":invalid");
    if (broken) {
      const label = broken.closest(".field").firstChild.textContent.trim();
      throw Object.assign(new Error(`${label}: ${broken.validationMessage}`), { element: broken });
    }
    await order();
  } catch (error) {
    say(error.message);
    const element = error.element ?? control(error.message);
    if (!element) return;
    element.setAttribute("aria-invalid", "true");
    element.focus({ preventScroll: true });
    element.scrollIntoView({ block: "center" });
  }
}

async function order() {
  if (!state.photos.length) throw new Error("Choose a photograph first.");
  if (!state.blend.size) throw new Error("Choose a style from the wall first.");
  const styles = [...state.blend].map(([name, weight]) => ({ name, weight }));
  let first = null;
  for (const photo of state.photos) {
    const drawn = await maskFile(photo);
    const mask = drawn ? (await upload(drawn)).id : null;
    const photos = [{ id: photo.id, name: photo.name }];
    const jobs = await post("api/pictures", { photos, styles, mask, settings: settings() });
    for (const job of jobs) state.jobs.set(job.id, job);
    if (photo === state.photo) [first] = jobs;
  }
  changed("jobs");
  if (first) showJob(first);
}

// A print has its own size.
function followPrint() {
  const print = Boolean(byId("print").value.trim());
  show("fit-field", print);
  show("dpi-field", print);
  byId("size").disabled = print;
}

// Take over the styles and settings of a job.
export function adopt(job) {
  state.blend = new Map(job.styles.map((part) => [part.name, part.weight]));
  reset();
  byId("preset").value = job.settings.preset ?? "standard";
  followPreset();
  for (const name of ["print", "dpi"]) byId(name).value = "";
  for (const [name, content] of Object.entries(job.settings)) {
    if (name === "preset" || !byId(name)) continue;
    touched.add(name);
    put(name, content);
  }
  followPrint();
  changed("blend");
}

export function start(studio) {
  state.defaults = studio.defaults;
  state.presetValues = studio.preset_values;
  byId("sliders").replaceChildren(...SLIDERS.map(makeSlider));
  byId("preset").replaceChildren(...studio.presets.map((name) => make("option", { value: name, textContent: name })));
  byId("preset").value = "standard";
  byId("format").value = studio.defaults.format;
  byId("size").max = studio.max_size;
  byId("prints").replaceChildren(...studio.prints.map((name) => make("option", { value: name })));
  byId("preset").addEventListener("change", followPreset);
  byId("print").addEventListener("input", followPrint);
  byId("reset").addEventListener("click", reset);
  byId("controls").addEventListener("submit", async (event) => {
    event.preventDefault();
    byId("make").disabled = true;
    await submit();
    byId("make").disabled = false;
  });
  on("blend", drawBlend);
  on("view", () => {
    byId("make").textContent = state.photos.length > 1 ? `Make ${state.photos.length} pictures` : "Make the picture";
  });
  reset();
  followPreset();
  drawBlend();
  say("");
}
