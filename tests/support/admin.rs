//! The admin API at an address, as those ask it who have a token.

use std::net::SocketAddr;

use http::{Method, Request, header};
use serde_json::Value;

use super::client::{Body, Connection, Reply, empty, request};
use super::daemon::{Builder, Daemon};

/// A daemon whose admin API is open at an address of this machine, for `token`.
pub async fn with_token(builder: Builder, token: &str) -> (Daemon, AdminApi) {
    let daemon = builder
        .home_file("tokens", token)
        .arg("--admin-address")
        .arg("127.0.0.1:0")
        .arg("--admin-token-file")
        .arg("home/tokens")
        .start()
        .await;
    let address = address(&daemon).await;
    let api = AdminApi {
        address,
        token: Some(token.to_owned()),
    };
    (daemon, api)
}

/// Where it is open.
pub async fn address(daemon: &Daemon) -> SocketAddr {
    let line = daemon.wait_log("admin address open").await;
    let address = line
        .split("address=")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    address.expect("an address").parse().expect("one of TCP")
}

/// The address, and what is shown there.
#[derive(Clone)]
pub struct AdminApi {
    pub address: SocketAddr,
    pub token: Option<String>,
}

impl AdminApi {
    pub fn with(&self, token: Option<&str>) -> Self {
        Self {
            address: self.address,
            token: token.map(str::to_owned),
        }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.ask(Method::GET, path).await
    }

    pub async fn ask(&self, method: Method, path: &str) -> Reply {
        let mut connection = Connection::open(self.address).await.expect("it is open");
        let reply = connection.send(self.request(method, path)).await;
        reply.expect("an answer")
    }

    pub fn request(&self, method: Method, path: &str) -> Request<Body> {
        let mut request = request(method, path, empty());
        if let Some(token) = &self.token {
            let value = format!("Bearer {token}").parse().expect("a header's value");
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        request
    }

    pub async fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&self.get(path).await.body).expect("JSON")
    }

    /// The value of one series; `None`: there is none.
    pub async fn series(&self, name: &str) -> Option<f64> {
        let reply = self.get("/metrics").await;
        let line = reply.line(name).map(str::to_owned);
        line.map(|value| value.parse().expect("a number"))
    }
}
