// Small helpers for elements and texts.

export const byId = (id) => document.getElementById(id);

// Create an element with properties, data and children; nothing is ever parsed as HTML.
export function make(kind, properties = {}, ...children) {
  const element = document.createElement(kind);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("aria-") || key === "role" || key === "for") element.setAttribute(key, value);
    else if (key === "data") Object.assign(element.dataset, value);
    else element[key] = value;
  }
  element.append(...children);
  return element;
}

export const show = (id, visible) => { byId(id).hidden = !visible; };

export function say(text, id = "say") {
  byId(id).textContent = text;
}

// Run an action of the user; what goes wrong becomes a sentence.
export async function attempt(action, id = "say") {
  say("", id);
  try {
    return await action();
  } catch (error) {
    say(error.message, id);
    return undefined;
  }
}

export function duration(seconds) {
  if (seconds < 1.5) return "a second";
  if (seconds < 90) return `${Math.round(seconds)} seconds`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} minutes`;
  return `${(seconds / 3600).toFixed(1)} hours`;
}

export const stem = (name) => name.replace(/\.[^.]{1,5}$/, "");
