//! What is shown of an app wherever it is shown.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use axum::http::{HeaderMap, header, uri::Authority};
use maud::{Markup, html};

use crate::control::{AppState, AppStatus};

/// Characters of a digest that are shown: enough to tell versions apart.
const DIGEST_LENGTH: usize = 12;
const HTTPS_PORTS: [u16; 2] = [443, 8443];
const SECOND: u64 = 1;
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Who reads: when, and by which name they have found this machine.
pub(super) struct Reader {
    now: SystemTime,
    host: Option<String>,
}

impl Reader {
    pub(super) fn new(headers: &HeaderMap, now: SystemTime) -> Self {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let authority = host.and_then(|host| host.parse::<Authority>().ok());
        Self {
            now,
            host: authority.map(|authority| authority.host().to_owned()),
        }
    }

    /// How many seconds ago that was, of which there is only the number since 1970.
    pub(super) fn seconds_since(&self, seconds: u32) -> u64 {
        let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.into());
        self.now.duration_since(moment).unwrap_or_default().as_secs()
    }

    /// How long ago that was, or how soon it will be.
    pub(super) fn time(&self, timestamp: &str) -> Markup {
        let text = match humantime::parse_rfc3339(timestamp) {
            Ok(time) => match self.now.duration_since(time) {
                Ok(age) => format!("{} ago", rough(age)),
                Err(ahead) => format!("in {}", rough(ahead.duration())),
            },
            Err(_) => timestamp.to_owned(),
        };
        html! { time datetime=(timestamp) title=(timestamp) { (text) } }
    }

    /// Where a browser finds what is served at `address` for `site` (`*`: any); `None`: nowhere.
    fn link(&self, address: SocketAddr, site: Option<&str>) -> Option<String> {
        let port = address.port();
        let scheme = if HTTPS_PORTS.contains(&port) {
            "https"
        } else {
            "http"
        };
        let (host, path) = match site {
            Some(site) => site.split_once('/').unwrap_or((site, "")),
            None => ("", ""),
        };
        let host = match host {
            wildcard if wildcard.contains('*') => return None,
            // Every address of this machine: that by which the reader has found it is one.
            "" if address.ip().is_unspecified() => self.host.clone()?,
            "" => match address.ip() {
                IpAddr::V6(ip) => format!("[{ip}]"),
                IpAddr::V4(ip) => ip.to_string(),
            },
            name => name.to_owned(),
        };
        Some(format!("{scheme}://{host}:{port}/{path}"))
    }
}

/// One number and its unit.
fn rough(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (count, unit) = match seconds {
        0..MINUTE => (seconds / SECOND, "s"),
        MINUTE..HOUR => (seconds / MINUTE, "min"),
        HOUR..DAY => (seconds / HOUR, "h"),
        _ => (seconds / DAY, "d"),
    };
    format!("{count} {unit}")
}

pub(super) fn badge(state: AppState) -> Markup {
    html! { span.state data-state=(state.as_str()) { (state.as_str()) } }
}

/// Each place where the app is, as a link where a browser finds it. `most`: of several sites, so many.
pub(super) fn places(app: &AppStatus, reader: &Reader, most: usize) -> Markup {
    let Some(address) = &app.address else {
        return html! { span.none { "–" } };
    };
    let socket = address
        .parse::<SocketAddr>()
        .ok()
        .filter(|socket| socket.port() != 0);
    let link = |site: Option<&str>| socket.and_then(|socket| reader.link(socket, site));
    html! {
        div.places {
            (place(address, link(None).filter(|_| app.sites.is_empty())))
            @for site in app.sites.iter().take(most) {
                br; (place(site, link(Some(site))))
            }
            @if app.sites.len() > most { br; span.more { "+" (app.sites.len() - most) " more" } }
        }
    }
}

fn place(text: &str, link: Option<String>) -> Markup {
    match link {
        // The app may be anybody's.
        Some(href) => html! { a href=(href) target="_blank" rel="noopener noreferrer" { (text) } },
        None => html! { (text) },
    }
}

/// The beginning of a digest; all of it is its title.
pub(super) fn digest(digest: Option<&str>) -> Markup {
    let Some(digest) = digest else {
        return html! { span.none { "–" } };
    };
    let digits = digest.split_once(':').map_or(digest, |(_, digits)| digits);
    html! { code title=(digest) { (digits.get(..DIGEST_LENGTH).unwrap_or(digits)) } }
}

pub(super) fn text(text: Option<&str>) -> Markup {
    match text {
        Some(text) => html! { (text) },
        None => html! { span.none { "–" } },
    }
}

/// What is wrong, its remedy, and when it is tried again.
pub(super) fn error(app: &AppStatus, reader: &Reader) -> Markup {
    html! {
        @if let Some(error) = &app.error {
            p.error { (error) }
        }
        @if let Some(next) = &app.next_try {
            p.next { "Next try " (reader.time(next)) "." }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(host: &str) -> Reader {
        let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
        let now = humantime::parse_rfc3339("2026-01-02T00:00:00Z").unwrap();
        Reader::new(&headers, now)
    }

    #[test]
    fn a_time_is_told_from_the_readers() {
        let told = |time| reader("admin").time(time).into_string();
        for (time, text) in [
            ("2026-01-01T23:59:59Z", ">1 s ago<"),
            ("2026-01-01T22:00:00Z", ">2 h ago<"),
            ("2025-12-01T00:00:00Z", ">32 d ago<"),
            ("2026-01-02T00:05:30Z", ">in 5 min<"),
            ("soon", ">soon<"),
        ] {
            assert!(told(time).contains(text), "{}", told(time));
        }
    }

    #[test]
    fn a_link_leads_to_where_a_browser_finds_the_app() {
        for (address, site, link) in [
            ("127.0.0.1:3000", None, Some("http://127.0.0.1:3000/")),
            ("0.0.0.0:3000", None, Some("http://ops.example:3000/")),
            ("[::1]:443", None, Some("https://[::1]:443/")),
            (
                "0.0.0.0:80",
                Some("shop.example/cart"),
                Some("http://shop.example:80/cart"),
            ),
            ("0.0.0.0:80", Some("/cart"), Some("http://ops.example:80/cart")),
            ("0.0.0.0:80", Some("*.shop.example"), None),
        ] {
            let found = reader("ops.example:9000").link(address.parse().unwrap(), site);
            assert_eq!(found.as_deref(), link);
        }
    }
}
