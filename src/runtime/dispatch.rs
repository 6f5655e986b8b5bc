//! The way from a guest back into its own app, without a socket.

use futures::future::BoxFuture;
use wasmtime_wasi_http::WasiBody;

/// How many components of one app may call each other in a row for one request from outside.
///
/// Spin has no limit, and a loop there ends with the machine's memory
/// (`docs/contract/http-trigger.md §9`).
pub const MAX_CHAIN_DEPTH: u8 = 16;

/// Why a request to the guest's own app was not answered.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    #[error("the app has no component `{0}` with an HTTP trigger")]
    NoSuchComponent(String),
    #[error("components of the app called each other more than {MAX_CHAIN_DEPTH} times for one request")]
    TooDeep,
    #[error("the app is being stopped")]
    Stopped,
}

/// An app's own routes, as its guests reach them (`docs/contract/http-trigger.md §9, §10`).
///
/// `depth` is the number of chained calls so far, this one included.
pub trait LocalDispatch: Send + Sync {
    /// Delivers a request for `<component>.spin.internal`: routing is skipped.
    fn chain(
        &self,
        component: &str,
        request: http::Request<WasiBody>,
        depth: u8,
    ) -> BoxFuture<'static, Result<http::Response<WasiBody>, DispatchError>>;

    /// Delivers a request to the app itself, through its router.
    fn to_self(
        &self,
        request: http::Request<WasiBody>,
        depth: u8,
    ) -> BoxFuture<'static, Result<http::Response<WasiBody>, DispatchError>>;
}
