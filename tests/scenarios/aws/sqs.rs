//! SQS triggers (docs/contract/triggers.md §4). The guests count messages in a store of the same service, under a key
//! that tells what each brought.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::MessageAttributeValue;
use serde_json::Value;

use crate::support::moto::{Moto, REGION};
use crate::support::prelude::*;
use crate::support::redis::Redis;
use crate::support::wait::until;

/// The table with what was counted.
const TABLE: &str = "events";
/// Longer than any scenario: what is hidden stays hidden, unless somebody shows it.
const LONG: u32 = 900;
const NOTHING: (u32, u32) = (0, 0);

/// A guest for queues, by its own name.
fn handler(guest_name: &str) -> Component {
    Component::new(guest_name, guest(guest_name)).grant("key_value_stores", "default")
}

/// An app with one guest behind one queue.
fn app(moto: &Moto, queue: &str) -> App {
    App::new("worker")
        .component(handler("on-sqs3"))
        .trigger_of("sqs", trigger(moto, queue, "on-sqs3"))
}

fn trigger(moto: &Moto, queue: &str, component: &str) -> Value {
    json!({"component": component, "queue_url": moto.queue(queue), "idle_wait_seconds": 1})
}

/// Its file, with the counters in the table.
fn file(layout: &Layout, tag: &str) -> Value {
    let store = json!({"type": "aws_dynamo", "region": REGION, "table": TABLE, "consistent_read": true});
    json!({
        "reference": layout.reference(tag),
        "runtime_config": {"key_value_store": {"default": store}},
    })
}

/// The service with a table and these queues.
async fn service(queues: &[(&str, u32)]) -> Moto {
    let moto = Moto::start().await;
    moto.create_table(TABLE).await;
    for (queue, visibility) in queues {
        moto.create_queue(queue, *visibility).await;
    }
    moto
}

/// How often each message came to the app `worker`.
async fn counted(moto: &Moto) -> BTreeMap<String, u64> {
    let items = moto.items(TABLE).await.into_iter().map(|(name, value)| {
        let name = name.strip_prefix("worker:default:sqs ").expect("its store");
        let count = value.as_b().expect("bytes").clone().into_inner();
        let count = String::from_utf8(count).expect("text").parse().expect("a number");
        (name.to_owned(), count)
    });
    items.collect()
}

/// Waits until a message came that often.
async fn wait_counted(moto: &Moto, message: &str, at_least: u64) {
    until(&format!("{message:?} to come {at_least} times"), async || {
        let counted = counted(moto).await;
        match counted.get(message) >= Some(&at_least) {
            true => Ok(()),
            false => Err(format!("{counted:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn a_message_comes_once_with_the_attributes_that_were_asked_for_and_is_deleted() {
    let moto = service(&[("orders", LONG)]).await;
    let mut config = trigger(&moto, "orders", "on-sqs");
    config["system_attributes"] = json!(["ApproximateReceiveCount"]);
    config["message_attributes"] = json!(["size", "colour", "raw"]);
    let app = App::new("worker")
        .component(handler("on-sqs"))
        .trigger_of("sqs", config);
    let layout = Layout::with(&app);
    let daemon = moto.daemon().app("worker", &file(&layout, "v1")).start().await;
    daemon.wait_state("worker", "running").await;

    let attribute = |kind: &str| MessageAttributeValue::builder().data_type(kind);
    let attributes = [
        ("colour", attribute("String").string_value("blue")),
        ("size", attribute("Number").string_value("7")),
        ("raw", attribute("Binary").binary_value(Blob::new([1, 255]))),
        ("other", attribute("String").string_value("not asked for")),
    ];
    let attributes: HashMap<_, _> = attributes
        .map(|(name, value)| (name.to_owned(), value.build().expect("it is complete")))
        .into();
    moto.send_with("orders", "hello", attributes).await;
    let message = "ApproximateReceiveCount=1 colour:String=blue raw:Binary=[1, 255] size:Number=7 hello";
    wait_counted(&moto, message, 1).await;
    moto.wait_messages("orders", NOTHING).await;
    assert_eq!(counted(&moto).await, [(message.to_owned(), 1)].into());
}

#[tokio::test]
async fn a_message_that_is_left_or_fails_or_traps_stays_and_comes_again() {
    let moto = service(&[("orders", 1)]).await;
    let layout = Layout::with(&app(&moto, "orders"));
    let daemon = moto.daemon().app("worker", &file(&layout, "v1")).start().await;
    let bodies = ["leave", "fail", "trap"];
    for body in bodies {
        moto.send("orders", body).await;
    }
    for body in bodies {
        wait_counted(&moto, body, 2).await;
    }
    let (waiting, in_hand) = moto.messages("orders").await;
    assert_eq!(waiting + in_hand, 3);
    assert_eq!(daemon.app("worker").await.unwrap().state(), "running");
    daemon.wait_log("the guest answered an event with an error").await;
    daemon.wait_log("the guest trapped").await;
}

#[tokio::test]
async fn each_queue_has_its_component() {
    let moto = service(&[("orders", LONG), ("mails", LONG)]).await;
    let queues = [("orders", "on-sqs"), ("mails", "on-sqs3")];
    let mut app = App::new("worker");
    for (queue, guest_name) in queues {
        app = app
            .component(handler(guest_name))
            .trigger_of("sqs", trigger(&moto, queue, guest_name));
    }
    let layout = Layout::with(&app);
    let daemon = moto.daemon().app("worker", &file(&layout, "v1")).start().await;
    daemon.wait_state("worker", "running").await;
    moto.send("orders", "order").await;
    moto.send("mails", "mail").await;
    wait_counted(&moto, "order", 1).await;
    wait_counted(&moto, "mail", 1).await;
    for (queue, guest_name) in queues {
        moto.wait_messages(queue, NOTHING).await;
        let about = format!("{}: [{guest_name}]", moto.queue(queue));
        daemon.wait_log(&about).await;
    }
}

#[tokio::test]
async fn edits_under_load_lose_nothing_and_repeat_nothing() {
    const MESSAGES: usize = 60;
    let moto = service(&[("orders", LONG)]).await;
    let mut layout = Layout::with(&app(&moto, "orders"));
    let second = layout.add("v2", &app(&moto, "orders").version("2.0.0"));
    let first = layout.add("v1", &app(&moto, "orders"));
    let daemon = moto.daemon().app("worker", &file(&layout, "v1")).start().await;
    daemon.wait_digest("worker", &first).await;
    let sending = async {
        for number in 0..MESSAGES {
            moto.send("orders", &format!("order {number}")).await;
        }
    };
    let editing = async {
        for (tag, digest) in [("v2", &second), ("v1", &first), ("v2", &second)] {
            daemon.write_app("worker", &file(&layout, tag));
            daemon.wait_digest("worker", digest).await;
        }
    };
    tokio::join!(sending, editing);
    moto.wait_messages("orders", NOTHING).await;
    let expected: BTreeMap<_, _> = (0..MESSAGES)
        .map(|number| (format!("order {number}"), 1))
        .collect();
    assert_eq!(counted(&moto).await, expected);
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_told_and_waited_for() {
    let moto = service(&[("there", LONG)]).await;
    let app = app(&moto, "missing").trigger_of("sqs", trigger(&moto, "there", "on-sqs3"));
    let layout = Layout::with(&app);
    let daemon = moto.daemon().app("worker", &file(&layout, "v1")).start().await;
    let told = daemon.wait_log("no messages from the SQS queue").await;
    assert!(
        told.contains("NonExistentQueue") || told.contains("QueueDoesNotExist"),
        "{told}"
    );
    assert!(told.contains(&moto.queue("missing")), "{told}");
    // The other queue does not wait for it.
    moto.send("there", "one").await;
    wait_counted(&moto, "one", 1).await;
    assert_eq!(daemon.app("worker").await.unwrap().state(), "running");
    moto.create_queue("missing", LONG).await;
    moto.send("missing", "two").await;
    wait_counted(&moto, "two", 1).await;
}

#[tokio::test]
async fn a_service_that_is_down_is_found_when_it_is_there_and_when_it_is_there_again() {
    let mut moto = Moto::stopped();
    let layout = Layout::with(&app(&moto, "orders"));
    let daemon = moto.daemon().app("worker", &file(&layout, "v1")).start().await;
    daemon.wait_state("worker", "running").await;
    daemon.wait_log("no messages from the SQS queue").await;
    for body in ["first", "second"] {
        moto.start_again().await;
        moto.create_table(TABLE).await;
        moto.create_queue("orders", LONG).await;
        moto.send("orders", body).await;
        wait_counted(&moto, body, 1).await;
        moto.wait_messages("orders", NOTHING).await;
        moto.stop();
    }
}

#[tokio::test]
async fn a_stop_waits_for_the_message_in_hand_which_stays_hidden_meanwhile() {
    let moto = service(&[("orders", 2), ("clock", LONG)]).await;
    // The guest waits for its store, as long as the scenario wants.
    let redis = Redis::plain().await;
    let layout = Layout::with(&app(&moto, "orders"));
    let mut file = file(&layout, "v1");
    file["runtime_config"]["key_value_store"]["default"] = json!({"type": "redis", "url": redis.address()});
    let daemon = moto.daemon().app("worker", &file).start().await;
    daemon.wait_state("worker", "running").await;

    redis.command(&["CLIENT", "PAUSE", "60000", "WRITE"]).await;
    moto.send("orders", "slow").await;
    moto.wait_messages("orders", (0, 1)).await;
    // By then it would have been shown again, had it not been hidden anew.
    moto.send_late("clock", "it is time", 3).await;
    moto.wait_messages("clock", (1, 0)).await;
    assert_eq!(moto.messages("orders").await, (0, 1));

    daemon.remove_app("worker");
    daemon
        .wait_for("worker", "to stop", |app| app.state() == "stopping")
        .await;
    moto.send("orders", "too late").await;
    redis.command(&["CLIENT", "UNPAUSE"]).await;
    daemon.wait_gone("worker").await;
    assert_eq!(redis.command(&["GET", "worker:default:sqs slow"]).await, "1");
    assert_eq!(redis.command(&["DBSIZE"]).await, "1");
    assert_eq!(moto.messages("orders").await, (1, 0));
}

#[tokio::test]
async fn a_message_that_comes_after_the_last_version_has_gone_is_given_back() {
    let moto = service(&[("orders", LONG)]).await;
    let layout = Layout::with(&app(&moto, "orders"));
    let daemon = moto.daemon().start().await;
    moto.send("orders", "kept").await;
    moto.freeze();
    daemon.write_app("worker", &file(&layout, "v1"));
    daemon.wait_state("worker", "running").await;
    daemon.remove_app("worker");
    daemon
        .wait_for("worker", "to stop", |app| app.state() == "stopping")
        .await;
    moto.thaw();
    daemon.wait_gone("worker").await;
    // Without that it would be hidden for much longer than anything is waited for.
    moto.wait_messages("orders", (1, 0)).await;
    assert!(counted(&moto).await.is_empty());
}
