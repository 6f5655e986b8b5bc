use super::super::bindings::fermyon::spin::key_value::{Error, Host};
use super::app::App;
use crate::runtime::HostState;

#[tokio::test]
async fn a_missing_key_is_an_error_of_its_own() {
    let mut guest = App::new().instance(&["default"]).await;
    let guest = &mut guest;
    let store = Host::open(guest, "default".into()).await.unwrap().unwrap();
    let get = async |guest: &mut HostState, key: &str| Host::get(guest, store, key.into()).await.unwrap();
    assert!(matches!(get(guest, "k").await, Err(Error::NoSuchKey)));
    Host::set(guest, store, "k".into(), Vec::new())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(get(guest, "k").await.unwrap(), Vec::<u8>::new());
    assert!(Host::exists(guest, store, "k".into()).await.unwrap().unwrap());
    assert_eq!(Host::get_keys(guest, store).await.unwrap().unwrap(), ["k"]);
    Host::delete(guest, store, "k".into()).await.unwrap().unwrap();
    assert!(matches!(get(guest, "k").await, Err(Error::NoSuchKey)));
}

#[tokio::test]
async fn a_handle_that_is_not_open_traps_and_closing_it_is_ignored() {
    let mut guest = App::new().instance(&["default"]).await;
    let guest = &mut guest;
    assert!(Host::get(guest, 0, "k".into()).await.is_err());
    Host::close(guest, 0).await.unwrap();
    let store = Host::open(guest, "default".into()).await.unwrap().unwrap();
    Host::close(guest, store).await.unwrap();
    Host::close(guest, store).await.unwrap();
    assert!(Host::set(guest, store, "k".into(), Vec::new()).await.is_err());
    assert!(Host::get_keys(guest, store).await.is_err());
}

#[tokio::test]
async fn handles_are_apart_and_limited() {
    let mut guest = App::new().instance(&["default"]).await;
    let guest = &mut guest;
    let first = Host::open(guest, "default".into()).await.unwrap().unwrap();
    let second = Host::open(guest, "default".into()).await.unwrap().unwrap();
    assert_ne!(first, second);
    Host::close(guest, first).await.unwrap();
    Host::exists(guest, second, "k".into()).await.unwrap().unwrap();
    let mut open = 1;
    let error = loop {
        match Host::open(guest, "default".into()).await.unwrap() {
            Ok(_) => open += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::StoreTableFull) && open == 65_536);
    Host::close(guest, second).await.unwrap();
    Host::open(guest, "default".into()).await.unwrap().unwrap();
}

#[tokio::test]
async fn other_labels_are_denied_and_failures_are_io() {
    let app = App::new();
    let mut guest = app.instance(&["default"]).await;
    let guest = &mut guest;
    let denied = Host::open(guest, String::new()).await.unwrap();
    assert!(matches!(denied, Err(Error::AccessDenied)));
    std::fs::create_dir(app.state_dir().join("sqlite_key_value.db")).unwrap();
    let store = Host::open(guest, "default".into()).await.unwrap().unwrap();
    let error = Host::get(guest, store, "k".into()).await.unwrap();
    assert!(matches!(error, Err(Error::Io(text)) if text.contains("unable to open")));
}
