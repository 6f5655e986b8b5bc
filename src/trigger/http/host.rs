//! Which host a request is for.

use std::net::Ipv6Addr;

use http::uri::Authority;
use http::{Request, header};

/// The host that the client asks for, as hosts are compared: in lower case, without port and final dot. `Some(None)`: the
/// request names none, as in HTTP/1.0. `None`: it names two, or something that is no host; whoever stands in front of this
/// server may have read the other one.
pub(super) fn asked_for<B>(request: &Request<B>) -> Option<Option<String>> {
    Some(authority(request)?.map(|authority| comparable(authority.host())))
}

/// The authority of the target, or that of `Host`; `None` where they disagree or are none.
pub(super) fn authority<B>(request: &Request<B>) -> Option<Option<Authority>> {
    // An empty one is how a client says that it has none (RFC 9112 §3.2).
    let hosts = request.headers().get_all(header::HOST).iter();
    let mut hosts = hosts.filter(|host| !host.is_empty());
    let host = match hosts.next() {
        Some(host) => Some(Authority::try_from(host.as_bytes()).ok()?),
        None => None,
    };
    if hosts.next().is_some() {
        return None;
    }
    let authority = match (request.uri().authority().cloned(), host) {
        (Some(target), Some(host)) if target != host => return None,
        (target, host) => target.or(host),
    };
    match &authority {
        Some(authority) if authority.as_str().contains('@') => None,
        _ => Some(authority),
    }
}

fn comparable(host: &str) -> String {
    if let Some(ip) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'))
        && let Ok(ip) = ip.parse::<Ipv6Addr>()
    {
        return format!("[{ip}]");
    }
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(target: &str, hosts: &[&str]) -> Option<Option<String>> {
        let request = Request::builder().uri(target);
        let request = hosts
            .iter()
            .fold(request, |request, host| request.header(header::HOST, *host));
        asked_for(&request.body(()).unwrap())
    }

    fn name(name: &str) -> Option<Option<String>> {
        Some(Some(name.to_owned()))
    }

    #[test]
    fn hosts_are_compared_without_case_port_and_final_dot() {
        assert_eq!(asked("/", &["Shop.Example.:8080"]), name("shop.example"));
        assert_eq!(asked("http://Shop.example/x", &[]), name("shop.example"));
        assert_eq!(asked("/", &["127.0.0.1:80"]), name("127.0.0.1"));
        assert_eq!(asked("/", &["[::0:1]:80"]), name("[::1]"));
    }

    #[test]
    fn a_request_may_name_no_host_but_not_two() {
        assert_eq!(asked("/", &[]), Some(None));
        assert_eq!(asked("/", &[""]), Some(None));
        assert_eq!(asked("http://a/", &["a"]), name("a"));
        assert_eq!(asked("http://a/", &["b"]), None);
        assert_eq!(asked("/", &["a", "a"]), None);
        assert_eq!(asked("/", &["user@a"]), None);
        assert_eq!(asked("/", &["not a host"]), None);
    }
}
