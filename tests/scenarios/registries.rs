//! Artifacts from registries: who may pull, what is fetched, and what happens when a registry is away.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::support::artifact::Artifact;
use crate::support::prelude::*;
use crate::support::registry::{PASSWORD, USER};
use crate::support::tokens::IDENTITY_TOKEN;

fn app_file(reference: &str) -> serde_json::Value {
    json!({"reference": reference, "address": "127.0.0.1:0"})
}

fn packed(version: &str) -> Artifact {
    Artifact::of(&App::of("probe", version), Shape::Spin4)
}

fn assert_no_blob_twice(registry: &Registry) {
    let mut blobs: Vec<_> = registry
        .accesses()
        .into_iter()
        .filter(|access| access.is_blob())
        .collect();
    let all = blobs.len();
    blobs.sort_by(|a, b| a.path.cmp(&b.path));
    blobs.dedup_by(|a, b| a.path == b.path);
    assert_eq!(blobs.len(), all, "{blobs:?}");
}

/// Docker's configuration for one registry.
fn docker_config(registry: &Registry, entry: serde_json::Value) -> String {
    json!({"auths": {registry.host(): entry}}).to_string()
}

#[tokio::test]
async fn every_shape_comes_from_a_registry_too() {
    let registry = Registry::plain().await;
    let daemon = Daemon::builder().own_cache().start().await;
    for (n, shape) in Shape::ALL.into_iter().enumerate() {
        let artifact = Artifact::of(&App::of("probe", &n.to_string()), shape);
        let reference = registry
            .push_artifact(&artifact, &format!("shapes/all:v{n}"))
            .await;
        let address = daemon.serve(&format!("app{n}"), &app_file(&reference)).await;
        assert_eq!(
            get(address, "/version").await.unwrap().text(),
            n.to_string(),
            "{shape:?}"
        );
    }
}

#[tokio::test]
async fn no_blob_is_fetched_twice() {
    let registry = Registry::plain().await;
    let first = registry.push_artifact(&packed("1"), "apps/probe:v1").await;
    let second = registry.push_artifact(&packed("2"), "apps/probe:v2").await;
    let mut daemon = Daemon::builder().own_cache().start().await;
    daemon.serve("one", &app_file(&first)).await;
    daemon.serve("two", &app_file(&second)).await;
    daemon.stop().await;
    daemon.start_again().await;
    daemon.wait_state("one", "running").await;

    assert_no_blob_twice(&registry);
}

#[tokio::test]
async fn apps_that_start_together_fetch_each_blob_once() {
    let registry = Registry::plain().await;
    let reference = registry.push_artifact(&packed("1"), "apps/probe:v1").await;
    let ids: Vec<String> = (0..8).map(|number| format!("app{number}")).collect();
    let mut builder = Daemon::builder().own_cache();
    for id in &ids {
        builder = builder.app(id, &app_file(&reference));
    }
    let daemon = builder.start().await;
    for id in &ids {
        daemon.wait_state(id, "running").await;
    }
    assert_no_blob_twice(&registry);
}

#[tokio::test]
async fn what_a_registry_does_not_have_is_told_by_its_name() {
    let registry = Registry::plain().await;
    registry.push_artifact(&packed("1"), "apps/probe:v1").await;
    let reference = registry.reference("apps/probe:v9");
    let daemon = Daemon::builder()
        .own_cache()
        .app("app", &app_file(&reference))
        .start()
        .await;
    daemon.wait_error("app", "apps/probe:v9").await;
}

#[tokio::test]
async fn who_was_refused_is_told_without_the_password_and_a_later_login_is_heard() {
    let registry = Registry::with_password().await;
    let reference = registry.push_artifact(&packed("1"), "private/probe:v1").await;
    let daemon = Daemon::builder()
        .own_cache()
        .home_file(".config/fermyon/registry-auth.json", "{}")
        .start()
        .await;
    daemon.write_app("app", &app_file(&reference));
    daemon.wait_error("app", "with no credentials").await;
    let login = |password: &str| {
        let pair = STANDARD.encode(format!("{USER}:{password}"));
        let file = daemon.root().join("home/.config/fermyon/registry-auth.json");
        std::fs::write(file, json!({"auths": {registry.host(): pair}}).to_string()).unwrap();
    };
    login("wrong battery");
    let app = daemon.wait_error("app", &format!("user \"{USER}\" from")).await;
    assert!(!app.error().contains("battery"), "{}", app.error());
    login(PASSWORD);
    daemon.address("app").await;
}

#[tokio::test]
async fn a_password_comes_from_spin_s_own_file_or_from_docker_s() {
    let registry = Registry::with_password().await;
    let reference = registry.push_artifact(&packed("1"), "private/probe:v1").await;
    let pair = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let spin = json!({"auths": {registry.host(): pair}}).to_string();
    let docker = docker_config(&registry, json!({"auth": pair}));
    for (path, text) in [
        (".config/fermyon/registry-auth.json", &spin),
        (".docker/config.json", &docker),
    ] {
        let daemon = Daemon::builder().own_cache().home_file(path, text).start().await;
        let address = daemon.serve("app", &app_file(&reference)).await;
        assert_eq!(get(address, "/version").await.unwrap().text(), "1", "{path}");
    }
    let nobody = Daemon::builder()
        .own_cache()
        .app("app", &app_file(&reference))
        .start()
        .await;
    let app = nobody.wait_state("app", "failed").await;
    assert!(app.error().contains(&registry.host()), "{}", app.error());
    assert!(app.next_try().is_some());
}

#[tokio::test]
async fn tokens_are_asked_for_with_a_password_an_identity_token_or_nothing() {
    let registry = Registry::with_tokens().await;
    let private = registry.push_artifact(&packed("1"), "private/probe:v1").await;
    let public = registry.push_artifact(&packed("1"), "public/probe:v1").await;
    let pair = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let password = docker_config(&registry, json!({"auth": pair}));
    let identity = docker_config(&registry, json!({"identitytoken": IDENTITY_TOKEN}));
    for (user, config, reference) in [
        (USER, password, &private),
        ("identity", identity, &private),
        ("", "{}".into(), &public),
    ] {
        let daemon = Daemon::builder()
            .own_cache()
            .home_file(".docker/config.json", &config)
            .start()
            .await;
        daemon.serve("app", &app_file(reference)).await;
        let granted = registry.tokens().granted();
        assert!(
            granted.iter().any(|granted| granted.to == user),
            "{user:?} in {granted:?}"
        );
    }
}

#[tokio::test]
async fn https_with_an_authority_of_one_s_own() {
    let registry = Registry::with_tls().await;
    let reference = registry.push_artifact(&packed("1"), "apps/probe:v1").await;
    let trusting = Daemon::builder()
        .own_cache()
        .arg("--registry-ca")
        .arg(registry.authority())
        .start()
        .await;
    let address = trusting.serve("app", &app_file(&reference)).await;
    assert_eq!(get(address, "/version").await.unwrap().text(), "1");
    let wary = Daemon::builder()
        .own_cache()
        .app("app", &app_file(&reference))
        .start()
        .await;
    wary.wait_error("app", "certificate").await;
}

#[tokio::test]
async fn a_restart_works_without_the_registry_and_says_so() {
    let mut registry = Registry::plain().await;
    let reference = registry.push_artifact(&packed("1"), "apps/probe:v1").await;
    let mut daemon = Daemon::builder().own_cache().start().await;
    daemon.serve("app", &app_file(&reference)).await;
    daemon.stop().await;
    registry.stop();
    daemon.start_again().await;
    let address = daemon.address("app").await;
    assert_eq!(get(address, "/version").await.unwrap().text(), "1");
    daemon.wait_log(&registry.host()).await;
}

#[tokio::test]
async fn a_restart_does_not_wait_for_a_slow_registry() {
    let registry = Registry::plain().await;
    let reference = registry.push_artifact(&packed("1"), "apps/probe:v1").await;
    let mut daemon = Daemon::builder().own_cache().start().await;
    daemon.serve("app", &app_file(&reference)).await;
    daemon.stop().await;
    registry.pause();
    daemon.start_again().await;
    let address = daemon.address("app").await;
    assert_eq!(get(address, "/version").await.unwrap().text(), "1");
    registry.resume();
}

#[tokio::test]
async fn a_registry_that_comes_back_is_found() {
    let mut registry = Registry::plain().await;
    let reference = registry.push_artifact(&packed("1"), "apps/probe:v1").await;
    registry.stop();
    let daemon = Daemon::builder()
        .own_cache()
        .app("app", &app_file(&reference))
        .start()
        .await;
    let app = daemon.wait_state("app", "failed").await;
    assert!(app.next_try().is_some());
    registry.start().await;
    daemon.wait_state("app", "running").await;
}

#[tokio::test]
async fn a_registry_that_hangs_delays_no_other_app() {
    let registry = Registry::plain().await;
    let reference = registry.push_artifact(&packed("1"), "apps/probe:v1").await;
    registry.pause();
    let layout = Layout::with(&App::of("probe", "other"));
    let daemon = Daemon::builder()
        .own_cache()
        .app("slow", &app_file(&reference))
        .start()
        .await;
    daemon.serve("other", &app_file(&layout.reference("v1"))).await;
    assert_ne!(daemon.app("slow").await.unwrap().state(), "running");
    registry.resume();
    daemon.wait_state("slow", "running").await;
}

#[tokio::test]
async fn a_tag_that_moved_is_a_redeploy() {
    let registry = Registry::plain().await;
    let reference = registry.push_artifact(&packed("1"), "apps/probe:latest").await;
    let daemon = Daemon::builder().own_cache().start().await;
    let mut file = app_file(&reference);
    file["pull"] = "1s".into();
    let polled = daemon.serve("polled", &file).await;
    let asked = daemon.serve("asked", &app_file(&reference)).await;
    file["pull"] = "if-not-present".into();
    daemon.serve("fixed", &file).await;

    let second = packed("2");
    registry.push_artifact(&second, "apps/probe:latest").await;
    daemon.wait_digest("polled", &second.digest()).await;
    assert_eq!(get(polled, "/version").await.unwrap().text(), "2");
    assert!(daemon.command(&["redeploy", "asked"]).await.status.success());
    daemon.wait_digest("asked", &second.digest()).await;
    assert_eq!(get(asked, "/version").await.unwrap().text(), "2");
    assert_eq!(
        daemon.app("fixed").await.unwrap().digest(),
        Some(packed("1").digest().as_str())
    );
}
