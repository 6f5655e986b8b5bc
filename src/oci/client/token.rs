//! What to send as `Authorization`: nothing, basic credentials, or a token that was bought with them.
//!
//! The Docker token flow (`docs/contract/oci.md` §7), with the refresh-token grant for identity tokens.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;
use url::{Url, form_urlencoded};

use super::super::auth::{Credential, CredentialSources, Secret};
use super::super::error::OciError;
use super::super::reference::Reference;
use super::answer;
use super::challenge::{self, Challenge};
use super::transport::{Scheme, Transport, failed};

/// Assumed when a token service does not say how long its token lives.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(300);
/// No token, and no basic credentials, are kept longer: they may have been revoked or replaced.
const LONGEST_LIFETIME: Duration = Duration::from_secs(3600);
/// A token about to expire could do so on its way.
const MARGIN: Duration = Duration::from_secs(10);
/// Answers of token services are small.
const TOKEN_ANSWER_BYTES: u64 = 256 * 1024;
/// The client's name in the refresh-token grant.
const CLIENT_ID: &str = "lepton";

/// One repository's authorization. Held while it is renewed, so that sixteen blobs buy one token.
type Slot = Arc<tokio::sync::Mutex<Option<Granted>>>;

/// Authorizations by host and repository.
#[derive(Debug)]
pub(super) struct Tokens {
    sources: CredentialSources,
    slots: Mutex<HashMap<(String, String), Slot>>,
}

#[derive(Debug, Clone)]
pub(super) struct Granted {
    pub(super) header: HeaderValue,
    expires: Instant,
    /// Who it was granted to, for messages.
    credentials: String,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Tokens {
    pub(super) fn new(sources: CredentialSources) -> Tokens {
        Tokens {
            sources,
            slots: Mutex::default(),
        }
    }

    /// The header that was last accepted for the repository, unless it has expired.
    pub(super) async fn current(&self, reference: &Reference) -> Option<HeaderValue> {
        let slot = self.slot(reference);
        let granted = slot.lock().await;
        granted
            .as_ref()
            .filter(|granted| granted.expires > Instant::now())
            .map(|granted| granted.header.clone())
    }

    /// Answers a 401 whose headers are `headers`; `tried` is what was sent. `Err` when nothing (more) can be tried.
    pub(super) async fn renew(
        &self,
        transport: &Transport,
        reference: &Reference,
        headers: &HeaderMap,
        tried: Option<&HeaderValue>,
    ) -> Result<HeaderValue, OciError> {
        let slot = self.slot(reference);
        let mut slot = slot.lock().await;
        if let Some(granted) = slot.as_ref()
            && Some(&granted.header) != tried
            && granted.expires > Instant::now()
        {
            return Ok(granted.header.clone());
        }
        *slot = None;
        let credential = self.sources.find(reference.host()).await;
        let refused = |credential: Option<&Credential>| {
            self.refused(
                reference.host(),
                reference.repository(),
                credential,
                String::new(),
            )
        };
        let granted = match challenge::choose(headers) {
            Some(Challenge::Bearer {
                realm,
                service,
                scope,
            }) => {
                let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", reference.repository()));
                let exchange = Exchange {
                    transport,
                    tokens: self,
                    host: reference.host(),
                    what: reference.repository(),
                    credential: credential.as_ref(),
                };
                exchange.buy(&realm, service.as_deref(), Some(&scope)).await?
            }
            Some(Challenge::Basic) => match credential.as_ref().map(|credential| &credential.secret) {
                Some(Secret::Password { user, password }) => Granted {
                    header: basic(user, password),
                    expires: Instant::now() + DEFAULT_LIFETIME,
                    credentials: self.describe(reference.host(), credential.as_ref()),
                },
                _ => return Err(refused(credential.as_ref())),
            },
            None => return Err(refused(credential.as_ref())),
        };
        *slot = Some(granted.clone());
        Ok(granted.header)
    }

    /// The error for a registry that still says no.
    pub(super) async fn denied(&self, reference: &Reference, detail: String) -> OciError {
        // Whatever was granted is of no use; the next try asks the sources anew.
        let granted = self.slot(reference).lock().await.take();
        let credentials = match granted {
            Some(granted) => granted.credentials,
            None => self.describe(
                reference.host(),
                self.sources.find(reference.host()).await.as_ref(),
            ),
        };
        let (host, what) = (reference.host().to_owned(), reference.repository().to_owned());
        OciError::Unauthorised {
            host,
            what,
            credentials,
            detail,
        }
    }

    pub(super) fn refused(
        &self,
        host: &str,
        what: &str,
        credential: Option<&Credential>,
        detail: String,
    ) -> OciError {
        let credentials = self.describe(host, credential);
        let (host, what) = (host.to_owned(), what.to_owned());
        OciError::Unauthorised {
            host,
            what,
            credentials,
            detail,
        }
    }

    fn describe(&self, host: &str, credential: Option<&Credential>) -> String {
        match credential {
            Some(credential) => credential.describe(),
            None => format!(
                "no credentials (none for it in {}; `tauon login {host}` adds some)",
                self.sources.describe()
            ),
        }
    }

    fn slot(&self, reference: &Reference) -> Slot {
        let key = (reference.host().to_owned(), reference.repository().to_owned());
        Arc::clone(
            self.slots
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(key)
                .or_default(),
        )
    }
}

/// One purchase of a token.
pub(super) struct Exchange<'a> {
    pub(super) transport: &'a Transport,
    pub(super) tokens: &'a Tokens,
    pub(super) host: &'a str,
    /// For messages: what the token is for.
    pub(super) what: &'a str,
    pub(super) credential: Option<&'a Credential>,
}

impl Exchange<'_> {
    pub(super) async fn buy(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: Option<&str>,
    ) -> Result<Granted, OciError> {
        let realm = self.check(realm).await?;
        let host = realm.host_str().unwrap_or_default().to_owned();
        let client = self.transport.client(&host);
        let mut fields: Vec<(&str, &str)> = Vec::new();
        fields.extend(scope.map(|scope| ("scope", scope)));
        fields.extend(service.map(|service| ("service", service)));
        let request = match self.credential.map(|credential| &credential.secret) {
            Some(Secret::IdentityToken(token)) => {
                fields.extend([
                    ("grant_type", "refresh_token"),
                    ("client_id", CLIENT_ID),
                    ("refresh_token", token.as_str()),
                ]);
                let form = form_urlencoded::Serializer::new(String::new())
                    .extend_pairs(fields)
                    .finish();
                client
                    .post(realm)
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(form)
            }
            Some(Secret::Password { user, password }) => {
                fields.push(("account", user));
                client
                    .get(with_query(realm, fields))
                    .header(AUTHORIZATION, basic(user, password))
            }
            None => client.get(with_query(realm, fields)),
        };
        let mut response = request.send().await.map_err(|e| failed(&host, e))?;
        let what = format!("a token for {}", self.what);
        match response.status().as_u16() {
            200 => {}
            // The specification has 401; services also use 400 and 403 for credentials that they do not accept.
            400 | 401 | 403 => {
                let detail = answer::detail(&mut response).await;
                return Err(self.tokens.refused(self.host, self.what, self.credential, detail));
            }
            _ => return Err(answer::error(&host, &what, &mut response).await),
        }
        let body = answer::body(&host, &mut response, TOKEN_ANSWER_BYTES, &what).await?;
        self.read(&host, &body)
    }

    /// The realm's URL, which may not be less protected than the registry when a secret is about to be sent.
    async fn check(&self, realm: &str) -> Result<Url, OciError> {
        let bad = |reason: &str| OciError::BadManifest {
            what: format!("the token service {realm:?} of registry {}", self.host),
            reason: reason.to_owned(),
        };
        let url = Url::parse(realm).map_err(|e| bad(&e.to_string()))?;
        let registry = self.transport.scheme(self.host).await?;
        if self.credential.is_some() && registry == Scheme::Https && url.scheme() != "https" {
            return Err(bad(
                "it is not https, and the registry is: credentials are not sent to it",
            ));
        }
        Ok(url)
    }

    fn read(&self, host: &str, body: &[u8]) -> Result<Granted, OciError> {
        let bad = |reason: String| OciError::BadManifest {
            what: format!("the answer of token service {host}"),
            reason,
        };
        let answer: TokenAnswer = serde_json::from_slice(body).map_err(|e| bad(e.to_string()))?;
        let token = answer
            .token
            .or(answer.access_token)
            .filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| bad("it holds no token".to_owned()))?;
        let mut header = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| bad("its token cannot be sent in a header".to_owned()))?;
        header.set_sensitive(true);
        let lifetime = answer
            .expires_in
            .map_or(DEFAULT_LIFETIME, Duration::from_secs)
            .min(LONGEST_LIFETIME);
        Ok(Granted {
            header,
            expires: Instant::now() + lifetime.saturating_sub(MARGIN),
            credentials: self.tokens.describe(self.host, self.credential),
        })
    }
}

fn with_query(mut url: Url, fields: Vec<(&str, &str)>) -> Url {
    // The realm may have a query of its own already: it stays.
    url.query_pairs_mut().extend_pairs(fields);
    url
}

pub(super) fn basic(user: &str, password: &str) -> HeaderValue {
    let encoded = STANDARD.encode(format!("{user}:{password}"));
    // Base64 has only visible ASCII: it is always a valid header value.
    let mut header =
        HeaderValue::from_str(&format!("Basic {encoded}")).unwrap_or(HeaderValue::from_static(""));
    header.set_sensitive(true);
    header
}
