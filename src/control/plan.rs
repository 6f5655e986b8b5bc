//! What to do about one app: pure, from what its file asks for and what runs.

use crate::manifest::{AppId, AppSpec};

/// What the app's file asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Desired<'a> {
    /// There is no file.
    Absent,
    /// There is one and it is, and always was, in error.
    Unknown,
    /// The newest valid content of the file.
    Spec(&'a AppSpec),
}

/// What there is of the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Actual<'a> {
    /// What serves.
    pub(crate) running: Option<&'a AppSpec>,
    /// What is being prepared; it can be given up.
    pub(crate) preparing: Option<&'a AppSpec>,
    /// It is being put behind its address: that is brief and is waited for.
    pub(crate) activating: bool,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// All is as it should be, or on its way there.
    Keep,
    /// Prepare and start; what was being prepared is given up.
    Start,
    /// Prepare while the old one serves, then swap; what was being prepared is given up.
    Restart,
    /// Give up what is being prepared: what serves is what is asked for.
    GiveUp,
    /// Stop after the requests in flight, and give up what is being prepared.
    Abort,
    /// Another app holds the address; what serves goes on.
    Wait {
        /// Which one.
        holder: AppId,
    },
}

/// Decides. `holder` is the other app that holds what this one's newest valid file claims.
pub(crate) fn decide(desired: Desired<'_>, actual: Actual<'_>, holder: Option<&AppId>) -> Step {
    if actual.activating {
        return Step::Keep;
    }
    let spec = match desired {
        Desired::Unknown => return Step::Keep,
        Desired::Spec(spec) if spec.enabled => spec,
        Desired::Absent | Desired::Spec(_) => return abort(actual),
    };
    if let Some(holder) = holder {
        return Step::Wait {
            holder: holder.clone(),
        };
    }
    if actual.preparing == Some(spec) {
        return Step::Keep;
    }
    match (actual.running, actual.preparing) {
        (Some(running), None) if running == spec => Step::Keep,
        (Some(running), Some(_)) if running == spec => Step::GiveUp,
        (Some(_), _) => Step::Restart,
        (None, _) => Step::Start,
    }
}

fn abort(actual: Actual<'_>) -> Step {
    if actual == Actual::default() {
        Step::Keep
    } else {
        Step::Abort
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::manifest::parse_app;

    fn spec(port: u16, more: &str) -> AppSpec {
        let text = format!("{{\"reference\": \"a/b\", \"address\": \"127.0.0.1:{port}\"{more}}}");
        parse_app(&text, Path::new("a.json")).unwrap()
    }

    #[test]
    fn each_case_has_its_step() {
        let (one, two) = (spec(1, ""), spec(2, ""));
        let off = spec(1, ", \"enabled\": false");
        let other = AppId::new("other");
        let nothing = Actual::default();
        let runs = Actual {
            running: Some(&one),
            ..nothing
        };
        let prepares = Actual {
            preparing: Some(&one),
            ..nothing
        };
        let swaps = Actual {
            preparing: Some(&two),
            ..runs
        };
        let activates = Actual {
            activating: true,
            ..nothing
        };
        let wait = Step::Wait {
            holder: other.clone(),
        };
        let cases = [
            ("a new file", Desired::Spec(&one), nothing, None, Step::Start),
            ("a bad new file", Desired::Unknown, nothing, None, Step::Keep),
            ("an edit", Desired::Spec(&two), runs, None, Step::Restart),
            ("nothing new", Desired::Spec(&one), runs, None, Step::Keep),
            (
                "already being prepared",
                Desired::Spec(&one),
                prepares,
                None,
                Step::Keep,
            ),
            (
                "a newer edit while the first start is prepared",
                Desired::Spec(&two),
                prepares,
                None,
                Step::Start,
            ),
            (
                "an edit taken back",
                Desired::Spec(&one),
                swaps,
                None,
                Step::GiveUp,
            ),
            ("on its way", Desired::Spec(&two), swaps, None, Step::Keep),
            ("switched off", Desired::Spec(&off), runs, None, Step::Abort),
            (
                "switched off from the first",
                Desired::Spec(&off),
                nothing,
                None,
                Step::Keep,
            ),
            ("deleted", Desired::Absent, runs, None, Step::Abort),
            (
                "deleted before it ran",
                Desired::Absent,
                prepares,
                None,
                Step::Abort,
            ),
            (
                "deleted at the last moment",
                Desired::Absent,
                activates,
                None,
                Step::Keep,
            ),
            (
                "address taken",
                Desired::Spec(&one),
                nothing,
                Some(&other),
                wait.clone(),
            ),
            (
                "moved to a taken address",
                Desired::Spec(&two),
                runs,
                Some(&other),
                wait,
            ),
            (
                "switched off and taken",
                Desired::Spec(&off),
                runs,
                Some(&other),
                Step::Abort,
            ),
        ];
        for (name, desired, actual, holder, step) in cases {
            assert_eq!(decide(desired, actual, holder), step, "{name}");
        }
    }
}
