use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use hyper::Response as Answer;
use serde_json::json;

use super::super::store::Store;
use super::super::testing::stub::{Body, Stub, broken, full, ok, status};
use super::super::{LogProgress, Progress as _, Source};
use super::*;

const LIMIT: u64 = 1 << 20;

fn reference(stub: &Stub, name: &str) -> Reference {
    match Source::parse(&format!("{}/{name}", stub.address), std::path::Path::new("/")).unwrap() {
        Source::Registry(reference) => reference,
        other => panic!("{other}"),
    }
}

fn client(stub: &Stub, credentials: CredentialSources) -> Client {
    Client::new(vec![stub.address.to_string()], &[], credentials).unwrap()
}

fn credentials(home: &tempfile::TempDir, docker: &serde_json::Value) -> CredentialSources {
    let file = home.path().join("config.json");
    std::fs::write(&file, docker.to_string()).unwrap();
    CredentialSources {
        spin_file: None,
        docker_file: Some(file),
    }
}

fn demand_token(address: &str) -> Answer<Body> {
    let challenge =
        format!(r#"Bearer realm="http://{address}/token?x=1",service="stub",scope="repository:app:pull""#);
    Answer::builder()
        .status(401)
        .header("www-authenticate", challenge)
        .body(full(""))
        .unwrap()
}

#[tokio::test]
async fn a_busy_registry_is_given_the_time_it_asks_for() {
    let count = AtomicUsize::new(0);
    let stub = Stub::start(move |_, _| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::builder()
            .status(429)
            .header("retry-after", "1")
            .body(full(""))
            .unwrap(),
        1 => status(503),
        _ => ok("{}"),
    })
    .await;
    let started = Instant::now();
    let client = client(&stub, CredentialSources::default());
    assert_eq!(
        client
            .manifest(&reference(&stub, "app:v1"), "v1", LIMIT)
            .await
            .unwrap(),
        b"{}"
    );
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(stub.requests().len(), 3);
}

#[tokio::test]
async fn a_registry_that_asks_for_too_long_a_wait_is_left_to_the_caller() {
    let stub = Stub::start(|_, _| {
        let body = full(r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#);
        Answer::builder()
            .status(429)
            .header("retry-after", "3600")
            .body(body)
            .unwrap()
    })
    .await;
    let client = client(&stub, CredentialSources::default());
    let error = client
        .manifest(&reference(&stub, "app:v1"), "v1", LIMIT)
        .await
        .unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    assert!(
        error.is_transient() && error.to_string().contains("slow down"),
        "{error}"
    );
    assert_eq!(stub.requests().len(), 1);
}

#[tokio::test]
async fn a_token_is_bought_with_the_password_and_used_until_it_expires() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&seen);
    let stub = Stub::start(move |request, _| {
        let authorization = request
            .headers()
            .get("authorization")
            .map(|value| value.to_str().unwrap().to_owned());
        let query = request.uri().query().unwrap_or_default().to_owned();
        match (request.uri().path(), authorization.as_deref()) {
            ("/token", Some(sent)) => {
                log.lock().unwrap().push(format!("{query} {sent}"));
                ok(json!({"access_token": "t0ken", "expires_in": 300}).to_string())
            }
            (_, Some("Bearer t0ken")) => ok("{}"),
            _ => demand_token(request.headers()["host"].to_str().unwrap()),
        }
    })
    .await;
    let home = tempfile::tempdir().unwrap();
    let config = json!({"auths": {stub.address.to_string(): {"username": "bob", "password": "pw"}}});
    let client = client(&stub, credentials(&home, &config));
    let reference = reference(&stub, "app:v1");
    client.manifest(&reference, "v1", LIMIT).await.unwrap();
    client.manifest(&reference, "v1", LIMIT).await.unwrap();
    let expected = "x=1&scope=repository%3Aapp%3Apull&service=stub&account=bob Basic Ym9iOnB3";
    assert_eq!(*seen.lock().unwrap(), [expected]);
    assert_eq!(stub.requests().len(), 4, "{:?}", stub.requests());
}

#[tokio::test]
async fn an_identity_token_is_exchanged_by_the_refresh_grant() {
    let stub = Stub::start(|request, body| match request.uri().path() {
        "/token" => {
            let form = String::from_utf8(body.to_vec()).unwrap();
            let good = request.method() == "POST"
                && form.contains("grant_type=refresh_token")
                && form.contains("refresh_token=id-token")
                && form.contains("service=stub");
            if good {
                ok(json!({"access_token": "fresh"}).to_string())
            } else {
                status(400)
            }
        }
        _ => match request.headers().get("authorization") {
            Some(sent) if sent == "Bearer fresh" => ok("{}"),
            _ => demand_token(request.headers()["host"].to_str().unwrap()),
        },
    })
    .await;
    let home = tempfile::tempdir().unwrap();
    let config = json!({"auths": {stub.address.to_string(): {"identitytoken": "id-token"}}});
    let client = client(&stub, credentials(&home, &config));
    client
        .manifest(&reference(&stub, "app:v1"), "v1", LIMIT)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_refused_login_names_who_and_whence_but_not_the_password() {
    let stub = Stub::start(|request, _| match request.uri().path() {
        "/token" => Answer::builder()
            .status(401)
            .body(full(r#"{"details":"incorrect username"}"#))
            .unwrap(),
        _ => demand_token(request.headers()["host"].to_str().unwrap()),
    })
    .await;
    let home = tempfile::tempdir().unwrap();
    let config = json!({"auths": {stub.address.to_string(): {"username": "bob", "password": "hunter2"}}});
    let client = client(&stub, credentials(&home, &config));
    let error = client
        .manifest(&reference(&stub, "app:v1"), "v1", LIMIT)
        .await
        .unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, OciError::Unauthorised { .. }), "{error:?}");
    assert!(
        message.contains(r#"user "bob" from "#) && message.contains("config.json"),
        "{message}"
    );
    assert!(
        message.contains("incorrect username") && !message.contains("hunter2"),
        "{message}"
    );
}

#[tokio::test]
async fn a_manifest_above_the_limit_is_not_read() {
    let stub = Stub::start(|_, _| ok(vec![b' '; 1000])).await;
    let client = client(&stub, CredentialSources::default());
    let error = client
        .manifest(&reference(&stub, "app:v1"), "v1", 999)
        .await
        .unwrap_err();
    assert!(
        matches!(error, OciError::TooLarge { limit: 999, .. }),
        "{error:?}"
    );
}

fn descriptor(bytes: &[u8]) -> Descriptor {
    let digest = Digest::of(bytes);
    serde_json::from_value(json!({"mediaType": "application/wasm", "digest": digest, "size": bytes.len()}))
        .unwrap()
}

async fn fetch(stub: &Stub, bytes: &[u8]) -> Result<Vec<u8>, OciError> {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let client = client(stub, CredentialSources::default());
    let progress = LogProgress.start("app", None);
    let (blob, writer) = (descriptor(bytes), store.writer(bytes.len() as u64).unwrap());
    let writer = client
        .blob(&reference(stub, "app:v1"), &blob, writer, &*progress)
        .await?;
    let digest = writer.finish(&blob.digest)?.commit()?;
    Ok(store.read(&digest)?.unwrap())
}

#[tokio::test]
async fn a_broken_transfer_goes_on_where_it_stopped() {
    let content: Bytes = (0..200_000_u32)
        .flat_map(u32::to_le_bytes)
        .collect::<Vec<_>>()
        .into();
    let whole = content.clone();
    let stub = Stub::start(move |request, _| match request.headers().get("range") {
        None => broken(whole.slice(..50_000), whole.len()),
        Some(range) => {
            let from: usize = range.to_str().unwrap()["bytes=".len()..]
                .trim_end_matches('-')
                .parse()
                .unwrap();
            assert!(from <= 50_000);
            let range = format!("bytes {from}-{}/{}", whole.len() - 1, whole.len());
            let part = full(whole.slice(from..));
            Answer::builder()
                .status(206)
                .header("content-range", range)
                .body(part)
                .unwrap()
        }
    })
    .await;
    assert_eq!(fetch(&stub, &content).await.unwrap(), content);
    assert_eq!(stub.requests().len(), 2);
}

#[tokio::test]
async fn a_registry_that_cannot_go_on_sends_the_whole_again() {
    let count = AtomicUsize::new(0);
    let content = Bytes::from(vec![7; 100_000]);
    let whole = content.clone();
    let stub = Stub::start(move |_, _| match count.fetch_add(1, Ordering::SeqCst) {
        0 => broken(whole.slice(..50_000), whole.len()),
        _ => ok(whole.clone()),
    })
    .await;
    assert_eq!(fetch(&stub, &content).await.unwrap(), content);
}

#[tokio::test]
async fn a_blob_longer_than_its_manifest_says_is_cut_off() {
    let stub = Stub::start(|_, _| ok(vec![0; 1000])).await;
    let error = fetch(&stub, &[0; 10]).await.unwrap_err();
    assert!(matches!(error, OciError::TooLarge { limit: 10, .. }), "{error:?}");
}

#[tokio::test]
async fn other_bytes_than_the_digest_says_are_refused() {
    let stub = Stub::start(|_, _| ok("evil")).await;
    let error = fetch(&stub, b"good").await.unwrap_err();
    assert!(
        matches!(error, OciError::Store(StoreError::Mismatch { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_registry_that_falls_silent_is_an_error_and_not_a_hang() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let transport = Transport::new(vec![host.clone()], &[], Duration::from_millis(100)).unwrap();
    let client = Client(Arc::new(Inner {
        transport,
        tokens: Tokens::new(CredentialSources::default()),
    }));
    let Ok(Source::Registry(reference)) = Source::parse(&format!("{host}/app"), std::path::Path::new("/"))
    else {
        panic!("{host}")
    };
    let error = client
        .send(Method::GET, &reference, "manifests/latest", 0, "app")
        .await
        .unwrap_err();
    assert!(matches!(error, OciError::Unreachable { .. }), "{error:?}");
}

/// Proxies are told by variables of the process: the test runs itself with them set.
const PROXIED_CHILD: &str = "LEPTON_TEST_PROXIED_CHILD";

#[tokio::test]
async fn the_proxy_variables_are_honoured() {
    if std::env::var_os(PROXIED_CHILD).is_some() {
        let client = Client::new(
            vec!["registry.invalid".to_owned()],
            &[],
            CredentialSources::default(),
        )
        .unwrap();
        let source = Source::parse("registry.invalid/app", std::path::Path::new("/")).unwrap();
        let Source::Registry(reference) = source else {
            panic!("{source}")
        };
        assert_eq!(
            client.manifest(&reference, "latest", LIMIT).await.unwrap(),
            b"proxied"
        );
        return;
    }
    let proxy = Stub::start(|request, _| {
        assert_eq!(request.uri().host(), Some("registry.invalid"));
        ok("proxied")
    })
    .await;
    let output = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "oci::client::tests::the_proxy_variables_are_honoured"])
        .env(PROXIED_CHILD, "1")
        .env("http_proxy", format!("http://{}", proxy.address))
        .env_remove("no_proxy")
        .env_remove("NO_PROXY")
        .output()
        .await
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert_eq!(proxy.requests(), ["GET /v2/app/manifests/latest"]);
}
