//! Certificates that are ordered (RFC 8555): one for each name, renewed when two thirds of its life are over.
//!
//! Everything is kept below the data directory, so that a restart orders nothing. What an authority asks to see is answered
//! by every listener of the process, since it decides itself where it looks.

mod account;
mod challenges;
mod client;
mod error;
mod name;
mod order;
mod store;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use instant_acme::LetsEncrypt;
use tokio::sync::Semaphore;

use self::account::Accounts;
use self::client::AuthorityClient;
use self::error::OrderError;
use self::name::Ordered;
use self::order::Wanted;
use self::store::Store;
use crate::errors::chain;
use crate::net::{AcmeOrder, Certificate, PemFile};

pub use self::error::AcmeError;

pub(in crate::trigger::http) use self::challenges::Challenges;
pub(super) use self::challenges::TLS_ALPN;
pub(super) use self::name::{OrderedName, Spec};

/// Orders under way at once, for all names.
const MAX_ORDERS: usize = 4;
/// How long one order may take of one of these places.
const ORDER_TIMEOUT: Duration = Duration::from_secs(300);

/// What the daemon says of orders.
#[derive(Debug, Clone)]
pub struct AcmeSettings {
    /// The URL of the authority's directory; `None`: Let's Encrypt's.
    pub directory: Option<String>,
    /// Whom the authority may write to, as URLs.
    pub contact: Vec<String>,
    /// Authorities (PEM) to trust for the directory, besides the system's.
    pub ca: Option<PathBuf>,
    /// Where accounts and certificates are kept.
    pub data_dir: PathBuf,
}

/// Orders certificates. A cheap handle.
#[derive(Clone)]
pub struct Acme {
    office: Arc<Office>,
}

struct Office {
    settings: AcmeSettings,
    accounts: Accounts,
    challenges: Arc<Challenges>,
    places: Semaphore,
    /// By the directory and the name.
    names: Mutex<HashMap<(String, String), Weak<OrderedName>>>,
}

impl Acme {
    /// Asks nobody yet. Reads the file of authorities.
    ///
    /// # Errors
    /// A file that can't be used.
    pub fn new(settings: AcmeSettings) -> Result<Self, AcmeError> {
        let client = AuthorityClient::new(settings.ca.as_deref())?;
        Ok(Self {
            office: Arc::new(Office {
                settings,
                accounts: Accounts::new(client),
                challenges: Arc::default(),
                places: Semaphore::new(MAX_ORDERS),
                names: Mutex::default(),
            }),
        })
    }

    pub(in crate::trigger::http) fn challenges(&self) -> &Arc<Challenges> {
        &self.office.challenges
    }

    /// How an app has its certificates ordered: as its file says, and else as the daemon does.
    pub(super) fn spec(&self, app: &AcmeOrder) -> Spec {
        let settings = &self.office.settings;
        let directory = app.directory.clone().or(settings.directory.clone());
        Spec {
            directory: directory.unwrap_or_else(|| LetsEncrypt::Production.url().to_owned()),
            contact: app.contact.clone().unwrap_or_else(|| settings.contact.clone()),
            challenge: app.challenge,
        }
    }

    /// The certificate for a name, with what is kept of it. Nothing is ordered before [`OrderedName::begin`]. Blocks on the
    /// disk.
    pub(super) fn name(&self, name: &str, spec: &Spec) -> Arc<OrderedName> {
        let key = (spec.directory.clone(), name.to_owned());
        // Nothing panics while it is held.
        let mut names = self.office.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.retain(|_, name| name.strong_count() > 0);
        if let Some(known) = names.get(&key).and_then(Weak::upgrade) {
            return known;
        }
        let store = Store::of(&self.office.settings.data_dir, &spec.directory);
        let fresh = Arc::new(OrderedName::new(self.office.clone(), name, spec.clone(), &store));
        names.insert(key, Arc::downgrade(&fresh));
        fresh
    }
}

impl Office {
    /// Orders and keeps a certificate.
    async fn order(&self, name: &Ordered) -> Result<Certificate, OrderError> {
        let spec = name.spec();
        let slow = |_| OrderError::TooSlow {
            directory: spec.directory.clone(),
            limit: ORDER_TIMEOUT,
        };
        let ordered = tokio::time::timeout(ORDER_TIMEOUT, self.order_with_account(name, &spec));
        let pem = ordered.await.map_err(slow)??;
        let store = Store::of(&self.settings.data_dir, &spec.directory);
        let path = store.certificate(&name.name);
        let file = PemFile {
            path: &path,
            content: pem.as_bytes(),
        };
        let certificate = Certificate::parse(&file, &file).map_err(|source| OrderError::Certificate {
            directory: spec.directory.clone(),
            source,
        })?;
        if name::is_due(&certificate) {
            return Err(OrderError::Outlived {
                directory: spec.directory,
            });
        }
        match tokio::task::spawn_blocking(move || store::write(&path, &pem)).await {
            Ok(Ok(())) => {}
            // It is as good as one that is kept, until the next restart.
            Ok(Err(error)) => tracing::error!(error = chain(&error), "a certificate is lost at a restart"),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
        Ok(certificate)
    }

    /// An authority may have lost our account: then a new one is opened, once.
    async fn order_with_account(&self, name: &Ordered, spec: &Spec) -> Result<String, OrderError> {
        let file = Store::of(&self.settings.data_dir, &spec.directory).account(&spec.contact);
        let wanted = Wanted {
            name: &name.name,
            directory: &spec.directory,
            challenge: spec.challenge,
            challenges: &self.challenges,
        };
        let account = || self.accounts.get(&spec.directory, &spec.contact, file.clone());
        match wanted.order(&account().await?).await {
            Err(error) if error.is_of_the_account() => {
                self.accounts.forget(file.clone()).await;
                wanted.order(&account().await?).await
            }
            ordered => ordered,
        }
    }
}
