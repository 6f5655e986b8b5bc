//! What the three signals differ in on their way to the collector.

use http::Uri;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use tonic::{Request, Response, Status};

use super::transport::GrpcClient;

/// One of the three kinds of telemetry.
pub(crate) trait Signal: Send + Sync + 'static {
    /// As it is logged.
    const NAME: &'static str;
    /// What a guest's call becomes.
    type Item: prost::Message + Default + 'static;
    type Batch: prost::Message + Default + Clone + 'static;
    type Answer: prost::Message + Default;

    /// Joins the item with one of the same source where there is one: a batch says of each source once what it is.
    fn add(batch: &mut Self::Batch, item: Self::Item);

    /// How many spans, data points or records the collector did not take, and why.
    fn rejected(answer: Self::Answer) -> Option<(i64, String)>;

    fn call(
        client: GrpcClient,
        origin: Uri,
        batch: Request<Self::Batch>,
    ) -> impl Future<Output = Result<Response<Self::Answer>, Status>> + Send;
}

pub(crate) enum Traces {}
pub(crate) enum Metrics {}
pub(crate) enum Logs {}

impl Signal for Traces {
    const NAME: &'static str = "traces";
    type Item = ResourceSpans;
    type Batch = ExportTraceServiceRequest;
    type Answer = ExportTraceServiceResponse;

    fn add(batch: &mut Self::Batch, item: Self::Item) {
        let known = batch
            .resource_spans
            .iter_mut()
            .find(|known| known.resource == item.resource);
        let Some(known) = known else {
            return batch.resource_spans.push(item);
        };
        for scope in item.scope_spans {
            let same = |known: &&mut opentelemetry_proto::tonic::trace::v1::ScopeSpans| {
                known.scope == scope.scope && known.schema_url == scope.schema_url
            };
            match known.scope_spans.iter_mut().find(same) {
                Some(known) => known.spans.extend(scope.spans),
                None => known.scope_spans.push(scope),
            }
        }
    }

    fn rejected(answer: Self::Answer) -> Option<(i64, String)> {
        let partial = answer.partial_success?;
        Some((partial.rejected_spans, partial.error_message))
    }

    async fn call(
        client: GrpcClient,
        origin: Uri,
        batch: Request<Self::Batch>,
    ) -> Result<Response<Self::Answer>, Status> {
        TraceServiceClient::with_origin(client, origin)
            .export(batch)
            .await
    }
}

impl Signal for Metrics {
    const NAME: &'static str = "metrics";
    type Item = ResourceMetrics;
    type Batch = ExportMetricsServiceRequest;
    type Answer = ExportMetricsServiceResponse;

    /// Each export of a guest is whole in itself.
    fn add(batch: &mut Self::Batch, item: Self::Item) {
        batch.resource_metrics.push(item);
    }

    fn rejected(answer: Self::Answer) -> Option<(i64, String)> {
        let partial = answer.partial_success?;
        Some((partial.rejected_data_points, partial.error_message))
    }

    async fn call(
        client: GrpcClient,
        origin: Uri,
        batch: Request<Self::Batch>,
    ) -> Result<Response<Self::Answer>, Status> {
        MetricsServiceClient::with_origin(client, origin)
            .export(batch)
            .await
    }
}

impl Signal for Logs {
    const NAME: &'static str = "logs";
    type Item = ResourceLogs;
    type Batch = ExportLogsServiceRequest;
    type Answer = ExportLogsServiceResponse;

    fn add(batch: &mut Self::Batch, item: Self::Item) {
        let known = batch
            .resource_logs
            .iter_mut()
            .find(|known| known.resource == item.resource && known.schema_url == item.schema_url);
        let Some(known) = known else {
            return batch.resource_logs.push(item);
        };
        for scope in item.scope_logs {
            let same = |known: &&mut opentelemetry_proto::tonic::logs::v1::ScopeLogs| {
                known.scope == scope.scope && known.schema_url == scope.schema_url
            };
            match known.scope_logs.iter_mut().find(same) {
                Some(known) => known.log_records.extend(scope.log_records),
                None => known.scope_logs.push(scope),
            }
        }
    }

    fn rejected(answer: Self::Answer) -> Option<(i64, String)> {
        let partial = answer.partial_success?;
        Some((partial.rejected_log_records, partial.error_message))
    }

    async fn call(
        client: GrpcClient,
        origin: Uri,
        batch: Request<Self::Batch>,
    ) -> Result<Response<Self::Answer>, Status> {
        LogsServiceClient::with_origin(client, origin).export(batch).await
    }
}
