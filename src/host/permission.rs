//! Whether an instance may reach somewhere, and what the log says when it may not.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::net::{AllowedHosts, Destination, PatternError};
use crate::variables::{Template, TemplateError, VariableError, Variables};

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

    /// Whether the component may reach `address`: a URL, or what becomes one with `default_scheme`. A denial is logged once,
    /// with the line to add.
    pub(super) async fn allows(&self, address: &str, default_scheme: &str) -> bool {
        let destination = Destination::parse(address, default_scheme);
        let allowed = match &destination {
            Some(destination) => self.any(|hosts| hosts.allows(destination)).await,
            None => false,
        };
        if !allowed {
            // What can't be parsed may hold a password, and is no entry to add.
            let entry = destination.map_or_else(|| format!("{default_scheme}://…"), |to| to.entry());
            self.log_denial(entry);
        }
        allowed
    }

    /// Whether the component may reach one place, which goes by several URLs. A denial is logged by the first of them.
    pub(super) async fn allows_one_of(&self, addresses: &[String]) -> bool {
        let destinations: Vec<Destination> = addresses
            .iter()
            .filter_map(|address| Destination::parse(address, ""))
            .collect();
        let allowed = self
            .any(|hosts| destinations.iter().any(|destination| hosts.allows(destination)))
            .await;
        if !allowed && let Some(destination) = destinations.first() {
            self.log_denial(destination.entry());
        }
        allowed
    }

    /// Whether the component may reach a host of this name by raw sockets, and an entry spells it out.
    pub(super) async fn names_socket_host(&self, name: &str) -> bool {
        self.any(|hosts| hosts.names_socket_host(name)).await
    }

    /// Whether the component may send requests to its own app.
    pub(super) async fn allows_self(&self) -> bool {
        let allowed = self.any(AllowedHosts::allows_self).await;
        if !allowed {
            self.log_denial("http://self".into());
        }
        allowed
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

    fn log_denial(&self, entry: String) {
        // No panic can happen while it is held.
        let mut denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        if denied.len() < MAX_REMEMBERED_DENIALS && denied.insert(entry.clone()) {
            tracing::warn!(
                app = %self.app,
                component = %self.component,
                add = format!("allowed_outbound_hosts = [\"{entry}\"]"),
                "a connection to a host that is not allowed was denied"
            );
        }
    }
}
