//! What may run: registries, digests and signatures, and what becomes of an app that is refused.

use tokio::process::Command;

use crate::support::artifact::Artifact;
use crate::support::cosign::{self, Cosign, Signer};
use crate::support::prelude::*;
use crate::support::status::AppStatus;

fn app_file(reference: &str) -> serde_json::Value {
    json!({"reference": reference, "address": "127.0.0.1:0"})
}

fn packed(version: &str) -> Artifact {
    Artifact::of(&App::of("probe", version), Shape::Spin4)
}

/// Waits until the app is in that state for that reason.
async fn refused(daemon: &Daemon, id: &str, state: &str, reason: &str) -> AppStatus {
    let what = format!("to be {state}: {reason:?}");
    daemon
        .wait_for(id, &what, |app| {
            app.state() == state && app.error().contains(reason)
        })
        .await
}

async fn version(address: std::net::SocketAddr) -> String {
    get(address, "/version").await.unwrap().text().to_owned()
}

#[tokio::test]
async fn what_is_signed_runs_and_what_is_not_waits_for_its_signature() {
    let (registry, signer) = (Registry::plain().await, Signer::new());
    let (signed, unsigned) = (packed("signed"), packed("unsigned"));
    let good = registry.push_artifact(&signed, "apps/good:v1").await;
    signer.sign_in(&registry, "apps/good", &signed.digest()).await;
    let bad = registry.push_artifact(&unsigned, "apps/bad:v1").await;
    let daemon = Daemon::builder()
        .arg("--cosign-key")
        .arg(signer.public_key())
        .start()
        .await;
    daemon.write_app("bad", &app_file(&bad));
    let address = daemon.serve("good", &app_file(&good)).await;
    assert_eq!(version(address).await, "signed");

    let app = refused(&daemon, "bad", "failed", "no cosign signature").await;
    assert!(app.next_try().is_some());
    let status = daemon.command(&["status"]).await;
    let status = String::from_utf8(status.stdout).unwrap();
    for word in [
        &unsigned.digest(),
        &cosign::tag(&unsigned.digest()),
        "release.pub",
    ] {
        assert!(status.contains(word), "{word} in {status}");
    }
    // By another key.
    Signer::new()
        .sign_in(&registry, "apps/bad", &unsigned.digest())
        .await;
    daemon.command(&["redeploy", "bad"]).await;
    daemon.wait_error("bad", "not by any of the keys").await;

    signer.sign_in(&registry, "apps/bad", &unsigned.digest()).await;
    daemon.command(&["redeploy", "bad"]).await;
    assert_eq!(version(daemon.address("bad").await).await, "unsigned");
}

#[tokio::test]
async fn cosign_signs_what_runs_and_verifies_what_others_sign() {
    let (registry, cosign) = (Registry::plain().await, Cosign::new().await);
    let (signed, other) = (packed("signed"), packed("other"));
    let good = registry.push_artifact(&signed, "apps/good:v1").await;
    let bad = registry.push_artifact(&other, "apps/bad:v1").await;
    let at =
        |repository, artifact: &Artifact| format!("{}@{}", registry.reference(repository), artifact.digest());
    cosign.sign(&at("apps/good", &signed)).await;
    Cosign::new().await.sign(&at("apps/bad", &other)).await;
    let daemon = Daemon::builder()
        .arg("--cosign-key")
        .arg(cosign.public_key())
        .start()
        .await;
    let address = daemon.serve("good", &app_file(&good)).await;
    assert_eq!(version(address).await, "signed");
    daemon.write_app("bad", &app_file(&bad));
    refused(&daemon, "bad", "failed", "not by any of the keys").await;

    // What all other scenarios sign by themselves.
    let signer = Signer::new();
    let artifact = at("apps/bad", &other);
    let flaw = cosign.verify(&signer.public_key(), &artifact).await.unwrap_err();
    assert!(flaw.contains("no matching signatures"), "{flaw}");
    signer.sign_in(&registry, "apps/bad", &other.digest()).await;
    cosign.verify(&signer.public_key(), &artifact).await.unwrap();
}

#[tokio::test]
async fn an_edit_to_what_is_refused_leaves_what_serves_also_over_a_restart() {
    let (registry, signer) = (Registry::plain().await, Signer::new());
    let (first, second) = (packed("1"), packed("2"));
    let good = registry.push_artifact(&first, "apps/app:v1").await;
    let bad = registry.push_artifact(&second, "apps/app:v2").await;
    signer.sign_in(&registry, "apps/app", &first.digest()).await;
    let mut daemon = Daemon::builder()
        .own_cache()
        .arg("--cosign-key")
        .arg(signer.public_key())
        .start()
        .await;
    let address = daemon.serve("app", &app_file(&good)).await;
    let mut kept = Connection::open(address).await.unwrap();

    daemon.write_app("app", &app_file(&bad));
    let app = refused(&daemon, "app", "degraded", &second.digest()).await;
    assert_eq!(app.digest(), Some(first.digest().as_str()));
    assert_eq!(kept.get("/version").await.unwrap().text(), "1");

    daemon.stop().await;
    daemon.start_again().await;
    let app = refused(&daemon, "app", "degraded", "no cosign signature").await;
    assert_eq!(version(app.address()).await, "1");
}

#[tokio::test]
async fn a_restart_asks_no_registry_and_goes_by_the_keys_of_then() {
    let (mut registry, signer) = (Registry::plain().await, Signer::new());
    let artifact = packed("1");
    let reference = registry.push_artifact(&artifact, "apps/app:v1").await;
    signer.sign_in(&registry, "apps/app", &artifact.digest()).await;
    let mut daemon = Daemon::builder()
        .own_cache()
        .arg("--cosign-key")
        .arg(signer.public_key())
        .start()
        .await;
    daemon.serve("app", &app_file(&reference)).await;
    daemon.wait_log("signature verified").await;
    registry.stop();
    daemon.stop().await;
    daemon.start_again().await;
    assert_eq!(version(daemon.address("app").await).await, "1");

    // Another key in the place of the old one.
    daemon.stop().await;
    let old = std::fs::read(signer.public_key()).unwrap();
    std::fs::copy(Signer::new().public_key(), signer.public_key()).unwrap();
    daemon.start_again().await;
    let app = refused(
        &daemon,
        "app",
        "failed",
        "no stored signature is good by the keys",
    )
    .await;
    assert!(app.error().contains(&registry.host()), "{}", app.error());
    registry.start().await;
    daemon.command(&["redeploy", "app"]).await;
    refused(&daemon, "app", "failed", "not by any of the keys").await;

    daemon.stop().await;
    registry.stop();
    std::fs::write(signer.public_key(), old).unwrap();
    daemon.start_again().await;
    assert_eq!(version(daemon.address("app").await).await, "1");
}

#[tokio::test]
async fn only_registries_that_are_allowed_are_asked_and_layouts_by_their_word() {
    let (allowed, mut elsewhere) = (Registry::plain().await, Registry::plain().await);
    let good = allowed.push_artifact(&packed("1"), "team/app:v1").await;
    let beside = allowed.push_artifact(&packed("1"), "teams/app:v1").await;
    let other = elsewhere.push_artifact(&packed("1"), "team/app:v1").await;
    // Whoever asks it is told something else.
    elsewhere.stop();
    let layout = Layout::with(&App::of("probe", "layout"));
    let daemon = Daemon::builder()
        .arg("--allow-registry")
        .arg(allowed.reference("team"))
        .start()
        .await;
    daemon.serve("good", &app_file(&good)).await;
    for (id, reference, remedy) in [
        ("beside", &beside, allowed.reference("teams/app")),
        ("other", &other, elsewhere.reference("team/app")),
        ("layout", &layout.reference("v1"), "oci:".to_owned()),
    ] {
        daemon.write_app(id, &app_file(reference));
        let remedy = format!("allow it with --allow-registry {remedy}");
        refused(&daemon, id, "failed", &remedy).await;
        assert!(
            !daemon.root().join("state").join(id).exists(),
            "{id} has a state directory"
        );
    }
    let daemon = Daemon::builder()
        .arg("--allow-registry")
        .arg("oci:")
        .start()
        .await;
    let address = daemon.serve("layout", &layout.file("v1")).await;
    assert_eq!(version(address).await, "layout");
}

#[tokio::test]
async fn a_reference_without_a_digest_is_refused_where_one_is_required() {
    let registry = Registry::plain().await;
    let artifact = packed("1");
    let reference = registry.push_artifact(&artifact, "apps/app:v1").await;
    let daemon = Daemon::builder().arg("--require-digest").start().await;
    daemon.write_app("app", &app_file(&reference));
    let remedy = format!("{}@sha256:DIGEST", registry.reference("apps/app"));
    daemon.wait_error("app", &remedy).await;
    let pinned = format!("{reference}@{}", artifact.digest());
    let address = daemon.serve("app", &app_file(&pinned)).await;
    assert_eq!(version(address).await, "1");
}

#[tokio::test]
async fn a_mirror_has_the_signatures_of_another_repository_if_that_is_said() {
    let (registry, signer) = (Registry::plain().await, Signer::new());
    let artifact = packed("1");
    let reference = registry.push_artifact(&artifact, "mirror/app:v1").await;
    let signature = signer.sign(&artifact.digest(), "ghcr.io/acme/app");
    let name = format!("mirror/app:{}", cosign::tag(&artifact.digest()));
    registry.push_artifact(&signature, &name).await;
    // The key is for this registry alone.
    let key = || format!("{}={}", registry.host(), signer.public_key().display());

    let daemon = Daemon::builder().arg("--cosign-key").arg(key()).start().await;
    daemon.write_app("app", &app_file(&reference));
    daemon
        .wait_error("app", "allow it with --cosign-identity ghcr.io/acme/app")
        .await;
    daemon.write_app("other", &app_file("oci:nowhere"));
    daemon.wait_error("other", "no --cosign-key is for it").await;
    drop(daemon);
    let daemon = Daemon::builder()
        .arg("--cosign-key")
        .arg(key())
        .arg("--cosign-identity")
        .arg("ghcr.io/acme")
        .start()
        .await;
    let address = daemon.serve("app", &app_file(&reference)).await;
    assert_eq!(version(address).await, "1");
}

#[tokio::test]
async fn a_bundle_is_a_signature_too() {
    let (registry, signer) = (Registry::plain().await, Signer::new());
    let artifact = packed("1");
    let reference = registry.push_artifact(&artifact, "apps/app:v1").await;
    let daemon = Daemon::builder()
        .arg("--cosign-key")
        .arg(signer.public_key())
        .start()
        .await;
    daemon.write_app("app", &app_file(&reference));
    daemon.wait_error("app", "nor a bundle that refers to it").await;
    signer
        .sign_in_bundle(&registry, "apps/app", &artifact.digest())
        .await;
    daemon.command(&["redeploy", "app"]).await;
    assert_eq!(version(daemon.address("app").await).await, "1");
}

#[tokio::test]
async fn a_layout_brings_its_signatures_by_the_same_tag() {
    let signer = Signer::new();
    let mut layout = Layout::new();
    let digest = layout.add("v1", &App::of("probe", "1"));
    let unsigned = layout.add("v2", &App::of("probe", "2"));
    let signature = signer.sign(&digest, "ghcr.io/acme/app");
    layout.tag(&cosign::tag(&digest), &signature);
    let daemon = Daemon::builder()
        .arg("--cosign-key")
        .arg(signer.public_key())
        .arg("--cosign-identity")
        .arg("ghcr.io/acme/app")
        .start()
        .await;
    let address = daemon.serve("app", &layout.file("v1")).await;
    daemon.write_app("app", &layout.file("v2"));
    refused(&daemon, "app", "degraded", &unsigned).await;
    assert_eq!(version(address).await, "1");
}

#[tokio::test]
async fn an_option_that_makes_no_policy_is_told_before_anything_runs() {
    let signer = Signer::new();
    let private = signer.private_key().display().to_string();
    let both = format!("nowhere={}", signer.public_key().display());
    for (arguments, word) in [
        (vec!["--allow-registry", "https://ghcr.io"], "has a scheme"),
        (vec!["--cosign-key", &private], "it holds a private key"),
        (vec!["--cosign-key", "/nowhere.pub"], "No such file"),
        (
            vec!["--cosign-key", &both],
            "does not begin with a registry's host",
        ),
        (vec!["--cosign-identity", "ghcr.io"], "--cosign-key"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tauon"));
        let output = command.args(&arguments).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(word), "{arguments:?}: {said}");
    }
}
