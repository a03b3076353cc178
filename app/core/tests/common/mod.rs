//! A made-up score.

use virboard_core::protocol::Protocol;
use virboard_core::results::{Probe, Provenance, ResultCell, Source};

/// An imported score by the standard protocol.
pub fn result(encoder: &str, task: &str, score: f64) -> ResultCell {
    let provenance = Provenance {
        source: Source::Imported,
        encoder_sha256: String::new(),
        dataset_sha256: String::new(),
        probe: Probe::Head,
        protocol: Protocol::Standard,
        selected: true,
        configuration: "{}".into(),
        seed: 0,
        device: String::new(),
        version: String::new(),
        finished_at: 0,
        seconds: 0.0,
        test_samples: 1,
    };
    ResultCell { encoder: encoder.into(), task: task.into(), score, constant: None, provenance }
}
