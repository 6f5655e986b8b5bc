//! Accounts at authorities, each opened once and kept.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use instant_acme::{Account, AccountCredentials, NewAccount};
use tokio::sync::OnceCell;

use super::client::AuthorityClient;
use super::error::OrderError;
use super::store;

/// Every account of the process, by the file that it is kept in.
pub(super) struct Accounts {
    client: AuthorityClient,
    open: Mutex<HashMap<PathBuf, Arc<OnceCell<Account>>>>,
}

impl Accounts {
    pub(super) fn new(client: AuthorityClient) -> Self {
        Self {
            client,
            open: Mutex::default(),
        }
    }

    /// The account in `file`; a new one where there is none.
    pub(super) async fn get(
        &self,
        directory: &str,
        contact: &[String],
        file: PathBuf,
    ) -> Result<Account, OrderError> {
        let cell = self.lock().entry(file.clone()).or_default().clone();
        let open = || self.open(directory, contact, file);
        Ok(cell.get_or_try_init(open).await?.clone())
    }

    /// The authority does not know it any more.
    pub(super) async fn forget(&self, file: PathBuf) {
        self.lock().remove(&file);
        // One that is not there is forgotten.
        let _ = tokio::fs::remove_file(file).await;
    }

    async fn open(&self, directory: &str, contact: &[String], file: PathBuf) -> Result<Account, OrderError> {
        let error = |source| OrderError::Directory {
            directory: directory.to_owned(),
            source,
        };
        let builder = Account::builder_with_http(Box::new(self.client.clone()));
        if let Some(credentials) = stored(&file).await {
            return builder.from_credentials(credentials).await.map_err(error);
        }
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let wanted = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let created = builder.create(&wanted, directory.to_owned(), None).await;
        let (account, credentials) = created.map_err(error)?;
        let json = serde_json::to_string(&credentials).map_err(|source| error(source.into()))?;
        tracing::info!(
            directory,
            account = account.id(),
            "account for certificates opened"
        );
        match tokio::task::spawn_blocking(move || store::write(&file, &json)).await {
            Ok(written) => written?,
            // It panicked, and goes on doing so here.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
        Ok(account)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, Arc<OnceCell<Account>>>> {
        // Nothing panics while it is held.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file that can't be read any more is no reason not to have a certificate.
async fn stored(file: &PathBuf) -> Option<AccountCredentials> {
    let json = tokio::fs::read(file).await.ok()?;
    match serde_json::from_slice(&json) {
        Ok(credentials) => Some(credentials),
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "an account can't be read; a new one is opened");
            None
        }
    }
}
