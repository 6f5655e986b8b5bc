//! What the repository ships: `watch-dir/` and `test-configs/`.

use std::fs;
use std::path::Path;

use crate::support::guests::repository;
use crate::support::prelude::*;
use crate::support::registry::free_port;

/// The repository's `watch-dir` and `test-configs` side by side, as references in them expect, on ports of their own.
/// Only the layouts are in the watched directory; each scenario adds the app files that it is about.
struct Demo {
    daemon: Daemon,
    ports: [(&'static str, u16); 3],
}

impl Demo {
    async fn start() -> Self {
        let builder = Daemon::builder();
        let watched = builder.watched();
        copy(&repository().join("watch-dir/hello"), &watched.join("hello"));
        copy(
            &repository().join("test-configs/apps"),
            &watched.with_file_name("test-configs").join("apps"),
        );
        let ports = [
            ("127.0.0.1:4001", free_port()),
            ("127.0.0.1:4002", free_port()),
            ("127.0.0.1:4010", free_port()),
        ];
        Self {
            daemon: builder.start().await,
            ports,
        }
    }

    fn add(&self, file: &str, id: &str) {
        let mut text = fs::read_to_string(repository().join(file)).expect("the repository has it");
        for (written, port) in self.ports {
            text = text.replace(written, &format!("127.0.0.1:{port}"));
        }
        self.daemon.write_text(id, &text);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("the repository has it") {
        let entry = entry.expect("an entry");
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
        }
    }
}

#[tokio::test]
async fn the_demo_shows_a_page_and_what_the_host_told_it() {
    let demo = Demo::start().await;
    demo.add("watch-dir/hello.json", "hello");
    let address = demo.daemon.address("hello").await;

    let page = get(address, "/").await.unwrap();
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.text().contains("<h1>Hello"));
    for file in ["style.css", "theme.css", "page.js", "orbit.svg"] {
        assert_eq!(
            get(address, &format!("/{file}")).await.unwrap().status,
            200,
            "{file}"
        );
    }
    let told: serde_json::Value = serde_json::from_str(get(address, "/told").await.unwrap().text()).unwrap();
    assert_eq!(told["version"], "1");
    assert_eq!(told["authority"], address.to_string());
    assert_eq!(told["files"].as_array().unwrap().len(), 6);
    let spin = told["spin"].as_array().unwrap();
    assert!(
        spin.iter()
            .any(|header| header["name"] == "spin-raw-component-route" && header["value"] == "/...")
    );
}

#[tokio::test]
async fn the_demo_s_second_version_takes_over_behind_the_same_socket() {
    let demo = Demo::start().await;
    demo.add("watch-dir/hello.json", "hello");
    let address = demo.daemon.address("hello").await;
    let mut connection = Connection::open(address).await.unwrap();
    assert_eq!(connection.get("/version.txt").await.unwrap().text(), "1\n");

    let first = demo.daemon.app("hello").await.unwrap().digest().map(String::from);
    demo.add("test-configs/hello-v2.json", "hello");
    let moved = |app: &crate::support::status::AppStatus| app.digest().map(String::from) != first;
    demo.daemon
        .wait_for("hello", "to run the second version", moved)
        .await;
    assert_eq!(connection.get("/version.txt").await.unwrap().text(), "2\n");
}

#[tokio::test]
async fn the_second_app_has_three_components_and_an_answer_of_the_host_s() {
    let demo = Demo::start().await;
    demo.add("test-configs/second-app.json", "second");
    let address = demo.daemon.address("second").await;
    assert!(get(address, "/").await.unwrap().text().contains("A second app"));
    assert_eq!(get(address, "/c/x").await.unwrap().text(), "hello\n");
    assert_eq!(get(address, "/text").await.unwrap().text(), "hello");
    assert_eq!(get(address, "/tea").await.unwrap().status, 418);
    let told = get(address, "/user/ada/told").await.unwrap();
    assert!(
        told.text()
            .contains(r#""name": "spin-path-match-name", "value": "ada""#)
    );
}

#[tokio::test]
async fn an_app_with_every_limit_is_served_until_it_is_asked_too_often() {
    let demo = Demo::start().await;
    demo.add("test-configs/limits.json", "limited");
    let address = demo.daemon.address("limited").await;
    assert_eq!(get(address, "/text").await.unwrap().status, 200);
    let replies = futures::future::join_all((0..100).map(|_| get(address, "/text"))).await;
    assert!(replies.into_iter().any(|reply| reply.unwrap().status == 429));
}

#[tokio::test]
async fn two_more_apps_share_the_address_of_the_first_by_host_and_by_path() {
    let demo = Demo::start().await;
    demo.add("watch-dir/hello.json", "hello");
    let address = demo.daemon.address("hello").await;
    let mut connection = Connection::open(address).await.unwrap();
    for name in ["site-host", "site-path"] {
        demo.add(&format!("test-configs/{name}.json"), name);
        demo.daemon.wait_state(name, "running").await;
    }
    demo.add("test-configs/mistake-host-taken.json", "host-taken");
    let waiting = demo
        .daemon
        .wait_error("host-taken", "held by app site-host")
        .await;
    assert_eq!(waiting.state(), "waiting");
    for (host, path) in [
        ("second.localhost", "/"),
        ("a.second.localhost", "/"),
        ("127.0.0.1", "/second/"),
    ] {
        let page = connection.host(host).get(path).await.unwrap();
        assert!(page.text().contains("A second app"), "{host}{path}");
    }
    let page = connection.host("127.0.0.1").get("/").await.unwrap();
    assert!(page.text().contains("<h1>Hello"));
}

#[tokio::test]
async fn one_host_demands_certificates_of_all_its_clients_or_of_none() {
    let demo = Demo::start().await;
    // Whether it can be started or not.
    demo.add("test-configs/tls-clients.json", "tls-clients");
    demo.daemon.wait_for("tls-clients", "to be there", |_| true).await;
    demo.add("test-configs/mistake-other-clients.json", "other-clients");
    let waiting = demo
        .daemon
        .wait_error("other-clients", "held by app tls-clients")
        .await;
    assert_eq!(waiting.state(), "waiting");
    assert!(waiting.error().contains("clients.pem"), "{}", waiting.error());
}

#[tokio::test]
async fn each_mistake_is_reported_and_touches_no_other_app() {
    let demo = Demo::start().await;
    demo.add("watch-dir/hello.json", "hello");
    let address = demo.daemon.address("hello").await;
    let mistakes = [
        ("unknown-member", "address"),
        ("unknown-limit", "did you mean \"memory\"?"),
        ("missing-member", "address"),
        ("wrong-type", "address"),
        ("bad-address", "address"),
        ("bad-reference", "reference"),
        ("bad-host", "write \"second.localhost\""),
        ("bad-json", "bad-json.json:4"),
        ("address-taken", "hello"),
        ("no-registry", "127.0.0.1:9"),
        ("no-layout", "no-such-layout"),
        ("no-tag", "no-such-tag"),
        ("missing-interface", "acme:mailer/archive@1.0.0"),
    ];
    for (name, reason) in mistakes {
        demo.add(&format!("test-configs/mistake-{name}.json"), name);
        let app = demo.daemon.wait_error(name, reason).await;
        assert_ne!(app.state(), "running", "{name}");
        assert_eq!(
            get(address, "/version.txt").await.unwrap().status,
            200,
            "after {name}"
        );
        demo.daemon.remove_app(name);
        demo.daemon.wait_gone(name).await;
    }
}
