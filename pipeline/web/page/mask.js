// The mask of the photograph in view: white where the style goes. It has the pixels of the photograph's preview.

import { byId, show } from "./dom.js";
import { on, showPhoto, state } from "./state.js";

let painting = false;
let erasing = false;
let stroke = null;                  // last point of the stroke under way
let cursor = null;                  // of the keyboard

const canvas = () => byId("mask");
const brush = () => Number(byId("brush").value);

function maskOf(photo) {
  const before = byId("before");
  if (!photo.mask) {
    photo.mask = document.createElement("canvas");
    photo.mask.width = before.naturalWidth;
    photo.mask.height = before.naturalHeight;
  }
  return photo.mask;
}

// Lay the canvas over the visible part of the image, which keeps its shape inside the frame.
function layOut() {
  const view = canvas(), before = byId("before"), frame = byId("frame");
  if (view.hidden || !before.naturalWidth) return;
  const scale = Math.min(frame.clientWidth / before.naturalWidth, frame.clientHeight / before.naturalHeight);
  view.width = Math.round(before.naturalWidth * scale);
  view.height = Math.round(before.naturalHeight * scale);
  draw();
}

function draw() {
  const view = canvas(), context = view.getContext("2d"), mask = state.photo?.mask;
  context.clearRect(0, 0, view.width, view.height);
  if (mask) context.drawImage(mask, 0, 0, view.width, view.height);
  context.globalCompositeOperation = "source-in";
  context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--tint");
  context.fillRect(0, 0, view.width, view.height);
  context.globalCompositeOperation = "source-over";
  if (cursor && document.activeElement === view) {
    for (const [color, width] of [["#000", 3], ["#fff", 1.5]]) {
      context.strokeStyle = color;
      context.lineWidth = width;
      context.beginPath();
      context.arc(cursor.x, cursor.y, brush() / 2, 0, 2 * Math.PI);
      context.stroke();
    }
  }
}

function paintTo(point) {
  const mask = maskOf(state.photo), context = mask.getContext("2d"), scale = mask.width / canvas().width;
  const from = stroke ?? point;
  context.globalCompositeOperation = erasing ? "destination-out" : "source-over";
  context.strokeStyle = "#fff";
  context.lineCap = context.lineJoin = "round";
  context.lineWidth = brush() * scale;
  context.beginPath();
  context.moveTo(from.x * scale, from.y * scale);
  context.lineTo(point.x * scale + 0.01, point.y * scale);
  context.stroke();
  stroke = point;
  draw();
}

const at = (event) => {
  const box = canvas().getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
};

function onKey(event) {
  const view = canvas(), far = event.shiftKey ? 4 : 1, step = far * Math.max(4, brush() / 4);
  cursor ??= { x: view.width / 2, y: view.height / 2 };
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (event.key in moves) {
    const [x, y] = moves[event.key];
    cursor = { x: Math.min(view.width, Math.max(0, cursor.x + x * step)), y: Math.min(view.height, Math.max(0, cursor.y + y * step)) };
    draw();
  } else if (event.key === " " || event.key === "Enter") {
    stroke = null;
    paintTo(cursor);
    stroke = null;
  } else {
    return;
  }
  event.preventDefault();
}

function fill(operation) {
  const mask = maskOf(state.photo), context = mask.getContext("2d");
  context.globalCompositeOperation = operation;
  context.fillStyle = "#fff";
  context.fillRect(0, 0, mask.width, mask.height);
  draw();
}

function setPainting(wanted) {
  painting = wanted && Boolean(state.photo);
  byId("paint").setAttribute("aria-pressed", painting);
  byId("paint").textContent = painting ? "Finish the mask" : state.photo?.mask ? "Change the mask" : "Paint a mask";
  show("mask-tools", painting);
  show("mask", painting);
  if (painting) layOut();
}

// Return the mask of a photograph as a PNG; null if nothing is painted, or everything.
export async function maskFile(photo) {
  if (!photo.mask) return null;
  const { width, height } = photo.mask;
  const values = photo.mask.getContext("2d").getImageData(0, 0, width, height).data;
  let painted = false, bare = false;
  for (let index = 3; index < values.length && !(painted && bare); index += 4) {
    if (values[index]) painted = true;
    if (values[index] < 255) bare = true;
  }
  if (!painted || !bare) return null;
  const whole = document.createElement("canvas");
  whole.width = width;
  whole.height = height;
  const context = whole.getContext("2d");
  context.fillStyle = "#000";
  context.fillRect(0, 0, width, height);
  context.drawImage(photo.mask, 0, 0);
  return new Promise((resolve) => { whole.toBlob(resolve, "image/png"); });
}

function press(adding) {
  erasing = !adding;
  byId("mask-add").setAttribute("aria-pressed", adding);
  byId("mask-erase").setAttribute("aria-pressed", !adding);
}

export function start() {
  const view = canvas();
  byId("paint").addEventListener("click", () => {
    const wanted = !painting;
    if (wanted && state.job !== null && state.photo) showPhoto(state.photo);
    setPainting(wanted);
    if (!painting) return;
    view.focus({ preventScroll: true });
    byId("frame").scrollIntoView({ block: "nearest" });
  });
  view.addEventListener("pointerdown", (event) => {
    view.setPointerCapture(event.pointerId);
    stroke = null;
    paintTo(at(event));
  });
  view.addEventListener("pointermove", (event) => { if (event.buttons && stroke) paintTo(at(event)); });
  for (const name of ["pointerup", "pointercancel"]) view.addEventListener(name, () => { stroke = null; });
  view.addEventListener("keydown", onKey);
  for (const name of ["focus", "blur"]) view.addEventListener(name, draw);
  byId("mask-end").addEventListener("click", () => setPainting(false));
  byId("mask-add").addEventListener("click", () => press(true));
  byId("mask-erase").addEventListener("click", () => press(false));
  byId("mask-fill").addEventListener("click", () => fill("source-over"));
  byId("mask-clear").addEventListener("click", () => fill("destination-out"));
  byId("mask-invert").addEventListener("click", () => fill("xor"));
  const showBrush = () => { byId("brush-out").textContent = `${brush()} px`; draw(); };
  byId("brush").addEventListener("input", showBrush);
  byId("before").addEventListener("load", layOut);
  new ResizeObserver(layOut).observe(byId("frame"));
  showBrush();
  on("view", () => setPainting(painting && state.job === null));
}
