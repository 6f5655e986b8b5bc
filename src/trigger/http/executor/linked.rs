//! A component that is linked while requests come for it, and not held when none has come for a while.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p3::bindings::ServicePre;

use super::{BufferedInstances, Executor, FreshInstances, ReusedInstances, WagiInstances};
use crate::host::wasi_rc::{Candidate, Handler};
use crate::loader::{self, Compiled, ComponentCode, HandlerType, Resident};
use crate::runtime::Runtime;
use crate::trigger::command_guest::CommandGuest;
use crate::trigger::http::config::ExecutorConfig;
use crate::trigger::http::prepare::PrepareError;

/// Where uses are counted from.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The executor of one component, which holds the component's code.
pub(in crate::trigger::http) struct OnDemand {
    runtime: Runtime,
    /// The component's, for errors.
    id: Box<str>,
    code: ComponentCode,
    config: ExecutorConfig,
    linked: RwLock<Option<Linked>>,
    /// Whoever links it: others wait for that.
    linking: tokio::sync::Mutex<()>,
    /// In milliseconds from [`START`].
    last_use: AtomicU64,
}

/// The code is held too, so that every app with the same finds it.
struct Linked {
    executor: Arc<Executor>,
    _code: Compiled,
}

impl OnDemand {
    pub(in crate::trigger::http) fn new(
        runtime: &Runtime,
        id: &str,
        code: ComponentCode,
        config: ExecutorConfig,
    ) -> Arc<Self> {
        Arc::new(Self {
            runtime: runtime.clone(),
            id: id.into(),
            code,
            config,
            linked: RwLock::default(),
            linking: tokio::sync::Mutex::default(),
            last_use: AtomicU64::default(),
        })
    }

    /// The executor, for one use.
    pub(in crate::trigger::http) async fn get(self: &Arc<Self>) -> Result<Arc<Executor>, PrepareError> {
        self.last_use.store(now(), Ordering::Relaxed);
        if let Some(executor) = self.linked() {
            return Ok(executor);
        }
        let _alone = self.linking.lock().await;
        if let Some(executor) = self.linked() {
            return Ok(executor);
        }
        let compiled = self.code.map().await?;
        let executor = Arc::new(self.link(&compiled)?);
        let linked = Linked {
            executor: executor.clone(),
            _code: compiled,
        };
        *self.linked.write().unwrap_or_else(PoisonError::into_inner) = Some(linked);
        let resident: Arc<dyn Resident> = self.clone();
        self.code.residents().add(Arc::downgrade(&resident));
        Ok(executor)
    }

    pub(in crate::trigger::http) fn last_use(&self) -> Instant {
        *START + Duration::from_millis(self.last_use.load(Ordering::Relaxed))
    }

    /// What its component is called as.
    pub(in crate::trigger::http) fn kind(&self) -> &'static str {
        self.config.name()
    }

    pub(in crate::trigger::http) fn code(&self) -> &ComponentCode {
        &self.code
    }

    fn linked(&self) -> Option<Arc<Executor>> {
        // Nothing panics while it is held.
        let linked = self.linked.read().unwrap_or_else(PoisonError::into_inner);
        linked.as_ref().map(|linked| linked.executor.clone())
    }

    fn link(&self, compiled: &Compiled) -> Result<Executor, PrepareError> {
        if let ExecutorConfig::Wagi { argv } = &self.config {
            let command = CommandGuest::new(&self.runtime, &self.id, compiled)?;
            return Ok(Executor::Wagi(WagiInstances::new(command, argv.clone())));
        }
        let component = compiled.component(&self.id)?;
        let handler = HandlerType::of(component, &self.id)?;
        let pre = loader::link(self.runtime.linker(component), component, &self.id)?;
        let error = |source| PrepareError::Instantiate {
            component: (*self.id).into(),
            source,
        };
        Ok(match handler {
            HandlerType::Wasi0_2 => {
                Executor::Fresh(FreshInstances::Wasi02(ProxyPre::new(pre).map_err(error)?))
            }
            HandlerType::WasiRc20231018 => Executor::Fresh(FreshInstances::Candidate(
                Handler::new(pre, Candidate::October).map_err(error)?,
            )),
            HandlerType::WasiRc20231110 => Executor::Fresh(FreshInstances::Candidate(
                Handler::new(pre, Candidate::November).map_err(error)?,
            )),
            HandlerType::Wasi0_3 => {
                Executor::Reused(ReusedInstances::new(ServicePre::new(pre).map_err(error)?))
            }
            HandlerType::Wasi0_3Rc => {
                Executor::Reused(ReusedInstances::single_use(ServicePre::new(pre).map_err(error)?))
            }
            HandlerType::SpinInbound => Executor::Buffered(BufferedInstances::new(pre).map_err(error)?),
        })
    }
}

impl Resident for OnDemand {
    fn last_use(&self) -> Instant {
        self.last_use()
    }

    fn leave(&self) {
        let linked = self.linked.write().unwrap_or_else(PoisonError::into_inner).take();
        // After the lock: it may be the last handle on the code, which takes a while to be unmapped.
        drop(linked);
    }
}

/// Half a million years fit.
fn now() -> u64 {
    START.elapsed().as_millis() as u64
}
