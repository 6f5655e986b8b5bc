//! Whether a new version is fit to take its place: a path of its own that has to answer 2xx first.

use std::time::Duration;

use http::Request;
use http::uri::PathAndQuery;
use tokio::time::{Instant, sleep, timeout_at};

use super::app::HttpApp;
use super::headers::Origin;
use super::respond::empty;

/// Who is asked; the app is behind no listener yet.
const AUTHORITY: &str = "localhost";
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(200);

/// Why a version is not fit to serve.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    #[error("the new version is not healthy: {path} answered {status} and not 2xx within {within:?}")]
    Unhealthy {
        path: PathAndQuery,
        status: http::StatusCode,
        within: Duration,
    },
    #[error("the new version is not healthy: {path} did not answer within {within:?}")]
    Silent { path: PathAndQuery, within: Duration },
}

impl HttpApp {
    /// Asks `path` until the answer is 2xx, for as long as `within`. The request takes the way of one that the app sends to
    /// itself: no socket is needed, and its routes and limits hold.
    pub async fn becomes_healthy(&self, path: &PathAndQuery, within: Duration) -> Result<(), HealthError> {
        let deadline = Instant::now() + within;
        let mut last = None;
        loop {
            let uri = http::Uri::builder()
                .scheme("http")
                .authority(AUTHORITY)
                .path_and_query(path.clone())
                .build();
            // Every part has been checked.
            let mut request = Request::new(empty());
            *request.uri_mut() = uri.unwrap_or_default();
            let in_flight = self.life().in_flight.token();
            let answer = self.answer(request, Origin::Itself, 0, in_flight);
            match timeout_at(deadline, answer).await {
                Ok(response) if response.status().is_success() => return Ok(()),
                Ok(response) => last = Some(response.status()),
                Err(_) => break,
            }
            if timeout_at(deadline, sleep(PAUSE)).await.is_err() {
                break;
            }
        }
        let path = path.clone();
        Err(match last {
            Some(status) => HealthError::Unhealthy { path, status, within },
            None => HealthError::Silent { path, within },
        })
    }
}
