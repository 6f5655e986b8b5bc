//! What an app is made of while requests come for it, and not held when none has come for a while.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Instant;

use futures::future::BoxFuture;

use super::admission::Admission;
use super::app::{HttpApp, RouteSummary};
use super::executor::OnDemand;
use super::router::Router;
use super::static_response::StaticResponse;
use crate::loader::{Resident, Residents};
use crate::trigger::guest::Guest;

/// All that requests need of one version of an app, besides what counts them.
pub struct AppParts {
    pub(super) name: String,
    pub(super) version: Option<String>,
    /// Of the artifact's manifest.
    pub(super) digest: String,
    pub(super) router: Router,
    /// What `spin-base-path` says.
    pub(super) base_path: String,
    /// What each route of the router leads to.
    pub(super) endpoints: Box<[Endpoint]>,
    /// Every component with an HTTP trigger, public or private.
    pub(super) components: HashMap<String, HttpComponent>,
    pub(super) admission: Admission,
    pub(super) made: Instant,
}

pub(super) enum Endpoint {
    Component(String),
    Static(StaticResponse),
}

/// A component and how it is called.
pub(super) struct HttpComponent {
    pub(super) guest: Arc<Guest>,
    pub(super) executor: Arc<OnDemand>,
}

/// Makes the parts of a version again that have been made, tried and let go. What they are made from is the same as then, so
/// that it can fail for want of memory, descriptors or a disk, and for no mistake of the app's.
pub trait MakeParts: Send + Sync {
    fn make(&self, app: Arc<HttpApp>) -> BoxFuture<'static, Result<AppParts, PartsError>>;
}

/// Why an app has no parts now.
pub type PartsError = Box<dyn Error + Send + Sync>;

/// How parts come and go.
pub struct Rest {
    pub make: Box<dyn MakeParts>,
    /// Who lets them go.
    pub residents: Residents,
}

/// The parts, when they are there.
pub(super) struct Slot {
    parts: RwLock<Option<Arc<AppParts>>>,
    /// Whoever makes them: others wait for that.
    making: tokio::sync::Mutex<()>,
    /// `None`: once there, they stay.
    rest: Option<Rest>,
}

impl AppParts {
    /// What clients can ask for, most specific first.
    pub(super) fn routes(&self) -> Vec<RouteSummary> {
        let summary = |(pattern, target): (&str, usize)| {
            let target = match &self.endpoints[target] {
                Endpoint::Component(id) => id.clone(),
                Endpoint::Static(_) => "static response".into(),
            };
            let pattern = match pattern.strip_suffix("/...").or(pattern.strip_suffix("/*")) {
                Some(prefix) => format!("{prefix} (wildcard)"),
                None => pattern.to_owned(),
            };
            RouteSummary { pattern, target }
        };
        self.router.routes().map(summary).collect()
    }

    fn last_use(&self) -> Instant {
        let components = self.components.values();
        let used = components.map(|component| component.executor.last_use());
        used.max().map_or(self.made, |used| used.max(self.made))
    }
}

impl Slot {
    pub(super) fn new(rest: Option<Rest>) -> Self {
        Self {
            parts: RwLock::default(),
            making: tokio::sync::Mutex::default(),
            rest,
        }
    }

    fn there(&self) -> Option<Arc<AppParts>> {
        // Nothing panics while it is held.
        self.parts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl HttpApp {
    /// The parts, for one use, by somebody who is counted among those in flight: without that they may be let go meanwhile, and
    /// be there twice.
    pub(super) async fn parts(&self) -> Result<Arc<AppParts>, PartsError> {
        if let Some(parts) = self.slot.there() {
            return Ok(parts);
        }
        Box::pin(self.make_parts()).await
    }

    async fn make_parts(&self) -> Result<Arc<AppParts>, PartsError> {
        let _alone = self.slot.making.lock().await;
        if let Some(parts) = self.slot.there() {
            return Ok(parts);
        }
        let made = match (&self.slot.rest, self.shared()) {
            (Some(rest), Some(app)) => rest.make.make(app).await?,
            // Parts that stay are put there before the app is anywhere.
            _ => return Err("the app is being stopped".into()),
        };
        let parts = Arc::new(made);
        self.put(parts.clone());
        Ok(parts)
    }

    /// Holds the parts until nobody has used them for a while.
    pub(super) fn put(&self, parts: Arc<AppParts>) {
        *self.slot.parts.write().unwrap_or_else(PoisonError::into_inner) = Some(parts);
        self.stay();
    }

    /// Whether parts are to be there before anybody asks for them.
    pub(super) fn holds_new_parts(&self) -> bool {
        self.slot
            .rest
            .as_ref()
            .is_none_or(|rest| rest.residents.are_few())
    }

    fn stay(&self) {
        if let (Some(rest), Some(app)) = (&self.slot.rest, self.shared()) {
            let resident: Arc<dyn Resident> = app;
            let weak: Weak<dyn Resident> = Arc::downgrade(&resident);
            rest.residents.add(weak);
        }
    }
}

impl Resident for HttpApp {
    fn last_use(&self) -> Instant {
        let used = self.slot.there().map(|parts| parts.last_use());
        match self.life().in_flight.is_empty() {
            true => used.unwrap_or_else(Instant::now),
            false => Instant::now(),
        }
    }

    fn leave(&self) {
        let mut slot = self.slot.parts.write().unwrap_or_else(PoisonError::into_inner);
        // Whoever has them is counted before it takes them.
        let parts = match self.life().in_flight.is_empty() {
            true => slot.take(),
            false => None,
        };
        drop(slot);
        match parts {
            // After the lock: it is the last handle on all that belongs to it.
            Some(parts) => drop(parts),
            None => self.stay(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use futures::FutureExt;
    use http::{Request, StatusCode};

    use super::super::admission::RequestLimits;
    use super::super::headers::Origin;
    use super::super::respond;
    use super::*;
    use crate::runtime::Overruns;

    #[derive(Default)]
    struct Maker {
        made: AtomicUsize,
        fails: AtomicBool,
    }

    impl MakeParts for Arc<Maker> {
        fn make(&self, _: Arc<HttpApp>) -> BoxFuture<'static, Result<AppParts, PartsError>> {
            self.made.fetch_add(1, Ordering::Relaxed);
            let made = match self.fails.load(Ordering::Relaxed) {
                true => Err("the disk is gone".into()),
                false => Ok(parts()),
            };
            async move { made }.boxed()
        }
    }

    fn parts() -> AppParts {
        AppParts {
            name: "app".into(),
            version: None,
            digest: "sha256:1".into(),
            router: Router::new(Vec::new()).unwrap().0,
            base_path: "/".into(),
            endpoints: Box::default(),
            components: HashMap::new(),
            admission: Admission::new(RequestLimits::default()),
            made: Instant::now(),
        }
    }

    fn app() -> (Arc<HttpApp>, Arc<Maker>) {
        let maker = Arc::new(Maker::default());
        let rest = Rest {
            make: Box::new(maker.clone()),
            residents: Residents::any_number(),
        };
        let app = HttpApp::new("app".into(), Arc::new(Overruns::alone()), Some(rest));
        (app, maker)
    }

    async fn ask(app: &HttpApp, name: &str) -> StatusCode {
        let uri = format!("/.well-known/spin/{name}");
        let request = Request::builder().uri(uri).body(respond::empty()).unwrap();
        let in_flight = app.life().in_flight.token();
        app.answer(request, Origin::Itself, 0, in_flight).await.status()
    }

    #[tokio::test]
    async fn parts_are_made_for_a_request_and_let_go_when_none_is_in_flight() {
        let (app, maker) = app();
        let made = || maker.made.load(Ordering::Relaxed);
        assert_eq!(made(), 0);
        assert_eq!(ask(&app, "info").await, StatusCode::OK);
        assert_eq!(ask(&app, "info").await, StatusCode::OK);
        assert_eq!(made(), 1);
        let in_flight = app.life().in_flight.token();
        app.leave();
        assert!(app.slot.there().is_some(), "somebody may hold them");
        drop(in_flight);
        app.leave();
        assert!(app.slot.there().is_none());
        assert_eq!(ask(&app, "info").await, StatusCode::OK);
        assert_eq!(made(), 2);
    }

    #[tokio::test]
    async fn parts_that_cant_be_had_are_asked_for_again() {
        let (app, maker) = app();
        maker.fails.store(true, Ordering::Relaxed);
        assert_eq!(ask(&app, "info").await, StatusCode::SERVICE_UNAVAILABLE);
        maker.fails.store(false, Ordering::Relaxed);
        assert_eq!(ask(&app, "info").await, StatusCode::OK);
    }
}
