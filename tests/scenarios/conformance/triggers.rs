//! docs/contract/triggers.md: an event for each guest, which counts it in a store that an HTTP component reads.

use std::net::SocketAddr;
use std::time::Duration;

use rumqttc::{AsyncClient, MqttOptions, QoS};
use serde_json::{Value, json};

use crate::support::prelude::*;
use crate::support::wait::until;

use super::apps::Apps;
use super::table::Table;

pub async fn run(apps: &Apps, table: &mut Table) {
    // Every script of theirs came in by it.
    for guest in ["apis1", "apis1-core"] {
        table.row(
            "fermyon:spin/inbound-http",
            guest,
            "a client's request",
            "handle-request",
            "",
            "works",
        );
    }
    for (name, export) in [
        ("on-redis", "fermyon:spin/inbound-redis"),
        ("on-redis3", "spin:redis/inbound-redis@3.0.0"),
    ] {
        let channel = format!("channel-{name}");
        let app = watched(name)
            .triggers_share("redis", json!({"address": apps.redis.address()}))
            .trigger_of("redis", json!({"component": name, "channel": channel}));
        let (reader, _layout) = served(apps, name, &app).await;
        for (text, when) in [
            ("an event", ""),
            ("fail", "the guest fails"),
            ("trap", "the guest traps"),
        ] {
            publish_redis(apps, &channel, text).await;
            counted(reader, &format!("redis {text}")).await;
            table.row(export, name, "Redis", "handle-message", when, "works");
        }
    }
    for (name, export) in [
        ("on-mqtt", "spin:mqtt-trigger"),
        ("on-mqtt3", "spin:mqtt-trigger@3.0.0"),
    ] {
        let broker = format!("mqtt://127.0.0.1:{}", apps.mosquitto.port());
        let shared = json!({
            "address": broker, "username": "user", "password": "password", "keep_alive_interval": "20",
        });
        let app = watched(name).triggers_share("mqtt", shared).trigger_of(
            "mqtt",
            json!({"component": name, "topic": format!("{name}/+"), "qos": "1"}),
        );
        let (reader, _layout) = served(apps, name, &app).await;
        for (text, when) in [
            ("an event", ""),
            ("fail", "the guest fails"),
            ("trap", "the guest traps"),
        ] {
            let topic = format!("{name}/topic");
            publish_mqtt(apps, &topic, text).await;
            counted(reader, &format!("mqtt {topic} {text}")).await;
            table.row(export, name, "Mosquitto", "handle-message", when, "works");
        }
    }
    #[cfg(feature = "aws")]
    queues(apps, table).await;
    for (name, export) in [
        ("on-cron", "fermyon:spin-cron@2.0.0"),
        ("on-cron3", "spin:cron@3.0.0"),
    ] {
        let app = watched(name).trigger_of(
            "cron",
            json!({"component": name, "cron_expression": "* * * * * *"}),
        );
        let (reader, _layout) = served(apps, name, &app).await;
        counted(reader, "cron ").await;
        table.row(export, name, "the clock", "handle-cron-event", "", "works");
    }
    for (name, export) in [
        ("command", "wasi:cli/run@0.2"),
        ("command3", "wasi:cli/run@0.3.0"),
    ] {
        let component = Component::new(name, guest(name));
        let app = App::new(name)
            .component(component)
            .trigger_of("command", json!({"component": name}));
        let layout = Layout::with(&app);
        apps.daemon
            .write_app(name, &json!({"reference": layout.reference("v1")}));
        apps.daemon.wait_state(name, "completed").await;
        apps.daemon.wait_log("arguments").await;
        apps.daemon.remove_app(name);
        table.row(export, name, "the start", "run", "", "works");
    }
}

#[cfg(feature = "aws")]
async fn queues(apps: &Apps, table: &mut Table) {
    /// What is left to appear again does so in time to be seen.
    const VISIBILITY_SECONDS: u32 = 1;
    for (name, export) in [
        ("on-sqs", "fermyon:spin-sqs@2.0.0"),
        ("on-sqs3", "spin:sqs@3.0.0"),
    ] {
        let queue = apps.moto.create_queue(name, VISIBILITY_SECONDS).await;
        let config = json!({
            "component": name, "queue_url": queue, "idle_wait_seconds": 1,
            "system_attributes": ["ApproximateReceiveCount"],
        });
        let (reader, _layout) = served(apps, name, &watched(name).trigger_of("sqs", config)).await;
        for (text, when, comes) in [
            ("an event", "", 1),
            ("leave", "the guest leaves the message", 2),
            ("fail", "the guest fails", 2),
            ("trap", "the guest traps", 2),
        ] {
            apps.moto.send(name, text).await;
            counted(reader, &format!("sqs ApproximateReceiveCount={comes} {text}")).await;
            table.row(export, name, "SQS (moto)", "handle-queue-message", when, "works");
        }
        // What is left comes again and again.
        apps.daemon.remove_app(name);
        apps.daemon.wait_gone(name).await;
    }
}

/// The trigger's guest, and beside it a guest that reads what it stored.
fn watched(name: &str) -> App {
    let granted = |component: Component| component.grant("key_value_stores", "default");
    App::new(name)
        .component(granted(Component::new(name, guest(name))))
        .component(granted(Component::new("reader", guest("apis5"))))
        .route("/...", "reader")
}

async fn served(apps: &Apps, name: &str, app: &App) -> (SocketAddr, Layout) {
    let layout = Layout::with(app);
    let address = apps.daemon.serve(name, &layout.file("v1")).await;
    (address, layout)
}

/// Waits for a key that begins so.
async fn counted(reader: SocketAddr, event: &str) {
    let script = "[\"open\", \"default\"]\n[\"get-keys\", 0]\n";
    until(&format!("the event {event:?}"), async || {
        let mut connection = Connection::open(reader)
            .await
            .map_err(|error| error.to_string())?;
        let reply = connection.post("/fermyon:spin/key-value@2.0.0", script).await;
        let reply = reply.map_err(|error| error.to_string())?;
        let listed = reply.text().lines().nth(1).unwrap_or_default().to_owned();
        let listed: Value =
            serde_json::from_str(&listed).map_err(|error| format!("{error}: {}", reply.text()))?;
        let keys = listed["result"]["ok"].as_array().cloned().unwrap_or_default();
        let found = keys
            .iter()
            .any(|key| key.as_str().is_some_and(|key| key.starts_with(event)));
        if found { Ok(()) } else { Err(listed.to_string()) }
    })
    .await;
}

async fn publish_redis(apps: &Apps, channel: &str, text: &str) {
    let client = redis::Client::open(apps.redis.address()).expect("an address");
    until("a subscriber", async || {
        let mut connection = client
            .get_multiplexed_async_connection()
            .await
            .map_err(|error| error.to_string())?;
        let heard: usize = redis::cmd("PUBLISH")
            .arg(channel)
            .arg(text)
            .query_async(&mut connection)
            .await
            .map_err(|error| error.to_string())?;
        if heard > 0 {
            Ok(())
        } else {
            Err("nobody listens".into())
        }
    })
    .await;
}

/// Retained, so that a subscriber that comes later gets it, too.
async fn publish_mqtt(apps: &Apps, topic: &str, text: &str) {
    let mut options = MqttOptions::new(format!("tests-{text}"), "127.0.0.1", apps.mosquitto.port());
    options.set_keep_alive(Duration::from_secs(20));
    let (client, mut events) = AsyncClient::new(options, 8);
    client
        .publish(topic, QoS::AtLeastOnce, true, text)
        .await
        .expect("it is queued");
    loop {
        let event = events.poll().await.expect("the broker is there");
        if matches!(event, rumqttc::Event::Incoming(rumqttc::Packet::PubAck(_))) {
            return;
        }
    }
}
