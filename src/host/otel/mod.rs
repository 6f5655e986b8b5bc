//! `wasi:otel`: the spans, metrics and log records of guests, sent on to the operator's collector
//! (`docs/contract/host-interfaces.md §6.3`, `docs/contract/runtime-config.md §8`).
//!
//! A guest's call is converted at once ([`spans`], [`metrics`], [`logs`]) and put into the bounded queue of its signal
//! ([`crate::otlp`]). A guest never waits for the collector, and what does not fit is dropped and counted. Without a collector
//! every call does nothing.

mod attributes;
mod guest;
mod logs;
mod metrics;
mod spans;

use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use tokio::sync::Semaphore;
use wasmtime::component::{HasSelf, Linker};

use self::attributes::text;
use super::context::ComponentContext;
use crate::otlp::Exporter;
use crate::runtime::HostState;

mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/host",
        world: "otel",
        imports: { default: async | trappable },
        with: {
            "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
            "wasi:io": wasmtime_wasi::p2::bindings::io,
        },
    });
}

/// Bytes of one component's data that may wait for the collector: one that floods the queue loses its own.
const COMPONENT_BUDGET: usize = 4 << 20;
const SERVICE_NAME: &str = "service.name";

/// Where the telemetry of one component goes, and whose it is said to be.
pub(super) struct Otel {
    exporter: Option<Arc<Exporter>>,
    budget: Arc<Semaphore>,
    /// What is said of the component where the guest says nothing itself.
    defaults: Vec<KeyValue>,
    /// What the guest can't say otherwise: collectors tell apps apart by it.
    identity: Vec<KeyValue>,
}

impl Otel {
    pub(super) fn of(context: &ComponentContext<'_>, exporter: Option<&Arc<Exporter>>) -> Self {
        let exporter = exporter.cloned();
        let mut defaults: Vec<_> = exporter
            .iter()
            .flat_map(|exporter| &exporter.resource)
            .map(|(name, value)| text(name, value))
            .collect();
        if !defaults.iter().any(|attribute| attribute.key == SERVICE_NAME) {
            defaults.push(text(SERVICE_NAME, context.app));
        }
        Self {
            exporter,
            budget: Arc::new(Semaphore::new(COMPONENT_BUDGET)),
            defaults,
            identity: vec![
                text("app_id", context.app),
                text("component_id", &context.component.id),
            ],
        }
    }
}

pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    bindings::wasi::otel::tracing::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
    bindings::wasi::otel::metrics::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
    bindings::wasi::otel::logs::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}
