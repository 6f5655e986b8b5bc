//! An app made with spin-sdk 2.2: its HTTP is October's, its system that of the preview 1 adapter.

use http_body_util::BodyExt;

use super::host::{Guest, ask, request};

#[tokio::test(flavor = "multi_thread")]
async fn an_app_of_spin_2_sees_its_request_and_its_system() {
    let headers = [("x-greeting", "hello"), ("connection", "close")];
    let outcome = ask(Guest::Sdk2, request("/report?a=b", &headers, "some text"))
        .await
        .unwrap();
    let stdout = outcome.stdout.clone();
    let (status, headers, text) = outcome.text().await;
    assert_eq!(
        (status, headers["content-type"].as_bytes()),
        (200, &b"text/plain"[..])
    );
    let expected = "method=POST\npath=/report?a=b\nauthority=app.example\nx-greeting=hello\nbody=SOME TEXT\nenv=hi\n\
                    file=hello from a file\nwrite=true\nclocks=true\nrandom=true\n";
    assert_eq!(text, expected);
    assert_eq!(stdout.contents(), "reporting\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_is_streamed_while_the_guest_goes_on() {
    let outcome = ask(Guest::Sdk2, request("/stream", &[], "")).await.unwrap();
    let mut response = outcome.response.unwrap();
    assert_eq!(response.headers()["x-kind"], "stream");
    let first = response
        .body_mut()
        .frame()
        .await
        .unwrap()
        .unwrap()
        .into_data()
        .unwrap();
    assert_eq!(first, "piece 0\n");
    assert!(
        !outcome.guest.is_finished(),
        "the host buffers less than what is still to come"
    );
    let rest = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(rest, "piece 1\npiece 2\npiece 3\npiece 4\n");
    outcome.guest.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_the_guests_reaches_the_peer_without_its_host_header() {
    let headers = [("x-url", "http://peer.example:81/there?x=y")];
    let outcome = ask(Guest::Sdk2, request("/fetch", &headers, "payload"))
        .await
        .unwrap();
    let sent = outcome.sent().remove(0);
    assert_eq!(sent.line, "PUT http://peer.example:81/there?x=y");
    assert_eq!(
        (&sent.headers["host"], &sent.headers["x-from"]),
        (&"peer.example:81".parse().unwrap(), &"guest".parse().unwrap())
    );
    assert_eq!(sent.body, "payload");
    let (status, _, text) = outcome.text().await;
    assert_eq!((status, text.as_str()), (200, "203 got payload"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_request_reaches_the_guest_as_an_error_of_october() {
    let headers = [("x-url", "http://late.example/")];
    let outcome = ask(Guest::Sdk2, request("/fetch", &headers, "")).await.unwrap();
    let (status, _, text) = outcome.text().await;
    assert_eq!(
        (status, text.as_str()),
        (502, "Http(Error::TimeoutError(\"ErrorCode::ConnectionTimeout\"))")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_returns_or_panics_without_a_response_is_told_apart() {
    let silent = ask(Guest::Sdk2, request("/silent", &[], ""))
        .await
        .err()
        .expect("no response");
    assert!(silent.result.is_ok(), "the guest returned: {silent:?}");
    let panicked = ask(Guest::Sdk2, request("/panic", &[], ""))
        .await
        .err()
        .expect("no response");
    assert!(panicked.result.is_err(), "the guest trapped");
}
