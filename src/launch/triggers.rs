//! An app's triggers of all kinds: planned, prepared and started together.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{LaunchFailure, Parts};
use crate::app::{Component, LockedApp};
use crate::control::{Finished, ResolvedAddress};
use crate::manifest::AppSpec;
use crate::tasks;
use crate::trigger::command::{self, CommandApp, CommandOutcome, CommandPlan};
use crate::trigger::cron::{self, CronApp, CronPlan, CronShared};
use crate::trigger::http::{self, HttpApp, HttpPlan, ListenAddress, RunningHttp};
use crate::trigger::mqtt::{self, MqttApp, MqttPlan, MqttShared};
use crate::trigger::redis::{self, RedisApp, RedisPlan, RedisShared};
use crate::trigger::sqs::{self, SqsApp, SqsPlan, SqsShared};
use crate::trigger::{AppInput, Running};

/// Every kind of trigger that this host runs.
const KINDS: [&str; 6] = [
    http::KIND,
    redis::KIND,
    mqtt::KIND,
    cron::KIND,
    command::KIND,
    sqs::KIND,
];

/// What triggers of each kind share in the process: subscriptions and clocks outlive the versions of an app.
#[derive(Clone, Default)]
pub struct SharedTriggers {
    redis: RedisShared,
    mqtt: MqttShared,
    cron: CronShared,
    sqs: SqsShared,
}

/// What an app's triggers say, before anything is loaded.
pub(super) struct Plans {
    http: Option<HttpPlan>,
    redis: Option<RedisPlan>,
    mqtt: Option<MqttPlan>,
    cron: Option<CronPlan>,
    command: Option<CommandPlan>,
    sqs: Option<SqsPlan>,
}

/// Triggers that only need to be started.
pub(super) struct PreparedTriggers {
    http: Option<Arc<HttpApp>>,
    redis: Option<RedisApp>,
    mqtt: Option<MqttApp>,
    cron: Option<CronApp>,
    command: Option<CommandApp>,
    sqs: Option<SqsApp>,
}

/// Triggers that run.
pub(super) struct Started {
    /// Where HTTP is served.
    pub(super) http: Option<RunningHttp>,
    pub(super) events: Vec<Running>,
    pub(super) command: Option<Running<CommandOutcome>>,
}

impl Plans {
    /// Refuses an app with triggers of a kind that this host does not run: a half of it would not be the app.
    pub(super) fn new(app: &LockedApp, spec: &AppSpec) -> Result<Self, LaunchFailure> {
        let kinds: BTreeSet<&str> = app.triggers.iter().map(|trigger| &*trigger.kind).collect();
        let unknown: Vec<String> = kinds
            .iter()
            .filter(|kind| !KINDS.contains(kind))
            .map(|kind| format!("`{kind}`"))
            .collect();
        if !unknown.is_empty() {
            return Err(LaunchFailure::UnknownTriggers {
                unknown: unknown.join(", "),
                known: KINDS.join(", "),
            });
        }
        if kinds.is_empty() {
            return Err(LaunchFailure::NoTriggers);
        }
        let has = |kind| kinds.contains(kind);
        Ok(Self {
            http: has(http::KIND).then(|| HttpPlan::new(app)).transpose()?,
            redis: has(redis::KIND).then(|| RedisPlan::new(app)).transpose()?,
            mqtt: has(mqtt::KIND).then(|| MqttPlan::new(app)).transpose()?,
            cron: has(cron::KIND)
                .then(|| CronPlan::new(app, spec.timezone))
                .transpose()?,
            command: has(command::KIND).then(|| CommandPlan::new(app)).transpose()?,
            sqs: has(sqs::KIND).then(|| SqsPlan::new(app)).transpose()?,
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
        let mut ids: BTreeSet<&str> = BTreeSet::new();
        let mut add = |component: &'a Component| {
            ids.insert(&component.id);
        };
        if let Some(plan) = &self.http {
            plan.components(app).for_each(&mut add);
        }
        if let Some(plan) = &self.redis {
            plan.components(app).for_each(&mut add);
        }
        if let Some(plan) = &self.mqtt {
            plan.components(app).for_each(&mut add);
        }
        if let Some(plan) = &self.cron {
            plan.components(app).for_each(&mut add);
        }
        if let Some(plan) = &self.command {
            plan.components(app).for_each(&mut add);
        }
        if let Some(plan) = &self.sqs {
            plan.components(app).for_each(&mut add);
        }
        app.components
            .iter()
            .filter(|component| ids.contains(&*component.id))
            .collect()
    }

    /// Links and tries everything; touches no port and no server.
    pub(super) async fn prepare(
        self,
        parts: &Parts,
        input: &AppInput<'_>,
    ) -> Result<PreparedTriggers, LaunchFailure> {
        let runtime = &parts.runtime;
        Ok(PreparedTriggers {
            http: match self.http {
                Some(plan) => Some(http::prepare(runtime, plan, input).await?),
                None => None,
            },
            redis: match self.redis {
                Some(plan) => Some(redis::prepare(runtime, plan, input).await?),
                None => None,
            },
            mqtt: match self.mqtt {
                Some(plan) => Some(mqtt::prepare(runtime, plan, input).await?),
                None => None,
            },
            cron: match self.cron {
                Some(plan) => Some(cron::prepare(runtime, plan, input).await?),
                None => None,
            },
            command: match self.command {
                Some(plan) => Some(command::prepare(runtime, plan, input).await?),
                None => None,
            },
            sqs: match self.sqs {
                Some(plan) => Some(sqs::prepare(runtime, plan, input).await?),
                None => None,
            },
        })
    }
}

impl PreparedTriggers {
    /// The app's routes, for people.
    pub(super) fn routes(&self) -> Vec<http::RouteSummary> {
        self.http.as_ref().map(|app| app.routes()).unwrap_or_default()
    }

    /// HTTP first: only its port may be refused, and then nothing else has been started. `done`: the command has completed
    /// in an earlier process.
    pub(super) async fn start(
        self,
        parts: &Parts,
        address: ResolvedAddress,
        done: bool,
    ) -> Result<Started, LaunchFailure> {
        let http = match self.http {
            Some(app) => {
                let address = match address {
                    ResolvedAddress::Tcp(address) => ListenAddress::Tcp(address),
                    ResolvedAddress::Unix(path) => ListenAddress::Unix(path),
                    ResolvedAddress::Absent => return Err(LaunchFailure::NoAddress),
                };
                Some(http::start(&parts.listeners, &address, app).await?)
            }
            None => None,
        };
        let shared = &parts.triggers;
        let mut events = Vec::new();
        events.extend(self.redis.map(|app| redis::start(&shared.redis, app)));
        events.extend(self.mqtt.map(|app| mqtt::start(&shared.mqtt, app)));
        events.extend(self.cron.map(|app| cron::start(&shared.cron, app)));
        events.extend(self.sqs.map(|app| sqs::start(&shared.sqs, app)));
        let command = self.command.filter(|_| !done).map(command::start);
        Ok(Started {
            http,
            events,
            command,
        })
    }
}

impl Started {
    /// One task over all of them, and what stops them: see [`Running`](crate::control::Running). `once`: the app has a
    /// command, and this tells how it ended.
    pub(super) fn run(
        self,
        once: bool,
    ) -> (
        JoinHandle<()>,
        oneshot::Sender<Duration>,
        Option<oneshot::Receiver<Finished>>,
    ) {
        let whole = self.http.is_none() && self.events.is_empty();
        let mut running: Vec<(JoinHandle<()>, oneshot::Sender<Duration>)> = Vec::new();
        running.extend(self.http.map(|http| (http.task, http.stop)));
        running.extend(self.events.into_iter().map(|events| (events.task, events.stop)));
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
                running.push((task, command.stop));
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
        let task = tasks::spawn("triggers", supervise(running, stopped, once));
        (task, stop, finished)
    }
}

/// Passes the stop on, and waits for all. A trigger that ends by itself, other than a command, ends the others.
async fn supervise(
    running: Vec<(JoinHandle<()>, oneshot::Sender<Duration>)>,
    stopped: oneshot::Receiver<Duration>,
    once: bool,
) {
    let (mut tasks, stops): (Vec<_>, Vec<_>) = running.into_iter().unzip();
    let ended = async {
        match once {
            // A command's task ends, and the app goes on being what it is: completed.
            true => std::future::pending().await,
            false => {
                let (outcome, index, _) = futures::future::select_all(&mut tasks).await;
                (outcome, index)
            }
        }
    };
    let (limit, failed) = tokio::select! {
        limit = stopped => (limit.unwrap_or_default(), None),
        (outcome, index) = ended => (Duration::ZERO, Some((outcome, index))),
    };
    for stop in stops {
        // One that has ended already is not there to be told.
        let _ = stop.send(limit);
    }
    let failed = failed.map(|(outcome, index)| {
        tasks.remove(index);
        outcome
    });
    join_all(tasks).await;
    if let Some(Err(error)) = failed
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}
