//! Digest to an app that is ready to serve.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{LaunchFailure, Parts};
use crate::app::LockedApp;
use crate::control::{AppId, Version};
use crate::manifest::AppSpec;
use crate::oci::{AppConfig, Digest, Lease, OciError, Pin};
use crate::trigger::http::{self, HttpApp, HttpAppInput, HttpPlan};
use crate::variables::{Declared, Environment, Provider, Values, Variables};

/// An app that is ready to serve, and what it needs of the store.
pub struct PreparedApp {
    pub(super) app: Arc<HttpApp>,
    pub(super) pins: Vec<Pin>,
    /// Keeps it from being pruned until it is pinned.
    pub(super) lease: Lease,
}

/// What a reference means, and whether anybody was asked.
pub(super) struct Resolved {
    pub(super) digest: Digest,
    pub(super) from_memory: bool,
}

impl Parts {
    /// The digest to start from.
    pub(super) async fn version(
        &self,
        id: &AppId,
        spec: &AppSpec,
        version: &Version,
    ) -> Result<Resolved, LaunchFailure> {
        match version {
            Version::Exactly(digest) => {
                let digest = Digest::parse(digest).map_err(LaunchFailure::Digest)?;
                Ok(Resolved {
                    digest,
                    from_memory: false,
                })
            }
            Version::Fresh => Ok(Resolved {
                digest: self.resolve(spec).await?,
                from_memory: false,
            }),
            Version::Stored => self.stored_or_fresh(id, spec).await,
        }
    }

    /// A registry is not waited for when it is known what the reference meant; what is on this machine is asked first, and
    /// remembered all the same.
    async fn stored_or_fresh(&self, id: &AppId, spec: &AppSpec) -> Result<Resolved, LaunchFailure> {
        let stored = self.stored(spec).await;
        match stored {
            Some(digest) if spec.reference.is_remote() => {
                tracing::info!(app = id.as_str(), %digest, "starting from the stored digest");
                Ok(Resolved {
                    digest,
                    from_memory: !spec.reference.is_pinned(),
                })
            }
            stored => match (self.resolve(spec).await, stored) {
                (Ok(digest), _) => Ok(Resolved {
                    digest,
                    from_memory: false,
                }),
                (Err(error), Some(digest)) => {
                    tracing::warn!(
                        app = id.as_str(),
                        %digest,
                        error = &error as &dyn std::error::Error,
                        "starting from the stored digest"
                    );
                    Ok(Resolved {
                        digest,
                        from_memory: true,
                    })
                }
                (Err(error), None) => Err(error.into()),
            },
        }
    }

    async fn stored(&self, spec: &AppSpec) -> Option<Digest> {
        if let Some(digest) = spec.reference.digest() {
            return Some(digest);
        }
        let (resolutions, reference) = (self.resolutions.clone(), spec.reference.clone());
        tokio::task::spawn_blocking(move || resolutions.get(&reference))
            .await
            .ok()
            .flatten()
    }

    /// What the reference means now; remembered.
    pub(super) async fn resolve(&self, spec: &AppSpec) -> Result<Digest, OciError> {
        let digest = self.puller.resolve(&spec.reference).await?;
        let (resolutions, reference) = (self.resolutions.clone(), spec.reference.clone());
        let written = tokio::task::spawn_blocking(move || resolutions.put(&reference, digest)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(reference = %spec.reference, %error, "what the reference means can't be remembered");
        }
        Ok(digest)
    }

    /// Everything but the port.
    pub(super) async fn prepare(
        &self,
        id: &AppId,
        spec: &AppSpec,
        digest: Digest,
    ) -> Result<PreparedApp, LaunchFailure> {
        self.make_state_dir(spec).await?;
        let artifact = self.puller.pull(&spec.reference, &digest).await?;
        let app = match &artifact.config {
            AppConfig::Locked(json) => LockedApp::parse(json)?,
            AppConfig::PlainWasm { digest, name } => LockedApp::plain_wasm(name, digest),
        };
        let plan = HttpPlan::new(&app)?;
        let variables = Arc::new(self.variables(id, spec, &app));
        variables.check_required().await?;
        let mut pins: Vec<Pin> = artifact.blobs.iter().map(Pin::from).collect();
        let mut loaded = BTreeMap::new();
        for component in plan.components(&app) {
            let component_loaded = self.loader.load(component).await?;
            pins.extend(component_loaded.pins.iter().cloned());
            loaded.insert(component.id.clone(), component_loaded);
        }
        let input = HttpAppInput {
            id: id.as_str().into(),
            digest: digest.to_string(),
            app: &app,
            loaded,
            environment: &spec.environment,
            variables,
        };
        let app = http::prepare(&self.http, plan, input).await?;
        Ok(PreparedApp {
            app,
            pins,
            lease: artifact.lease,
        })
    }

    async fn make_state_dir(&self, spec: &AppSpec) -> Result<(), LaunchFailure> {
        let path = self.state_root.join(&spec.state_dir);
        tokio::fs::create_dir_all(&path)
            .await
            .map_err(|source| LaunchFailure::StateDir { path, source })
    }

    fn variables(&self, id: &AppId, spec: &AppSpec, app: &LockedApp) -> Variables {
        for name in spec
            .variables
            .keys()
            .filter(|name| !app.variables.contains_key(*name))
        {
            tracing::warn!(
                app = id.as_str(),
                variable = name,
                "the app file gives a value for a variable that the app does not have"
            );
        }
        let declared = app.variables.iter().map(|(name, variable)| {
            (
                name.clone(),
                Declared {
                    default: variable.default.clone().map(Into::into),
                },
            )
        });
        let mut providers: Vec<Box<dyn Provider>> = vec![Box::new(Values::new(spec.variables.clone()))];
        if self.shared_variables {
            providers.push(Box::new(Environment));
        }
        Variables::new(declared.collect(), providers)
    }
}
