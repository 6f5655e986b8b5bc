//! The command trigger (`docs/contract/triggers.md §5`): one run of a component for each version of an app.

use std::sync::Arc;

use serde::Deserialize;
use tokio::sync::oneshot;

use super::command_guest::{CommandGuest, Ended};
use super::event::{
    Configured, PlanError, PrepareError, Running, TriggerConfig, component, drain, in_time, read_triggers,
};
use super::guest::{AppInput, Guest, Life};
use crate::app::{AppError, Component, LockedApp};
use crate::runtime::Runtime;
use crate::tasks;
use crate::telemetry;

/// The kind of trigger that this room runs.
pub const KIND: &str = "command";

/// What an app's command trigger says, before anything is loaded.
#[derive(Debug)]
pub struct CommandPlan {
    /// That of the first trigger.
    component: String,
    /// How many more triggers there are.
    ignored: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTrigger {
    component: String,
}

impl TriggerConfig for RawTrigger {
    const KIND: &'static str = KIND;

    fn component(&self) -> &str {
        &self.component
    }
}

impl CommandPlan {
    /// Reads the command triggers of `app`, the first of which is run.
    pub fn new(app: &LockedApp) -> Result<Self, PlanError> {
        let Configured { triggers } = read_triggers::<RawTrigger>(app)?;
        let ignored = triggers.len().saturating_sub(1);
        let first = triggers.into_iter().next();
        let (_, RawTrigger { component }) = first.ok_or_else(|| AppError::NoTrigger(Vec::new()))?;
        Ok(Self { component, ignored })
    }

    /// The components that have to be loaded: others are not looked at.
    pub fn components<'a>(&'a self, app: &'a LockedApp) -> impl Iterator<Item = &'a Component> {
        app.components
            .iter()
            .filter(|component| component.id == self.component)
    }
}

/// One version of an app, ready to run its command.
pub struct CommandApp {
    id: Arc<str>,
    life: Life,
    guest: Guest,
    command: CommandGuest,
}

/// Why a command was no success, in words.
pub type CommandOutcome = Result<(), String>;

/// Links and tries the component.
pub async fn prepare(
    runtime: &Runtime,
    plan: CommandPlan,
    input: &AppInput<'_>,
) -> Result<CommandApp, PrepareError> {
    if plan.ignored > 0 {
        let (app, ignored) = (&input.id, plan.ignored);
        tracing::warn!(%app, ignored, "an app runs one command: its other command triggers are ignored");
    }
    let id = plan.component.as_str();
    let life = Life::default();
    let prepared = component(input, id)?;
    let command = CommandGuest::new(runtime, id, &prepared.loaded.compiled().await?)?;
    let guest = prepared.guest(runtime, None, &life);
    in_time(id, command.try_instantiate(&guest)).await?;
    Ok(CommandApp {
        id: input.id.clone(),
        life,
        guest,
        command,
    })
}

/// Runs the command now. The task ends with it, or when it is stopped, and says how it ended.
pub fn start(app: CommandApp) -> Running<CommandOutcome> {
    let CommandApp {
        id,
        life,
        guest,
        command,
    } = app;
    let (stop, mut stopped) = oneshot::channel();
    let about = vec![format!("command: [{}]", guest.settings.component)];
    let task = tasks::spawn("command-trigger", async move {
        let (force, in_flight) = (life.force.clone(), life.in_flight.token());
        let mut running = tasks::spawn("command", async move {
            let _in_flight = in_flight;
            tokio::select! {
                outcome = run(&guest, &command) => outcome,
                () = force.cancelled() => Err("the command was stopped before it had ended".to_owned()),
            }
        });
        let ended = tokio::select! {
            ended = &mut running => ended,
            limit = &mut stopped => {
                drain(&id, &life, limit.unwrap_or_default()).await;
                running.await
            }
        };
        // A panic has been logged.
        ended.unwrap_or_else(|_| Err("the host failed while the command ran".to_owned()))
    });
    Running { task, stop, about }
}

/// Its arguments are its name alone; its input is empty.
async fn run(guest: &Guest, command: &CommandGuest) -> CommandOutcome {
    let (app, component) = (&guest.settings.app, &guest.settings.component);
    let span = telemetry::execution(KIND, app, component);
    let ended = command.run(guest, 0, span, |wasi| {
        wasi.arg(component);
    });
    match ended.await {
        Ok(Ended::Well) => Ok(()),
        Ok(Ended::WithError) => Err("the command ended with an error".to_owned()),
        Ok(Ended::WithCode(code)) => Err(format!("the command ended with the exit code {code}")),
        Err(error) if guest.settings.limits.caused(&error) => Err(format!("the command was ended: {error}")),
        Err(error) => {
            // `{:?}` of an engine's error has the Wasm backtrace.
            tracing::error!(%app, %component, error = format!("{error:?}"), "the guest trapped");
            Err(format!("the command trapped: {error:#}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_trigger_is_the_command() {
        let trigger = |id, component| json!({"id": id, "trigger_type": "command", "trigger_config": {"component": component}});
        let app = json!({
            "spin_lock_version": 1,
            "triggers": [trigger("1", "b"), trigger("2", "a")],
            "components": [{"id": "a", "source": {"digest": "d"}}, {"id": "b", "source": {"digest": "d"}}]
        });
        let app = LockedApp::parse(app.to_string().as_bytes()).unwrap();
        let plan = CommandPlan::new(&app).unwrap();
        let components: Vec<_> = plan
            .components(&app)
            .map(|component| component.id.as_str())
            .collect();
        assert_eq!((components.as_slice(), plan.ignored), (["b"].as_slice(), 1));
    }
}
