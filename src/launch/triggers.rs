//! An app's triggers of all kinds: planned, prepared and started together.

use std::any::Any;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all, pending, select_all};
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};

use super::{LaunchFailure, Parts};
use crate::app::{Component, LockedApp};
use crate::control::{Finished, ResolvedAddress};
use crate::manifest::{AppSpec, HealthCheck};
use crate::net::Site;
use crate::tasks;
use crate::trigger::command::{self, CommandApp, CommandOutcome, CommandPlan};
use crate::trigger::cron::CronShared;
use crate::trigger::http::tls::EndpointTls;
use crate::trigger::http::{self, HttpPlan, HttpRun, ListenAddress, PreparedHttp, Rest, RunningHttp};
use crate::trigger::mqtt::MqttShared;
use crate::trigger::redis::RedisShared;
use crate::trigger::sqs::SqsShared;
use crate::trigger::{AnyEventKind, AnyEventPlan, AppInput, Running, StartEvents};

/// Every kind of trigger that this host runs, with what its triggers share in the process.
pub struct Kinds {
    events: Vec<Box<dyn AnyEventKind>>,
}

/// What an app's triggers say, before anything is loaded.
pub(super) struct Plans {
    http: Option<HttpPlan>,
    events: Vec<Box<dyn AnyEventPlan>>,
    command: Option<CommandPlan>,
}

/// Triggers that only need to be started.
pub(super) struct PreparedTriggers {
    http: Option<PreparedHttp>,
    events: Vec<StartEvents>,
    command: Option<CommandApp>,
}

/// Triggers that run.
pub(super) struct Started {
    /// Where HTTP is served.
    pub(super) http: Option<RunningHttp>,
    pub(super) events: Vec<Running>,
    pub(super) command: Option<Running<CommandOutcome>>,
}

impl Default for Kinds {
    /// The one list of kinds for events. HTTP is not among them, which needs an address, nor is a command, which ends.
    fn default() -> Self {
        Self {
            events: vec![
                Box::<RedisShared>::default(),
                Box::<MqttShared>::default(),
                Box::<CronShared>::default(),
                Box::<SqsShared>::default(),
            ],
        }
    }
}

impl Kinds {
    fn names(&self) -> impl Iterator<Item = &'static str> {
        let events = self.events.iter().map(|kind| kind.name());
        [http::KIND].into_iter().chain(events).chain([command::KIND])
    }
}

impl Plans {
    /// Refuses an app with triggers of a kind that this host does not run: a half of it would not be the app.
    pub(super) fn new(known: &Kinds, app: &LockedApp, spec: &AppSpec) -> Result<Self, LaunchFailure> {
        let kinds: BTreeSet<&str> = app.triggers.iter().map(|trigger| &*trigger.kind).collect();
        let unknown: Vec<String> = kinds
            .iter()
            .filter(|kind| known.names().all(|name| name != **kind))
            .map(|kind| format!("`{kind}`"))
            .collect();
        if !unknown.is_empty() {
            return Err(LaunchFailure::UnknownTriggers {
                unknown: unknown.join(", "),
                known: known.names().collect::<Vec<_>>().join(", "),
            });
        }
        if kinds.is_empty() {
            return Err(LaunchFailure::NoTriggers);
        }
        let has = |kind| kinds.contains(kind);
        let events = known.events.iter().filter(|kind| has(kind.name()));
        Ok(Self {
            http: has(http::KIND).then(|| HttpPlan::new(app)).transpose()?,
            events: events
                .map(|kind| kind.plan(app, spec.timezone))
                .collect::<Result<_, _>>()?,
            command: has(command::KIND).then(|| CommandPlan::new(app)).transpose()?,
        })
    }

    /// Whether the app needs an address.
    pub(super) fn has_http(&self) -> bool {
        self.http.is_some()
    }

    /// Whether the app has a command, which runs once.
    pub(super) fn has_command(&self) -> bool {
        self.command.is_some()
    }

    /// The components that have to be loaded: others are not looked at.
    pub(super) fn components<'a>(&'a self, app: &'a LockedApp) -> Vec<&'a Component> {
        let http = self.http.iter().flat_map(|plan| plan.components(app));
        let events = self.events.iter().flat_map(|plan| plan.components(app));
        let command = self.command.iter().flat_map(|plan| plan.components(app));
        let named = http.chain(events).chain(command);
        let ids: BTreeSet<&str> = named.map(|component| &*component.id).collect();
        app.components
            .iter()
            .filter(|component| ids.contains(&*component.id))
            .collect()
    }

    /// Links and tries everything, and waits for the app to be fit to serve, if that is asked for; touches no port and no server.
    pub(super) async fn prepare(
        self,
        parts: &Parts,
        input: &AppInput<'_>,
        rest: Option<Rest>,
        health: Option<&HealthCheck>,
    ) -> Result<PreparedTriggers, LaunchFailure> {
        let runtime = &parts.runtime;
        // What other triggers start is there all the time.
        let rest = rest.filter(|_| self.events.is_empty() && self.command.is_none());
        let http = match self.http {
            Some(plan) => Some(http::prepare(runtime, plan, input, rest).await?),
            None => None,
        };
        let mut events = Vec::new();
        for plan in self.events {
            events.push(plan.prepare(runtime, input).await?);
        }
        let command = match self.command {
            Some(plan) => Some(command::prepare(runtime, plan, input).await?),
            None => None,
        };
        if let (Some(check), Some(http)) = (health, &http) {
            http.app.becomes_healthy(&check.path, check.timeout).await?;
        }
        Ok(PreparedTriggers {
            http,
            events,
            command,
        })
    }
}

impl PreparedTriggers {
    /// The app's routes, for people.
    pub(super) fn take_routes(&mut self) -> Vec<http::RouteSummary> {
        self.http
            .as_mut()
            .map(|http| std::mem::take(&mut http.routes))
            .unwrap_or_default()
    }

    /// HTTP first: only its port may be refused, and then nothing else has been started. `done`: the command has completed
    /// in an earlier process.
    pub(super) async fn start(
        self,
        parts: &Parts,
        address: ResolvedAddress,
        site: &Site,
        tls: Option<EndpointTls>,
        done: bool,
    ) -> Result<Started, LaunchFailure> {
        let http = match self.http {
            Some(PreparedHttp { app, .. }) => {
                let address = match address {
                    ResolvedAddress::Tcp(address) => ListenAddress::Tcp(address),
                    ResolvedAddress::Unix(path) => ListenAddress::Unix(path),
                    ResolvedAddress::Absent => return Err(LaunchFailure::NoAddress),
                };
                Some(http::start(&parts.listeners, &address, site, app, tls).await?)
            }
            None => None,
        };
        Ok(Started {
            http,
            events: self.events.into_iter().map(|start| start()).collect(),
            command: self.command.filter(|_| !done).map(command::start),
        })
    }
}

impl Started {
    /// What runs, if that is nothing but HTTP; else it is given back. `once`: the app has a command.
    pub(super) fn only_http(self, once: bool) -> Result<HttpRun, Box<Self>> {
        match self.http {
            Some(http) if !once && self.events.is_empty() && self.command.is_none() => Ok(http.run),
            http => Err(Box::new(Self { http, ..self })),
        }
    }

    /// One run of all of them, and what stops them: see [`Running`](crate::control::Running). `once`: the app has a
    /// command, and this tells how it ended.
    pub(super) fn run(
        self,
        once: bool,
    ) -> (
        BoxFuture<'static, ()>,
        oneshot::Sender<Duration>,
        Option<oneshot::Receiver<Finished>>,
    ) {
        let whole = self.http.is_none() && self.events.is_empty();
        let http = self.http.map(|http| {
            let (stop, stopped) = oneshot::channel::<Duration>();
            let run = async move { http.run.stop(stopped.await.unwrap_or_default()).await };
            (AssertUnwindSafe(run).catch_unwind().boxed(), stop)
        });
        let events = self.events.into_iter();
        let events = events.map(|events| (of_task(events.task), events.stop));
        let mut running: Vec<_> = http.into_iter().chain(events).collect();
        let (told, finished) = oneshot::channel();
        let finished = once.then_some(finished);
        match self.command {
            Some(command) => {
                let task = tasks::spawn("command", async move {
                    // A panic has been logged.
                    let failed = |_| Err("the host failed while it ran".to_owned());
                    let outcome = command.task.await.unwrap_or_else(failed);
                    // Whoever listened may be gone with the app.
                    let _ = told.send(Finished { outcome, whole });
                });
                running.push((of_task(task), command.stop));
            }
            None if once => {
                // It is heard before anything else happens: the receiver is right here.
                let _ = told.send(Finished {
                    outcome: Ok(()),
                    whole,
                });
            }
            None => {}
        }
        let (stop, stopped) = oneshot::channel();
        (supervise(running, stopped, once).boxed(), stop, finished)
    }
}

/// How a trigger ended: by itself, or with this panic.
type Ended = Result<(), Box<dyn Any + Send>>;

/// The end of a trigger that is a task of its own. Only a runtime that ends too cancels it.
fn of_task(task: JoinHandle<()>) -> BoxFuture<'static, Ended> {
    let ended = |ended: Result<(), JoinError>| match ended.map_err(JoinError::try_into_panic) {
        Err(Ok(panic)) => Err(panic),
        Ok(()) | Err(Err(_)) => Ok(()),
    };
    task.map(ended).boxed()
}

/// Passes the stop on, and waits for all. A trigger that ends by itself, other than a command, ends the others; its panic goes
/// on here.
async fn supervise(
    running: Vec<(BoxFuture<'static, Ended>, oneshot::Sender<Duration>)>,
    stopped: oneshot::Receiver<Duration>,
    once: bool,
) {
    let (mut triggers, stops): (Vec<_>, Vec<_>) = running.into_iter().unzip();
    let ended = async {
        match once {
            // A command's task ends, and the app goes on being what it is: completed.
            true => pending().await,
            false => {
                let (outcome, index, _) = select_all(&mut triggers).await;
                (outcome, index)
            }
        }
    };
    let (limit, ended) = tokio::select! {
        limit = stopped => (limit.unwrap_or_default(), None),
        ended = ended => (Duration::ZERO, Some(ended)),
    };
    for stop in stops {
        // One that has ended already is not there to be told.
        let _ = stop.send(limit);
    }
    let ended = ended.map(|(outcome, index)| {
        drop(triggers.swap_remove(index));
        outcome
    });
    join_all(triggers).await;
    if let Some(Err(panic)) = ended {
        std::panic::resume_unwind(panic);
    }
}
