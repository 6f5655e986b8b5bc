//! What every app is doing, for readers: the only thing that leaves the supervisor but commands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything there is to know about the apps. Times are RFC 3339 in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// Whether the directory or list has been read since the start: all apps are known from then on.
    pub source_read: bool,
    /// Why the directory or list can't be read; while it stands, every app stays as it is.
    pub source_problem: Option<String>,
    /// One entry for each app file, by its id.
    pub apps: BTreeMap<String, Arc<AppStatus>>,
}

impl Status {
    /// Whether an app has had no outcome yet; `one` is the one that had none when it was asked before. While thousands start, it is asked
    /// at each of their outcomes, and does not look at all of them.
    pub fn has_starting(&self, one: &mut Option<String>) -> bool {
        let starts = |app: &Arc<AppStatus>| app.state == AppState::Starting;
        if one.as_ref().and_then(|id| self.apps.get(id)).is_some_and(starts) {
            return true;
        }
        *one = self
            .apps
            .iter()
            .find(|(_, app)| starts(app))
            .map(|(id, _)| id.clone());
        one.is_some()
    }
}

/// One app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AppStatus {
    /// What it is doing.
    pub state: AppState,
    /// As the file says it; `None` while no valid file has been seen.
    pub reference: Option<Arc<str>>,
    /// Of what serves: `sha256:…`.
    pub digest: Option<Arc<str>>,
    /// The real address of what serves, with the real port; before that, the one asked for.
    pub address: Option<String>,
    /// Which hosts and paths of the address are the app's, such as `shop.example/cart`; empty: all of them.
    pub sites: Vec<String>,
    /// Since when the state is what it is.
    pub since: String,
    /// The last error: the reason and, where one is known, the remedy.
    pub error: Option<String>,
    /// When it is tried again.
    pub next_try: Option<String>,
    /// What serves, as route patterns.
    pub routes: Arc<[String]>,
    /// It goes on with a version that served before, whatever its file's reference means.
    pub pinned: Option<Box<PinnedVersion>>,
    /// How often another version, or the same one anew, has taken the place of one that served, since the daemon's start.
    pub redeploys: u64,
    /// How often it ended by itself, to be started again, since the daemon's start.
    pub restarts: u64,
    /// What its clients ask of it, at the time of the answer; `None` before the first request.
    pub traffic: Option<Box<AppTraffic>>,
}

/// What an app was rolled back to, until its file changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PinnedVersion {
    /// Its number in the app's history.
    pub version: u64,
    /// `sha256:…`
    pub digest: String,
    /// Since when the app is pinned.
    pub since: String,
}

#[cfg(test)]
impl AppStatus {
    /// Of an app of which nothing else is known.
    pub(crate) fn in_state(state: AppState) -> Self {
        Self {
            state,
            reference: None,
            digest: None,
            address: None,
            sites: Vec::new(),
            since: String::new(),
            error: None,
            next_try: None,
            routes: Arc::default(),
            pinned: None,
            redeploys: 0,
            restarts: 0,
            traffic: None,
        }
    }
}

/// The requests of an app's clients, since the first one; kept over its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AppTraffic {
    /// Those in flight included.
    pub requests: u64,
    /// Those that were answered with a status of 500 or more.
    pub failed: u64,
    /// Those that have not ended.
    pub in_flight: u64,
    /// When the last one ended; `None` before one has.
    pub last_request: Option<String>,
    /// How often each limit was reached, by its member of `limits` in the app's file; those that never were are left out.
    pub limits: BTreeMap<String, u64>,
}

/// What an app is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AppState {
    /// Being fetched, compiled or bound for the first time.
    Starting,
    /// Serving what its file asks for.
    Running,
    /// Its commands have run; they run again when its file or its artifact changes.
    Completed,
    /// Serving, but not what its file asks for: see the error.
    Degraded,
    /// Its address, or its place at it, is taken; starts by itself when it is free.
    Waiting,
    /// Not serving: see the error.
    Failed,
    /// Switched off by its file.
    Disabled,
    /// Finishing the requests in flight.
    Stopping,
}

impl AppState {
    pub const ALL: [Self; 8] = [
        Self::Starting,
        Self::Running,
        Self::Completed,
        Self::Degraded,
        Self::Waiting,
        Self::Failed,
        Self::Disabled,
        Self::Stopping,
    ];

    /// The state's name, as it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            AppState::Starting => "starting",
            AppState::Running => "running",
            AppState::Completed => "completed",
            AppState::Degraded => "degraded",
            AppState::Waiting => "waiting",
            AppState::Failed => "failed",
            AppState::Disabled => "disabled",
            AppState::Stopping => "stopping",
        }
    }
}

pub(crate) fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apps_that_start_are_found_until_there_is_none() {
        let mut status = Status::default();
        let mut one = None;
        assert!(!status.has_starting(&mut one));
        for name in ["a", "b"] {
            let app = AppStatus::in_state(AppState::Starting);
            status.apps.insert(name.into(), app.into());
        }
        for name in ["a", "b"] {
            assert!(status.has_starting(&mut one));
            assert_eq!(one.as_deref(), Some(name));
            let app = AppStatus::in_state(AppState::Running);
            status.apps.insert(name.into(), app.into());
        }
        assert!(!status.has_starting(&mut one));
    }

    #[test]
    fn a_status_reads_back_as_it_is_written() {
        let app = AppStatus {
            state: AppState::Degraded,
            reference: Some("a/b:v1".into()),
            digest: None,
            address: Some("127.0.0.1:80".into()),
            sites: vec!["shop.example/cart".into()],
            since: timestamp(SystemTime::UNIX_EPOCH),
            error: Some("why".into()),
            next_try: None,
            routes: ["/...".into()].into(),
            pinned: Some(Box::new(PinnedVersion {
                version: 2,
                digest: "sha256:1".into(),
                since: timestamp(SystemTime::UNIX_EPOCH),
            })),
            redeploys: 1,
            restarts: 0,
            traffic: Some(Box::new(AppTraffic {
                requests: 2,
                failed: 1,
                in_flight: 1,
                last_request: None,
                limits: BTreeMap::from([("rate".to_owned(), 3)]),
            })),
        };
        let status = Status {
            source_read: true,
            source_problem: None,
            apps: BTreeMap::from([("a".to_owned(), app.into())]),
        };
        let json = serde_json::to_string(&status).unwrap();
        assert!(
            json.contains("\"state\":\"degraded\"") && json.contains("1970-01-01T00:00:00Z"),
            "{json}"
        );
        assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), status);
    }
}
