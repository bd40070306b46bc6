// The queue: all jobs, the newest first, with their state and time left.

import { fileAddress, remove, uploadAddress } from "./api.js";
import { attempt, byId, make } from "./dom.js";
import { progressText } from "./stage.js";
import { changed, on, showJob, showPhoto, state } from "./state.js";

const rows = new Map();
const COLOURS = { luma: "colours of the photograph, exactly", transport: "colours of the photograph, as a palette" };
const LABELS = [["strength", "strength"], ["content_weight", "content"], ["content_detail", "detail"],
  ["tv_weight", "smoothness"], ["style_scale", "stroke size"], ["steps", "steps"], ["seed", "seed"]];
const STATES = { done: "done", taken: "taken before its end", stopped: "stopped", failed: "failed" };

const picture = (job) => {
  if (job.kind === "picture" && job.preview) return `${fileAddress(job, "preview.jpg")}?n=${job.preview}`;
  return uploadAddress(job.photo.id);
};

// What tells a job from others of its photograph and styles: size, weights, mask and the settings that were chosen.
export function details(job) {
  if (job.kind === "painting") return "";
  const chosen = job.settings, parts = [];
  const total = job.styles.reduce((sum, part) => sum + part.weight, 0);
  if (job.size[0]) parts.push(`${job.size[0]} × ${job.size[1]}`);
  if (chosen.print) parts.push(`print ${chosen.print}`);
  else if (!job.size[0]) parts.push(chosen.size ? `${chosen.size} pixels` : "");
  if (chosen.preset) parts.push(chosen.preset);
  if (job.styles.length > 1) parts.push(job.styles.map((part) => `${Math.round(100 * part.weight / total)} %`).join(" + "));
  if (job.mask) parts.push("mask");
  for (const [name, label] of LABELS) if (chosen[name] !== undefined) parts.push(`${label} ${chosen[name]}`);
  if (chosen.keep_color in COLOURS) parts.push(COLOURS[chosen.keep_color]);
  if (chosen.format) parts.push(chosen.format.toUpperCase());
  return parts.filter(Boolean).join(", ");
}

function makeRow(id) {
  const image = make("img", { alt: "" }), open = make("button", { type: "button", className: "show" }, image);
  const what = make("div", { className: "what" }), how = make("div", { className: "details" }), status = make("div", { className: "state" });
  const bar = make("progress", { max: 1, "aria-label": "Progress" });
  const away = make("button", { type: "button", textContent: "×", className: "quiet" });
  const row = make("li", { className: "job" }, open, make("div", {}, what, how, status, bar), away);
  open.addEventListener("click", () => {
    showJob(state.jobs.get(id));
    byId("view").scrollIntoView({ block: "nearest" });
  });
  away.addEventListener("click", () => attempt(() => remove(`api/jobs/${id}`)));
  return { row, image, open, what, how, status, bar, away };
}

function update(row, job) {
  const styles = job.kind === "painting" ? `New style ${job.name}` : job.styles.map((part) => part.name).join(" + ");
  const text = job.kind === "painting" ? styles : `${job.photo.name} in ${styles}`;
  const active = job.state in STATES === false;
  if (row.image.getAttribute("src") !== picture(job)) row.image.src = picture(job);
  row.what.textContent = row.what.title = text;
  row.how.textContent = details(job);
  const full = [text, details(job)].filter(Boolean).join(", ");
  row.open.setAttribute("aria-label", `Show ${full}`);
  row.away.setAttribute("aria-label", active ? `Stop and remove ${full}` : `Remove ${full}`);
  const took = job.state === "done" ? ` in ${duration(job)}` : "";
  row.status.textContent = active ? progressText(job) : job.error || STATES[job.state] + took;
  row.status.classList.toggle("bad", job.state === "failed");
  row.bar.hidden = job.state !== "running";
  row.bar.value = job.steps ? job.step / job.steps : 0;
  row.row.classList.toggle("shown", job.id === state.job);
}

const duration = (job) => (job.seconds < 90 ? `${Math.max(1, Math.round(job.seconds))} s` : `${Math.round(job.seconds / 60)} min`);

function draw() {
  const jobs = [...state.jobs.values()].reverse();
  for (const id of rows.keys()) if (!state.jobs.has(id)) rows.delete(id);
  const wanted = jobs.map((job) => {
    if (!rows.has(job.id)) rows.set(job.id, makeRow(job.id));
    update(rows.get(job.id), job);
    return rows.get(job.id).row;
  });
  const list = byId("jobs");
  if (wanted.length !== list.children.length || wanted.some((row, index) => list.children[index] !== row)) {
    list.replaceChildren(...wanted);
  }
  const waiting = jobs.filter((job) => job.state === "waiting").length;
  byId("queue-note").textContent = !jobs.length ? "Nothing yet." : waiting ? `${waiting} waiting` : "";
}

// Take over a message of the server.
export function receive(message) {
  const left = new Set(message.ids);
  for (const job of message.jobs) state.jobs.set(job.id, job);
  for (const id of state.jobs.keys()) if (!left.has(id)) state.jobs.delete(id);
  state.jobs = new Map(message.ids.filter((id) => state.jobs.has(id)).map((id) => [id, state.jobs.get(id)]));
  if (state.job !== null && !state.jobs.has(state.job)) showPhoto(state.photo);
  changed("jobs");
}

export function start() {
  on("jobs", draw);
  on("view", draw);
  draw();
}
