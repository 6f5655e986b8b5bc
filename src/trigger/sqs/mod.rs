//! The SQS trigger (`docs/contract/triggers.md §4`): messages of queues. Amazon's crates are in the feature `aws` alone.
//!
//! A queue's poller belongs to the app, and goes on while the app's version behind it changes.

#[cfg(not(feature = "aws"))]
mod absent;
#[cfg(feature = "aws")]
mod app;
#[cfg(feature = "aws")]
mod message;
#[cfg(feature = "aws")]
mod plan;
#[cfg(feature = "aws")]
mod poll;

#[cfg(not(feature = "aws"))]
pub use absent::SqsShared;
#[cfg(feature = "aws")]
pub use app::SqsShared;

/// The kind of trigger that this room runs.
const KIND: &str = "sqs";

/// Why a build without the feature refuses an app; tests read it in every build.
#[cfg(any(test, not(feature = "aws")))]
fn not_built() -> crate::trigger::event::PlanError {
    crate::trigger::event::PlanError::NotBuilt {
        kind: KIND,
        feature: "aws",
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_build_without_the_feature_names_it() {
        let error = super::not_built().to_string();
        assert!(
            error.contains("sqs") && error.contains("`--features aws`"),
            "{error}"
        );
    }
}
