//! The apps that have numbers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

use super::kinds::{Failure, Reason};
use super::numbers::{Numbers, Places};
use super::recent::{Change, Moment, STEP, Step, Steps};

/// The numbers of all apps that have had traffic, by the app's name. A cheap handle.
#[derive(Debug, Clone, Default)]
pub struct Apps(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    entries: Mutex<HashMap<Arc<str>, Arc<Numbers>>>,
    /// What came in the last minutes, for all apps together.
    recent: Mutex<Steps>,
}

impl Apps {
    /// Ends a step of the last minutes whenever it is time, for ever.
    pub async fn keep_recent(self) {
        let mut last = Instant::now();
        loop {
            // From the end of the one before, however late that was: none is shorter than it should be.
            sleep_until(last + STEP).await;
            let now = Instant::now();
            self.end_step(Moment {
                now: SystemTime::now(),
                since: now - last,
            });
            last = now;
        }
    }

    fn end_step(&self, moment: Moment) {
        let all: Vec<_> = self.lock().values().cloned().collect();
        let mut sum = Change::default();
        for numbers in all {
            sum.add(&numbers.end_step(moment));
        }
        self.lock_recent().add(&sum, moment);
    }

    /// What came in the last minutes for all apps together, oldest first; nothing, if nothing came.
    pub fn recent(&self) -> Vec<Step> {
        self.lock_recent().all()
    }

    fn lock_recent(&self) -> MutexGuard<'_, Steps> {
        // Nothing panics while it is held.
        self.0.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets an app that is gone. What it has in flight is counted for nobody.
    pub fn forget(&self, app: &str) {
        self.lock().remove(app);
    }

    /// The numbers of one app; `None` while it has had no traffic.
    pub fn get(&self, app: &str) -> Option<Arc<Numbers>> {
        self.lock().get(app).cloned()
    }

    /// All of them, by name.
    pub fn all(&self) -> Vec<(Arc<str>, Arc<Numbers>)> {
        let entries = self.lock();
        let mut all: Vec<_> = entries
            .iter()
            .map(|(app, numbers)| (app.clone(), numbers.clone()))
            .collect();
        drop(entries);
        all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        all
    }

    fn of(&self, app: &Arc<str>) -> Arc<Numbers> {
        let mut entries = self.lock();
        let numbers = entries
            .entry(app.clone())
            .or_insert_with(|| Arc::new(Numbers::new()));
        numbers.clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Numbers>>> {
        // Nothing panics while it is held.
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where one version of an app counts what happens. Its numbers are those of its app, from the first time that there is
/// something to count.
#[derive(Debug)]
pub struct AppMetrics {
    app: Arc<str>,
    apps: Apps,
    places: Places,
    numbers: OnceLock<Arc<Numbers>>,
}

impl AppMetrics {
    /// `free`: of `all` places, those that no instance of this version has.
    pub fn new(app: Arc<str>, apps: &Apps, free: &Arc<Semaphore>, all: usize) -> Self {
        Self {
            app,
            apps: apps.clone(),
            places: Places {
                free: Arc::downgrade(free),
                all,
            },
            numbers: OnceLock::new(),
        }
    }

    /// The app, as its file names it.
    pub fn app(&self) -> &Arc<str> {
        &self.app
    }

    pub(super) fn numbers(&self) -> &Arc<Numbers> {
        self.numbers.get_or_init(|| {
            let numbers = self.apps.of(&self.app);
            numbers.join(self.places.clone());
            numbers
        })
    }

    /// Counts a limit that was reached.
    pub fn limit(&self, reason: Reason) {
        self.numbers().limit(reason);
    }

    /// Counts a guest that failed.
    pub fn fail(&self, failure: Failure) {
        self.numbers().fail(failure);
    }
}

#[cfg(test)]
impl AppMetrics {
    /// Of an app that nobody else counts.
    pub fn alone(app: &str) -> Self {
        Self::new(app.into(), &Apps::default(), &Arc::new(Semaphore::new(0)), 0)
    }

    /// How often that limit was reached.
    pub fn total(&self, reason: Reason) -> u64 {
        self.numbers().limits()[reason as usize].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_has_numbers_from_the_first_thing_that_counts_and_over_its_versions() {
        let (apps, free) = (Apps::default(), Arc::new(Semaphore::new(1)));
        let version = || AppMetrics::new("app".into(), &apps, &free, 1);
        let (first, second) = (version(), version());
        assert!(apps.get("app").is_none());
        first.limit(Reason::Rate);
        second.limit(Reason::Rate);
        let numbers = apps.get("app").unwrap();
        assert_eq!(numbers.limits()[Reason::Rate as usize], (Reason::Rate, 2));

        apps.forget("app");
        first.limit(Reason::Rate);
        assert!(apps.all().is_empty());
    }
}
