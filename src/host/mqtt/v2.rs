//! `fermyon:spin/mqtt@2.0.0`.

use rumqttc::QoS;
use wasmtime::component::Resource;

use super::address::Login;
use super::bindings::fermyon::spin2_0_0::mqtt as v2;
use super::error::Error;
use super::publish::publish;
use super::{Connection, Mqtt};
use crate::host::connections::{close, open, session};
use crate::runtime::HostState;

impl v2::Host for HostState {}

impl v2::HostConnection for HostState {
    async fn open(
        &mut self,
        address: String,
        username: String,
        password: String,
        keep_alive_secs: u64,
    ) -> wasmtime::Result<Result<Resource<Connection>, v2::Error>> {
        let login = Login {
            username,
            password,
            keep_alive_secs,
        };
        let opened = open::<Mqtt>(self, (address, login)).await?;
        Ok(opened.map_err(Into::into))
    }

    async fn publish(
        &mut self,
        connection: Resource<Connection>,
        topic: String,
        payload: Vec<u8>,
        qos: v2::Qos,
    ) -> wasmtime::Result<Result<(), v2::Error>> {
        let mqtt = self.interface::<Mqtt>()?;
        let publisher = session(self, &connection)?;
        let published = publish(&mqtt, &publisher, topic, payload, qos.into()).await;
        Ok(published.map_err(Into::into))
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        close(self, connection)
    }
}

impl From<v2::Qos> for QoS {
    fn from(qos: v2::Qos) -> Self {
        match qos {
            v2::Qos::AtMostOnce => Self::AtMostOnce,
            v2::Qos::AtLeastOnce => Self::AtLeastOnce,
            v2::Qos::ExactlyOnce => Self::ExactlyOnce,
        }
    }
}

impl From<Error> for v2::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidAddress => Self::InvalidAddress,
            Error::TooManyConnections => Self::TooManyConnections,
            Error::ConnectionFailed(text) => Self::ConnectionFailed(text),
            Error::Other(text) => Self::Other(text),
        }
    }
}
