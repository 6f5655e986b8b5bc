//! Pulling: from a digest to everything it needs in the store (`docs/contract/oci.md` §5).

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;

use super::auth::CredentialSources;
use super::client::Client;
use super::digest::Digest;
use super::error::{OciError, blocking};
use super::fetch::{InFlight, Pull};
use super::limits::Limits;
use super::manifest::{Image, Manifest};
use super::origin::Origin;
use super::progress::{LogProgress, Progress};
use super::reference::Source;
use super::store::{Lease, Store};
use super::trust::{self, Policy};
use super::whole::Whole;
use crate::tasks::Flights;

/// Indexes that point to indexes.
pub(crate) const INDEX_DEPTH: usize = 3;

/// What pulling has done so far. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct FetchCounts {
    /// Blobs that were fetched and verified.
    pub blobs: Counter,
    /// The bytes of these, as they came.
    pub bytes: Counter,
    /// References that could not be resolved, and artifacts that could not be fetched.
    pub failures: Counter,
}

/// What a [`Puller`] is told at its start.
#[derive(Clone)]
pub struct PullerConfig {
    /// What a pull may cost.
    pub limits: Limits,
    /// Registries spoken to in plain http: `HOST:PORT`, or `HOST` for each of its ports.
    pub insecure_registries: Vec<String>,
    /// PEM files with authorities that are trusted for registries, besides the system's.
    pub registry_ca: Vec<PathBuf>,
    /// Where credentials are looked up.
    pub credentials: CredentialSources,
    /// Who is told of progress.
    pub progress: Arc<dyn Progress>,
    /// What may run.
    pub policy: Policy,
}

/// A handle on registries, layouts and the store; clones share it.
#[derive(Clone)]
pub struct Puller(Arc<Inner>);

struct Inner {
    store: Store,
    client: Client,
    limits: Limits,
    policy: Arc<Policy>,
    progress: Arc<dyn Progress>,
    in_flight: InFlight,
    counts: FetchCounts,
    resolving: Flights<Source, Digest>,
    looking: Flights<Digest, Arc<Looked>>,
}

/// What the store had of an artifact, which is not pruned while this is held.
#[derive(Debug)]
pub struct Looked {
    _lease: Lease,
    whole: Option<Whole>,
}

/// A pulled artifact: everything it needs is in the store.
#[derive(Debug)]
pub struct Artifact {
    /// The digest that was pulled, of the manifest or of the index that led to it: the identity of the deployment.
    pub digest: Digest,
    /// What kind of app it is.
    pub config: AppConfig,
    /// Everything of it that is in the store, for [`Store::pin`]: manifests, config, layers, files of archive layers.
    pub blobs: Vec<Digest>,
    /// Keeps `blobs` from being pruned. Drop it when they are pinned: until then no prune happens at all.
    pub lease: Arc<Looked>,
}

/// What an artifact says about its app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppConfig {
    /// A locked app.
    Locked {
        /// Its blob.
        digest: Digest,
        json: Vec<u8>,
    },
    /// A bare Wasm file, for which the host makes up an app (`docs/contract/oci.md` §2.3).
    PlainWasm {
        /// The Wasm's blob.
        digest: Digest,
        /// A name for the app: the last segment of the repository, or the layout's name.
        name: String,
    },
}

impl Default for PullerConfig {
    fn default() -> Self {
        PullerConfig {
            limits: Limits::default(),
            insecure_registries: Vec::new(),
            registry_ca: Vec::new(),
            credentials: CredentialSources::from_env(),
            progress: Arc::new(LogProgress),
            policy: Policy::default(),
        }
    }
}

impl Puller {
    /// Reads the certificate files and the environment's proxy settings; touches no network.
    ///
    /// # Errors
    /// [`OciError::Setting`] for a certificate file that is not usable.
    pub fn new(store: Store, config: PullerConfig) -> Result<Puller, OciError> {
        let client = Client::new(
            config.insecure_registries,
            &config.registry_ca,
            config.credentials,
        )?;
        let (limits, progress) = (config.limits, config.progress);
        Ok(Puller(Arc::new(Inner {
            store,
            client,
            limits,
            policy: Arc::new(config.policy),
            progress,
            in_flight: InFlight::default(),
            counts: FetchCounts::default(),
            resolving: Flights::default(),
            looking: Flights::default(),
        })))
    }

    /// What this has fetched.
    pub fn counts(&self) -> &FetchCounts {
        &self.0.counts
    }

    /// The store that is pulled into.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Whether the policy lets `source` be asked for; both of the methods below begin with this.
    ///
    /// # Errors
    /// [`OciError::Refused`] says why not, and what to change.
    pub fn admit(&self, source: &Source) -> Result<(), OciError> {
        Ok(self.0.policy.admit(source)?)
    }

    /// What `source` means now: asks the registry, or reads the layout. A digest in the reference is the answer itself.
    ///
    /// # Errors
    /// When the source is refused, can't be asked, or has no such tag.
    pub async fn resolve(&self, source: &Source) -> Result<Digest, OciError> {
        self.admit(source)?;
        let asked = async { self.origin(source).resolve().await };
        self.counted(Box::pin(self.0.resolving.join(source, asked)).await)
    }

    fn counted<T>(&self, outcome: Result<T, OciError>) -> Result<T, OciError> {
        if outcome.is_err() {
            self.0.counts.failures.inc();
        }
        outcome
    }

    /// Brings everything that `digest` needs into the store, verified. Touches no network when all of it is there.
    /// Dropping the future leaves only whole blobs behind.
    ///
    /// # Errors
    /// When it is refused, something can't be fetched or verified, is above a limit, or is no app.
    pub async fn pull(&self, source: &Source, digest: &Digest) -> Result<Artifact, OciError> {
        self.counted(self.fetch(source, digest).await)
    }

    async fn fetch(&self, source: &Source, digest: &Digest) -> Result<Artifact, OciError> {
        self.admit(source)?;
        let looked = self.look(digest).await?;
        let origin = self.origin(source);
        Box::pin(trust::check(&self.0.policy, &origin, digest)).await?;
        if let Some(whole) = &looked.whole {
            self.check(&whole.image, source)?;
            return Ok(Artifact {
                digest: *digest,
                config: whole.config(source.name()),
                blobs: whole.blobs.clone(),
                lease: looked,
            });
        }
        Box::pin(self.complete(source, &origin, digest, looked)).await
    }

    /// The lease, and what the store has of the artifact.
    async fn look(&self, digest: &Digest) -> Result<Arc<Looked>, OciError> {
        let look = async {
            let (store, digest) = (self.0.store.clone(), *digest);
            blocking(move || {
                // In this order: what is found then stays.
                let lease = store.lease()?;
                let whole = Whole::find(&store, &digest);
                Ok(Arc::new(Looked { _lease: lease, whole }))
            })
            .await
        };
        Box::pin(self.0.looking.join(digest, look)).await
    }

    /// Brings what is missing into the store.
    async fn complete(
        &self,
        source: &Source,
        origin: &Origin<'_>,
        digest: &Digest,
        looked: Arc<Looked>,
    ) -> Result<Artifact, OciError> {
        let mut blobs = Vec::new();
        let image = self.image(origin, digest, &mut blobs).await?;
        self.check(&image, source)?;
        let config = Pull {
            in_flight: &self.0.in_flight,
            counts: &self.0.counts,
            progress: &*self.0.progress,
            origin,
            image: &image,
        }
        .run(&mut blobs)
        .await?;
        Ok(Artifact {
            digest: *digest,
            config,
            blobs,
            lease: looked,
        })
    }

    fn origin<'a>(&'a self, source: &'a Source) -> Origin<'a> {
        Origin::new(source, &self.0.client, &self.0.store, &self.0.limits)
    }

    /// Follows indexes to the one manifest to run; every manifest on the way joins `blobs`.
    async fn image(
        &self,
        origin: &Origin<'_>,
        digest: &Digest,
        blobs: &mut Vec<Digest>,
    ) -> Result<Image, OciError> {
        let what = origin.source.to_string();
        let mut digest = *digest;
        for _ in 0..=INDEX_DEPTH {
            let bytes = origin.manifest(&digest).await?;
            blobs.push(digest);
            match Manifest::parse(&bytes, &what)? {
                Manifest::Image(image) => return Ok(image),
                Manifest::Index(index) => digest = index.choose(&what)?.digest,
            }
        }
        Err(OciError::BadManifest {
            what,
            reason: format!("more than {INDEX_DEPTH} indexes point to each other"),
        })
    }

    fn check(&self, image: &Image, source: &Source) -> Result<(), OciError> {
        let limits = &self.0.limits;
        let too_large = |what: String, limit, unit| Err(OciError::TooLarge { what, limit, unit });
        if image.layers.len() > limits.layers {
            return too_large(source.to_string(), limits.layers as u64, "layers");
        }
        if let Some(blob) = image.layers.iter().find(|layer| layer.size > limits.blob) {
            return too_large(format!("blob {} of {source}", blob.digest), limits.blob, "bytes");
        }
        let locked = image.locked_app().unwrap_or(&image.config);
        if locked.size > limits.config {
            return too_large(
                format!("the configuration {} of {source}", locked.digest),
                limits.config,
                "bytes",
            );
        }
        let total = image
            .layers
            .iter()
            .fold(image.config.size, |sum, layer| sum.saturating_add(layer.size));
        if total > limits.total {
            return too_large(source.to_string(), limits.total, "bytes in all");
        }
        Ok(())
    }
}

impl fmt::Debug for Puller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Puller")
            .field("store", &self.0.store.root())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "pull_tests.rs"]
mod tests;
