//! The numbers of one app.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Semaphore;

use super::durations::Durations;
use super::kinds::{Failure, Reason, StatusClass};
use super::recent::{Change, Moment, Recent, Step};

/// Where moments are counted from.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// What has happened to one app since its first request, whatever its version.
#[derive(Debug)]
pub struct Numbers {
    begun: AtomicU64,
    ended: [AtomicU64; StatusClass::ALL.len()],
    durations: Durations,
    /// When something happened last, in milliseconds from [`START`].
    last: AtomicU64,
    limits: [AtomicU64; Reason::ALL.len()],
    failures: [AtomicU64; Failure::ALL.len()],
    versions: Mutex<Vec<Places>>,
    recent: Mutex<Recent>,
}

/// The places for instances of one version: as many as are taken are at work.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) free: Weak<Semaphore>,
    pub(super) all: usize,
}

impl Numbers {
    pub(super) fn new() -> Self {
        let numbers = Self {
            begun: AtomicU64::default(),
            ended: Default::default(),
            durations: Durations::default(),
            last: AtomicU64::default(),
            limits: Default::default(),
            failures: Default::default(),
            versions: Mutex::default(),
            recent: Mutex::default(),
        };
        numbers.touch(Instant::now());
        numbers
    }

    pub(super) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    /// A request that has begun is another app's.
    pub(super) fn unbegin(&self) {
        self.begun.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self, class: StatusClass, began: Instant) {
        let now = Instant::now();
        self.ended[class as usize].fetch_add(1, Ordering::Relaxed);
        self.durations.add(now.duration_since(began));
        self.touch(now);
    }

    pub(super) fn limit(&self, reason: Reason) {
        self.limits[reason as usize].fetch_add(1, Ordering::Relaxed);
        self.touch(Instant::now());
    }

    pub(super) fn fail(&self, failure: Failure) {
        self.failures[failure as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Another version has traffic. Those that are gone are forgotten.
    pub(super) fn join(&self, places: Places) {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        versions.retain(|version| version.free.strong_count() > 0);
        versions.push(places);
    }

    fn touch(&self, now: Instant) {
        let since = now.saturating_duration_since(*START);
        self.last.store(since.as_millis() as u64, Ordering::Relaxed);
    }

    /// Requests of clients so far, those in flight included.
    pub fn requests(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Those of them that have ended, by the class of their status.
    pub fn ended(&self) -> [(StatusClass, u64); StatusClass::ALL.len()] {
        StatusClass::ALL.map(|class| (class, self.ended[class as usize].load(Ordering::Relaxed)))
    }

    pub fn in_flight(&self) -> u64 {
        // In this order: what ends meanwhile counts as in flight, and nothing less than none is.
        let ended: u64 = self.ended().iter().map(|(_, count)| count).sum();
        self.requests().saturating_sub(ended)
    }

    /// Of the requests that have ended, from their head to the last of the response.
    pub fn durations(&self) -> &Durations {
        &self.durations
    }

    /// How long ago a request ended, or a limit was reached; `ZERO` while a request is in flight.
    pub fn idle_for(&self) -> Duration {
        match self.in_flight() {
            0 => (*START + self.last()).elapsed(),
            _ => Duration::ZERO,
        }
    }

    /// When the last request ended, or a limit was reached after it; `None` before a request has ended.
    pub fn last_request(&self) -> Option<SystemTime> {
        let ended = self.ended().iter().any(|(_, count)| *count > 0);
        ended.then(|| SystemTime::now() - (*START + self.last()).elapsed())
    }

    fn last(&self) -> Duration {
        Duration::from_millis(self.last.load(Ordering::Relaxed))
    }

    /// How often each limit was reached.
    pub fn limits(&self) -> [(Reason, u64); Reason::ALL.len()] {
        Reason::ALL.map(|reason| (reason, self.limits[reason as usize].load(Ordering::Relaxed)))
    }

    /// How often the app's guests failed in each way.
    pub fn failures(&self) -> [(Failure, u64); Failure::ALL.len()] {
        Failure::ALL.map(|failure| (failure, self.failures[failure as usize].load(Ordering::Relaxed)))
    }

    /// A step of the last minutes ends.
    pub(super) fn end_step(&self, moment: Moment) -> Change {
        self.lock_recent().end_step(self, moment)
    }

    /// What came in the last minutes, oldest first; nothing, if nothing came.
    pub fn recent(&self) -> Vec<Step> {
        self.lock_recent().steps().all()
    }

    fn lock_recent(&self) -> MutexGuard<'_, Recent> {
        // Nothing panics while it is held.
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Instances that are there now, of all versions that have had traffic.
    pub fn instances(&self) -> usize {
        let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = |version: &Places| {
            let free: Arc<Semaphore> = version.free.upgrade()?;
            Some(version.all.saturating_sub(free.available_permits()))
        };
        versions.iter().filter_map(taken).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_begun_and_not_ended_is_in_flight() {
        let numbers = Numbers::new();
        assert_eq!(numbers.last_request(), None);
        numbers.begin();
        numbers.begin();
        numbers.end(StatusClass::ServerError, Instant::now());
        assert_eq!((numbers.requests(), numbers.in_flight()), (2, 1));
        assert_eq!(numbers.idle_for(), Duration::ZERO);
        let failed = numbers.ended().into_iter().filter(|(_, count)| *count > 0);
        assert_eq!(failed.collect::<Vec<_>>(), [(StatusClass::ServerError, 1)]);
        assert!(numbers.last_request().is_some());
    }

    #[test]
    fn places_of_versions_that_are_there_are_instances() {
        let numbers = Numbers::new();
        let join = |all| {
            let free = Arc::new(Semaphore::new(all));
            let places = Places {
                free: Arc::downgrade(&free),
                all,
            };
            numbers.join(places);
            free
        };
        let (old, new) = (join(3), join(3));
        let (_one, _two) = (old.try_acquire().unwrap(), new.try_acquire().unwrap());
        assert_eq!(numbers.instances(), 2);
        drop(_two);
        drop(new);
        assert_eq!(numbers.instances(), 1);
    }
}
