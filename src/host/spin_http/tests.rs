use std::sync::Mutex;

use tokio::sync::Semaphore;
use wasmtime_wasi_http::{RequestOptions, WasiHttpHooks};

use super::bindings::fermyon::spin::http_types::Method;
use super::*;
use crate::runtime::{InstanceSettings, Interfaces};
use crate::variables::Variables;

type Report = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(http::Response<WasiBody>, Report), Error>;
type Asked = Arc<Mutex<Vec<String>>>;

/// The way out: some hosts are closed, some paths lead elsewhere, and every request is written down.
struct Hooks {
    asked: Asked,
}

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Report,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let uri = request.uri();
        self.asked.lock().unwrap().push(uri.to_string());
        let location = match (uri.host().unwrap(), uri.path()) {
            ("denied.test", _) => return Box::new(async { Err(Error::HttpRequestDenied) }),
            ("full.test", _) => return Box::new(async { Err(Error::ConnectionLimitReached) }),
            ("down.test", _) => return Box::new(async { Err(Error::ConnectionRefused) }),
            (_, "/once") => Some("/here"),
            (_, "/away") => Some("http://denied.test/"),
            (_, "/round") => Some("/round"),
            _ => None,
        };
        let mut response = http::Response::builder();
        if let Some(location) = location {
            response = response.status(302).header("location", location);
        }
        let response = response.body(whole("here".into())).unwrap();
        Box::new(async { Ok((response, Box::new(async { Ok(()) }) as Report)) })
    }
}

async fn get(uri: &str) -> (Result<Response, HttpError>, Vec<String>) {
    let variables = Arc::new(Variables::new([].into(), vec![]));
    let allowed = ["http://*:*".to_string()];
    let permission = OutboundPermission::new("app".into(), "c".into(), &allowed, vec![], variables);
    let mut interfaces = Interfaces::default();
    interfaces.insert(SpinHttp {
        permission: Arc::new(permission.unwrap()),
    });
    let settings = Arc::new(InstanceSettings {
        app: "app".into(),
        component: "c".into(),
        environment: vec![],
        files: None,
        places: Arc::new(Semaphore::new(1)),
        interfaces: Arc::new(interfaces),
        log: None,
        limits: crate::runtime::InstanceLimits::default(),
    });
    let asked = Asked::default();
    let hooks = Hooks { asked: asked.clone() };
    let mut state = HostState::new(&settings, Box::new(hooks)).unwrap();
    let request = Request {
        method: Method::Get,
        uri: uri.into(),
        headers: vec![],
        params: vec![],
        body: None,
    };
    let answer = state.send_request(request).await.unwrap();
    let asked = asked.lock().unwrap().clone();
    (answer, asked)
}

#[tokio::test]
async fn what_is_not_allowed_is_not_even_read() {
    for uri in ["https://h/", "no url", ""] {
        let (answer, asked) = get(uri).await;
        assert_eq!(answer.unwrap_err(), HttpError::DestinationNotAllowed, "{uri}");
        assert!(asked.is_empty());
    }
}

#[tokio::test]
async fn a_redirect_is_followed() {
    let (answer, asked) = get("http://h/once").await;
    assert_eq!(answer.unwrap().body, Some(b"here".into()));
    assert_eq!(asked, ["http://h/once", "http://h/here"]);
}

#[tokio::test]
async fn a_redirect_to_where_the_guest_may_not_go_is_denied() {
    let (answer, _) = get("http://h/away").await;
    assert_eq!(answer.unwrap_err(), HttpError::DestinationNotAllowed);
}

#[tokio::test]
async fn redirects_come_to_an_end() {
    let (answer, asked) = get("http://h/round").await;
    assert_eq!(answer.unwrap_err(), HttpError::RuntimeError);
    assert_eq!(asked.len(), MAX_REDIRECTS + 1);
}

#[tokio::test]
async fn failures_have_their_own_errors() {
    for (uri, expected) in [
        ("http://full.test/", HttpError::TooManyRequests),
        ("http://down.test/", HttpError::RuntimeError),
        ("http://denied.test/", HttpError::DestinationNotAllowed),
    ] {
        assert_eq!(get(uri).await.0.unwrap_err(), expected);
    }
}

#[tokio::test]
async fn a_path_goes_to_the_app_itself() {
    let (answer, asked) = get("/a?b").await;
    assert_eq!(answer.unwrap().status, 200);
    assert_eq!(asked, ["http://self.alt/a?b"]);
}
