//! Paused time: delays pass at once, and every wait is for an observed status.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use super::fake::{Fake, World};
use super::*;
use crate::control::change::{AppFile, Change};
use crate::control::status::{AppState, AppStatus};
use crate::manifest::parse_app;

/// Bounds a wait, in paused time.
const BOUND: Duration = Duration::from_secs(7200);
const DRAIN: Duration = Duration::from_secs(30);

mod rollback;

struct House {
    fake: Fake,
    updates: mpsc::Sender<Update>,
    handle: SupervisorHandle,
    status: watch::Receiver<Status>,
    data: Arc<TempDir>,
}

fn app(reference: &str, port: u16) -> String {
    app_with(reference, &format!("127.0.0.1:{port}"), "")
}

fn app_with(reference: &str, address: &str, more: &str) -> String {
    format!("{{\"reference\": \"{reference}\", \"address\": \"{address}\"{more}}}")
}

fn set(name: &str, text: &str) -> Change {
    let path = PathBuf::from(format!("{name}.json"));
    let spec = parse_app(text, &path).map(Arc::new);
    let file = Box::new(AppFile {
        path,
        text: text.into(),
        spec,
    });
    Change::Set {
        id: AppId::new(name),
        file,
    }
}

fn removed(name: &str) -> Change {
    Change::Removed { id: AppId::new(name) }
}

impl House {
    fn new() -> House {
        House::after_restart(Arc::new(tempfile::tempdir().unwrap()), Fake::default())
    }

    fn after_restart(data: Arc<TempDir>, fake: Fake) -> House {
        let (updates, queue) = mpsc::channel(16);
        let settings = SupervisorSettings {
            drain_timeout: DRAIN,
            last_good_dir: data.path().join("apps"),
            history_dir: data.path().join("history"),
            pins_file: data.path().join("pins.json"),
            tls_addresses: Vec::new(),
        };
        let (handle, status) = Supervisor::start(fake.clone(), settings, queue);
        House {
            fake,
            updates,
            handle,
            status,
            data,
        }
    }

    fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        self.fake.world(look)
    }

    async fn change(&self, changes: impl Into<Vec<Change>>) {
        self.updates.send(Update::Batch(changes.into())).await.unwrap();
    }

    async fn set(&self, name: &str, text: &str) {
        self.change([set(name, text)]).await;
    }

    async fn status(&mut self, what: &str, good: impl FnMut(&Status) -> bool) -> Status {
        let found = timeout(BOUND, self.status.wait_for(good))
            .await
            .map(|status| status.unwrap().clone());
        found.unwrap_or_else(|_| {
            let world = self.world(|world| format!("{world:#?}"));
            panic!("{what} did not come: {:#?} in {world}", *self.status.borrow())
        })
    }

    async fn app(&mut self, name: &str, what: &str, mut good: impl FnMut(&AppStatus) -> bool) -> AppStatus {
        let mut status = self
            .status(what, |status| status.apps.get(name).is_some_and(|app| good(app)))
            .await;
        AppStatus::clone(&status.apps.remove(name).unwrap())
    }

    async fn state(&mut self, name: &str, state: AppState) -> AppStatus {
        self.app(name, state.as_str(), |app| app.state == state).await
    }

    async fn gone(&mut self, name: &str) {
        self.status("its end", |status| !status.apps.contains_key(name))
            .await;
    }

    /// Waits until this answers at the address.
    async fn answers(&mut self, port: u16, who: &str) {
        let address = format!("127.0.0.1:{port}");
        self.until(who, |fake| {
            fake.answer(&address)
                .is_some_and(|answer| answer.starts_with(who))
        })
        .await;
    }

    /// Waits for something in the world, which tells nobody when it changes.
    async fn until(&self, what: &str, mut good: impl FnMut(&Fake) -> bool) {
        let look = async {
            while !good(&self.fake) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(BOUND, look)
            .await
            .unwrap_or_else(|_| panic!("{what} did not come: {:#?}", *self.status.borrow()));
    }

    fn closed(&self) -> Vec<String> {
        self.world(|world| world.closed.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_starts_an_app_and_its_deletion_stops_it_after_its_requests() {
    let mut house = House::new();
    house.world(|world| world.drain = Duration::from_secs(10));
    house.set("a", &app("x/a", 1)).await;
    let status = house.state("a", AppState::Running).await;
    assert_eq!(status.digest.as_deref(), Some("sha256:1"));
    assert_eq!(status.address.as_deref(), Some("127.0.0.1:1"));
    assert_eq!(*status.routes, ["/..."]);
    house.change([removed("a")]).await;
    house.state("a", AppState::Stopping).await;
    let begun = Instant::now();
    house.gone("a").await;
    assert!(begun.elapsed() >= Duration::from_secs(9));
    assert_eq!(
        house.world(|world| (world.forgotten.len(), world.draining_for.clone())),
        (1, vec![DRAIN])
    );
    for kept in ["apps", "history"] {
        let left = std::fs::read_dir(house.data.path().join(kept));
        assert_eq!(left.unwrap().count(), 0, "nothing of it is kept in {kept}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_edit_swaps_the_app_behind_its_open_socket() {
    let mut house = House::new();
    house
        .set(
            "a",
            &app_with("x/one", "127.0.0.1:1", ", \"drain_timeout\": \"3s\""),
        )
        .await;
    house.state("a", AppState::Running).await;
    house.set("a", &app("x/two", 1)).await;
    house.answers(1, "a@x/two").await;
    house
        .app("a", "the new reference", |app| {
            app.reference.as_deref() == Some("x/two")
        })
        .await;
    assert_eq!(house.closed(), [""; 0]);
    let fake = house.fake.clone();
    house.set("z", &app("x/z", 9)).await;
    house.state("z", AppState::Running).await;
    assert_eq!(
        fake.world(|world| world.draining_for.clone()),
        [Duration::from_secs(3)],
        "the old one's own timeout"
    );
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_spec_is_not_deployed_again() {
    let mut house = House::new();
    let text = app_with("x/a", "127.0.0.1:1", ", \"pull\": \"if-not-present\"");
    house.set("a", &text).await;
    house.state("a", AppState::Running).await;
    house.set("a", &format!("{text}  ")).await;
    house.set("b", &app("x/b", 2)).await;
    house.state("b", AppState::Running).await;
    assert_eq!(
        house.world(|world| (world.prepared.len(), world.draining_for.len())),
        (2, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn failures_are_retried_with_growing_delays_until_it_works() {
    let mut house = House::new();
    house.world(|world| world.failing.insert("x/a".into(), 4));
    let begun = Instant::now();
    house.set("a", &app("x/a", 1)).await;
    let status = house.state("a", AppState::Failed).await;
    assert_eq!(status.error.as_deref(), Some("x/a can't be fetched"));
    assert!(status.next_try.is_some());
    house.state("a", AppState::Running).await;
    assert!(
        begun.elapsed() >= Duration::from_secs(1 + 2 + 4 + 8),
        "{:?}",
        begun.elapsed()
    );
    let status = house.state("a", AppState::Running).await;
    assert_eq!((status.error, status.next_try), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_file_retries_at_once() {
    let mut house = House::new();
    house.world(|world| world.failing.insert("x/bad".into(), usize::MAX));
    house.set("a", &app("x/bad", 1)).await;
    house.state("a", AppState::Failed).await;
    let begun = Instant::now();
    house.set("a", &app("x/good", 1)).await;
    house.state("a", AppState::Running).await;
    assert!(begun.elapsed() < Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn an_edit_that_fails_leaves_the_old_version_serving() {
    let mut house = House::new();
    house.set("a", &app("x/one", 1)).await;
    house.state("a", AppState::Running).await;
    house.world(|world| world.failing.insert("x/two".into(), 2));
    house.set("a", &app("x/two", 1)).await;
    let status = house.state("a", AppState::Degraded).await;
    assert!(status.error.unwrap().contains("x/two can't be fetched") && status.next_try.is_some());
    house.answers(1, "a@x/one").await;
    house.answers(1, "a@x/two").await;
    house.state("a", AppState::Running).await;
    house.set("a", "{\"refrence\": 1}").await;
    let status = house.state("a", AppState::Degraded).await;
    assert!(status.error.unwrap().contains("did you mean"));
    house.answers(1, "a@x/two").await;
    house.set("a", &app("x/two", 1)).await;
    house.state("a", AppState::Running).await;
    assert_eq!(house.closed(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_newer_edit_supersedes_one_that_is_stuck_and_taking_it_back_gives_it_up() {
    let mut house = House::new();
    house.world(|world| world.stuck = vec!["x/slow".into()]);
    house.set("a", &app("x/slow", 1)).await;
    house.state("a", AppState::Starting).await;
    house.set("a", &app("x/one", 1)).await;
    house.state("a", AppState::Running).await;
    house.set("a", &app("x/slow", 1)).await;
    house.set("a", &app("x/one", 1)).await;
    house.set("a", &app("x/two", 1)).await;
    house.answers(1, "a@x/two").await;
}

#[tokio::test(start_paused = true)]
async fn one_apps_stuck_fetch_panic_or_bad_file_touches_no_other() {
    let mut house = House::new();
    house.world(|world| {
        world.stuck = vec!["x/slow".into()];
        world.cursed = vec!["x/cursed".into()];
    });
    let changes = [
        set("bad", "{}"),
        set("cursed", &app("x/cursed", 1)),
        set("slow", &app("x/slow", 2)),
        set("well", &app("x/well", 3)),
    ];
    house.change(changes).await;
    house.state("well", AppState::Running).await;
    let cursed = house.state("cursed", AppState::Failed).await;
    assert!(cursed.error.unwrap().contains("cursed"));
    house.state("slow", AppState::Starting).await;
    house.state("bad", AppState::Failed).await;
}

#[tokio::test(start_paused = true)]
async fn the_second_claim_of_an_address_says_who_holds_it_and_starts_when_it_is_free() {
    let mut house = House::new();
    house
        .change([
            set("a", &app("x/a", 1)),
            set("b", &app_with("x/b", "0.0.0.0:1", "")),
        ])
        .await;
    house.state("a", AppState::Running).await;
    let status = house.state("b", AppState::Waiting).await;
    assert!(status.error.unwrap().contains("held by app a (a.json)"));
    house.set("a", "no json").await;
    house.state("a", AppState::Degraded).await;
    house.state("b", AppState::Waiting).await;
    house.change([removed("a")]).await;
    house.state("b", AppState::Running).await;
    assert_eq!(house.fake.answer("0.0.0.0:1").as_deref(), Some("b@x/b#sha256:1"));
}

#[tokio::test(start_paused = true)]
async fn swapped_addresses_never_close() {
    for one_batch in [true, false] {
        let mut house = House::new();
        house
            .change([set("a", &app("x/a", 1)), set("b", &app("x/b", 2))])
            .await;
        house.answers(1, "a").await;
        house.answers(2, "b").await;
        let swap = [set("a", &app("x/a", 2)), set("b", &app("x/b", 1))];
        if one_batch {
            house.change(swap).await;
        } else {
            let [a, b] = swap;
            house.change([a]).await;
            let waits = house.state("a", AppState::Degraded).await;
            assert!(waits.error.unwrap().contains("held by app b"));
            house.change([b]).await;
        }
        house.answers(1, "b").await;
        house.answers(2, "a").await;
        house.state("a", AppState::Running).await;
        house.state("b", AppState::Running).await;
        assert_eq!(house.closed(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_that_moves_to_another_file_and_a_renamed_file_stay_open() {
    let mut house = House::new();
    house.set("a", &app("x/a", 1)).await;
    house.state("a", AppState::Running).await;
    house.change([removed("a"), set("b", &app("x/a", 1))]).await;
    house.answers(1, "b").await;
    house.gone("a").await;
    house
        .change([set("b", &app("x/a", 2)), set("c", &app("x/c", 1))])
        .await;
    house.answers(2, "b").await;
    house.answers(1, "c").await;
    assert_eq!(house.closed(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_app_does_not_linger_for_one_that_cannot_start() {
    let mut house = House::new();
    house.set("a", &app("x/a", 1)).await;
    house.state("a", AppState::Running).await;
    house.world(|world| world.failing.insert("x/b".into(), usize::MAX));
    house.change([removed("a"), set("b", &app("x/b", 1))]).await;
    house.state("b", AppState::Failed).await;
    let fake = house.fake.clone();
    house
        .status("the end of a", |_| fake.answer("127.0.0.1:1").is_none())
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_wider_address_of_the_same_app_closes_the_narrow_one_first() {
    let mut house = House::new();
    house.set("a", &app("x/a", 1)).await;
    house.state("a", AppState::Running).await;
    house.set("a", &app_with("x/a", "0.0.0.0:1", "")).await;
    house
        .app("a", "the wide address", |app| {
            app.state == AppState::Running && app.address.as_deref() == Some("0.0.0.0:1")
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_port_of_another_process_is_waited_for() {
    let mut house = House::new();
    house.world(|world| world.foreign.push("127.0.0.1:1".into()));
    house.set("a", &app("x/a", 1)).await;
    let status = house.state("a", AppState::Waiting).await;
    assert!(status.error.unwrap().contains("in use"));
    tokio::time::advance(Duration::from_secs(600)).await;
    house.world(|world| world.foreign.clear());
    let freed = Instant::now();
    house.state("a", AppState::Running).await;
    assert!(freed.elapsed() <= Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_disabled_app_stops_and_frees_its_address() {
    let mut house = House::new();
    house
        .change([set("a", &app("x/a", 1)), set("b", &app("x/b", 1))])
        .await;
    house.state("a", AppState::Running).await;
    house
        .set("a", &app_with("x/a", "127.0.0.1:1", ", \"enabled\": false"))
        .await;
    house.answers(1, "b").await;
    house.state("a", AppState::Disabled).await;
    assert!(!house.handle.redeploy(AppId::new("a")).await);
    assert_eq!(house.closed(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_ends_by_itself_is_started_again_after_growing_delays() {
    let mut house = House::new();
    house.set("a", &app("x/a", 1)).await;
    for least in [1, 2, 4] {
        house.state("a", AppState::Running).await;
        let crashed = Instant::now();
        house.fake.crash("a");
        let status = house.state("a", AppState::Failed).await;
        assert!(status.error.unwrap().contains("ended by itself"));
        house.state("a", AppState::Running).await;
        assert!(
            crashed.elapsed() >= Duration::from_secs(least),
            "{:?}",
            crashed.elapsed()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_moved_tag_is_a_redeploy_by_the_apps_policy() {
    let mut house = House::new();
    house.world(|world| world.digests.insert("x/a".into(), "sha256:2".into()));
    house
        .set(
            "a",
            &app_with("x/a", "127.0.0.1:1", ", \"pull\": \"if-not-present\""),
        )
        .await;
    house.state("a", AppState::Running).await;
    house
        .set("b", &app_with("x/a", "127.0.0.1:2", ", \"pull\": \"5m\""))
        .await;
    house.set("c", &app("x/a", 3)).await;
    house
        .app("b", "the moved tag", |app| {
            app.digest.as_deref() == Some("sha256:2")
        })
        .await;
    house
        .app("c", "the moved tag", |app| {
            app.digest.as_deref() == Some("sha256:2")
        })
        .await;
    house.world(|world| world.digests.insert("x/a".into(), "sha256:3".into()));
    let moved = Instant::now();
    house
        .app("b", "the next one", |app| {
            app.digest.as_deref() == Some("sha256:3")
        })
        .await;
    assert!(moved.elapsed() <= Duration::from_secs(300));
    assert!(house.handle.redeploy(AppId::new("c")).await);
    house
        .app("c", "the redeployed one", |app| {
            app.digest.as_deref() == Some("sha256:3")
        })
        .await;
    assert_eq!(
        house.fake.answer("127.0.0.1:1").as_deref(),
        Some("a@x/a#sha256:1")
    );
    assert_eq!(house.closed(), [""; 0]);
    assert!(!house.handle.redeploy(AppId::new("nobody")).await);
}

#[tokio::test(start_paused = true)]
async fn without_a_registry_the_stored_version_serves_and_says_so() {
    let mut house = House::new();
    house.world(|world| world.offline = true);
    house.set("a", &app("x/a", 1)).await;
    let status = house.app("a", "the reason", |app| app.error.is_some()).await;
    assert_eq!(status.state, AppState::Running);
    assert!(status.error.unwrap().contains("the registry does not answer") && status.next_try.is_some());
    house.world(|world| world.offline = false);
    house.app("a", "the end of it", |app| app.error.is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_the_last_good_version_stands_in_for_a_bad_file_or_a_lost_artifact() {
    let mut house = House::new();
    house
        .change([
            set("a", &app("x/a", 1)),
            set("b", &app("x/b", 2)),
            set("c", &app("x/c", 3)),
        ])
        .await;
    for name in ["a", "b", "c"] {
        house.state(name, AppState::Running).await;
    }
    house.handle.shutdown().await;
    let House { data, .. } = house;

    let fake = Fake::default();
    fake.world(|world| world.failing.insert("x/new".into(), usize::MAX));
    let mut house = House::after_restart(data, fake);
    let changes = [
        set("a", "{\"adress\": 1}"),
        set("b", &app("x/new", 2)),
        set("c", &app("x/c", 1)),
        set("d", "{}"),
    ];
    house.change(changes).await;
    let a = house
        .app("a", "its last good version", |app| app.digest.is_some())
        .await;
    let b = house
        .app("b", "its last good version", |app| app.digest.is_some())
        .await;
    assert_eq!(a.state, AppState::Degraded);
    assert!(a.error.unwrap().contains("did you mean \"address\"?"));
    let c = house.state("c", AppState::Waiting).await;
    let reason = c.error.unwrap();
    assert!(
        reason.contains("held by app a"),
        "a file in error keeps the claim of what served before: {reason}"
    );
    assert_eq!(b.state, AppState::Degraded);
    assert!(b.error.unwrap().contains("x/new can't be fetched"));
    house.answers(2, "b@x/b").await;
    assert!(house.world(|world| world.prepared.contains(&"b x/b Exactly(\"sha256:1\")".to_owned())));
    house.state("d", AppState::Failed).await;
    house.set("b", &app("x/b2", 2)).await;
    house.answers(2, "b@x/b2").await;
    house.state("b", AppState::Running).await;
}

#[tokio::test(start_paused = true)]
async fn shutdown_drains_every_app_and_aborts_what_does_not_end() {
    let mut house = House::new();
    house
        .change([set("a", &app("x/a", 1)), set("b", &app("x/b", 2))])
        .await;
    house.state("a", AppState::Running).await;
    house.state("b", AppState::Running).await;
    house.world(|world| world.drain = Duration::from_secs(100_000));
    let begun = Instant::now();
    house.handle.shutdown().await;
    assert!(
        begun.elapsed() >= DRAIN && begun.elapsed() < 2 * DRAIN,
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(house.fake.answer("127.0.0.1:1"), None);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_cannot_be_read_is_told_and_changes_nothing() {
    let mut house = House::new();
    house.set("a", &app("x/a", 1)).await;
    house.state("a", AppState::Running).await;
    house
        .updates
        .send(Update::Source(Some("gone".into())))
        .await
        .unwrap();
    let status = house
        .status("the problem", |status| status.source_problem.is_some())
        .await;
    assert_eq!(status.apps["a"].state, AppState::Running);
    house.updates.send(Update::Source(None)).await.unwrap();
    house
        .status("the end of it", |status| status.source_problem.is_none())
        .await;
    assert!(Path::new(house.data.path()).exists());
}

/// Real time and a real directory: from the file's events to the app behind its address.
#[tokio::test]
async fn files_in_a_directory_become_apps_behind_addresses() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("apps");
    let updates =
        crate::control::watch(&dir, crate::control::WatchOptions::default(), Arc::default()).unwrap();
    let fake = Fake::default();
    let data = Arc::new(tempfile::tempdir().unwrap());
    let settings = SupervisorSettings {
        drain_timeout: DRAIN,
        last_good_dir: data.path().join("apps"),
        history_dir: data.path().join("history"),
        pins_file: data.path().join("pins.json"),
        tls_addresses: Vec::new(),
    };
    let (handle, status) = Supervisor::start(fake.clone(), settings, updates);
    let (unused, _) = mpsc::channel(1);
    let mut house = House {
        fake,
        updates: unused,
        handle,
        status,
        data,
    };

    // The directory is created by the watch.
    let write = |name: &str, text: String| {
        let temporary = root.path().join("new");
        std::fs::write(&temporary, text).unwrap();
        while std::fs::rename(&temporary, dir.join(name)).is_err() {
            std::thread::yield_now();
        }
    };
    write("a.json", app("x/a", 1));
    write("b.json", app("x/b", 2));
    house.answers(1, "a@x/a").await;
    house.answers(2, "b@x/b").await;
    write("a.json", app("x/a2", 1));
    house.answers(1, "a@x/a2").await;
    std::fs::rename(dir.join("a.json"), dir.join("c.json")).unwrap();
    house.answers(1, "c@x/a2").await;
    house.gone("a").await;
    write("b.json", app("x/b", 1));
    house
        .app("b", "the reason", |app| {
            app.error.as_ref().is_some_and(|e| e.contains("held by app c"))
        })
        .await;
    write("c.json", app("x/a2", 2));
    house.answers(1, "b@x/b").await;
    house.answers(2, "c@x/a2").await;
    write("b.json", "{\"reference\": ".to_owned());
    house.state("b", AppState::Degraded).await;
    assert_eq!(house.closed(), [""; 0]);
    std::fs::remove_file(dir.join("b.json")).unwrap();
    house.gone("b").await;
    assert_eq!(house.closed(), ["127.0.0.1:1"]);
    house.handle.shutdown().await;
    assert_eq!(house.closed().len(), 2);
}

/// Whatever happens in whatever order, in the end each place that is asked for answers for one of those who ask.
#[tokio::test(start_paused = true)]
async fn any_series_of_changes_settles() {
    /// An address, more members of the file, and where that is.
    const PLACES: [(&str, &str, &[&str]); 7] = [
        ("127.0.0.1:1", "", &["127.0.0.1:1"]),
        (
            "127.0.0.1:1",
            r#", "host": ["a", "b"]"#,
            &["127.0.0.1:1 a", "127.0.0.1:1 b"],
        ),
        (
            "127.0.0.1:1",
            r#", "host": ["b", "c"]"#,
            &["127.0.0.1:1 b", "127.0.0.1:1 c"],
        ),
        (
            "127.0.0.1:2",
            r#", "host": "a", "path": "/x""#,
            &["127.0.0.1:2 a/x"],
        ),
        ("127.0.0.1:2", "", &["127.0.0.1:2"]),
        ("0.0.0.0:2", "", &["0.0.0.0:2"]),
        ("127.0.0.1:3", "", &["127.0.0.1:3"]),
    ];
    // A linear congruential generator: the same series in every run.
    let mut state = 7_u32;
    let mut below = |bound: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % bound
    };
    let house = House::new();
    let mut wanted: BTreeMap<String, usize> = BTreeMap::new();
    let answers = |fake: &Fake, place: usize, name: &str| {
        let mut spots = PLACES[place].2.iter();
        spots.all(|spot| {
            fake.answer(spot)
                .is_some_and(|who| who.split('@').next() == Some(name))
        })
    };
    for _ in 0..120 {
        for _ in 0..below(8) {
            let name = format!("app{}", below(6));
            match below(8) {
                0 => {
                    wanted.remove(&name);
                    house.change([removed(&name)]).await;
                }
                1 => {
                    if let Some((address, more, _)) = wanted.get(&name).map(|place| PLACES[*place]) {
                        house.set(&name, "{").await;
                        house.set(&name, &app_with("x/same", address, more)).await;
                    }
                }
                2 => {
                    if wanted
                        .get(&name)
                        .is_some_and(|place| answers(&house.fake, *place, &name))
                    {
                        house.fake.crash(&name);
                    }
                }
                _ => {
                    let place = below(PLACES.len() as u32) as usize;
                    let reference = format!("x/v{}", below(4));
                    house.world(|world| world.failing.insert(reference.clone(), below(3) as usize));
                    wanted.insert(name.clone(), place);
                    let (address, more, _) = PLACES[place];
                    house.set(&name, &app_with(&reference, address, more)).await;
                }
            }
            for _ in 0..below(30) {
                tokio::task::yield_now().await;
            }
        }
        let status = house.status.clone();
        house
            .until("rest", |fake| {
                let apps = &status.borrow().apps;
                let rests = |(name, place): (&String, &usize)| {
                    let app = &apps[name];
                    let waits = app
                        .error
                        .as_ref()
                        .is_some_and(|error| error.contains("held by app"));
                    (app.state == AppState::Running && answers(fake, *place, name)) || waits
                };
                let asked_for =
                    |(_, who): &(u64, String)| wanted.contains_key(who.split('@').next().unwrap());
                let all_asked_for = fake.world(|world| world.open.values().all(asked_for));
                apps.keys().eq(wanted.keys()) && wanted.iter().all(rests) && all_asked_for
            })
            .await;
    }
}

fn at(reference: &str, hosts: &[&str]) -> String {
    app_with(reference, "127.0.0.1:1", &format!(", \"host\": {hosts:?}"))
}

#[tokio::test(start_paused = true)]
async fn apps_of_different_hosts_share_an_address_and_a_second_claim_of_one_waits() {
    let mut house = House::new();
    house
        .change([
            set("a", &at("x/a", &["a"])),
            set("b", &at("x/b", &["b"])),
            set("c", &at("x/c", &["c", "b"])),
        ])
        .await;
    house.state("a", AppState::Running).await;
    let status = house.state("b", AppState::Running).await;
    assert_eq!(status.sites, ["b"]);
    let reason = house.state("c", AppState::Waiting).await.error.unwrap();
    assert!(
        reason.starts_with("b at address 127.0.0.1:1 is held by app b (b.json)"),
        "{reason}"
    );
    house.change([removed("b")]).await;
    house.state("c", AppState::Running).await;
    assert_eq!(
        house.fake.answer("127.0.0.1:1 b").as_deref(),
        Some("c@x/c#sha256:1")
    );
    assert_eq!(house.closed(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_split_keeps_each_host_open_until_its_new_file_serves_it() {
    let mut house = House::new();
    house.set("old", &at("x/old", &["a", "b", "c"])).await;
    house.state("old", AppState::Running).await;
    house.world(|world| world.stuck.push("x/slow".into()));
    house
        .change([
            removed("old"),
            set("a", &at("x/a", &["a"])),
            set("b", &at("x/slow", &["b"])),
            set("c", &at("x/c", &["c"])),
        ])
        .await;
    for name in ["a", "c"] {
        house.state(name, AppState::Running).await;
    }
    assert_eq!(
        house.fake.answer("127.0.0.1:1 b").as_deref(),
        Some("old@x/old#sha256:1")
    );
    house.set("b", &at("x/b", &["b"])).await;
    for name in ["a", "b", "c"] {
        house.state(name, AppState::Running).await;
        let answer = house.fake.answer(&format!("127.0.0.1:1 {name}"));
        assert_eq!(answer, Some(format!("{name}@x/{name}#sha256:1")));
    }
    house.gone("old").await;
    assert_eq!(house.closed(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_host_given_up_by_an_edit_stays_open_until_the_app_that_waits_for_it_has_it() {
    let mut house = House::new();
    house.set("a", &at("x/a", &["a", "b"])).await;
    house.state("a", AppState::Running).await;
    house.world(|world| world.stuck.push("x/b".into()));
    house.set("b", &at("x/b", &["b"])).await;
    house.state("b", AppState::Waiting).await;
    house.set("a", &at("x/a2", &["a"])).await;
    house
        .until("the new version of a", |fake| {
            fake.answer("127.0.0.1:1 a").as_deref() == Some("a@x/a2#sha256:1")
        })
        .await;
    assert_eq!(
        house.fake.answer("127.0.0.1:1 b").as_deref(),
        Some("a@x/a#sha256:1")
    );
    house.set("b", &at("x/b2", &["b"])).await;
    house.state("b", AppState::Running).await;
    assert_eq!(
        house.fake.answer("127.0.0.1:1 b").as_deref(),
        Some("b@x/b2#sha256:1")
    );
    assert_eq!(house.closed(), [""; 0]);
    // Nobody waits for this one: it closes.
    house.set("a", &at("x/a2", &["new"])).await;
    house
        .until("the old host's end", |fake| {
            fake.answer("127.0.0.1:1 a").is_none()
        })
        .await;
    assert_eq!(house.closed(), ["127.0.0.1:1 a"]);
}

#[tokio::test(start_paused = true)]
async fn an_app_that_loses_one_of_its_hosts_and_can_not_move_goes_on_with_the_others() {
    let mut house = House::new();
    house.set("a", &at("x/a", &["a", "b"])).await;
    house.state("a", AppState::Running).await;
    house.world(|world| world.failing.insert("x/bad".into(), usize::MAX));
    house
        .change([set("a", &at("x/bad", &["a"])), set("b", &at("x/b", &["b"]))])
        .await;
    house.state("b", AppState::Running).await;
    house.state("a", AppState::Degraded).await;
    assert_eq!(
        house.fake.answer("127.0.0.1:1 a").as_deref(),
        Some("a@x/a#sha256:1")
    );
    assert_eq!(
        house.fake.answer("127.0.0.1:1 b").as_deref(),
        Some("b@x/b#sha256:1")
    );
}

#[tokio::test(start_paused = true)]
async fn a_wider_address_waits_for_every_app_of_the_narrow_one() {
    let mut house = House::new();
    house
        .change([
            set("a", &at("x/a", &["a"])),
            set("b", &at("x/b", &["b"])),
            set("wide", &app_with("x/w", "0.0.0.0:1", ", \"host\": \"w\"")),
        ])
        .await;
    let reason = house.state("wide", AppState::Waiting).await.error.unwrap();
    assert!(
        reason.contains("can't be open beside 127.0.0.1:1, which is held by app a (a.json)"),
        "{reason}"
    );
    house.change([removed("a")]).await;
    house
        .app("wide", "the next reason", |app| {
            app.error
                .as_ref()
                .is_some_and(|error| error.contains("held by app b"))
        })
        .await;
    house.change([removed("b")]).await;
    house.state("wide", AppState::Running).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_apps_deleted_while_nobody_watched_goes_once_the_source_has_been_read() {
    let mut house = House::new();
    let apps = house.data.path().join("apps");
    let left = apps.join("gone.json");
    std::fs::create_dir(&apps).unwrap();
    std::fs::write(&left, "{}").unwrap();
    let unreadable = Update::Source(Some("it can't be listed".to_owned()));
    house.updates.send(unreadable).await.unwrap();
    house.change([]).await;
    tokio::time::sleep(10 * SETTLED).await;
    assert!(left.exists() && house.world(|world| world.retained.is_empty()));

    house.updates.send(Update::Source(None)).await.unwrap();
    house.set("a", &app("x/a", 1)).await;
    house.state("a", AppState::Running).await;
    tokio::time::sleep(2 * SETTLED).await;
    assert_eq!(house.world(|world| world.retained.clone()), [[AppId::new("a")]]);
    house.until("the end of what was left", |_| !left.exists()).await;
    assert!(apps.join("a.json").exists());
}

fn command(reference: &str) -> String {
    format!("{{\"reference\": \"{reference}\"}}")
}

#[tokio::test(start_paused = true)]
async fn a_command_runs_once_for_each_version_of_its_file_also_across_restarts() {
    let mut house = House::new();
    house.world(|world| world.commands.insert("job:1".to_owned(), Ok(())));
    house.set("job", &command("job:1")).await;
    house.state("job", AppState::Completed).await;
    // The same content again is no new version.
    house.set("job", &command("job:1")).await;
    house.handle.shutdown().await;
    let mut house = House::after_restart(house.data.clone(), house.fake.clone());
    house.set("job", &command("job:1")).await;
    house.state("job", AppState::Completed).await;
    assert_eq!(house.world(|world| world.commanded), 1);

    assert!(house.handle.redeploy(AppId::new("job")).await);
    house
        .until("another run", |fake| fake.world(|world| world.commanded == 2))
        .await;
    let edited = r#"{"reference": "job:1", "environment": {"A": "b"}}"#;
    house.set("job", edited).await;
    house
        .until("another run", |fake| fake.world(|world| world.commanded == 3))
        .await;
    house.state("job", AppState::Completed).await;
}

#[tokio::test(start_paused = true)]
async fn a_command_that_fails_is_shown_and_not_run_again() {
    let mut house = House::new();
    house.world(|world| {
        world
            .commands
            .insert("job:1".to_owned(), Err("exit code 3".to_owned()))
    });
    house.set("job", &command("job:1")).await;
    let status = house.state("job", AppState::Failed).await;
    assert_eq!(status.error.as_deref(), Some("exit code 3"));
    assert_eq!(status.next_try, None);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(house.world(|world| world.commanded), 1);
}
