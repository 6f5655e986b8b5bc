//! A small file for each app, in a directory that is created when it is needed. They may hold what is private: they are
//! readable by their owner only. All but the task blocks on the disk.

use std::collections::HashSet;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::manifest::AppId;
use crate::tasks;

/// A task that does all work with the files of `dir`, in the order in which it was asked for. It ends when all is done and every
/// sender is gone.
pub(super) fn in_order<Job: Send + 'static>(
    name: &'static str,
    dir: PathBuf,
    work: fn(&Path, Job),
) -> (mpsc::UnboundedSender<Job>, JoinHandle<()>) {
    let (jobs, mut queue) = mpsc::unbounded_channel();
    let task = tasks::spawn(name, async move {
        while let Some(job) = queue.recv().await {
            let dir = dir.clone();
            // An error means that the runtime ends, and this task with it.
            let _ = tokio::task::spawn_blocking(move || work(&dir, job)).await;
        }
    });
    (jobs, task)
}

/// `None`: there is none.
pub(super) fn read(dir: &Path, id: &AppId) -> io::Result<Option<String>> {
    match std::fs::read_to_string(file(dir, id)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        text => text.map(Some),
    }
}

/// Writes nothing if the file is like that already, as an earlier process left it: a restart of many apps writes nothing.
pub(super) fn write(dir: &Path, id: &AppId, text: &[u8]) -> io::Result<()> {
    let file = file(dir, id);
    if std::fs::read(&file).is_ok_and(|noted| noted == text) {
        return Ok(());
    }
    replace(&file, text)
}

/// Writes a file of its owner's, whole or not at all.
pub(super) fn replace(file: &Path, text: &[u8]) -> io::Result<()> {
    let dir = file.parent().unwrap_or(Path::new(""));
    std::fs::create_dir_all(dir)?;
    // The temporary file is readable by its owner only, and stays so under its final name.
    let mut temporary = tempfile::Builder::new().prefix(".new-").tempfile_in(dir)?;
    temporary.write_all(text)?;
    temporary.as_file().sync_data()?;
    temporary.persist(file)?;
    Ok(())
}

pub(super) fn remove(dir: &Path, id: &AppId) -> io::Result<()> {
    match std::fs::remove_file(file(dir, id)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// Removes those of other apps, and what a process left half-written.
pub(super) fn retain(dir: &Path, ids: &[AppId]) -> io::Result<()> {
    let keep: HashSet<PathBuf> = ids.iter().map(|id| file(dir, id)).collect();
    let entries = match std::fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        if !keep.contains(&path) {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// An id is a file's stem or the last component of a path: it holds no separator.
fn file(dir: &Path, id: &AppId) -> PathBuf {
    dir.join(format!("{id}.json"))
}
