//! One name: its certificate, and the task that has it ordered and renewed.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use rustls::sign::CertifiedKey;
use tokio::sync::{Notify, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Office;
use super::error::OrderError;
use super::store::Store;
use crate::errors::chain;
use crate::net::{AcmeChallenge, Certificate, PemFile};
use crate::tasks;

/// After a failed order, growing by [`GROWTH`]: Let's Encrypt allows a name five failures an hour.
const FIRST_DELAY: Duration = Duration::from_secs(60);
const GROWTH: f32 = 4.0;
/// The longest delay, the jitter (up to as much again) not counted.
const LONGEST_DELAY: Duration = Duration::from_secs(6 * 3600);
/// How often the clock is looked at while nothing is due: it may be set.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(3600);

/// How a certificate is ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::trigger::http::tls) struct Spec {
    pub(super) directory: String,
    pub(super) contact: Vec<String>,
    pub(super) challenge: AcmeChallenge,
}

/// The certificate for one name, for every app that has it. It is renewed as long as one of them holds this.
pub(in crate::trigger::http::tls) struct OrderedName {
    ordered: Arc<Ordered>,
    office: Arc<Office>,
    begun: AtomicBool,
    gone: CancellationToken,
    _end: DropGuard,
}

/// What the task and the apps share.
pub(super) struct Ordered {
    pub(super) name: String,
    spec: Mutex<Spec>,
    changed: Notify,
    current: ArcSwapOption<Certificate>,
    trouble: watch::Sender<Option<String>>,
    /// It has been logged that clients ask in vain.
    asked_in_vain: AtomicBool,
}

impl OrderedName {
    /// With what is kept of it. Blocks on the disk.
    pub(super) fn new(office: Arc<Office>, name: &str, spec: Spec, store: &Store) -> Self {
        let kept = kept(name, store);
        let trouble = match kept {
            Some(_) => None,
            None => Some(format!(
                "there is no certificate for {name} yet; it is being ordered from {}",
                spec.directory
            )),
        };
        let gone = CancellationToken::new();
        Self {
            ordered: Arc::new(Ordered {
                name: name.to_owned(),
                spec: Mutex::new(spec),
                changed: Notify::new(),
                current: ArcSwapOption::from_pointee(kept),
                trouble: watch::Sender::new(trouble),
                asked_in_vain: AtomicBool::new(false),
            }),
            office,
            begun: AtomicBool::new(false),
            _end: gone.clone().drop_guard(),
            gone,
        }
    }

    /// Has it ordered so when it is due: somebody answers challenges now. After a failure, a change of how it is ordered is
    /// tried at once.
    pub(in crate::trigger::http::tls) fn begin(&self, spec: &Spec) {
        // Nothing panics while it is held.
        let mut known = self.ordered.spec.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != *spec {
            *known = spec.clone();
            self.ordered.changed.notify_one();
        }
        drop(known);
        if self.begun.swap(true, Ordering::Relaxed) {
            return;
        }
        let (ordered, office, gone) = (self.ordered.clone(), self.office.clone(), self.gone.clone());
        tasks::spawn("certificate of a name", async move {
            gone.run_until_cancelled(keep(ordered, office)).await;
        });
    }

    pub(in crate::trigger::http::tls) fn key(&self) -> Option<Arc<CertifiedKey>> {
        Some(self.ordered.current.load().as_ref()?.key.clone())
    }

    pub(in crate::trigger::http::tls) fn is_there(&self) -> bool {
        self.ordered.current.load().is_some()
    }

    /// A client asked, and there is none. Logged once: anybody may ask.
    pub(in crate::trigger::http::tls) fn asked_for(&self) {
        if !self.ordered.asked_in_vain.swap(true, Ordering::Relaxed) {
            let reason = self.ordered.trouble.borrow().clone();
            tracing::warn!(
                name = self.ordered.name,
                reason,
                "clients are refused: there is no certificate yet"
            );
        }
    }

    /// Why there is no certificate, or why it may end; for people.
    pub(in crate::trigger::http::tls) fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.ordered.trouble.subscribe()
    }
}

impl fmt::Display for OrderedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.ordered.name)
    }
}

impl Ordered {
    pub(super) fn spec(&self) -> Spec {
        self.spec.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn rest_until_due(&self) {
        while let Some(certificate) = self.current.load_full() {
            let Ok(rest) = due(&certificate).duration_since(SystemTime::now()) else {
                return;
            };
            tokio::time::sleep(rest.min(LOOK_AT_CLOCK)).await;
        }
    }

    fn came(&self, certificate: Certificate) {
        let until = humantime::format_rfc3339_seconds(certificate.not_after);
        let renewed = humantime::format_rfc3339_seconds(due(&certificate));
        tracing::info!(name = self.name, %until, %renewed, "certificate issued");
        self.current.store(Some(Arc::new(certificate)));
        self.asked_in_vain.store(false, Ordering::Relaxed);
        self.trouble.send_replace(None);
    }

    fn failed(&self, error: &OrderError, delay: Duration) {
        let error = chain(error);
        let next_try = humantime::format_rfc3339_seconds(SystemTime::now() + delay);
        tracing::error!(name = self.name, error, %next_try, "no certificate could be had");
        let trouble = match self.current.load().as_ref() {
            None => format!(
                "there is no certificate for {}: {error}; it is ordered again at {next_try}",
                self.name
            ),
            Some(certificate) => {
                let end = humantime::format_rfc3339_seconds(certificate.not_after);
                format!(
                    "the certificate for {}, which ends on {end}, can't be renewed: {error}; it is ordered again at {next_try}",
                    self.name
                )
            }
        };
        self.trouble.send_replace(Some(trouble));
    }
}

/// Orders when it is time, for ever.
async fn keep(ordered: Arc<Ordered>, office: Arc<Office>) {
    let mut delays = delays();
    loop {
        ordered.rest_until_due().await;
        // Never closed.
        let place = office.places.acquire().await;
        let outcome = office.order(&ordered).await;
        drop(place);
        match outcome {
            Ok(certificate) => {
                delays = self::delays();
                ordered.came(certificate);
            }
            Err(error) => {
                let delay = delays.next().unwrap_or(LONGEST_DELAY);
                ordered.failed(&error, delay);
                tokio::select! {
                    () = tokio::time::sleep(delay) => {}
                    () = ordered.changed.notified() => delays = self::delays(),
                }
            }
        }
    }
}

fn delays() -> ExponentialBackoff {
    let builder = ExponentialBuilder::new()
        .with_min_delay(FIRST_DELAY)
        .with_factor(GROWTH)
        .with_max_delay(LONGEST_DELAY);
    builder.with_jitter().without_max_times().build()
}

/// When two thirds of its life are over.
fn due(certificate: &Certificate) -> SystemTime {
    let life = certificate
        .not_after
        .duration_since(certificate.not_before)
        .unwrap_or_default();
    certificate.not_before + life * 2 / 3
}

pub(super) fn is_due(certificate: &Certificate) -> bool {
    due(certificate) <= SystemTime::now()
}

/// What is not there, or can't be used, is ordered.
fn kept(name: &str, store: &Store) -> Option<Certificate> {
    let path = store.certificate(name);
    let content = std::fs::read(&path).ok()?;
    let file = PemFile {
        path: &path,
        content: &content,
    };
    let read = Certificate::parse(&file, &file).map_err(|error| chain(&error));
    let read = read.and_then(|certificate| match certificate.is_for(name) {
        true => Ok(certificate),
        false => Err(format!("{} is not for {name}", path.display())),
    });
    match read {
        Ok(certificate) => Some(certificate),
        Err(error) => {
            tracing::warn!(
                name,
                error,
                "a certificate that was kept can't be used; another one is ordered"
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_leave_room_below_an_authoritys_limit_of_failures() {
        let hour = Duration::from_secs(3600);
        let mut failures = 1;
        let mut spent = Duration::ZERO;
        for delay in delays() {
            spent += delay;
            if spent > hour {
                break;
            }
            failures += 1;
        }
        assert!((3..=5).contains(&failures), "{failures}");
        assert!(delays().nth(20).unwrap() <= LONGEST_DELAY * 2);
    }
}
