//! The last good version of each app, kept on disk: after a restart with a bad file, or with a new version that can't
//! be prepared, it serves.
//!
//! One task does all the file access, in the order in which it was asked for.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::kept_files;
use super::pin::source_of;
use crate::manifest::{AppId, AppSpec, parse_text};

/// What is kept of one app. It may hold the variables' values: the files are readable by their owner only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The app file, for relative paths.
    pub(crate) path: PathBuf,
    /// Its text.
    pub(crate) text: String,
    /// What its reference resolved to.
    pub(crate) digest: String,
    /// Its commands have completed.
    #[serde(default)]
    pub(crate) completed: bool,
    /// In place of the text's, since the app was pinned to a version of another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reference: Option<String>,
}

enum Job {
    Keep(AppId, Kept, oneshot::Sender<()>),
    Complete(AppId, String),
    Forget(AppId),
    Retain(Vec<AppId>),
    Recall(AppId, oneshot::Sender<Option<Kept>>),
}

/// Handle to the directory of last good versions.
#[derive(Debug, Clone)]
pub(crate) struct LastGood {
    jobs: mpsc::UnboundedSender<Job>,
}

impl LastGood {
    /// Keeps them in `dir`, which is created when it is needed. The task ends when all is written and every handle
    /// is gone.
    pub(crate) fn open(dir: PathBuf) -> (LastGood, JoinHandle<()>) {
        let (jobs, task) = kept_files::in_order("last good versions", dir, work);
        (LastGood { jobs }, task)
    }

    /// The app serves from this. Returns when it is on disk, or could not be noted.
    pub(crate) async fn keep(&self, id: &AppId, kept: Kept) {
        let (reply, done) = oneshot::channel();
        self.ask(Job::Keep(id.clone(), kept, reply));
        // An error means that the runtime ends.
        let _ = done.await;
    }

    /// The commands of this version have completed.
    pub(crate) fn complete(&self, id: &AppId, digest: String) {
        self.ask(Job::Complete(id.clone(), digest));
    }

    /// Whether the commands of exactly this have completed.
    pub(crate) async fn has_completed(&self, id: &AppId, text: &str, digest: &str) -> bool {
        self.kept(id)
            .await
            .is_some_and(|kept| kept.completed && kept.text == text && kept.digest == digest)
    }

    /// The app's file has been deleted.
    pub(crate) fn forget(&self, id: &AppId) {
        self.ask(Job::Forget(id.clone()));
    }

    /// These are all apps there are: others were deleted while nobody watched.
    pub(crate) fn retain(&self, ids: Vec<AppId>) {
        self.ask(Job::Retain(ids));
    }

    /// What the app served from last, and its digest.
    pub(crate) async fn recall(&self, id: &AppId) -> Option<(Arc<AppSpec>, String)> {
        let kept = self.kept(id).await?;
        let mut spec = parse_text(&kept.text, &kept.path, id).ok()?;
        if let Some(reference) = &kept.reference {
            spec.reference = source_of(reference, &kept.path).ok()?.into();
        }
        Some((Arc::new(spec), kept.digest))
    }

    async fn kept(&self, id: &AppId) -> Option<Kept> {
        let (reply, answer) = oneshot::channel();
        self.ask(Job::Recall(id.clone(), reply));
        answer.await.ok().flatten()
    }

    fn ask(&self, job: Job) {
        // The task outlives the handles, unless the runtime ends.
        let _ = self.jobs.send(job);
    }
}

fn work(dir: &Path, job: Job) {
    let (id, outcome) = match job {
        Job::Keep(id, kept, reply) => {
            let outcome = keep(dir, &id, &kept);
            // Whoever asked may have been given up.
            let _ = reply.send(());
            (id, outcome)
        }
        Job::Complete(id, digest) => {
            let kept = recall(dir, &id).filter(|kept| kept.digest == digest);
            let outcome = match kept {
                Some(kept) => keep(
                    dir,
                    &id,
                    &Kept {
                        completed: true,
                        ..kept
                    },
                ),
                None => Ok(()),
            };
            (id, outcome)
        }
        Job::Forget(id) => {
            let outcome = kept_files::remove(dir, &id);
            (id, outcome)
        }
        Job::Retain(ids) => {
            if let Err(e) = kept_files::retain(dir, &ids) {
                tracing::warn!(dir = %dir.display(), error = %e, "last good versions of deleted apps can't be removed");
            }
            return;
        }
        Job::Recall(id, reply) => {
            // Whoever asked may have been given up.
            let _ = reply.send(recall(dir, &id));
            return;
        }
    };
    if let Err(e) = outcome {
        tracing::warn!(app = %id, dir = %dir.display(), error = %e, "the last good version can't be noted");
    }
}

fn keep(dir: &Path, id: &AppId, kept: &Kept) -> io::Result<()> {
    kept_files::write(dir, id, &serde_json::to_vec(kept)?)
}

fn recall(dir: &Path, id: &AppId) -> Option<Kept> {
    let text = kept_files::read(dir, id).unwrap_or_else(|e| {
        tracing::warn!(app = %id, dir = %dir.display(), error = %e, "the last good version can't be read");
        None
    })?;
    let kept = serde_json::from_str(&text);
    kept.inspect_err(
        |e| tracing::warn!(app = %id, dir = %dir.display(), error = %e, "the last good version is damaged"),
    )
    .ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_kept_is_recalled_by_the_next_process_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("last-good");
        let id = AppId::new("a");
        let text = r#"{"reference": "a/b", "address": "127.0.0.1:1"}"#.to_owned();
        let (first, task) = LastGood::open(dir.clone());
        let kept = Kept {
            path: "a.json".into(),
            text,
            digest: "sha256:1".into(),
            completed: false,
            reference: None,
        };
        first.keep(&id, kept).await;
        drop(first);
        task.await.unwrap();
        let mode = std::fs::metadata(dir.join("a.json"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);

        let (second, _task) = LastGood::open(dir.clone());
        let (spec, digest) = second.recall(&id).await.unwrap();
        assert_eq!(
            (spec.address.to_string().as_str(), digest.as_str()),
            ("127.0.0.1:1", "sha256:1")
        );
        let text = r#"{"reference": "a/b", "address": "127.0.0.1:1"}"#;
        assert!(!second.has_completed(&id, text, "sha256:1").await);
        second.complete(&id, "sha256:1".into());
        assert!(second.has_completed(&id, text, "sha256:1").await);
        assert!(!second.has_completed(&id, text, "sha256:2").await);
        second.forget(&id);
        assert!(second.recall(&id).await.is_none());
        std::fs::write(dir.join("a.json"), "{").unwrap();
        assert!(second.recall(&id).await.is_none(), "a damaged one is none");
        std::fs::write(dir.join("b.json"), "{}").unwrap();
        second.retain(vec![AppId::new("b")]);
        assert!(second.recall(&id).await.is_none());
        assert!(!dir.join("a.json").exists() && dir.join("b.json").exists());
    }
}
