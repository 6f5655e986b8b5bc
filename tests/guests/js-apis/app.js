// What an app in JavaScript asks of its host, by the first segment of the path:
//   /kv/KEY         counts in the default store        /sql[?TEXT]   adds a note, lists the notes
//   /var/NAME       a variable                         /fetch?URL    the status and the body of another server
import { Store } from "fermyon:spin/key-value@2.0.0";
import { Connection } from "fermyon:spin/sqlite@2.0.0";
import { get as variable } from "fermyon:spin/variables@2.0.0";

const utf8 = { from: (bytes) => new TextDecoder().decode(bytes), to: (text) => new TextEncoder().encode(text) };

const actions = {
  kv(key) {
    const store = Store.open("default");
    const before = store.get(key);
    const count = 1 + (before === undefined ? 0 : Number(utf8.from(before)));
    store.set(key, utf8.to(`${count}`));
    return `${key} ${count}, keys ${store.getKeys().sort().join(" ")}`;
  },
  sql(_, text) {
    const database = Connection.open("default");
    database.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)", []);
    if (text) database.execute("INSERT INTO notes (text) VALUES (?1)", [{ tag: "text", val: text }]);
    const { rows } = database.execute("SELECT id, text FROM notes ORDER BY id", []);
    return rows.map(({ values }) => values.map(({ val }) => `${val}`).join(" ")).join(", ");
  },
  var(name) {
    return variable(name);
  },
  async fetch(_, url) {
    const response = await fetch(url);
    return `${response.status} ${await response.text()}`;
  },
};

async function answer(request) {
  const { pathname, search } = new URL(request.url);
  const [, action, argument] = pathname.split("/");
  try {
    return new Response(`${await actions[action](argument, decodeURIComponent(search.slice(1)))}\n`);
  } catch (error) {
    // An error of an interface comes with what the host said.
    return new Response(`error ${JSON.stringify(error.payload ?? `${error}`)}\n`);
  }
}

addEventListener("fetch", (event) => event.respondWith(answer(event.request)));
