//! Ways to a registry: through a proxy, in plain http, to a busy one; and what is said on the way.

use crate::support::artifact::Artifact;
use crate::support::prelude::*;
use crate::support::relay::Relay;
use crate::support::tokens::IDENTITY_TOKEN;

fn app_file(reference: &str) -> serde_json::Value {
    json!({"reference": reference, "address": "127.0.0.1:0"})
}

fn packed(version: &str) -> Artifact {
    Artifact::of(&App::of("probe", version), Shape::Spin4)
}

#[tokio::test]
async fn a_busy_registry_is_asked_again_when_it_said() {
    let registry = Registry::plain().await;
    registry.push_artifact(&packed("1"), "apps/probe:v1").await;
    let relay = Relay::to(registry.host().parse().unwrap()).await;
    relay.refuse(2);
    let daemon = Daemon::builder().own_cache().start().await;
    let reference = format!("{}/apps/probe:v1", relay.address());
    let address = daemon.serve("app", &app_file(&reference)).await;
    assert_eq!(get(address, "/version").await.unwrap().text(), "1");
    assert_eq!(relay.still_to_refuse(), 0);
    assert!(
        daemon.log_lines("app can't be started").is_empty(),
        "{}",
        daemon.logs()
    );
}

#[tokio::test]
async fn an_insecure_registry_is_asked_in_plain_http_through_the_proxy() {
    let registry = Registry::plain().await;
    registry.push_artifact(&packed("1"), "apps/probe:v1").await;
    let proxy = Relay::to(registry.host().parse().unwrap()).await;
    let daemon = Daemon::builder()
        .own_cache()
        .env("HTTP_PROXY", format!("http://{}", proxy.address()))
        .env("http_proxy", format!("http://{}", proxy.address()))
        .arg("--insecure-registry")
        .arg("registry.test:5000")
        .start()
        .await;
    let address = daemon
        .serve("app", &app_file("registry.test:5000/apps/probe:v1"))
        .await;
    assert_eq!(get(address, "/version").await.unwrap().text(), "1");
    let targets = proxy.targets();
    assert!(
        targets
            .iter()
            .all(|target| target.starts_with("http://registry.test:5000/v2/")),
        "{targets:?}"
    );
}

#[tokio::test]
async fn a_fetch_is_told_in_the_log_with_its_size() {
    let registry = Registry::plain().await;
    let reference = registry.push_artifact(&packed("1"), "apps/probe:v1").await;
    let daemon = Daemon::builder().own_cache().start().await;
    daemon.serve("app", &app_file(&reference)).await;
    for text in ["fetching artifact", "artifact fetched"] {
        let line = daemon.wait_log(text).await;
        assert!(
            line.contains("apps/probe:v1") && line.contains("bytes="),
            "{line}"
        );
    }
}

#[tokio::test]
async fn a_digest_pins_with_or_without_a_tag_and_an_index_leads_on() {
    let registry = Registry::plain().await;
    let artifact = packed("1");
    registry.push_artifact(&artifact, "apps/probe:latest").await;
    let indexed = registry
        .push_artifact(&packed("3").in_index("wasip1", "wasm"), "apps/probe:index")
        .await;
    let by_digest = registry.reference(&format!("apps/probe@{}", artifact.digest()));
    let by_both = registry.reference(&format!("apps/probe:latest@{}", artifact.digest()));
    registry.push_artifact(&packed("2"), "apps/probe:latest").await;
    let by_neither = registry.reference("apps/probe");
    let daemon = Daemon::builder().own_cache().start().await;
    for (id, reference, version) in [
        ("digest", by_digest, "1"),
        ("both", by_both, "1"),
        ("neither", by_neither, "2"),
        ("index", indexed, "3"),
    ] {
        let address = daemon.serve(id, &app_file(&reference)).await;
        assert_eq!(get(address, "/version").await.unwrap().text(), version, "{id}");
    }
}

#[tokio::test]
async fn an_edit_asks_what_the_tag_means_now() {
    let registry = Registry::plain().await;
    let reference = registry.push_artifact(&packed("1"), "apps/probe:latest").await;
    let daemon = Daemon::builder().own_cache().start().await;
    let address = daemon.serve("app", &app_file(&reference)).await;
    let second = packed("2");
    registry.push_artifact(&second, "apps/probe:latest").await;
    let mut edited = app_file(&reference);
    edited["environment"] = json!({"EDITED": "1"});
    daemon.write_app("app", &edited);
    daemon.wait_digest("app", &second.digest()).await;
    assert_eq!(get(address, "/version").await.unwrap().text(), "2");
}

#[tokio::test]
async fn a_credential_helper_is_asked() {
    let registry = Registry::with_tokens().await;
    let reference = registry.push_artifact(&packed("1"), "private/probe:v1").await;
    let builder = Daemon::builder();
    let bin = builder.watched().with_file_name("bin");
    let answer = json!({"Username": "<token>", "Secret": IDENTITY_TOKEN});
    executable(
        &bin,
        "docker-credential-tests",
        &format!("#!/bin/sh\ncat >/dev/null\necho '{answer}'\n"),
    );
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let daemon = builder
        .own_cache()
        .env("PATH", path)
        .home_file(
            ".docker/config.json",
            &json!({"credHelpers": {registry.host(): "tests"}}).to_string(),
        )
        .start()
        .await;
    daemon.serve("app", &app_file(&reference)).await;
    assert!(
        registry
            .tokens()
            .granted()
            .iter()
            .any(|granted| granted.to == "identity")
    );
}

fn executable(directory: &std::path::Path, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(directory).unwrap();
    let file = directory.join(name);
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
}
