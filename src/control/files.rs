//! What is known of the files in the directory, and what changed since.
//!
//! The rules of what counts as a change are all here; when to look is the watch's business (`watch.rs`).

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::change::{AppFile, Change};
use super::links::Links;
use super::scan::{self, Found, Stamp};
use super::settle::{Doubt, Patience, Settling};
use super::shared::Shared;
use crate::manifest::{AppId, ManifestError, parse_app};
use crate::oci::Source;

/// What was last told about a file.
#[derive(Debug)]
struct Known {
    stamp: Option<Stamp>,
    /// An equal stamp proves that nothing changed.
    proof: bool,
    told: Result<Arc<str>, Box<ManifestError>>,
}

/// The files of one directory.
#[derive(Debug)]
pub(crate) struct Files {
    dir: PathBuf,
    known: HashMap<String, Known>,
    settling: Settling,
    links: Links,
    changes: Vec<Change>,
    references: Shared<Source>,
}

impl Files {
    pub(crate) fn new(dir: PathBuf, patience: Patience) -> Files {
        Files {
            dir,
            known: HashMap::new(),
            settling: Settling::new(patience),
            links: Links::default(),
            changes: Vec::new(),
            references: Shared::default(),
        }
    }

    /// A file is being written: the end of that is waited for.
    pub(crate) fn writing(&mut self, name: &str, now: Instant) {
        self.settling.unfinished(name, now);
    }

    /// Looks at one file.
    pub(crate) fn look(&mut self, name: &str, now: Instant) {
        self.look_at(name, now, false);
    }

    /// Looks at every file, and reads those that may have changed.
    ///
    /// # Errors
    /// The directory can't be listed: then nothing changed.
    pub(crate) fn look_everywhere(&mut self, now: Instant) -> io::Result<()> {
        let names = scan::list(&self.dir)?;
        // The missing first: a new name may turn out to be one of them, renamed.
        let present: HashSet<&str> = names.iter().map(String::as_str).collect();
        for name in self.known.keys().filter(|name| !present.contains(name.as_str())) {
            self.settling.missing(name, now);
        }
        for name in &names {
            if !self.is_unchanged(name) {
                self.look(name, now);
            }
        }
        Ok(())
    }

    /// Believes what has been in doubt for long enough.
    ///
    /// # Errors
    /// The directory can't be listed, so that no deletion can be believed.
    pub(crate) fn settle(&mut self, now: Instant) -> io::Result<()> {
        let mut outcome = Ok(());
        for (name, doubt) in self.settling.due(now) {
            match doubt {
                Doubt::Unfinished => self.look_at(&name, now, true),
                Doubt::Missing => match self.is_gone(&name) {
                    Ok(true) => self.removed(&name),
                    Ok(false) => self.look(&name, now),
                    // It stays known, so that the next listing that succeeds misses it again.
                    Err(e) => outcome = Err(e),
                },
            }
        }
        outcome
    }

    /// When [`Files::settle`] has something to do.
    pub(crate) fn next_settle(&self) -> Option<Instant> {
        self.settling.next()
    }

    /// The changes since the last call, in the order in which they were found.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    pub(crate) fn links(&self) -> &Links {
        &self.links
    }

    fn is_unchanged(&mut self, name: &str) -> bool {
        let Some(known) = self.known.get(name) else {
            return false;
        };
        let unchanged =
            known.proof && known.stamp.is_some() && known.stamp == scan::stamp(&self.dir.join(name));
        if unchanged && self.settling.missed().any(|missed| missed == name) {
            self.settling.clear(name);
        }
        unchanged
    }

    /// A listing that succeeds lacks the name: only then is it deleted. Asking for one name is enough once the
    /// directory itself has proven to be there and readable.
    fn is_gone(&self, name: &str) -> io::Result<bool> {
        fs::read_dir(&self.dir)?;
        Ok(matches!(
            scan::look(&self.dir.join(name)),
            Found::Missing | Found::Other
        ))
    }

    fn look_at(&mut self, name: &str, now: Instant, believe: bool) {
        let path = self.dir.join(name);
        match scan::look(&path) {
            Found::Missing | Found::Other if self.known.contains_key(name) => {
                self.settling.missing(name, now)
            }
            Found::Missing | Found::Other => self.settling.clear(name),
            Found::Unreadable(error) if believe => {
                let (text, spec) = (Arc::from(""), Err(error));
                self.tell(name, None, AppFile { path, text, spec });
            }
            Found::Unreadable(_) => self.settling.unfinished(name, now),
            Found::Text { stamp, proof, text } => self.read(name, path, (stamp, proof), text, now, believe),
        }
    }

    fn read(
        &mut self,
        name: &str,
        path: PathBuf,
        seen: (Stamp, bool),
        text: String,
        now: Instant,
        believe: bool,
    ) {
        let (stamp, proof) = seen;
        self.links.note(&self.dir, name);
        if let Some(known) = self.known.get_mut(name)
            && known.told.as_deref().ok() == Some(text.as_str())
        {
            // Touched, or written anew as it was.
            known.stamp = Some(stamp);
            known.proof = proof;
            self.settling.clear(name);
            return;
        }
        let spec = parse_app(&text, &path).map(|mut spec| {
            spec.reference = self.references.share(spec.reference);
            Arc::new(spec)
        });
        if let Err(error) = &spec
            && error.is_unfinished()
            && !believe
        {
            self.settling.unfinished(name, now);
            return;
        }
        let text = Arc::from(text);
        self.tell(name, Some(seen), AppFile { path, text, spec });
    }

    /// Notes and reports what is now believed about a file. `seen` is `None` when it can't be read.
    fn tell(&mut self, name: &str, seen: Option<(Stamp, bool)>, file: AppFile) {
        self.settling.clear(name);
        let told = match (&file.spec, seen) {
            (Err(error), None) => Err(error.clone().into()),
            _ => Ok(Arc::clone(&file.text)),
        };
        if self.known.get(name).is_some_and(|known| known.told == told) {
            return;
        }
        let stamp = seen.map(|(stamp, _)| stamp);
        if let Some(old_name) = stamp.and_then(|stamp| self.renamed_from(name, &stamp)) {
            self.settling.clear(&old_name);
            self.removed(&old_name);
        }
        let proof = seen.is_some_and(|(_, proof)| proof);
        self.known.insert(name.to_owned(), Known { stamp, proof, told });
        self.changes.push(Change::Set {
            id: id(name),
            file: Box::new(file),
        });
    }

    /// A file that is missed and is this very file has been renamed: no need to wait until its absence is believed.
    fn renamed_from(&self, name: &str, stamp: &Stamp) -> Option<String> {
        let is_this = |missed: &&str| {
            let known = self.known.get(*missed).and_then(|known| known.stamp);
            *missed != name && known.is_some_and(|known| known.is_same_file(stamp))
        };
        self.settling.missed().find(is_this).map(str::to_owned)
    }

    fn removed(&mut self, name: &str) {
        self.known.remove(name);
        self.links.forget(name);
        self.changes.push(Change::Removed { id: id(name) });
    }
}

fn id(name: &str) -> AppId {
    AppId::of_file(Path::new(name))
}
