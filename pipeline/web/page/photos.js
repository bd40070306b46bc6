// Photographs and paintings that come by dropping, pasting or choosing.

import { post, upload, uploadAddress } from "./api.js";
import { attempt, byId, make, say, show, stem } from "./dom.js";
import { on, showPhoto, state } from "./state.js";

let painting = null;

async function receive(files) {
  const errors = [];
  for (const file of files) {
    say(`Sending ${file.name || "a picture"} …`, "stage-say");
    let facts;
    try {
      facts = await upload(file);
    } catch (error) {
      errors.push(error.message);
      if (!error.answered) break;  // the server is gone
      continue;
    }
    const name = file.name || "pasted.png";
    const known = state.photos.find((photo) => photo.id === facts.id);
    const photo = known ?? { ...facts, name, mask: null };
    if (!known) state.photos.push(photo);
    showPhoto(photo);
  }
  say(errors.join(" "), "stage-say");
  if (errors.length) byId("stage-say").scrollIntoView({ block: "nearest" });
}

async function receivePainting(file) {
  say(`Sending ${file.name || "a painting"} …`, "wall-say");
  let facts;
  try {
    facts = await upload(file);
    say("", "wall-say");
  } catch (error) {
    say(error.message, "wall-say");
    byId("wall-say").scrollIntoView({ block: "nearest" });
    return;
  }
  painting = { id: facts.id, name: file.name || "pasted.png" };
  byId("painting-preview").src = uploadAddress(facts.id);
  byId("painting-name").value = stem(painting.name);
  byId("painting-tags").value = "";
  say("", "painting-say");
  byId("painting").showModal();
}

async function addPainting(event) {
  event.preventDefault();
  const tags = byId("painting-tags").value.split(",").map((tag) => tag.trim()).filter(Boolean);
  const name = byId("painting-name").value.trim();
  const jobs = await attempt(() => post("api/paintings", { photo: painting, name, tags }), "painting-say");
  if (jobs) byId("painting").close();
}

function draw() {
  show("photos-row", state.photos.length > 0);
  byId("photos").replaceChildren(...state.photos.map((photo) => {
    const button = make("button", { type: "button", title: photo.name, "aria-label": photo.name,
      "aria-pressed": photo === state.photo }, make("img", { src: uploadAddress(photo.id), alt: "" }));
    button.addEventListener("click", () => showPhoto(photo));
    return make("li", {}, button);
  }));
}

const pictures = (list) => [...list].filter((file) => file instanceof File);

function dropTarget(element, action) {
  element.addEventListener("dragover", (event) => {
    event.preventDefault();
    element.classList.add("over");
  });
  element.addEventListener("dragleave", () => element.classList.remove("over"));
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    element.classList.remove("over");
    action(pictures(event.dataTransfer.files));
  });
}

export function start() {
  const files = byId("files"), paintingFile = byId("painting-file");
  for (const id of ["choose", "more"]) byId(id).addEventListener("click", () => files.click());
  files.addEventListener("change", () => receive(pictures(files.files)).finally(() => { files.value = ""; }));
  byId("add-painting").addEventListener("click", () => paintingFile.click());
  paintingFile.addEventListener("change", async () => {
    if (paintingFile.files[0]) await receivePainting(paintingFile.files[0]);
    paintingFile.value = "";
  });
  dropTarget(document.body, receive);
  dropTarget(byId("wall"), (dropped) => dropped[0] && receivePainting(dropped[0]));
  addEventListener("paste", (event) => {
    const pasted = pictures(event.clipboardData?.files ?? []);
    if (pasted.length) receive(pasted);
  });
  byId("painting-form").addEventListener("submit", addPainting);
  byId("painting-cancel").addEventListener("click", () => byId("painting").close());
  on("view", draw);
}
