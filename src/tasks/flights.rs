//! One piece of work for all who want the same at the same time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Whoever wants something that is being found out waits for the next time that it is: what they get was found out after they
/// asked, as if they had done it themselves, and thousands who ask at once have it done a few times.
#[derive(Debug)]
pub(crate) struct Flights<K, V>(Mutex<HashMap<K, Weak<Flight<V>>>>);

#[derive(Debug)]
struct Flight<V> {
    /// How often it has begun.
    begun: Mutex<u64>,
    /// Held while it is done: the number of the last time that it succeeded, and what came out.
    last: tokio::sync::Mutex<Option<(u64, V)>>,
}

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Flights<K, V> {
    /// What `work` gives, or what it gave another since this was called. Whoever fails, fails alone.
    ///
    /// # Errors
    /// Those of `work`.
    pub(crate) async fn join<E>(&self, key: &K, work: impl Future<Output = Result<V, E>>) -> Result<V, E> {
        let flight = self.flight(key);
        let asked = *flight.begun();
        let mut last = flight.last.lock().await;
        if let Some((number, value)) = &*last
            && *number > asked
        {
            return Ok(value.clone());
        }
        let number = {
            let mut begun = flight.begun();
            *begun += 1;
            *begun
        };
        let value = work.await?;
        *last = Some((number, value.clone()));
        Ok(value)
    }

    fn flight(&self, key: &K) -> Arc<Flight<V>> {
        // Nothing panics while it is held.
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(key).and_then(Weak::upgrade) {
            return flight;
        }
        flights.retain(|_, flight| flight.strong_count() > 0);
        let flight = Arc::new(Flight {
            begun: Mutex::new(0),
            last: tokio::sync::Mutex::new(None),
        });
        flights.insert(key.clone(), Arc::downgrade(&flight));
        flight
    }
}

impl<V> Flight<V> {
    fn begun(&self) -> MutexGuard<'_, u64> {
        // Nothing panics while it is held.
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::future::join_all;

    use super::*;

    #[tokio::test]
    async fn who_asks_while_it_is_found_out_gets_what_is_found_after_that() {
        let (flights, times) = (Flights::default(), AtomicU32::new(0));
        let ask = || {
            flights.join(&"key", async {
                let time = times.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok::<_, Infallible>(time)
            })
        };
        let mut first = Box::pin(ask());
        assert!(futures::poll!(&mut first).is_pending());
        let found = join_all((0..10).map(|_| ask()));
        let (found, first) = tokio::join!(found, first);
        assert_eq!(first, Ok(0));
        assert!(found.into_iter().all(|time| time == Ok(1)));
        assert_eq!(ask().await, Ok(2));
    }

    #[tokio::test]
    async fn an_error_is_nobody_else_s() {
        let flights = Flights::default();
        let fails = flights.join(&1, async {
            tokio::task::yield_now().await;
            Err("no")
        });
        let works = flights.join(&1, async { Ok::<_, &str>(7) });
        assert_eq!(tokio::join!(fails, works), (Err("no"), Ok(7)));
    }
}
