//! Guests of earlier generations: 2023's release candidates, and `fermyon:spin/inbound-http`.

use http::{HeaderValue, Method};

use crate::support::client::{empty, request};
use crate::support::prelude::*;

#[tokio::test]
async fn a_module_of_spin_sdk_2_sees_its_request_its_files_and_its_environment() {
    let component = Component::new("sdk2", guest("sdk2"))
        .env("GREETING", "good day")
        .file("data/hello.txt", "from a file");
    let app = App::new("sdk2").component(component).route("/...", "sdk2");
    let (daemon, _layout, address) = served(&app).await;
    let mut connection = Connection::open(address).await.unwrap();
    let reply = connection.post("/report?x=1", "some text").await.unwrap();
    for line in [
        "method=POST",
        "path=/report?x=1",
        "body=SOME TEXT",
        "env=good day",
        "file=from a file",
        "write=true",
        "clocks=true",
        "random=true",
    ] {
        assert!(
            reply.text().lines().any(|have| have == line),
            "{line} in {}",
            reply.text()
        );
    }
    daemon.wait_log("reporting").await;
    let stream = connection.get("/stream").await.unwrap();
    assert_eq!(stream.header("x-kind"), Some("stream"));
    assert!(stream.text().ends_with("piece 4\n"));
    for path in ["/silent", "/panic"] {
        let reply = get(address, path).await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.body.len()), (500, 0), "{path}");
    }
}

#[tokio::test]
async fn both_release_candidates_of_2023_are_served() {
    let daemon = Daemon::start().await;
    for name in ["wasi-rc-october", "wasi-rc-november"] {
        let layout = Layout::with(&App::of(name, "a version"));
        let address = daemon.serve(name, &layout.file("v1")).await;
        let reply = get(address, "/system").await.unwrap();
        assert_eq!(reply.status, 200, "{name}");
        assert!(reply.text().contains("a version"), "{name}: {}", reply.text());
        assert_eq!(get(address, "/exit").await.unwrap().status, 500, "{name}");
        assert_eq!(get(address, "/system").await.unwrap().status, 200, "{name}");
    }
}

#[tokio::test]
async fn a_guest_of_2023_calls_out_as_far_as_it_is_allowed() {
    let (_target_daemon, _target_layout, target) = served(&App::of("probe", "1")).await;
    let url = HeaderValue::try_from(format!("http://{target}/echo")).unwrap();
    let allowed = Component::new("sdk2", guest("sdk2")).allow(&format!("http://{target}"));
    for (component, status, starts) in [
        (allowed, 200, "200 method PUT\n"),
        (Component::new("sdk2", guest("sdk2")), 502, ""),
    ] {
        let app = App::new("sdk2").component(component).route("/...", "sdk2");
        let (_daemon, _layout, address) = served(&app).await;
        let mut asked = request(Method::GET, "/fetch", empty());
        asked.headers_mut().insert("x-url", url.clone());
        let mut connection = Connection::open(address).await.unwrap();
        let reply = connection.send(asked).await.unwrap();
        assert_eq!(reply.status, status, "{}", reply.text());
        assert!(reply.text().starts_with(starts), "{}", reply.text());
    }
}

#[tokio::test]
async fn a_guest_of_spin_1_gets_method_path_and_body_and_a_header_set_twice_has_the_last_value() {
    for name in ["legacy", "legacy-core"] {
        let (_daemon, _layout, address) = served(&App::of(name, "1")).await;
        let mut connection = Connection::open(address).await.unwrap();
        let reply = connection.post("/some/path?q=1", "the body").await.unwrap();
        assert_eq!(reply.status, 200, "{name}");
        assert!(
            reply.text().starts_with("1 ") && reply.text().ends_with("the body"),
            "{name}: {}",
            reply.text()
        );
        let cookies: Vec<_> = reply.headers.get_all("set-cookie").iter().collect();
        // docs/contract/http-trigger.md §6.1: repeated names keep their last value, as in Spin.
        assert_eq!(cookies, ["b=2"], "{name}");
        let bad = connection
            .send(request(Method::DELETE, "/", empty()))
            .await
            .unwrap();
        assert_eq!(bad.status, 500, "a status that is none: {name}");
    }
}
