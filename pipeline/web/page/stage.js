// The picture in view: the photograph, the preview that sharpens, or the finished picture, before and after.

import { fileAddress, get, post } from "./api.js";
import { attempt, byId, duration, make, say, show } from "./dom.js";
import { adopt } from "./controls.js";
import { on, photoAddress, shownJob, state } from "./state.js";

let after = "";

function setSource(image, address) {
  if (image.getAttribute("src") !== address) image.src = address;
}

// Load a preview fully before it replaces the one in view, so that nothing flickers.
function showAfter(address) {
  if (address === after) return;
  after = address;
  if (!address) {
    byId("after").removeAttribute("src");
    return;
  }
  const next = new Image();
  next.addEventListener("load", async () => {
    if (after !== address) return;
    byId("after").src = address;
    await byId("after").decode().catch(() => {});
    if (after !== address) return;
    show("after", true);
    divide();
  });
  next.src = address;
}

// Give both images the place of the one in view, so that one lies on the other: a print may have another shape.
function divide() {
  const before = byId("before"), frame = byId("frame"), image = byId("after").hidden ? before : byId("after");
  if (!image.naturalWidth || !frame.clientWidth) return;
  frame.style.aspectRatio = `${image.naturalWidth} / ${image.naturalHeight}`;
  const scale = Math.min(frame.clientWidth / image.naturalWidth, frame.clientHeight / image.naturalHeight);
  const width = image.naturalWidth * scale, height = image.naturalHeight * scale;
  for (const each of [before, byId("after")]) Object.assign(each.style, { width: `${width}px`, height: `${height}px` });
  before.style.objectFit = shownJob()?.settings.fit === "border" ? "contain" : "cover";
  const share = Number(byId("compare").value);
  byId("after").style.clipPath = share < 100 ? `inset(0 ${100 - share}% 0 0)` : "none";
  byId("compare-row").style.width = `${width}px`;
  const divider = byId("divider"), left = (frame.clientWidth - width) / 2, top = (frame.clientHeight - height) / 2;
  divider.hidden = share === 0 || share === 100 || byId("after").hidden;
  Object.assign(divider.style, { left: `${left + width * share / 100}px`, top: `${top}px`, height: `${height}px` });
}

function caption(job) {
  if (!job) return state.photo ? `${state.photo.name}, ${state.photo.width} × ${state.photo.height}` : "";
  const what = job.kind === "painting" ? `${job.name}, a new style` : job.styles.map((part) => part.name).join(" + ");
  const size = job.size[0] ? `, ${job.size[0]} × ${job.size[1]}` : "";
  const how = { taken: ", taken before its end", stopped: ", stopped", waiting: ", waiting" }[job.state] ?? "";
  return `${job.photo.name} in ${what}${size}${how}`;
}

export function progressText(job) {
  if (job.state === "waiting") return job.wait === null ? "waits" : `waits; finished in about ${duration(job.wait)}`;
  if (job.kind === "painting") return job.steps ? `measuring, scale ${job.step + 1} of ${job.steps}` : "measuring";
  if (!job.steps) return "getting ready";
  const left = job.seconds_left === null ? "" : `, about ${duration(job.seconds_left)} left`;
  return `step ${job.step} of ${job.steps}${left}`;
}

function draw() {
  const job = shownJob(), photo = photoAddress();
  show("drop", !photo);
  show("view", Boolean(photo));
  if (photo) setSource(byId("before"), photo);
  const picture = job?.kind === "picture" && job.files.length ? job.files[0] : "";
  const finished = Boolean(picture);
  const active = job?.state === "running" || job?.state === "waiting";
  let address = "";
  if (finished) address = picture.endsWith(".tif") || picture.endsWith(".tiff") ? `${fileAddress(job, "deep.png")}?show` : `${fileAddress(job, picture)}?show`;
  else if (job?.preview && job.kind === "picture") address = `${fileAddress(job, "preview.jpg")}?n=${job.preview}`;
  if (!address) show("after", false);
  showAfter(address);
  show("compare-row", Boolean(address));
  divide();
  show("working", Boolean(active));
  show("take", job?.state === "running" && job.kind === "picture");
  byId("take").disabled = !job?.preview;
  byId("progress").value = active && job.steps ? job.step / job.steps : 0;
  byId("progress-text").textContent = active ? progressText(job) : "";
  show("finished", finished);
  if (finished) {
    byId("download").href = fileAddress(job, picture);
    byId("download-deep").href = fileAddress(job, "deep.png");
    show("copy", job.state === "done");
  }
  byId("caption").textContent = caption(job);
  const notes = (job ? job.notes : state.photo?.notes) ?? [];
  byId("notes").replaceChildren(...notes.map((text) => make("li", { textContent: text })));
  show("failure", Boolean(job?.error));
  byId("failure").textContent = job?.error ?? "";
}

async function copy() {
  const { command } = await get(`api/jobs/${shownJob().id}/command`);
  byId("command").textContent = command;
  show("command", true);
  try {
    await navigator.clipboard.writeText(command);
    byId("copy").textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(byId("command"));
    byId("copy").textContent = document.execCommand("copy") ? "Copied" : "Copy the text below";
  }
}

export function start() {
  byId("compare").addEventListener("input", divide);
  byId("before").addEventListener("load", divide);
  new ResizeObserver(divide).observe(byId("frame"));
  for (const action of ["stop", "take"]) {
    byId(action).addEventListener("click", () => attempt(() => post(`api/jobs/${shownJob().id}/${action}`)));
  }
  byId("copy").addEventListener("click", () => attempt(copy));
  byId("again").addEventListener("click", () => adopt(shownJob()));
  on("view", () => {
    show("command", false);
    byId("copy").textContent = "Copy command";
    byId("compare").value = 100;
    draw();
    say("");
  });
  on("jobs", draw);
  draw();
}
