//! A token service, for registries that want bearer tokens: Basic credentials or a refresh token in, a signed token
//! out (the Docker registry's token protocol, and its OAuth 2 form).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::SigningKey;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::form_urlencoded::parse;

use super::tls::{Authority, Certificate};

/// What the registry and the service call each other.
pub const SERVICE: &str = "registry-under-test";
pub const ISSUER: &str = "tokens-under-test";
/// What a client may present instead of a password: Docker calls it an identity token.
pub const IDENTITY_TOKEN: &str = "an-identity-token";
/// Repositories that begin with this may be pulled by anybody.
const PUBLIC: &str = "public/";
/// How long a token is good for, in seconds.
const LIFETIME: u64 = 300;

/// One request that the service answered with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    pub scope: String,
    /// The user's name, `identity` for an identity token, or empty for nobody.
    pub to: String,
}

/// The service; it ends when dropped.
pub struct TokenService {
    address: SocketAddr,
    pub authority: Authority,
    granted: Arc<Mutex<Vec<Granted>>>,
    task: JoinHandle<()>,
}

struct Signer {
    certificate: Certificate,
    /// `user:password`
    credentials: String,
    granted: Arc<Mutex<Vec<Granted>>>,
}

impl TokenService {
    pub async fn start(user: &str, password: &str) -> Self {
        let authority = Authority::new();
        let granted = Arc::<Mutex<Vec<Granted>>>::default();
        let signer = Arc::new(Signer {
            certificate: authority.sign("tokens.test"),
            credentials: format!("{user}:{password}"),
            granted: granted.clone(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let task = tokio::spawn(serve(listener, signer));
        Self {
            address,
            authority,
            granted,
            task,
        }
    }

    pub fn realm(&self) -> String {
        format!("http://{}/token", self.address)
    }

    pub fn granted(&self) -> Vec<Granted> {
        self.granted.lock().expect("no panic holds it").clone()
    }
}

impl Drop for TokenService {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, signer: Arc<Signer>) {
    while let Ok((stream, _)) = listener.accept().await {
        let signer = signer.clone();
        let service = service_fn(move |request| {
            let signer = signer.clone();
            async move { Ok::<_, Infallible>(signer.answer(request).await) }
        });
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        // A client that leaves is no concern of the service.
        tokio::spawn(async move { drop(connection.await) });
    }
}

impl Signer {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let form = body
            .collect()
            .await
            .map(|body| body.to_bytes())
            .unwrap_or_default();
        let query = head.uri.query().unwrap_or_default().as_bytes();
        let parameters: Vec<(String, String)> = parse(query)
            .into_owned()
            .chain(parse(&form).into_owned())
            .collect();
        let parameter = |name: &str| {
            parameters
                .iter()
                .find(|(have, _)| have == name)
                .map(|(_, value)| value.as_str())
        };
        let scope = parameter("scope").unwrap_or_default().to_string();
        let basic = head
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let basic = basic
            .and_then(|value| value.strip_prefix("Basic "))
            .and_then(|text| STANDARD.decode(text).ok());

        let user = match (basic, parameter("refresh_token")) {
            (Some(given), _) if given == self.credentials.as_bytes() => {
                self.credentials.split(':').next().unwrap_or_default().to_string()
            }
            (None, Some(IDENTITY_TOKEN)) => "identity".to_string(),
            (None, None) => String::new(),
            _ => {
                return reply(
                    StatusCode::UNAUTHORIZED,
                    json!({"details": "incorrect username or password"}),
                );
            }
        };
        let token = self.token(&scope, &user);
        self.granted
            .lock()
            .expect("no panic holds it")
            .push(Granted { scope, to: user });
        reply(
            StatusCode::OK,
            json!({"token": token, "access_token": token, "expires_in": LIFETIME}),
        )
    }

    /// A signed JSON web token; nobody in particular is granted public repositories only.
    fn token(&self, scope: &str, user: &str) -> String {
        let access: Vec<_> = scope
            .split(' ')
            .filter_map(|scope| {
                let (kind, rest) = scope.split_once(':')?;
                let (name, actions) = rest.rsplit_once(':')?;
                let granted = !user.is_empty() || (name.starts_with(PUBLIC) && actions == "pull");
                granted.then(
                    || json!({"type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>()}),
                )
            })
            .collect();
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock after 1970")
            .as_secs();
        let header = json!({"typ": "JWT", "alg": "ES256", "x5c": [STANDARD.encode(&self.certificate.der)]});
        let claims = json!({
            "iss": ISSUER, "sub": user, "aud": SERVICE, "jti": format!("{now}-{scope}"),
            "iat": now, "nbf": now - 10, "exp": now + LIFETIME, "access": access,
        });
        let encode = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = self.certificate.key.sign(signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(fixed(&signature)))
    }
}

/// An ECDSA signature over P-256 from its DER form (two integers) to the two times 32 bytes of a web token.
fn fixed(der: &[u8]) -> Vec<u8> {
    const HALF: usize = 32;
    let mut out = Vec::with_capacity(2 * HALF);
    // The outer sequence is shorter than 128 bytes: two bytes of header.
    let mut rest = &der[2..];
    for _ in 0..2 {
        let (integer, after) = rest[2..].split_at(usize::from(rest[1]));
        // At most one leading zero keeps the integer positive; leading zeros of its own may be missing.
        let significant = &integer[integer.len().saturating_sub(HALF)..];
        out.resize(out.len() + HALF - significant.len(), 0);
        out.extend_from_slice(significant);
        rest = after;
    }
    out
}

fn reply(status: StatusCode, body: serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    response
}
