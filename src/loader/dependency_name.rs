//! The name of a dependency, and the imports it covers: `docs/contract/locked-app.md` §4.4, §7.

/// As the app writes it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DependencyName<'a> {
    /// `do-it`: one import of that name.
    Plain(&'a str),
    /// `namespace:package`, with or without an interface and a version: interfaces of a package.
    Package(InterfaceName<'a>),
}

/// The parts of `namespace:package/interface@version`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InterfaceName<'a> {
    package: &'a str,
    interface: Option<&'a str>,
    version: Option<&'a str>,
}

impl<'a> InterfaceName<'a> {
    fn parse(text: &'a str) -> InterfaceName<'a> {
        let (path, version) = match text.split_once('@') {
            Some((path, version)) => (path, Some(version)),
            None => (text, None),
        };
        let (package, interface) = match path.split_once('/') {
            Some((package, interface)) => (package, Some(interface)),
            None => (path, None),
        };
        InterfaceName {
            package,
            interface,
            version,
        }
    }
}

impl<'a> DependencyName<'a> {
    pub(super) fn parse(text: &'a str) -> DependencyName<'a> {
        if text.contains(':') {
            DependencyName::Package(InterfaceName::parse(text))
        } else {
            DependencyName::Plain(text)
        }
    }

    /// Whether the dependency satisfies the import of this name.
    pub(super) fn covers(&self, import: &str) -> bool {
        match self {
            DependencyName::Plain(name) => *name == import,
            DependencyName::Package(name) => {
                let import = InterfaceName::parse(import);
                name.package == import.package
                    && (name.interface.is_none() || name.interface == import.interface)
                    && (name.version.is_none() || name.version == import.version)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_that_is_given_must_be_equal() {
        let import = "acme:mailer/send@1.2.0";
        for (name, covers) in [
            ("acme:mailer", true),
            ("acme:mailer@1.2.0", true),
            ("acme:mailer@1.0.0", false),
            ("acme:mailer/send", true),
            ("acme:mailer/send@1.2.0", true),
            ("acme:mailer/receive", false),
            ("acme:mail", false),
            ("send", false),
        ] {
            assert_eq!(DependencyName::parse(name).covers(import), covers, "{name}");
        }
        assert!(DependencyName::parse("do-it").covers("do-it"));
        assert!(!DependencyName::parse("do-it").covers("acme:do-it/x"));
    }
}
