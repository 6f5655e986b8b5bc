//! Artifacts in image layouts: each shape that Spin pushed, and what is wrong with some.

use crate::support::artifact::Artifact;
use crate::support::guests::repository;
use crate::support::prelude::*;

/// Files of every size that matters: empty, inline, and in a layer of its own.
fn app_with_files() -> App {
    let component = Component::new("probe", guest("probe"))
        .file("empty.txt", "")
        .file("small.txt", "small")
        .file("deep/down/large.bin", vec![7; 5000]);
    App::new("files").component(component).route("/...", "probe")
}

#[tokio::test]
async fn every_shape_that_spin_pushed_is_served_with_its_files() {
    let daemon = Daemon::start().await;
    let mut layout = Layout::new();
    for (n, shape) in Shape::ALL.into_iter().enumerate() {
        let tag = format!("shape{n}");
        let digest = layout.tag(&tag, &Artifact::of(&app_with_files(), shape));
        let address = daemon
            .serve(
                &tag,
                &json!({"reference": layout.reference(&tag), "address": "127.0.0.1:0"}),
            )
            .await;
        assert_eq!(
            daemon.app(&tag).await.unwrap().digest(),
            Some(digest.as_str()),
            "{shape:?}"
        );
        let files = get(address, "/files").await.unwrap();
        assert_eq!(
            files.text(),
            "/deep/down/large.bin\n/empty.txt\n/small.txt\n",
            "{shape:?}"
        );
        assert_eq!(
            get(address, "/file?path=/deep/down/large.bin")
                .await
                .unwrap()
                .body,
            vec![7; 5000],
            "{shape:?}"
        );
        assert_eq!(
            get(address, "/file?path=/small.txt").await.unwrap().text(),
            "small",
            "{shape:?}"
        );
    }
}

#[tokio::test]
async fn mounted_files_can_t_be_written() {
    let layout = Layout::with(&app_with_files());
    let daemon = Daemon::start().await;
    let address = daemon
        .serve(
            "app",
            &json!({"reference": layout.reference("v1"), "address": "127.0.0.1:0"}),
        )
        .await;
    assert_eq!(
        get(address, "/write?path=/small.txt&text=changed")
            .await
            .unwrap()
            .status,
        403
    );
    assert_eq!(
        get(address, "/write?path=/new.txt&text=new")
            .await
            .unwrap()
            .status,
        403
    );
    assert_eq!(
        get(address, "/file?path=/small.txt").await.unwrap().text(),
        "small"
    );
    assert_eq!(
        get(address, "/file?path=/../../etc/passwd").await.unwrap().status,
        404
    );
}

#[tokio::test]
async fn a_plain_wasm_package_and_one_in_an_index_are_served() {
    let daemon = Daemon::start().await;
    let mut layout = Layout::new();
    layout.tag("plain", &Artifact::plain_wasm(&guest("probe")));
    layout.tag(
        "linux",
        &Artifact::of(&App::of("probe", "1"), Shape::Spin4).in_index("linux", "amd64"),
    );
    layout.tag(
        "wasi",
        &Artifact::of(&App::of("probe", "1"), Shape::Spin4).in_index("wasip1", "wasm"),
    );
    for tag in ["plain", "linux", "wasi"] {
        let address = daemon
            .serve(
                tag,
                &json!({"reference": layout.reference(tag), "address": "127.0.0.1:0"}),
            )
            .await;
        assert_eq!(get(address, "/version").await.unwrap().status, 200, "{tag}");
    }
}

#[tokio::test]
async fn a_layout_in_a_tar_is_served() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::start().await;
    layout.archive(&daemon.watched());
    // Relative to the app file's directory.
    let address = daemon
        .serve(
            "app",
            &json!({"reference": "oci-archive:layout.tar:v1", "address": "127.0.0.1:0"}),
        )
        .await;
    assert_eq!(get(address, "/version").await.unwrap().text(), "1");
}

#[tokio::test]
async fn what_spin_s_own_command_line_pushed_is_served() {
    let daemon = Daemon::start().await;
    let fixture = repository().join("tests/fixtures/oci/hello-v1");
    let file = json!({"reference": format!("oci:{}:v1", fixture.display()), "address": "127.0.0.1:0"});
    let address = daemon.serve("hello", &file).await;
    assert_eq!(get(address, "/").await.unwrap().text(), "hello");
}

#[tokio::test]
async fn content_that_is_not_what_its_digest_says_is_refused() {
    let daemon = Daemon::builder().own_cache().start().await;
    let mut layout = Layout::new();
    layout.tag(
        "v1",
        &Artifact::of(&App::of("probe", "1"), Shape::Spin4).damaged(),
    );
    daemon.write_app(
        "app",
        &json!({"reference": layout.reference("v1"), "address": "127.0.0.1:0"}),
    );
    let app = daemon.wait_state("app", "failed").await;
    assert!(app.error().contains("sha256:"), "{}", app.error());
}

#[tokio::test]
async fn a_mount_that_leaves_its_directory_is_refused() {
    let daemon = Daemon::start().await;
    let component = Component::new("probe", guest("probe")).file("../outside.txt", "text");
    let layout = Layout::with(&App::new("evil").component(component).route("/...", "probe"));
    daemon.write_app(
        "app",
        &json!({"reference": layout.reference("v1"), "address": "127.0.0.1:0"}),
    );
    let app = daemon.wait_state("app", "failed").await;
    assert!(app.error().contains("../outside.txt"), "{}", app.error());
}
