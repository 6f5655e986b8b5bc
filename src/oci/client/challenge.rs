//! What a registry demands before it answers: its `WWW-Authenticate` headers.

use http_auth::ChallengeParser;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// What a registry demands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
    Basic,
}

/// The best of the challenges: a token is asked for where the registry offers both.
pub(super) fn choose(headers: &HeaderMap) -> Option<Challenge> {
    let values = headers
        .get_all(WWW_AUTHENTICATE)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    let challenges: Vec<_> = values
        .flat_map(|value| ChallengeParser::new(value).flatten().collect::<Vec<_>>())
        .collect();
    let bearer = challenges
        .iter()
        .filter(|challenge| challenge.scheme.eq_ignore_ascii_case("bearer"));
    for challenge in bearer {
        let param = |name: &str| {
            let found = challenge
                .params
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_unescaped())
        };
        if let Some(realm) = param("realm") {
            return Some(Challenge::Bearer {
                realm,
                service: param("service"),
                scope: param("scope"),
            });
        }
    }
    let basic = challenges
        .iter()
        .any(|challenge| challenge.scheme.eq_ignore_ascii_case("basic"));
    basic.then_some(Challenge::Basic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        choose(&headers)
    }

    #[test]
    fn a_bearer_challenge_is_read_with_its_commas_and_preferred() {
        let bearer =
            r#"Bearer realm="https://auth.example/token",service="reg,1",scope="repository:a/b:pull""#;
        let expected = Some(Challenge::Bearer {
            realm: "https://auth.example/token".to_owned(),
            service: Some("reg,1".to_owned()),
            scope: Some("repository:a/b:pull".to_owned()),
        });
        assert_eq!(chosen(&[bearer]), expected);
        assert_eq!(chosen(&[r#"Basic realm="x""#, bearer]), expected);
    }

    #[test]
    fn a_basic_challenge_is_read_and_an_unknown_one_is_not() {
        assert_eq!(
            chosen(&[r#"basic realm="Registry Realm""#]),
            Some(Challenge::Basic)
        );
        assert_eq!(chosen(&["Negotiate"]), None);
        assert_eq!(chosen(&[]), None);
    }
}
