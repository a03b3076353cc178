//! An encoder and a decoder over all its maps that are trained together: three steps, each stage at
//! its own learning rate. The vectors were made by `scripts/make_fine_tuning_vectors.py`.

use super::heads::spec;
use super::pretraining::encoder;
use super::{classes, largest, row, seeded, vectors};
use candle_core::{Device, Tensor};
use virboard_core::catalogue::task::{Metric, OutputKind};
use virboard_core::protocol::Protocol;
use virboard_lab::Result;
use virboard_lab::head::{Architecture, Head};
use virboard_lab::score::metric::Scoring;
use virboard_lab::train::fine_tuning::FineTuning;
use virboard_lab::train::loss::Loss;
use virboard_lab::train::source::{Batch, Source};
use virboard_lab::train::truth::Truth;
use virboard_lab::train::{Aim, Configuration, Member, Parts, train};
use virboard_nn::optimiser::Kind;
use virboard_nn::trainable::{Gradients, Normalising};

const PICTURES: usize = 4;
const SIDE: usize = 48;
const CLASSES: usize = 3;
const LOSS: Loss = Loss::CrossEntropy { first: 1.0 };

/// Pictures, `N x H x W x 3`, with a class for each pixel.
struct Fixed {
    pictures: Tensor,
    classes: Vec<u8>,
}

impl Source for Fixed {
    fn len(&self) -> usize {
        PICTURES
    }

    fn batch(&self, indices: &[usize], _draw: Option<&str>) -> Result<Batch> {
        let at: Vec<u32> = indices.iter().map(|i| *i as u32).collect();
        let pictures = self.pictures.index_select(&Tensor::new(at, &Device::Cpu)?, 0)?;
        Ok(Batch { inputs: vec![pictures], truth: self.truth(indices)?, size: (SIDE, SIDE) })
    }

    fn truth(&self, indices: &[usize]) -> Result<Truth> {
        let each = SIDE * SIDE;
        Ok(Truth::Mask(indices.iter().flat_map(|i| self.classes[i * each..][..each].to_vec()).collect()))
    }
}

#[test]
fn an_encoder_and_its_head_are_trained_together_as_pytorch_does() {
    let v = vectors("fine_tuning.safetensors");
    let data = Fixed {
        pictures: seeded("fine-tuning", &[PICTURES, SIDE, SIDE, 3]),
        classes: classes("fine-tuned", PICTURES * SIDE * SIDE, CLASSES).iter().map(|c| *c as u8).collect(),
    };
    let tuning = FineTuning { layer_decay: 0.5, ..FineTuning::at(0.01) };
    let configuration = Configuration {
        epochs: 3,
        batch_size: PICTURES,
        optimiser: Kind::Sgd { momentum: 0.9, weight_decay: 0.01 },
        learning_rate: 0.02,
        fine_tuning: Some(tuning),
        ..Configuration::untrained("tuned".to_owned(), 0, Protocol::Standard)
    };
    let architecture = Architecture::Pixelwise { channels: vec![8, 8, 16, 32, 64], slim: None };
    let head = Head::new(spec(OutputKind::Segmentation, architecture, CLASSES), &Device::Cpu).expect("built");
    let mut members = [Member::fine_tuned(configuration, &tuning, head, encoder(8, Gradients::Wanted).expect("built"))];
    let named = |member: &Member| -> Vec<(String, candle_core::Var)> {
        let encoder = member.encoder().expect("it is trained along").parameters().trainable().iter();
        let head = member.head.parameters().trainable().iter();
        let encoder = encoder.map(|(name, var)| (format!("encoder.{name}"), var.clone()));
        encoder.chain(head.map(|(name, var)| (format!("head.{name}"), var.clone()))).collect()
    };

    let member = &members[0];
    let features = member.encoder().expect("there").features(&data.pictures, Normalising::TRAIN).expect("computed");
    let inputs = member.head.inputs(&[features]).expect("maps");
    let out = member.head.run(&inputs, (SIDE, SIDE), true).expect("computed");
    let truth = data.truth(&[0, 1, 2, 3]).expect("classes");
    let store = LOSS.of(&out, &truth, 1.0).and_then(|loss| Ok(loss.backward()?)).expect("gradients");
    let error = |(name, var): &(String, candle_core::Var)| {
        v.relative_error(store.get(var).expect("a gradient"), &format!("gradient.{name}"))
    };
    let gradients: Vec<f64> = named(member).iter().map(error).collect();
    assert_eq!(gradients.len(), v.names("gradient.").count(), "every gradient is compared");
    row("Fine-tuning, encoder and pixel-wise head: gradients", "PyTorch", largest(&gradients), 1e-4);

    let scoring = Scoring { metric: Metric::MeanIou, skip_zero: false, void_zero: false };
    let aim = Aim { loss: LOSS, scoring, drop_last: false };
    let parts = Parts { train: &data, trained: (0..PICTURES).collect(), held_out: None, test: &data };
    train(&mut members, &parts, aim, None, &()).expect("trained");
    let wanted: Vec<f64> = v["losses"].to_vec1().expect("f64");
    let curve = members[0].curve();
    assert_eq!(curve.len(), wanted.len());
    let losses: Vec<f64> = curve.iter().zip(&wanted).map(|(e, wanted)| (e.train_loss - wanted) / wanted).collect();
    row("Fine-tuning, encoder and pixel-wise head: losses over 3 steps", "PyTorch", largest(&losses), 1e-4);
    let error = |(name, var): &(String, candle_core::Var)| v.relative_error(var, &format!("weights.{name}"));
    let weights: Vec<f64> = named(&members[0]).iter().map(error).collect();
    row("Fine-tuning, encoder and pixel-wise head: weights after 3 steps", "PyTorch", largest(&weights), 1e-4);
}
