//! The admin API at an address: who may ask, what is described and answered, what is counted.

use std::collections::BTreeSet;
use std::fs;
use std::process::Output;

use http::Method;
use rustix::process::Signal;
use serde_json::Value;
use tokio::process::Command;

use crate::support::admin::{AdminApi, address, with_token};
use crate::support::client::Reply;
use crate::support::guests::cache;
use crate::support::prelude::*;
use crate::support::registry::free_port;
use crate::support::tls::Authority;
use crate::support::tls_client::TlsClient;
use crate::support::wait::until;

const TOKEN: &str = "a-token-of-the-tests";
/// Of one operation; what is asked is the same each time.
const EXAMPLES: &str = "20";
const SEED: &str = "7";

async fn started() -> (Daemon, AdminApi) {
    with_token(Daemon::builder(), TOKEN).await
}

fn is_problem(reply: &Reply, status: u16, path: &str) {
    assert_eq!(reply.status, status);
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    let problem: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(problem["status"], status);
    assert_eq!(problem["instance"], path);
    assert!(!problem["detail"].as_str().unwrap().is_empty());
}

/// Waits for a series to have a value.
async fn counted(api: &AdminApi, series: &str, value: f64) {
    until(&format!("{series} to be {value}"), async || {
        match api.series(series).await {
            Some(found) if found == value => Ok(()),
            found => Err(format!("{found:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn only_who_has_a_token_of_the_moment_is_answered() {
    let (daemon, api) = started().await;
    let (nobody, other) = (api.with(None), api.with(Some("another-token")));
    for stranger in [&nobody, &other] {
        for path in ["/status", "/metrics", "/openapi.json", "/health", "/nowhere"] {
            let reply = stranger.get(path).await;
            is_problem(&reply, 401, path);
            assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"lepton\""));
        }
        let redeploy = stranger.ask(Method::POST, "/apps/app/redeploy").await;
        is_problem(&redeploy, 401, "/apps/app/redeploy");
        assert_eq!(stranger.get("/livez").await.status, 200);
    }
    assert_eq!(api.get("/status").await.status, 200);
    is_problem(&api.get("/nowhere").await, 404, "/nowhere");
    let not_known = api.ask(Method::DELETE, "/status").await;
    is_problem(&not_known, 405, "/status");
    assert_eq!(not_known.header("allow"), Some("GET,HEAD"));

    // While both are there, both are good.
    let tokens = daemon.root().join("home/tokens");
    fs::write(&tokens, format!("{TOKEN}\nanother-token\n")).unwrap();
    assert_eq!(api.get("/status").await.status, 200);
    assert_eq!(other.get("/status").await.status, 200);
    fs::write(&tokens, "another-token").unwrap();
    assert_eq!(api.get("/status").await.status, 401);
    assert_eq!(other.get("/status").await.status, 200);

    fs::remove_file(&tokens).unwrap();
    is_problem(&other.get("/status").await, 401, "/status");
    daemon.wait_log("can't be read").await;
    assert_eq!(
        daemon.status().await["source_read"],
        true,
        "the socket asks for none"
    );
}

/// Starts a daemon with these arguments, which can't run with them.
async fn refused(arguments: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tauon"))
        .current_dir(directory.path())
        .env("HOME", directory.path())
        .arg("--socket")
        .arg(directory.path().join("socket"))
        .args(arguments)
        .output()
        .await
        .unwrap();
    assert!(!output.status.success());
    said(&output)
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[tokio::test]
async fn an_address_is_opened_for_somebody_and_not_for_everybody() {
    let address = ["--admin-address", "127.0.0.1:0"];
    for (arguments, told) in [
        (
            &[][..],
            "everybody could redeploy apps: say who may, with --admin-token-file or --admin-client-ca",
        ),
        (
            &["--admin-client-ca", "ca.pem"][..],
            "--admin-client-ca needs --admin-tls",
        ),
        (
            &["--admin-token-file", "none"][..],
            "the tokens of --admin-token-file none can't be read",
        ),
        (
            &["--admin-token-file", "/dev/null"][..],
            "/dev/null of --admin-token-file holds no token",
        ),
        (
            &["--admin-token-file", "/dev/null", "--admin-tls", "cert.pem"][..],
            "the form is CERT,KEY",
        ),
    ] {
        let text = refused(&[&address[..], arguments].concat()).await;
        assert!(text.contains(told), "{told} in\n{text}");
    }
    let text = refused(&["--admin-token-file", "tokens"]).await;
    assert!(text.contains("--admin-address"), "{text}");
}

#[tokio::test]
async fn certificates_of_clients_may_say_who_asks() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let builder = Daemon::builder();
    let home = builder.watched().parent().unwrap().join("home");
    authority.sign("127.0.0.1").write(&home, "own");
    fs::write(home.join("ca.pem"), authority.certificate()).unwrap();
    let arguments = [
        ["--admin-address", "127.0.0.1:0"],
        ["--admin-tls", "home/own.pem,home/own.key"],
        ["--admin-client-ca", "home/ca.pem"],
    ];
    let builder = arguments
        .into_iter()
        .flatten()
        .fold(builder, |builder, argument| builder.arg(argument));
    let daemon = builder.start().await;
    let address = address(&daemon).await;
    let client = TlsClient::trusting(&authority.certificate());
    let shown = client.clone().showing(&authority.sign("operator"));
    let reply = shown.get(address, "127.0.0.1", "/status").await.unwrap();
    assert_eq!(reply.status, 200);
    assert!(client.get(address, "127.0.0.1", "/livez").await.is_err());
    let other = client.clone().showing(&stranger.sign("operator"));
    assert!(other.get(address, "127.0.0.1", "/status").await.is_err());

    // The files are read again.
    fs::write(home.join("ca.pem"), stranger.certificate()).unwrap();
    until("the other authority to be trusted", async || {
        other.get(address, "127.0.0.1", "/status").await.map(drop)
    })
    .await;
    assert!(shown.get(address, "127.0.0.1", "/status").await.is_err());
}

#[tokio::test]
async fn every_route_answers_as_it_is_described() {
    let (daemon, api) = started().await;
    let layout = Layout::with(&App::of("probe", "1"));
    daemon.serve("app", &layout.file("v1")).await;
    let document = api.json("/openapi.json").await;
    validated(&daemon, &document).await;
    let mut asked = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            for id in ["app", "no app"] {
                let path = path.replace("{id}", &id.replace(' ', "%20"));
                if path == "/status/watch" {
                    continue;
                }
                let reply = api.ask(method.clone(), &path).await;
                let described = &operation["responses"][reply.status.as_str()];
                assert!(described.is_object(), "{method} {path}: {}", reply.status);
                let content = described["content"].as_object();
                let expected = content.and_then(|content| content.keys().next());
                assert_eq!(
                    reply.header("content-type"),
                    expected.map(String::as_str),
                    "{path}"
                );
                asked.insert(format!("{method} {path} {}", reply.status.as_u16()));
            }
        }
    }
    let expected = [
        "GET /apps/app 200",
        "GET /apps/app/history 200",
        "GET /apps/app/logs 200",
        "GET /apps/app/traffic 200",
        "GET /apps/no%20app 404",
        "GET /apps/no%20app/history 404",
        "GET /apps/no%20app/logs 404",
        "GET /apps/no%20app/traffic 404",
        "GET /health 200",
        "GET /livez 200",
        "GET /metrics 200",
        "GET /openapi.json 200",
        "GET /readyz 200",
        "GET /status 200",
        "GET /traffic 200",
        "DELETE /apps/app/rollback 409",
        "DELETE /apps/no%20app/rollback 404",
        "POST /apps/app/backup 409",
        "POST /apps/app/redeploy 202",
        "POST /apps/app/rollback 422",
        "POST /apps/no%20app/backup 404",
        "POST /apps/no%20app/redeploy 404",
        "POST /apps/no%20app/rollback 404",
        "POST /plan 415",
    ];
    assert_eq!(asked, BTreeSet::from(expected.map(str::to_owned)));

    let status = api.json("/status").await;
    assert_eq!(
        api.json("/apps/app").await["reference"],
        status["apps"]["app"]["reference"]
    );
    let properties = &document["components"]["schemas"]["AppStatus"]["properties"];
    for member in status["apps"]["app"].as_object().unwrap().keys() {
        assert!(properties[member]["description"].is_string(), "{member}");
    }
}

/// Has another program look at the document.
async fn validated(daemon: &Daemon, document: &Value) {
    let file = daemon.root().join("openapi.json");
    fs::write(&file, document.to_string()).unwrap();
    let output = Command::new(server("openapi-spec-validator"))
        .arg(&file)
        .output()
        .await;
    let output = output.expect("tests/setup brings it");
    assert!(output.status.success(), "{}", said(&output));
}

fn server(name: &str) -> std::path::PathBuf {
    cache().join("servers/bin").join(name)
}

#[tokio::test]
async fn nothing_that_the_description_allows_is_answered_otherwise() {
    let (daemon, api) = started().await;
    let layout = Layout::with(&App::of("probe", "1"));
    daemon.serve("app", &layout.file("v1")).await;
    let run = Command::new(server("schemathesis"))
        .current_dir(daemon.root())
        .env("HYPOTHESIS_STORAGE_DIRECTORY", daemon.root().join("hypothesis"))
        .arg("run")
        .arg(format!("http://{}/openapi.json", api.address))
        .arg("--header")
        .arg(format!("Authorization:Bearer {TOKEN}"))
        // It answers until the client leaves.
        .args(["--exclude-path", "/status/watch"])
        .args(["--phases", "examples,coverage,fuzzing", "--checks", "all"])
        .args(["--max-examples", EXAMPLES, "--seed", SEED, "--no-color"])
        .output()
        .await
        .expect("tests/setup brings it");
    assert!(run.status.success(), "{}", said(&run));
    assert!(daemon.status().await["apps"]["app"]["state"] == "running");
}

#[tokio::test]
async fn requests_count_from_the_first_one_and_over_versions_until_the_app_is_gone() {
    let (daemon, api) = started().await;
    let mut layout = Layout::with(&App::of("probe", "1"));
    let digest = layout.add("v2", &App::of("probe", "2"));
    let address = format!("127.0.0.1:{}", free_port());
    let file = |tag| {
        let mut file = layout.file(tag);
        file["address"] = json!(address);
        file
    };
    let served = daemon.serve("app", &file("v1")).await;
    counted(&api, r#"lepton_apps{state="running"}"#, 1.0).await;
    assert!(!api.get("/metrics").await.text().contains("app=\"app\""));
    assert_eq!(api.json("/apps/app").await["traffic"], Value::Null);

    for path in [
        "/version",
        "/version",
        "/status?code=404",
        "/status?code=503",
        "/trap",
    ] {
        get(served, path).await.unwrap();
    }
    for (series, value) in [
        (r#"lepton_http_requests_total{app="app",code="2xx"}"#, 2.0),
        (r#"lepton_http_requests_total{app="app",code="4xx"}"#, 1.0),
        (r#"lepton_http_requests_total{app="app",code="5xx"}"#, 2.0),
        (r#"lepton_http_request_duration_seconds_count{app="app"}"#, 5.0),
        (
            r#"lepton_http_request_duration_seconds_bucket{le="+Inf",app="app"}"#,
            5.0,
        ),
        (r#"lepton_guest_failures_total{app="app",kind="trap"}"#, 1.0),
        (r#"lepton_http_requests_in_flight{app="app"}"#, 0.0),
        (r#"lepton_instances{app="app"}"#, 0.0),
        (r#"lepton_app_redeploys_total{app="app"}"#, 0.0),
        ("lepton_fetch_failures_total", 0.0),
        ("lepton_file_changes_total", 1.0),
    ] {
        counted(&api, series, value).await;
    }
    let version = env!("CARGO_PKG_VERSION");
    counted(&api, &format!("lepton_build_info{{version=\"{version}\"}}"), 1.0).await;
    let memory = api.series("process_resident_memory_bytes").await.unwrap();
    assert!(memory > 10e6 && api.series("process_open_fds").await.unwrap() > 5.0);

    // One that has not ended, at its instance.
    let mut slow = Connection::open(served).await.unwrap();
    let slow = tokio::spawn(async move { slow.get("/sleep?ms=600000").await.map(drop) });
    counted(&api, r#"lepton_http_requests_in_flight{app="app"}"#, 1.0).await;
    counted(&api, r#"lepton_instances{app="app"}"#, 1.0).await;
    let status = daemon.status().await;
    let traffic = &status["apps"]["app"]["traffic"];
    assert_eq!(traffic["requests"], 6);
    assert_eq!(
        (&traffic["failed"], &traffic["in_flight"]),
        (&json!(2), &json!(1))
    );
    assert!(traffic["last_request"].as_str().unwrap().ends_with('Z'));
    slow.abort();
    counted(&api, r#"lepton_http_requests_total{app="app",code="4xx"}"#, 2.0).await;

    daemon.write_app("app", &file("v2"));
    let app = daemon.wait_digest("app", &digest).await;
    get(app.address(), "/version").await.unwrap();
    counted(&api, r#"lepton_http_requests_total{app="app",code="2xx"}"#, 3.0).await;
    counted(&api, r#"lepton_app_redeploys_total{app="app"}"#, 1.0).await;

    daemon.remove_app("app");
    daemon.wait_gone("app").await;
    assert!(!api.get("/metrics").await.text().contains("app=\"app\""));
}

/// The sum of a member of all steps of the last minutes.
fn sum(traffic: &Value, member: &str) -> u64 {
    let steps = traffic["steps"].as_array().unwrap();
    steps.iter().map(|step| step[member].as_u64().unwrap()).sum()
}

#[tokio::test]
async fn the_last_minutes_are_told_in_steps_from_the_first_request_until_the_app_is_gone() {
    let (daemon, api) = started().await;
    let layout = Layout::with(&App::of("probe", "1"));
    let asked = daemon.serve("asked", &layout.file("v1")).await;
    daemon.serve("idle", &layout.file("v1")).await;
    for path in ["/version", "/sleep?ms=30", "/status?code=503"] {
        get(asked, path).await.unwrap();
    }
    let told = async |path: &str, requests| {
        until(&format!("{requests} requests in {path}"), async || {
            match api.json(path).await {
                traffic if sum(&traffic, "requests") == requests => Ok(traffic),
                traffic => Err(traffic.to_string()),
            }
        })
        .await
    };
    let traffic = told("/apps/asked/traffic", 3).await;
    assert_eq!((sum(&traffic, "failed"), &traffic["seconds"]), (1, &json!(600)));
    let step = &traffic["steps"][0];
    assert!(step["seconds"].as_f64().unwrap() >= 5.0, "{step}");
    assert!(humantime::parse_rfc3339(step["until"].as_str().unwrap()).is_ok());
    let slowest = traffic["steps"].as_array().unwrap().iter();
    let slowest = slowest
        .filter_map(|step| step["p99"].as_f64())
        .fold(0.0, f64::max);
    assert!(slowest > 0.025, "{traffic}");

    // What no one asked for has none, and each counts once for all.
    assert_eq!(api.json("/apps/idle/traffic").await["steps"], json!([]));
    get(asked, "/version").await.unwrap();
    let traffic = told("/apps/asked/traffic", 4).await;
    assert_eq!(sum(&told("/traffic", 4).await, "failed"), 1);
    let steps = traffic["steps"].as_array().unwrap();
    let quiet = steps.iter().filter(|step| step["median"].is_null());
    assert!(quiet.clone().all(|step| step["requests"] == 0), "{traffic}");

    daemon.remove_app("asked");
    daemon.wait_gone("asked").await;
    is_problem(&api.get("/apps/asked/traffic").await, 404, "/apps/asked/traffic");
    assert_eq!(sum(&api.json("/traffic").await, "requests"), 4);
    // Another one of its name begins anew.
    daemon.serve("asked", &layout.file("v1")).await;
    assert_eq!(api.json("/apps/asked/traffic").await["steps"], json!([]));
}

#[tokio::test]
async fn limits_that_are_reached_are_counted_by_name() {
    let (daemon, api) = started().await;
    let layout = Layout::with(&App::of("probe", "1"));
    let mut file = layout.file("v1");
    file["limits"] = json!({"rate": "1/h", "burst": 1});
    let served = daemon.serve("app", &file).await;
    for _ in 0..3 {
        get(served, "/version").await.unwrap();
    }
    counted(
        &api,
        r#"lepton_limits_reached_total{app="app",limit="rate"}"#,
        2.0,
    )
    .await;
    let output = daemon.command(&["status", "--json"]).await;
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status["apps"]["app"]["traffic"]["limits"], json!({"rate": 2}));
}

#[tokio::test]
async fn a_daemon_is_ready_after_first_outcomes_and_no_longer_as_a_lame_duck() {
    // Nobody answers there: the app waits for its registry for longer than others wait for the app.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let reference = format!("{}/a/b:v1", silent.local_addr().unwrap());
    let builder = Daemon::builder()
        .app("slow", &json!({"reference": reference, "address": "127.0.0.1:0"}))
        .arg("--insecure-registry")
        .arg(silent.local_addr().unwrap().to_string())
        .arg("--lame-duck")
        .arg("600s");
    let (daemon, api) = with_token(builder, TOKEN).await;
    let probe = api.with(None);
    let reply = probe.get("/readyz").await;
    is_problem(&reply, 503, "/readyz");
    until("the daemon to be ready", async || {
        match probe.get("/readyz").await {
            reply if reply.status == 200 => Ok(()),
            reply => Err(reply.text().to_owned()),
        }
    })
    .await;
    assert_eq!(daemon.wait_state("slow", "starting").await.state(), "starting");

    daemon.signal(Signal::TERM);
    let reply = until("the daemon to be a lame duck", async || {
        match probe.get("/readyz").await {
            reply if reply.status == 503 => Ok(reply),
            reply => Err(reply.text().to_owned()),
        }
    })
    .await;
    is_problem(&reply, 503, "/readyz");
    assert!(reply.text().contains("told to end"), "{}", reply.text());
    assert_eq!(probe.get("/livez").await.status, 200);
    assert_eq!(api.get("/health").await.status, 503);
}

#[tokio::test]
async fn what_is_watched_has_the_traffic_of_its_moment() {
    let (daemon, api) = started().await;
    let layout = Layout::with(&App::of("probe", "1"));
    let served = daemon.serve("app", &layout.file("v1")).await;
    get(served, "/version").await.unwrap();
    let mut connection = Connection::open(api.address).await.unwrap();
    let mut lines = connection
        .stream(api.request(Method::GET, "/status/watch"))
        .await
        .unwrap();
    let first: Value = serde_json::from_slice(&lines.next().await.unwrap().unwrap()).unwrap();
    assert_eq!(first["apps"]["app"]["traffic"]["requests"], 1);
    get(served, "/version").await.unwrap();
    daemon.write_text("bad", "{}");
    let second: Value = loop {
        let line = lines.next().await.unwrap().unwrap();
        let status: Value = serde_json::from_slice(&line).unwrap();
        if status["apps"]["bad"]["state"] == "failed" {
            break status;
        }
    };
    assert_eq!(second["apps"]["app"]["traffic"]["requests"], 2);
}

#[tokio::test]
async fn numbers_may_be_for_everybody() {
    let builder = Daemon::builder().arg("--admin-open-metrics");
    let (daemon, api) = with_token(builder, TOKEN).await;
    let anybody = api.with(None);
    assert_eq!(anybody.get("/metrics").await.status, 200);
    assert_eq!(anybody.get("/status").await.status, 401);
    let document = api.json("/openapi.json").await;
    assert!(document["paths"]["/metrics"]["get"]["security"].is_null());
    validated(&daemon, &document).await;
}
