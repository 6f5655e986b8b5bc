"""What an app in Python asks of its host, Spin's SDK 5 (WASI 0.3), by the first segment of the path:

/kv/KEY      counts in the default store        /sql[?TEXT]   adds a note, lists the notes
/var/NAME    a variable                         /fetch?URL    the status and the body of another server
"""

from urllib.parse import unquote

from componentize_py_types import Err
from spin_sdk import http, key_value, sqlite, util, variables
from spin_sdk.http import Request, Response, send


async def kv(key, _):
    with await key_value.open_default() as store:
        count = int(await store.get(key) or b"0") + 1
        await store.set(key, str(count).encode())
        return f"{key} {count}"


async def sql(_, text):
    with await sqlite.Connection.open_default() as database:

        async def rows(statement, *values):
            _, rows, done = await database.execute(statement, list(values))
            return await util.collect((rows, done))

        await rows("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
        if text:
            await rows("INSERT INTO notes (text) VALUES (?1)", sqlite.Value_Text(text))
        notes = await rows("SELECT id, text FROM notes ORDER BY id")
        return ", ".join(" ".join(str(value.value) for value in row.values) for row in notes)


async def var(name, _):
    return await variables.get(name)


async def fetch(_, url):
    response = await send(Request("GET", url, {}, None))
    return f"{response.status} {response.body.decode()}"


class HttpHandler(http.Handler):
    async def handle_request(self, request: Request) -> Response:
        path, _, query = request.uri.partition("?")
        _, action, *argument = path.split("/")
        actions = {"kv": kv, "sql": sql, "var": var, "fetch": fetch}
        try:
            answer = await actions[action]("/".join(argument), unquote(query))
        except Err as error:
            answer = f"error {error.value}"
        return Response(200, {"content-type": "text/plain"}, f"{answer}\n".encode())
