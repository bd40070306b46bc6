// Starts the rooms of the page, and keeps them up with the server.

import { get, listen } from "./api.js";
import * as controls from "./controls.js";
import { attempt, byId, say } from "./dom.js";
import * as mask from "./mask.js";
import * as photos from "./photos.js";
import * as queue from "./queue.js";
import * as stage from "./stage.js";
import { changed } from "./state.js";
import * as wall from "./wall.js";

let bank = 0;

attempt(async () => {
  const studio = await get("api/studio");
  byId("bank").textContent = studio.bank;
  controls.start(studio);
  mask.start();
  photos.start();
  stage.start();
  queue.start();
  wall.start();
  await wall.load();
  listen((message) => {
    queue.receive(message);
    if (message.bank !== bank) {
      bank = message.bank;
      attempt(wall.load);
    }
  }, say);
  changed("view");
});
