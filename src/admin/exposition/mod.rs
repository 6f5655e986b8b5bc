//! The numbers for Prometheus, read when they are asked for. `docs/operating.md` lists them.

mod apps;
mod process;

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use self::apps::AppSeries;
use self::process::ProcessSeries;
use super::api::Sources;

/// What the text is.
pub(super) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All series. A cheap handle.
#[derive(Clone)]
pub(super) struct Exposition(Arc<Registry>);

impl Exposition {
    pub(super) fn new(sources: &Arc<Sources>) -> Self {
        let mut registry = Registry::default();
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("lepton_build", "The version that runs", version);
        registry.register_collector(Box::new(AppSeries::new(sources)));
        let Sources {
            fetches,
            compiles,
            supervisor,
            ..
        } = &**sources;
        for (name, help, counter) in [
            (
                "lepton_fetches",
                "Blobs fetched from registries and layouts, and verified",
                &fetches.blobs,
            ),
            (
                "lepton_fetched_bytes",
                "Bytes of the blobs that were fetched",
                &fetches.bytes,
            ),
            (
                "lepton_fetch_failures",
                "References that could not be resolved, and artifacts that could not be fetched",
                &fetches.failures,
            ),
            (
                "lepton_compiles",
                "Components that were compiled",
                &compiles.count,
            ),
            (
                "lepton_file_changes",
                "App files that were new, changed or removed; those found at the start, too",
                supervisor.file_changes(),
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
        // Not of whole numbers.
        let seconds = compiles.seconds.clone();
        registry.register(
            "lepton_compile_seconds",
            "Time spent on compiling components",
            seconds,
        );
        registry.register_collector(Box::new(ProcessSeries::new()));
        Self(Arc::new(registry))
    }

    pub(super) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0)?;
        Ok(text)
    }
}
