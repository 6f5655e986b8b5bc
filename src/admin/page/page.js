// Keeps the page as it would be if it were loaded now.

import { openApp } from "./app.js";
import { Plots, rate } from "./plots.js";

/** Milliseconds. */
const EVERY = 2000;
const PATIENCE = 15000;
const TYPING = 150;

const view = document.getElementById("view");
const connection = document.getElementById("connection");
const plots = view.dataset.plots && new Plots(document.getElementById("numbers"), view.dataset.plots);
/** Of each app that was shown last: how many requests, and when that was. */
let counted = new Map();
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
  const now = Date.now();
  addRates(page, now);
  for (const old of document.querySelectorAll("[data-live]")) {
    const young = page.getElementById(old.id);
    if (young) {
      old.dataset.live === "rows" ? rows(old, young) : become(old, young);
    }
  }
  const { traffic } = page.getElementById("view").dataset;
  plots?.add(JSON.parse(traffic), now);
  view.dispatchEvent(new Event("shown"));
}

/** Adds to each count of requests how many there are a second. */
function addRates(page, now) {
  const counts = new Map();
  for (const cell of page.querySelectorAll("[data-requests]")) {
    const { app } = cell.closest("[data-app]").dataset;
    const requests = Number(cell.dataset.requests);
    const before = counted.get(app);
    counts.set(app, { requests, now });
    if (before && requests > before.requests) {
      const perSecond = page.createElement("small");
      perSecond.textContent = rate(((requests - before.requests) * 1000) / (now - before.now));
      cell.prepend(perSecond, " ");
    }
  }
  counted = counts;
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
async function keepUp() {
  if (!document.hidden) {
    await refresh();
  }
  setTimeout(keepUp, EVERY);
}

if (plots) {
  plots.add(JSON.parse(view.dataset.traffic), Date.now());
  const filter = document.getElementById("filter");
  if (filter) {
    follow(filter);
  }
  if (view.dataset.app) {
    openApp(view, refresh);
  }
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
  setTimeout(keepUp, EVERY);
}
