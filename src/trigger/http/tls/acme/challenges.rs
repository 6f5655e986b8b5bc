//! What authorities are answered that look whether a name is ours.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use instant_acme::KeyAuthorization;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::error::OrderError;
use crate::net::server_config;

/// The protocol of a handshake that is a challenge (RFC 8737 §6.2).
pub(in crate::trigger::http::tls) const TLS_ALPN: &[u8] = b"acme-tls/1";
/// Where a challenge is asked for over plain http, before its token (RFC 8555 §8.3).
const HTTP_PREFIX: &str = "/.well-known/acme-challenge/";

/// The challenges under way, on whichever address they come in.
#[derive(Default)]
pub(in crate::trigger::http) struct Challenges {
    /// By name.
    handshakes: Mutex<HashMap<String, Arc<ServerConfig>>>,
    /// By token.
    requests: Mutex<HashMap<String, String>>,
}

/// An answer that is given until this is dropped.
pub(super) struct Offered {
    challenges: Arc<Challenges>,
    what: What,
}

enum What {
    Handshake(String),
    Request(String),
}

impl Challenges {
    /// What a challenge for a name is answered with.
    pub(in crate::trigger::http::tls) fn handshake(&self, name: Option<&str>) -> Option<Arc<ServerConfig>> {
        get(&self.handshakes, name?)
    }

    /// The body of the answer, for a path that is a challenge's.
    pub(in crate::trigger::http) fn request(&self, path: &str) -> Option<String> {
        get(&self.requests, path.strip_prefix(HTTP_PREFIX)?)
    }

    pub(super) fn offer_handshake(
        self: &Arc<Self>,
        name: &str,
        key: &KeyAuthorization,
    ) -> Result<Offered, OrderError> {
        let server = Arc::new(challenge_config(name, key)?);
        put(&self.handshakes, name.to_owned(), server);
        Ok(Offered {
            challenges: self.clone(),
            what: What::Handshake(name.to_owned()),
        })
    }

    pub(super) fn offer_request(self: &Arc<Self>, token: &str, key: &KeyAuthorization) -> Offered {
        put(&self.requests, token.to_owned(), key.as_str().to_owned());
        Offered {
            challenges: self.clone(),
            what: What::Request(token.to_owned()),
        }
    }
}

impl Drop for Offered {
    fn drop(&mut self) {
        match &self.what {
            What::Handshake(name) => remove(&self.challenges.handshakes, name),
            What::Request(token) => remove(&self.challenges.requests, token),
        }
    }
}

/// A certificate that we sign ourselves, which holds the answer (RFC 8737 §3).
fn challenge_config(name: &str, key: &KeyAuthorization) -> Result<ServerConfig, OrderError> {
    let made = || {
        let mut params = CertificateParams::new([name.to_owned()])?;
        params.distinguished_name = DistinguishedName::new();
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(key.digest().as_ref())];
        let key = KeyPair::generate()?;
        Ok((params.self_signed(&key)?, key))
    };
    let (certificate, key) = made().map_err(OrderError::Answer)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let key = provider.key_provider.load_private_key(key)?;
    // What usually makes one looks into the certificate, and takes the answer for something that it should know.
    let certified = CertifiedKey::new(vec![certificate.der().clone()], key);
    let mut server = server_config()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    server.alpn_protocols = vec![TLS_ALPN.to_vec()];
    Ok(server)
}

fn get<K: Hash + Eq + std::borrow::Borrow<str>, V: Clone>(
    table: &Mutex<HashMap<K, V>>,
    key: &str,
) -> Option<V> {
    lock(table).get(key).cloned()
}

fn put<K: Hash + Eq, V>(table: &Mutex<HashMap<K, V>>, key: K, value: V) {
    lock(table).insert(key, value);
}

fn remove<K: Hash + Eq + std::borrow::Borrow<str>, V>(table: &Mutex<HashMap<K, V>>, key: &str) {
    lock(table).remove(key);
}

/// Nothing panics while one of these is held.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
