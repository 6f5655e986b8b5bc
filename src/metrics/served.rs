//! One request that is counted.

use std::sync::Arc;
use std::time::Instant;

use http::StatusCode;

use super::apps::AppMetrics;
use super::kinds::StatusClass;
use super::numbers::Numbers;

/// A request of a client, counted when this is dropped: at the end of its response, or when the client leaves before. One
/// that no app is asked for is not counted.
#[derive(Debug)]
pub struct Served {
    began: Instant,
    numbers: Option<Arc<Numbers>>,
    class: StatusClass,
}

impl Served {
    /// Of a request whose head has come now.
    pub fn begin() -> Self {
        Self {
            began: Instant::now(),
            numbers: None,
            // What a client gets that leaves before there is an answer: see `access_log/line.rs`.
            class: StatusClass::ClientError,
        }
    }

    /// This app answers; the last one that is said so of.
    pub fn by(&mut self, app: &AppMetrics) {
        let numbers = app.numbers();
        if let Some(before) = &self.numbers {
            if Arc::ptr_eq(before, numbers) {
                return;
            }
            before.unbegin();
        }
        numbers.begin();
        self.numbers = Some(numbers.clone());
    }

    pub fn answered(&mut self, status: StatusCode) {
        self.class = StatusClass::of(status);
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(numbers) = &self.numbers {
            numbers.end(self.class, self.began);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::super::Apps;
    use super::*;

    #[test]
    fn a_request_counts_for_the_app_that_answered() {
        let (apps, free) = (Apps::default(), Arc::new(Semaphore::new(0)));
        let metrics = |app: &str| AppMetrics::new(app.into(), &apps, &free, 0);
        let mut served = Served::begin();
        served.by(&metrics("old"));
        served.by(&metrics("new"));
        served.by(&metrics("new"));
        let (old, new) = (apps.get("old").unwrap(), apps.get("new").unwrap());
        assert_eq!((old.requests(), old.in_flight()), (0, 0));
        assert_eq!((new.requests(), new.in_flight()), (1, 1));
        served.answered(StatusCode::CREATED);
        drop(served);
        assert_eq!(new.in_flight(), 0);
        assert_eq!(new.ended()[1], (StatusClass::Success, 1));
    }
}
