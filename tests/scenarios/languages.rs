//! Apps as people write them in other languages: each uses the stores, the database, its variables and another server.

use crate::support::guests::large_guest;
use crate::support::prelude::*;

/// `tests/guests/{js-apis,py-apis2,py-apis3}`
async fn is_given_what_it_asks_for(language: &str) {
    let (_other, _other_layout, target) = served(&App::of("probe", "1")).await;
    let component = Component::new("apis", large_guest(language))
        .grant("key_value_stores", "default")
        .grant("databases", "default")
        .config("greeting", "{{ word }}, you")
        .allow(&format!("http://{target}"));
    let app = App::new(language)
        .component(component)
        .variable("word", json!({"default": "hello"}))
        .route("/...", "apis");
    let (mut daemon, _layout, address) = served(&app).await;
    let text = async |address, path: &str| get(address, path).await.unwrap().text().trim_end().to_owned();
    assert!(text(address, "/kv/a").await.starts_with("a 1"), "{language}");
    assert!(text(address, "/kv/a").await.starts_with("a 2"), "{language}");
    assert_eq!(text(address, "/sql?first").await, "1 first", "{language}");
    assert_eq!(
        text(address, "/sql?second").await,
        "1 first, 2 second",
        "{language}"
    );
    assert_eq!(text(address, "/var/greeting").await, "hello, you", "{language}");
    assert!(
        text(address, "/var/other").await.starts_with("error"),
        "{language}"
    );
    let fetched = text(address, &format!("/fetch?http://{target}/version")).await;
    assert_eq!(fetched, "200 1", "{language}");
    let denied = text(address, "/fetch?http://127.0.0.2:9/").await;
    assert!(denied.starts_with("error"), "{language}: {denied}");
    daemon.wait_log("http://127.0.0.2:9").await;

    daemon.crash().await;
    daemon.start_again().await;
    let address = daemon.address("app").await;
    assert!(text(address, "/kv/a").await.starts_with("a 3"), "{language}");
    assert_eq!(text(address, "/sql").await, "1 first, 2 second", "{language}");
}

#[tokio::test]
async fn javascript_is_given_what_it_asks_for_and_keeps_it_after_a_crash() {
    is_given_what_it_asks_for("js-apis").await;
}

#[tokio::test]
async fn python_of_the_second_generation_is_given_what_it_asks_for_and_keeps_it_after_a_crash() {
    is_given_what_it_asks_for("py-apis2").await;
}

#[tokio::test]
async fn python_of_the_third_generation_is_given_what_it_asks_for_and_keeps_it_after_a_crash() {
    is_given_what_it_asks_for("py-apis3").await;
}
