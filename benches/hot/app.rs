//! An app without a socket: requests go straight to its routes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ::http::{Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use lepton::app::LockedApp;
use lepton::host::{self, OutboundPermission};
use lepton::loader::Loader;
use lepton::metrics::{AppMetrics, Apps};
use lepton::net::{HttpClient, HttpClients};
use lepton::oci::Store;
use lepton::runtime::{
    InstanceLimits, InstanceSettings, Interfaces, LocalDispatch, MAX_INSTANCES_OF_APP, Overruns, Runtime,
};
use lepton::trigger::http::{self, HttpApp, HttpPlan, RequestLimits};
use lepton::trigger::{AppInput, PreparedComponent};
use lepton::variables::Variables;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

const APP: &str = "app";
const COMPONENT: &str = "hello";

/// What Spin pushes for an app of one component.
pub fn locked(digest: &str) -> Value {
    json!({
        "spin_lock_version": 0,
        "metadata": {"name": APP, "triggers": {}},
        "triggers": [
            {"id": "http", "trigger_type": "http", "trigger_config": {"component": COMPONENT, "route": "/..."}}
        ],
        "components": [
            {"id": COMPONENT, "source": {"content_type": "application/wasm", "digest": digest}}
        ],
    })
}

/// Ready to serve, without limits; compiled code is kept below `cache`.
pub async fn prepare(cache: &Path, wasm: &[u8]) -> Arc<HttpApp> {
    let runtime = Runtime::new(host::link, host::link_concurrent, host::is_concurrent).expect("engines");
    let store = Store::open(cache).expect("a writable directory");
    let digest = store.put(wasm).expect("a writable directory").to_string();
    let app = LockedApp::parse(locked(&digest).to_string().as_bytes()).expect("a locked app");
    let loader = Loader::new(&runtime, store).expect("a writable directory");
    let loaded = loader.load(&app.components[0]).await.expect("a component");

    let (id, component): (Arc<str>, Arc<str>) = (APP.into(), COMPONENT.into());
    let variables = Arc::new(Variables::new(BTreeMap::new(), Vec::new()));
    let permission =
        OutboundPermission::new(id.clone(), component.clone(), &[], Vec::new(), variables.clone());
    let places = Arc::new(Semaphore::new(MAX_INSTANCES_OF_APP));
    let metrics = AppMetrics::new(id.clone(), &Apps::default(), &places, MAX_INSTANCES_OF_APP);
    let overruns = Arc::new(Overruns::new(metrics));
    let settings = InstanceSettings {
        app: id.clone(),
        component,
        environment: Vec::new(),
        files: None,
        places,
        interfaces: Arc::new(Interfaces::default()),
        log: None,
        limits: InstanceLimits {
            one_memory: None,
            memory: None,
            cpu_time: None,
            output: None,
            share: runtime.share(),
            overruns: overruns.clone(),
        },
    };
    let prepared = PreparedComponent {
        loaded,
        settings: Arc::new(settings),
        permission: Arc::new(permission.expect("nothing is allowed")),
        clients: HttpClients::new(HttpClient::with_system_roots()),
    };
    let input = AppInput {
        id,
        digest,
        app: &app,
        components: &[(COMPONENT.to_owned(), prepared)].into(),
        variables,
        requests: RequestLimits::none(overruns),
    };
    let plan = HttpPlan::new(&app).expect("a trigger");
    let prepared = http::prepare(&runtime, plan, &input, None).await;
    prepared.expect("an app").app
}

/// One request to the page at the root, to the last byte of its response.
pub async fn ask(app: &HttpApp) -> Bytes {
    let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
    let request = Request::get("http://localhost/").body(body).expect("a request");
    let response = app.to_self(request, 1).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.into_body().collect().await.expect("a body");
    body.to_bytes()
}
