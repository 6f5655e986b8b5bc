"""What an app in Python asks of its host, Spin's SDK 3 (WASI 0.2), by the first segment of the path:

/kv/KEY      counts in the default store        /sql[?TEXT]   adds a note, lists the notes
/var/NAME    a variable                         /fetch?URL    the status and the body of another server
"""

from urllib.parse import unquote

from spin_sdk import key_value, sqlite, variables
from spin_sdk.http import IncomingHandler, Request, Response, send
from spin_sdk.wit.types import Err


def kv(key, _):
    with key_value.open_default() as store:
        count = int(store.get(key) or b"0") + 1
        store.set(key, str(count).encode())
        return f"{key} {count}, keys {' '.join(sorted(store.get_keys()))}"


def sql(_, text):
    with sqlite.open_default() as database:
        database.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)", [])
        if text:
            database.execute("INSERT INTO notes (text) VALUES (?1)", [sqlite.Value_Text(text)])
        rows = database.execute("SELECT id, text FROM notes ORDER BY id", []).rows
        return ", ".join(" ".join(str(value.value) for value in row.values) for row in rows)


def var(name, _):
    return variables.get(name)


def fetch(_, url):
    response = send(Request("GET", url, {}, None))
    return f"{response.status} {response.body.decode()}"


class IncomingHandler(IncomingHandler):
    def handle_request(self, request: Request) -> Response:
        path, _, query = request.uri.partition("?")
        _, action, *argument = path.split("/")
        actions = {"kv": kv, "sql": sql, "var": var, "fetch": fetch}
        try:
            answer = actions[action]("/".join(argument), unquote(query))
        except Err as error:
            answer = f"error {error.value}"
        return Response(200, {"content-type": "text/plain"}, f"{answer}\n".encode())
