//! What Spin's hosts count, under Spin's names, so that what was made to watch them shows this one, too
//! (`docs/contract/runtime-config.md §8`).

use std::sync::{Arc, OnceLock};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};

use super::{APP, COMPONENT};

/// Of the buckets of memory, in bytes: from a page of Wasm to all that 32 bits reach, each twice the one before it.
const SMALLEST: u64 = 64 << 10;
const LARGEST: u64 = 4 << 30;

static COUNTS: OnceLock<Counts> = OnceLock::new();

struct Counts {
    calls: Counter<u64>,
    memory: Histogram<u64>,
    inferences: Counter<u64>,
}

/// Has it counted from now on; only the first meter counts.
pub(super) fn count_with(meter: &Meter) {
    let bounds = std::iter::successors(Some(SMALLEST), |bound| Some(bound * 2));
    let bounds = bounds
        .take_while(|bound| *bound <= LARGEST)
        .map(|bound| bound as f64);
    let counts = Counts {
        calls: meter
            .u64_counter("spin.request_count")
            .with_description("Requests and events that a component was called for")
            .build(),
        memory: meter
            .u64_histogram("spin.component_memory_used")
            .with_unit("By")
            .with_description("Linear memory of an instance at its end")
            .with_boundaries(bounds.collect())
            .build(),
        inferences: meter
            .u64_counter("spin.llm_infer")
            .with_description("Inferences that a server was asked for")
            .build(),
    };
    // See `trace_with`.
    let _ = COUNTS.set(counts);
}

/// A component is called, for a trigger of that kind.
pub(crate) fn called(kind: &'static str, app: &Arc<str>, component: &Arc<str>) {
    if let Some(counts) = COUNTS.get() {
        let [app, component] = of(app, component);
        counts
            .calls
            .add(1, &[KeyValue::new("trigger_type", kind), app, component]);
    }
}

/// A guest has a server infer something.
pub(crate) fn inferred(app: &Arc<str>, model: &str) {
    if let Some(counts) = COUNTS.get() {
        let model = KeyValue::new("model_name", model.to_owned());
        counts
            .inferences
            .add(1, &[model, KeyValue::new(APP, app.clone())]);
    }
}

/// Who has the memory of an instance, if anybody wants to know how much that is.
#[derive(Debug)]
pub(crate) struct MemoryOf {
    app: Arc<str>,
    component: Arc<str>,
}

impl MemoryOf {
    pub(crate) fn new(app: &Arc<str>, component: &Arc<str>) -> Option<Self> {
        COUNTS.get().map(|_| Self {
            app: app.clone(),
            component: component.clone(),
        })
    }

    /// The instance ends.
    pub(crate) fn used(&self, bytes: usize) {
        if let Some(counts) = COUNTS.get() {
            counts
                .memory
                .record(bytes as u64, &of(&self.app, &self.component));
        }
    }
}

fn of(app: &Arc<str>, component: &Arc<str>) -> [KeyValue; 2] {
    [
        KeyValue::new(APP, app.clone()),
        KeyValue::new(COMPONENT, component.clone()),
    ]
}
