use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;

use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::control::Change;

/// Bounds a wait; an observed change ends it.
const BOUND: Duration = Duration::from_secs(10);

struct Watched {
    root: TempDir,
    dir: PathBuf,
    updates: mpsc::Receiver<Update>,
    rescan: Arc<Notify>,
}

/// One change, in short: `+a` (good), `!a` (bad), `-a` (removed).
fn short(change: &Change) -> String {
    match change {
        Change::Set { id, file } if file.spec.is_ok() => format!("+{id}"),
        Change::Set { id, .. } => format!("!{id}"),
        Change::Removed { id } => format!("-{id}"),
    }
}

fn app(port: u16) -> String {
    format!("{{\"reference\": \"a/b\", \"address\": \"127.0.0.1:{port}\"}}")
}

fn rarely() -> WatchOptions {
    WatchOptions {
        rescan_interval: Duration::from_secs(3600),
        ..WatchOptions::default()
    }
}

impl Watched {
    async fn with(files: &[(&str, String)], options: WatchOptions) -> Watched {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("apps");
        if !files.is_empty() {
            fs::create_dir(&dir).unwrap();
        }
        for (name, text) in files {
            fs::write(dir.join(name), text).unwrap();
        }
        let rescan = Arc::new(Notify::new());
        let updates = watch(&dir, options, Arc::clone(&rescan)).unwrap();
        Watched {
            root,
            dir,
            updates,
            rescan,
        }
    }

    /// Watches one app `a` and has seen it.
    async fn one() -> Watched {
        let mut watched = Watched::with(&[("a.json", app(1))], rarely()).await;
        assert_eq!(watched.batch().await, ["+a"]);
        watched
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    async fn update(&mut self) -> Update {
        timeout(BOUND, self.updates.recv())
            .await
            .expect("an update in time")
            .expect("a running watch")
    }

    async fn batch(&mut self) -> Vec<String> {
        match self.update().await {
            Update::Batch(changes) => changes.iter().map(short).collect(),
            Update::Source(problem) => panic!("unexpected news of the source: {problem:?}"),
        }
    }

    /// Nothing is told of anything but a file that comes and goes, although absences are believed meanwhile.
    async fn is_quiet(&mut self) {
        self.write("sentinel.json", app(9));
        assert_eq!(self.batch().await, ["+sentinel"]);
        fs::remove_file(self.path("sentinel.json")).unwrap();
        assert_eq!(self.batch().await, ["-sentinel"]);
    }
}

#[tokio::test]
async fn the_first_batch_has_every_app_file_by_name_and_nothing_else() {
    let files = [
        ("b.json", app(2)),
        ("a.json", app(1)),
        ("bad.json", "{\"a\": 1}".to_owned()),
        (".hidden.json", app(3)),
        ("a.json~", app(3)),
        ("notes.txt", String::new()),
    ];
    let mut watched = Watched::with(&files, rarely()).await;
    assert_eq!(watched.batch().await, ["+a", "+b", "!bad"]);
    fs::create_dir(watched.path("sub.json")).unwrap();
    fs::write(watched.path("sub.json/c.json"), app(3)).unwrap();
    watched.write(".a.json.swp", "x");
    watched.is_quiet().await;
}

#[tokio::test]
async fn a_missing_directory_is_created_and_watched() {
    let mut watched = Watched::with(&[], rarely()).await;
    assert_eq!(watched.batch().await, [""; 0]);
    watched.write("a.json", app(1));
    assert_eq!(watched.batch().await, ["+a"]);
}

#[tokio::test]
async fn a_written_a_copied_and_a_moved_file_are_each_told_once_and_a_touched_one_never() {
    let mut watched = Watched::one().await;
    watched.write("a.json", app(2));
    assert_eq!(watched.batch().await, ["+a"]);
    fs::copy(watched.path("a.json"), watched.path("b.json")).unwrap();
    assert_eq!(watched.batch().await, ["+b"]);
    watched.write("tmp", app(3));
    fs::rename(watched.path("tmp"), watched.path("a.json")).unwrap();
    assert_eq!(watched.batch().await, ["+a"]);
    let file = fs::File::open(watched.path("a.json")).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    watched.write("b.json", app(2));
    watched.is_quiet().await;
}

#[tokio::test]
async fn closing_a_finished_file_is_enough_to_act_on() {
    let mut watched = Watched::one().await;
    let patience = Patience {
        quiet: Duration::from_secs(3600),
        longest: Duration::from_secs(3600),
        absence: Duration::from_secs(3600),
    };
    let mut patient = Watched::with(&[("a.json", app(1))], WatchOptions { patience, ..rarely() }).await;
    assert_eq!(patient.batch().await, ["+a"]);
    for port in 2..6 {
        for watched in [&mut watched, &mut patient] {
            watched.write("a.json", app(port));
            assert_eq!(watched.batch().await, ["+a"]);
        }
    }
}

#[tokio::test]
async fn a_file_written_in_pieces_is_told_when_it_is_whole_and_half_of_it_never() {
    let mut watched = Watched::one().await;
    let whole = app(2);
    let (first, second) = whole.split_at(20);
    watched.write("a.json", first);
    // Another file in between shows that the half has been seen.
    watched.write("b.json", app(3));
    assert_eq!(watched.batch().await, ["+b"]);
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(watched.path("a.json"))
        .unwrap();
    file.write_all(second.as_bytes()).unwrap();
    drop(file);
    assert_eq!(watched.batch().await, ["+a"]);
    watched.is_quiet().await;
}

#[tokio::test]
async fn half_a_file_that_stays_so_is_a_mistake_within_a_second() {
    let mut watched = Watched::one().await;
    let begun = Instant::now();
    watched.write("a.json", "{\"reference\":");
    assert_eq!(watched.batch().await, ["!a"]);
    assert!(begun.elapsed() >= Patience::default().quiet);
    watched.write("a.json", app(1));
    assert_eq!(watched.batch().await, ["+a"]);
}

#[tokio::test]
async fn a_file_that_is_held_open_after_writing_is_read_when_it_is_quiet() {
    let mut watched = Watched::one().await;
    let mut file = fs::File::create(watched.path("a.json")).unwrap();
    file.write_all(app(2).as_bytes()).unwrap();
    assert_eq!(watched.batch().await, ["+a"]);
    drop(file);
    watched.is_quiet().await;
}

#[tokio::test]
async fn a_deleted_or_moved_away_file_is_removed_and_comes_back() {
    let mut watched = Watched::one().await;
    fs::remove_file(watched.path("a.json")).unwrap();
    assert_eq!(watched.batch().await, ["-a"]);
    watched.write("a.json", app(1));
    assert_eq!(watched.batch().await, ["+a"]);
    let outside = watched.root.path().join("a.json");
    fs::rename(watched.path("a.json"), &outside).unwrap();
    assert_eq!(watched.batch().await, ["-a"]);
    fs::rename(&outside, watched.path("a.json")).unwrap();
    assert_eq!(watched.batch().await, ["+a"]);
}

#[tokio::test]
async fn an_editors_delete_then_create_is_an_edit() {
    let mut watched = Watched::one().await;
    fs::remove_file(watched.path("a.json")).unwrap();
    watched.write("a.json", app(2));
    assert_eq!(watched.batch().await, ["+a"]);
    fs::rename(watched.path("a.json"), watched.path("a.json~")).unwrap();
    watched.write("a.json", app(3));
    assert_eq!(watched.batch().await, ["+a"]);
    watched.is_quiet().await;
}

#[tokio::test]
async fn a_rename_is_one_batch() {
    let mut watched = Watched::one().await;
    fs::rename(watched.path("a.json"), watched.path("b.json")).unwrap();
    assert_eq!(watched.batch().await, ["-a", "+b"]);
    watched.write("a.json", app(2));
    assert_eq!(watched.batch().await, ["+a"]);
    fs::rename(watched.path("a.json"), watched.path("b.json")).unwrap();
    assert_eq!(watched.batch().await, ["-a", "+b"]);
    watched.is_quiet().await;
}

#[tokio::test]
async fn a_link_is_followed_and_its_target_watched() {
    let mut watched = Watched::one().await;
    let elsewhere = watched.root.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("real"), app(2)).unwrap();
    symlink(elsewhere.join("real"), watched.path("b.json")).unwrap();
    assert_eq!(watched.batch().await, ["+b"]);
    fs::write(elsewhere.join("real"), app(3)).unwrap();
    assert_eq!(watched.batch().await, ["+b"]);
    fs::remove_file(watched.path("b.json")).unwrap();
    assert_eq!(watched.batch().await, ["-b"]);
}

#[tokio::test]
async fn a_config_map_is_swapped_as_one_batch() {
    let mut watched = Watched::one().await;
    for (version, port) in [("..v1", 10), ("..v2", 20)] {
        fs::create_dir(watched.path(version)).unwrap();
        fs::write(watched.path(version).join("m.json"), app(port)).unwrap();
        fs::write(watched.path(version).join("n.json"), app(port + 1)).unwrap();
    }
    symlink("..v1", watched.path("..data")).unwrap();
    symlink("..data/m.json", watched.path("m.json")).unwrap();
    assert_eq!(watched.batch().await, ["+m"]);
    symlink("..data/n.json", watched.path("n.json")).unwrap();
    assert_eq!(watched.batch().await, ["+n"]);
    // A look that is under way may see one file before the swap and the other after it.
    watched.is_quiet().await;
    symlink("..v2", watched.path("..data_tmp")).unwrap();
    fs::rename(watched.path("..data_tmp"), watched.path("..data")).unwrap();
    assert_eq!(watched.batch().await, ["+m", "+n"]);
    fs::remove_dir_all(watched.path("..v1")).unwrap();
    watched.is_quiet().await;
}

#[tokio::test]
async fn a_directory_that_cannot_be_listed_keeps_every_app_and_is_told() {
    let mut watched = Watched::one().await;
    let aside = watched.root.path().join("aside");
    fs::rename(&watched.dir, &aside).unwrap();
    let Update::Source(Some(problem)) = watched.update().await else {
        panic!("not told")
    };
    assert!(problem.contains(&watched.dir.display().to_string()), "{problem}");
    fs::rename(&aside, &watched.dir).unwrap();
    assert_eq!(watched.update().await, Update::Source(None));
    watched.is_quiet().await;
}

#[tokio::test]
async fn a_directory_that_is_replaced_is_watched_anew() {
    let mut watched = Watched::one().await;
    let next = watched.root.path().join("next");
    fs::create_dir(&next).unwrap();
    fs::write(next.join("a.json"), app(1)).unwrap();
    fs::write(next.join("c.json"), app(3)).unwrap();
    fs::rename(&watched.dir, watched.root.path().join("old")).unwrap();
    fs::rename(&next, &watched.dir).unwrap();
    loop {
        match watched.update().await {
            Update::Batch(changes) => {
                assert_eq!(changes.iter().map(short).collect::<Vec<_>>(), ["+c"]);
                break;
            }
            // Whether the gap between the two renames was seen is a matter of chance.
            Update::Source(_) => {}
        }
    }
    watched.write("a.json", app(2));
    assert_eq!(watched.batch().await, ["+a"]);
}

#[tokio::test]
async fn without_events_a_listing_on_request_finds_every_change() {
    let options = WatchOptions {
        events: false,
        ..rarely()
    };
    let mut watched = Watched::with(&[("a.json", app(1)), ("b.json", app(2))], options).await;
    assert_eq!(watched.batch().await, ["+a", "+b"]);
    watched.write("b.json", app(3));
    watched.rescan.notify_one();
    assert_eq!(watched.batch().await, ["+b"]);
    fs::rename(watched.path("a.json"), watched.path("c.json")).unwrap();
    watched.rescan.notify_one();
    assert_eq!(watched.batch().await, ["-a", "+c"]);
    fs::remove_file(watched.path("b.json")).unwrap();
    watched.rescan.notify_one();
    assert_eq!(watched.batch().await, ["-b"]);
}

#[tokio::test]
async fn without_events_the_interval_finds_every_change() {
    let options = WatchOptions {
        events: false,
        rescan_interval: Duration::from_millis(20),
        ..WatchOptions::default()
    };
    let mut watched = Watched::with(&[("a.json", app(1))], options).await;
    assert_eq!(watched.batch().await, ["+a"]);
    watched.write("a.json", app(2));
    assert_eq!(watched.batch().await, ["+a"]);
    watched.is_quiet().await;
}
