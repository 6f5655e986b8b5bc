"use strict";

const INTERVAL_MS = 500;
const MARKS = 60;
const seen = { answered: 0, failed: 0, versions: [] };

const element = (name, text, className) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
};

function table(title, rows) {
  const box = element("details");
  box.open = true;
  box.dataset.title = title;
  box.append(element("summary", `${title} (${rows.length})`));
  const list = element("dl");
  for (const { name, value } of rows) list.append(element("dt", name), element("dd", value));
  if (rows.length === 0) list.append(element("dt", "none", "quiet"));
  box.append(list);
  return box;
}

function show(told) {
  const row = (name, value) => ({ name, value: value || "not told" });
  const place = document.getElementById("told");
  const closed = new Set([...place.querySelectorAll("details:not([open])")].map((box) => box.dataset.title));
  const boxes = [
    table("Request", [
      row("method", told.method),
      row("path", told.path),
      row("scheme", told.scheme),
      row("authority", told.authority),
      row("the host's clock", told.time),
    ]),
    table("Added by the host", told.spin),
    table("Mounted files", told.files),
    table("Environment", told.environment),
    table("Headers", told.headers),
  ];
  for (const box of boxes) box.open = !closed.has(box.dataset.title);
  place.replaceChildren(...boxes);
}

/** A new version brings new colours: fetch them again without reloading the page. */
function changed(version) {
  document.getElementById("version").textContent = ` from version ${version}`;
  if (seen.versions.length > 0) {
    document.querySelector("link[href^='theme.css']").href = `theme.css?${version}`;
  }
  seen.versions.push(version);
}

function mark(version) {
  const beats = document.getElementById("beats");
  const made = element("i", undefined, version ? `beat v${version}` : "beat failed");
  made.title = version ? `answered by version ${version}` : "failed";
  beats.append(made);
  while (beats.children.length > MARKS) beats.firstChild.remove();
  const failed = seen.failed === 0 ? "none failed" : `${seen.failed} failed`;
  const swaps = seen.versions.length - 1;
  const redeployed = swaps > 0 ? `, redeployed ${swaps === 1 ? "once" : `${swaps} times`}` : "";
  document.getElementById("tally").textContent = `${seen.answered} answered, ${failed}${redeployed}.`;
}

async function beat() {
  try {
    const response = await fetch("told", { cache: "no-store" });
    if (!response.ok) throw new Error(response.statusText);
    const told = await response.json();
    seen.answered += 1;
    if (told.version !== seen.versions.at(-1)) changed(told.version);
    show(told);
    mark(told.version);
  } catch {
    seen.failed += 1;
    mark();
  }
  setTimeout(beat, INTERVAL_MS);
}

beat();
