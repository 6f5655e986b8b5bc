//! What the supervisor knows of one app.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::FutureExt as _;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::control::backoff::Backoff;
use crate::control::claim::Claim;
use crate::control::claims::Claims;
use crate::control::history::RefusedVersion;
use crate::control::launcher::{Finished, LaunchError, LaunchErrorKind, Passive, Version};
use crate::control::pin::Hold;
use crate::control::plan::{Actual, Desired};
use crate::control::status::{AppState, AppStatus, PinnedVersion, timestamp};
use crate::manifest::{AppId, AppSpec};
use crate::tasks;

use super::rollback::{Reply, Rollback};

/// A running trigger task.
#[derive(Debug)]
pub(super) struct Live {
    /// Tells the runs of one app apart.
    pub(super) run: u64,
    pub(super) owner: AppId,
    pub(super) spec: Arc<AppSpec>,
    pub(super) digest: Arc<str>,
    pub(super) address: String,
    pub(super) routes: Arc<[String]>,
    pub(super) stops: Stops,
    pub(super) began: Instant,
    /// It is what served before the restart, since what the file asks for can't be had.
    pub(super) fallback: bool,
    /// How its commands ended.
    pub(super) finished: Option<Finished>,
    /// Why it does not serve as its file asks although it runs.
    pub(super) trouble: Option<String>,
    /// While it is told of that.
    pub(super) _told: Option<DropGuard>,
}

/// How a run is stopped.
#[derive(Debug)]
pub(super) enum Stops {
    Task {
        /// The last resort against a task that does not end.
        abort: AbortHandle,
        stop: oneshot::Sender<Duration>,
        /// Cancelled when the task has ended.
        ended: CancellationToken,
    },
    Passive(Launched),
}

/// What [`Run::Passive`] has.
pub(super) struct Launched(pub(super) Box<dyn Passive>);

impl std::fmt::Debug for Launched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Launched")
    }
}

impl Stops {
    /// Returns when the run has ended; `false`: it had to be aborted after `time` and `grace`.
    pub(super) async fn stop(self, time: Duration, grace: Duration) -> bool {
        let patience = time.saturating_add(grace);
        match self {
            Self::Task { abort, stop, ended } => {
                // An error means that the task has ended already.
                let _ = stop.send(time);
                let ended = timeout(patience, ended.cancelled()).await.is_ok();
                if !ended {
                    abort.abort();
                }
                ended
            }
            Self::Passive(Launched(run)) => {
                let stopped = AssertUnwindSafe(run.stop(time)).catch_unwind();
                match timeout(patience, stopped).await {
                    Ok(Ok(())) => true,
                    Ok(Err(panic)) => {
                        let reason = tasks::panic_text(panic.as_ref());
                        tracing::error!(reason, "the end of an app panicked");
                        true
                    }
                    Err(_) => false,
                }
            }
        }
    }
}

/// An attempt at another [`Live`].
#[derive(Debug)]
pub(super) struct Work {
    /// A result of another generation is of no interest any more.
    pub(super) generation: u64,
    pub(super) version: Version,
    pub(super) fallback: bool,
    pub(super) stage: Stage,
    /// Who waits for it, if the app is rolled back by it.
    pub(super) rollback: Option<Reply<PinnedVersion>>,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// May be given up. `spec` is unknown until a last good version has been recalled.
    Preparing {
        spec: Option<Arc<AppSpec>>,
        abort: AbortHandle,
    },
    /// Is waited for.
    Activating,
}

/// A point in time, for timers and for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct When {
    pub(super) instant: Instant,
    pub(super) time: SystemTime,
}

impl When {
    pub(super) fn after(delay: Duration) -> When {
        When {
            instant: Instant::now() + delay,
            time: SystemTime::now() + delay,
        }
    }

    pub(super) fn has_come(&self) -> bool {
        self.instant <= Instant::now()
    }
}

/// One app: what its file asks for, what runs, what is being tried, and what went wrong.
#[derive(Debug)]
pub(super) struct App {
    /// `false`: the file is gone, and the app on its way out.
    pub(super) present: bool,
    pub(super) path: PathBuf,
    /// The text of the newest valid file.
    pub(super) text: Arc<str>,
    /// What the newest valid file asks for, with the content of the version that the app is pinned to.
    pub(super) spec: Option<Arc<AppSpec>>,
    /// The app is pinned to a version.
    pub(super) hold: Option<Hold>,
    pub(super) rollback: Option<Rollback>,
    /// What served before the restart, and its digest, while no valid file has been seen.
    pub(super) remembered: Option<(Arc<AppSpec>, String)>,
    /// What is wrong with the newest file.
    pub(super) file_problem: Option<String>,
    pub(super) live: Option<Live>,
    pub(super) work: Option<Work>,
    /// Why the newest valid file is not what runs.
    pub(super) trouble: Option<LaunchError>,
    pub(super) retry: Option<When>,
    pub(super) backoff: Backoff,
    /// For runs that end by themselves: reset by a long run, not by a successful start.
    pub(super) crashes: Backoff,
    /// A version to prepare although the file is unchanged.
    pub(super) renew: Option<Version>,
    pub(super) fallback_tried: bool,
    /// Who holds what it claims, and in which words that is told.
    pub(super) waits: Option<String>,
    pub(super) resolving: Option<AbortHandle>,
    pub(super) resolve_at: Option<When>,
    pub(super) resolve_trouble: Option<String>,
    pub(super) resolve_backoff: Backoff,
    /// Runs that finish their requests in flight.
    pub(super) draining: usize,
    /// The last reason that was logged.
    pub(super) logged: Option<String>,
    pub(super) generation: u64,
    /// What could not be served since the newest version began.
    pub(super) refused: Vec<RefusedVersion>,
    pub(super) redeploys: u64,
    pub(super) restarts: u64,
}

impl App {
    pub(super) fn new() -> App {
        App {
            present: true,
            path: PathBuf::new(),
            text: Arc::from(""),
            spec: None,
            hold: None,
            rollback: None,
            remembered: None,
            file_problem: None,
            live: None,
            work: None,
            trouble: None,
            retry: None,
            backoff: Backoff::new(),
            crashes: Backoff::new(),
            renew: None,
            fallback_tried: false,
            waits: None,
            resolving: None,
            resolve_at: None,
            resolve_trouble: None,
            resolve_backoff: Backoff::new(),
            draining: 0,
            logged: None,
            generation: 0,
            refused: Vec::new(),
            redeploys: 0,
            restarts: 0,
        }
    }

    /// What the newest valid file asks for, pinned or not.
    pub(super) fn asked(&self) -> Option<&Arc<AppSpec>> {
        self.hold.as_ref().map(|hold| &hold.asked).or(self.spec.as_ref())
    }

    /// Asks for something else than before, by a command: whatever went wrong with that is of no interest any more.
    pub(super) fn ask_for(&mut self, spec: Arc<AppSpec>) {
        self.spec = Some(spec);
        self.trouble = None;
        self.retry = None;
        self.renew = None;
        self.logged = None;
        self.fallback_tried = false;
        self.backoff.reset();
        self.resolve_at = None;
        self.resolve_trouble = None;
        self.resolve_backoff.reset();
    }

    pub(super) fn desired(&self) -> Desired<'_> {
        match &self.spec {
            _ if !self.present => Desired::Absent,
            Some(spec) => Desired::Spec(spec),
            None => Desired::Unknown,
        }
    }

    pub(super) fn actual(&self) -> Actual<'_> {
        let stage = self.work.as_ref().map(|work| (&work.stage, work.fallback));
        Actual {
            running: self.live.as_ref().map(|live| &*live.spec),
            preparing: match stage {
                Some((Stage::Preparing { spec: Some(spec), .. }, false)) => Some(spec),
                _ => None,
            },
            activating: matches!(stage, Some((Stage::Activating, _))),
        }
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.present && self.spec.as_ref().is_none_or(|spec| spec.enabled)
    }

    /// What the app claims: by its newest valid file, or by what served before the restart.
    pub(super) fn claim(&self, claims: &Claims) -> Option<Claim> {
        let spec = self
            .spec
            .as_ref()
            .or(self.remembered.as_ref().map(|(spec, _)| spec));
        spec.filter(|spec| self.present && spec.enabled)
            .map(|spec| claims.of(spec))
    }

    /// Nothing is left of it.
    pub(super) fn is_over(&self) -> bool {
        !self.present && self.live.is_none() && self.work.is_none() && self.draining == 0
    }

    /// Gives up what is being prepared. What is being activated goes on.
    pub(super) fn give_up(&mut self) {
        if let Some(Work {
            stage: Stage::Preparing { abort, .. },
            ..
        }) = &self.work
        {
            abort.abort();
            self.work = None;
        }
    }

    /// The reason to show, if anything is not as the file asks.
    pub(super) fn error(&self) -> Option<String> {
        let trouble = self.trouble.as_ref().map(|error| error.message.as_str());
        let command = self.live.as_ref().and_then(|live| live.finished.as_ref());
        let command = command.and_then(|finished| finished.outcome.as_ref().err());
        let running = self.live.as_ref().and_then(|live| live.trouble.as_deref());
        let trouble = trouble.or(command.map(String::as_str)).or(running);
        match (&self.file_problem, &self.waits, trouble) {
            (Some(file), _, Some(trouble)) => Some(format!("{file}; and the version before it: {trouble}")),
            (Some(reason), ..) | (None, Some(reason), _) => Some(reason.clone()),
            (None, None, Some(reason)) => Some(reason.to_owned()),
            (None, None, None) => None,
        }
    }

    /// Its commands have ended, and it has nothing else.
    fn is_finished(&self) -> bool {
        let finished = self.live.as_ref().and_then(|live| live.finished.as_ref());
        finished.is_some_and(|finished| finished.whole)
    }

    fn state(&self) -> AppState {
        let port_taken = self
            .trouble
            .as_ref()
            .is_some_and(|error| error.kind == LaunchErrorKind::AddressInUse);
        match () {
            () if !self.present => AppState::Stopping,
            () if !self.is_enabled() && (self.live.is_some() || self.draining > 0) => AppState::Stopping,
            () if !self.is_enabled() => AppState::Disabled,
            () if self.is_finished() && self.error().is_some() => AppState::Failed,
            () if self.is_finished() => AppState::Completed,
            () if self.live.is_some() && self.error().is_some() => AppState::Degraded,
            () if self.live.is_some() => AppState::Running,
            () if self.waits.is_some() || port_taken => AppState::Waiting,
            () if self.error().is_some() => AppState::Failed,
            () => AppState::Starting,
        }
    }

    /// What readers see; `before` is what they saw last.
    pub(super) fn status(&self, before: Option<&AppStatus>) -> AppStatus {
        let state = self.state();
        let live = self.live.as_ref();
        let since = before
            .filter(|before| before.state == state)
            .map(|before| before.since.clone());
        let remembered = self.remembered.as_ref().map(|(spec, _)| spec);
        let spec = self.spec.as_ref().or(live.map(|live| &live.spec)).or(remembered);
        let sites = live.map(|live| &live.spec).or(spec);
        let asked = self.asked().or(spec);
        let retry = self.retry.or(self.resolve_trouble.as_ref().and(self.resolve_at));
        AppStatus {
            state,
            reference: asked.map(|spec| spec.reference.to_string().into()),
            digest: live.map(|live| live.digest.clone()),
            address: live
                .map(|live| live.address.clone())
                .or(spec.map(|spec| spec.address.to_string())),
            sites: sites.map_or_else(Vec::new, |spec| sites_of(spec)),
            since: since.unwrap_or_else(|| timestamp(SystemTime::now())),
            error: self.error().or_else(|| self.resolve_trouble.clone()),
            next_try: retry.map(|when| timestamp(when.time)),
            routes: live.map(|live| live.routes.clone()).unwrap_or_default(),
            pinned: self.hold.as_ref().map(|hold| hold.pin.shown().into()),
            redeploys: self.redeploys,
            restarts: self.restarts,
            // Whoever is asked adds it: it changes with every request.
            traffic: None,
        }
    }
}

/// Where at its address an app is, as readers see it.
fn sites_of(spec: &AppSpec) -> Vec<String> {
    let locations = spec.site.locations().map(|location| location.to_string());
    locations.filter(|location| !location.is_empty()).collect()
}
