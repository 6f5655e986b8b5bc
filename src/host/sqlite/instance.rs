//! What one instance does with its connections, whatever version of the interface it speaks.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::Resource;

use super::connection::{Connection, Error, io};
use super::{MAX_CONNECTIONS, Sqlite, TOO_MANY};
use crate::runtime::HostState;

/// A connection that a guest has opened.
#[expect(
    unreachable_pub,
    reason = "the generated bindings export their resources' types again"
)]
pub struct OpenConnection {
    connection: Arc<dyn Connection>,
    _place: OwnedSemaphorePermit,
}

/// The connections of one instance.
struct Connections {
    /// Of all versions together.
    places: Arc<Semaphore>,
    /// Those that the guest knows by number.
    numbered: BTreeMap<u32, OpenConnection>,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            numbered: BTreeMap::new(),
        }
    }
}

fn open(state: &mut HostState, label: &str) -> wasmtime::Result<Result<OpenConnection, Error>> {
    let sqlite = state.interface::<Sqlite>()?;
    let Some(database) = sqlite.database(label) else {
        return Ok(Err(Error::AccessDenied));
    };
    let places = state.local::<Connections>().places.clone();
    Ok(match places.try_acquire_owned() {
        Ok(place) => Ok(OpenConnection {
            connection: database.connect(),
            _place: place,
        }),
        Err(_) => Err(io(TOO_MANY)),
    })
}

pub(super) fn open_resource(
    state: &mut HostState,
    label: &str,
) -> wasmtime::Result<Result<Resource<OpenConnection>, Error>> {
    Ok(match open(state, label)? {
        Ok(connection) => Ok(state.table().push(connection)?),
        Err(error) => Err(error),
    })
}

pub(super) fn open_numbered(state: &mut HostState, label: &str) -> wasmtime::Result<Result<u32, Error>> {
    let connection = match open(state, label)? {
        Ok(connection) => connection,
        Err(error) => return Ok(Err(error)),
    };
    let numbered = &mut state.local::<Connections>().numbered;
    // The lowest that is free; there are few.
    let number = (0..).find(|number| !numbered.contains_key(number));
    let number = number.ok_or_else(|| wasmtime::format_err!("no number is free"))?;
    numbered.insert(number, connection);
    Ok(Ok(number))
}

/// An error, which traps, for a handle that is not one.
pub(super) fn by_resource(
    state: &mut HostState,
    resource: &Resource<OpenConnection>,
) -> wasmtime::Result<Arc<dyn Connection>> {
    Ok(state.table().get(resource)?.connection.clone())
}

pub(super) fn by_number(state: &mut HostState, number: u32) -> Result<Arc<dyn Connection>, Error> {
    let numbered = &state.local::<Connections>().numbered;
    let found = numbered.get(&number).ok_or(Error::InvalidConnection)?;
    Ok(found.connection.clone())
}

pub(super) fn close_resource(
    state: &mut HostState,
    resource: Resource<OpenConnection>,
) -> wasmtime::Result<()> {
    state.table().delete(resource)?;
    Ok(())
}

/// Does nothing for a number that is not open.
pub(super) fn close_number(state: &mut HostState, number: u32) {
    state.local::<Connections>().numbered.remove(&number);
}
