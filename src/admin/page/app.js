// What of one app has routes of its own: commands, history, log. A part whose route is not there is not shown.

const LINES = 200;
/** Lines that are kept. */
const MAX_LINES = 2000;
/** Milliseconds until the log is asked for again. */
const AGAIN = 3000;

/** `refresh` shows what a command has changed. */
export function openApp(view, refresh) {
  const path = `/apps/${encodeURIComponent(view.dataset.app)}`;
  const commands = view.querySelector("#commands");
  const told = document.createElement("output");
  const command = async (button, method, what, body) => {
    button.disabled = true;
    told.textContent = "…";
    told.textContent = await send(method, `${path}/${what}`, body);
    button.disabled = false;
    refresh();
  };
  commands.append(
    button("Redeploy", (redeploy) => command(redeploy, "POST", "redeploy")),
    told,
  );
  commands.hidden = false;
  keepHistory(view, path, command);
  followLog(view.querySelector("#log"), path);
}

/** Answers with what there is to tell. */
async function send(method, path, body) {
  try {
    const answer = await fetch(path, {
      method,
      headers: body ? { "content-type": "application/json" } : {},
      body: body && JSON.stringify(body),
    });
    if (answer.ok) {
      return answer.status === 202 ? "Begun." : "Done.";
    }
    const problem = await answer.json().catch(() => ({}));
    return problem.detail ?? `The daemon answered ${answer.status}.`;
  } catch {
    return "The daemon does not answer.";
  }
}

async function json(path) {
  const answer = await fetch(path).catch(() => undefined);
  return answer?.ok ? answer.json() : undefined;
}

/** Asks for it whenever another version, or another state, is shown. */
function keepHistory(view, path, command) {
  const section = view.querySelector("#history");
  const body = section.appendChild(document.createElement("div"));
  let seen;
  const look = async () => {
    const now = ["#facts", "#state", "#trouble"].map((part) => view.querySelector(part));
    const key = `${now[0].dataset.digest} ${now[1].textContent} ${now[2].querySelector(".error")?.textContent}`;
    if (key === seen) {
      return;
    }
    seen = key;
    const [history, app] = await Promise.all([json(`${path}/history`), json(path)]);
    section.hidden = !history;
    if (history) {
      body.replaceChildren(...pin(app?.pinned, again), table(history, again));
    }
  };
  const again = async (...all) => {
    await command(...all);
    seen = undefined;
    await look();
  };
  view.addEventListener("shown", look);
  look();
}

function pin(pinned, command) {
  if (!pinned) {
    return [];
  }
  const note = element("p", "pinned", `Pinned to version ${pinned.version} since ${moment(pinned.since)}. `);
  note.append(button("Undo", (undo) => command(undo, "DELETE", "rollback")));
  return [note];
}

function table(history, command) {
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  head.append(...["Version", "Digest", "Reference", "From", "Until", ""].map((title) => element("th", "", title)));
  const body = table.createTBody();
  const refuse = ({ at, reference, reason }) => {
    const cell = body.insertRow().insertCell();
    cell.colSpan = head.cells.length;
    cell.append(element("p", "error", `${moment(at)} refused ${reference ?? "the file"}: ${reason}`));
  };
  history.refused.forEach(refuse);
  for (const version of history.versions) {
    const row = body.insertRow();
    const texts = [
      ["Version", version.version],
      ["Digest", version.digest.replace("sha256:", "").slice(0, 12)],
      ["Reference", version.reference],
      ["From", moment(version.since)],
      ["Until", version.until ? `${moment(version.until)}, ${version.ended}` : "serves"],
    ];
    for (const [label, text] of texts) {
      const cell = row.insertCell();
      cell.dataset.label = label;
      cell.textContent = text;
    }
    row.cells[1].className = "code";
    row.cells[2].className = "reference";
    if (version.crashes > 0) {
      row.cells[4].append(` (${version.crashes} crashes)`);
    }
    const last = row.insertCell();
    if (version.until) {
      const back = (one) => command(one, "POST", "rollback", { version: version.version });
      last.append(button("Roll back", back));
    }
    version.refused.forEach(refuse);
  }
  return table;
}

/** Shows the last lines, and those that come, for as long as the page is open. */
async function followLog(section, path) {
  const lines = section.appendChild(element("pre", "lines", ""));
  lines.tabIndex = 0;
  for (;;) {
    const answer = await fetch(`${path}/logs?lines=${LINES}&follow=true`).catch(() => undefined);
    if (answer && !answer.ok) {
      // No route, or no app any more.
      section.hidden = true;
      return;
    }
    if (answer) {
      section.hidden = false;
      lines.replaceChildren();
      await read(answer.body, (some) => append(lines, some)).catch(() => {});
    }
    await new Promise((then) => setTimeout(then, AGAIN));
  }
}

/** Gives `take` the values of all lines that are whole. */
async function read(body, take) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      return;
    }
    const texts = (rest + value).split("\n");
    rest = texts.pop();
    take(texts.map((text) => JSON.parse(text)));
  }
}

function append(lines, some) {
  const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 24;
  lines.append(
    ...some.slice(-MAX_LINES).map(({ time, component, stream, line, left_out: leftOut }) => {
      const row = element("div", stream, "");
      const lost = leftOut ? `(${leftOut} lines left out) ` : "";
      const from = element("span", "from", `${time ? `${clock(time)} ` : ""}${component} `);
      from.title = time ?? "";
      row.append(from, lost, line);
      return row;
    }),
  );
  while (lines.childElementCount > MAX_LINES) {
    lines.firstElementChild.remove();
  }
  if (atEnd) {
    lines.scrollTop = lines.scrollHeight;
  }
}

function moment(timestamp) {
  return new Date(timestamp).toLocaleString([], { dateStyle: "short", timeStyle: "medium" });
}

function clock(timestamp) {
  return new Date(timestamp).toLocaleTimeString([], { timeStyle: "medium" });
}

function element(name, className, text) {
  const element = document.createElement(name);
  element.className = className;
  element.textContent = text;
  return element;
}

function button(text, press) {
  const button = element("button", "", text);
  button.type = "button";
  button.addEventListener("click", () => press(button));
  return button;
}
