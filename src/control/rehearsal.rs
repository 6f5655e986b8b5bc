//! What would be done about each app if the files were these: the same claims and the same plan, and nothing is carried out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::claims::Claims;
use super::plan::{Actual, Desired, Step, decide};
use super::taken::taken;
use crate::manifest::{AppId, AppSpec, parse_text};

/// App files by the apps' names.
pub type Drafts = BTreeMap<String, Draft>;
/// What would be done, by the apps' names.
pub type Rehearsed = BTreeMap<String, Planned>;

/// What an app file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Draft {
    /// Its text, which is read as that of a file in the daemon's own directory.
    Text(String),
    /// Why it can't be used.
    Problem(String),
}

/// What would be done about one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Planned {
    pub action: Action,
    /// Why, for people.
    pub reason: Option<String>,
}

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Nothing.
    Keep,
    /// It is prepared and served.
    Start,
    /// A new version is prepared while the old one serves, and takes its place.
    Redeploy,
    /// It ends after its requests in flight.
    Stop,
    /// Another app has what it claims; what serves of it goes on.
    Wait,
    /// Its file is in error; what serves of it goes on.
    Refuse,
}

impl Action {
    /// As it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Start => "start",
            Self::Redeploy => "redeploy",
            Self::Stop => "stop",
            Self::Wait => "wait",
            Self::Refuse => "refuse",
        }
    }
}

/// What is known of one app.
pub(crate) struct Known<'a> {
    /// By its newest valid file.
    pub(crate) spec: Option<&'a AppSpec>,
    pub(crate) actual: Actual<'a>,
    /// For messages: the app and its file.
    pub(crate) named: String,
    /// What is wrong with it now.
    pub(crate) trouble: Option<String>,
}

/// The same where no daemon runs. `dir` is where the files are.
pub fn rehearse_alone(drafts: &Drafts, dir: &Path) -> Rehearsed {
    rehearse(Claims::default(), &BTreeMap::new(), &read(drafts, dir))
}

/// Files as they would be read in `dir`.
pub(crate) fn read(drafts: &Drafts, dir: &Path) -> BTreeMap<AppId, Result<AppSpec, String>> {
    let spec = |id: &AppId, draft: &Draft| match draft {
        Draft::Text(text) => {
            let file = dir.join(format!("{id}.json"));
            parse_text(text, &file, id).map_err(|error| error.to_string())
        }
        Draft::Problem(problem) => Err(problem.clone()),
    };
    drafts
        .iter()
        .map(|(name, draft)| {
            let id = AppId::new(name);
            let spec = spec(&id, draft);
            (id, spec)
        })
        .collect()
}

/// `claims` are those that stand now, of the apps in `known`.
pub(crate) fn rehearse(
    claims: Claims,
    known: &BTreeMap<AppId, Known<'_>>,
    files: &BTreeMap<AppId, Result<AppSpec, String>>,
) -> Rehearsed {
    let ids: BTreeSet<&AppId> = known.keys().chain(files.keys()).collect();
    let then = claims_then(claims.clone(), &ids, files);
    let planned = |id: &AppId| {
        let waited = claims.blocked_by(id).is_some();
        Rehearsal {
            id,
            known: known.get(id),
            all: known,
            claims: &then,
            freed: waited && then.blocked_by(id).is_none(),
        }
        .plan(files.get(id))
    };
    ids.into_iter()
        .map(|id| (id.as_str().to_owned(), planned(id)))
        .collect()
}

/// As the supervisor brings claims up to date after a batch of changes.
fn claims_then(
    mut claims: Claims,
    ids: &BTreeSet<&AppId>,
    files: &BTreeMap<AppId, Result<AppSpec, String>>,
) -> Claims {
    let mut concerned: BTreeSet<AppId> = BTreeSet::new();
    let mut moving = Vec::new();
    for &id in ids {
        let wanted = match files.get(id) {
            // What serves goes on, where it is.
            Some(Err(_)) => continue,
            Some(Ok(spec)) => Some(spec).filter(|spec| spec.enabled).map(|spec| claims.of(spec)),
            None => None,
        };
        if wanted.as_ref().is_some_and(|wanted| claims.claims(id, wanted)) {
            continue;
        }
        concerned.insert(id.clone());
        concerned.extend(claims.release(id).0);
        moving.extend(wanted.map(|wanted| (id, wanted)));
    }
    for (id, claim) in moving {
        claims.claim(id, claim);
    }
    claims.settle(&concerned);
    claims
}

struct Rehearsal<'a> {
    id: &'a AppId,
    known: Option<&'a Known<'a>>,
    all: &'a BTreeMap<AppId, Known<'a>>,
    /// As they would be.
    claims: &'a Claims,
    /// What it waits for now would be its own.
    freed: bool,
}

impl Rehearsal<'_> {
    fn plan(&self, file: Option<&Result<AppSpec, String>>) -> Planned {
        let (action, reason) = match file {
            None => (Action::Stop, Some("its file is gone".to_owned())),
            Some(Err(problem)) => (Action::Refuse, Some(self.refusal(problem))),
            Some(Ok(spec)) => self.step(spec),
        };
        Planned { action, reason }
    }

    fn refusal(&self, problem: &str) -> String {
        let serves = self.known.is_some_and(|known| known.actual.running.is_some());
        match serves {
            true => format!("{problem}; what serves goes on"),
            false => problem.to_owned(),
        }
    }

    fn step(&self, spec: &AppSpec) -> (Action, Option<String>) {
        let known = self.known;
        let trouble = || known.and_then(|known| known.trouble.clone());
        if known.is_some_and(|known| known.spec == Some(spec)) && !self.freed {
            // The daemon has this file already, and does about it what it can.
            return (Action::Keep, trouble());
        }
        let actual = known.map(|known| known.actual).unwrap_or_default();
        match decide(Desired::Spec(spec), actual, self.claims.blocked_by(self.id)) {
            Step::Keep | Step::GiveUp if !spec.enabled => (Action::Keep, Some(switched_off())),
            Step::Keep | Step::GiveUp => (Action::Keep, trouble()),
            Step::Start => (
                Action::Start,
                self.freed.then(|| "what it waits for becomes free".to_owned()),
            ),
            Step::Restart => {
                let changes = actual.running.map(|running| running.changes_to(spec));
                (Action::Redeploy, changes.map(|changes| changes.join("; ")))
            }
            Step::Abort => (Action::Stop, Some(switched_off())),
            Step::Wait { holder } => {
                let named = self.all.get(&holder).map(|known| known.named.clone());
                let named = named.unwrap_or_else(|| format!("app {holder}"));
                (
                    Action::Wait,
                    Some(taken(self.claims.contested(self.id, &holder), &named)),
                )
            }
        }
    }
}

fn switched_off() -> String {
    "\"enabled\" is false".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(port: u16, more: &str) -> String {
        format!("{{\"reference\": \"a/b\", \"address\": \"127.0.0.1:{port}\"{more}}}")
    }

    fn files(files: &[(&str, &str)]) -> BTreeMap<AppId, Result<AppSpec, String>> {
        let drafts = files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), Draft::Text((*text).to_owned())));
        read(&drafts.collect(), Path::new("/apps"))
    }

    /// What would be done with `new` by a daemon that serves `old`, each as its file says.
    fn planned(old: &[(&str, &str)], new: &[(&str, &str)]) -> Vec<String> {
        let old = files(old);
        let mut claims = Claims::default();
        let mut known = BTreeMap::new();
        for (id, spec) in &old {
            let spec = spec.as_ref().unwrap();
            let claim = claims.of(spec);
            claims.claim(id, claim);
            claims.settle([id]);
            let runs = claims.blocked_by(id).is_none();
            let actual = Actual {
                running: Some(spec).filter(|_| runs),
                ..Actual::default()
            };
            let (named, trouble) = (format!("app {id}"), None);
            known.insert(
                id.clone(),
                Known {
                    spec: Some(spec),
                    actual,
                    named,
                    trouble,
                },
            );
        }
        let lines = rehearse(claims, &known, &files(new)).into_iter();
        lines
            .map(|(id, planned)| {
                let reason = planned
                    .reason
                    .map_or_else(String::new, |reason| format!(": {reason}"));
                format!("{id} {}{reason}", planned.action.as_str())
            })
            .collect()
    }

    #[test]
    fn each_kind_of_edit_has_its_action() {
        let old = [
            ("edited", app(1, "")),
            ("gone", app(2, "")),
            ("off", app(3, "")),
            ("same", app(4, "")),
        ];
        let old: Vec<_> = old.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let new = [
            ("bad", "{}".to_owned()),
            ("edited", app(1, ", \"environment\": {\"A\": \"b\"}")),
            ("new", app(5, "")),
            ("off", app(3, ", \"enabled\": false")),
            ("same", app(4, "")),
            ("taken", app(4, "")),
        ];
        let new: Vec<_> = new.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let lines = planned(&old, &new);
        assert!(lines[0].starts_with("bad refuse: /apps/bad.json:1:"), "{lines:?}");
        assert_eq!(lines[1], "edited redeploy: \"environment\" differs");
        assert_eq!(lines[2], "gone stop: its file is gone");
        assert_eq!(lines[3], "new start");
        assert_eq!(lines[4], "off stop: \"enabled\" is false");
        assert_eq!(lines[5], "same keep");
        assert!(
            lines[6].starts_with("taken wait: address 127.0.0.1:4 is held by app same"),
            "{lines:?}"
        );
    }

    #[test]
    fn two_apps_may_swap_their_addresses_and_a_freed_one_is_given_on() {
        let (one, two) = (app(1, ""), app(2, ""));
        let swapped = planned(&[("a", &one), ("b", &two)], &[("a", &two), ("b", &one)]);
        assert!(
            swapped
                .iter()
                .all(|line| line.contains("redeploy: \"address\" is")),
            "{swapped:?}"
        );
        let given_on = planned(&[("a", &one), ("b", &one)], &[("b", &one)]);
        assert_eq!(
            given_on,
            [
                "a stop: its file is gone",
                "b start: what it waits for becomes free"
            ]
        );
    }

    #[test]
    fn alone_everything_starts_that_is_not_wrong() {
        let drafts = Drafts::from([
            ("a".to_owned(), Draft::Text(app(1, ""))),
            ("b".to_owned(), Draft::Problem("b.json: is bad".to_owned())),
            ("c".to_owned(), Draft::Text(app(2, ", \"enabled\": false"))),
        ]);
        let actions: Vec<_> = rehearse_alone(&drafts, Path::new(""))
            .into_values()
            .map(|planned| planned.action)
            .collect();
        assert_eq!(actions, [Action::Start, Action::Refuse, Action::Keep]);
    }
}
