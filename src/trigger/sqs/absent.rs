//! What a program without the feature `aws` says to an app with SQS triggers. There can be no plan, so nothing is done
//! with one.

use crate::app::{Component, LockedApp};
use crate::runtime::Runtime;
use crate::trigger::event::{PlanError, PrepareError, Running};
use crate::trigger::guest::AppInput;

/// There is none.
#[derive(Debug)]
pub enum SqsPlan {}

/// There is none.
pub enum SqsApp {}

/// Nothing to share.
#[derive(Clone, Default)]
pub struct SqsShared;

impl SqsPlan {
    /// Refuses the app.
    pub fn new(_: &LockedApp) -> Result<Self, PlanError> {
        Err(PlanError::NotBuilt {
            kind: super::KIND,
            feature: "aws",
        })
    }

    pub fn components<'a>(&'a self, _: &'a LockedApp) -> impl Iterator<Item = &'a Component> {
        std::iter::empty()
    }
}

pub async fn prepare(_: &Runtime, plan: SqsPlan, _: &AppInput<'_>) -> Result<SqsApp, PrepareError> {
    match plan {}
}

pub fn start(_: &SqsShared, app: SqsApp) -> Running {
    match app {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_feature_is_named() {
        let app = LockedApp::parse(br#"{"spin_lock_version": 1, "triggers": [], "components": []}"#).unwrap();
        let error = SqsPlan::new(&app).unwrap_err().to_string();
        assert!(error.contains("`--features aws`"), "{error}");
    }
}
