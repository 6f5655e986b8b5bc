//! A kind of trigger for events, and what the launch does with each of them alike.

use std::future::Future;

use async_trait::async_trait;
use chrono_tz::Tz;

use super::{PlanError, PrepareError, Running};
use crate::app::{Component, LockedApp};
use crate::runtime::Runtime;
use crate::trigger::guest::AppInput;

/// A kind of trigger for events. A value of it is what its triggers share in the process, since subscriptions and clocks
/// outlive the versions of an app: a cheap handle.
pub trait EventKind: Clone + Send + Sync + 'static {
    /// The kind's name in a locked app.
    const KIND: &'static str;
    /// What an app's triggers say, before anything is loaded.
    type Plan: Send + Sync;
    /// One version of an app, ready to be started.
    type App: Send;

    /// Reads the triggers of `app`. Schedules are those of `timezone`; UTC without one.
    fn plan(app: &LockedApp, timezone: Option<Tz>) -> Result<Self::Plan, PlanError>;

    /// The components that have to be loaded: others are not looked at.
    fn components<'a>(plan: &'a Self::Plan, app: &'a LockedApp) -> impl Iterator<Item = &'a Component>;

    /// Links and tries every component, and resolves what the triggers say, once. Reaches nothing outside.
    fn prepare(
        runtime: &Runtime,
        plan: Self::Plan,
        input: &AppInput<'_>,
    ) -> impl Future<Output = Result<Self::App, PrepareError>> + Send;

    /// Puts the app in the place of the version before it, which gets no more events.
    fn start(&self, app: Self::App) -> Running;
}

/// An [`EventKind`], whichever it is.
pub trait AnyEventKind: Send + Sync {
    fn name(&self) -> &'static str;

    /// See [`EventKind::plan`].
    fn plan(&self, app: &LockedApp, timezone: Option<Tz>) -> Result<Box<dyn AnyEventPlan>, PlanError>;
}

/// An [`EventKind::Plan`] of whichever kind.
#[async_trait]
pub trait AnyEventPlan: Send + Sync {
    /// See [`EventKind::components`].
    fn components<'a>(&'a self, app: &'a LockedApp) -> Box<dyn Iterator<Item = &'a Component> + 'a>;

    /// See [`EventKind::prepare`].
    async fn prepare(
        self: Box<Self>,
        runtime: &Runtime,
        input: &AppInput<'_>,
    ) -> Result<StartEvents, PrepareError>;
}

/// Starts what has been prepared: see [`EventKind::start`].
pub type StartEvents = Box<dyn FnOnce() -> Running + Send>;

impl<K: EventKind> AnyEventKind for K {
    fn name(&self) -> &'static str {
        K::KIND
    }

    fn plan(&self, app: &LockedApp, timezone: Option<Tz>) -> Result<Box<dyn AnyEventPlan>, PlanError> {
        Ok(Box::new(PlanOf {
            kind: self.clone(),
            plan: K::plan(app, timezone)?,
        }))
    }
}

struct PlanOf<K: EventKind> {
    kind: K,
    plan: K::Plan,
}

#[async_trait]
impl<K: EventKind> AnyEventPlan for PlanOf<K> {
    fn components<'a>(&'a self, app: &'a LockedApp) -> Box<dyn Iterator<Item = &'a Component> + 'a> {
        Box::new(K::components(&self.plan, app))
    }

    async fn prepare(
        self: Box<Self>,
        runtime: &Runtime,
        input: &AppInput<'_>,
    ) -> Result<StartEvents, PrepareError> {
        let Self { kind, plan } = *self;
        let app = K::prepare(runtime, plan, input).await?;
        Ok(Box::new(move || kind.start(app)))
    }
}
