//! `fermyon:spin/mqtt@2.0.0`.

use rumqttc::QoS;
use wasmtime::component::Resource;

use super::Mqtt;
use super::address::Login;
use super::bindings::fermyon::spin2_0_0::mqtt as v2;
use super::connection::{Connection, Handles, publish};
use super::error::Error;
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
        let mqtt = self.interface::<Mqtt>()?;
        let handles = self.local::<Handles>().clone();
        let login = Login {
            username,
            password,
            keep_alive_secs,
        };
        Ok(match Connection::open(&mqtt, &handles, &address, login).await {
            Ok(connection) => Ok(self.table().push(connection)?),
            Err(error) => Err(error.into()),
        })
    }

    async fn publish(
        &mut self,
        connection: Resource<Connection>,
        topic: String,
        payload: Vec<u8>,
        qos: v2::Qos,
    ) -> wasmtime::Result<Result<(), v2::Error>> {
        let mqtt = self.interface::<Mqtt>()?;
        let publisher = self.table().get(&connection)?.publisher();
        let published = publish(&mqtt, &publisher, topic, payload, qos.into()).await;
        Ok(published.map_err(Into::into))
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table().delete(connection)?;
        Ok(())
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
