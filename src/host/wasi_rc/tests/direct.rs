//! Guests that use nothing but the release candidates, one for each.

use std::collections::BTreeMap;
use std::convert::Infallible;

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wasmtime_wasi::I32Exit;
use wasmtime_wasi_http::WasiBody;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;

use super::host::{Guest, ask, request};
use crate::host::wasi_rc::Candidate::{self, November, October};

/// The `name=value` lines of a reply.
async fn report(candidate: Candidate, path: &str, headers: &[(&str, &str)]) -> BTreeMap<String, String> {
    let outcome = match ask(Guest::Direct(candidate), request(path, headers, "")).await {
        Ok(outcome) => outcome,
        Err(end) => panic!("{candidate:?} {path}: {end:?}"),
    };
    let (_, _, text) = outcome.text().await;
    let pair = |line: &str| {
        line.split_once('=')
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    text.lines().filter_map(pair).collect()
}

#[track_caller]
fn assert_report(report: &BTreeMap<String, String>, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(
            report.get(*name).map(String::as_str),
            Some(*value),
            "{name}, of {report:#?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_random_numbers_and_the_environment_are_the_stores() {
    for candidate in Candidate::ALL {
        let outcome = ask(Guest::Direct(candidate), request("/system", &[], ""))
            .await
            .unwrap();
        let (stdout, stderr) = (outcome.stdout.clone(), outcome.stderr.clone());
        outcome.text().await;
        assert_eq!(
            (&stdout.contents()[..], &stderr.contents()[..]),
            (&b"out\n"[..], &b"err\n"[..])
        );
        let report = report(candidate, "/system", &[]).await;
        let expected = [
            ("env", r#"[("GREETING", "hi")]"#),
            ("args", ""),
            ("cwd", "None"),
            ("first", "[1]"),
            ("slept", "true"),
            ("resolution", "true"),
            ("wall", "true"),
            ("random", "16"),
            ("differs", "true"),
            ("insecure", "7"),
            ("seed", "true"),
            ("stdin", "0"),
            ("terminals", "false"),
        ];
        assert_report(&report, &expected);
        if candidate == October {
            assert_report(&report, &[("zone", "UTC 0 false")]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_read_written_and_refused() {
    for candidate in Candidate::ALL {
        let report = report(candidate, "/files", &[]).await;
        let expected = [
            ("text", "hello from a file"),
            ("part", r#"Ok(("ello", false))"#),
            ("stat", "DescriptorType::RegularFile 17"),
            ("type", "Ok(DescriptorType::RegularFile)"),
            ("flags", "Ok(DescriptorFlags(READ))"),
            ("advise", "Ok(())"),
            ("same", "true"),
            ("names", "hello.txt"),
            ("steps", "0"),
            ("written", "onetw"),
        ];
        assert_report(&report, &expected);
        for (name, code) in [("missing", "no-entry"), ("refused", "not-permitted")] {
            assert!(report[name].contains(code), "{name} is {}", report[name]);
        }
        if candidate == October {
            assert_report(&report, &[("exists", "Ok(())"), ("unsupported", "true")]);
            assert!(
                report["exists-not"].contains("no-entry"),
                "{}",
                report["exists-not"]
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_spliced_into_another() {
    for candidate in Candidate::ALL {
        let outcome = ask(Guest::Direct(candidate), request("/files", &[], ""))
            .await
            .unwrap();
        let stdout = outcome.stdout.clone();
        outcome.text().await;
        assert_eq!(stdout.contents(), "copied: hello from a file", "{candidate:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_connect_send_and_receive() {
    for candidate in Candidate::ALL {
        let server = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = server.local_addr().unwrap().port().to_string();
        let served = tokio::spawn(async move {
            let (mut connection, _) = server.accept().await.unwrap();
            let mut text = String::new();
            connection.read_to_string(&mut text).await.unwrap();
            connection
                .write_all(text.to_uppercase().as_bytes())
                .await
                .unwrap();
        });
        let report = report(candidate, "/sockets", &[("x-tcp", &port)]).await;
        served.await.unwrap();
        assert_report(
            &report,
            &[
                ("tcp", "OVER TCP"),
                ("udp", "there and back"),
                ("udp-options", "Ok(5) true true"),
            ],
        );
        assert!(
            report["lookup"].starts_with("Err("),
            "names are not looked up: {}",
            report["lookup"]
        );
        assert!(
            report["six"].starts_with("(Ok(true), Ok(()), Err("),
            "{}",
            report["six"]
        );
        assert!(report["six-udp"].starts_with("Err("), "{}", report["six-udp"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_nobody_may_set_are_refused_or_left_out() {
    let october = report(October, "/fields", &[]).await;
    let common = [("copy", "a:1,a:2,b:3"), ("left", "b:3"), ("get", "[[49], [50]]")];
    assert_report(&october, &common);
    let november = report(November, "/fields", &[]).await;
    assert_report(&november, &common);
    assert_report(
        &november,
        &[
            (
                "errors",
                "Err(HeaderError::Forbidden) Err(HeaderError::InvalidSyntax)",
            ),
            ("list", "Err(HeaderError::Forbidden)"),
        ],
    );
}

/// A body in two pieces, with a trailer.
fn body_with_trailers() -> WasiBody {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "42".parse().unwrap());
    let frames = [
        Frame::data(Bytes::from("one ")),
        Frame::data(Bytes::from("two")),
        Frame::trailers(trailers),
    ];
    let stream = futures::stream::iter(frames.map(Ok::<_, Infallible>));
    StreamBody::new(stream)
        .map_err(|never| match never {})
        .boxed_unsync()
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_trailers_go_both_ways() {
    for candidate in Candidate::ALL {
        let request = request("/echo", &[], "").map(|_| body_with_trailers());
        let outcome = ask(Guest::Direct(candidate), request).await.unwrap();
        let (head, body) = outcome.response.unwrap().into_parts();
        assert_eq!(head.status, 201);
        assert_eq!(head.headers["x-method"], "Method::Post");
        assert_eq!(head.headers["x-parts"], "Some(Scheme::Http) app.example");
        assert!(!head.headers.contains_key("connection"));
        let body = body.collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["x-sum"], "42");
        assert_eq!(body.to_bytes(), "one two");
        outcome.guest.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_that_never_came_are_empty() {
    for candidate in Candidate::ALL {
        let outcome = ask(Guest::Direct(candidate), request("/echo", &[], "text"))
            .await
            .unwrap();
        let body = outcome.response.unwrap().into_body().collect().await.unwrap();
        assert!(body.trailers().is_none_or(HeaderMap::is_empty));
        assert_eq!(body.to_bytes(), "text");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_goes_out_with_its_timeouts() {
    for candidate in Candidate::ALL {
        let headers = [("x-authority", "peer.example")];
        let outcome = ask(Guest::Direct(candidate), request("/fetch", &headers, "payload"))
            .await
            .unwrap();
        let sent = outcome.sent().remove(0);
        assert_eq!(sent.line, "POST http://peer.example/there?q");
        assert_eq!(
            (&sent.headers["host"], &sent.headers["x-from"]),
            (&"peer.example".parse().unwrap(), &"guest".parse().unwrap())
        );
        let options = sent.options.unwrap();
        let millis = |duration: Option<std::time::Duration>| duration.map(|duration| duration.as_millis());
        assert_eq!(millis(options.connect_timeout), Some(250));
        assert_eq!(millis(options.first_byte_timeout), None);
        assert_eq!(millis(options.between_bytes_timeout), Some(500));
        let (status, headers, text) = outcome.text().await;
        assert_eq!((status, text.as_str()), (203, "got payload"));
        assert_eq!(headers["x-kind"], "canned");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_authority_is_for_the_guests_own_host_in_october() {
    let outcome = ask(Guest::Direct(October), request("/fetch", &[], ""))
        .await
        .unwrap();
    assert_eq!(outcome.sent().remove(0).line, "POST http://:80/there?q");
    outcome.text().await;
    let outcome = ask(Guest::Direct(November), request("/fetch", &[], ""))
        .await
        .unwrap();
    assert!(outcome.sent().is_empty());
    assert_eq!(outcome.text().await.2, "ErrorCode::HttpRequestUriInvalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_keeps_its_meaning() {
    for (candidate, error) in [
        (October, "Error::TimeoutError(\"ErrorCode::ConnectionTimeout\")"),
        (November, "ErrorCode::ConnectionTimeout"),
    ] {
        let headers = [("x-authority", "late.example")];
        let outcome = ask(Guest::Direct(candidate), request("/fetch", &headers, ""))
            .await
            .unwrap();
        let (status, _, text) = outcome.text().await;
        assert_eq!((status, text.as_str()), (502, error));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_may_refuse_a_request() {
    let outcome = ask(Guest::Direct(October), request("/refuse", &[], ""))
        .await
        .unwrap();
    let refused = outcome.response.err();
    assert!(
        matches!(&refused, Some(ErrorCode::InternalError(Some(text))) if text == "protocol error: no"),
        "{refused:?}"
    );
    let outcome = ask(Guest::Direct(November), request("/refuse", &[], ""))
        .await
        .unwrap();
    assert!(matches!(outcome.response, Err(ErrorCode::LoopDetected)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_ends_the_guest_with_its_status() {
    for candidate in Candidate::ALL {
        let end = ask(Guest::Direct(candidate), request("/exit", &[], ""))
            .await
            .err()
            .expect("no response");
        let exit = end.result.expect_err("the guest does not return");
        assert_eq!(exit.downcast_ref::<I32Exit>().map(|exit| exit.0), Some(1));
    }
}
