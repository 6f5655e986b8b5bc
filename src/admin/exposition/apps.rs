//! The series of each app that has traffic, and how many apps are in each state.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::admin::api::Sources;
use crate::control::AppState;
use crate::metrics::Numbers;

/// An app without requests for so long has no series, until the next one: most of many apps are idle.
const IDLE: Duration = Duration::from_secs(15 * 60);

/// What is read of apps.
pub(super) struct AppSeries(Arc<Sources>);

/// One app, and what the supervisor knows of it.
struct Shown {
    app: Arc<str>,
    numbers: Arc<Numbers>,
    redeploys: u64,
    restarts: u64,
}

/// A series with a value for each app: its name, what it counts, and where that is.
type Told<T> = (&'static str, &'static str, fn(&T) -> u64);

impl AppSeries {
    pub(super) fn new(sources: &Arc<Sources>) -> Self {
        Self(sources.clone())
    }

    /// The apps that have series.
    fn shown(&self) -> Vec<Shown> {
        let mut all = self.0.apps.all();
        all.retain(|(_, numbers)| numbers.idle_for() < IDLE);
        let status = self.0.status.borrow();
        let shown = all.into_iter().filter_map(|(app, numbers)| {
            let known = status.apps.get(&*app)?;
            Some(Shown {
                app,
                numbers,
                redeploys: known.redeploys,
                restarts: known.restarts,
            })
        });
        shown.collect()
    }

    fn states(&self) -> BTreeMap<AppState, usize> {
        let mut states: BTreeMap<_, _> = AppState::ALL.into_iter().map(|state| (state, 0)).collect();
        for app in self.0.status.borrow().apps.values() {
            *states.entry(app.state).or_default() += 1;
        }
        states
    }
}

impl Collector for AppSeries {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Apps by what they are doing.";
        let mut series = encoder.encode_descriptor("lepton_apps", help, None, MetricType::Gauge)?;
        for (state, count) in self.states() {
            series
                .encode_family(&[("state", state.as_str())])?
                .encode_gauge(&count)?;
        }
        let shown = self.shown();
        requests(&mut encoder, &shown)?;
        durations(&mut encoder, &shown)?;
        gauges(&mut encoder, &shown)?;
        incidents(&mut encoder, &shown)?;
        runs(&mut encoder, &shown)
    }
}

fn requests(encoder: &mut DescriptorEncoder<'_>, shown: &[Shown]) -> fmt::Result {
    let help = "Requests of clients that have ended, by the class of their status.";
    let mut series = encoder.encode_descriptor("lepton_http_requests", help, None, MetricType::Counter)?;
    for Shown { app, numbers, .. } in shown {
        for (class, total) in numbers.ended() {
            counter(&mut series, app, "code", class.name(), total)?;
        }
    }
    Ok(())
}

fn durations(encoder: &mut DescriptorEncoder<'_>, shown: &[Shown]) -> fmt::Result {
    let name = "lepton_http_request_duration_seconds";
    let help = "From the head of a request to the last of its response.";
    let mut series = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    for Shown { app, numbers, .. } in shown {
        let durations = numbers.durations();
        let counts = durations.counts();
        let count = counts.iter().map(|(_, count)| count).sum();
        series
            .encode_family(&[("app", &**app)])?
            .encode_histogram::<NoLabelSet>(durations.sum().as_secs_f64(), count, &counts, None)?;
    }
    Ok(())
}

fn gauges(encoder: &mut DescriptorEncoder<'_>, shown: &[Shown]) -> fmt::Result {
    let gauges: [Told<Numbers>; 2] = [
        (
            "lepton_http_requests_in_flight",
            "Requests of clients that have not ended.",
            Numbers::in_flight,
        ),
        ("lepton_instances", "Instances of guests.", |numbers| {
            numbers.instances() as u64
        }),
    ];
    for (name, help, value) in gauges {
        let mut series = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for Shown { app, numbers, .. } in shown {
            series
                .encode_family(&[("app", &**app)])?
                .encode_gauge(&value(numbers))?;
        }
    }
    Ok(())
}

/// What has never happened has no series: there are many kinds.
fn incidents(encoder: &mut DescriptorEncoder<'_>, shown: &[Shown]) -> fmt::Result {
    let help = "Guests that failed, by how they did.";
    let name = "lepton_guest_failures";
    let mut series = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for Shown { app, numbers, .. } in shown {
        for (failure, total) in numbers.failures().into_iter().filter(|(_, total)| *total > 0) {
            counter(&mut series, app, "kind", failure.name(), total)?;
        }
    }
    let help = "Limits that were reached, by their member of `limits` in the app's file.";
    let name = "lepton_limits_reached";
    let mut series = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for Shown { app, numbers, .. } in shown {
        for (reason, total) in numbers.limits().into_iter().filter(|(_, total)| *total > 0) {
            counter(&mut series, app, "limit", reason.member(), total)?;
        }
    }
    Ok(())
}

fn runs(encoder: &mut DescriptorEncoder<'_>, shown: &[Shown]) -> fmt::Result {
    let counters: [Told<Shown>; 2] = [
        (
            "lepton_app_redeploys",
            "Versions that have taken the place of one that served.",
            |shown| shown.redeploys,
        ),
        (
            "lepton_app_restarts",
            "Times that an app ended by itself, to be started again.",
            |shown| shown.restarts,
        ),
    ];
    for (name, help, total) in counters {
        let mut series = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for shown in shown {
            series
                .encode_family(&[("app", &*shown.app)])?
                .encode_counter::<NoLabelSet, _, f64>(&total(shown), None)?;
        }
    }
    Ok(())
}

fn counter(
    series: &mut MetricEncoder<'_>,
    app: &str,
    label: &'static str,
    value: &str,
    total: u64,
) -> fmt::Result {
    series
        .encode_family(&[("app", app), (label, value)])?
        .encode_counter::<NoLabelSet, _, f64>(&total, None)
}

impl fmt::Debug for AppSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppSeries")
    }
}
