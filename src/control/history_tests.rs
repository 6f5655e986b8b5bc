use super::*;

/// Each version's number in order of time, with how it ended.
fn told(history: &History) -> Vec<(u64, &str)> {
    let versions = history.versions.iter().rev();
    versions
        .map(|v| (v.version, v.ended.map_or("serves", VersionEnd::as_str)))
        .collect()
}

fn serve(history: &mut History, digest: &str) -> bool {
    let digest = format!("sha256:{digest}");
    history.begin("x/a", &digest, VersionEnd::Replaced, Vec::new(), "now")
}

#[test]
fn a_version_keeps_its_number_and_what_is_as_it_was_is_no_news() {
    let mut history = History::default();
    assert!(serve(&mut history, "aa"));
    assert!(!serve(&mut history, "aa"));
    assert!(serve(&mut history, "bb"));
    assert!(history.begin("x/a", "sha256:aa", VersionEnd::RolledBack, Vec::new(), "now"));
    assert!(history.begin("x/other", "sha256:aa", VersionEnd::Replaced, Vec::new(), "now"));
    assert_eq!(
        told(&history),
        [
            (1, "replaced"),
            (2, "rolled-back"),
            (1, "replaced"),
            (3, "serves")
        ]
    );
}

#[test]
fn crashes_are_counted_and_a_stop_is_an_end() {
    let mut history = History::default();
    serve(&mut history, "aa");
    for _ in 0..3 {
        assert!(history.end(VersionEnd::Crashed, "then"));
        assert!(!history.end(VersionEnd::Stopped, "later"), "it has ended");
        assert!(serve(&mut history, "aa"));
    }
    assert_eq!((history.versions.len(), history.versions[0].crashes), (1, 3));
    history.end(VersionEnd::Stopped, "then");
    serve(&mut history, "aa");
    assert_eq!(told(&history), [(1, "stopped"), (1, "serves")]);
}

#[test]
fn what_was_refused_stands_with_the_version_that_served_on() {
    let mut refused = Vec::new();
    for number in 0..9 {
        refuse(
            &mut refused,
            Some("x/a".into()),
            &format!("reason {number}"),
            "then".into(),
        );
    }
    refuse(&mut refused, Some("x/a".into()), "reason 8", "later".into());
    assert_eq!((refused.len(), refused[4].at.as_str()), (KEPT_REFUSALS, "then"));
    let mut history = History::default();
    serve(&mut history, "aa");
    history.begin("x/a", "sha256:bb", VersionEnd::Replaced, refused.clone(), "now");
    assert_eq!(history.versions[1].refused, refused);
    assert!(history.versions[0].refused.is_empty());
}

#[test]
fn the_oldest_is_dropped_but_no_version_for_one_that_served_twice() {
    let mut history = History::default();
    for number in 1..=3 {
        serve(&mut history, &number.to_string());
    }
    for _ in 0..KEPT {
        serve(&mut history, "1");
        serve(&mut history, "2");
    }
    assert_eq!(history.versions.len(), KEPT);
    assert!(history.versions.iter().any(|entry| entry.version == 3));
    for number in 10..=10 + KEPT {
        serve(&mut history, &number.to_string());
    }
    assert_eq!(history.versions.len(), KEPT);
    let numbers: BTreeSet<_> = history.versions.iter().map(|entry| entry.version).collect();
    assert_eq!(numbers.len(), KEPT, "each is another version");
    assert_eq!(history.versions[0].version, 3 + KEPT as u64 + 1);
}

#[test]
fn a_version_is_chosen_by_number_by_digest_or_as_the_one_before() {
    let mut history = History::default();
    assert_eq!(history.choose(None, None), Err(NoVersion::NothingBefore));
    for digest in ["a1", "a2", "b3"] {
        serve(&mut history, digest);
    }
    let choose = |wanted, pinned| history.choose(wanted, pinned).map(|v| v.version);
    assert_eq!(choose(None, None), Ok(2));
    assert_eq!(choose(Some("previous"), None), Ok(2));
    assert_eq!(choose(Some("1"), None), Ok(1));
    assert_eq!(choose(Some("B3"), None), Ok(3));
    assert_eq!(choose(Some("sha256:a2"), None), Ok(2));
    assert_eq!(choose(Some("a"), None), Err(NoVersion::Ambiguous("a".into())));
    for unknown in ["4", "c", "", "sha256:"] {
        assert_eq!(
            choose(Some(unknown), None),
            Err(NoVersion::Unknown(unknown.into()))
        );
    }
}

#[test]
fn going_back_again_goes_further_back() {
    let mut history = History::default();
    for digest in ["1", "2", "3"] {
        serve(&mut history, digest);
    }
    history.begin("x/a", "sha256:2", VersionEnd::RolledBack, Vec::new(), "now");
    assert_eq!(history.choose(None, Some(2)).map(|v| v.version), Ok(1));
    history.begin("x/a", "sha256:1", VersionEnd::RolledBack, Vec::new(), "now");
    assert_eq!(history.choose(None, Some(1)), Err(NoVersion::NothingBefore));
    serve(&mut history, "3");
    assert_eq!(history.choose(None, None).map(|v| v.version), Ok(1));
}
