//! Equal values of thousands of apps, held once.

use std::collections::VecDeque;
use std::sync::Arc;

/// So many are remembered: apps of one artifact tend to come one after the other.
const REMEMBERED: usize = 16;

/// The values that came last.
#[derive(Debug)]
pub(crate) struct Shared<T: ?Sized>(VecDeque<Arc<T>>);

impl<T: ?Sized> Default for Shared<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T: ?Sized + PartialEq> Shared<T> {
    /// One that is equal and was there before, or this one.
    pub(crate) fn share(&mut self, value: Arc<T>) -> Arc<T> {
        // The newest first.
        if let Some(known) = self.0.iter().rev().find(|known| **known == value) {
            return known.clone();
        }
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(value.clone());
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_equal_is_one() {
        let mut shared = Shared::<str>::default();
        let first = shared.share("a".into());
        assert!(Arc::ptr_eq(&first, &shared.share("a".into())));
        for other in 0..REMEMBERED {
            shared.share(other.to_string().into());
        }
        assert_eq!(shared.0.len(), REMEMBERED);
        assert!(!Arc::ptr_eq(&first, &shared.share("a".into())));
    }
}
