use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;

struct Home(TempDir);

impl Home {
    fn new() -> Home {
        Home(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn sources(&self, spin: Option<&str>, docker: Option<&str>) -> CredentialSources {
        CredentialSources {
            spin_file: Some(spin.map_or_else(
                || self.0.path().join("absent"),
                |text| self.write("spin.json", text),
            )),
            docker_file: docker.map(|text| self.write("config.json", text)),
        }
    }
}

fn password(user: &str, password: &str) -> Secret {
    Secret::Password {
        user: user.to_owned(),
        password: password.to_owned(),
    }
}

const ALICE: &str = r#"{"auths": {"ghcr.io": "YWxpY2U6c2VjOnJldA=="}}"#;
const BOB: &str =
    r#"{"auths": {"https://ghcr.io/v1/": {"auth": "Ym9iOnB3"}, "localhost:5000": {"auth": "dDp0"}}}"#;

#[tokio::test]
async fn spins_own_file_comes_first_and_splits_at_the_first_colon() {
    let home = Home::new();
    let found = home
        .sources(Some(ALICE), Some(BOB))
        .find("ghcr.io")
        .await
        .unwrap();
    assert!(found.secret == password("alice", "sec:ret"));
    assert!(found.origin.ends_with("spin.json"));
    assert!(!format!("{found:?}").contains("sec:ret"));
}

#[tokio::test]
async fn dockers_config_follows_with_its_keys_normalised() {
    let home = Home::new();
    let sources = home.sources(Some(r#"{"auths": {}}"#), Some(BOB));
    assert!(sources.find("ghcr.io").await.unwrap().secret == password("bob", "pw"));
    assert!(sources.find("localhost:5000").await.unwrap().secret == password("t", "t"));
    assert!(sources.find("quay.io").await.is_none());
}

#[tokio::test]
async fn files_that_are_absent_or_damaged_mean_anonymous() {
    let home = Home::new();
    for (spin, docker) in [
        (None, None),
        (Some("{"), Some("not json")),
        (Some(r#"{"auths": {"ghcr.io": "?"}}"#), Some("[]")),
    ] {
        assert!(home.sources(spin, docker).find("ghcr.io").await.is_none());
    }
}

#[tokio::test]
async fn an_identity_token_is_found() {
    let home = Home::new();
    let config = r#"{"auths": {"reg.example": {"auth": "", "identitytoken": "refresh-me"}}}"#;
    let found = home
        .sources(None, Some(config))
        .find("reg.example")
        .await
        .unwrap();
    assert!(found.secret == Secret::IdentityToken("refresh-me".to_owned()));
    assert!(found.describe().starts_with("an identity token from "));
}

/// Helpers are found in `PATH`, which tests must not change: they run the same code by an absolute program name.
async fn run_script(script: &str, key: &str) -> Result<Option<helper::Answer>, String> {
    let home = Home::new();
    let path = home.write("docker-credential-test", &format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    loop {
        match helper::run_path(&path, key).await {
            // Another test's fork may hold the script open for writing for a moment.
            Err(message) if message.contains("Text file busy") => tokio::task::yield_now().await,
            result => return result,
        }
    }
}

#[tokio::test]
async fn a_helper_is_given_the_host_and_its_answer_read() {
    let script = r#"read host; printf '{"ServerURL":"%s","Username":"%s","Secret":"s"}' "$host" "$host""#;
    let answer = run_script(script, "ghcr.io\n").await.unwrap().unwrap();
    assert_eq!(
        (answer.username.as_str(), answer.secret.as_str()),
        ("ghcr.io", "s")
    );
}

#[tokio::test]
async fn a_helper_with_nothing_for_the_host_is_no_failure() {
    let script = "echo 'credentials not found in native keychain'; exit 1";
    assert!(run_script(script, "ghcr.io").await.unwrap().is_none());
}

#[tokio::test]
async fn a_helper_that_fails_says_why() {
    let message = run_script("echo 'no agent' >&2; exit 3", "ghcr.io")
        .await
        .err()
        .unwrap();
    assert!(message.contains("no agent") && message.contains('3'), "{message}");
    assert!(
        run_script("echo secret-but-not-json", "ghcr.io")
            .await
            .err()
            .unwrap()
            .contains("not valid")
    );
}

#[tokio::test]
async fn a_helper_that_does_not_exist_means_anonymous() {
    let home = Home::new();
    let config = r#"{"credsStore": "lepton-test-absent", "credHelpers": {"quay.io": "../evil"}}"#;
    let sources = home.sources(None, Some(config));
    assert!(sources.find("ghcr.io").await.is_none());
    assert!(sources.find("quay.io").await.is_none());
}
