//! Calling a guest's `wasi:http/incoming-handler`. A request and the place for its response are the same host types in both
//! candidates and in 0.2, so one call serves them all.

use http::Request;
use http_body::Body;
use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Resource};
use wasmtime::error::Context;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wasmtime_wasi_http::p2::types::{HostIncomingRequest, HostResponseOutparam};
use wasmtime_wasi_http::{Error, WasiHttpView};

use super::Candidate;

/// Where the guest's response goes: once, or never, when the guest returns or traps before.
pub type ResponseSender = oneshot::Sender<Result<http::Response<HyperOutgoingBody>, ErrorCode>>;

/// A component that handles requests by one of the release candidates, ready to be instantiated.
pub struct Handler<T: 'static> {
    pre: InstancePre<T>,
    handle: ComponentExportIndex,
}

impl<T> Clone for Handler<T> {
    fn clone(&self) -> Self {
        Handler {
            pre: self.pre.clone(),
            handle: self.handle,
        }
    }
}

impl<T: WasiHttpView + 'static> Handler<T> {
    /// # Errors
    ///
    /// The component doesn't export [`Candidate::incoming_handler`].
    pub fn new(pre: InstancePre<T>, candidate: Candidate) -> wasmtime::Result<Self> {
        let handle = export(pre.component(), candidate).with_context(|| {
            let interface = candidate.incoming_handler();
            format!("the component has no export `{interface}` with a function `handle`")
        })?;
        Ok(Handler { pre, handle })
    }

    /// What every call instantiates.
    pub fn instance_pre(&self) -> &InstancePre<T> {
        &self.pre
    }

    /// Instantiates the component in `store` and hands it the request; returns when the guest has returned, which may be long
    /// after it sent its response to `sender`.
    ///
    /// `request` needs an absolute URI or a `host` header. Dropped before its end, this leaves `store` unusable.
    ///
    /// # Errors
    ///
    /// The component can't be instantiated, or the guest traps.
    pub async fn handle<B>(
        &self,
        store: &mut Store<T>,
        scheme: Scheme,
        request: Request<B>,
        sender: ResponseSender,
    ) -> wasmtime::Result<()>
    where
        B: Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<Error>,
    {
        let request = store.data_mut().http().new_incoming_request(scheme, request)?;
        let out = store.data_mut().http().new_response_outparam(sender)?;
        self.call(store, request, out).await
    }

    /// [`Self::handle`], for a request and an outparam that are in the store's table already.
    ///
    /// # Errors
    ///
    /// As [`Self::handle`].
    pub async fn call(
        &self,
        store: &mut Store<T>,
        request: Resource<HostIncomingRequest>,
        out: Resource<HostResponseOutparam>,
    ) -> wasmtime::Result<()> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        let handle = instance
            .get_typed_func::<(Resource<HostIncomingRequest>, Resource<HostResponseOutparam>), ()>(
                &mut *store,
                self.handle,
            )?;
        handle.call_async(store, (request, out)).await
    }
}

fn export(component: &Component, candidate: Candidate) -> Option<ComponentExportIndex> {
    let interface = component.get_export_index(None, candidate.incoming_handler())?;
    component.get_export_index(Some(&interface), "handle")
}
