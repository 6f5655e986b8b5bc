use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::{mpsc, oneshot};
use wasmtime::component::{
    FutureConsumer, HasSelf, Resource, Source, StreamConsumer, StreamReader, StreamResult,
};
use wasmtime::{Config, Engine, Store, StoreContextMut};

use super::super::OpenStore;
use super::super::bindings::spin::key_value::key_value::{Error, HostStoreWithStore};
use super::app::App;
use crate::runtime::HostState;

type Data = HasSelf<HostState>;
type Outcome = Result<(), Error>;

/// Items that the host takes from a stream, as a guest would.
struct Items(mpsc::UnboundedSender<String>);

impl StreamConsumer<HostState> for Items {
    type Item = String;

    fn poll_consume(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, HostState>,
        mut source: Source<'_, String>,
        _: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut items = Vec::with_capacity(100);
        source.read(store, &mut items)?;
        for item in items {
            self.0.send(item)?;
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

struct Value(Option<oneshot::Sender<Outcome>>);

impl FutureConsumer<HostState> for Value {
    type Item = Outcome;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, HostState>,
        mut source: Source<'_, Outcome>,
        _: bool,
    ) -> Poll<wasmtime::Result<()>> {
        let mut value = None;
        source.read(store, &mut value)?;
        let sender = self.0.take().unwrap();
        sender.send(value.unwrap()).unwrap();
        Poll::Ready(Ok(()))
    }
}

async fn guest(app: &App) -> Store<HostState> {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    let engine = Engine::new(&config).unwrap();
    Store::new(&engine, app.instance(&["default"]).await)
}

fn again(store: &Resource<OpenStore>) -> Resource<OpenStore> {
    Resource::new_borrow(store.rep())
}

/// The keys that come out of the stream, if it is read, and what the future says.
async fn keys(guest: &mut Store<HostState>, read: bool) -> (Vec<String>, Outcome) {
    guest
        .run_concurrent(async |accessor| {
            let store = <Data as HostStoreWithStore<HostState>>::open(accessor, "default".into());
            let store = store.await.unwrap().unwrap();
            let keys = <Data as HostStoreWithStore<HostState>>::get_keys(accessor, again(&store));
            let (mut stream, future): (StreamReader<String>, _) = keys.await.unwrap();
            let (items, mut received) = mpsc::unbounded_channel();
            let (value, outcome) = oneshot::channel();
            accessor.with(|mut access| {
                if read {
                    stream.pipe(&mut access, Items(items)).unwrap();
                } else {
                    stream.close(&mut access).unwrap();
                    drop(items);
                }
                future.pipe(&mut access, Value(Some(value))).unwrap();
            });
            let mut keys = Vec::new();
            while let Some(key) = received.recv().await {
                keys.push(key);
            }
            (keys, outcome.await.unwrap())
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn the_functions_run_beside_each_other() {
    let app = App::new();
    let mut guest = guest(&app).await;
    guest
        .run_concurrent(async |accessor| {
            let store = <Data as HostStoreWithStore<HostState>>::open(accessor, "default".into());
            let store = &store.await.unwrap().unwrap();
            let set = |key: &str| {
                <Data as HostStoreWithStore<HostState>>::set(accessor, again(store), key.into(), key.into())
            };
            let (one, other) = tokio::join!(set("a"), set("b"));
            one.unwrap().unwrap();
            other.unwrap().unwrap();
            let get =
                |key: &str| <Data as HostStoreWithStore<HostState>>::get(accessor, again(store), key.into());
            let (one, other) = tokio::join!(get("a"), get("x"));
            assert_eq!(one.unwrap().unwrap().unwrap(), b"a");
            assert_eq!(other.unwrap().unwrap(), None);
            let delete = <Data as HostStoreWithStore<HostState>>::delete(accessor, again(store), "a".into());
            delete.await.unwrap().unwrap();
            let exists = <Data as HostStoreWithStore<HostState>>::exists(accessor, again(store), "a".into());
            assert!(!exists.await.unwrap().unwrap());
            let denied = <Data as HostStoreWithStore<HostState>>::open(accessor, "x".into());
            assert!(matches!(denied.await.unwrap(), Err(Error::AccessDenied)));
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn keys_stream_to_their_end_and_the_future_says_so() {
    let app = App::new();
    let component = app.component(&["default"]).await.unwrap();
    let mut guest = guest(&app).await;
    let (none, outcome) = keys(&mut guest, true).await;
    assert!(none.is_empty() && outcome.is_ok());
    let names: Vec<_> = (0..2_500).map(|number| format!("{number:05}")).collect();
    let pairs = names.iter().map(|name| (name.clone(), Vec::new())).collect();
    component
        .open("default")
        .ok()
        .unwrap()
        .set_many(pairs)
        .await
        .unwrap();
    let (found, outcome) = keys(&mut guest, true).await;
    assert_eq!(found, names);
    outcome.unwrap();
}

#[tokio::test]
async fn a_stream_that_fails_ends_and_the_future_says_why() {
    let app = App::new();
    std::fs::create_dir(app.state_dir().join("sqlite_key_value.db")).unwrap();
    let (found, outcome) = keys(&mut guest(&app).await, true).await;
    assert!(found.is_empty());
    assert!(matches!(outcome, Err(Error::Other(text)) if text.contains("unable to open")));
}

#[tokio::test]
async fn a_guest_that_drops_the_stream_is_told_no_error() {
    let (found, outcome) = keys(&mut guest(&App::new()).await, false).await;
    assert!(found.is_empty() && outcome.is_ok());
}

#[tokio::test]
async fn a_guest_that_sets_more_than_the_host_holds_is_told_to_wait() {
    let app = App::new();
    let mut guest = guest(&app).await;
    guest
        .run_concurrent(async |accessor| {
            let store = <Data as HostStoreWithStore<HostState>>::open(accessor, "default".into());
            let store = &store.await.unwrap().unwrap();
            let set = |bytes: usize| {
                let value = vec![0; bytes];
                <Data as HostStoreWithStore<HostState>>::set(accessor, again(store), "k".into(), value)
            };
            let (one, other) = tokio::join!(set(100 << 20), set(100 << 20));
            one.unwrap().unwrap();
            assert!(matches!(other.unwrap(), Err(Error::Other(text)) if text.contains("wait")));
            // Larger than all leave, but alone.
            set(129 << 20).await.unwrap().unwrap();
            let many = futures::future::join_all((0..100).map(|_| set(1))).await;
            assert!(many.into_iter().all(|result| result.unwrap().is_ok()));
        })
        .await
        .unwrap();
}
