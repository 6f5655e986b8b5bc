//! docs/contract/host-interfaces.md §5.9. That messages arrive is seen in `scenarios/backends.rs`.

use serde_json::json;

use super::apps::{Apps, NOWHERE};
use super::case::{Section, call, err, ok, section};

pub fn sections(apps: &Apps) -> Vec<Section> {
    let interfaces = [
        ("fermyon:spin/mqtt@2.0.0", "apis5"),
        ("spin:mqtt/mqtt@3.0.0", "apis7"),
    ];
    let sections = interfaces.map(|(interface, app)| {
        let open = |address: String| json!([address, "user", "password", 30]);
        let nowhere = format!("mqtt://{NOWHERE}?client_id={app}");
        let calls = vec![
            call("open", open(apps.mosquitto.address(app)), ok(0)),
            call(
                "publish",
                json!([0, "t/0", "at most once", "at-most-once"]),
                ok(()),
            ),
            call(
                "publish",
                json!([0, "t/1", "at least once", "at-least-once"]),
                ok(()),
            ),
            call("publish", json!([0, "t/2", "0x00ff80", "exactly-once"]), ok(())),
            call("publish", json!([0, "t/3", "", "exactly-once"]), ok(())).when("the message is empty"),
            call(
                "publish",
                json!([0, "t/#", "x", "exactly-once"]),
                err(json!({"other": "the topic is not one that can be published to"})),
            )
            .when("the topic has a wildcard"),
            call("drop", json!([0]), json!(null)),
            call("open", open(nowhere), ok(1)),
            call(
                "publish",
                json!([1, "t", "x", "at-least-once"]),
                err(json!({"connection-failed": "I/O: Connection refused (os error 111)"})),
            )
            .when("the broker is down"),
            call(
                "open",
                open("mqtt://not-allowed:1883?client_id=x".into()),
                err(json!({"connection-failed": "address mqtt://not-allowed:1883?client_id=x is not permitted"})),
            )
            .when("the address is not allowed"),
        ];
        section(interface, "Mosquitto", app, interface, calls)
    });
    sections.into()
}
