//! One interface under construction: a thin layer over wasmtime's `LinkerInstance` that gives each function the view of the
//! store which the 0.2 traits are implemented for, and turns their errors into what the guest sees.

use std::pin::Pin;

use wasmtime::component::{
    ComponentNamedList, ComponentType, HasData, Lift, Linker, LinkerInstance, Lower, Resource, ResourceTable,
    ResourceType,
};
use wasmtime_wasi::p2::StreamError;
use wasmtime_wasi::p2::bindings::io::streams;
use wasmtime_wasi::{TrappableError, WasiView};
use wasmtime_wasi_http::p2::bindings::http::types;
use wasmtime_wasi_http::p2::{HeaderError, HttpError};

use super::Candidate;

/// What an asynchronous function hands back: it may borrow from the store while it runs.
pub(super) type Running<'a, R> = Pin<Box<dyn Future<Output = R> + Send + 'a>>;

/// An interface whose functions work on the view `D` of the store's data.
pub(super) struct Interface<'linker, T: 'static, D: HasData> {
    instance: LinkerInstance<'linker, T>,
    view: fn(&mut T) -> D::Data<'_>,
}

impl<'linker, T: WasiView + 'static, D: HasData> Interface<'linker, T, D>
where
    for<'a> D::Data<'a>: Send,
{
    pub(super) fn new(
        linker: &'linker mut Linker<T>,
        candidate: Candidate,
        interface: &str,
        view: fn(&mut T) -> D::Data<'_>,
    ) -> wasmtime::Result<Self> {
        let instance = linker.instance(&candidate.name(interface))?;
        Ok(Interface { instance, view })
    }

    /// A resource that is dropped at once.
    pub(super) fn resource<R: 'static>(
        &mut self,
        name: &str,
        drop: impl Fn(&mut D::Data<'_>, Resource<R>) -> wasmtime::Result<()> + Send + Sync + 'static,
    ) -> wasmtime::Result<()> {
        let view = self.view;
        self.instance
            .resource(name, ResourceType::host::<R>(), move |mut store, rep| {
                drop(&mut view(store.data_mut()), Resource::new_own(rep))
            })
    }

    /// A resource whose end may have to be waited for.
    pub(super) fn resource_async<R: 'static>(
        &mut self,
        name: &str,
        drop: impl for<'a> Fn(&'a mut D::Data<'_>, Resource<R>) -> Running<'a, wasmtime::Result<()>>
        + Copy
        + Send
        + Sync
        + 'static,
    ) -> wasmtime::Result<()> {
        let view = self.view;
        self.instance
            .resource_async(name, ResourceType::host::<R>(), move |mut store, rep| {
                Box::new(async move { drop(&mut view(store.data_mut()), Resource::new_own(rep)).await })
            })
    }

    /// A function without a result.
    pub(super) fn action<P>(
        &mut self,
        name: &str,
        call: impl Fn(&mut D::Data<'_>, P) -> wasmtime::Result<()> + Send + Sync + 'static,
    ) -> wasmtime::Result<()>
    where
        P: ComponentNamedList + Lift + 'static,
    {
        let view = self.view;
        self.instance.func_wrap(name, move |mut store, params: P| {
            call(&mut view(store.data_mut()), params)
        })
    }

    /// A function with a result; an error traps.
    pub(super) fn value<P, R>(
        &mut self,
        name: &str,
        call: impl Fn(&mut D::Data<'_>, P) -> wasmtime::Result<R> + Send + Sync + 'static,
    ) -> wasmtime::Result<()>
    where
        P: ComponentNamedList + Lift + 'static,
        R: ComponentType + Lower + 'static,
    {
        let view = self.view;
        self.instance.func_wrap(name, move |mut store, params: P| {
            Ok((call(&mut view(store.data_mut()), params)?,))
        })
    }

    /// A function with a result that may also be one of the interface's own errors.
    pub(super) fn attempt<P, R, E>(
        &mut self,
        name: &str,
        call: impl Fn(&mut D::Data<'_>, P) -> Result<R, E> + Send + Sync + 'static,
    ) -> wasmtime::Result<()>
    where
        P: ComponentNamedList + Lift + 'static,
        R: ComponentType + Lower + 'static,
        E: GuestError + 'static,
    {
        let view = self.view;
        self.instance.func_wrap(name, move |mut store, params: P| {
            let outcome = call(&mut view(store.data_mut()), params);
            answer(store.data_mut(), outcome)
        })
    }

    /// [`Self::action`], for what has to wait.
    pub(super) fn action_async<P>(
        &mut self,
        name: &str,
        call: impl for<'a> Fn(&'a mut D::Data<'_>, P) -> Running<'a, wasmtime::Result<()>>
        + Copy
        + Send
        + Sync
        + 'static,
    ) -> wasmtime::Result<()>
    where
        P: ComponentNamedList + Lift + Send + 'static,
    {
        let view = self.view;
        self.instance.func_wrap_async(name, move |mut store, params: P| {
            Box::new(async move { call(&mut view(store.data_mut()), params).await })
        })
    }

    /// [`Self::value`], for what has to wait.
    pub(super) fn value_async<P, R>(
        &mut self,
        name: &str,
        call: impl for<'a> Fn(&'a mut D::Data<'_>, P) -> Running<'a, wasmtime::Result<R>>
        + Copy
        + Send
        + Sync
        + 'static,
    ) -> wasmtime::Result<()>
    where
        P: ComponentNamedList + Lift + Send + 'static,
        R: ComponentType + Lower + 'static,
    {
        let view = self.view;
        self.instance.func_wrap_async(name, move |mut store, params: P| {
            Box::new(async move { Ok((call(&mut view(store.data_mut()), params).await?,)) })
        })
    }

    /// [`Self::attempt`], for what has to wait.
    pub(super) fn attempt_async<P, R, E>(
        &mut self,
        name: &str,
        call: impl for<'a> Fn(&'a mut D::Data<'_>, P) -> Running<'a, Result<R, E>> + Copy + Send + Sync + 'static,
    ) -> wasmtime::Result<()>
    where
        P: ComponentNamedList + Lift + Send + 'static,
        R: ComponentType + Lower + Send + 'static,
        E: GuestError + Send + 'static,
    {
        let view = self.view;
        self.instance.func_wrap_async(name, move |mut store, params: P| {
            Box::new(async move {
                let outcome = call(&mut view(store.data_mut()), params).await;
                answer(store.data_mut(), outcome)
            })
        })
    }
}

/// An outcome of the 0.2 implementation as the guest sees it; what is not meant for guests becomes a trap.
type Answer<R, E> = wasmtime::Result<(Result<R, <E as GuestError>::Code>,)>;

fn answer<T: WasiView, R, E: GuestError>(data: &mut T, outcome: Result<R, E>) -> Answer<R, E> {
    match outcome {
        Ok(result) => Ok((Ok(result),)),
        Err(error) => Ok((Err(error.code(data.ctx().table)?),)),
    }
}

/// An error of the 0.2 implementation: an error code of the interface, or a trap.
pub(super) trait GuestError {
    type Code: ComponentType + Lower + 'static;

    fn code(self, table: &mut ResourceTable) -> wasmtime::Result<Self::Code>;
}

/// Covers `FsError` and `SocketError`.
impl<C> GuestError for TrappableError<C>
where
    C: std::error::Error + ComponentType + Lower + Send + Sync + 'static,
{
    type Code = C;

    fn code(self, _: &mut ResourceTable) -> wasmtime::Result<C> {
        self.downcast()
    }
}

impl GuestError for StreamError {
    type Code = streams::StreamError;

    fn code(self, table: &mut ResourceTable) -> wasmtime::Result<Self::Code> {
        streams::Host::convert_stream_error(table, self)
    }
}

impl GuestError for HttpError {
    type Code = types::ErrorCode;

    fn code(self, _: &mut ResourceTable) -> wasmtime::Result<Self::Code> {
        self.downcast()
    }
}

impl GuestError for HeaderError {
    type Code = types::HeaderError;

    fn code(self, _: &mut ResourceTable) -> wasmtime::Result<Self::Code> {
        self.downcast()
    }
}
