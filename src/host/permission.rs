//! Whether an instance may reach somewhere, and what the log says when it may not.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime_wasi_http::Error;

use crate::net::{AllowedHosts, Destination, PatternError};
use crate::variables::{Template, TemplateError, VariableError, Variables};

/// The scheme of a URL that has none.
const DEFAULT_SCHEME: &str = "https";
/// Denials that are remembered, so that each is logged once: a guest may make up any number of hosts.
const MAX_REMEMBERED_DENIALS: usize = 256;

/// What a component's permissions are wrong in.
#[derive(Debug, thiserror::Error)]
pub enum PermissionError {
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("a template in allowed_outbound_hosts can't be resolved")]
    Variable(#[from] VariableError),
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

/// The outbound permission of one component.
pub struct OutboundPermission {
    app: Arc<str>,
    component: Arc<str>,
    entries: Vec<Template>,
    /// Already understood when no entry has a variable.
    fixed: Option<AllowedHosts>,
    components: Vec<String>,
    variables: Arc<Variables>,
    denied: Mutex<HashSet<String>>,
}

impl OutboundPermission {
    /// `entries` are the component's `allowed_outbound_hosts`; `components` the ids of the app.
    pub fn new(
        app: Arc<str>,
        component: Arc<str>,
        entries: &[String],
        components: Vec<String>,
        variables: Arc<Variables>,
    ) -> Result<Self, PermissionError> {
        let entries = entries
            .iter()
            .map(|entry| Template::parse(entry))
            .collect::<Result<Vec<_>, _>>()?;
        for entry in &entries {
            variables.check_template(entry)?;
        }
        // Mistakes in what is written out are told now, also beside entries with variables.
        let literals = AllowedHosts::parse(entries.iter().filter_map(Template::literal), &components)?;
        let fixed = entries
            .iter()
            .all(|entry| entry.literal().is_some())
            .then_some(literals);
        Ok(Self {
            app,
            component,
            entries,
            fixed,
            components,
            variables,
            denied: Mutex::default(),
        })
    }

    /// Errors with what the guest is shown.
    pub(super) async fn check(&self, uri: &http::Uri) -> Result<(), Error> {
        let destination = Destination::parse(&uri.to_string(), DEFAULT_SCHEME);
        let allowed = match &destination {
            Some(destination) => self.any(|hosts| hosts.allows(destination)).await,
            None => false,
        };
        if allowed {
            return Ok(());
        }
        let entry = destination.map_or_else(|| uri.to_string(), |destination| destination.entry());
        Err(self.deny(entry))
    }

    /// The same for a request to the app itself.
    pub(super) async fn check_self(&self) -> Result<(), Error> {
        if self.any(AllowedHosts::allows_self).await {
            Ok(())
        } else {
            Err(self.deny("http://self".into()))
        }
    }

    /// Templates are resolved at each use, so that a changed variable is seen. An entry that can't be resolved or
    /// understood makes the whole list unusable, as the contract has it.
    async fn any(&self, allows: impl Fn(&AllowedHosts) -> bool) -> bool {
        match &self.fixed {
            Some(hosts) => allows(hosts),
            None => match self.resolve().await {
                Ok(hosts) => allows(&hosts),
                Err(error) => {
                    tracing::error!(
                        app = %self.app,
                        component = %self.component,
                        error = &error as &dyn std::error::Error,
                        "allowed_outbound_hosts can't be used, so nothing is allowed"
                    );
                    false
                }
            },
        }
    }

    async fn resolve(&self) -> Result<AllowedHosts, PermissionError> {
        let mut entries = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            entries.push(self.variables.resolve(entry).await?);
        }
        Ok(AllowedHosts::parse(
            entries.iter().map(String::as_str),
            &self.components,
        )?)
    }

    fn deny(&self, entry: String) -> Error {
        // No panic can happen while it is held.
        let mut denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        if denied.len() < MAX_REMEMBERED_DENIALS && denied.insert(entry.clone()) {
            tracing::warn!(
                app = %self.app,
                component = %self.component,
                add = format!("allowed_outbound_hosts = [\"{entry}\"]"),
                "a request to a host that is not allowed was denied"
            );
        }
        Error::HttpRequestDenied
    }
}
