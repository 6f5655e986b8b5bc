//! Where an artifact comes from, as an app file writes it.
//!
//! A registry reference by Docker's rules (`docs/contract/oci.md` §5.1), `oci:DIR[:TAG]` or `oci-archive:FILE[:TAG]`.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use oci_client::Reference as Parsed;

use super::digest::{Digest, DigestError};

const LAYOUT_SCHEME: &str = "oci:";
const ARCHIVE_SCHEME: &str = "oci-archive:";
/// Schemes that people copy from other tools; none belongs into a reference.
const FOREIGN_SCHEMES: [&str; 5] = [
    "https://",
    "http://",
    "docker://",
    "oci://",
    "containers-storage:",
];
/// The longest tag that a registry accepts.
const TAG_CHARS: usize = 128;

/// Where an artifact comes from. Displays as the user wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// A repository of a registry.
    Registry(Reference),
    /// A directory in the OCI image layout.
    Layout {
        /// The directory, resolved against the base directory.
        dir: PathBuf,
        /// Which entry of its index; `None`: the only one, or `latest`.
        tag: Option<String>,
        /// Which manifest of it, whatever the tag means.
        digest: Option<Digest>,
        /// The user's own words.
        written: String,
    },
    /// The same layout in a tar file, plain or gzipped.
    Archive {
        /// The file, resolved against the base directory.
        file: PathBuf,
        /// Which entry of its index; `None`: the only one, or `latest`.
        tag: Option<String>,
        /// Which manifest of it, whatever the tag means.
        digest: Option<Digest>,
        /// The user's own words.
        written: String,
    },
}

/// A registry reference with Docker's defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    parsed: Parsed,
    digest: Option<Digest>,
    written: String,
}

/// Why a text is not a [`Source`]: what is wrong with it, and a good one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("reference {text:?} {problem}; a good one is {example:?}")]
pub struct ReferenceError {
    text: String,
    problem: String,
    example: &'static str,
}

const REGISTRY_EXAMPLE: &str = "ghcr.io/owner/app:v1";
const LAYOUT_EXAMPLE: &str = "oci:./app:v1";
const ARCHIVE_EXAMPLE: &str = "oci-archive:./app.tar:v1";

impl Source {
    /// Reads a reference; a relative path in it is relative to `base_dir`.
    ///
    /// # Errors
    /// [`ReferenceError`] says what is wrong and shows a good one.
    pub fn parse(text: &str, base_dir: &Path) -> Result<Source, ReferenceError> {
        if let Some(rest) = text.strip_prefix(ARCHIVE_SCHEME) {
            let (path, tag) = path_and_tag(text, rest, "file", ARCHIVE_EXAMPLE)?;
            return Ok(Source::Archive {
                file: base_dir.join(path),
                tag,
                digest: None,
                written: text.to_owned(),
            });
        }
        if let Some(rest) = text.strip_prefix(LAYOUT_SCHEME)
            && !rest.starts_with("//")
        {
            let (path, tag) = path_and_tag(text, rest, "directory", LAYOUT_EXAMPLE)?;
            return Ok(Source::Layout {
                dir: base_dir.join(path),
                tag,
                digest: None,
                written: text.to_owned(),
            });
        }
        Reference::parse(text).map(Source::Registry)
    }

    /// Whether it carries a digest, so that it always means the same content.
    pub fn is_pinned(&self) -> bool {
        self.digest().is_some()
    }

    /// Whether it is asked over the network, and not on this machine's disk.
    pub fn is_remote(&self) -> bool {
        matches!(self, Source::Registry(_))
    }

    /// The digest that it carries.
    pub fn digest(&self) -> Option<Digest> {
        match self {
            Source::Registry(reference) => reference.digest(),
            Source::Layout { digest, .. } | Source::Archive { digest, .. } => *digest,
        }
    }

    /// The same place, where it always means this content. It displays as before.
    #[must_use]
    pub fn pinned_to(&self, pin: Digest) -> Source {
        let mut pinned = self.clone();
        match &mut pinned {
            Source::Registry(reference) => {
                reference.parsed = reference.parsed.clone_with_digest(pin.to_string());
                reference.digest = Some(pin);
            }
            Source::Layout { digest, .. } | Source::Archive { digest, .. } => *digest = Some(pin),
        }
        pinned
    }

    /// A short name for what it points at: the last segment of the repository, or the directory's or file's name.
    pub fn name(&self) -> String {
        let name = match self {
            Source::Registry(reference) => reference.repository().rsplit('/').next().map(str::to_owned),
            Source::Layout { dir, .. } => file_name(dir),
            Source::Archive { file, .. } => file_name(file).map(|name| {
                let stem = name.strip_suffix(".gz").unwrap_or(&name);
                stem.strip_suffix(".tar")
                    .or_else(|| stem.strip_suffix(".tgz"))
                    .unwrap_or(stem)
                    .to_owned()
            }),
        };
        name.filter(|name| !name.is_empty())
            .unwrap_or_else(|| "app".to_owned())
    }

    /// The reference with every default filled in, for the app's `origin` metadata (`docs/contract/oci.md` §5.6).
    pub fn qualified(&self) -> String {
        match self {
            Source::Registry(reference) => reference.parsed.whole(),
            Source::Layout { written, .. } | Source::Archive { written, .. } => written.clone(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::Registry(reference) => &reference.written,
            Source::Layout { written, .. } | Source::Archive { written, .. } => written,
        })
    }
}

impl Reference {
    fn parse(text: &str) -> Result<Reference, ReferenceError> {
        let wrong = |problem: String| ReferenceError {
            text: text.to_owned(),
            problem,
            example: REGISTRY_EXAMPLE,
        };
        if text.trim().is_empty() {
            return Err(wrong("is empty".to_owned()));
        }
        if let Some(scheme) = FOREIGN_SCHEMES.iter().find(|scheme| text.starts_with(**scheme)) {
            return Err(wrong(format!(
                "begins with {scheme:?}, which does not belong there"
            )));
        }
        if text.chars().any(char::is_whitespace) {
            return Err(wrong("contains white space".to_owned()));
        }
        // Asked first: the parser answers a short digest with "invalid format" and accepts sha512.
        let digest = match text.split_once('@') {
            Some((_, digest)) => Some(Digest::parse(digest).map_err(|e| wrong(digest_problem(&e)))?),
            None => None,
        };
        let parsed = parse_with_docker_rules(text).map_err(|e| wrong(format_problem(text, &e)))?;
        Ok(Reference {
            parsed,
            digest,
            written: text.to_owned(),
        })
    }

    /// The host to ask, with its port where one is given. Docker's hub answers at another name than people write.
    pub fn host(&self) -> &str {
        self.parsed.resolve_registry()
    }

    /// The repository below the host.
    pub fn repository(&self) -> &str {
        self.parsed.repository()
    }

    /// The tag; a digest beside it wins.
    pub fn tag(&self) -> Option<&str> {
        self.parsed.tag()
    }

    /// The digest.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// Splits `PATH[:TAG]`. What follows the last colon is a tag only if it holds no `/`, so that paths may hold colons.
fn path_and_tag<'t>(
    text: &str,
    rest: &'t str,
    noun: &str,
    example: &'static str,
) -> Result<(&'t str, Option<String>), ReferenceError> {
    let wrong = |problem: String| ReferenceError {
        text: text.to_owned(),
        problem,
        example,
    };
    let (path, tag) = match rest.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (rest, None),
    };
    if path.is_empty() {
        return Err(wrong(format!("names no {noun}")));
    }
    if let Some(tag) = tag
        && (tag.is_empty() || tag.chars().count() > TAG_CHARS || tag.contains(char::is_whitespace))
    {
        return Err(wrong(
            "has an empty or unusable tag after its last colon".to_owned(),
        ));
    }
    Ok((path, tag.map(str::to_owned)))
}

/// The parser knows no bracketed IPv6 hosts, which Docker's newer rules allow: those are split off and put back.
fn parse_with_docker_rules(text: &str) -> Result<Parsed, oci_client::ParseError> {
    let Some((host, rest)) = text.split_once('/').filter(|(host, _)| is_ipv6_host(host)) else {
        return text.parse();
    };
    let parsed: Parsed = format!("placeholder.invalid/{rest}").parse()?;
    let (host, repository) = (host.to_owned(), parsed.repository().to_owned());
    Ok(
        match (
            parsed.tag().map(str::to_owned),
            parsed.digest().map(str::to_owned),
        ) {
            (Some(tag), Some(digest)) => Parsed::with_tag_and_digest(host, repository, tag, digest),
            (None, Some(digest)) => Parsed::with_digest(host, repository, digest),
            (tag, None) => Parsed::with_tag(host, repository, tag.unwrap_or_else(|| "latest".to_owned())),
        },
    )
}

fn is_ipv6_host(host: &str) -> bool {
    let Some((address, port)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
        return false;
    };
    let port_is_good = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|port| port.parse::<u16>().is_ok());
    address.parse::<Ipv6Addr>().is_ok() && port_is_good
}

fn digest_problem(error: &DigestError) -> String {
    match error {
        DigestError::Algorithm(_) => "has a digest of another algorithm than sha256".to_owned(),
        DigestError::Malformed(_) => {
            "has a digest that is not \"sha256:\" and 64 lower-case digits".to_owned()
        }
    }
}

fn format_problem(text: &str, error: &oci_client::ParseError) -> String {
    let name = text.split('@').next().unwrap_or(text);
    let repository = name.split_once('/').map_or(name, |(_, rest)| rest);
    let repository = repository.split(':').next().unwrap_or(repository);
    if repository.chars().any(|c| c.is_ascii_uppercase()) {
        return format!("has upper-case letters in its repository {repository:?}");
    }
    if repository.is_empty() {
        return "names no repository".to_owned();
    }
    format!("is not HOST/REPOSITORY with a :TAG or @sha256:DIGEST ({error})")
}

fn file_name(path: &Path) -> Option<String> {
    // `.` and `..` have no name of their own; the directory they mean has.
    let named = path.file_name().map(|name| name.to_string_lossy().into_owned());
    named.or_else(|| {
        Some(
            path.canonicalize()
                .ok()?
                .file_name()?
                .to_string_lossy()
                .into_owned(),
        )
    })
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
