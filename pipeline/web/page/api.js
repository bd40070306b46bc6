// Requests to the server. Every error is an Error with a sentence for the user.

const LOST = "The server does not answer. Is 'stylebank serve' still running?";

async function answer(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error(LOST);
  }
  const content = await response.json().catch(() => ({}));
  if (!response.ok) throw Object.assign(new Error(content.error || `The server answers with ${response.status}.`), { answered: true });
  return content;
}

export const get = (path) => answer(path);

export const post = (path, content) => answer(path, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(content ?? {}),
});

export const remove = (path) => answer(path, { method: "DELETE" });

// Send a file; an error of the server names it.
export async function upload(file) {
  try {
    return await answer("api/uploads", { method: "POST", body: file });
  } catch (error) {
    if (error.answered && file.name) error.message = `${file.name}: ${error.message.replace(/^This file: /, "")}`;
    throw error;
  }
}

export const uploadAddress = (id) => `api/uploads/${id}/preview`;

export const fileAddress = (job, name) => `api/jobs/${job.id}/files/${name}`;

// Call `listener` with each change of jobs, and `lost` while the server is gone.
export function listen(listener, lost) {
  let source = null;
  const follow = () => {
    source?.close();
    if (document.hidden) return;  // a browser has six connections to a server, for all its tabs
    source = new EventSource("api/events");
    source.addEventListener("message", (event) => listener(JSON.parse(event.data)));
    source.addEventListener("open", () => lost(""));
    source.addEventListener("error", () => lost(LOST));
  };
  document.addEventListener("visibilitychange", follow);
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", follow);
  follow();
}
