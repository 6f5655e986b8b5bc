use wasmtime::component::Resource;

use super::super::bindings::wasi::keyvalue::{atomics, batch, store};
use super::super::wasi::Cas;
use super::super::{OpenStore, sqlite::Databases, store::Store};
use super::app::App;
use crate::runtime::HostState;
use atomics::{CasError, HostCas};
use store::{Error, HostBucket};

async fn open(guest: &mut HostState) -> Resource<OpenStore> {
    store::Host::open(guest, "default".into()).await.unwrap().unwrap()
}

fn again<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(resource.rep())
}

async fn new_cas(guest: &mut HostState, bucket: &Resource<OpenStore>) -> Resource<Cas> {
    HostCas::new(guest, again(bucket), "k".into())
        .await
        .unwrap()
        .unwrap()
}

async fn get(guest: &mut HostState, bucket: &Resource<OpenStore>) -> Option<Vec<u8>> {
    HostBucket::get(guest, again(bucket), "k".into())
        .await
        .unwrap()
        .unwrap()
}

async fn set(guest: &mut HostState, bucket: &Resource<OpenStore>, value: &str) {
    let set = HostBucket::set(guest, again(bucket), "k".into(), value.into());
    set.await.unwrap().unwrap();
}

#[tokio::test]
async fn keys_come_all_at_once_and_a_cursor_is_refused() {
    let mut guest = App::new().instance(&["default"]).await;
    let guest = &mut guest;
    let bucket = open(guest).await;
    set(guest, &bucket, "1").await;
    let response = HostBucket::list_keys(guest, again(&bucket), None)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((response.keys, response.cursor), (vec!["k".to_string()], None));
    let refused = HostBucket::list_keys(guest, again(&bucket), Some(String::new()))
        .await
        .unwrap();
    assert!(matches!(refused, Err(Error::Other(text)) if text == "list_keys: cursor not supported"));
}

#[tokio::test]
async fn other_labels_are_denied() {
    let mut guest = App::new().instance(&["default"]).await;
    let denied = store::Host::open(&mut guest, "x".into()).await.unwrap();
    assert!(matches!(denied, Err(Error::AccessDenied)));
}

#[tokio::test]
async fn nothing_is_asked_of_a_backend_for_no_keys() {
    let app = App::new();
    // A store that can't work.
    std::fs::create_dir(app.state_dir().join("sqlite_key_value.db")).unwrap();
    let mut guest = app.instance(&["default"]).await;
    let guest = &mut guest;
    let bucket = open(guest).await;
    let got = batch::Host::get_many(guest, again(&bucket), Vec::new())
        .await
        .unwrap();
    assert!(got.unwrap().is_empty());
    batch::Host::set_many(guest, again(&bucket), Vec::new())
        .await
        .unwrap()
        .unwrap();
    batch::Host::delete_many(guest, again(&bucket), Vec::new())
        .await
        .unwrap()
        .unwrap();
    let keys = vec!["k".to_string()];
    assert!(
        batch::Host::get_many(guest, again(&bucket), keys)
            .await
            .unwrap()
            .is_err()
    );
}

#[tokio::test]
async fn many_values_come_with_none_for_what_is_missing() {
    let mut guest = App::new().instance(&["default"]).await;
    let guest = &mut guest;
    let bucket = open(guest).await;
    let pairs = vec![("b".to_string(), b"1".to_vec()), ("a".into(), Vec::new())];
    batch::Host::set_many(guest, again(&bucket), pairs)
        .await
        .unwrap()
        .unwrap();
    let keys = ["a", "x", "b"].map(String::from).to_vec();
    let found = batch::Host::get_many(guest, again(&bucket), keys)
        .await
        .unwrap()
        .unwrap();
    let expected = [
        ("a".to_string(), Some(Vec::new())),
        ("x".into(), None),
        ("b".into(), Some(b"1".to_vec())),
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn an_increment_of_no_number_is_an_error() {
    let mut guest = App::new().instance(&["default"]).await;
    let guest = &mut guest;
    let bucket = open(guest).await;
    for expected in [5, 10] {
        let increment = atomics::Host::increment(guest, again(&bucket), "k".into(), 5);
        assert_eq!(increment.await.unwrap().unwrap(), expected);
    }
    set(guest, &bucket, "5").await;
    let increment = atomics::Host::increment(guest, again(&bucket), "k".into(), 5);
    assert!(matches!(increment.await.unwrap(), Err(Error::Other(_))));
}

#[tokio::test]
async fn a_swap_fails_with_a_handle_that_knows_the_new_value() {
    let mut guest = App::new().instance(&["default"]).await;
    let guest = &mut guest;
    let bucket = open(guest).await;
    set(guest, &bucket, "1").await;
    let cas = new_cas(guest, &bucket).await;
    assert_eq!(
        HostCas::current(guest, again(&cas))
            .await
            .unwrap()
            .unwrap()
            .unwrap(),
        b"1"
    );
    set(guest, &bucket, "2").await;
    let failed = atomics::Host::swap(guest, cas, b"3".to_vec()).await.unwrap();
    let Err(CasError::CasFailed(cas)) = failed else {
        panic!("{failed:?}");
    };
    assert_eq!(get(guest, &bucket).await.unwrap(), b"2");
    // Without asking for the current value again.
    atomics::Host::swap(guest, cas, b"3".to_vec())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(get(guest, &bucket).await.unwrap(), b"3");
}

#[tokio::test]
async fn a_key_that_was_missing_must_still_be_missing() {
    let mut guest = App::new().instance(&["default"]).await;
    let guest = &mut guest;
    let bucket = open(guest).await;
    let cas = new_cas(guest, &bucket).await;
    assert_eq!(HostCas::current(guest, again(&cas)).await.unwrap().unwrap(), None);
    set(guest, &bucket, "").await;
    let failed = atomics::Host::swap(guest, cas, b"1".to_vec()).await.unwrap();
    assert!(matches!(failed, Err(CasError::CasFailed(_))));
}

#[tokio::test]
async fn a_swap_without_a_look_before_takes_whatever_is_there() {
    let mut guest = App::new().instance(&["default"]).await;
    let guest = &mut guest;
    let bucket = open(guest).await;
    for value in ["1", "2"] {
        let cas = new_cas(guest, &bucket).await;
        let rep = cas.rep();
        atomics::Host::swap(guest, cas, value.into())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(get(guest, &bucket).await.unwrap(), value.as_bytes());
        // The handle is used up.
        assert!(HostCas::current(guest, Resource::new_borrow(rep)).await.is_err());
    }
}

#[tokio::test]
async fn the_values_behind_open_handles_are_limited_together() {
    let mut guest = App::new().instance(&["default"]).await;
    let guest = &mut guest;
    let bucket = open(guest).await;
    set(guest, &bucket, &"v".repeat(50 << 20)).await;
    let mut handles = Vec::new();
    for _ in 0..3 {
        handles.push(new_cas(guest, &bucket).await);
    }
    let current = async |guest: &mut HostState, cas: Resource<Cas>| {
        let current = HostCas::current(guest, cas).await.unwrap();
        current.map(|value| value.unwrap().len())
    };
    for cas in [0, 1, 1] {
        assert_eq!(current(guest, again(&handles[cas])).await.unwrap(), 50 << 20);
    }
    let too_many = current(guest, again(&handles[2])).await;
    assert!(matches!(too_many, Err(Error::Other(text)) if text == crate::host::limits::TOO_LARGE));
    HostCas::drop(guest, handles.remove(0)).await.unwrap();
    assert_eq!(current(guest, again(&handles[1])).await.unwrap(), 50 << 20);
    // A swap gives its place back.
    atomics::Host::swap(guest, handles.remove(0), b"1".to_vec())
        .await
        .unwrap()
        .unwrap();
    let cas = new_cas(guest, &bucket).await;
    assert_eq!(current(guest, cas).await.unwrap(), 1);
}

#[tokio::test]
async fn a_swap_in_a_broken_store_is_a_store_error() {
    let app = App::new();
    std::fs::create_dir(app.state_dir().join("sqlite_key_value.db")).unwrap();
    let mut guest = app.instance(&["default"]).await;
    let guest = &mut guest;
    let bucket = open(guest).await;
    let cas = new_cas(guest, &bucket).await;
    let failed = atomics::Host::swap(guest, cas, Vec::new()).await.unwrap();
    assert!(matches!(failed, Err(CasError::StoreError(Error::Other(_)))));
}

#[tokio::test]
async fn the_versions_of_the_interface_share_their_stores() {
    let app = App::new();
    let mut guest = app.instance(&["default"]).await;
    let guest = &mut guest;
    let bucket = open(guest).await;
    set(guest, &bucket, "1").await;
    let path = app.state_dir().join("sqlite_key_value.db");
    let outside = Databases::default().file(&path, "default");
    assert_eq!(outside.get("k").await.unwrap().unwrap(), b"1");
}
