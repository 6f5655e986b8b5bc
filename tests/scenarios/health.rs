//! `health` of app files: a new version takes its place when it is fit to.

use crate::support::prelude::*;
use crate::support::registry::free_port;

#[tokio::test]
async fn a_version_that_is_not_healthy_does_not_take_the_place_of_one_that_serves() {
    let mut layout = Layout::with(&App::of("probe", "1"));
    let digest = layout.add("v2", &App::of("probe", "2"));
    let daemon = Daemon::start().await;
    let mut first = layout.file("v1");
    first["health"] = json!("/status?code=204");
    let address = daemon.serve("app", &first).await;

    let mut second = layout.file("v2");
    second["health"] = json!({"path": "/status?code=503", "timeout": "300ms"});
    daemon.write_app("app", &second);
    let told = "not healthy: /status?code=503 answered 503 Service Unavailable";
    let status = daemon.wait_error("app", told).await;
    assert_eq!(status.state(), "degraded");
    assert_eq!(get(address, "/version").await.unwrap().text(), "1");

    second["health"] = json!({"path": "/sleep?ms=60000", "timeout": 0.3});
    daemon.write_app("app", &second);
    daemon
        .wait_error("app", "/sleep?ms=60000 did not answer within 300ms")
        .await;
    assert_eq!(get(address, "/version").await.unwrap().text(), "1");

    second["health"] = json!({"path": "/version"});
    daemon.write_app("app", &second);
    daemon.wait_digest("app", &digest).await;
    assert_eq!(get(address, "/version").await.unwrap().text(), "2");
}

#[tokio::test]
async fn a_version_that_becomes_healthy_serves_without_an_edit() {
    let component = Component::new("probe", guest("probe")).allow("http://127.0.0.1:*");
    let depends = App::new("depends").component(component).route("/...", "probe");
    let mut layout = Layout::with(&App::of("probe", "1"));
    layout.add("depends", &depends);
    let daemon = Daemon::start().await;
    let port = free_port();
    let mut file = layout.file("depends");
    let path = format!("/fetch?url=http://127.0.0.1:{port}/version");
    file["health"] = json!({"path": path, "timeout": "200ms"});
    daemon.write_app("app", &file);
    daemon.wait_error("app", "answered 502 Bad Gateway").await;

    let mut other = layout.file("v1");
    other["address"] = json!(format!("127.0.0.1:{port}"));
    daemon.write_app("other", &other);
    daemon.wait_state("app", "running").await;
}

#[tokio::test]
async fn what_makes_no_check_is_refused_with_its_place() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::start().await;
    for (health, told) in [
        (
            json!("healthz"),
            "\"health\" is \"healthz\", not a path such as \"/healthz\"",
        ),
        (json!({"timeout": "1s"}), "\"health\" has no \"path\""),
        (
            json!({"path": "/", "retries": 3}),
            "unknown member \"retries\" of \"health\"",
        ),
        (json!(3), "a path such as \"/healthz\""),
    ] {
        let mut file = layout.file("v1");
        file["health"] = health;
        daemon.write_app("app", &file);
        daemon.wait_error("app", told).await;
    }
}
