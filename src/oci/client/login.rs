//! Whether a registry accepts credentials: its root is asked, as `docker login` does.

use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderValue};

use super::super::auth::{Credential, Secret};
use super::super::error::OciError;
use super::challenge::{Challenge, choose};
use super::token::{Exchange, basic};
use super::transport::failed;
use super::{Client, Inner, answer, patiently};

/// For messages: what is asked for.
const WHAT: &str = "its API";

impl Client {
    /// Asks `host` with the credential. `false`: it let us in without asking for any, so that nothing is known of it.
    pub(crate) async fn login(&self, host: &str, credential: &Credential) -> Result<bool, OciError> {
        let Inner { transport, tokens } = &*self.0;
        let scheme = transport.scheme(host).await?.name();
        let url = format!("{scheme}://{host}/v2/");
        let ask = async |authorization: Option<HeaderValue>| {
            let mut request = transport.client(host).get(&url);
            if let Some(header) = authorization {
                request = request.header(AUTHORIZATION, header);
            }
            request.send().await.map_err(|error| failed(host, error))
        };
        let mut response = patiently(|| ask(None)).await?;
        match response.status() {
            status if status.is_success() => return Ok(false),
            StatusCode::UNAUTHORIZED => {}
            _ => return Err(answer::error(host, WHAT, &mut response).await),
        }
        let refused = |detail| tokens.refused(host, WHAT, Some(credential), detail);
        let header = match (choose(response.headers()), &credential.secret) {
            (
                Some(Challenge::Bearer {
                    realm,
                    service,
                    scope,
                }),
                _,
            ) => {
                let exchange = Exchange {
                    transport,
                    tokens,
                    host,
                    what: WHAT,
                    credential: Some(credential),
                };
                let granted = exchange.buy(&realm, service.as_deref(), scope.as_deref());
                granted.await?.header
            }
            (Some(Challenge::Basic), Secret::Password { user, password }) => basic(user, password),
            (Some(Challenge::Basic), Secret::IdentityToken(_)) | (None, _) => {
                return Err(refused(String::new()));
            }
        };
        let mut response = patiently(|| ask(Some(header.clone()))).await?;
        match response.status() {
            status if status.is_success() => Ok(true),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(refused(answer::detail(&mut response).await))
            }
            _ => Err(answer::error(host, WHAT, &mut response).await),
        }
    }
}
