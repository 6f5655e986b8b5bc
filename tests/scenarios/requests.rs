//! Requests of every kind, and what guests print.

use http::Method;

use crate::support::client::{empty, request};
use crate::support::prelude::*;
use crate::support::raw::Raw;

#[tokio::test]
async fn a_head_has_the_head_of_the_response_and_no_body() {
    let (_daemon, _layout, address) = served(&App::of("probe", "1")).await;
    let mut raw = Raw::open(address).await;
    raw.write("HEAD /version HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await;
    let reply = raw.read_all().await;
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
    assert!(reply.contains("x-version: 1\r\n"), "{reply}");
    assert!(reply.ends_with("\r\n\r\n"), "{reply}");
}

#[tokio::test]
async fn what_must_have_no_body_has_none_in_either_version() {
    let body = |status: u16| json!({"status_code": status, "headers": {"x-own": "yes"}, "body": "text"});
    let component = Component::new("probe", guest("probe")).env("VERSION", "1");
    let app = App::new("probe")
        .component(component)
        .route("/...", "probe")
        .static_response("/static", body(200))
        .static_response("/none", body(204))
        .static_response("/same", body(304));
    let (_daemon, _layout, address) = served(&app).await;
    for connection in [
        Connection::open(address).await,
        Connection::open_h2(address).await,
    ] {
        let mut connection = connection.unwrap();
        for (method, path, status, length) in [
            (Method::HEAD, "/version", 200, None),
            (Method::HEAD, "/bytes?n=1000000", 200, None),
            (Method::HEAD, "/static", 200, Some("4")),
            (Method::GET, "/none", 204, None),
            (Method::HEAD, "/none", 204, None),
            (Method::GET, "/same", 304, None),
            (Method::GET, "/static", 200, Some("4")),
        ] {
            let reply = connection
                .send(request(method.clone(), path, empty()))
                .await
                .unwrap();
            assert_eq!(reply.status, status, "{method} {path}");
            let expected = if method == Method::GET && status == 200 {
                "text"
            } else {
                ""
            };
            assert_eq!(reply.text(), expected, "{method} {path}");
            if length.is_some() || status == 204 {
                assert_eq!(reply.header("content-length"), length, "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn any_method_reaches_the_guest_over_either_version() {
    let (_daemon, _layout, address) = served(&App::of("probe", "1")).await;
    for connection in [
        Connection::open(address).await,
        Connection::open_h2(address).await,
    ] {
        let mut connection = connection.unwrap();
        for method in ["PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "BREW"] {
            let asked = request(
                Method::from_bytes(method.as_bytes()).unwrap(),
                "/echo?q=1",
                empty(),
            );
            let reply = connection.send(asked).await.unwrap();
            assert_eq!(
                (reply.line("method"), reply.line("target")),
                (Some(method), Some("/echo?q=1"))
            );
        }
    }
}

#[tokio::test]
async fn every_header_of_the_host_s_is_taken_out_of_what_a_client_sends() {
    let (_daemon, _layout, address) = served(&App::of("probe", "1")).await;
    for connection in [
        Connection::open(address).await,
        Connection::open_h2(address).await,
    ] {
        let mut forged = request(Method::GET, "/echo", empty());
        for name in [
            "spin-path-info",
            "spin-full-url",
            "spin-matched-route",
            "spin-base-path",
            "spin-raw-component-route",
            "spin-component-route",
            "spin-client-addr",
            "spin-path-match-name",
        ] {
            forged.headers_mut().insert(name, "forged".parse().unwrap());
        }
        let reply = connection.unwrap().send(forged).await.unwrap();
        assert!(!reply.text().contains("forged"), "{}", reply.text());
        let client = reply.line("header spin-client-addr").unwrap();
        assert!(client.starts_with("127.0.0.1:"), "{client}");
    }
}

#[tokio::test]
async fn what_a_guest_prints_is_in_the_log_with_its_app_and_component() {
    for name in ["probe", "probe3"] {
        let (daemon, _layout, address) = served(&App::of(name, "1")).await;
        get(address, "/print?text=to-the-output&error=to-the-errors")
            .await
            .unwrap();
        let line = daemon.wait_log("to-the-output").await;
        for part in ["app=app", &format!("component={name}"), "stdout"] {
            assert!(line.contains(part), "{part} in {line}");
        }
    }
    let (daemon, _layout, address) = served(&App::of("probe", "1")).await;
    get(address, "/print?text=x&error=to-the-errors").await.unwrap();
    assert!(daemon.wait_log("to-the-errors").await.contains("stderr"));
}

#[tokio::test]
async fn a_guest_is_given_its_environment_and_no_arguments_of_the_host_s() {
    let (_daemon, _layout, address) = served(&App::of("probe", "1")).await;
    assert_eq!(get(address, "/env").await.unwrap().text(), "VERSION=1\n");
    let arguments = get(address, "/args").await.unwrap();
    assert!(!arguments.text().contains("tauon"), "{}", arguments.text());
}

#[tokio::test]
async fn at_start_each_app_logs_its_routes_and_its_real_address() {
    let app = App::of("probe", "1")
        .route("/user/:name", "probe")
        .static_response("/fixed", json!({"status_code": 200, "headers": {}, "body": "x"}));
    let (daemon, _layout, address) = served(&app).await;
    for route in [" (wildcard)", "/user/:name", "/fixed"] {
        daemon.wait_log(&format!("http://{address}{route}")).await;
    }
    daemon.wait_log(&format!("serving http://{address}")).await;
}

#[tokio::test]
async fn a_large_body_comes_through_whole() {
    const BYTES: usize = 8 * 1024 * 1024;
    let (_daemon, _layout, address) = served(&App::of("probe", "1")).await;
    let reply = get(address, &format!("/bytes?n={BYTES}")).await.unwrap();
    assert_eq!(reply.body.len(), BYTES);
    assert!(
        reply
            .body
            .iter()
            .enumerate()
            .all(|(n, &byte)| byte == (n % 251) as u8)
    );
}
