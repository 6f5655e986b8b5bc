use std::path::PathBuf;

use super::super::CallError;
use super::app::App;
use crate::runtime_config::KeyValueStore;
use crate::variables::Secret;

fn file(path: impl Into<PathBuf>) -> KeyValueStore {
    KeyValueStore::Spin {
        path: Some(path.into()),
    }
}

async fn refusal(app: App, label: &str) -> String {
    app.component(&[label])
        .await
        .err()
        .expect("a refused label")
        .to_string()
}

#[tokio::test]
async fn only_listed_labels_are_open_and_default_is_none_by_itself() {
    let app = App::new().with("cache", KeyValueStore::Spin { path: None });
    let component = app.component(&["cache"]).await.unwrap();
    component.open("cache").ok().unwrap();
    for label in ["default", "", "Cache", "cache "] {
        assert_eq!(
            component.open(label).err(),
            Some(CallError::AccessDenied),
            "{label:?}"
        );
    }
}

#[tokio::test]
async fn a_label_without_a_definition_is_refused_with_the_remedy() {
    let app = App::new().with("known", KeyValueStore::Spin { path: None });
    let error = app
        .component(&["default", "cache", "known", "my store"])
        .await
        .err()
        .unwrap()
        .to_string();
    assert_eq!(
        error,
        "the component `cart`: unknown key_value_stores label \"cache\", \"my store\": add \
         `[key_value_store.cache]` and `[key_value_store.\"my store\"]` to the runtime configuration, with a `type`"
    );
}

#[tokio::test]
async fn the_default_store_is_in_spin_ups_file_of_the_state_directory() {
    let app = App::new();
    let component = app.component(&["default"]).await.unwrap();
    let path = app.state_dir().join("sqlite_key_value.db");
    assert!(!path.exists(), "before the first call");
    component
        .open("default")
        .ok()
        .unwrap()
        .set("k", Vec::new())
        .await
        .unwrap();
    assert!(path.exists());
}

#[tokio::test]
async fn a_definition_of_default_is_used_instead() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("made/for/it/kv.db");
    let app = App::new().with("default", file(&path));
    let component = app.component(&["default"]).await.unwrap();
    component
        .open("default")
        .ok()
        .unwrap()
        .set("k", Vec::new())
        .await
        .unwrap();
    assert!(path.exists() && !app.state_dir().join("sqlite_key_value.db").exists());
}

#[tokio::test]
async fn apps_do_not_see_each_other_unless_they_name_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let shop = App::new()
        .with("shared", file(directory.path().join("kv.db")))
        .with("memory", KeyValueStore::Spin { path: None });
    let blog = shop.neighbour("blog");
    let labels = ["default", "shared", "memory"];
    let (ours, theirs) = (
        shop.component(&labels).await.unwrap(),
        blog.component(&labels).await.unwrap(),
    );
    for label in labels {
        ours.open(label).ok().unwrap().set("k", Vec::new()).await.unwrap();
        let seen = theirs.open(label).ok().unwrap().exists("k").await.unwrap();
        assert_eq!(seen, label == "shared", "{label}");
    }
}

#[tokio::test]
async fn two_versions_of_an_app_work_on_the_same_stores() {
    let app = App::new().with("memory", KeyValueStore::Spin { path: None });
    let labels = ["default", "memory"];
    let old = app.component(&labels).await.unwrap();
    let new = app.component(&labels).await.unwrap();
    for label in labels {
        old.open(label).ok().unwrap().set("k", Vec::new()).await.unwrap();
        assert!(new.open(label).ok().unwrap().exists("k").await.unwrap());
    }
}

#[tokio::test]
async fn a_url_that_is_none_is_refused_without_being_shown() {
    let url = Secret::new("http://user:hush@host");
    let error = refusal(App::new().with("cache", KeyValueStore::Redis { url }), "cache").await;
    assert!(
        error.contains("\"cache\"") && error.contains("redis://"),
        "{error}"
    );
    assert!(!error.contains("hush"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_down_keeps_no_app_from_starting() {
    let directory = tempfile::tempdir().unwrap();
    let url = Secret::new(format!(
        "redis+unix://{}",
        directory.path().join("socket").display()
    ));
    let app = App::new().with("cache", KeyValueStore::Redis { url });
    let store = app
        .component(&["cache"])
        .await
        .unwrap()
        .open("cache")
        .ok()
        .unwrap();
    let error = store.get("k").await.unwrap_err();
    assert!(
        error.0.starts_with("no connection to the Redis server: "),
        "{error}"
    );
}

#[cfg(not(feature = "aws"))]
#[tokio::test]
async fn a_type_of_another_build_is_refused_with_the_feature() {
    let store = KeyValueStore::AwsDynamo {
        access_key: None,
        secret_key: None,
        token: None,
        region: "eu-west-1".into(),
        consistent_read: false,
        table: "t".into(),
    };
    let error = refusal(App::new().with("cloud", store), "cloud").await;
    assert!(
        error.contains("\"cloud\"") && error.contains("--features aws"),
        "{error}"
    );
}
