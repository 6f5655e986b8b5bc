//! Who has logged in with a browser: browsers keep no tokens, so a cookie stands for one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::token::TokenDigest;

/// What the names of sessions' cookies begin with. A browser sends cookies to every port of a host, and so to apps that share
/// the host: they must not see these.
pub(crate) const SESSION_COOKIE: &str = "lepton-session-";
/// How long a session lasts: a working day.
pub(super) const LIFE: Duration = Duration::from_secs(12 * 60 * 60);
/// Sessions at once. The one that would end first makes room for another.
const MAX_SESSIONS: usize = 1024;

/// The sessions of one process. A cheap handle.
#[derive(Clone)]
pub(super) struct Sessions {
    /// Of its own for each process: daemons of one host would take each other's cookies away.
    cookie: Arc<str>,
    /// By the digest of what the cookie says: how long a look-up takes tells nothing of the cookies that there are.
    open: Arc<Mutex<HashMap<[u8; 32], Session>>>,
}

struct Session {
    /// The session holds for as long as this token does.
    token: TokenDigest,
    ends: Instant,
}

impl Sessions {
    pub(super) fn new() -> Self {
        Self {
            cookie: format!("{SESSION_COOKIE}{}", &Uuid::new_v4().simple().to_string()[..8]).into(),
            open: Arc::default(),
        }
    }

    /// The cookie's name.
    pub(super) fn cookie(&self) -> &str {
        &self.cookie
    }

    /// Opens one for whoever has shown that token; answers with the cookie's value.
    pub(super) fn open(&self, token: TokenDigest) -> String {
        // Each has 122 random bits.
        let value = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let now = Instant::now();
        let mut open = self.lock();
        open.retain(|_, session| session.ends > now);
        if open.len() >= MAX_SESSIONS {
            let first = open.iter().min_by_key(|(_, session)| session.ends);
            if let Some(first) = first.map(|(key, _)| *key) {
                open.remove(&first);
            }
        }
        let ends = now + LIFE;
        open.insert(key(&value), Session { token, ends });
        value
    }

    /// The token that a request's session was opened with; `None`: it has none that goes on.
    pub(super) fn token(&self, headers: &HeaderMap) -> Option<TokenDigest> {
        let value = self.value(headers)?;
        let open = self.lock();
        let session = open.get(&key(value))?;
        (session.ends > Instant::now()).then_some(session.token)
    }

    pub(super) fn close(&self, headers: &HeaderMap) {
        if let Some(value) = self.value(headers) {
            self.lock().remove(&key(value));
        }
    }

    fn value<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let lines = headers.get_all(header::COOKIE).iter();
        let pairs = lines.filter_map(|line| line.to_str().ok());
        let mut pairs = pairs.flat_map(|line| line.split(';'));
        pairs.find_map(|pair| pair.trim().strip_prefix(&*self.cookie)?.strip_prefix('='))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        // Nothing panics while it is held.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(value: &str) -> [u8; 32] {
    Sha256::digest(value).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn showing(sessions: &Sessions, value: &str) -> HeaderMap {
        let cookies = format!("theme=dark; {}={value}", sessions.cookie());
        HeaderMap::from_iter([(header::COOKIE, cookies.parse().unwrap())])
    }

    #[test]
    fn a_session_is_its_tokens_until_it_is_closed() {
        let (sessions, other) = (Sessions::new(), Sessions::new());
        let token = TokenDigest::of("token");
        let value = sessions.open(token);
        let headers = showing(&sessions, &value);
        assert_eq!(sessions.token(&headers), Some(token));
        assert_eq!(other.token(&showing(&other, &value)), None);
        assert_eq!(sessions.token(&showing(&sessions, &value[1..])), None);
        sessions.close(&headers);
        assert_eq!(sessions.token(&headers), None);
    }

    #[test]
    fn the_oldest_session_makes_room() {
        let sessions = Sessions::new();
        let token = TokenDigest::of("token");
        let first = sessions.open(token);
        for _ in 1..MAX_SESSIONS {
            sessions.open(token);
        }
        assert!(sessions.token(&showing(&sessions, &first)).is_some());
        let last = sessions.open(token);
        assert!(sessions.token(&showing(&sessions, &first)).is_none());
        assert!(sessions.token(&showing(&sessions, &last)).is_some());
        assert_eq!(sessions.lock().len(), MAX_SESSIONS);
    }
}
