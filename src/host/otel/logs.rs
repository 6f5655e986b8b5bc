//! Log records.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};

use super::Otel;
use super::attributes::{any_value, attributes, nanoseconds, scope, span_id, trace_id, unless_zero};
use super::bindings::wasi::otel::logs as wit;
use super::bindings::wasi::otel::tracing::TraceFlags;

impl Otel {
    pub(super) fn record(&self, record: wit::LogRecord) -> ResourceLogs {
        let (resource, resource_schema) = self.resource(record.resource);
        let (scope, schema_url) = record.instrumentation_scope.map(scope).unzip();
        let sampled = record
            .trace_flags
            .is_some_and(|flags| flags.contains(TraceFlags::SAMPLED));
        let record = LogRecord {
            time_unix_nano: record.timestamp.map_or(0, nanoseconds),
            observed_time_unix_nano: record.observed_timestamp.map_or_else(now, nanoseconds),
            severity_number: record.severity_number.unwrap_or_default().into(),
            severity_text: record.severity_text.unwrap_or_default(),
            body: record.body.as_deref().map(any_value),
            attributes: attributes(record.attributes.unwrap_or_default()),
            flags: u32::from(sampled),
            trace_id: record
                .trace_id
                .map_or_else(Vec::new, |id| unless_zero(&trace_id(&id))),
            span_id: record
                .span_id
                .map_or_else(Vec::new, |id| unless_zero(&span_id(&id))),
            event_name: record.event_name.unwrap_or_default(),
            ..LogRecord::default()
        };
        let scope_logs = ScopeLogs {
            scope,
            log_records: vec![record],
            schema_url: schema_url.unwrap_or_default(),
        };
        ResourceLogs {
            resource: Some(resource),
            scope_logs: vec![scope_logs],
            schema_url: resource_schema,
        }
    }
}

/// When the host saw the record, in nanoseconds since 1970.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::attributes::tests::{attribute, otel};
    use super::super::attributes::text;
    use super::*;

    fn empty() -> wit::LogRecord {
        wit::LogRecord {
            timestamp: None,
            observed_timestamp: None,
            severity_text: None,
            severity_number: None,
            body: None,
            attributes: None,
            event_name: None,
            resource: None,
            instrumentation_scope: None,
            trace_id: None,
            span_id: None,
            trace_flags: None,
        }
    }

    #[test]
    fn an_empty_record_has_the_time_at_which_it_was_seen() {
        let sent = otel().record(empty());
        let record = &sent.scope_logs[0].log_records[0];
        assert!(record.observed_time_unix_nano > 0);
        let expected = LogRecord {
            observed_time_unix_nano: record.observed_time_unix_nano,
            ..LogRecord::default()
        };
        assert_eq!(*record, expected);
    }

    #[test]
    fn a_full_record_is_sent_whole() {
        let record = wit::LogRecord {
            severity_text: Some("WARN".into()),
            severity_number: Some(13),
            body: Some(r#""text""#.into()),
            attributes: Some(vec![attribute("k", r#""v""#)]),
            event_name: Some("event".into()),
            trace_id: Some("0af7651916cd43dd8448eb211c80319c".into()),
            span_id: Some("b7ad6b7169203331".into()),
            trace_flags: Some(TraceFlags::SAMPLED),
            ..empty()
        };
        let sent = otel().record(record);
        let record = &sent.scope_logs[0].log_records[0];
        assert_eq!(
            (
                record.severity_number,
                &*record.severity_text,
                &*record.event_name
            ),
            (13, "WARN", "event")
        );
        assert_eq!(record.body, text("", "text").value);
        assert_eq!(record.attributes, [text("k", "v")]);
        assert_eq!(
            (record.trace_id.len(), record.span_id.len(), record.flags),
            (16, 8, 1)
        );
    }
}
