use super::super::bindings::fermyon::spin2_0_0::key_value::{Error, HostStore};
use super::app::App;
use wasmtime::component::Resource;

#[tokio::test]
async fn a_store_does_what_its_functions_say() {
    let mut guest = App::new().instance(&["default"]).await;
    let guest = &mut guest;
    let store = HostStore::open(guest, "default".into()).await.unwrap().unwrap();
    let again = || Resource::new_borrow(store.rep());
    let key = || "k\0".to_string();
    assert_eq!(
        HostStore::get(guest, again(), key()).await.unwrap().unwrap(),
        None
    );
    HostStore::set(guest, again(), key(), Vec::new())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        HostStore::get(guest, again(), key()).await.unwrap().unwrap(),
        Some(Vec::new())
    );
    assert!(HostStore::exists(guest, again(), key()).await.unwrap().unwrap());
    assert_eq!(
        HostStore::get_keys(guest, again()).await.unwrap().unwrap(),
        [key()]
    );
    HostStore::delete(guest, again(), key()).await.unwrap().unwrap();
    HostStore::delete(guest, again(), key()).await.unwrap().unwrap();
    assert!(!HostStore::exists(guest, again(), key()).await.unwrap().unwrap());
    HostStore::drop(guest, Resource::new_own(store.rep()))
        .await
        .unwrap();
    assert!(HostStore::get(guest, again(), key()).await.is_err());
}

#[tokio::test]
async fn other_labels_are_denied_and_failures_are_other() {
    let app = App::new();
    let mut guest = app.instance(&["default"]).await;
    let guest = &mut guest;
    let denied = HostStore::open(guest, "mine".into()).await.unwrap();
    assert!(matches!(denied, Err(Error::AccessDenied)));
    std::fs::create_dir(app.state_dir().join("sqlite_key_value.db")).unwrap();
    let store = HostStore::open(guest, "default".into()).await.unwrap().unwrap();
    let error = HostStore::get_keys(guest, store).await.unwrap();
    assert!(matches!(error, Err(Error::Other(text)) if text.contains("unable to open")));
}
