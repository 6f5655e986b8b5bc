//! The options for the address of the admin API.

use std::path::{Path, PathBuf};

use clap::Args;

use super::tls::{PAIR_FORM, key_pair};
use crate::admin::AddressSettings;
use crate::manifest::Address;
use crate::net::KeyPairFiles;

#[derive(Debug, Args)]
pub(super) struct AdminArgs {
    /// Where others than the daemon's user may ask the admin API: IP:PORT, NAME:PORT or unix:PATH; only with one of the next two
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    admin_address: Option<Address>,
    /// Who asks there needs a token: a line of this file, which is read for each request
    #[arg(long, value_name = "FILE", requires = "admin_address")]
    admin_token_file: Option<PathBuf>,
    /// Who asks there needs a certificate of one of these authorities (PEM), in TLS: see --admin-tls
    #[arg(long, value_name = "FILE", requires = "admin_address")]
    admin_client_ca: Option<PathBuf>,
    /// Speak TLS there, with this certificate and key (PEM)
    #[arg(long, value_name = "CERT,KEY", requires = "admin_address", value_parser = tls)]
    admin_tls: Option<KeyPairFiles>,
    /// Everybody may read /metrics there, as probes may read /livez and /readyz
    #[arg(long, requires = "admin_address")]
    admin_open_metrics: bool,
}

impl AdminArgs {
    pub(super) fn settings(self) -> Option<AddressSettings> {
        Some(AddressSettings {
            address: self.admin_address?,
            token_file: self.admin_token_file,
            tls: self.admin_tls,
            client_ca: self.admin_client_ca,
            open_metrics: self.admin_open_metrics,
        })
    }
}

fn address(text: &str) -> Result<Address, String> {
    Address::parse(text, Path::new("")).map_err(|error| error.to_string())
}

fn tls(text: &str) -> Result<KeyPairFiles, String> {
    key_pair(text).ok_or_else(|| PAIR_FORM.to_owned())
}
