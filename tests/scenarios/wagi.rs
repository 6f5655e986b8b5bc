//! The Wagi executor (docs/contract/http-trigger.md §6.3): commands as CGI programs.

use http::{HeaderValue, Method};
use serde_json::Value;

use crate::support::client::{empty, full, request};
use crate::support::guests::repository;
use crate::support::prelude::*;
use crate::support::raw::Raw;

fn wagi(route: &str, component: &str) -> Value {
    json!({"component": component, "route": route, "executor": {"type": "wagi"}})
}

/// `guest` behind every path below `/w`.
fn program(name: &str) -> App {
    let component = Component::new("cgi", guest(name))
        .env("GREETING", "good day")
        .file("data.txt", "from a file");
    App::new("cgi")
        .component(component)
        .trigger(wagi("/w/...", "cgi"))
}

#[tokio::test]
async fn a_go_program_that_spin_pushed_runs() {
    let daemon = Daemon::start().await;
    let fixture = repository().join("tests/fixtures/oci/wagi-v1");
    let file = json!({"reference": format!("oci:{}:v1", fixture.display()), "address": "127.0.0.1:0"});
    let address = daemon.serve("go", &file).await;
    for _ in 0..2 {
        let reply = get(address, "/w/some/path?a=1&b=2").await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.text()), (200, "hello /some/path\n"));
        assert_eq!(reply.header("content-type"), Some("text/plain"));
    }
}

#[tokio::test]
async fn a_program_is_told_of_its_request_as_a_component_and_as_a_module() {
    for name in ["cgi", "cgi-core"] {
        let (daemon, _layout, address) = served(&program(name)).await;
        let mut asked = request(Method::POST, "/w/a%20b?x=1&y=%26", full("the input"));
        let headers = asked.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("text/x-test"));
        headers.insert("authorization", HeaderValue::from_static("secret"));
        headers.insert("x-client", HeaderValue::from_static("yes"));
        let mut connection = Connection::open(address).await.unwrap();
        let reply = connection.send(asked).await.unwrap();
        let text = reply.text();
        let arguments: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("arg "))
            .collect();
        assert_eq!(arguments, ["/w/a%20b", "x=1", "y=%26"], "{name}");
        for line in [
            "env GREETING=good day",
            "env GATEWAY_INTERFACE=CGI/1.1",
            "env SERVER_SOFTWARE=WAGI/1",
            "env SERVER_PROTOCOL=HTTP/1.1",
            "env SERVER_NAME=127.0.0.1",
            "env REQUEST_METHOD=POST",
            "env QUERY_STRING=x=1&y=%26",
            "env SCRIPT_NAME=/w",
            "env PATH_INFO=/a%20b",
            "env X_RAW_PATH_INFO=/a%20b",
            "env PATH_TRANSLATED=/a b",
            "env CONTENT_LENGTH=9",
            "env CONTENT_TYPE=",
            "env REMOTE_ADDR=127.0.0.1",
            "env HTTP_CONTENT_TYPE=text/x-test",
            "env HTTP_X_CLIENT=yes",
            "env X_MATCHED_ROUTE=/w/...",
            "env X_COMPONENT_ROUTE=/w",
            "env X_BASE_PATH=/",
            "input Ok(9) the input",
        ] {
            assert!(text.lines().any(|have| have == line), "{name}: {line} in {text}");
        }
        for hidden in ["secret", "HTTP_SPIN"] {
            assert!(!text.contains(hidden), "{name}: {text}");
        }
        daemon.wait_log("reporting").await;
    }
}

#[tokio::test]
async fn no_header_of_a_client_passes_for_one_of_a_proxy_or_of_the_host() {
    const PROXY: &str = "127.0.0.2";
    let layout = Layout::with(&program("cgi"));
    let daemon = Daemon::builder().arg("--trusted-proxy").arg(PROXY).start().await;
    let address = daemon.serve("app", &layout.file("v1")).await;
    let variables = async |source: &str, headers: &str| {
        let mut raw = Raw::open_from(source, address).await;
        raw.write(format!(
            "GET /w/x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n"
        ))
        .await;
        let reply = raw.read_all().await;
        assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
        reply
    };
    let forged = "Proxy: forged\r\nPROXY_: forged\r\nX_Forwarded_For: forged\r\nX-Forwarded_For: forged\r\n\
        X_Real-IP: forged\r\nSpin_Client_Addr: forged\r\nSpin-Client-Addr: forged\r\nContent_Length: 7\r\nX_Own: forged\r\n\
        X-Own: yes\r\n";
    for source in ["127.0.0.3", PROXY] {
        let reply = variables(source, forged).await;
        assert!(!reply.contains("forged"), "{source}: {reply}");
        for line in [
            "env HTTP_X_OWN=yes".to_owned(),
            "env CONTENT_LENGTH=0".to_owned(),
            format!("env REMOTE_ADDR={source}"),
        ] {
            assert!(
                reply.lines().any(|have| have == line),
                "{source}: {line} in {reply}"
            );
        }
    }
    // What a trusted proxy says itself is not hidden behind what its client has said.
    let both = format!("X-Forwarded-For: 203.0.113.7\r\n{forged}");
    let reply = variables(PROXY, &both).await;
    for line in [
        "env HTTP_X_FORWARDED_FOR=203.0.113.7",
        "env REMOTE_ADDR=203.0.113.7",
    ] {
        assert!(reply.lines().any(|have| have == line), "{line} in {reply}");
    }
    let reply = variables("127.0.0.3", &both).await;
    assert!(!reply.contains("FORWARDED"), "{reply}");
}

#[tokio::test]
async fn what_a_program_prints_is_the_response() {
    for name in ["cgi", "cgi-core"] {
        let (_daemon, _layout, address) = served(&program(name)).await;
        for (path, status, body) in [
            ("/redirect", 302, ""),
            ("/status", 418, "short and stout\n"),
            ("/odd-status", 502, ""),
            (
                "/plain",
                500,
                "Exactly one of 'location' or 'content-type' must be specified",
            ),
            ("/silent", 500, ""),
            ("/exit", 500, ""),
            ("/exit-well", 200, "well\n"),
            ("/trap", 500, ""),
            ("/file", 200, "from a file\n"),
        ] {
            let reply = get(address, &format!("/w{path}")).await.unwrap();
            assert_eq!(
                (reply.status.as_u16(), reply.text()),
                (status, body),
                "{name} {path}"
            );
        }
        let teapot = get(address, "/w/status").await.unwrap();
        assert_eq!(teapot.header("x-kind"), Some("pot"));
        let large = get(address, "/w/bytes?3000000").await.unwrap();
        assert_eq!(large.body.len(), 3_000_000, "{name}");
        let mut connection = Connection::open(address).await.unwrap();
        let head = connection
            .send(request(Method::HEAD, "/w/file", empty()))
            .await
            .unwrap();
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    }
}

#[tokio::test]
async fn arguments_and_captures_are_those_of_the_trigger() {
    let component = Component::new("cgi", guest("cgi-core"));
    let trigger = json!({
        "component": "cgi",
        "route": "/u/:user_id/...",
        "executor": {"type": "wagi", "argv": "first ${SCRIPT_NAME} ${ARGS} last"},
    });
    let app = App::new("cgi").component(component).trigger(trigger);
    let (_daemon, _layout, address) = served(&app).await;
    let reply = get(address, "/u/7/x").await.unwrap();
    let text = reply.text();
    let arguments: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("arg "))
        .collect();
    assert_eq!(arguments, ["first", "/u/7/x", "", "last"]);
    for line in ["env X_PATH_MATCH_USER_ID=7", "env SCRIPT_NAME=/u/:user_id"] {
        assert!(text.lines().any(|have| have == line), "{line} in {text}");
    }
}

#[tokio::test]
async fn what_can_not_be_run_as_a_program_is_refused_with_the_remedy() {
    let daemon = Daemon::start().await;
    let handler = App::new("a")
        .component(Component::new("hello", guest("hello")))
        .trigger(wagi("/...", "hello"));
    let layout = Layout::with(&handler);
    daemon.write_app("handler", &layout.file("v1"));
    daemon.wait_error("handler", "exports no `wasi:cli/run`").await;
    let command = App::new("b")
        .component(Component::new("cgi", guest("cgi-core")))
        .route("/...", "cgi");
    let layout = Layout::with(&command);
    daemon.write_app("command", &layout.file("v1"));
    daemon.wait_error("command", "executor `wagi`").await;
}
