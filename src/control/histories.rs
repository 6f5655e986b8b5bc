//! The histories of all apps on disk. One task does all the file access, in the order in which it was asked for, and
//! writes only when a version begins or ends to serve.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::history::{History, RefusedVersion, VersionEnd};
use super::kept_files;
use super::pin::Pin;
use super::status::timestamp;
use crate::manifest::AppId;

/// A version that serves from now on.
pub(crate) struct Begun {
    pub(crate) reference: String,
    pub(crate) digest: String,
    /// The end of what served before it.
    pub(crate) how: VersionEnd,
    /// What was tried in vain meanwhile.
    pub(crate) refused: Vec<RefusedVersion>,
}

enum Job {
    Begin(AppId, Begun, SystemTime),
    End(AppId, VersionEnd, SystemTime),
    Forget(AppId),
    Retain(Vec<AppId>),
    Read(AppId, oneshot::Sender<History>),
    WritePins(PathBuf, BTreeMap<AppId, Pin>, Box<dyn FnOnce() + Send>),
}

/// Handle to the directory of histories.
#[derive(Debug, Clone)]
pub(crate) struct Histories {
    jobs: mpsc::UnboundedSender<Job>,
}

impl Histories {
    /// Keeps them in `dir`, which is created when it is needed. The task ends when all is written and every handle is
    /// gone.
    pub(crate) fn open(dir: PathBuf) -> (Histories, JoinHandle<()>) {
        let (jobs, task) = kept_files::in_order("histories", dir, work);
        (Histories { jobs }, task)
    }

    /// A version serves from now on; as before, perhaps.
    pub(crate) fn begin(&self, id: &AppId, begun: Begun) {
        self.ask(Job::Begin(id.clone(), begun, SystemTime::now()));
    }

    /// Nothing serves from now on.
    pub(crate) fn end(&self, id: &AppId, how: VersionEnd) {
        self.ask(Job::End(id.clone(), how, SystemTime::now()));
    }

    /// The app's file has been deleted.
    pub(crate) fn forget(&self, id: &AppId) {
        self.ask(Job::Forget(id.clone()));
    }

    /// These are all apps there are.
    pub(crate) fn retain(&self, ids: Vec<AppId>) {
        self.ask(Job::Retain(ids));
    }

    /// After all that was told before.
    pub(crate) async fn read(&self, id: &AppId) -> History {
        let (reply, answer) = oneshot::channel();
        self.ask(Job::Read(id.clone(), reply));
        // An error means that the runtime ends.
        answer.await.unwrap_or_default()
    }

    /// Writes the file of all pins, and calls `done` after that, whether it could be written or not.
    pub(crate) fn write_pins(
        &self,
        file: PathBuf,
        pins: BTreeMap<AppId, Pin>,
        done: Box<dyn FnOnce() + Send>,
    ) {
        self.ask(Job::WritePins(file, pins, done));
    }

    fn ask(&self, job: Job) {
        // The task outlives the handles, unless the runtime ends.
        let _ = self.jobs.send(job);
    }
}

fn work(dir: &Path, job: Job) {
    let (id, outcome) = match job {
        Job::Begin(id, begun, at) => {
            let outcome = change(dir, &id, |history| {
                let Begun {
                    reference,
                    digest,
                    how,
                    refused,
                } = begun;
                history.begin(&reference, &digest, how, refused, &timestamp(at))
            });
            (id, outcome)
        }
        Job::End(id, how, at) => {
            let outcome = change(dir, &id, |history| history.end(how, &timestamp(at)));
            (id, outcome)
        }
        Job::Forget(id) => {
            let outcome = kept_files::remove(dir, &id);
            (id, outcome)
        }
        Job::Retain(ids) => {
            if let Err(e) = kept_files::retain(dir, &ids) {
                tracing::warn!(dir = %dir.display(), error = %e, "histories of deleted apps can't be removed");
            }
            return;
        }
        Job::Read(id, reply) => {
            // Whoever asked may have gone.
            let _ = reply.send(read(dir, &id));
            return;
        }
        Job::WritePins(file, pins, done) => {
            if let Err(e) = write_pins(&file, &pins) {
                tracing::error!(file = %file.display(), error = %e, "pins can't be noted: they end with this process");
            }
            return done();
        }
    };
    if let Err(e) = outcome {
        tracing::warn!(app = %id, dir = %dir.display(), error = %e, "the app's history can't be noted");
    }
}

fn change(dir: &Path, id: &AppId, change: impl FnOnce(&mut History) -> bool) -> io::Result<()> {
    let mut history = read(dir, id);
    match change(&mut history) {
        true => kept_files::write(dir, id, &serde_json::to_vec(&history)?),
        false => Ok(()),
    }
}

/// One that can't be read begins anew: an app is not kept from serving by it.
fn read(dir: &Path, id: &AppId) -> History {
    let text = kept_files::read(dir, id).unwrap_or_else(|e| {
        tracing::warn!(app = %id, dir = %dir.display(), error = %e, "the app's history can't be read");
        None
    });
    let history = text.map(|text| serde_json::from_str(&text));
    history.unwrap_or(Ok(History::default())).unwrap_or_else(|e| {
        tracing::warn!(app = %id, dir = %dir.display(), error = %e, "the app's history is damaged");
        History::default()
    })
}

fn write_pins(file: &Path, pins: &BTreeMap<AppId, Pin>) -> io::Result<()> {
    kept_files::replace(file, &serde_json::to_vec(pins)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn begun(digest: &str) -> Begun {
        Begun {
            reference: "x/a".into(),
            digest: digest.into(),
            how: VersionEnd::Replaced,
            refused: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_restart_as_it_was_writes_nothing_and_a_deleted_app_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("history");
        let id = AppId::new("a");
        let (first, task) = Histories::open(dir.clone());
        first.begin(&id, begun("sha256:1"));
        first.begin(&id, begun("sha256:2"));
        assert_eq!(first.read(&id).await.versions.len(), 2);
        drop(first);
        task.await.unwrap();
        let metadata = std::fs::metadata(dir.join("a.json")).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);

        let (second, _task) = Histories::open(dir.clone());
        second.begin(&id, begun("sha256:2"));
        let history = second.read(&id).await;
        assert_eq!((history.versions.len(), history.versions[0].version), (2, 2));
        let after = std::fs::metadata(dir.join("a.json")).unwrap();
        assert_eq!(after.modified().unwrap(), metadata.modified().unwrap());
        std::fs::write(dir.join("b.json"), "{").unwrap();
        assert_eq!(second.read(&AppId::new("b")).await, History::default());
        second.forget(&id);
        second.retain(Vec::new());
        assert_eq!(second.read(&id).await, History::default());
        assert_eq!(std::fs::read_dir(dir).unwrap().count(), 0);
    }
}
