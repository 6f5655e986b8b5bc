//! Spans: which an instance has begun, and how an ended one is sent.

use std::collections::HashSet;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use super::Otel;
use super::attributes::{attributes, nanoseconds, scope, span_id, trace_id, unless_zero};
use super::bindings::wasi::otel::tracing as wit;

/// Spans that one instance may have begun and not ended: more are a leak of the guest's.
const MAX_OPEN: usize = 65_536;
/// The bit of [`Span::flags`] that says that the span was sampled.
const SAMPLED: u32 = 1;

/// The spans that an instance has begun.
#[derive(Default)]
pub(super) struct OpenSpans {
    ids: HashSet<[u8; 8]>,
    /// In the order in which they were begun; some may have ended since.
    begun: Vec<SpanContext>,
}

impl OpenSpans {
    pub(super) fn begin(&mut self, context: wit::SpanContext) -> wasmtime::Result<()> {
        if self.ids.len() >= MAX_OPEN {
            return Err(wasmtime::format_err!(
                "the instance has more than {MAX_OPEN} spans open"
            ));
        }
        self.ids.insert(span_id(&context.span_id));
        // Those that have ended are at most as many as the others.
        if self.begun.len() > 2 * self.ids.len() {
            self.begun
                .retain(|span| self.ids.contains(&span.span_id().to_bytes()));
        }
        self.begun.push(as_parent(context));
        Ok(())
    }

    /// Of those that have not ended, the one that was begun last.
    pub(super) fn innermost(&mut self) -> Option<SpanContext> {
        while let Some(last) = self.begun.last() {
            if self.ids.contains(&last.span_id().to_bytes()) {
                return Some(last.clone());
            }
            self.begun.pop();
        }
        None
    }

    pub(super) fn end(&mut self, context: &wit::SpanContext) -> wasmtime::Result<()> {
        match self.ids.remove(&span_id(&context.span_id)) {
            true => Ok(()),
            false => Err(wasmtime::format_err!(
                "a span that was not started can't be ended"
            )),
        }
    }
}

/// A guest's span, for those that are below it.
fn as_parent(context: wit::SpanContext) -> SpanContext {
    let flags = match context.trace_flags.contains(wit::TraceFlags::SAMPLED) {
        true => TraceFlags::SAMPLED,
        false => TraceFlags::default(),
    };
    SpanContext::new(
        TraceId::from_bytes(trace_id(&context.trace_id)),
        SpanId::from_bytes(span_id(&context.span_id)),
        flags,
        false,
        TraceState::from_key_value(context.trace_state).unwrap_or_default(),
    )
}

/// What stands outside a guest's first span where the daemon has none of its own that a collector knows.
pub(super) fn no_span() -> wit::SpanContext {
    wit::SpanContext {
        trace_id: "0".repeat(32),
        span_id: "0".repeat(16),
        trace_flags: wit::TraceFlags::empty(),
        is_remote: false,
        trace_state: Vec::new(),
    }
}

/// The span of the request that the instance answers.
pub(super) fn outer(span: &Context) -> wit::SpanContext {
    let span = span.span();
    let context = span.span_context();
    wit::SpanContext {
        trace_id: context.trace_id().to_string(),
        span_id: context.span_id().to_string(),
        trace_flags: match context.is_sampled() {
            true => wit::TraceFlags::SAMPLED,
            false => wit::TraceFlags::empty(),
        },
        is_remote: context.is_remote(),
        trace_state: entries(&context.trace_state().header()),
    }
}

impl Otel {
    /// Nothing for a span that the guest chose not to sample.
    pub(super) fn ended(&self, span: wit::SpanData) -> Option<ResourceSpans> {
        let context = span.span_context;
        if !context.trace_flags.contains(wit::TraceFlags::SAMPLED) {
            return None;
        }
        let (resource, _) = self.resource(None);
        let (scope, schema_url) = scope(span.instrumentation_scope);
        let span = Span {
            trace_id: trace_id(&context.trace_id).into(),
            span_id: span_id(&context.span_id).into(),
            trace_state: state(context.trace_state),
            parent_span_id: unless_zero(&span_id(&span.parent_span_id)),
            flags: SAMPLED,
            name: span.name,
            kind: kind(span.span_kind).into(),
            start_time_unix_nano: nanoseconds(span.start_time),
            end_time_unix_nano: nanoseconds(span.end_time),
            attributes: attributes(span.attributes),
            dropped_attributes_count: span.dropped_attributes,
            events: span.events.into_iter().map(event).collect(),
            dropped_events_count: span.dropped_events,
            links: span.links.into_iter().map(link).collect(),
            dropped_links_count: span.dropped_links,
            status: Some(status(span.status)),
        };
        let scope_spans = ScopeSpans {
            scope: Some(scope),
            spans: vec![span],
            schema_url,
        };
        Some(ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![scope_spans],
            ..ResourceSpans::default()
        })
    }
}

fn kind(kind: wit::SpanKind) -> SpanKind {
    match kind {
        wit::SpanKind::Client => SpanKind::Client,
        wit::SpanKind::Server => SpanKind::Server,
        wit::SpanKind::Producer => SpanKind::Producer,
        wit::SpanKind::Consumer => SpanKind::Consumer,
        wit::SpanKind::Internal => SpanKind::Internal,
    }
}

fn event(event: wit::Event) -> Event {
    Event {
        time_unix_nano: nanoseconds(event.time),
        name: event.name,
        attributes: attributes(event.attributes),
        ..Event::default()
    }
}

fn link(link: wit::Link) -> Link {
    let context = link.span_context;
    Link {
        trace_id: trace_id(&context.trace_id).into(),
        span_id: span_id(&context.span_id).into(),
        flags: match context.trace_flags.contains(wit::TraceFlags::SAMPLED) {
            true => SAMPLED,
            false => 0,
        },
        trace_state: state(context.trace_state),
        attributes: attributes(link.attributes),
        ..Link::default()
    }
}

/// As the header `tracestate` writes it.
fn state(entries: Vec<(String, String)>) -> String {
    let entries: Vec<_> = entries
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    entries.join(",")
}

/// The other way round.
fn entries(state: &str) -> Vec<(String, String)> {
    let pairs = state.split(',').filter_map(|entry| entry.split_once('='));
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn status(status: wit::Status) -> Status {
    let (code, message) = match status {
        wit::Status::Unset => (StatusCode::Unset, String::new()),
        wit::Status::Ok => (StatusCode::Ok, String::new()),
        wit::Status::Error(message) => (StatusCode::Error, message),
    };
    Status {
        message,
        code: code.into(),
    }
}

#[cfg(test)]
mod tests {
    use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;

    use super::super::attributes::tests::{attribute, otel};
    use super::super::attributes::text;
    use super::super::bindings::wasi::otel::types::InstrumentationScope;
    use super::*;

    fn context(id: &str, trace_flags: wit::TraceFlags) -> wit::SpanContext {
        wit::SpanContext {
            trace_id: "0af7651916cd43dd8448eb211c80319c".into(),
            span_id: id.into(),
            trace_flags,
            is_remote: false,
            trace_state: vec![("a".into(), "1".into()), ("b".into(), "2".into())],
        }
    }

    fn span(trace_flags: wit::TraceFlags) -> wit::SpanData {
        let at = |seconds| Datetime {
            seconds,
            nanoseconds: 1,
        };
        wit::SpanData {
            span_context: context("b7ad6b7169203331", trace_flags),
            parent_span_id: "0000000000000000".into(),
            span_kind: wit::SpanKind::Server,
            name: "n".into(),
            start_time: at(1),
            end_time: at(2),
            attributes: vec![attribute("k", r#""v""#)],
            events: vec![wit::Event {
                name: "e".into(),
                time: at(3),
                attributes: vec![],
            }],
            links: vec![wit::Link {
                span_context: context("00f067aa0ba902b7", wit::TraceFlags::empty()),
                attributes: vec![],
            }],
            status: wit::Status::Error("why".into()),
            instrumentation_scope: InstrumentationScope {
                name: "lib".into(),
                version: Some("1".into()),
                schema_url: Some("u".into()),
                attributes: vec![],
            },
            dropped_attributes: 1,
            dropped_events: 2,
            dropped_links: 3,
        }
    }

    #[test]
    fn a_sampled_span_is_sent_whole() {
        let sent = otel().ended(span(wit::TraceFlags::SAMPLED)).unwrap();
        let scope = &sent.scope_spans[0];
        assert_eq!(
            (&*scope.scope.as_ref().unwrap().version, &*scope.schema_url),
            ("1", "u")
        );
        let span = &scope.spans[0];
        assert_eq!(hex::encode(&span.span_id), "b7ad6b7169203331");
        assert_eq!(
            (&*span.trace_state, &*span.parent_span_id, span.flags),
            ("a=1,b=2", &[][..], 1)
        );
        assert_eq!((span.kind, span.end_time_unix_nano), (2, 2_000_000_001));
        assert_eq!(span.attributes, [text("k", "v")]);
        assert_eq!(
            (span.events[0].time_unix_nano, span.links[0].flags),
            (3_000_000_001, 0)
        );
        let dropped = [
            span.dropped_attributes_count,
            span.dropped_events_count,
            span.dropped_links_count,
        ];
        assert_eq!(dropped, [1, 2, 3]);
        let status = span.status.as_ref().unwrap();
        assert_eq!((status.code, &*status.message), (2, "why"));
    }

    #[test]
    fn a_span_that_is_not_sampled_is_not_sent() {
        assert_eq!(otel().ended(span(wit::TraceFlags::empty())), None);
    }

    #[test]
    fn only_a_span_that_was_begun_ends() {
        let mut open = OpenSpans::default();
        let context = context("b7ad6b7169203331", wit::TraceFlags::SAMPLED);
        assert!(open.end(&context).is_err());
        open.begin(context.clone()).unwrap();
        open.end(&context).unwrap();
        assert!(open.end(&context).is_err());
    }

    #[test]
    fn the_innermost_span_is_the_last_that_has_not_ended() {
        let mut open = OpenSpans::default();
        let span = |number: u64| context(&format!("{number:016x}"), wit::TraceFlags::SAMPLED);
        let innermost = |open: &mut OpenSpans| open.innermost().map(|span| span.span_id().to_string());
        for number in 1..=3 {
            open.begin(span(number)).unwrap();
        }
        open.end(&span(2)).unwrap();
        assert_eq!(innermost(&mut open), Some(span(3).span_id));
        open.end(&span(3)).unwrap();
        assert_eq!(innermost(&mut open), Some(span(1).span_id));
        open.end(&span(1)).unwrap();
        assert_eq!(innermost(&mut open), None);

        open.begin(span(1000)).unwrap();
        for number in 1001..2000 {
            open.begin(span(number)).unwrap();
            open.end(&span(number - 1)).unwrap();
        }
        assert!(open.begun.len() < 10, "{}", open.begun.len());
        assert_eq!(innermost(&mut open), Some(span(1999).span_id));
    }
}
