//! `spin:mqtt/mqtt@3.0.0`: as 2.0.0, and a guest may do other things while it waits.

use rumqttc::QoS;
use wasmtime::component::{Accessor, HasSelf, Resource};

use super::address::Login;
use super::bindings::spin::mqtt::mqtt as v3;
use super::error::Error;
use super::publish::publish;
use super::{Connection, Mqtt};
use crate::host::connections::{close, open_async, session};
use crate::runtime::HostState;

impl v3::Host for HostState {}

impl v3::HostConnection for HostState {
    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        close(self, connection)
    }
}

impl<T: Send> v3::HostConnectionWithStore<T> for HasSelf<HostState> {
    async fn open(
        accessor: &Accessor<T, Self>,
        address: String,
        username: String,
        password: String,
        keep_alive_secs: u64,
    ) -> wasmtime::Result<Result<Resource<Connection>, v3::Error>> {
        let login = Login {
            username,
            password,
            keep_alive_secs,
        };
        let opened = open_async::<Mqtt>(accessor, (address, login)).await?;
        Ok(opened.map_err(Into::into))
    }

    async fn publish(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        topic: String,
        payload: Vec<u8>,
        qos: v3::Qos,
    ) -> wasmtime::Result<Result<(), v3::Error>> {
        let (mqtt, publisher) = accessor.with(|mut access| -> wasmtime::Result<_> {
            let state = access.get();
            let publisher = session(state, &connection)?;
            Ok((state.interface::<Mqtt>()?, publisher))
        })?;
        let published = publish(&mqtt, &publisher, topic, payload, qos.into()).await;
        Ok(published.map_err(Into::into))
    }
}

impl From<v3::Qos> for QoS {
    fn from(qos: v3::Qos) -> Self {
        match qos {
            v3::Qos::AtMostOnce => Self::AtMostOnce,
            v3::Qos::AtLeastOnce => Self::AtLeastOnce,
            v3::Qos::ExactlyOnce => Self::ExactlyOnce,
        }
    }
}

impl From<Error> for v3::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidAddress => Self::InvalidAddress,
            Error::TooManyConnections => Self::TooManyConnections,
            Error::ConnectionFailed(text) => Self::ConnectionFailed(text),
            Error::Other(text) => Self::Other(text),
        }
    }
}
