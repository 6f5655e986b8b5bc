//! App files: their members, and what is said about mistakes in them.

use std::fs;

use crate::support::prelude::*;
use crate::support::registry::free_port;

#[tokio::test]
async fn the_three_members_of_the_demo_are_enough() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::start().await;
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let app = json!({"reference": layout.reference("v1"), "address": address, "state_dir": "dioxus1"});
    assert_eq!(daemon.serve("app", &app).await.to_string(), address);
    assert_eq!(
        get(address.parse().unwrap(), "/version").await.unwrap().text(),
        "1"
    );
    assert!(daemon.root().join("state/dioxus1").is_dir());
}

#[tokio::test]
async fn without_a_state_dir_it_is_the_file_s_stem() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::start().await;
    daemon
        .serve(
            "stem",
            &json!({"reference": layout.reference("v1"), "address": "127.0.0.1:0"}),
        )
        .await;
    assert!(daemon.root().join("state/stem").is_dir());
}

#[tokio::test]
async fn an_address_may_be_of_version_6_or_a_name() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::start().await;
    for (id, written) in [("six", "[::1]:0"), ("name", "localhost:0")] {
        let app = json!({"reference": layout.reference("v1"), "address": written});
        let address = daemon.serve(id, &app).await;
        assert_ne!(address.port(), 0);
        assert_eq!(get(address, "/version").await.unwrap().status, 200, "{written}");
    }
}

#[tokio::test]
async fn an_address_may_be_a_unix_socket() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::start().await;
    let path = daemon.root().join("app.sock");
    let app = json!({"reference": layout.reference("v1"), "address": format!("unix:{}", path.display())});
    daemon.write_app("app", &app);
    daemon.wait_state("app", "running").await;
    let mut connection = Connection::open_unix(&path).await.unwrap();
    assert_eq!(connection.get("/version").await.unwrap().text(), "1");
}

#[tokio::test]
async fn variables_come_from_the_file_or_from_a_file_of_their_own() {
    // The one place where this host resolves a template: the hosts that a component may reach.
    let target = App::of("probe", "target");
    let fetching = |host: &str| {
        let component = Component::new("probe", guest("probe")).allow(host);
        App::new("probe")
            .variable("port", json!({}))
            .component(component)
            .route("/...", "probe")
    };
    let layout = Layout::with(&target);
    let daemon = Daemon::start().await;
    let target = daemon
        .serve(
            "target",
            &json!({"reference": layout.reference("v1"), "address": "127.0.0.1:0"}),
        )
        .await;
    let layout = Layout::with(&fetching("http://127.0.0.1:{{ port }}"));
    let secret = daemon.root().join("port.txt");
    fs::write(&secret, target.port().to_string()).unwrap();
    for (id, value) in [
        ("literal", json!(target.port().to_string())),
        ("file", json!({"file": secret})),
    ] {
        let app = json!({"reference": layout.reference("v1"), "address": "127.0.0.1:0", "variables": {"port": value}});
        let address = daemon.serve(id, &app).await;
        let reply = get(address, &format!("/fetch?url=http://{target}/version"))
            .await
            .unwrap();
        assert_eq!(reply.text(), "200\ntarget", "{id}");
    }
}

#[tokio::test]
async fn the_process_s_variables_reach_apps_only_when_they_are_shared() {
    let component = Component::new("probe", guest("probe")).allow("http://{{ host }}");
    let app = App::new("probe")
        .variable("host", json!({}))
        .component(component)
        .route("/...", "probe");
    let layout = Layout::with(&app);
    let file = json!({"reference": layout.reference("v1"), "address": "127.0.0.1:0"});

    let alone = Daemon::builder()
        .env("SPIN_VARIABLE_HOST", "example.org")
        .app("app", &file)
        .start()
        .await;
    alone.wait_error("app", "host").await;
    let shared = Daemon::builder()
        .env("SPIN_VARIABLE_HOST", "example.org")
        .arg("--shared-variables")
        .app("app", &file)
        .start()
        .await;
    shared.wait_state("app", "running").await;
}

#[tokio::test]
async fn the_file_s_environment_is_added_to_every_component() {
    let app = App::new("two")
        .component(Component::new("one", guest("probe")).env("OWN", "1"))
        .component(Component::new("two", guest("probe")))
        .route("/one/...", "one")
        .route("/two/...", "two");
    let layout = Layout::with(&app);
    let daemon = Daemon::start().await;
    let file = json!({
        "$schema": "ignored", "reference": layout.reference("v1"), "address": "127.0.0.1:0",
        "environment": {"ADDED": "by the file"},
    });
    let address = daemon.serve("app", &file).await;
    assert!(get(address, "/one/env").await.unwrap().text().contains("OWN=1\n"));
    for component in ["one", "two"] {
        let reply = get(address, &format!("/{component}/env")).await.unwrap();
        assert!(
            reply.text().contains("ADDED=by the file\n"),
            "{component}: {}",
            reply.text()
        );
    }
}

#[tokio::test]
async fn a_file_that_is_switched_off_does_not_serve() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::start().await;
    let mut file = json!({"reference": layout.reference("v1"), "address": "127.0.0.1:0", "enabled": false});
    daemon.write_app("app", &file);
    daemon.wait_state("app", "disabled").await;
    file["enabled"] = true.into();
    daemon.serve("app", &file).await;
}

#[tokio::test]
async fn a_mistake_is_shown_with_its_place_and_what_was_probably_meant() {
    let daemon = Daemon::start().await;
    daemon.write_text(
        "app",
        "{\n  \"reference\": \"a:b\",\n  \"adress\": \"127.0.0.1:0\"\n}\n",
    );
    let app = daemon.wait_error("app", "adress").await;
    for part in ["app.json", "3", "address"] {
        assert!(app.error().contains(part), "{part} in {}", app.error());
    }
}
