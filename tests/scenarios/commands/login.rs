//! `login` and `logout`, with a real registry; `skopeo` reads what was written.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::artifact::Artifact;
use crate::support::prelude::*;
use crate::support::registry::{PASSWORD, USER};
use crate::support::tool::Tool;

const CONFIG: &str = ".docker/config.json";
const SPIN: &str = ".config/fermyon/registry-auth.json";

fn packed() -> Artifact {
    Artifact::of(&App::of("probe", "1"), Shape::Spin4)
}

async fn login(tool: &Tool, registry: &str, password: &str) -> crate::support::tool::Ran {
    let arguments = ["login", registry, "--user", USER, "--password-stdin"];
    tool.run_with(password, &arguments).await
}

/// Whether another program that reads Docker's configuration gets in.
async fn skopeo_gets_in(tool: &Tool, registry: &Registry, name: &str) -> bool {
    let reference = format!("docker://{}", registry.reference(name));
    let config = tool.home(CONFIG);
    let authfile = config.to_str().unwrap();
    let arguments = [
        "inspect",
        "--raw",
        "--tls-verify=false",
        "--authfile",
        authfile,
        &reference,
    ];
    tool.any(Path::new("skopeo"), "", &arguments).await.code == 0
}

#[tokio::test]
async fn credentials_are_verified_and_kept_where_all_tools_find_them() {
    for registry in [Registry::with_password().await, Registry::with_tokens().await] {
        registry.push_artifact(&packed(), "private/probe:v1").await;
        let (tool, host) = (Tool::new(), registry.host());
        tool.write_home(
            CONFIG,
            &json!({"psFormat": "table", "auths": {"quay.io": {"auth": "eDp5"}}}).to_string(),
        );
        assert!(!skopeo_gets_in(&tool, &registry, "private/probe:v1").await);
        let before = fs::read_to_string(tool.home(CONFIG)).unwrap();
        let refused = login(&tool, &host, "wrong battery\n").await;
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(
            refused.stderr.contains("refuses") && refused.stderr.contains(USER),
            "{refused:?}"
        );
        assert!(!refused.stderr.contains("battery"), "{refused:?}");
        assert_eq!(fs::read_to_string(tool.home(CONFIG)).unwrap(), before);

        let ran = login(&tool, &host, &format!("{PASSWORD}\n")).await;
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.stdout.contains("config.json"), "{ran:?}");
        assert!(skopeo_gets_in(&tool, &registry, "private/probe:v1").await);
        let mode = fs::metadata(tool.home(CONFIG)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let pulled = tool.run(&["pull", &registry.reference("private/probe:v1")]).await;
        assert_eq!(pulled.stdout.trim(), packed().digest(), "{pulled:?}");

        let ran = tool.run(&["logout", &host]).await;
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(!skopeo_gets_in(&tool, &registry, "private/probe:v1").await);
        let left: serde_json::Value = serde_json::from_slice(&fs::read(tool.home(CONFIG)).unwrap()).unwrap();
        assert_eq!(
            left,
            json!({"psFormat": "table", "auths": {"quay.io": {"auth": "eDp5"}}})
        );
        let again = tool.run(&["logout", &host]).await;
        assert!(again.stdout.contains("no credentials"), "{again:?}");
    }
}

#[tokio::test]
async fn spins_file_follows_where_it_has_the_registry() {
    let registry = Registry::with_password().await;
    let (tool, host) = (Tool::new(), registry.host());
    tool.write_home(SPIN, &json!({"auths": {&host: "b2xkOm9sZA=="}}).to_string());
    let ran = login(&tool, &host, PASSWORD).await;
    assert!(ran.stdout.contains(SPIN), "{ran:?}");
    let reference = registry.push_artifact(&packed(), "private/probe:v1").await;
    // It goes first: an old one there would be used.
    let pulled = tool.run(&["pull", &reference]).await;
    assert_eq!(pulled.code, 0, "{pulled:?}");
    tool.run(&["logout", &host]).await;
    assert_eq!(
        fs::read_to_string(tool.home(SPIN))
            .unwrap()
            .split_whitespace()
            .collect::<String>(),
        "{\"auths\":{}}"
    );
}

#[tokio::test]
async fn a_credential_helper_keeps_them_instead_of_the_file() {
    let registry = Registry::with_password().await;
    registry.push_artifact(&packed(), "private/probe:v1").await;
    let (tool, host) = (Tool::new(), registry.host());
    // One file for what it was told last, as it was told.
    tool.program(
        "docker-credential-box",
        "box=$HOME/box\ncase $1 in\nstore) cat >$box ;;\nget) cat >/dev/null; [ -e $box ] && cat $box || { echo credentials not found; exit 1; } ;;\nerase) cat >/dev/null; rm $box ;;\nesac",
    );
    // skopeo knows the helpers of single registries only.
    let helpers = json!({"credHelpers": {&host: "box"}});
    tool.write_home(CONFIG, &helpers.to_string());
    let ran = login(&tool, &host, PASSWORD).await;
    assert!(
        ran.code == 0 && ran.stdout.contains("docker-credential-box"),
        "{ran:?}"
    );
    let kept: serde_json::Value = serde_json::from_slice(&fs::read(tool.home("box")).unwrap()).unwrap();
    assert_eq!(
        kept,
        json!({"ServerURL": host, "Username": USER, "Secret": PASSWORD})
    );
    let config: serde_json::Value = serde_json::from_slice(&fs::read(tool.home(CONFIG)).unwrap()).unwrap();
    assert_eq!(
        config,
        json!({"credHelpers": {&host: "box"}, "auths": {&host: {}}})
    );
    assert!(skopeo_gets_in(&tool, &registry, "private/probe:v1").await);
    let pulled = tool.run(&["pull", &registry.reference("private/probe:v1")]).await;
    assert_eq!(pulled.code, 0, "{pulled:?}");
    tool.run(&["logout", &host]).await;
    assert!(!tool.home("box").exists());

    tool.write_home(CONFIG, &json!({"credsStore": "box"}).to_string());
    let ran = login(&tool, &host, PASSWORD).await;
    assert!(ran.code == 0 && tool.home("box").exists(), "{ran:?}");
    let pulled = tool.run(&["pull", &registry.reference("private/probe:v1")]).await;
    assert_eq!(pulled.code, 0, "{pulled:?}");

    tool.program("docker-credential-box", "echo the box is locked >&2; exit 1");
    let ran = login(&tool, &host, PASSWORD).await;
    assert!(
        ran.code == 1 && ran.stderr.contains("the box is locked"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn a_registry_that_asks_nobody_and_one_that_is_not_there_are_told_apart() {
    let registry = Registry::plain().await;
    let tool = Tool::new();
    let ran = login(&tool, &registry.host(), PASSWORD).await;
    assert!(
        ran.code == 0 && ran.stdout.contains("could not be verified"),
        "{ran:?}"
    );
    let ran = login(&tool, "127.0.0.1:9", PASSWORD).await;
    assert!(
        ran.code == 1 && ran.stderr.contains("cannot be reached"),
        "{ran:?}"
    );
    let ran = tool
        .run(&["login", "ghcr.io/me/app", "-u", USER, "--password-stdin"])
        .await;
    assert!(ran.code == 2 && ran.stderr.contains("whole registry"), "{ran:?}");
    let ran = tool.run(&["login", "ghcr.io"]).await;
    assert!(
        ran.code == 1 && ran.stderr.contains("--password-stdin"),
        "{ran:?}"
    );
}
