//! One call of a guest for one event.

use std::future::Future;
use std::sync::Arc;

use tokio_util::task::task_tracker::TaskTrackerToken;
use wasmtime::Store;
use wasmtime::component::InstancePre;

use crate::runtime::HostState;
use crate::tasks;
use crate::telemetry;
use crate::trigger::guest::{Guest, Life};

/// What a guest said to its event: what it returns, or the error of its own kind in words.
pub(in crate::trigger) type Called<T> = wasmtime::Result<Result<T, String>>;

/// Counts an event among those in flight. `None` when the version is being drained: the event belongs to the one that
/// has taken its place.
pub(in crate::trigger) fn enter(life: &Life) -> Option<TaskTrackerToken> {
    let in_flight = life.in_flight.token();
    // In this order: what is counted before the drain begins is waited for.
    (!life.drain.is_cancelled()).then_some(in_flight)
}

/// Calls an instance of `pre` for an event of that kind in a task of its own, which ends with the call or when the app is forced to stop, whoever waits for it.
/// Every failure is logged here; then there is no value.
pub(in crate::trigger) async fn run<T, F>(
    kind: &'static str,
    guest: &Arc<Guest>,
    pre: &InstancePre<HostState>,
    call: impl FnOnce(Store<HostState>) -> F,
) -> Option<T>
where
    T: Send + 'static,
    F: Future<Output = Called<T>> + Send + 'static,
{
    let (app, component) = (&guest.settings.app, &guest.settings.component);
    let span = telemetry::execution(kind, app, component);
    let store = match guest.store(pre, 0, span) {
        Ok(store) => store,
        Err(error) => {
            tracing::error!(%app, %component, error = format!("{error:#}"), "an event finds no instance");
            return None;
        }
    };
    let meter = store.data().meter().clone();
    let call = meter.drive(Box::pin(call(store)));
    let force = guest.life.force.clone();
    let in_flight = guest.life.in_flight.token();
    let task = tasks::spawn("event", async move {
        let _in_flight = in_flight;
        tokio::select! {
            called = call => Some(called),
            () = force.cancelled() => None,
        }
    });
    match task.await {
        Ok(Some(Ok(Ok(value)))) => return Some(value),
        Ok(Some(Ok(Err(error)))) => {
            tracing::error!(%app, %component, error, "the guest answered an event with an error");
        }
        Ok(Some(Err(trap))) if guest.settings.limits.caused(&trap) => {}
        // `{:?}` of an engine's error has the Wasm backtrace.
        Ok(Some(Err(trap))) => {
            tracing::error!(%app, %component, error = format!("{trap:?}"), "the guest trapped");
        }
        Ok(None) => tracing::warn!(%app, %component, "an event in flight is aborted"),
        // A panic, which has been logged.
        Err(_) => {}
    }
    None
}
