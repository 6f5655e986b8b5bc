//! HashiCorp Vault, key-value engine of version 2 (`docs/contract/runtime-config.md §5`).

use std::error::Error;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use rustify::errors::ClientError as Response;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;
use url::Url;
use vaultrs::client::{VaultClient, VaultClientSettingsBuilder};
use vaultrs::error::ClientError;

use super::provider::{Provider, ProviderError, Secret};

/// How long one lookup takes at most, its wait for a place included.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);
/// Lookups of one app that Vault answers at the same time; the rest wait, so that a burst is no stampede.
const CONCURRENT_LOOKUPS: usize = 32;
const NOT_FOUND: u16 = 404;

/// The secret `<mount>/<prefix>/<variable>`, of which the field `value` is the value.
pub(super) struct Vault {
    client: VaultClient,
    /// For messages: scheme, host and port.
    address: String,
    mount: String,
    prefix: Option<String>,
    places: Semaphore,
}

/// Why a `vault` provider can't be made of its settings.
#[derive(Debug, thiserror::Error)]
pub enum VaultSettingError {
    #[error("its `url` is no http or https address")]
    Url,
    /// The client's own message may name a file or a certificate, and no secret.
    #[error("no client for Vault can be made: {0}")]
    Client(String),
}

#[derive(Deserialize)]
struct Stored {
    value: String,
}

impl Vault {
    /// Connects to nothing yet.
    pub(super) fn new(
        url: &str,
        token: &Secret,
        mount: &str,
        prefix: Option<&str>,
    ) -> Result<Self, VaultSettingError> {
        let url = Url::parse(url).map_err(|_| VaultSettingError::Url)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(VaultSettingError::Url);
        }
        // Every setting is given, so that none is taken from the variables of Vault's own tools.
        let settings = VaultClientSettingsBuilder::default()
            .address(&url)
            .token(token.expose())
            .timeout(Some(LOOKUP_TIMEOUT))
            .verify(true)
            .ca_certs(Vec::new())
            .identity(None)
            .build()
            .map_err(|error| VaultSettingError::Client(error.to_string()))?;
        let client =
            VaultClient::new(settings).map_err(|error| VaultSettingError::Client(error.to_string()))?;
        Ok(Self {
            client,
            address: url.origin().ascii_serialization(),
            mount: mount.trim_matches('/').into(),
            prefix: prefix.map(|prefix| prefix.trim_matches('/').to_owned()),
            places: Semaphore::new(CONCURRENT_LOOKUPS),
        })
    }

    async fn read(&self, name: &str) -> Result<Option<Secret>, ClientError> {
        let path = match &self.prefix {
            Some(prefix) => format!("{prefix}/{name}"),
            None => name.into(),
        };
        // The client logs every secret that is not there as an error.
        let read = vaultrs::kv2::read::<Stored>(&self.client, &self.mount, &path)
            .with_subscriber(NoSubscriber::default())
            .await;
        match read {
            Ok(stored) => Ok(Some(Secret::new(stored.value))),
            Err(ClientError::APIError { code: NOT_FOUND, .. }) => Ok(None),
            // A secret whose last version was deleted: it comes with its metadata, and without a list of errors.
            Err(ClientError::RestClientError {
                source: Response::ServerResponseError { code: NOT_FOUND, .. },
            }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Provider for Vault {
    async fn get(&self, name: &str) -> Result<Option<Secret>, ProviderError> {
        let failed = |reason: String| ProviderError::Vault {
            address: self.address.clone(),
            reason,
        };
        let lookup = async {
            // It is never closed; without a place the lookup would only be less polite.
            let _place = self.places.acquire().await.ok();
            self.read(name).await
        };
        match tokio::time::timeout(LOOKUP_TIMEOUT, lookup).await {
            Ok(read) => read.map_err(|error| failed(reason(&error))),
            Err(_) => Err(failed(no_answer())),
        }
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            address,
            mount,
            prefix,
            ..
        } = self;
        f.debug_struct("Vault")
            .field("address", address)
            .field("mount", mount)
            .field("prefix", prefix)
            .finish_non_exhaustive()
    }
}

fn no_answer() -> String {
    format!("did not answer within {} s", LOOKUP_TIMEOUT.as_secs())
}

/// In words of our own where the client's might show what was stored.
fn reason(error: &ClientError) -> String {
    match error {
        ClientError::APIError { code, errors } if errors.is_empty() => format!("answered with status {code}"),
        ClientError::APIError { code, errors } => {
            format!("answered with status {code}: {}", errors.join("; "))
        }
        ClientError::RestClientError {
            source: Response::ServerResponseError { code, .. },
        } => format!("answered with status {code}"),
        ClientError::JsonParseError { .. } => "has a secret without a text field `value`".into(),
        error => {
            let mut next: Option<&(dyn Error + 'static)> = Some(error);
            let mut timeout = false;
            while let Some(cause) = next {
                if let Some(io) = cause.downcast_ref::<std::io::Error>() {
                    return format!("can't be reached: {io}");
                }
                if let Some(request) = cause.downcast_ref::<reqwest::Error>() {
                    timeout |= request.is_timeout();
                }
                next = cause.source();
            }
            if timeout {
                no_answer()
            } else {
                "gave an answer that is not Vault's".into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::Json;
    use axum::extract::Path;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::get;
    use serde_json::{Value, json};

    use super::*;

    /// What the real server answers, as seen from OpenBao 2.
    async fn answer(Path(path): Path<String>, headers: HeaderMap) -> (StatusCode, Json<Value>) {
        if headers.get("x-vault-token").is_none_or(|token| token != "t0ken") {
            return (
                StatusCode::FORBIDDEN,
                Json(json!({"errors": ["permission denied"]})),
            );
        }
        let data = match &*path {
            "secret/data/app/db_pw" => json!({"value": "hush"}),
            "secret/data/app/number" => json!({"value": 4711}),
            "secret/data/app/deleted" => {
                return (StatusCode::NOT_FOUND, Json(json!({"data": {"data": null}})));
            }
            _ => return (StatusCode::NOT_FOUND, Json(json!({"errors": []}))),
        };
        let metadata = json!({
            "created_time": "2026-01-01T00:00:00Z", "custom_metadata": null, "deletion_time": "",
            "destroyed": false, "version": 1,
        });
        let body = json!({
            "request_id": "r", "lease_id": "", "renewable": false, "lease_duration": 0,
            "data": {"data": data, "metadata": metadata},
        });
        (StatusCode::OK, Json(body))
    }

    async fn vault(token: &str) -> Vault {
        // A second test that installs it finds it there.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().route("/v1/{*path}", get(answer));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Vault::new(&url, &Secret::new(token), "secret", Some("app/")).unwrap()
    }

    #[tokio::test]
    async fn a_secret_is_found_below_mount_and_prefix() {
        let vault = vault("t0ken").await;
        assert_eq!(vault.get("db_pw").await.unwrap(), Some(Secret::new("hush")));
        for missing in ["other", "deleted"] {
            assert_eq!(vault.get(missing).await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn a_refusal_is_an_error_that_may_pass() {
        let error = vault("wrong").await.get("db_pw").await.unwrap_err();
        assert!(error.may_pass());
        let text = error.to_string();
        assert!(
            text.ends_with("answered with status 403: permission denied"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn neither_token_nor_secret_is_shown() {
        let vault = vault("t0ken").await;
        let error = vault.get("number").await.unwrap_err();
        let text = format!("{error} {error:?} {vault:?}");
        assert!(
            text.contains("`value`") && !text.contains("4711") && !text.contains("t0ken"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_server_that_is_down_is_told_with_the_cause() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        // Nobody listens on the port of a socket that is only bound.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        let vault = Vault::new(&url, &Secret::new("t"), "secret", None).unwrap();
        let text = vault.get("a").await.unwrap_err().to_string();
        assert!(
            text.contains(&url) && text.contains("Connection refused"),
            "{text}"
        );
    }

    #[test]
    fn a_wrong_address_is_an_error_of_the_settings() {
        for url in ["", "vault", "ftp://h", "http:"] {
            let made = Vault::new(url, &Secret::new("t"), "secret", None);
            assert!(matches!(made, Err(VaultSettingError::Url)), "{url}");
        }
    }
}
