//! What no guest of Spin's can be given (docs/contract/host-interfaces.md §1): the app is refused, and says why.

use crate::support::prelude::*;

use super::apps::Apps;
use super::table::Table;

/// Interfaces, each with a reason.
const LACKING: [(&str, &str); 9] = [
    ("wasi:blobstore/blobstore@0.2.0-draft", "Spin has none"),
    ("wasi:messaging/producer@0.2.0-draft", "Spin has none"),
    ("wasi:logging/logging@0.1.0-draft", "Spin has none"),
    ("wasi:nn/inference@0.2.0-rc-2024-10-28", "Spin has none"),
    ("wasi:sql/readwrite@0.2.0-draft", "Spin has none"),
    ("wasi:tls/types@0.2.0-draft", "Spin has none"),
    ("wasi:keyvalue/watcher@0.2.0-draft2", "Spin has none"),
    ("wasi:http/handler@0.3.0", "Spin composes middleware instead"),
    ("wasi:http/types@0.3.0-rc-2026-01-06", "of Spin 3.6 alone"),
];

pub async fn run(apps: &Apps, table: &mut Table) {
    for (interface, reason) in LACKING {
        let route = json!({"component": "needy", "route": "/...", "executor": {"type": "wagi"}});
        let layout = Layout::with(&App::new("needy").component(importing(interface)).trigger(route));
        apps.daemon.write_app("needy", &layout.file("v1"));
        let failed = apps
            .daemon
            .wait_for("needy", "to be refused", |app| {
                app.state() == "failed" && app.error().contains(interface)
            })
            .await;
        let outcome = format!("refused: {}", failed.error());
        table.row(interface, "", "", "any", reason, &outcome);
        apps.daemon.remove_app("needy");
        apps.daemon.wait_gone("needy").await;
    }
}

/// A command of a program, which the Wagi executor runs, and which imports one function.
fn importing(interface: &str) -> Component {
    let text = format!(
        r#"(component
             (import "{interface}" (instance (export "something" (func))))
             (core module $module (func (export "run") (result i32) (i32.const 0)))
             (core instance $core (instantiate $module))
             (func $run (result (result)) (canon lift (core func $core "run")))
             (instance $all (export "run" (func $run)))
             (export "wasi:cli/run@0.2.0" (instance $all)))"#
    );
    Component::new("needy", wat::parse_str(text).expect("a component"))
}
