//! What all apps share: one HTTP client, and a turn for each app.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use crate::net::{make_room, tls_client_config};

/// A server that can be reached at all accepts within this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one answer may take to compute and to arrive.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);

/// The process's way to servers of language models.
#[derive(Default)]
pub(in crate::host) struct LlmBackends {
    client: OnceLock<reqwest::Client>,
    turns: Mutex<HashMap<Arc<str>, Weak<tokio::sync::Mutex<()>>>>,
}

impl LlmBackends {
    /// Made when the first app has a server configured.
    pub(super) fn client(&self) -> Result<reqwest::Client, reqwest::Error> {
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .tls_backend_preconfigured(tls_client_config().as_ref().clone())
            .build()?;
        Ok(self.client.get_or_init(|| client).clone())
    }

    /// The same for every component and version of an app.
    pub(super) fn turn(&self, app: &Arc<str>) -> Arc<tokio::sync::Mutex<()>> {
        // No panic can happen while it is held.
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(app).and_then(Weak::upgrade) {
            return turn;
        }
        make_room(&mut turns);
        let turn = Arc::default();
        turns.insert(app.clone(), Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::MIN_ROOM;

    #[test]
    fn an_app_has_one_turn_as_long_as_anybody_holds_it() {
        let backends = LlmBackends::default();
        let (a, b) = (Arc::from("a"), Arc::from("b"));
        let turn = backends.turn(&a);
        assert!(Arc::ptr_eq(&turn, &backends.turn(&a)));
        assert!(!Arc::ptr_eq(&turn, &backends.turn(&b)));
        drop(turn);
        for name in 0..1000 {
            backends.turn(&Arc::from(name.to_string()));
        }
        assert!(backends.turns.lock().unwrap().len() < 4 * MIN_ROOM);
    }
}
