//! One version of an app's cron triggers: prepared, then put behind the app's clock.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::Utc;
use chrono_tz::Tz;
use wasmtime::Store;

use self::bindings::CronEventAsyncPre;
use self::bindings::spin::cron::cron_types::{Error, Metadata};
use super::clock::{self, Runs};
use super::plan::{CronPlan, KIND};
use super::schedule::Schedule;
use crate::app::{Component, LockedApp};
use crate::runtime::{HostState, Runtime};
use crate::trigger::event::{
    Called, EventKind, PlanError, PrepareError, Running, Slots, link, run, run_behind, try_instantiate,
    world_function,
};
use crate::trigger::guest::{AppInput, Guest, Life};

const FUNCTION: &str = "handle-cron-event";

mod bindings {
    // The older generation has the same types under another name, and a function that is not async: both are called alike.
    wasmtime::component::bindgen!({
        path: "wit/host",
        world: "lepton:host/cron-event-async",
    });
}

/// The clocks of the process, one for each app. A cheap handle.
#[derive(Clone, Default)]
pub struct CronShared {
    clocks: Slots<Arc<str>, Runs>,
}

/// One version of an app, ready to be put behind its clock.
pub struct CronApp {
    id: Arc<str>,
    runs: Arc<Runs>,
}

/// A component and when it runs, instantiated anew for each instant.
pub(super) struct Run {
    pub(super) schedule: Schedule,
    guest: Arc<Guest>,
    pre: CronEventAsyncPre<HostState>,
}

impl Run {
    /// Calls the guest once. Failures are logged; nothing is tried again.
    pub(super) async fn fire(&self) {
        let pre = self.pre.clone();
        // Before 1970 there is nothing to run.
        let timestamp = u64::try_from(Utc::now().timestamp()).unwrap_or_default();
        run(KIND, &self.guest, self.pre.instance_pre(), |store| {
            call(pre, store, Metadata { timestamp })
        })
        .await;
    }
}

async fn call(
    pre: CronEventAsyncPre<HostState>,
    mut store: Store<HostState>,
    metadata: Metadata,
) -> Called<()> {
    let instance = pre.instantiate_async(&mut store).await?;
    let function = instance.func_handle_cron_event();
    let (handled,) = function.call_async(&mut store, (metadata,)).await?;
    Ok(handled.map_err(|Error::Other(text)| text))
}

impl EventKind for CronShared {
    const KIND: &'static str = KIND;
    type Plan = CronPlan;
    type App = CronApp;

    fn plan(app: &LockedApp, timezone: Option<Tz>) -> Result<CronPlan, PlanError> {
        CronPlan::new(app, timezone)
    }

    fn components<'a>(plan: &'a CronPlan, app: &'a LockedApp) -> impl Iterator<Item = &'a Component> {
        plan.configured.components(app)
    }

    /// Links and tries every component.
    async fn prepare(
        runtime: &Runtime,
        plan: CronPlan,
        input: &AppInput<'_>,
    ) -> Result<CronApp, PrepareError> {
        let life = Life::default();
        let mut tried: HashMap<String, (Arc<Guest>, CronEventAsyncPre<HostState>)> = HashMap::new();
        let mut runs = Vec::new();
        for (id, schedule) in plan.schedules {
            let (guest, pre) = match tried.get(&id) {
                Some(tried) => tried.clone(),
                None => {
                    let prepared = link(runtime, input, &id, &life).await?;
                    world_function(&prepared.component, &id, FUNCTION)?;
                    try_instantiate(&prepared.guest, &prepared.pre).await?;
                    let pre =
                        CronEventAsyncPre::new(prepared.pre).map_err(|source| PrepareError::Instantiate {
                            component: id.clone(),
                            source,
                        })?;
                    tried.entry(id).or_insert((prepared.guest, pre)).clone()
                }
            };
            runs.push(Arc::new(Run { schedule, guest, pre }));
        }
        Ok(CronApp {
            id: input.id.clone(),
            runs: Arc::new(Runs { life, runs }),
        })
    }

    /// Puts the app behind its clock, which begins to run now if it does not run yet. What was behind it is fired no more.
    fn start(&self, app: CronApp) -> Running {
        let about = app.runs.runs.iter().map(|run| {
            let (expression, timezone) = (run.schedule.expression(), run.schedule.timezone());
            format!("cron {expression} {timezone}: [{}]", run.guest.settings.component)
        });
        let about = about.collect();
        let life = app.runs.life.clone();
        let attached = self
            .clocks
            .attach(app.id.clone(), app.runs, "cron-clock", clock::keep);
        run_behind("cron-trigger", app.id, life, vec![attached], about)
    }
}
