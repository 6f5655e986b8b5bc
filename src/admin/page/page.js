// Keeps the page as it would be if it were loaded now.

import { openApp } from "./app.js";
import { Plots } from "./plots.js";

/** Milliseconds. */
const EVERY = 2000;
/** There is nothing new before that: see src/metrics/recent.rs. */
const EVERY_STEP = 5000;
const PATIENCE = 15000;
const TYPING = 150;

const view = document.getElementById("view");
const connection = document.getElementById("connection");
const numbers = document.getElementById("numbers");
/** The request whose answer is waited for: an older one is of no use. */
let asked = 0;

/** Asks for the page, and shows what is new in it. */
async function refresh() {
  const mine = ++asked;
  let answer;
  try {
    answer = await fetch(location.href, { signal: AbortSignal.timeout(PATIENCE) });
    const text = await answer.text();
    if (mine !== asked) {
      return;
    }
    if (answer.ok) {
      show(new DOMParser().parseFromString(text, "text/html"));
    }
  } catch {
    answer = undefined;
  }
  if (answer && !answer.ok) {
    // A session has ended, or an app is gone: a page of its own tells.
    location.reload();
  }
  connection.textContent = answer ? "" : "The daemon does not answer.";
}

function show(page) {
  for (const old of document.querySelectorAll("[data-live]")) {
    const young = page.getElementById(old.id);
    if (young) {
      old.dataset.live === "rows" ? rows(old, young) : become(old, young);
    }
  }
  view.dispatchEvent(new Event("shown"));
}

/** Rows are those of the same app; the others come and go. */
function rows(old, young) {
  const known = new Map([...old.tBodies].map((row) => [row.dataset.app, row]));
  let place = old.tHead;
  for (const row of [...young.tBodies]) {
    const mine = known.get(row.dataset.app);
    known.delete(row.dataset.app);
    const here = mine ?? row;
    if (place.nextElementSibling !== here) {
      place.after(here);
    }
    place = mine ? become(mine, row) : row;
  }
  known.forEach((row) => row.remove());
}

/** Changes what is different and leaves the rest alone, with its focus and selection; answers with what stands there now. */
function become(old, young) {
  if (old.isEqualNode(young)) {
    return old;
  }
  if (old.nodeName !== young.nodeName || old.childNodes.length !== young.childNodes.length) {
    old.replaceWith(young);
    return young;
  }
  if (old.nodeType === Node.TEXT_NODE) {
    old.data = young.data;
    return old;
  }
  for (const { name } of [...old.attributes]) {
    if (!young.hasAttribute(name)) {
      old.removeAttribute(name);
    }
  }
  for (const { name, value } of young.attributes) {
    if (old.getAttribute(name) !== value) {
      old.setAttribute(name, value);
    }
  }
  const children = [...young.childNodes];
  [...old.childNodes].forEach((child, place) => become(child, children[place]));
  return old;
}

/** The table follows what is typed. */
function follow(form) {
  let typing;
  const apply = () => {
    const query = new URLSearchParams(new FormData(form));
    if (!query.get("q")) {
      query.delete("q");
    }
    history.replaceState(null, "", query.size > 0 ? `?${query}` : location.pathname);
    refresh();
  };
  form.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(apply, TYPING);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    apply();
  });
}

/** What nobody looks at is not asked for. */
function keepUp(look, every) {
  const again = async () => {
    if (!document.hidden) {
      await look();
    }
    setTimeout(again, every);
  };
  document.addEventListener("visibilitychange", () => document.hidden || look());
  setTimeout(again, every);
}

if (numbers) {
  const filter = document.getElementById("filter");
  if (filter) {
    follow(filter);
  }
  const { app } = view.dataset;
  if (app) {
    openApp(view, refresh);
  }
  keepUp(refresh, EVERY);
  const plots = new Plots(numbers, app ? `/apps/${encodeURIComponent(app)}/traffic` : "/traffic");
  plots.refresh();
  keepUp(() => plots.refresh(), EVERY_STEP);
}
