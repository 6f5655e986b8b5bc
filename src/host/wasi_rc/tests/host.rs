//! A store such as a trigger has, with everything in it watched; and the guests.

use std::sync::{Arc, LazyLock, Mutex, OnceLock};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, ResourceTable, ResourceType};
use wasmtime::{Engine, Store, bail};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use crate::host::wasi_rc::{Candidate, Handler, add_to_linker};

pub(super) static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::default);

/// The most that is kept of a guest's standard output.
const OUTPUT_LIMIT: usize = 64 * 1024;

/// A guest of `tests/guests/prebuilt`, compiled once.
#[derive(Clone, Copy)]
pub(super) enum Guest {
    Sdk2,
    Direct(Candidate),
}

impl Guest {
    fn component(self) -> &'static Component {
        static SDK2: OnceLock<Component> = OnceLock::new();
        static OCTOBER: OnceLock<Component> = OnceLock::new();
        static NOVEMBER: OnceLock<Component> = OnceLock::new();
        let (once, module): (_, &[u8]) = match self {
            Guest::Sdk2 => (
                &SDK2,
                include_bytes!("../../../../tests/guests/prebuilt/sdk2.wasm"),
            ),
            Guest::Direct(Candidate::October) => (
                &OCTOBER,
                include_bytes!("../../../../tests/guests/prebuilt/wasi-rc-october.wasm"),
            ),
            Guest::Direct(Candidate::November) => (
                &NOVEMBER,
                include_bytes!("../../../../tests/guests/prebuilt/wasi-rc-november.wasm"),
            ),
        };
        once.get_or_init(|| Component::new(&ENGINE, componentize(module)).unwrap())
    }

    fn candidate(self) -> Candidate {
        match self {
            Guest::Sdk2 => Candidate::October,
            Guest::Direct(candidate) => candidate,
        }
    }
}

pub(super) fn componentize(module: &[u8]) -> Vec<u8> {
    let mut encoder = wit_component::ComponentEncoder::default().module(module).unwrap();
    encoder = encoder
        .adapter(
            WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
            WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
        )
        .unwrap();
    encoder.encode().unwrap()
}

/// Everything that a host of Spin apps links for guests of 0.2, and the release candidates.
pub(super) fn linker() -> Linker<State> {
    let mut linker = Linker::new(&ENGINE);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).unwrap();
    add_to_linker(&mut linker).unwrap();
    linker
}

/// Spin's own interfaces, which the guest of SDK 2 imports too and which are not tried here.
fn refuse_spins_interfaces(linker: &mut Linker<State>, component: &Component) {
    for (name, import) in component.component_type().imports(&ENGINE) {
        let ComponentItem::ComponentInstance(interface) = import.ty else {
            continue;
        };
        if !name.starts_with("fermyon:spin/") {
            continue;
        }
        let mut instance = linker.instance(name).unwrap();
        for (item, export) in interface.exports(&ENGINE) {
            match export.ty {
                ComponentItem::ComponentFunc(_) => instance
                    .func_new(item, |_, _, _, _| {
                        bail!("this host has none of Spin's interfaces")
                    })
                    .unwrap(),
                ComponentItem::Resource(_) => instance
                    .resource(item, ResourceType::host::<()>(), |_, _| Ok(()))
                    .unwrap(),
                _ => {}
            }
        }
    }
}

pub(super) struct State {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Peer,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: &mut self.hooks,
        }
    }
}

/// A request of the guest's, as it was sent.
pub(super) struct Sent {
    pub(super) line: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) options: Option<RequestOptions>,
}

/// The one server that a guest's requests reach.
#[derive(Clone, Default)]
struct Peer(Arc<Mutex<Vec<Sent>>>);

impl WasiHttpHooks for Peer {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Exchange> + Send> {
        let sent = self.0.clone();
        Box::new(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let line = format!("{} {}", head.method, head.uri);
            if head.uri.host() == Some("late.example") {
                return Err(ErrorCode::ConnectionTimeout.into());
            }
            let text = format!("got {}", String::from_utf8_lossy(&body));
            sent.lock().unwrap().push(Sent {
                line,
                headers: head.headers,
                body,
                options,
            });
            let body = Full::new(Bytes::from(text))
                .map_err(|never| match never {})
                .boxed_unsync();
            let response = Response::builder()
                .status(203)
                .header("x-kind", "canned")
                .body(body)
                .unwrap();
            let worker: Box<dyn Future<Output = Result<(), Error>> + Send> = Box::new(async { Ok(()) });
            Ok((response, worker))
        })
    }
}

type Exchange = Result<
    (
        Response<WasiBody>,
        Box<dyn Future<Output = Result<(), Error>> + Send>,
    ),
    Error,
>;

/// What came of one request.
pub(super) struct Outcome {
    pub(super) response: Result<Response<HyperOutgoingBody>, ErrorCode>,
    pub(super) guest: JoinHandle<wasmtime::Result<()>>,
    pub(super) stdout: MemoryOutputPipe,
    pub(super) stderr: MemoryOutputPipe,
    sent: Peer,
    _files: TempDir,
}

impl Outcome {
    /// Waits for the guest's end, and gives the reply in full.
    pub(super) async fn text(self) -> (u16, HeaderMap, String) {
        let (head, body) = self.response.expect("a response").into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        self.guest.await.unwrap().expect("the guest returns");
        (
            head.status.as_u16(),
            head.headers,
            String::from_utf8(body.into()).unwrap(),
        )
    }

    pub(super) fn sent(&self) -> Vec<Sent> {
        std::mem::take(&mut self.sent.0.lock().unwrap())
    }
}

/// How a guest ended that gave no response.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) result: wasmtime::Result<()>,
    #[expect(dead_code, reason = "it is there for the message of a failed test")]
    stderr: Bytes,
}

/// Hands `request` to a fresh instance, whose files are `/data/hello.txt` and an empty `/scratch`.
pub(super) async fn ask<B>(guest: Guest, request: Request<B>) -> Result<Outcome, Ended>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Error>,
{
    let files = tempfile::tempdir().unwrap();
    for directory in ["data", "scratch"] {
        std::fs::create_dir(files.path().join(directory)).unwrap();
    }
    std::fs::write(files.path().join("data/hello.txt"), "hello from a file").unwrap();
    let (stdout, stderr) = (
        MemoryOutputPipe::new(OUTPUT_LIMIT),
        MemoryOutputPipe::new(OUTPUT_LIMIT),
    );
    let mut wasi = WasiCtx::builder();
    wasi.env("GREETING", "hi")
        .stdout(stdout.clone())
        .stderr(stderr.clone())
        .inherit_network();
    wasi.allow_tcp(true).allow_udp(true);
    wasi.preopened_dir(files.path().join("data"), "/data", FsPerms::ReadOnly)
        .unwrap();
    wasi.preopened_dir(files.path().join("scratch"), "/scratch", FsPerms::ReadWrite)
        .unwrap();

    let sent = Peer::default();
    let state = State {
        table: ResourceTable::new(),
        wasi: wasi.build(),
        http: WasiHttpCtx::new(),
        hooks: sent.clone(),
    };
    let mut store = Store::new(&ENGINE, state);
    let mut linker = linker();
    refuse_spins_interfaces(&mut linker, guest.component());
    let pre = linker.instantiate_pre(guest.component()).unwrap();
    let handler = Handler::new(pre, guest.candidate()).unwrap();
    let (sender, receiver) = oneshot::channel();
    let guest = tokio::spawn(async move { handler.handle(&mut store, Scheme::Http, request, sender).await });
    match receiver.await {
        Ok(response) => Ok(Outcome {
            response,
            guest,
            stdout,
            stderr,
            sent,
            _files: files,
        }),
        Err(_) => Err(Ended {
            result: guest.await.unwrap(),
            stderr: stderr.contents(),
        }),
    }
}

/// A request with a body, to `http://app.example`.
pub(super) fn request(path: &str, headers: &[(&str, &str)], body: &str) -> Request<WasiBody> {
    let mut request = Request::post(format!("http://app.example{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = Full::new(Bytes::from(body.to_owned()))
        .map_err(|never| match never {})
        .boxed_unsync();
    request.body(body).unwrap()
}
