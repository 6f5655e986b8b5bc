//! What served, and going back to it.

use super::*;
use crate::control::history::VersionEnd;

/// A digest that is one.
fn digest(number: u8) -> String {
    format!("sha256:{}", hex::encode([number; 32]))
}

impl House {
    /// Where a reference points, now and when it was last asked.
    fn points(&self, reference: &str, number: u8) {
        self.world(|world| {
            world.stored.insert(reference.into(), digest(number));
            world.digests.insert(reference.into(), digest(number));
        });
    }

    /// Three references, each with content of its own.
    fn with_three() -> House {
        let house = House::new();
        for (number, reference) in ["x/one", "x/two", "x/three"].into_iter().enumerate() {
            house.points(reference, number as u8 + 1);
        }
        house
    }

    /// Serves one after the other.
    async fn serve(&mut self, references: &[&str]) {
        for reference in references {
            self.set("a", &app(reference, 1)).await;
            self.answers(1, &format!("a@{reference}#")).await;
            let state = self.state("a", AppState::Running);
            assert_eq!(state.await.reference.as_deref(), Some(*reference));
        }
    }

    async fn roll_back(&self, version: Option<&str>) -> Result<u64, Refusal> {
        let version = version.map(str::to_owned);
        let pinned = self.handle.roll_back(AppId::new("a"), version).await?;
        assert_eq!(self.status.borrow().apps["a"].pinned.as_deref(), Some(&pinned));
        assert_eq!(
            self.status.borrow().apps["a"].digest.as_deref(),
            Some(&*pinned.digest)
        );
        Ok(pinned.version)
    }

    /// Each version's number in order of time, with how it ended.
    async fn told(&self) -> Vec<(u64, &'static str)> {
        let history = self.handle.history(AppId::new("a")).await.unwrap();
        let versions = history.versions.iter().rev();
        versions
            .map(|v| (v.version, v.ended.map_or("serves", VersionEnd::as_str)))
            .collect()
    }

    async fn restart(self) -> House {
        self.handle.shutdown().await;
        House::after_restart(self.data.clone(), self.fake.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn an_app_goes_back_to_what_served_and_stays_there_until_its_file_changes() {
    let mut house = House::with_three();
    house.serve(&["x/one", "x/two", "x/three"]).await;
    assert_eq!(
        house.told().await,
        [(1, "replaced"), (2, "replaced"), (3, "serves")]
    );

    assert_eq!(house.roll_back(None).await, Ok(2));
    house.answers(1, &format!("a@x/two#{}", digest(2))).await;
    let status = house.state("a", AppState::Running).await;
    assert_eq!(
        status.reference.as_deref(),
        Some("x/three"),
        "as the file says it"
    );
    assert_eq!(house.roll_back(None).await, Ok(1), "further back");
    assert_eq!(
        house.told().await[2..],
        [(3, "rolled-back"), (2, "rolled-back"), (1, "serves")]
    );

    // Neither a tag that moves, nor a redeploy, nor the same text again.
    house.points("x/one", 9);
    assert!(house.handle.redeploy(AppId::new("a")).await);
    house.set("a", &app("x/three", 1)).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    house.answers(1, &format!("a@x/one#{}", digest(1))).await;

    assert_eq!(house.closed(), [""; 0]);
    let before = house.told().await;
    let mut house = house.restart().await;
    house.world(|world| world.closed.clear());
    house.set("a", &app("x/three", 1)).await;
    let status = house.state("a", AppState::Running).await;
    assert_eq!(
        (
            status.pinned.map(|pinned| pinned.version),
            status.digest.as_deref()
        ),
        (Some(1), Some(&*digest(1)))
    );
    assert_eq!(house.told().await, before);
    house.set("a", "{").await;
    assert!(house.state("a", AppState::Degraded).await.pinned.is_some());
    house.answers(1, "a@x/one").await;
    house
        .set(
            "a",
            &app_with("x/three", "127.0.0.1:1", ", \"drain_timeout\": \"3s\""),
        )
        .await;
    house.answers(1, "a@x/three").await;
    house
        .app("a", "the end of the pin", |app| app.pinned.is_none())
        .await;
    let undone = house.handle.undo_rollback(AppId::new("a")).await;
    assert_eq!(undone, Err(Refusal::NotPinned(AppId::new("a"))));
    assert_eq!(house.closed(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_pin_that_is_undone_serves_what_the_file_asks_for() {
    let mut house = House::with_three();
    house.serve(&["x/one", "x/two"]).await;
    assert_eq!(house.roll_back(Some("1")).await, Ok(1));
    house.handle.undo_rollback(AppId::new("a")).await.unwrap();
    house
        .app("a", "what the file asks for", |app| {
            app.pinned.is_none() && app.digest.as_deref() == Some(&*digest(2))
        })
        .await;
    house.answers(1, &format!("a@x/two#{}", digest(2))).await;
    assert_eq!(
        house.told().await,
        [
            (1, "replaced"),
            (2, "rolled-back"),
            (1, "replaced"),
            (2, "serves")
        ]
    );
    let mut house = house.restart().await;
    house.set("a", &app("x/two", 1)).await;
    let status = house.state("a", AppState::Running).await;
    assert_eq!(
        (status.pinned, status.digest.as_deref()),
        (None, Some(&*digest(2)))
    );
}

#[tokio::test(start_paused = true)]
async fn what_never_served_or_cant_be_had_is_refused_and_changes_nothing() {
    let mut house = House::with_three();
    house.serve(&["x/one", "x/two"]).await;
    house.world(|world| world.failing.insert("x/one".into(), 1));
    let before = house.status.borrow().clone();
    let refused = house.roll_back(Some("1")).await.unwrap_err();
    assert!(
        refused.to_string().contains("x/one can't be fetched"),
        "{refused}"
    );
    for unknown in ["7", &digest(3)] {
        let refused = house.roll_back(Some(unknown)).await.unwrap_err();
        assert!(matches!(refused, Refusal::NeverServed { .. }), "{refused}");
    }
    let nobody = house.handle.roll_back(AppId::new("nobody"), None).await;
    assert_eq!(nobody, Err(Refusal::NoSuchApp(AppId::new("nobody"))));
    assert_eq!(*house.status.borrow(), before);
    assert_eq!(house.told().await, [(1, "replaced"), (2, "serves")]);
    assert_eq!(house.roll_back(Some(&digest(1)[..12])).await, Ok(1));

    let off = app_with("x/two", "127.0.0.1:1", ", \"enabled\": false");
    house.set("a", &off).await;
    house.state("a", AppState::Disabled).await;
    assert_eq!(
        house.roll_back(None).await,
        Err(Refusal::Disabled(AppId::new("a")))
    );
    assert_eq!(house.told().await.last(), Some(&(1, "stopped")));
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_stuck_or_refused_is_given_up_for_the_one_before() {
    let mut house = House::with_three();
    house.serve(&["x/one", "x/two"]).await;
    house.world(|world| world.stuck.push("x/slow".into()));
    house.set("a", &app("x/slow", 1)).await;
    // Files and commands come by ways of their own.
    let is_slow = |app: &AppStatus| app.reference.as_deref() == Some("x/slow");
    house.app("a", "the slow one", is_slow).await;
    assert_eq!(house.roll_back(Some("2")).await, Ok(2));
    house.world(|world| world.failing.insert("x/bad".into(), usize::MAX));
    house.set("a", &app("x/bad", 1)).await;
    house.state("a", AppState::Degraded).await;
    assert_eq!(house.roll_back(None).await, Ok(1));
    let status = house.state("a", AppState::Running).await;
    assert_eq!((status.error, status.next_try), (None, None));
    let history = house.handle.history(AppId::new("a")).await.unwrap();
    let refused = &history.versions[1].refused;
    assert_eq!(refused[0].reference.as_deref(), Some("x/bad"));
    assert_eq!((refused.len(), history.refused.len()), (1, 0));
    assert_eq!(house.closed(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_edit_comes_before_a_rollback_that_is_under_way() {
    let mut house = House::with_three();
    house.serve(&["x/one", "x/two"]).await;
    house.world(|world| world.stuck.push("x/one".into()));
    let handle = house.handle.clone();
    let asked = tokio::spawn(async move { handle.roll_back(AppId::new("a"), None).await });
    house
        .until("its preparation", |fake| {
            fake.world(|world| world.prepared.last().is_some_and(|last| last.contains("x/one")))
        })
        .await;
    house.serve(&["x/three"]).await;
    assert_eq!(asked.await.unwrap(), Err(Refusal::Superseded));
    assert!(house.status.borrow().apps["a"].pinned.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_place_that_cant_be_had_refuses_the_rollback_as_well() {
    let mut house = House::with_three();
    house.serve(&["x/one", "x/two"]).await;
    // Another process has come between: nobody can take the address any more.
    house.world(|world| world.foreign.push("127.0.0.1:1".into()));
    let refused = house.roll_back(None).await.unwrap_err();
    assert!(refused.to_string().contains("127.0.0.1:1 is in use"), "{refused}");
    let status = house.status.borrow().apps["a"].clone();
    assert_eq!((&status.pinned, status.state), (&None, AppState::Running));
    assert_eq!(
        house.fake.answer("127.0.0.1:1"),
        Some(format!("a@x/two#{}", digest(2)))
    );
}

#[tokio::test(start_paused = true)]
async fn ends_are_told_by_their_kind_and_a_restart_is_none() {
    let mut house = House::with_three();
    house.serve(&["x/one"]).await;
    for _ in 0..2 {
        house.fake.crash("a");
        house.state("a", AppState::Failed).await;
        assert_eq!(house.told().await, [(1, "crashed")]);
        house.state("a", AppState::Running).await;
    }
    let history = house.handle.history(AppId::new("a")).await.unwrap();
    assert_eq!((history.versions.len(), history.versions[0].crashes), (1, 2));

    let mut house = house.restart().await;
    house.serve(&["x/one"]).await;
    assert_eq!(house.told().await, [(1, "serves")]);
    // It moves to a place that is taken, and another app takes its own.
    house.set("b", &app("x/two", 2)).await;
    house.state("b", AppState::Running).await;
    house
        .change([set("a", &app("x/one", 2)), set("c", &app("x/three", 1))])
        .await;
    house.state("c", AppState::Running).await;
    house.state("a", AppState::Waiting).await;
    assert_eq!(house.told().await, [(1, "displaced")]);
    let refused = house.roll_back(Some("1")).await.unwrap_err();
    assert!(refused.to_string().contains("held by app b"), "{refused}");
    house.change([removed("a")]).await;
    house.gone("a").await;
    house.change([removed("b")]).await;
    house.gone("b").await;
    // A deleted app has left nothing behind.
    house.set("a", &app("x/two", 2)).await;
    house.state("a", AppState::Running).await;
    assert_eq!(house.told().await, [(1, "serves")]);
}

#[tokio::test(start_paused = true)]
async fn the_databases_of_an_app_are_copied_whether_it_serves_or_not() {
    let mut house = House::with_three();
    house.serve(&["x/one"]).await;
    let backup = house.handle.back_up(AppId::new("a")).await.unwrap();
    assert_eq!(backup.size, 1);
    house.set("b", "{").await;
    house.state("b", AppState::Failed).await;
    let refused = house.handle.back_up(AppId::new("b")).await.unwrap_err();
    assert_eq!(refused, Refusal::NoFile(AppId::new("b")));
}
