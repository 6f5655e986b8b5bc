//! Pulls from a real registry.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::testing::registry::{Options, Registry};
use super::testing::{config, fixture, puller};
use super::*;

fn source(registry: &Registry, name: &str) -> Source {
    Source::parse(&format!("{}/{name}", registry.host()), Path::new("/")).unwrap()
}

fn layout(name: &str, tag: &str) -> String {
    format!("{}:{tag}", fixture(name).display())
}

async fn resolve_and_pull(puller: &Puller, source: &Source) -> Result<Artifact, OciError> {
    let digest = puller.resolve(source).await?;
    puller.pull(source, &digest).await
}

#[tokio::test]
async fn an_app_is_pulled_once_and_again_without_the_registry() {
    let registry = Registry::start(Options::default());
    registry.push(&layout("hello-v1", "v1"), "hello:v1");
    let (_dir, puller) = puller(config());
    let source = source(&registry, "hello:v1");

    let first = resolve_and_pull(&puller, &source).await.unwrap();
    let AppConfig::Locked(json) = &first.config else {
        panic!("{:?}", first.config)
    };
    assert!(serde_json::from_slice::<serde_json::Value>(json).unwrap()["spin_lock_version"].is_number());
    let downloads = registry.downloads();

    let again = resolve_and_pull(&puller, &source).await.unwrap();
    assert_eq!((again.digest, &again.blobs), (first.digest, &first.blobs));
    let mut distinct = registry.downloads();
    assert_eq!(distinct, downloads, "nothing is fetched again");
    distinct.sort();
    distinct.dedup();
    assert_eq!(
        distinct.len(),
        downloads.len(),
        "nothing was fetched twice: {downloads:?}"
    );

    drop(registry);
    let offline = puller.pull(&source, &first.digest).await.unwrap();
    assert_eq!(offline.config, first.config);
    assert!(matches!(
        puller.resolve(&source).await,
        Err(OciError::Unreachable { .. })
    ));
}

#[tokio::test]
async fn many_pulls_at_once_fetch_every_blob_once() {
    let registry = Registry::start(Options::default());
    registry.push(&layout("site-v1", "v1"), "site:v1");
    let (_dir, puller) = puller(config());
    let source = source(&registry, "site:v1");
    let digest = puller.resolve(&source).await.unwrap();
    let pulls = (0..8).map(|_| puller.pull(&source, &digest));
    for pulled in futures::future::join_all(pulls).await {
        assert_eq!(pulled.unwrap().digest, digest);
    }
    let downloads = registry.downloads();
    let mut distinct = downloads.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), downloads.len(), "{downloads:?}");
}

#[tokio::test]
async fn a_moved_tag_resolves_to_its_new_content_and_shared_blobs_stay() {
    let registry = Registry::start(Options::default());
    registry.push(&layout("site-v1", "v1"), "site:latest");
    let (_dir, puller) = puller(config());
    let source = source(&registry, "site");
    let first = resolve_and_pull(&puller, &source).await.unwrap();
    let before = registry.downloads().len();

    registry.push(&layout("site-archive", "archive"), "site:latest");
    let second = resolve_and_pull(&puller, &source).await.unwrap();

    assert_ne!(first.digest, second.digest);
    let files: Vec<&Digest> = first
        .blobs
        .iter()
        .filter(|blob| second.blobs.contains(blob))
        .collect();
    assert!(
        !files.is_empty(),
        "the archive holds files that the first push had as layers"
    );
    // The manifest and the archive; not the Wasm and the locked app, which both have.
    assert_eq!(
        registry.downloads().len() - before,
        2,
        "{:?}",
        registry.downloads()
    );
    let pinned = Source::parse(
        &format!("{}/site@{}", registry.host(), first.digest),
        Path::new("/"),
    )
    .unwrap();
    assert_eq!(puller.resolve(&pinned).await.unwrap(), first.digest);
}

#[tokio::test]
async fn what_the_registry_does_not_have_is_not_found() {
    let registry = Registry::start(Options::default());
    registry.push(&layout("hello-v1", "v1"), "hello:v1");
    let (_dir, puller) = puller(config());
    let error = puller.resolve(&source(&registry, "hello:v9")).await.unwrap_err();
    assert!(matches!(error, OciError::NotFound { .. }), "{error:?}");
    assert!(error.to_string().contains("hello:v9"), "{error}");
}

#[tokio::test]
async fn a_registry_with_passwords_is_given_the_users_and_never_names_them_in_errors() {
    let registry = Registry::start(Options {
        login: Some(("alice", "correct horse")),
        tls: false,
    });
    registry.push(&layout("hello-v1", "v1"), "hello:v1");
    let source = source(&registry, "hello:v1");
    let home = tempfile::tempdir().unwrap();
    let login = |password: &str| {
        let encoded = STANDARD.encode(format!("alice:{password}"));
        let file = home.path().join("registry-auth.json");
        let json = serde_json::json!({"auths": {registry.host(): encoded}});
        std::fs::write(&file, json.to_string()).unwrap();
        CredentialSources {
            spin_file: Some(file),
            docker_file: None,
        }
    };

    let (_dir, anonymous) = puller(config());
    let message = anonymous.resolve(&source).await.unwrap_err().to_string();
    assert!(message.contains("with no credentials"), "{message}");

    let (_dir, puller) = puller(PullerConfig {
        credentials: login("wrong battery"),
        ..config()
    });
    let message = puller.resolve(&source).await.unwrap_err().to_string();
    assert!(
        message.contains(r#"user "alice" from "#) && !message.contains("battery"),
        "{message}"
    );

    login("correct horse");
    resolve_and_pull(&puller, &source)
        .await
        .expect("a login beside a running daemon takes effect");
}

#[tokio::test]
async fn a_loopback_registry_with_tls_needs_its_authority() {
    let registry = Registry::start(Options {
        login: None,
        tls: true,
    });
    registry.push(&layout("hello-v1", "v1"), "hello:v1");
    let source = source(&registry, "hello:v1");

    let (_dir, distrusting) = puller(config());
    let error = distrusting.resolve(&source).await.unwrap_err();
    assert!(matches!(error, OciError::Untrusted { .. }), "{error:?}");

    let (_dir, trusting) = puller(PullerConfig {
        registry_ca: vec![registry.ca()],
        ..config()
    });
    resolve_and_pull(&trusting, &source).await.unwrap();
}
