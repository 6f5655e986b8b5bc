//! What a version of an app is made from: to see that it can be, and again when it is asked for after a rest.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;

use super::components::{AppResources, Bounds, Directories};
use super::{LaunchFailure, Parts};
use crate::app::LockedApp;
use crate::control::AppId;
use crate::logs::AppLogs;
use crate::manifest::AppSpec;
use crate::oci::{Digest, OciError};
use crate::runtime_config::{RuntimeConfig, RuntimeConfigSource};
use crate::tasks;
use crate::trigger::http::{self, AppParts, HttpApp, HttpPlan, MakeParts, PartsError};
use crate::trigger::{AppInput, PreparedComponent};
use crate::variables::Variables;

/// Locked apps that are kept, so that thousands of apps of one artifact read it once.
const KEPT: usize = 16;

/// Where an artifact's locked app is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// The blob.
    Locked(Digest),
    /// It is made up for this Wasm, under this name.
    PlainWasm { digest: Digest, name: Arc<str> },
}

/// The locked apps that were read last.
#[derive(Default)]
pub struct RecentApps(Mutex<VecDeque<(Content, Arc<LockedApp>)>>);

impl RecentApps {
    pub(super) fn get(&self, content: &Content) -> Option<Arc<LockedApp>> {
        // Nothing panics while it is held.
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().find(|(other, _)| other == content);
        found.map(|(_, app)| app.clone())
    }

    pub(super) fn put(&self, content: &Content, app: &Arc<LockedApp>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.iter().any(|(other, _)| other == content) {
            return;
        }
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back((content.clone(), app.clone()));
    }
}

/// A version that has been prepared once, and whose parts may be let go: it has no triggers but HTTP's, and nothing of it has to
/// outlast its last use.
#[derive(Clone)]
pub(super) struct Blueprint {
    pub(super) all: Arc<Parts>,
    pub(super) id: AppId,
    pub(super) spec: Arc<AppSpec>,
    pub(super) digest: Digest,
    pub(super) content: Content,
    /// The app's own runtime configuration as it was read, if it is in a file, which may say something else by now.
    pub(super) own: Option<Arc<RuntimeConfig>>,
    pub(super) logs: AppLogs,
    pub(super) bounds: Bounds,
}

impl MakeParts for Blueprint {
    fn make(&self, app: Arc<HttpApp>) -> BoxFuture<'static, Result<AppParts, PartsError>> {
        let blueprint = self.clone();
        async move { blueprint.parts(&app).await.map_err(Into::into) }.boxed()
    }
}

impl Blueprint {
    async fn parts(&self, app: &HttpApp) -> Result<AppParts, LaunchFailure> {
        let locked = self.locked().await?;
        let plan = HttpPlan::new(&locked)?;
        let own = match (&self.own, &self.spec.runtime_config) {
            (Some(own), _) => (**own).clone(),
            (None, Some(RuntimeConfigSource::Inline(config))) => (**config).clone(),
            (None, _) => RuntimeConfig::default(),
        };
        let mut config = own.over(&self.all.runtime_config);
        let state = self.all.absolute_state_dir(&self.spec, &config)?;
        config.resolve_store_paths(&state);
        let directories = Directories {
            state,
            logs: self.logs.clone(),
        };
        let variables = Arc::new(self.all.variables(&self.spec, &locked, &config)?);
        let resources = AppResources::new(
            &self.all,
            &self.id,
            &locked,
            &self.spec,
            config,
            directories,
            variables.clone(),
            &self.bounds,
        );
        let resources = resources.await?;
        let mut components = BTreeMap::new();
        for component in plan.components(&locked) {
            let prepared = Box::pin(self.all.component_again(&resources, component)).await?;
            components.insert(component.id.clone(), prepared);
        }
        let input = input(
            &self.id,
            &self.digest,
            &locked,
            &components,
            variables,
            &resources,
        );
        Ok(http::make_again(&self.all.runtime, &plan, &input, app)?)
    }

    async fn locked(&self) -> Result<Arc<LockedApp>, LaunchFailure> {
        if let Some(app) = self.all.recent.get(&self.content) {
            return Ok(app);
        }
        let app = match &self.content {
            Content::PlainWasm { digest, name } => LockedApp::plain_wasm(name, digest),
            Content::Locked(digest) => {
                let (store, digest) = (self.all.puller.store().clone(), *digest);
                let read = tasks::on_disk(move || store.read(&digest)).await;
                let read = read.map_err(OciError::from)?;
                LockedApp::parse(&read.ok_or(LaunchFailure::Gone(digest))?)?
            }
        };
        let app = Arc::new(app);
        self.all.recent.put(&self.content, &app);
        Ok(app)
    }
}

/// What a version's triggers are prepared from.
pub(super) fn input<'a>(
    id: &AppId,
    digest: &Digest,
    app: &'a LockedApp,
    components: &'a BTreeMap<String, PreparedComponent>,
    variables: Arc<Variables>,
    resources: &AppResources<'_>,
) -> AppInput<'a> {
    AppInput {
        id: id.shared(),
        digest: digest.to_string(),
        app,
        components,
        variables,
        requests: resources.requests.clone(),
    }
}
