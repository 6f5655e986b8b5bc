//! One app.

use maud::{Markup, html};

use super::asked::Asked;
use super::parts::{Reader, badge, error, places, text};
use super::traffic::figures;
use crate::control::AppStatus;
use crate::metrics::Step;

pub(super) fn html(id: &str, app: &AppStatus, recent: &[Step], asked: &Asked, reader: &Reader) -> Markup {
    html! {
        main #view data-app=(id) {
            p.back { a href=(asked.list().href()) { "← All apps" } }
            div.title {
                h1 { (id) }
                div #state data-live { (badge(app.state)) }
                div #commands hidden {}
            }
            div #trouble data-live data-state=(app.state.as_str()) { (error(app, reader)) }
            (facts(app, reader))
            section #numbers aria-label="Traffic" { (figures(recent, reader)) }
            section #history hidden { h2 { "History" } }
            section #log hidden { h2 { "Log" } }
        }
    }
}

/// A member of the status each.
fn facts(app: &AppStatus, reader: &Reader) -> Markup {
    let traffic = app.traffic.as_ref();
    let last = traffic.and_then(|traffic| traffic.last_request.as_ref());
    let limits = traffic.map(|traffic| &traffic.limits);
    html! {
        dl #facts data-live data-digest=[app.digest.as_deref()] {
            div { dt { "Address" } dd { (places(app, reader, usize::MAX)) } }
            div.wide { dt { "Reference" } dd.reference { (text(app.reference.as_deref())) } }
            div.wide { dt { "Digest" } dd { code { (text(app.digest.as_deref())) } } }
            div { dt { (app.state.as_str()) " since" } dd { (reader.time(&app.since)) } }
            div { dt { "Redeploys, restarts" } dd { (app.redeploys) ", " (app.restarts) } }
            @if let Some(traffic) = traffic {
                div { dt { "Requests, failed" } dd { (traffic.requests) ", " (traffic.failed) } }
                div { dt { "In flight" } dd { (traffic.in_flight) } }
            }
            @if let Some(last) = last { div { dt { "Last request" } dd { (reader.time(last)) } } }
            @if !app.routes.is_empty() {
                div.wide { dt { "Routes" } dd { @for route in app.routes.iter() { code { (route) } " " } } }
            }
            @for (limit, count) in limits.into_iter().flatten() {
                div { dt { "Limit " code { (limit) } " reached" } dd { (count) "×" } }
            }
        }
    }
}

/// No file names it, or no longer.
pub(super) fn missing(id: &str) -> Markup {
    html! {
        main #view {
            p.back { a href=(super::PATH) { "← All apps" } }
            p.error { "No file names an app " b { (id) } "." }
        }
    }
}
