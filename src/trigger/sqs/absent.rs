//! What a program without the feature `aws` says to an app with SQS triggers. There can be no plan, so nothing is done
//! with one.

use std::convert::Infallible;

use chrono_tz::Tz;

use super::KIND;
use crate::app::{Component, LockedApp};
use crate::runtime::Runtime;
use crate::trigger::event::{EventKind, PlanError, PrepareError, Running};
use crate::trigger::guest::AppInput;

/// Nothing to share.
#[derive(Clone, Default)]
pub struct SqsShared;

impl EventKind for SqsShared {
    const KIND: &'static str = KIND;
    type Plan = Infallible;
    type App = Infallible;

    /// Refuses the app.
    fn plan(_: &LockedApp, _: Option<Tz>) -> Result<Infallible, PlanError> {
        Err(super::not_built())
    }

    fn components<'a>(_: &'a Infallible, _: &'a LockedApp) -> impl Iterator<Item = &'a Component> {
        std::iter::empty()
    }

    async fn prepare(_: &Runtime, plan: Infallible, _: &AppInput<'_>) -> Result<Infallible, PrepareError> {
        match plan {}
    }

    fn start(&self, app: Infallible) -> Running {
        match app {}
    }
}
