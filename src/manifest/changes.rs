//! What an edit changes.

use super::{Address, AppSpec};

impl AppSpec {
    /// The members in which a newer spec differs, for people: those that hold no secret with both values.
    pub fn changes_to(&self, newer: &AppSpec) -> Vec<String> {
        let mut changes = Vec::new();
        let (old, new) = (self.reference.to_string(), newer.reference.to_string());
        if old != new {
            changes.push(format!("\"reference\" is {new}, was {old}"));
        } else if self.reference != newer.reference {
            changes.push("\"reference\" leads elsewhere".to_owned());
        }
        if self.address != newer.address {
            changes.push(format!(
                "\"address\" is {}, was {}",
                shown(&newer.address),
                shown(&self.address)
            ));
        }
        let differs = [
            ("host", self.site.hosts != newer.site.hosts),
            ("path", self.site.path != newer.site.path),
            ("strip_path", self.site.strip_path != newer.site.strip_path),
            ("health", self.health != newer.health),
            ("state_dir", self.state_dir != newer.state_dir),
            ("variables", self.variables != newer.variables),
            ("environment", self.environment != newer.environment),
            ("enabled", self.enabled != newer.enabled),
            ("drain_timeout", self.drain_timeout != newer.drain_timeout),
            ("pull", self.pull != newer.pull),
            ("runtime_config", self.runtime_config != newer.runtime_config),
            ("timezone", self.timezone != newer.timezone),
            ("limits", self.limits != newer.limits),
            ("tls", self.tls != newer.tls),
        ];
        let names = differs.into_iter().filter(|(_, differs)| *differs);
        changes.extend(names.map(|(name, _)| format!("{name:?} differs")));
        changes
    }
}

fn shown(address: &Address) -> String {
    match address {
        Address::Absent => "left out".to_owned(),
        address => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::manifest::parse_app;

    #[test]
    fn each_changed_member_is_named_and_no_secret_is_told() {
        let spec = |text: &str| parse_app(text, Path::new("a.json")).unwrap();
        let old = spec(r#"{"reference": "a/b:v1", "address": "127.0.0.1:1", "variables": {"token": "old"}}"#);
        let new = spec(r#"{"reference": "a/b:v2", "variables": {"token": "new"}, "pull": "5m"}"#);
        assert_eq!(
            old.changes_to(&new).join("; "),
            "\"reference\" is a/b:v2, was a/b:v1; \"address\" is left out, was 127.0.0.1:1; \"variables\" differs; \"pull\" differs"
        );
        assert!(old.changes_to(&old).is_empty());
    }
}
