//! Metrics: twelve kinds in the interface, four in the protocol, as numbers say there themselves what they are.

use opentelemetry_proto::tonic::metrics::v1 as proto;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, exemplar, number_data_point};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;

use super::Otel;
use super::attributes::{attributes, nanoseconds, scope, span_id, trace_id, unless_zero};
use super::bindings::wasi::otel::metrics as wit;

impl Otel {
    pub(super) fn measured(&self, given: wit::ResourceMetrics) -> proto::ResourceMetrics {
        let (resource, schema_url) = self.resource(Some(given.resource));
        proto::ResourceMetrics {
            resource: Some(resource),
            scope_metrics: given.scope_metrics.into_iter().map(scope_metrics).collect(),
            schema_url,
        }
    }
}

fn scope_metrics(given: wit::ScopeMetrics) -> proto::ScopeMetrics {
    let (scope, schema_url) = scope(given.scope);
    proto::ScopeMetrics {
        scope: Some(scope),
        metrics: given.metrics.into_iter().map(metric).collect(),
        schema_url,
    }
}

fn metric(given: wit::Metric) -> proto::Metric {
    let data = match given.data {
        wit::MetricData::F64Gauge(data)
        | wit::MetricData::U64Gauge(data)
        | wit::MetricData::S64Gauge(data) => Data::Gauge(gauge(data)),
        wit::MetricData::F64Sum(data) | wit::MetricData::U64Sum(data) | wit::MetricData::S64Sum(data) => {
            Data::Sum(sum(data))
        }
        wit::MetricData::F64Histogram(data)
        | wit::MetricData::U64Histogram(data)
        | wit::MetricData::S64Histogram(data) => Data::Histogram(histogram(data)),
        wit::MetricData::F64ExponentialHistogram(data)
        | wit::MetricData::U64ExponentialHistogram(data)
        | wit::MetricData::S64ExponentialHistogram(data) => Data::ExponentialHistogram(exponential(data)),
    };
    proto::Metric {
        name: given.name,
        description: given.description,
        unit: given.unit,
        data: Some(data),
        ..proto::Metric::default()
    }
}

fn gauge(given: wit::Gauge) -> proto::Gauge {
    let start = given.start_time.map_or(0, nanoseconds);
    let time = nanoseconds(given.time);
    let points = given.data_points.into_iter().map(|point| proto::NumberDataPoint {
        attributes: attributes(point.attributes),
        start_time_unix_nano: start,
        time_unix_nano: time,
        exemplars: exemplars(point.exemplars),
        value: Some(number(point.value)),
        ..proto::NumberDataPoint::default()
    });
    proto::Gauge {
        data_points: points.collect(),
    }
}

fn sum(given: wit::Sum) -> proto::Sum {
    let (start, time) = span(given.start_time, given.time);
    let points = given.data_points.into_iter().map(|point| proto::NumberDataPoint {
        attributes: attributes(point.attributes),
        start_time_unix_nano: start,
        time_unix_nano: time,
        exemplars: exemplars(point.exemplars),
        value: Some(number(point.value)),
        ..proto::NumberDataPoint::default()
    });
    proto::Sum {
        data_points: points.collect(),
        aggregation_temporality: temporality(given.temporality).into(),
        is_monotonic: given.is_monotonic,
    }
}

fn histogram(given: wit::Histogram) -> proto::Histogram {
    let (start, time) = span(given.start_time, given.time);
    let points = given
        .data_points
        .into_iter()
        .map(|point| proto::HistogramDataPoint {
            attributes: attributes(point.attributes),
            start_time_unix_nano: start,
            time_unix_nano: time,
            count: point.count,
            sum: Some(float(point.sum)),
            bucket_counts: point.bucket_counts,
            explicit_bounds: point.bounds,
            exemplars: exemplars(point.exemplars),
            min: point.min.map(float),
            max: point.max.map(float),
            ..proto::HistogramDataPoint::default()
        });
    proto::Histogram {
        data_points: points.collect(),
        aggregation_temporality: temporality(given.temporality).into(),
    }
}

fn exponential(given: wit::ExponentialHistogram) -> proto::ExponentialHistogram {
    let (start, time) = span(given.start_time, given.time);
    let points = given
        .data_points
        .into_iter()
        .map(|point| proto::ExponentialHistogramDataPoint {
            attributes: attributes(point.attributes),
            start_time_unix_nano: start,
            time_unix_nano: time,
            count: point.count,
            sum: Some(float(point.sum)),
            scale: point.scale.into(),
            zero_count: point.zero_count,
            positive: Some(buckets(point.positive_bucket)),
            negative: Some(buckets(point.negative_bucket)),
            exemplars: exemplars(point.exemplars),
            min: point.min.map(float),
            max: point.max.map(float),
            zero_threshold: point.zero_threshold,
            ..proto::ExponentialHistogramDataPoint::default()
        });
    proto::ExponentialHistogram {
        data_points: points.collect(),
        aggregation_temporality: temporality(given.temporality).into(),
    }
}

fn buckets(given: wit::ExponentialBucket) -> Buckets {
    Buckets {
        offset: given.offset,
        bucket_counts: given.counts,
    }
}

fn exemplars(given: Vec<wit::Exemplar>) -> Vec<proto::Exemplar> {
    let converted = given.into_iter().map(|exemplar| proto::Exemplar {
        filtered_attributes: attributes(exemplar.filtered_attributes),
        time_unix_nano: nanoseconds(exemplar.time),
        span_id: unless_zero(&span_id(&exemplar.span_id)),
        trace_id: unless_zero(&trace_id(&exemplar.trace_id)),
        value: Some(match number(exemplar.value) {
            number_data_point::Value::AsDouble(value) => exemplar::Value::AsDouble(value),
            number_data_point::Value::AsInt(value) => exemplar::Value::AsInt(value),
        }),
    });
    converted.collect()
}

/// The protocol has signed integers alone: what is larger becomes the largest.
fn number(given: wit::MetricNumber) -> number_data_point::Value {
    match given {
        wit::MetricNumber::F64(value) => number_data_point::Value::AsDouble(value),
        wit::MetricNumber::S64(value) => number_data_point::Value::AsInt(value),
        wit::MetricNumber::U64(value) => {
            number_data_point::Value::AsInt(i64::try_from(value).unwrap_or(i64::MAX))
        }
    }
}

/// Histograms are told in floating point, whatever was measured.
fn float(given: wit::MetricNumber) -> f64 {
    match given {
        wit::MetricNumber::F64(value) => value,
        wit::MetricNumber::S64(value) => value as f64,
        wit::MetricNumber::U64(value) => value as f64,
    }
}

fn span(start: Datetime, time: Datetime) -> (u64, u64) {
    (nanoseconds(start), nanoseconds(time))
}

/// `low-memory` is a wish of readers, and says nothing of data.
fn temporality(given: wit::Temporality) -> AggregationTemporality {
    match given {
        wit::Temporality::Cumulative => AggregationTemporality::Cumulative,
        wit::Temporality::Delta => AggregationTemporality::Delta,
        wit::Temporality::LowMemory => AggregationTemporality::Unspecified,
    }
}

#[cfg(test)]
mod tests {
    use super::super::attributes::tests::attribute;
    use super::*;

    const AT: Datetime = Datetime {
        seconds: 1,
        nanoseconds: 0,
    };

    fn sent(data: wit::MetricData) -> Data {
        let given = wit::Metric {
            name: "n".into(),
            description: "d".into(),
            unit: "u".into(),
            data,
        };
        let sent = metric(given);
        assert_eq!((&*sent.name, &*sent.description, &*sent.unit), ("n", "d", "u"));
        sent.data.unwrap()
    }

    fn exemplar() -> wit::Exemplar {
        wit::Exemplar {
            filtered_attributes: vec![attribute("k", "1")],
            time: AT,
            value: wit::MetricNumber::F64(0.5),
            span_id: "b7ad6b7169203331".into(),
            trace_id: "0af7651916cd43dd8448eb211c80319c".into(),
        }
    }

    #[test]
    fn numbers_keep_their_kind() {
        use wit::MetricNumber::{F64, S64, U64};
        let point = |value| wit::GaugeDataPoint {
            attributes: vec![attribute("k", "1")],
            value,
            exemplars: vec![exemplar()],
        };
        let gauge = |value| wit::Gauge {
            data_points: vec![point(value)],
            start_time: None,
            time: AT,
        };
        let cases = [
            (
                wit::MetricData::F64Gauge(gauge(F64(0.5))),
                number_data_point::Value::AsDouble(0.5),
            ),
            (
                wit::MetricData::S64Gauge(gauge(S64(-1))),
                number_data_point::Value::AsInt(-1),
            ),
            (
                wit::MetricData::U64Gauge(gauge(U64(u64::MAX))),
                number_data_point::Value::AsInt(i64::MAX),
            ),
        ];
        for (given, value) in cases {
            let Data::Gauge(gauge) = sent(given) else {
                panic!("a gauge");
            };
            let point = &gauge.data_points[0];
            assert_eq!(point.value, Some(value));
            assert_eq!(
                (point.start_time_unix_nano, point.time_unix_nano),
                (0, 1_000_000_000)
            );
            assert_eq!((point.attributes.len(), point.exemplars[0].span_id.len()), (1, 8));
        }
    }

    #[test]
    fn a_sum_says_how_it_adds_up() {
        let sum = |temporality| wit::Sum {
            data_points: vec![],
            start_time: AT,
            time: AT,
            temporality,
            is_monotonic: true,
        };
        for (given, expected) in [
            (wit::Temporality::Cumulative, 2),
            (wit::Temporality::Delta, 1),
            (wit::Temporality::LowMemory, 0),
        ] {
            let Data::Sum(sum) = sent(wit::MetricData::U64Sum(sum(given))) else {
                panic!("a sum");
            };
            assert_eq!((sum.aggregation_temporality, sum.is_monotonic), (expected, true));
        }
    }

    #[test]
    fn a_histogram_has_buckets_between_bounds() {
        let point = wit::HistogramDataPoint {
            attributes: vec![],
            count: 3,
            bounds: vec![1.0],
            bucket_counts: vec![1, 2],
            min: Some(wit::MetricNumber::U64(1)),
            max: None,
            sum: wit::MetricNumber::U64(6),
            exemplars: vec![],
        };
        let given = wit::Histogram {
            data_points: vec![point],
            start_time: AT,
            time: AT,
            temporality: wit::Temporality::Delta,
        };
        let Data::Histogram(histogram) = sent(wit::MetricData::U64Histogram(given)) else {
            panic!("a histogram");
        };
        let point = &histogram.data_points[0];
        assert_eq!((point.count, point.sum), (3, Some(6.0)));
        assert_eq!((point.min, point.max), (Some(1.0), None));
        assert_eq!(
            (&*point.explicit_bounds, &*point.bucket_counts),
            (&[1.0][..], &[1, 2][..])
        );
    }

    #[test]
    fn an_exponential_histogram_has_buckets_on_both_sides() {
        let bucket = |offset| wit::ExponentialBucket {
            offset,
            counts: vec![1],
        };
        let point = wit::ExponentialHistogramDataPoint {
            attributes: vec![],
            count: 2,
            min: None,
            max: None,
            sum: wit::MetricNumber::S64(-4),
            scale: -2,
            zero_count: 1,
            positive_bucket: bucket(3),
            negative_bucket: bucket(-3),
            zero_threshold: 0.25,
            exemplars: vec![],
        };
        let given = wit::ExponentialHistogram {
            data_points: vec![point],
            start_time: AT,
            time: AT,
            temporality: wit::Temporality::Cumulative,
        };
        let data = sent(wit::MetricData::S64ExponentialHistogram(given));
        let Data::ExponentialHistogram(histogram) = data else {
            panic!("an exponential histogram");
        };
        let point = &histogram.data_points[0];
        assert_eq!(
            (point.scale, point.sum, point.zero_threshold),
            (-2, Some(-4.0), 0.25)
        );
        assert_eq!(point.positive.as_ref().unwrap().offset, 3);
        assert_eq!(point.negative.as_ref().unwrap().offset, -3);
    }
}
