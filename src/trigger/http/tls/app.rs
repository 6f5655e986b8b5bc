//! How one app, or one address of the daemon's options, is met by TLS.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{Error as RustlsError, ServerConfig};
use tokio::sync::watch;

use super::super::bind::ListenAddress;
use super::acme::{Acme, OrderedName, Spec};
use crate::net::{
    Certificate, CertificateError, CertificateFiles, CertificateSource, ClientAuthority, HostPattern,
    KeyPairFiles, ServerTls, Watched, server_config,
};

/// In the order in which the server prefers them.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why an app can't be met by TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("TLS can't be set up")]
    Setup(#[source] RustlsError),
}

/// How an app is met at its address.
pub struct EndpointTls {
    /// By its own certificates, or by those of the address.
    pub app: Arc<AppTls>,
    /// How clients are met there that ask for a host which no app has.
    pub address: Option<Arc<AppTls>>,
    /// Where plain http requests for the app are sent on to https.
    pub redirect_from: Option<ListenAddress>,
}

/// A certificate, or one for each host, and whose certificates clients need.
pub struct AppTls {
    certificates: Arc<Certificates>,
    client_ca: Option<Arc<Watched<ClientAuthority>>>,
    configured: ArcSwap<Configured>,
}

/// What handshakes are done with, for as long as the clients' authority stays what it is.
pub(super) struct Configured {
    pub(super) server: Arc<ServerConfig>,
    pub(super) authority: Option<Arc<ClientAuthority>>,
}

/// Certificates change while the configuration stays: sessions can be resumed over a renewal.
enum Certificates {
    Files(Arc<Watched<Certificate>>),
    Ordered(Orders),
}

/// By name, and how all of them are ordered.
struct Orders {
    names: BTreeMap<String, Arc<OrderedName>>,
    spec: Spec,
}

impl AppTls {
    /// For an app with these `hosts`; certificates are ordered for exact ones alone. Blocks on the disk.
    ///
    /// # Errors
    /// Files that can't be used.
    pub fn of_app(
        tls: &ServerTls,
        hosts: &[HostPattern],
        files: &CertificateFiles,
        acme: &Acme,
    ) -> Result<Arc<Self>, TlsError> {
        let certificates = match &tls.certificate {
            CertificateSource::Files(pair) => {
                let certificate = files.certificate(pair)?;
                tell_others(pair, &certificate.current(), hosts);
                Certificates::Files(certificate)
            }
            CertificateSource::Acme(spec) => Certificates::Ordered(Orders::new(acme, acme.spec(spec), hosts)),
        };
        let client_ca = tls.client_ca.as_deref().map(|file| files.authority(file));
        Self::new(certificates, client_ca.transpose()?)
    }

    /// For an address of the daemon's options. Blocks on the disk.
    ///
    /// # Errors
    /// Files that can't be used.
    pub fn of_address(pair: &KeyPairFiles, files: &CertificateFiles) -> Result<Arc<Self>, TlsError> {
        Self::new(Certificates::Files(files.certificate(pair)?), None)
    }

    fn new(
        certificates: Certificates,
        client_ca: Option<Arc<Watched<ClientAuthority>>>,
    ) -> Result<Arc<Self>, TlsError> {
        let certificates = Arc::new(certificates);
        let authority = client_ca.as_ref().map(|file| file.current());
        let configured = Configured::new(&certificates, authority).map_err(TlsError::Setup)?;
        Ok(Arc::new(Self {
            certificates,
            client_ca,
            configured: ArcSwap::from_pointee(configured),
        }))
    }

    /// Has the certificates ordered that are ordered at all: from now on, challenges will be answered.
    pub(in crate::trigger::http) fn begin(&self) {
        if let Certificates::Ordered(orders) = &*self.certificates {
            orders.names.values().for_each(|name| name.begin(&orders.spec));
        }
    }

    /// What to do handshakes with.
    pub(super) fn configured(&self) -> Arc<Configured> {
        let configured = self.configured.load_full();
        let Some(wanted) = self.client_ca.as_ref().map(|file| file.current()) else {
            return configured;
        };
        if configured
            .authority
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, &wanted))
        {
            return configured;
        }
        match Configured::new(&self.certificates, Some(wanted)) {
            Ok(fresh) => {
                let fresh = Arc::new(fresh);
                self.configured.store(fresh.clone());
                fresh
            }
            // The system had no randomness: the next handshake tries again.
            Err(_) => configured,
        }
    }

    /// Whether this was made with the authority that is trusted now.
    pub(super) fn demands(&self) -> Option<Arc<ClientAuthority>> {
        self.client_ca.as_ref().map(|file| file.current())
    }

    /// Why there is no certificate for `name`, the first time that it is asked for.
    pub(super) fn lacks(&self, name: Option<&str>) -> Option<Lack> {
        let Certificates::Ordered(orders) = &*self.certificates else {
            return None;
        };
        match name.and_then(|name| orders.names.get(name)) {
            None => Some(Lack::OtherName),
            Some(name) => (!name.is_there()).then(|| Lack::NotYet(name.clone())),
        }
    }

    /// What keeps clients from being met as the app's file asks, one for each certificate and authority.
    pub fn troubles(&self) -> Vec<watch::Receiver<Option<String>>> {
        let mut troubles: Vec<_> = match &*self.certificates {
            Certificates::Files(files) => vec![files.trouble()],
            Certificates::Ordered(orders) => orders.names.values().map(|name| name.trouble()).collect(),
        };
        troubles.extend(self.client_ca.as_ref().map(|file| file.trouble()));
        troubles
    }
}

/// Logs which hosts clients will not believe the certificate for.
fn tell_others(pair: &KeyPairFiles, certificate: &Certificate, hosts: &[HostPattern]) {
    for host in hosts {
        let is_for = match host {
            HostPattern::Exact(name) => certificate.is_for(name.trim_matches(['[', ']'])),
            HostPattern::Wildcard(suffix) => certificate.is_for(&format!("any.{suffix}")),
        };
        if !is_for {
            let certificate = pair.certificate.display();
            tracing::warn!(%certificate, %host, "the certificate is not for this host; clients will refuse it");
        }
    }
}

/// Why there is no certificate.
pub(super) enum Lack {
    /// None is ordered for that name.
    OtherName,
    /// It has not come yet.
    NotYet(Arc<OrderedName>),
}

impl Orders {
    fn new(acme: &Acme, spec: Spec, hosts: &[HostPattern]) -> Self {
        let order = |host: &HostPattern| match host {
            HostPattern::Exact(host) => Some((host.clone(), acme.name(host, &spec))),
            HostPattern::Wildcard(_) => None,
        };
        let names = hosts.iter().filter_map(order).collect();
        Self { names, spec }
    }
}

impl Configured {
    fn new(
        certificates: &Arc<Certificates>,
        authority: Option<Arc<ClientAuthority>>,
    ) -> Result<Self, RustlsError> {
        let builder = server_config()?;
        let builder = match &authority {
            Some(authority) => builder.with_client_cert_verifier(authority.verifier.clone()),
            None => builder.with_no_client_auth(),
        };
        let mut server = builder.with_cert_resolver(certificates.clone());
        server.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        // Each configuration has keys of its own: a session of clients of another authority is none here.
        server.ticketer = Ticketer::new()?;
        Ok(Self {
            server: Arc::new(server),
            authority,
        })
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match self {
            Self::Files(files) => Some(files.current().key.clone()),
            Self::Ordered(orders) => orders
                .names
                .get(&client.server_name()?.to_ascii_lowercase())?
                .key(),
        }
    }
}

// As the resolver has to have it: keys are not shown.
impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Files(_) => "certificate of a file",
            Self::Ordered(_) => "ordered certificates",
        })
    }
}
