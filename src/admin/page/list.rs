//! All apps, as a table.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::asked::Asked;
use super::parts::{Reader, badge, digest, error, places, text};
use super::traffic::{figures, rate_now, spark};
use crate::control::{AppState, AppStatus, Status};
use crate::metrics::Step;

/// Rows at once: what a browser shows and compares without effort.
const ROWS: usize = 100;
/// Sites of an app that a row names.
const SITES: usize = 2;
const COLUMNS: usize = 10;

/// What is shown of a status.
pub(super) struct List {
    asked: Asked,
    /// How many apps have the text, by their state.
    states: BTreeMap<AppState, usize>,
    /// How many have the state, too.
    found: usize,
    /// The part of them that was asked for.
    pub(super) shown: Vec<Row>,
    source_read: bool,
    source_problem: Option<String>,
}

/// An app, as its row tells it.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) app: AppStatus,
    /// What came in the last minutes.
    pub(super) recent: Vec<Step>,
}

impl List {
    pub(super) fn of(status: &Status, mut asked: Asked) -> Self {
        let mut states: BTreeMap<AppState, usize> = BTreeMap::new();
        let mut found = Vec::new();
        for (id, app) in &status.apps {
            if !asked.finds(id, app) {
                continue;
            }
            *states.entry(app.state).or_default() += 1;
            if asked.state.is_none_or(|state| state == app.state) {
                found.push((id, app));
            }
        }
        asked.page = asked.page.min(found.len().saturating_sub(1) / ROWS);
        let shown = found.iter().skip(asked.page * ROWS).take(ROWS);
        Self {
            shown: shown
                .map(|(id, app)| Row {
                    id: (*id).clone(),
                    app: AppStatus::clone(app),
                    recent: Vec::new(),
                })
                .collect(),
            found: found.len(),
            states,
            source_read: status.source_read,
            source_problem: status.source_problem.clone(),
            asked,
        }
    }

    /// `recent`: what came in the last minutes, for all apps.
    pub(super) fn html(&self, recent: &[Step], reader: &Reader) -> Markup {
        html! {
            main #view {
                div #source data-live {
                    @if let Some(problem) = &self.source_problem {
                        p.error { (problem) }
                    } @else if !self.source_read {
                        p.note { "The apps' files have not been read yet." }
                    }
                }
                section #numbers aria-label="Traffic of all apps" { (figures(recent, reader)) }
                div.tools {
                    (self.filter())
                    (self.chips())
                }
                (self.table(reader))
                (self.pager())
            }
        }
    }

    fn filter(&self) -> Markup {
        html! {
            form #filter role="search" method="get" action=(super::PATH) {
                @if let Some(state) = self.asked.state {
                    input type="hidden" name="state" value=(state.as_str());
                }
                input type="search" name="q" value=(self.asked.q) placeholder="Filter by name, reference, address"
                    aria-label="Filter" autocomplete="off" spellcheck="false";
            }
        }
    }

    /// A link for each state that some app is in.
    fn chips(&self) -> Markup {
        let all: usize = self.states.values().sum();
        let chip = |state: Option<AppState>, count: usize| {
            let name = state.map_or("all", AppState::as_str);
            let current = (self.asked.state == state).then_some("true");
            let href = self.asked.with_state(state).href();
            html! {
                a.chip href=(href) data-state=(name) aria-current=[current] { (name) " " b { (count) } }
            }
        };
        html! {
            nav #states data-live aria-label="States" {
                (chip(None, all))
                @for (state, count) in &self.states { (chip(Some(*state), *count)) }
            }
        }
    }

    fn table(&self, reader: &Reader) -> Markup {
        html! {
            table #apps data-live="rows" {
                thead {
                    tr {
                        th scope="col" { "App" }
                        th scope="col" { "State" }
                        th scope="col" { "Address" }
                        th scope="col" { "Reference" }
                        th scope="col" { "Digest" }
                        th scope="col" { "Since" }
                        th scope="col" { "Last minutes" }
                        th.number scope="col" { "Requests" }
                        th.number scope="col" { "Failed" }
                        th.number scope="col" { "In flight" }
                    }
                }
                @for row in &self.shown { (self.row(row, reader)) }
                @if self.shown.is_empty() {
                    tbody { tr { td.nothing colspan=(COLUMNS) { (self.nothing()) } } }
                }
            }
        }
    }

    fn nothing(&self) -> &'static str {
        match self.states.is_empty() && self.asked.q.is_empty() {
            true => "There are no apps: an app file in the watched directory is one.",
            false => "No app is like that.",
        }
    }

    fn row(&self, Row { id, app, recent }: &Row, reader: &Reader) -> Markup {
        let traffic = app.traffic.as_ref();
        let count =
            |count: Option<u64>| html! { @match count { Some(count) => (count), None => span.none { "–" } } };
        html! {
            tbody data-app=(id) data-state=(app.state.as_str()) {
                tr {
                    th scope="row" { a href=(self.asked.with_app(id).href()) { (id) } }
                    td {
                        (badge(app.state))
                        @if let Some(pinned) = &app.pinned { " " small title=(pinned.digest) { "pinned to " (pinned.version) } }
                    }
                    td data-label="Address" { (places(app, reader, SITES)) }
                    td.reference data-label="Reference" { (text(app.reference.as_deref())) }
                    td data-label="Digest" { (digest(app.digest.as_deref())) }
                    td data-label="Since" { (reader.time(&app.since)) }
                    td.recent { (spark(recent, reader)) }
                    td.number data-label="Requests" {
                        @if let Some(rate) = rate_now(recent) { small { (rate) } " " }
                        (count(traffic.map(|traffic| traffic.requests)))
                    }
                    td.number data-label="Failed" { (count(traffic.map(|traffic| traffic.failed))) }
                    td.number data-label="In flight" { (count(traffic.map(|traffic| traffic.in_flight))) }
                }
                @if app.error.is_some() || app.next_try.is_some() {
                    tr.trouble { td colspan=(COLUMNS) { (error(app, reader)) } }
                }
            }
        }
    }

    fn pager(&self) -> Markup {
        let (page, first) = (self.asked.page, self.asked.page * ROWS);
        let last = first + self.shown.len();
        html! {
            nav #pager data-live aria-label="Pages" {
                @if self.found > ROWS {
                    @if page > 0 { a rel="prev" href=(self.asked.with_page(page - 1).href()) { "← Previous" } }
                    span { (first + 1) "–" (last) " of " (self.found) }
                    @if last < self.found { a rel="next" href=(self.asked.with_page(page + 1).href()) { "Next →" } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use axum::http::HeaderMap;

    use super::*;

    const BAD: &str = "<script>alert(1)</script> & \"quotes\"";
    const GOOD: &str = "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;quotes&quot;";

    fn app(state: AppState) -> AppStatus {
        let app = serde_json::json!({
            "state": state, "since": "2026-01-01T00:00:00Z", "sites": [], "routes": [], "redeploys": 0, "restarts": 0,
        });
        serde_json::from_value(app).unwrap()
    }

    fn shown(apps: impl IntoIterator<Item = (String, AppStatus)>, asked: Asked) -> String {
        let status = Status {
            source_read: true,
            source_problem: None,
            apps: apps.into_iter().map(|(id, app)| (id, app.into())).collect(),
        };
        let reader = Reader::new(&HeaderMap::new(), SystemTime::now());
        let list = List::of(&status, asked);
        list.html(&[], &reader).into_string()
    }

    #[test]
    fn whatever_an_app_says_is_shown_as_text() {
        let mut bad = app(AppState::Failed);
        bad.reference = Some(BAD.into());
        bad.digest = Some(BAD.into());
        bad.address = Some(BAD.into());
        bad.error = Some(BAD.into());
        bad.next_try = Some(BAD.into());
        bad.sites = vec![BAD.into()];
        let asked = Asked {
            q: "script".into(),
            ..Asked::default()
        };
        let html = shown([(BAD.to_owned(), bad)], asked);
        assert!(
            !html.contains("<script") && !html.contains("href=\"javascript"),
            "{html}"
        );
        let texts = html.matches(GOOD).count();
        assert!(texts >= 8, "{texts} in {html}");
    }

    #[test]
    fn the_table_has_every_column_of_an_app() {
        let mut one = app(AppState::Degraded);
        one.reference = Some("registry.example/shop:v2".into());
        one.digest = Some("sha256:0123456789abcdef".into());
        one.address = Some("127.0.0.1:3000".into());
        one.error = Some("not found: is it pushed?".into());
        one.next_try = Some("2126-01-01T00:00:00Z".into());
        let html = shown([("shop".into(), one)], Asked::default());
        for text in [
            "href=\"/?app=shop\">shop<",
            ">degraded<",
            "href=\"http://127.0.0.1:3000/\"",
            ">registry.example/shop:v2<",
            ">0123456789ab<",
            "datetime=\"2026-01-01T00:00:00Z\"",
            "not found: is it pushed?",
            "Next try <time",
        ] {
            assert!(html.contains(text), "{text} in {html}");
        }
    }

    #[test]
    fn thousands_of_apps_are_shown_in_parts() {
        let apps = (0..10_000).map(|number| {
            let state = if number == 7 {
                AppState::Failed
            } else {
                AppState::Running
            };
            (format!("app-{number:05}"), app(state))
        });
        let apps: Vec<_> = apps.collect();
        let rows = |html: &str| html.matches("<tbody").count();
        let html = shown(apps.clone(), Asked::default());
        assert_eq!(rows(&html), ROWS);
        assert!(html.contains("1–100 of 10000") && html.contains("href=\"/?page=1\""));
        assert!(html.contains("running <b>9999</b>") && html.contains("failed <b>1</b>"));
        let past_the_end = Asked {
            page: 5000,
            ..Asked::default()
        };
        assert!(shown(apps.clone(), past_the_end).contains("9901–10000 of 10000"));
        let failed = Asked {
            state: Some(AppState::Failed),
            ..Asked::default()
        };
        let html = shown(apps.clone(), failed);
        assert!(rows(&html) == 1 && html.contains("data-app=\"app-00007\""));
        let some = Asked {
            q: "APP-0123".into(),
            ..Asked::default()
        };
        assert_eq!(rows(&shown(apps, some)), 10);
    }
}
