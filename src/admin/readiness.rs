//! When all is up for the first time.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::control::{AppState, Status};

/// How long apps may take for their first outcome. One that takes longer, with a slow registry, is not waited for: the
/// others would be kept from their clients.
const FIRST_OUTCOMES: Duration = Duration::from_secs(10);

/// Cancels `ready` when the source has been read and each app of it has started, has failed, or waits; for good, since an
/// app that fails later is no trouble of the others.
pub(super) async fn watch(mut status: watch::Receiver<Status>, ready: CancellationToken) {
    // The supervisor is gone: nobody is served any more.
    if status.wait_for(|status| status.source_read).await.is_err() {
        return;
    }
    let mut one = None;
    let outcomes = status.wait_for(|status| !status.has_starting(&mut one));
    // Both ways it is ready.
    let _ = timeout(FIRST_OUTCOMES, outcomes).await;
    ready.cancel();
}

/// What there is to wait for until `ready` is cancelled.
pub(super) fn missing(status: &Status) -> String {
    match (&status.source_problem, status.source_read) {
        (Some(problem), _) => problem.clone(),
        (None, false) => "the apps' files have not been read yet".to_owned(),
        (None, true) => match starting(status) {
            1 => "1 app is starting".to_owned(),
            count => format!("{count} apps are starting"),
        },
    }
}

/// How many apps have had no outcome.
fn starting(status: &Status) -> usize {
    let apps = status.apps.values();
    apps.filter(|app| app.state == AppState::Starting).count()
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, advance};

    use super::*;
    use crate::control::AppStatus;

    #[tokio::test(start_paused = true)]
    async fn a_source_that_is_read_is_waited_for_and_apps_for_a_while() {
        for (state, expected) in [
            (AppState::Failed, Duration::ZERO),
            (AppState::Starting, FIRST_OUTCOMES),
        ] {
            let (sender, status) = watch::channel(Status::default());
            let ready = CancellationToken::new();
            let watching = tokio::spawn(watch(status, ready.clone()));
            advance(Duration::from_secs(3600)).await;
            assert!(!ready.is_cancelled());
            assert_eq!(
                missing(&sender.borrow()),
                "the apps' files have not been read yet"
            );
            sender.send_modify(|status| {
                status
                    .apps
                    .insert("app".into(), AppStatus::in_state(state).into());
                status.source_read = true;
            });
            let start = Instant::now();
            watching.await.unwrap();
            assert!(ready.is_cancelled());
            let after = start.elapsed();
            assert!(after >= expected && after < expected + Duration::from_secs(1));
        }
    }
}
