//! One table of DynamoDB, and the client for it.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Credentials;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use tokio::sync::OnceCell;

use crate::host::key_value::store::StoreError;
use crate::runtime_config::KeyValueStore;
use crate::variables::Secret;

/// How long a call may take, with the client's own repetitions.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(30);
/// Who gave the keys, as the client's own errors have it.
const SOURCE: &str = "runtime configuration";

/// What the runtime configuration says of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Definition {
    /// Access key, secret key and perhaps a token; without them, what the environment has.
    keys: Option<(Secret, Secret, Option<Secret>)>,
    region: String,
    consistent_read: bool,
    table: String,
}

impl Definition {
    /// An error says what is missing.
    pub(super) fn of(store: &KeyValueStore) -> Result<Self, String> {
        let KeyValueStore::AwsDynamo {
            access_key,
            secret_key,
            token,
            region,
            consistent_read,
            table,
        } = store
        else {
            return Err("it has another type".into());
        };
        let keys = match (access_key, secret_key) {
            (Some(access_key), Some(secret_key)) => {
                Some((access_key.clone(), secret_key.clone(), token.clone()))
            }
            (None, None) => None,
            _ => return Err("give both `access_key` and `secret_key`, or none of them".into()),
        };
        Ok(Self {
            keys,
            region: region.clone(),
            consistent_read: *consistent_read,
            table: table.clone(),
        })
    }
}

/// A table, whose client is made at the first call.
pub(super) struct Table {
    definition: Definition,
    client: OnceCell<Client>,
}

impl Table {
    pub(super) fn new(definition: Definition) -> Self {
        let client = OnceCell::new();
        Self { definition, client }
    }

    pub(super) fn is(&self, definition: &Definition) -> bool {
        self.definition == *definition
    }

    pub(super) fn name(&self) -> &str {
        &self.definition.table
    }

    pub(super) fn consistent_read(&self) -> bool {
        self.definition.consistent_read
    }

    pub(super) async fn client(&self) -> &Client {
        self.client.get_or_init(|| self.connect()).await
    }

    /// Reads the environment, `AWS_ENDPOINT_URL` among it, and asks no server.
    async fn connect(&self) -> Client {
        let timeouts = TimeoutConfig::builder()
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(self.definition.region.clone()))
            .timeout_config(timeouts);
        if let Some((access_key, secret_key, token)) = &self.definition.keys {
            let token = token.as_ref().map(|token| token.expose().to_owned());
            loader = loader.credentials_provider(Credentials::new(
                access_key.expose(),
                secret_key.expose(),
                token,
                None,
                SOURCE,
            ));
        }
        Client::new(&loader.load().await)
    }
}

/// The service's own words, or what kept it from answering.
pub(super) fn failed<E, R>(error: SdkError<E, R>) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    if let Some(error) = error.as_service_error() {
        let code = error.code().unwrap_or("unknown error");
        return StoreError(match error.message() {
            Some(message) => format!("DynamoDB: {code}: {message}"),
            None => format!("DynamoDB: {code}"),
        });
    }
    let mut text = format!("DynamoDB: {error}");
    let mut next = std::error::Error::source(&error);
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    StoreError(text)
}
