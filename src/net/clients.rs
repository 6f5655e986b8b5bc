//! The clients of one component: which one meets a host.

use super::client::HttpClient;

/// One client for each set of hosts that a component meets in a way of its own, and one for all others. A cheap handle.
pub struct HttpClients<B> {
    default: HttpClient<B>,
    /// The first that has the host is used.
    particular: Vec<(Vec<String>, HttpClient<B>)>,
}

// Derived, it would ask the body to be cloneable too.
impl<B> Clone for HttpClients<B> {
    fn clone(&self) -> Self {
        Self {
            default: self.default.clone(),
            particular: self.particular.clone(),
        }
    }
}

impl<B> HttpClients<B> {
    pub fn new(default: HttpClient<B>) -> Self {
        Self {
            default,
            particular: Vec::new(),
        }
    }

    /// Meets `hosts`, names without ports, with `client`, unless something earlier does.
    pub fn add(&mut self, hosts: Vec<String>, client: HttpClient<B>) {
        self.particular.push((hosts, client));
    }

    /// The client for a host, a name or an address without its port.
    pub fn of_host(&self, host: &str) -> &HttpClient<B> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let names = |name: &String| {
            let name = name.trim_start_matches('[').trim_end_matches(']');
            name.eq_ignore_ascii_case(bare)
        };
        let particular = self.particular.iter().find(|(hosts, _)| hosts.iter().any(names));
        particular.map_or(&self.default, |(_, client)| client)
    }
}
