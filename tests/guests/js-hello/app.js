// A guest as people write them: JavaScript, wasi:http 0.2.
addEventListener("fetch", (event) => {
  event.respondWith(new Response("hello from JavaScript\n", { headers: { "content-type": "text/plain" } }));
});
