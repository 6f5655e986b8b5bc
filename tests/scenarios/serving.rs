//! Serving with guests of `wasi:http` 0.2 and older ones.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use hyper::body::Frame;

use crate::support::client::{channel, empty, request};
use crate::support::guests::large_guest;
use crate::support::prelude::*;
use crate::support::raw::Raw;

fn one(guest_name: &str) -> App {
    App::new(guest_name)
        .component(Component::new(guest_name, guest(guest_name)))
        .route("/...", guest_name)
}

#[tokio::test]
async fn guests_of_every_generation_answer() {
    let daemon = Daemon::start().await;
    let cases = [
        ("probe", "method GET"),
        ("probe3", "method GET"),
        ("sdk3", "from SDK 3"),
        ("sdk3-core", "from SDK 3"),
        ("sdk4", "from SDK 4"),
        ("sdk5", "from SDK 5"),
        ("sdk6", "from SDK 6"),
        ("sdk7", "from SDK 7"),
        ("c-hello", "hello"),
        ("c-hello-core", "hello"),
        ("wat-hello", "hello"),
        ("legacy", "0 /some/path"),
        ("legacy-core", "0 /some/path"),
    ];
    for (name, expected) in cases {
        let layout = Layout::with(&one(name));
        let file = json!({"reference": layout.reference("v1"), "address": "127.0.0.1:0"});
        let address = daemon.serve(name, &file).await;
        let reply = get(address, "/some/path").await.unwrap();
        assert_eq!(reply.status, 200, "{name}");
        assert!(reply.text().contains(expected), "{name}: {}", reply.text());
    }
}

#[tokio::test]
async fn javascript_answers_again_and_again() {
    let component = Component::new("js", large_guest("js-hello"));
    let (_daemon, _layout, address) = served(&App::new("js").component(component).route("/...", "js")).await;
    for _ in 0..3 {
        assert_eq!(get(address, "/").await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn the_most_specific_route_wins_and_private_ones_have_none() {
    let component = |name: &str| Component::new(name, guest("probe")).env("VERSION", name);
    let app = App::new("routes")
        .component(component("all"))
        .component(component("user"))
        .component(component("below"))
        .component(component("hidden"))
        .route("/...", "all")
        .route("/user/:name/version", "user")
        .route("/user/ada/...", "below")
        .private("hidden")
        .static_response(
            "/gone",
            json!({"status_code": 410, "headers": {"x-why": "moved"}, "body": "gone\n"}),
        );
    let (_daemon, _layout, address) = served(&app).await;
    for (path, expected) in [
        ("/version", "all"),
        ("/user/bob/version", "user"),
        ("/user/ada/version", "below"),
        ("/hidden/version", "all"),
    ] {
        assert_eq!(get(address, path).await.unwrap().text(), expected, "{path}");
    }
    let gone = get(address, "/gone").await.unwrap();
    assert_eq!(
        (gone.status.as_u16(), gone.header("x-why"), gone.text()),
        (410, Some("moved"), "gone\n")
    );
}

#[tokio::test]
async fn the_host_s_headers_are_its_own() {
    let app = App::new("headers")
        .component(Component::new("probe", guest("probe")))
        .route("/base/:name/...", "probe");
    let (_daemon, _layout, address) = served(&app).await;
    let mut connection = Connection::open(address).await.unwrap();
    let mut forged = request(Method::GET, "/base/ada/x/y?q=1", empty());
    forged
        .headers_mut()
        .insert("spin-path-info", HeaderValue::from_static("/forged"));
    forged
        .headers_mut()
        .insert("spin-client-addr", HeaderValue::from_static("forged"));
    let reply = connection.send(forged).await.unwrap();
    assert!(!reply.text().contains("forged"), "{}", reply.text());
    for (name, value) in [
        ("spin-path-info", "/x/y"),
        ("spin-full-url", &*format!("http://{address}/base/ada/x/y?q=1")),
        ("spin-matched-route", "/base/:name/..."),
        ("spin-base-path", "/"),
        ("spin-raw-component-route", "/base/:name/..."),
        ("spin-component-route", "/base/:name"),
        ("spin-path-match-name", "ada"),
    ] {
        assert_eq!(reply.line(&format!("header {name}")), Some(value), "{name}");
    }
}

#[tokio::test]
async fn the_well_known_paths_are_the_host_s() {
    let (_daemon, _layout, address) = served(&App::of("probe", "1")).await;
    assert_eq!(
        get(address, "/.well-known/spin/health").await.unwrap().text(),
        "OK"
    );
    let info = get(address, "/.well-known/spin/info").await.unwrap();
    let info: serde_json::Value = serde_json::from_str(info.text()).unwrap();
    assert_eq!((&info["name"], &info["version"]), (&json!("probe"), &json!("1")));
    assert_eq!(get(address, "/.well-known/spin/other").await.unwrap().status, 404);
}

#[tokio::test]
async fn bodies_stream_both_ways_over_either_version() {
    let (_daemon, _layout, address) = served(&App::of("probe", "1")).await;
    for connection in [
        Connection::open(address).await,
        Connection::open_h2(address).await,
    ] {
        let mut connection = connection.unwrap();
        let (sender, body) = channel();
        let mut stream = connection
            .stream(request(Method::POST, "/pipe", body))
            .await
            .unwrap();
        for word in ["one", "two", "three"] {
            // The next piece is sent only when the last has come back.
            sender
                .unbounded_send(Frame::data(Bytes::from_static(word.as_bytes())))
                .unwrap();
            assert_eq!(stream.next().await.unwrap().unwrap(), word);
        }
        drop(sender);
        assert_eq!(stream.next().await.unwrap(), None);
    }
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let (_daemon, _layout, address) = served(&App::of("probe", "1")).await;
    for (version, connection) in [
        (1, Connection::open(address).await),
        (2, Connection::open_h2(address).await),
    ] {
        let mut connection = connection.unwrap();
        let (sender, body) = channel();
        let mut request = request(Method::POST, "/trailers", body);
        request
            .headers_mut()
            .insert("te", HeaderValue::from_static("trailers"));
        request
            .headers_mut()
            .insert("trailer", HeaderValue::from_static("x-sum"));
        sender
            .unbounded_send(Frame::data(Bytes::from_static(b"abc")))
            .unwrap();
        let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from_static("6"))]);
        sender.unbounded_send(Frame::trailers(trailers)).unwrap();
        drop(sender);
        let reply = connection.send(request).await.unwrap();
        assert_eq!(reply.text(), "3 bytes\nx-sum: 6\n", "HTTP/{version}");
        assert_eq!(reply.trailers.get("x-length").unwrap(), "17", "HTTP/{version}");
    }
}

#[tokio::test]
async fn a_client_that_waits_to_be_told_is_told_to_continue() {
    let (_daemon, _layout, address) = served(&App::of("probe", "1")).await;
    let mut raw = Raw::open(address).await;
    raw.write("POST /echo HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\nconnection: close\r\n\r\n")
        .await;
    raw.read_to("100 Continue\r\n\r\n").await;
    raw.write("abc").await;
    assert!(raw.read_all().await.contains("body 3 bytes\nabc"));
}

#[tokio::test]
async fn a_request_without_a_host_is_a_bad_one() {
    let (_daemon, _layout, address) = served(&App::of("probe", "1")).await;
    let mut raw = Raw::open(address).await;
    raw.write("GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    assert!(raw.read_all().await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn a_guest_whose_client_left_is_dropped() {
    let (daemon, _layout, address) = served(&App::of("probe", "1")).await;
    let mut connection = Connection::open(address).await.unwrap();
    let mut stream = connection
        .stream(request(Method::GET, "/stream?n=100000&ms=20", empty()))
        .await
        .unwrap();
    stream.next().await.unwrap();
    drop((stream, connection));
    // Dropped, or told that nobody reads: either way the app drains at once when its file goes.
    daemon.remove_app("app");
    daemon.wait_gone("app").await;
}

#[tokio::test]
async fn a_guest_that_fails_is_a_500_and_one_line_in_the_log() {
    let (daemon, _layout, address) = served(&App::of("probe", "1")).await;
    for path in ["/trap", "/panic", "/silent", "/error", "/exit"] {
        let reply = get(address, path).await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.body.len()), (500, 0), "{path}");
    }
    daemon.wait_log("wasm backtrace").await;
    assert!(
        get(address, "/half").await.is_err(),
        "a body that breaks off has to show"
    );
    assert_eq!(get(address, "/version").await.unwrap().text(), "1");
}

#[tokio::test]
async fn work_after_the_response_is_done_be_it_an_error() {
    let (daemon, _layout, address) = served(&App::of("probe", "1")).await;
    assert_eq!(
        get(address, "/after?ms=200&text=later").await.unwrap().text(),
        "answered\n"
    );
    daemon.wait_log("after the response: later").await;
    let failed = get(address, "/error-after?ms=200&text=later").await.unwrap();
    assert_eq!(failed.status.as_u16(), 500);
    daemon.wait_log("after the error: later").await;
}

#[tokio::test]
async fn one_app_s_endless_loop_slows_no_other() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::start().await;
    let file = json!({"reference": layout.reference("v1"), "address": "127.0.0.1:0"});
    let looping = daemon.serve("looping", &file).await;
    let other = daemon.serve("other", &file).await;
    let loops: Vec<_> = (0..16)
        .map(|_| tokio::spawn(async move { get(looping, "/spin").await.map(drop) }))
        .collect();
    for _ in 0..20 {
        assert_eq!(get(other, "/version").await.unwrap().text(), "1");
    }
    for task in loops {
        task.abort();
    }
}

#[tokio::test]
async fn a_component_calls_another_of_its_app_and_itself() {
    let front = Component::new("front", guest("probe"))
        .env("VERSION", "front")
        .allow("http://back.spin.internal")
        .allow("http://self");
    let back = Component::new("back", guest("probe")).env("VERSION", "back");
    let app = App::new("chain")
        .component(front)
        .component(back)
        .route("/...", "front")
        .private("back");
    let (_daemon, _layout, address) = served(&app).await;
    assert_eq!(
        get(address, "/fetch?url=http://back.spin.internal/version")
            .await
            .unwrap()
            .text(),
        "200\nback"
    );
    assert_eq!(
        get(address, "/fetch?url=http://self.alt/version")
            .await
            .unwrap()
            .text(),
        "200\nfront"
    );
    assert_eq!(
        get(address, "/fetch?url=/version").await.unwrap().text(),
        "200\nfront"
    );
}

#[tokio::test]
async fn a_host_that_is_not_allowed_is_not_reached() {
    let (_daemon, _layout, address) = served(&App::of("probe", "1")).await;
    let reply = get(address, &format!("/fetch?url=http://{address}/version"))
        .await
        .unwrap();
    assert_eq!(reply.status, 502);
    assert!(reply.text().contains("HttpRequestDenied"), "{}", reply.text());
}
