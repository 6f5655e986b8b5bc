//! The page: what the API tells, for people.
//!
//! All of it is HTML that is made here, from the same [`Status`](crate::control::Status) that the API answers with. A browser
//! without JavaScript shows it as it is; `page.js` asks for it again every other second and puts what has changed in its
//! place, and adds what has routes of its own: plots of the last minutes, commands, logs, history.
//!
//! | file | responsibility |
//! |---|---|
//! | `asked.rs` | which apps are shown, as the address of the page says it |
//! | `list.rs`, `app.rs` | all apps as a table; one app |
//! | `parts.rs` | what both are made of |
//! | `traffic.rs` | what came in the last minutes, in pictures |
//! | `frame.rs` | what is around them, and how to log in |
//! | `files.rs` | what the HTML refers to |

mod app;
mod asked;
mod files;
mod frame;
mod list;
mod parts;
mod traffic;

use std::time::SystemTime;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maud::Markup;

use self::asked::Asked;
use self::list::List;
use self::parts::Reader;
use super::api::Api;
use super::guard::LoggedIn;
use super::routes::Group;

pub(super) use self::files::routes as assets;

/// Where the page is.
pub(super) const PATH: &str = "/";
/// Nothing from elsewhere, nothing inline, and in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(super) fn routes() -> Group {
    Group::new().route(PATH, get(page))
}

async fn page(
    State(api): State<Api>,
    Query(asked): Query<Asked>,
    logged_in: Option<Extension<LoggedIn>>,
    headers: HeaderMap,
) -> Response {
    let reader = Reader::new(&headers, SystemTime::now());
    let logged_in = logged_in.is_some();
    let Some(id) = &asked.app else {
        let mut list = List::of(&api.sources.status.borrow(), asked);
        for row in &mut list.shown {
            if let Some(numbers) = api.sources.apps.get(&row.id) {
                row.app.traffic = Some(super::api::traffic(&numbers).into());
                row.recent = numbers.recent();
            }
        }
        let main = list.html(&api.sources.apps.recent(), &reader);
        return html(StatusCode::OK, frame::page("Apps", logged_in, main));
    };
    let Some(status) = api.app(id) else {
        return html(
            StatusCode::NOT_FOUND,
            frame::page(id, logged_in, app::missing(id)),
        );
    };
    let main = app::html(id, &status, &api.recent(id), &asked, &reader);
    html(StatusCode::OK, frame::page(id, logged_in, main))
}

/// How to log in; `refused`: why the last attempt was in vain.
pub(super) fn login(refused: Option<&str>) -> Response {
    html(StatusCode::UNAUTHORIZED, frame::login(refused))
}

fn html(status: StatusCode, page: Markup) -> Response {
    let headers: [(HeaderName, &str); 5] = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Links lead to apps, which need not know of the page; forms have to tell their origin.
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, page.into_string()).into_response()
}
