//! `check`: the mistakes of app files, told without running them.

use std::fs;

use crate::support::prelude::*;
use crate::support::tls::Authority;
use crate::support::tool::Tool;

#[tokio::test]
async fn mistakes_are_told_with_their_places_in_the_words_of_the_daemon() {
    let tool = Tool::new();
    let mistake = "{\n  \"reference\": \"a/b:v1\",\n  \"adress\": \"127.0.0.1:0\"\n}\n";
    tool.write("apps/bad.json", mistake);
    tool.write(
        "apps/good.json",
        &json!({"reference": "a/b:v1", "address": "127.0.0.1:1"}).to_string(),
    );
    tool.write("apps/.hidden.json", "{");
    let ran = tool.run(&["check", "apps"]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{ran:?}");
    assert_eq!(lines[1], "apps/good.json: ok");

    let daemon = Daemon::start().await;
    daemon.write_text("bad", mistake);
    let told = daemon.wait_error("bad", "adress").await;
    let place = |text: &str| text.split_once("bad.json").map(|(_, rest)| rest.to_owned());
    assert_eq!(place(lines[0]), place(told.error()));

    let report = tool
        .run(&["check", "--json", "apps/bad.json", "none.json", "apps"])
        .await
        .json();
    let files: Vec<_> = report
        .as_array()
        .unwrap()
        .iter()
        .map(|file| &file["file"])
        .collect();
    assert_eq!(files, ["apps/bad.json", "none.json", "apps/good.json"]);
    assert_eq!(report[0]["problems"][0]["line"], 3);
    assert!(
        report[0]["problems"][0]["message"]
            .as_str()
            .unwrap()
            .contains("did you mean \"address\"")
    );
    assert_eq!(report[1]["problems"][0]["line"], json!(null));
    assert_eq!(report[2]["problems"], json!([]));
    fs::remove_file(tool.path("apps/bad.json")).unwrap();
    assert_eq!(tool.run(&["check", "apps"]).await.code, 0);
}

#[tokio::test]
async fn two_files_that_claim_the_same_and_files_that_they_name_are_looked_at() {
    let tool = Tool::new();
    let app = |more: serde_json::Value| {
        let mut app = json!({"reference": "a/b:v1", "address": "127.0.0.1:443"});
        app.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        app.to_string()
    };
    let (one, other) = (
        Authority::new().sign("one.example"),
        Authority::new().sign("one.example"),
    );
    one.write(&tool.path(""), "one");
    other.write(&tool.path(""), "other");
    tool.write(
        "a.json",
        &app(json!({"host": "one.example", "tls": {"cert": "one.pem", "key": "one.key"}})),
    );
    tool.write(
        "b.json",
        &app(json!({"host": "one.example", "tls": {"cert": "one.pem", "key": "one.key"}})),
    );
    tool.write(
        "c.json",
        &app(json!({"host": "c.example", "tls": {"cert": "one.pem", "key": "other.key"}})),
    );
    tool.write(
        "d.json",
        &app(json!({"host": "d.example", "tls": {"cert": "no.pem", "key": "one.key"}})),
    );
    let config = "[key_value_store.cache]\ntype = \"etcd\"\n";
    tool.write("runtime.toml", config);
    tool.write(
        "e.json",
        &json!({"reference": "a/b:v1", "runtime_config": "runtime.toml"}).to_string(),
    );
    let report = tool.run(&["check", "--json", "."]).await.json();
    let told = |index: usize| report[index]["problems"].clone();
    assert_eq!(told(0), json!([]), "{report:#}");
    for (index, words) in [
        (1, vec!["held by app a", "a.json"]),
        (2, vec!["one.pem", "other.key", "is not that of the certificate"]),
        (3, vec!["no.pem", "can't be read"]),
        (4, vec!["runtime.toml", "etcd", "line 2"]),
    ] {
        let problem = &told(index)[0];
        for word in words {
            assert!(
                problem["message"].as_str().unwrap().contains(word),
                "{word} in {problem}"
            );
        }
        assert_eq!(problem["line"], 1, "{problem}");
    }
}

#[tokio::test]
async fn a_list_is_checked_with_the_places_of_its_entries() {
    let tool = Tool::new();
    let list = "{\"apps\": [\n  {\"reference\": \"a/b:v1\", \"address\": \"127.0.0.1:1\", \"state_dir\": \"one\"},\n  \
                {\"reference\": \"a/b:v1\", \"address\": \"127.0.0.1:1\"}\n]}\n";
    tool.write("lepton.json", list);
    let ran = tool.run(&["check", "--list"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.starts_with("lepton.json:3:"), "{ran:?}");
    assert!(ran.stdout.contains("held by app one"), "{ran:?}");
}

#[tokio::test]
async fn with_pull_an_app_that_would_not_start_is_refused_and_nothing_is_left_but_the_cache() {
    let tool = Tool::new();
    let runs = Layout::with(&App::of("probe", "1"));
    let needy = App::new("mailer")
        .component(Component::new("the-needy", guest("mailer")))
        .route("/...", "the-needy");
    let needy = Layout::with(&needy);
    let asking = App::new("asking")
        .variable("token", json!({}))
        .component(Component::new("probe", guest("probe")))
        .route("/...", "probe");
    let asking = Layout::with(&asking);
    let app = |reference: String| json!({"reference": reference, "address": "127.0.0.1:0"});
    let mut runs = app(runs.reference("v1"));
    runs["health"] = "/no-such-path".into();
    tool.write("apps/asking.json", &app(asking.reference("v1")).to_string());
    tool.write("apps/needy.json", &app(needy.reference("v1")).to_string());
    tool.write("apps/none.json", &app(needy.reference("v9")).to_string());
    tool.write("apps/runs.json", &runs.to_string());
    let ran = tool.run(&["check", "--pull", "--json", "apps"]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    let report = ran.json();
    let told = |index: usize| {
        report[index]["problems"][0]["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    assert!(
        told(0).contains("the app needs a value for `token`"),
        "{report:#}"
    );
    assert!(
        told(1).contains("the-needy") && told(1).contains("acme:mail"),
        "{report:#}"
    );
    assert!(told(2).contains("v9"), "{report:#}");
    assert_eq!(report[3]["problems"], json!([]), "{report:#}");
    let left: Vec<_> = fs::read_dir(tool.path(""))
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(left, ["apps"]);
    assert!(tool.cache().join("code").is_dir());
    assert_eq!(tool.run(&["check", "apps"]).await.code, 0);
}
