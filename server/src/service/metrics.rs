//! What the server measures of itself, in Prometheus' text format.

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;
use std::time::Duration;
use virboard_core::prediction::Costs;

const STAGE: &str = "virboard_stage_seconds";
const REQUEST: &str = "virboard_request_seconds";
/// Seconds: from a cheap page to a picture of 40 megapixels.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// The recorder of this process; none if another one was installed before.
fn handle() -> Option<&'static PrometheusHandle> {
    static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    let install = || {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)
            .inspect_err(|error| tracing::error!(%error, "no metrics are kept"))
            .ok()?;
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("no metrics are kept: another recorder is installed");
            return None;
        }
        describe_histogram!(STAGE, "Seconds that a prediction took in each stage");
        describe_histogram!(REQUEST, "Seconds until an answer began, by kind of address and status");
        describe_counter!("virboard_batches_total", "Encoder passes since the start");
        describe_counter!("virboard_pictures_total", "Pictures in encoder passes since the start");
        describe_gauge!("virboard_uploads", "Uploads being read or predicted now");
        Some(handle)
    };
    HANDLE.get_or_init(install).as_ref()
}

/// Notes what the stages of an answer took; stages that took nothing are left out.
pub fn record(costs: &Costs) {
    let _ = handle();
    for (stage, milliseconds) in costs.parts().into_iter().filter(|(_, ms)| *ms > 0.0) {
        histogram!(STAGE, "stage" => stage).record(milliseconds / 1000.0);
    }
}

/// Notes an answer: the kind of its address (a name of few), its status and its time.
pub fn answered(kind: &'static str, status: u16, took: Duration) {
    let _ = handle();
    histogram!(REQUEST, "kind" => kind, "status" => status.to_string()).record(took.as_secs_f64());
}

/// The text, with counts of the moment.
#[must_use]
pub fn render(batches: u64, pictures: u64, uploads: usize) -> String {
    let Some(handle) = handle() else { return String::new() };
    counter!("virboard_batches_total").absolute(batches);
    counter!("virboard_pictures_total").absolute(pictures);
    gauge!("virboard_uploads").set(uploads as f64);
    handle.run_upkeep();
    handle.render()
}
