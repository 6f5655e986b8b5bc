//! What triggers for events have in common: how they are configured, what they call, how they end.

mod call;
mod delays;
mod kind;
mod plan;
mod prepare;
mod running;
mod slots;
#[cfg(test)]
pub(super) mod testing;

pub use kind::{AnyEventKind, AnyEventPlan, EventKind, StartEvents};
pub use plan::PlanError;
pub use prepare::PrepareError;
pub use running::Running;

pub(super) use call::{Called, enter, run};
pub(super) use delays::Delays;
pub(super) use plan::{Configured, TriggerConfig, invalid, read_settings, read_triggers, template};
pub(super) use prepare::{Prepared, component, in_time, link, resolve, try_instantiate, world_function};
pub(super) use running::{drain, run_behind};
pub(super) use slots::{Current, Slots};
