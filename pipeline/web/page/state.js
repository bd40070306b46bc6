// What the user has chosen, and the jobs of the server. Rooms of the page subscribe to its changes.

import { uploadAddress } from "./api.js";

export const state = {
  styles: [],            // of the bank
  defaults: {},          // of settings
  presetValues: {},
  photos: [],            // {id, name, width, height, mask}
  photo: null,           // the one in view
  blend: new Map(),      // name of style -> weight
  jobs: new Map(),
  job: null,             // id of the job in view; null shows the photograph
};

const listeners = new Map();

export function on(event, listener) {
  listeners.set(event, [...(listeners.get(event) ?? []), listener]);
}

export function changed(...events) {
  for (const event of events) for (const listener of listeners.get(event) ?? []) listener();
}

export function choose(name) {
  state.blend = new Map([[name, 1]]);
  changed("blend");
}

export function toggle(name) {
  if (!state.blend.delete(name)) state.blend.set(name, 1);
  changed("blend");
}

export function showPhoto(photo) {
  state.photo = photo;
  state.job = null;
  changed("view");
}

export function showJob(job) {
  state.job = job.id;
  const known = state.photos.find((photo) => photo.id === job.photo.id);
  if (known) state.photo = known;
  changed("view");
}

export const shownJob = () => state.jobs.get(state.job);

export function photoAddress() {
  const job = shownJob();
  const id = job ? job.photo.id : state.photo?.id;
  return id ? uploadAddress(id) : "";
}
