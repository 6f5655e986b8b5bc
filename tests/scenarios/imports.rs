//! What components import: from the host, from what they are composed with, or from nobody.

use crate::support::prelude::*;

/// Answers `wasi:cli/environment` with one variable, `VERSION`.
const ENVIRONMENT: &str = r#"(component
  (core module $module
    (memory (export "memory") 1)
    (data (i32.const 0) "VERSION")
    (data (i32.const 16) "composed")
    ;; The pair: two pointers, each with its length.
    (data (i32.const 32) "\00\00\00\00\07\00\00\00\10\00\00\00\08\00\00\00")
    ;; The list of that pair. Behind it, an empty list, and no directory.
    (data (i32.const 48) "\20\00\00\00\01\00\00\00")
    (func (export "environment") (result i32) (i32.const 48))
    (func (export "arguments") (result i32) (i32.const 56))
    (func (export "directory") (result i32) (i32.const 64)))
  (core instance $core (instantiate $module))
  (func $environment (result (list (tuple string string)))
    (canon lift (core func $core "environment") (memory (core memory $core "memory"))))
  (func $arguments (result (list string))
    (canon lift (core func $core "arguments") (memory (core memory $core "memory"))))
  (func $directory (result (option string))
    (canon lift (core func $core "directory") (memory (core memory $core "memory"))))
  (instance $all
    (export "get-environment" (func $environment))
    (export "get-arguments" (func $arguments))
    (export "initial-cwd" (func $directory)))
  (export "wasi:cli/environment@0.2.12" (instance $all)))"#;

#[tokio::test]
async fn dependencies_of_an_artifact_that_is_not_composed_are_composed() {
    let dependency = wat::parse_str(ENVIRONMENT).unwrap();
    let component = Component::new("probe", guest("probe"))
        .env("VERSION", "the host's")
        .dependency("wasi:cli/environment@0.2.12", dependency);
    let app = App::new("composed").component(component).route("/...", "probe");
    let (_daemon, _layout, address) = served(&app).await;
    assert_eq!(get(address, "/version").await.unwrap().text(), "composed");
}

#[tokio::test]
async fn a_dependency_that_nothing_imports_is_an_error_that_names_it() {
    let dependency = wat::parse_str(ENVIRONMENT).unwrap();
    let component = Component::new("probe", guest("probe")).dependency("acme:nothing/here@1.0.0", dependency);
    let app = App::new("composed").component(component).route("/...", "probe");
    let layout = Layout::with(&app);
    let daemon = Daemon::start().await;
    daemon.write_app("app", &layout.file("v1"));
    daemon.wait_error("app", "acme:nothing/here@1.0.0").await;
}

#[tokio::test]
async fn what_the_host_lacks_is_told_with_the_component_and_every_interface_and_others_start() {
    let daemon = Daemon::start().await;
    let component = Component::new("the-needy", guest("mailer"));
    let app = App::new("mailer").component(component).route("/...", "the-needy");
    let layout = Layout::with(&app);
    daemon.write_app("mailer", &layout.file("v1"));
    let failed = daemon.wait_state("mailer", "failed").await;
    for told in [
        "`the-needy`",
        "acme:mailer/send@1.0.0",
        "acme:mailer/archive@1.0.0",
    ] {
        assert!(failed.error().contains(told), "{told} in {}", failed.error());
    }
    let layout = Layout::with(&App::of("probe", "1"));
    let address = daemon.serve("other", &layout.file("v1")).await;
    assert_eq!(get(address, "/version").await.unwrap().text(), "1");
}
