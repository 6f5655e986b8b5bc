//! A fixed list of apps, `{"apps": [ … ]}`, as a source of desired state. It is read at start and on request.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{Notify, mpsc};

use super::change::{AppFile, Change, Update};
use crate::manifest::{AppId, ManifestError, parse_list};
use crate::tasks;

/// Batches that wait for the supervisor.
const QUEUED_BATCHES: usize = 4;

/// Reads the list now, and again at each notification of `rescan` (a hang-up signal), until the receiver is dropped.
/// Apps that a newer list lacks are removed; a list that can't be read as a whole changes nothing and is told.
///
/// To be called within the runtime.
///
/// # Errors
/// The list can't be read for the first time: then there is nothing to serve.
pub fn watch_list(file: &Path, rescan: Arc<Notify>) -> Result<mpsc::Receiver<Update>, ManifestError> {
    let mut list = List {
        file: file.to_owned(),
        told: BTreeMap::new(),
    };
    let first = list.read()?;
    let (updates, receiver) = mpsc::channel(QUEUED_BATCHES);
    // Ends when nobody listens any more.
    tasks::spawn("app list", async move {
        let mut problem = false;
        if updates.send(Update::Batch(first)).await.is_err() {
            return;
        }
        loop {
            tokio::select! {
                () = updates.closed() => return,
                () = rescan.notified() => {}
            }
            let news = tokio::task::spawn_blocking(move || {
                let news = list.read();
                (list, news)
            });
            let outcome;
            // The blocking task ends early only when the runtime does.
            let Ok(done) = news.await else { return };
            (list, outcome) = done;
            let (source, changes) = match outcome {
                Ok(changes) => (problem.then_some(Update::Source(None)), changes),
                Err(e) => {
                    tracing::error!(error = %e, "the list can't be read; every app stays as it is");
                    (Some(Update::Source(Some(e.to_string()))), Vec::new())
                }
            };
            problem = matches!(source, Some(Update::Source(Some(_))));
            let batch = (!changes.is_empty()).then_some(Update::Batch(changes));
            for update in source.into_iter().chain(batch) {
                if updates.send(update).await.is_err() {
                    return;
                }
            }
        }
    });
    Ok(receiver)
}

struct List {
    file: PathBuf,
    told: BTreeMap<AppId, AppFile>,
}

impl List {
    /// What changed since the last time.
    fn read(&mut self) -> Result<Vec<Change>, ManifestError> {
        let unreadable = |e: io::Error| ManifestError::unreadable(&self.file, &e);
        let text = std::fs::read_to_string(&self.file).map_err(unreadable)?;
        let file = |text: String, spec: Result<_, _>| AppFile {
            path: self.file.clone(),
            text: text.into(),
            spec: spec.map(Arc::new),
        };
        let entries: Vec<_> = parse_list(&text, &self.file)?
            .into_iter()
            .map(|e| (e.id, file(e.text, e.spec)))
            .collect();
        let wanted: BTreeMap<_, _> = entries.iter().cloned().collect();
        let gone = self.told.keys().filter(|id| !wanted.contains_key(id));
        let mut changes: Vec<_> = gone.map(|id| Change::Removed { id: id.clone() }).collect();
        for (id, file) in entries {
            if self.told.get(&id) != Some(&file) {
                changes.push(Change::Set {
                    id,
                    file: Box::new(file),
                });
            }
        }
        self.told = wanted;
        Ok(changes)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    const BOUND: Duration = Duration::from_secs(10);

    fn entry(name: &str, port: u16) -> String {
        format!("{{\"reference\": \"a/b\", \"address\": \"127.0.0.1:{port}\", \"state_dir\": \"{name}\"}}")
    }

    fn list(entries: &[String]) -> String {
        format!("{{\"apps\": [{}]}}", entries.join(", "))
    }

    async fn batch(updates: &mut mpsc::Receiver<Update>) -> Vec<String> {
        match tokio::time::timeout(BOUND, updates.recv())
            .await
            .unwrap()
            .unwrap()
        {
            Update::Batch(changes) => changes
                .iter()
                .map(|change| match change {
                    Change::Set { id, file } => format!("{}{id}", if file.spec.is_ok() { '+' } else { '!' }),
                    Change::Removed { id } => format!("-{id}"),
                })
                .collect(),
            Update::Source(problem) => vec![format!("problem: {}", problem.is_some())],
        }
    }

    #[tokio::test]
    async fn a_list_is_read_at_start_and_again_on_request_and_only_changes_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("lepton.json");
        fs::write(
            &file,
            list(&[entry("b", 2), entry("a", 1), "{\"x\": 1}".to_owned()]),
        )
        .unwrap();
        let rescan = Arc::new(Notify::new());
        let mut updates = watch_list(&file, Arc::clone(&rescan)).unwrap();
        assert_eq!(batch(&mut updates).await, ["+b", "+a", "!lepton-3"]);
        fs::write(&file, list(&[entry("b", 2), entry("a", 3)])).unwrap();
        rescan.notify_one();
        assert_eq!(batch(&mut updates).await, ["-lepton-3", "+a"]);
        fs::write(&file, "{\"apps\": [").unwrap();
        rescan.notify_one();
        assert_eq!(batch(&mut updates).await, ["problem: true"]);
        fs::write(&file, list(&[entry("b", 4), entry("a", 3)])).unwrap();
        rescan.notify_one();
        assert_eq!(batch(&mut updates).await, ["problem: false"]);
        assert_eq!(batch(&mut updates).await, ["+b"]);
    }

    #[test]
    fn a_missing_list_is_told_at_once() {
        let error = watch_list(Path::new("/nowhere/lepton.json"), Arc::default()).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("/nowhere/lepton.json: can't be read"),
            "{error}"
        );
    }
}
