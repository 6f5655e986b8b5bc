//! What routes answer from.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::control::{AppStatus, AppTraffic, Status, SupervisorHandle, timestamp};
use crate::loader::CompileCounts;
use crate::logs::GuestLogs;
use crate::metrics::{Apps, Numbers, StatusClass, Step};
use crate::oci::FetchCounts;

/// What the daemon has to show, and who takes commands.
pub struct Sources {
    pub status: watch::Receiver<Status>,
    pub supervisor: SupervisorHandle,
    /// Cancelled when the daemon is to look unhealthy.
    pub lame_duck: CancellationToken,
    pub apps: Apps,
    pub fetches: FetchCounts,
    pub compiles: CompileCounts,
    pub guests: GuestLogs,
}

/// What all routes share. A cheap handle.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) sources: Arc<Sources>,
    /// Cancelled when all is up for the first time.
    pub(super) ready: CancellationToken,
}

impl Api {
    /// The status with the traffic of this moment.
    pub(super) fn status(&self) -> Status {
        let mut status = self.sources.status.borrow().clone();
        self.add_traffic(&mut status);
        status
    }

    pub(super) fn add_traffic(&self, status: &mut Status) {
        for (id, numbers) in self.sources.apps.all() {
            if let Some(app) = status.apps.get_mut(&*id) {
                Arc::make_mut(app).traffic = Some(traffic(&numbers).into());
            }
        }
    }

    /// One app's status with its traffic; `None`: no file names it.
    pub(super) fn app(&self, id: &str) -> Option<AppStatus> {
        let mut app = AppStatus::clone(self.sources.status.borrow().apps.get(id)?);
        app.traffic = self.sources.apps.get(id).map(|numbers| traffic(&numbers).into());
        Some(app)
    }

    /// Whether some file names the app.
    pub(super) fn names(&self, id: &str) -> bool {
        self.sources.status.borrow().apps.contains_key(id)
    }

    /// What came in the last minutes for one app.
    pub(super) fn recent(&self, id: &str) -> Vec<Step> {
        let numbers = self.sources.apps.get(id);
        numbers.map_or_else(Vec::new, |numbers| numbers.recent())
    }
}

pub(super) fn traffic(numbers: &Numbers) -> AppTraffic {
    let (_, failed) = numbers.ended()[StatusClass::ServerError as usize];
    let limits = numbers.limits().into_iter().filter(|(_, count)| *count > 0);
    AppTraffic {
        requests: numbers.requests(),
        failed,
        in_flight: numbers.in_flight(),
        last_request: numbers.last_request().map(timestamp),
        limits: limits
            .map(|(reason, count)| (reason.member().to_owned(), count))
            .collect(),
    }
}
