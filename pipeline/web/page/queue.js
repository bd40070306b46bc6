// The queue: all jobs, the newest first, with their state and time left.

import { fileAddress, remove, uploadAddress } from "./api.js";
import { attempt, byId, make } from "./dom.js";
import { progressText } from "./stage.js";
import { changed, on, showJob, showPhoto, state } from "./state.js";

const rows = new Map();
const STATES = { done: "done", taken: "taken before its end", stopped: "stopped", failed: "failed" };

const picture = (job) => {
  if (job.kind === "picture" && job.preview) return `${fileAddress(job, "preview.jpg")}?n=${job.preview}`;
  return uploadAddress(job.photo.id);
};

function makeRow(id) {
  const image = make("img", { alt: "" }), open = make("button", { type: "button", className: "show" }, image);
  const what = make("div", { className: "what" }), status = make("div", { className: "state" });
  const bar = make("progress", { max: 1, "aria-label": "Progress" });
  const away = make("button", { type: "button", textContent: "×", className: "quiet" });
  const row = make("li", { className: "job" }, open, make("div", {}, what, status, bar), away);
  open.addEventListener("click", () => {
    showJob(state.jobs.get(id));
    byId("view").scrollIntoView({ block: "nearest" });
  });
  away.addEventListener("click", () => attempt(() => remove(`api/jobs/${id}`)));
  return { row, image, open, what, status, bar, away };
}

function update(row, job) {
  const styles = job.kind === "painting" ? `New style ${job.name}` : job.styles.map((part) => part.name).join(" + ");
  const text = job.kind === "painting" ? styles : `${job.photo.name} in ${styles}`;
  const active = job.state in STATES === false;
  if (row.image.getAttribute("src") !== picture(job)) row.image.src = picture(job);
  row.what.textContent = row.what.title = text;
  row.open.setAttribute("aria-label", `Show ${text}`);
  row.away.setAttribute("aria-label", active ? `Stop and remove ${text}` : `Remove ${text}`);
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
