//! Probes, metrics and CKA.

use super::{classes, largest, nhwc, row, vectors};
use candle_core::{Device, Tensor};
use virboard_core::protocol::Protocol;
use virboard_lab::train::truth::Truth;
use virboard_nn::seeded::Stream;
use virboard_nn::testing::values;

#[test]
fn neighbours_and_logistic_regression() {
    use virboard_lab::score::metric::SampleScore;
    use virboard_lab::score::{knn, logistic};
    let v = vectors("probes.safetensors");
    let of = |n: u32| -> Vec<u32> { (0..n).map(|i| i % 4).collect() };
    let compare = |samples: &[SampleScore], name: &str| -> f64 {
        let wanted: Vec<Vec<f32>> = v[name].to_vec2().expect("f32");
        assert_eq!(samples.len(), wanted.len(), "{name}");
        let mut errors = Vec::new();
        for (sample, wanted) in samples.iter().zip(wanted) {
            let SampleScore::Class { top, .. } = sample else { panic!("a class") };
            errors.extend(top.iter().map(|(class, p)| f64::from(p - wanted[*class as usize])));
        }
        largest(&errors)
    };
    let votes = knn::classify(&v["train"], &of(240), &v["test"], &of(120), &knn::NEIGHBOURS, &()).expect("classified");
    assert_eq!(votes.len(), knn::NEIGHBOURS.len());
    let errors: Vec<f64> = knn::NEIGHBOURS.iter().zip(&votes).map(|(k, s)| compare(s, &format!("knn.{k}"))).collect();
    row("k nearest neighbours: votes for k = 10, 20, 100, 200", "DINO's rule in PyTorch", largest(&errors), 1e-4);
    let fitted = logistic::classify(&v["train"], &of(240), &v["test"], &of(120), 4, &()).expect("fitted");
    row("Logistic regression: probabilities", "scikit-learn", compare(&fitted, "logistic"), 2e-3);
}

#[test]
fn metrics_under_both_protocols() {
    use virboard_core::catalogue::task::Metric;
    use virboard_lab::score::metric::{Scoring, score};
    use virboard_lab::train::score_batch;
    let v = vectors("metrics.safetensors");
    let wanted = |name: &str| v[name].to_vec1::<f64>().expect("f64")[0];
    let mut stream = Stream::new(0, "metric.logits");
    let numbers: Vec<f32> = (0..10 * 4 * 30).map(|_| stream.normal() as f32).collect();
    let logits = nhwc(&Tensor::from_vec(numbers, (10, 4, 6, 5), &Device::Cpu).expect("a tensor"));
    let labels: Vec<u8> = classes("metric.labels", 300, 4).iter().map(|c| *c as u8).collect();
    let plane = |c: usize| logits.narrow(3, c, 1).and_then(|t| t.contiguous()).expect("a plane");
    let check = |title: &str, name: &str, out: &Tensor, truth: &Truth, metric, protocol| {
        let scoring = Scoring { metric, skip_zero: false, void_zero: false };
        let samples = score_batch(out, truth, 1.0, metric, protocol).expect("scored");
        row(title, "PyTorch", (score(&samples, scoring, protocol, 4) - wanted(name)).abs(), 1e-6);
    };
    let first = logits.narrow(1, 0, 1).and_then(|t| t.narrow(2, 0, 1)?.flatten_from(1)).expect("logits");
    let tops = Truth::Classes(labels.iter().step_by(30).map(|c| u32::from(*c)).collect());
    check("Top-1 accuracy", "top1", &first, &tops, Metric::Top1, Protocol::Standard);
    let mask = Truth::Mask(labels.clone());
    check("mIoU (virb)", "miou.virb", &logits, &mask, Metric::MeanIou, Protocol::Virb);
    check("mIoU (standard)", "miou.standard", &logits, &mask, Metric::MeanIou, Protocol::Standard);
    let one = Truth::Mask(labels.iter().map(|c| u8::from(*c == 1)).collect());
    check("IoU of one class", "iou", &plane(1), &one, Metric::Iou, Protocol::Standard);
    let other = Truth::Values(values(&plane(1)));
    check("L1 error", "l1", &plane(0), &other, Metric::L1, Protocol::Standard);
    let flow = values(&plane(3)).iter().zip(&labels).map(|(v, l)| if *l == 0 { f32::NAN } else { *v }).collect();
    check("Flow accuracy (virb)", "flow.virb", &plane(2), &Truth::Values(flow), Metric::FlowAccuracy, Protocol::Virb);
}

#[test]
fn cka_in_blocks_is_numpys_of_all_rows_at_once() {
    use virboard_lab::work::cka::Gram;
    let v = vectors("cka.safetensors");
    let wanted = v["cka"].to_vec1::<f64>().expect("f64")[0];
    for block in [50, 7] {
        let gram =
            |name: &str| Gram::of(50, block, |from, to| Ok(v[name].narrow(0, from, to - from)?)).expect("computed");
        let (a, b) = (gram("a"), gram("b"));
        row("Linear CKA", "NumPy", (a.cka(&b) - wanted).abs(), 1e-6);
        assert!((a.cka(&a) - 1.0).abs() < 1e-6);
        assert!((a.cka(&b) - b.cka(&a)).abs() < 1e-12);
        assert!(!a.is_constant() && a.is_sound());
        let same =
            Gram::of(50, block, |from, to| Ok(v["a"].narrow(0, 0, 1)?.repeat((to - from, 1))?)).expect("computed");
        assert!(same.is_constant() && same.is_sound(), "fifty times the same");
        let hole =
            Gram::of(50, block, |from, to| Ok((v["a"].narrow(0, from, to - from)? * f64::NAN)?)).expect("computed");
        assert!(!hole.is_constant() && !hole.is_sound());
    }
}
