//! A build without the feature refuses what needs it, names it, and serves all else.

use crate::support::prelude::*;

#[tokio::test]
async fn what_the_build_lacks_is_refused_with_the_feature_s_name() {
    let daemon = Daemon::start().await;
    let queue = json!({"component": "worker", "queue_url": "http://127.0.0.1:1/1/q"});
    let worker = Component::new("worker", guest("on-sqs3")).grant("key_value_stores", "default");
    let layout = Layout::with(&App::new("queue").component(worker).trigger_of("sqs", queue));
    daemon.write_app("queue", &json!({"reference": layout.reference("v1")}));
    let refused = daemon.wait_state("queue", "failed").await;
    assert!(refused.error().contains("`--features aws`"), "{refused:?}");

    let apis = Component::new("apis", guest("apis5")).grant("key_value_stores", "cloud");
    let layout = Layout::with(&App::new("store").component(apis).route("/...", "apis"));
    let mut file = layout.file("v1");
    file["runtime_config"] = json!({
        "key_value_store": {"cloud": {"type": "aws_dynamo", "region": "eu-west-1", "table": "stores"}},
    });
    daemon.write_app("store", &file);
    let refused = daemon.wait_state("store", "failed").await;
    assert!(
        refused.error().contains("`--features aws`") && refused.error().contains("\"cloud\""),
        "{refused:?}"
    );
}
