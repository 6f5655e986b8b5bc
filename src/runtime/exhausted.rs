//! Instances that can't be made for now.

use wasmtime::PoolConcurrencyLimitError;

/// One version of an app has as many instances as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the app has as many instances as one app may have")]
pub(super) struct AppIsFull;

/// Whether an instance could not be made because there are as many as there may be, of the app or of all apps: some will end.
pub fn is_exhausted(error: &wasmtime::Error) -> bool {
    error.is::<AppIsFull>() || error.is::<PoolConcurrencyLimitError>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_passes_by_itself_is_exhaustion() {
        assert!(is_exhausted(&AppIsFull.into()));
        assert!(is_exhausted(
            &wasmtime::Error::from(AppIsFull).context("instantiating")
        ));
        assert!(!is_exhausted(&wasmtime::Error::msg("unreachable")));
    }
}
