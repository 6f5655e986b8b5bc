//! Cookies that are not for apps: a browser sends those of one port of a host to all of them, and an app that had a session of
//! the admin page could command every other app.

use http::{HeaderMap, HeaderValue, header};

use crate::admin::SESSION_COOKIE;

/// Takes the sessions of the admin page away.
pub(super) fn hide_sessions(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(header::COOKIE).iter();
    if !lines.any(|line| pairs(line).any(is_session)) {
        return;
    }
    let others = headers.get_all(header::COOKIE).iter().filter_map(|line| {
        let others: Vec<_> = pairs(line).filter(|pair| !is_session(pair)).collect();
        // Parts of a header's value, joined by what joined them.
        let line = HeaderValue::from_bytes(&others.join(&b"; "[..]));
        line.ok().filter(|line| !line.is_empty())
    });
    let others: Vec<_> = others.collect();
    headers.remove(header::COOKIE);
    for line in others {
        headers.append(header::COOKIE, line);
    }
}

fn pairs(line: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let pairs = line.as_bytes().split(|byte| *byte == b';');
    pairs.map(<[u8]>::trim_ascii)
}

fn is_session(pair: &[u8]) -> bool {
    pair.starts_with(SESSION_COOKIE.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sessions_of_the_admin_page_are_hidden() {
        let shown = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
            }
            hide_sessions(&mut headers);
            let lines = headers.get_all(header::COOKIE).iter();
            let lines = lines.map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned());
            lines.collect::<Vec<_>>()
        };
        assert_eq!(shown(&["a=1;b=é"]), ["a=1;b=é"], "as they came");
        let session = "lepton-session-0a1b2c3d=x";
        assert_eq!(
            shown(&[&format!("a=1; {session};b=é"), "c=3"]),
            ["a=1; b=é", "c=3"]
        );
        assert_eq!(
            shown(&[session, "not-lepton-session-=1"]),
            ["not-lepton-session-=1"]
        );
        assert!(shown(&[session]).is_empty());
    }
}
