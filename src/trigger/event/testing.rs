//! Guests that tell the test what they see, and that the test lets go on.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use wasmtime::component::{Component, Linker};

use crate::app::LockedApp;
use crate::host::OutboundPermission;
use crate::loader::testing::component_of;
use crate::loader::{Compiled, LoadedComponent};
use crate::net::{HttpClient, HttpClients};
use crate::runtime::{EngineKind, HostState, InstanceSettings, Interfaces, Runtime};
use crate::trigger::guest::{AppInput, PreparedComponent};
use crate::trigger::http::RequestLimits;
use crate::variables::Variables;

/// What every guest imports, and the rest of its world.
const WIT: &str = "
    package test:guest;
    world w {
        import test:host/events;
        WORLD
    }
    package test:host {
        interface events { seen: func(text: string); wait: func(); }
    }
    package fermyon:spin {
        interface redis-types { type payload = list<u8>; enum error { success, error } }
        interface inbound-redis {
            use redis-types.{payload, error};
            handle-message: func(message: payload) -> result<_, error>;
        }
    }
    package fermyon:spin-cron@2.0.0 {
        interface cron-types { record metadata { timestamp: u64 } variant error { other(string) } }
    }
    package spin:cron@3.0.0 {
        interface cron-types { record metadata { timestamp: u64 } variant error { other(string) } }
    }
    package spin:mqtt-trigger {
        interface spin-mqtt-types { record metadata { topic: string } variant error { other(string) } }
    }
";
/// What every guest has, before its export. Its text is at 512; what is at 0 is a result that is no error.
const CORE: &str = r#"
    (module
        IMPORTS
        (import "test:host/events" "seen" (func $seen (param i32 i32)))
        (import "test:host/events" "wait" (func $wait))
        (memory (export "memory") 16)
        (data (i32.const 512) "TEXT")
        (global $free (mut i32) (i32.const 1024))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (global.get $free)
            (global.set $free (i32.and (i32.add (i32.add (global.get $free) (local.get 3)) (i32.const 7)) (i32.const -8))))
        (func $say (call $seen (i32.const 512) (i32.const LENGTH)) (call $wait))
        EXPORT)
"#;

/// A guest of one generation of one trigger.
#[derive(Debug, Clone, Copy)]
pub(in crate::trigger) enum TestGuest {
    /// Tells its text, and waits.
    Cron2,
    Cron3,
}

impl TestGuest {
    fn component(self, text: &str) -> Vec<u8> {
        let (world, imports, export) = match self {
            Self::Cron2 => (
                "use fermyon:spin-cron/cron-types@2.0.0.{metadata, error};
                 export handle-cron-event: func(metadata: metadata) -> result<_, error>;",
                "",
                r#"(func (export "handle-cron-event") (param i64) (result i32) (call $say) (i32.const 0))"#,
            ),
            Self::Cron3 => (
                "use spin:cron/cron-types@3.0.0.{metadata, error};
                 export handle-cron-event: async func(metadata: metadata) -> result<_, error>;",
                r#"(import "[export]$root" "[task-return]handle-cron-event" (func $return (param i32 i32 i32 i32)))"#,
                r#"(func (export "[async-lift]handle-cron-event") (param i64) (result i32)
                       (call $say)
                       (call $return (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
                       (i32.const 0))
                   (func (export "[callback][async-lift]handle-cron-event") (param i32 i32 i32) (result i32)
                       unreachable)"#,
            ),
        };
        let core = CORE
            .replace("IMPORTS", imports)
            .replace("TEXT", text)
            .replace("LENGTH", &text.len().to_string())
            .replace("EXPORT", export);
        component_of(&WIT.replace("WORLD", world), Some(&core))
    }
}

/// A runtime, and the test's side of its guests.
pub(in crate::trigger) struct Stage {
    pub(in crate::trigger) runtime: Runtime,
    seen: UnboundedReceiver<String>,
    passes: Arc<Semaphore>,
}

impl Stage {
    pub(in crate::trigger) fn new() -> Self {
        let (tell, seen) = unbounded_channel();
        let passes = Arc::new(Semaphore::new(0));
        let wait = passes.clone();
        let link = move |linker: &mut Linker<HostState>| {
            let mut events = linker.instance("test:host/events")?;
            let (tell, wait) = (tell.clone(), wait.clone());
            events.func_wrap("seen", move |_, (text,): (String,)| {
                // A guest may outlive its test.
                let _ = tell.send(text);
                Ok(())
            })?;
            events.func_wrap_async("wait", move |_, (): ()| {
                let wait = wait.clone();
                Box::new(async move {
                    wait.acquire().await?.forget();
                    Ok(())
                })
            })
        };
        Self {
            runtime: Runtime::new(link, |_| Ok(()), |_| false).unwrap(),
            seen,
            passes,
        }
    }

    /// What the next guest sees.
    pub(in crate::trigger) async fn seen(&mut self) -> String {
        self.seen.recv().await.unwrap()
    }

    /// Whether anything was seen that has not been asked for.
    pub(in crate::trigger) fn is_quiet(&mut self) -> bool {
        self.seen.try_recv().is_err()
    }

    /// Lets as many guests go on.
    pub(in crate::trigger) fn pass(&self, guests: usize) {
        self.passes.add_permits(guests);
    }

    /// A locked app with one component, `guest`, and these triggers; and the component, ready.
    pub(in crate::trigger) fn app(
        &self,
        guest: TestGuest,
        text: &str,
        metadata: Value,
        triggers: Value,
    ) -> TestApp {
        let app = json!({
            "spin_lock_version": 1,
            "metadata": metadata,
            "triggers": triggers,
            "components": [{"id": "guest", "source": {"digest": "d"}}]
        });
        let component = Component::new(
            self.runtime.engines().get(EngineKind::Concurrent),
            guest.component(text),
        )
        .unwrap();
        let (id, name): (Arc<str>, Arc<str>) = ("app".into(), "guest".into());
        let variables = Arc::new(Variables::new(BTreeMap::new(), Vec::new()));
        let permission =
            OutboundPermission::new(id.clone(), name.clone(), &[], Vec::new(), variables.clone()).unwrap();
        let prepared = PreparedComponent {
            loaded: LoadedComponent::uncached(Compiled::uncached(component)),
            settings: Arc::new(InstanceSettings {
                app: id,
                component: name,
                environment: Vec::new(),
                files: None,
                places: Arc::new(Semaphore::new(10)),
                interfaces: Arc::new(Interfaces::default()),
                log: None,
                limits: crate::runtime::InstanceLimits::default(),
            }),
            permission: Arc::new(permission),
            clients: HttpClients::new(HttpClient::with_system_roots()),
        };
        TestApp {
            app: LockedApp::parse(app.to_string().as_bytes()).unwrap(),
            components: [("guest".to_owned(), prepared)].into(),
            variables,
        }
    }
}

/// One version of an app.
pub(in crate::trigger) struct TestApp {
    pub(in crate::trigger) app: LockedApp,
    components: BTreeMap<String, PreparedComponent>,
    variables: Arc<Variables>,
}

impl TestApp {
    pub(in crate::trigger) fn input(&self) -> AppInput<'_> {
        AppInput {
            id: "app".into(),
            digest: "sha256:d".into(),
            app: &self.app,
            components: &self.components,
            variables: self.variables.clone(),
            requests: RequestLimits::default(),
        }
    }
}
