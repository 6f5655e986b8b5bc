//! Where a piece of work is in a trace (W3C Trace Context), and the one that starts the daemon's own spans.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry::trace::{SpanBuilder, SpanContext, TraceContextExt as _, Tracer as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracer;

const TRACEPARENT: &str = "traceparent";

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Has spans started from now on; only the first tracer counts.
pub(crate) fn trace_with(tracer: SdkTracer) {
    // A second one would come from a second daemon in the process, which no program has.
    let _ = TRACER.set(tracer);
}

/// Whether there are spans.
pub(crate) fn is_traced() -> bool {
    TRACER.get().is_some()
}

/// Starts a span if somebody wants to know. It ends when the context and all of its clones are gone, or with `end`.
pub(crate) fn start(span: impl FnOnce() -> SpanBuilder, parent: impl FnOnce() -> Context) -> Option<Context> {
    let tracer = TRACER.get()?;
    let parent = parent();
    Some(parent.with_span(tracer.build_with_context(span(), &parent)))
}

/// What the sender of these headers was at.
pub(super) fn extract(headers: &HeaderMap) -> Context {
    // Whatever the thread is at, this is not a part of it.
    TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers))
}

/// Says what the sender is at, unless the headers do.
pub(super) fn inject(context: &Context, headers: &mut HeaderMap) {
    if !headers.contains_key(TRACEPARENT) {
        TraceContextPropagator::new().inject_context(context, &mut HeadersMut(headers));
    }
}

/// The span that an instance works for, and that of its own which it is in. Where there are no spans it holds nothing. Clones
/// are handles to the same.
#[derive(Debug, Clone, Default)]
pub struct CurrentSpan(Option<Arc<Mutex<Spans>>>);

#[derive(Debug, Default)]
struct Spans {
    outer: Option<Context>,
    own: Option<Context>,
}

impl CurrentSpan {
    /// Of an instance that works for `outer`.
    pub fn new(outer: Option<Context>) -> Self {
        Self(is_traced().then(|| Arc::new(Mutex::new(Spans { outer, own: None }))))
    }

    /// It begins to work for another.
    pub fn set(&self, outer: Option<Context>) {
        if let Some(mut spans) = self.lock() {
            *spans = Spans { outer, own: None };
        }
    }

    /// The guest is in a span of its own now, or in none.
    pub fn within(&self, own: Option<SpanContext>) {
        if let Some(mut spans) = self.lock() {
            spans.own = own.map(|own| Context::new().with_remote_span_context(own));
        }
    }

    /// What the instance works for.
    pub fn outer(&self) -> Option<Context> {
        self.lock()?.outer.clone()
    }

    /// The innermost one: what the host does now belongs to it.
    pub fn get(&self) -> Option<Context> {
        let spans = self.lock()?;
        spans.own.clone().or_else(|| spans.outer.clone())
    }

    fn lock(&self) -> Option<MutexGuard<'_, Spans>> {
        // Nothing panics while it is held.
        Some(self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct HeadersMut<'a>(&'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value))
            // An empty state is none.
            && !value.is_empty()
        {
            self.0.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_a_client_says_is_handed_on() {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, PARENT.parse().unwrap());
        headers.insert("tracestate", "vendor=1".parse().unwrap());
        let mut sent = HeaderMap::new();
        inject(&extract(&headers), &mut sent);
        assert_eq!(sent, headers);
    }

    #[test]
    fn nothing_is_made_up_and_nothing_replaced() {
        let mut sent = HeaderMap::new();
        inject(&extract(&HeaderMap::new()), &mut sent);
        assert!(sent.is_empty(), "{sent:?}");

        let own = PARENT.replace("4bf9", "ffff");
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, PARENT.parse().unwrap());
        sent.insert(TRACEPARENT, own.parse().unwrap());
        inject(&extract(&headers), &mut sent);
        assert_eq!(sent[TRACEPARENT], own);
    }
}
