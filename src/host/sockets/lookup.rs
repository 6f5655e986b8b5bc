//! `wasi:sockets/ip-name-lookup` of 0.2: the addresses are there when the guest gets the stream.

use std::net::IpAddr;

use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress, IpAddressFamily, Network};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use super::rules::{LookupError, Rules};
use crate::host::wasi_rc::Candidate;
use crate::runtime::HostState;

/// What is left of the addresses of a name.
struct Addresses(std::vec::IntoIter<IpAddr>);

#[wasmtime_wasi::async_trait]
impl Pollable for Addresses {
    async fn ready(&mut self) {}
}

type Found = (Result<Resource<Addresses>, ErrorCode>,);

pub(super) fn link(linker: &mut Linker<HostState>, version: &str) -> wasmtime::Result<()> {
    let mut lookup = linker.instance(&format!("wasi:sockets/ip-name-lookup@{version}"))?;
    lookup.resource(
        "resolve-address-stream",
        ResourceType::host::<Addresses>(),
        |mut store, rep| {
            store
                .data_mut()
                .table()
                .delete(Resource::<Addresses>::new_own(rep))?;
            Ok(())
        },
    )?;
    if version == Candidate::October.version() {
        // The wish for one family, and for addresses that are out of reach, has gone since.
        type Params = (Resource<Network>, String, Option<IpAddressFamily>, bool);
        lookup.func_wrap_async("resolve-addresses", |mut store, (network, name, _, _): Params| {
            Box::new(async move { resolve(store.data_mut(), network, &name).await })
        })?;
    } else {
        lookup.func_wrap_async(
            "resolve-addresses",
            |mut store, (network, name): (Resource<Network>, String)| {
                Box::new(async move { resolve(store.data_mut(), network, &name).await })
            },
        )?;
    }
    lookup.func_wrap(
        "[method]resolve-address-stream.resolve-next-address",
        |mut store, (this,): (Resource<Addresses>,)| {
            let next = store.data_mut().table().get_mut(&this)?.0.next();
            Ok((Ok::<_, ErrorCode>(next.map(IpAddress::from)),))
        },
    )?;
    lookup.func_wrap(
        "[method]resolve-address-stream.subscribe",
        |mut store, (this,): (Resource<Addresses>,)| {
            let ready: Resource<DynPollable> = subscribe(store.data_mut().table(), this)?;
            Ok((ready,))
        },
    )
}

async fn resolve(state: &mut HostState, network: Resource<Network>, name: &str) -> wasmtime::Result<Found> {
    state.table().get(&network)?;
    let rules = super::rules(state)?;
    let found = look_up(&rules, name).await;
    let stream = match found {
        Ok(addresses) => Ok(state.table().push(Addresses(addresses.into_iter()))?),
        Err(code) => Err(code),
    };
    Ok((stream,))
}

async fn look_up(rules: &Rules, name: &str) -> Result<Vec<IpAddr>, ErrorCode> {
    rules.look_up(name).await.map_err(|error| match error {
        // What an implementation without name lookup says.
        LookupError::NotAllowed => ErrorCode::PermanentResolverFailure,
        LookupError::Blocked => ErrorCode::AccessDenied,
        LookupError::Unresolvable => ErrorCode::NameUnresolvable,
    })
}
