//! Who shares which connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rumqttc::mqttbytes::v4::Publish;

use super::address::Target;
use super::error::Error;
use super::link::Link;
use crate::net::{IdlePool, IdlePools, Kind, Outbound};

/// The idle connections of every app version that runs.
#[derive(Default)]
pub(in crate::host) struct MqttBackends(IdlePools<Arc<Link>>);

impl MqttBackends {
    pub(super) fn links(&self, outbound: &Arc<Outbound>) -> Arc<Links> {
        Arc::new(Links {
            idle: self.0.beside(outbound, Kind::Mqtt),
            used: Mutex::default(),
        })
    }
}

/// The links of one component, by the key of their target.
pub(super) struct Links {
    idle: Arc<IdlePool<Arc<Link>>>,
    used: Mutex<HashMap<String, Weak<Link>>>,
}

/// A share in a link. The last one leaves the connection to the pool.
pub(in crate::host) struct Publisher {
    link: Arc<Link>,
    links: Arc<Links>,
}

impl Links {
    /// The link that others with the same target have, or one that they had, or a new one.
    pub(super) fn open(links: &Arc<Self>, target: Target) -> Publisher {
        let mut used = links.used();
        let link = match used.get(&target.key).and_then(Weak::upgrade) {
            Some(link) => link,
            None => {
                let idle = links.idle.take(&target.key);
                let link = idle.unwrap_or_else(|| Arc::new(Link::new(target)));
                used.insert(link.target.key.clone(), Arc::downgrade(&link));
                link
            }
        };
        drop(used);
        Publisher {
            link,
            links: links.clone(),
        }
    }

    fn used(&self) -> MutexGuard<'_, HashMap<String, Weak<Link>>> {
        // No panic can happen while it is held.
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Publisher {
    /// Sends a message and waits until it was written, or acknowledged where it asks for that.
    pub(super) async fn publish(&self, message: Publish) -> Result<(), Error> {
        self.link.publish(&self.links.idle, message).await
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        // Nobody can get another share meanwhile.
        let mut used = self.links.used();
        if Arc::strong_count(&self.link) == 1 {
            let key = &self.link.target.key;
            used.remove(key);
            self.links.idle.give_back(key, self.link.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::address::Login;
    use super::*;

    fn target(client: &str) -> Target {
        let login = Login {
            username: String::new(),
            password: String::new(),
            keep_alive_secs: 5,
        };
        Target::parse(&format!("mqtt://broker?client_id={client}"), login)
            .ok()
            .unwrap()
    }

    #[tokio::test]
    async fn those_with_the_same_name_share_a_link() {
        let links = MqttBackends::default().links(&Arc::default());
        let first = Links::open(&links, target("a"));
        let second = Links::open(&links, target("a"));
        let other = Links::open(&links, target("b"));
        assert!(Arc::ptr_eq(&first.link, &second.link));
        assert!(!Arc::ptr_eq(&first.link, &other.link));
    }

    #[tokio::test]
    async fn a_link_that_nobody_uses_is_forgotten() {
        let links = MqttBackends::default().links(&Arc::default());
        drop(Links::open(&links, target("a")));
        assert!(links.used().is_empty());
    }
}
