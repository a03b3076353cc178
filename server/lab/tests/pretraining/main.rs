//! The methods of pre-training: what each remembers, freezes and draws, on a small network.

mod settings;
mod tiny;

use candle_core::{Device, Tensor, Var};
use std::collections::BTreeMap;
use tiny::{CLASSES, PICTURES, batch, build, forms, start_with, trained};
use virboard_lab::Error;
use virboard_lab::pretrain::method::moco::MocoForm;
use virboard_lab::pretrain::method::projection::ProjectionForm;
use virboard_lab::pretrain::method::swav::{QueueForm, SwavForm};
use virboard_lab::pretrain::method::{Batch, Method, MethodForm};
use virboard_nn::testing::{assert_near, difference, values};

/// The bits of all tensors of a state, by name.
fn bits(method: &dyn Method) -> BTreeMap<String, Vec<u8>> {
    let state = method.state().expect("a state");
    let bytes = |t: &Tensor| safetensors_bytes(t);
    state.iter().map(|(name, tensor)| (name.clone(), bytes(tensor))).collect()
}

fn safetensors_bytes(tensor: &Tensor) -> Vec<u8> {
    safetensors::serialize([("t", tensor)], None).expect("bytes")
}

#[test]
fn every_method_goes_on_from_its_state_to_the_same_bits() {
    let forms = forms();
    let mut keys: Vec<&str> = forms.iter().map(MethodForm::key).collect();
    keys.dedup();
    assert_eq!(keys, MethodForm::KEYS);
    for form in &forms {
        let mut whole = build(form, 3);
        let mut losses = trained(&mut *whole, form, 0..4);
        let state = whole.state().expect("a state");
        let kept: BTreeMap<String, Vec<u8>> = state.iter().map(|(k, t)| (k.clone(), safetensors_bytes(t))).collect();
        losses.extend(trained(&mut *whole, form, 4..9));
        for (name, tensor) in &state {
            assert_eq!(safetensors_bytes(tensor), kept[name], "{name} of {} is a copy", form.key());
        }

        // One that has gone elsewhere: everything has to come from the state.
        let mut resumed = build(form, 3);
        trained(&mut *resumed, form, 20..22);
        resumed.restore(&state).expect("restored");
        let after = trained(&mut *resumed, form, 4..9);
        assert_eq!(after, losses[4..], "the losses of {}", form.key());
        assert_eq!(bits(&*resumed), bits(&*whole), "the tensors of {}", form.key());

        let mut again = build(form, 3);
        assert_eq!(trained(&mut *again, form, 0..9), losses, "{} again", form.key());
        let mut other = build(form, 4);
        assert_ne!(trained(&mut *other, form, 0..9), losses, "{} with another seed", form.key());
        assert!(losses.iter().all(|loss| loss.is_finite() && *loss > 0.0), "{}: {losses:?}", form.key());
    }
}

#[test]
fn a_state_of_another_run_is_refused_by_name() {
    for form in &forms() {
        let mut method = build(form, 3);
        let mut state = method.state().expect("a state");
        state.remove("encoder.weight");
        let said = method.restore(&state).expect_err("a tensor is missing").to_string();
        assert!(said.contains("`encoder.weight`") && said.contains("missing"), "{said}");
        let wrong = Tensor::zeros((2, 2), candle_core::DType::F32, &Device::Cpu).expect("zeros");
        state.insert("encoder.weight".to_owned(), wrong);
        let said = method.restore(&state).expect_err("another shape").to_string();
        assert!(said.contains("`encoder.weight`") && said.contains("[2, 2]"), "{said}");
    }
}

#[test]
fn a_checkpoint_is_the_encoder_alone() {
    for form in &forms() {
        let method = build(form, 3);
        let encoder = method.encoder().expect("tensors");
        assert_eq!(encoder.keys().collect::<Vec<_>>(), ["bias", "weight"], "{}", form.key());
        let trained = method.trainable();
        assert_eq!(values(&encoder["weight"]), values(&trained["encoder.weight"]));
        assert!(trained.keys().any(|name| name.starts_with("projection.")), "{:?}", trained.keys());
        assert!(!trained.keys().any(|name| name.starts_with("momentum.")), "keys are not trained");
    }
}

fn moco(queue: usize) -> MethodForm {
    let projection = ProjectionForm::linear(4);
    MethodForm::MocoV1(MocoForm { projection, temperature: 0.1, queue, momentum: 0.75, groups: 2 })
}

#[test]
fn mocos_queue_holds_the_keys_of_the_run_in_the_order_of_the_pictures() {
    let form = moco(16);
    let mut method = build(&form, 0);
    let before = values(&method.state().expect("a state")["queue.rows"]);
    let keys = |method: &dyn Method, step: u64| {
        // The key encoder of the small network has no normalisation, so that its keys are known.
        let state = method.state().expect("a state");
        let tensor = |name: &str| state[&format!("momentum.{name}")].clone();
        let features =
            tiny::embedding(&batch(&form, step).views[1], &tensor("encoder.weight"), &tensor("encoder.bias"));
        let out = features.matmul(&tensor("projection.out.weight").t().expect("turned")).expect("computed");
        let out = out.broadcast_add(&tensor("projection.out.bias")).expect("computed");
        let length = out.sqr().and_then(|o| o.sum_keepdim(1)).and_then(|o| o.sqrt()).expect("lengths");
        values(&out.broadcast_div(&length).expect("divided"))
    };
    let mut wanted = Vec::new();
    for step in 0..2 {
        wanted.extend(keys(&*method, step));
        trained(&mut *method, &form, step..step + 1);
    }
    let state = method.state().expect("a state");
    assert_near("keys", &values(&state["queue.rows"]), &wanted, 1e-6);
    assert_eq!(state["queue.filled"].to_vec1::<u32>().expect("a number"), [16]);
    assert!(before.chunks(4).all(|row| !values(&state["queue.rows"]).chunks(4).any(|new| new == row)));
}

#[test]
fn mocos_key_encoder_follows_by_its_momentum_alone() {
    let form = moco(8);
    let mut method = build(&form, 0);
    let name = "projection.out.weight";
    let key = |method: &dyn Method| values(&method.state().expect("a state")[&format!("momentum.{name}")]);
    let query = |method: &dyn Method| values(&method.trainable()[name]);
    assert_eq!(key(&*method), query(&*method), "both begin alike");
    let old = key(&*method);
    trained(&mut *method, &form, 0..1);
    let wanted: Vec<f32> = old.iter().zip(query(&*method)).map(|(old, new)| 0.75 * old + 0.25 * new).collect();
    assert_ne!(wanted, old, "the query encoder moved");
    assert_near("keys", &key(&*method), &wanted, 1e-6);
}

#[test]
fn prototypes_stay_in_the_first_epoch_and_have_length_1() {
    let form = MethodForm::Swav(SwavForm {
        projection: ProjectionForm::linear(4),
        prototypes: 6,
        temperature: 0.1,
        epsilon: 0.05,
        iterations: 3,
        assigned: 2,
        frozen_epochs: 1,
        queue: Some(QueueForm { length: 16, from_epoch: 1 }),
    });
    let mut method = build(&form, 0);
    let prototypes = |method: &dyn Method| method.trainable()["prototypes.weight"].as_tensor().clone();
    let filled = |method: &dyn Method| {
        let state = method.state().expect("a state");
        ["queue0.filled", "queue1.filled"].map(|name| state[name].to_vec1::<u32>().expect("a number")[0])
    };
    let before = values(&prototypes(&*method));
    trained(&mut *method, &form, 0..tiny::EPOCH);
    assert_near("prototypes of the first epoch", &values(&prototypes(&*method)), &before, 1e-6);
    assert_eq!(filled(&*method), [0, 0]);
    trained(&mut *method, &form, tiny::EPOCH..2 * tiny::EPOCH);
    let after = prototypes(&*method);
    let moved = difference("prototypes", &values(&after), &before);
    assert!(moved > 1e-4, "they moved by {moved}");
    let lengths = after.sqr().and_then(|p| p.sum(1)).expect("lengths");
    assert_near("lengths", &values(&lengths), &[1f32; 6], 1e-6);
    assert_eq!(filled(&*method), [16, 16]);
}

#[test]
fn the_bank_moves_where_pictures_were_seen_and_jigsaws_belong_to_them() {
    let form = &forms()[3];
    let mut method = build(form, 0);
    let rows = |method: &dyn Method| values(&method.state().expect("a state")["bank.rows"]);
    let before = rows(&*method);
    let mut first = batch(form, 0);
    let loss = values(&method.loss(&first).expect("a loss"))[0];
    let after = rows(&*method);
    let width = before.len() / PICTURES;
    let moved: Vec<usize> =
        (0..PICTURES).filter(|p| before[p * width..][..width] != after[p * width..][..width]).collect();
    let mut seen = first.pictures.clone();
    seen.sort_unstable();
    assert_eq!(moved, seen);

    // Pictures in another order have the same loss, if their jigsaws and numbers go with them.
    let turned = |t: &Tensor, block: usize| {
        let rows = t.dim(0).expect("rows");
        let order: Vec<u32> =
            (0..rows / block).rev().flat_map(|b| (b * block..(b + 1) * block).map(|i| i as u32)).collect();
        t.index_select(&Tensor::new(order, &Device::Cpu).expect("an order"), 0).expect("turned")
    };
    let loss_of = |batch: &Batch| values(&build(form, 0).loss(batch).expect("a loss"))[0];
    first.views[1] = turned(&first.views[1], 9);
    let apart = loss_of(&first);
    first.views[0] = turned(&first.views[0], 1);
    first.pictures.reverse();
    assert_near("in another order", &[loss_of(&first)], &[loss], 1e-6);
    assert!((apart - loss).abs() > 1e-3 * loss, "{apart} and {loss}: jigsaws of other pictures are told apart");
    first.pictures[0] = PICTURES;
    assert!(build(form, 0).loss(&first).expect_err("there is none").to_string().contains(&PICTURES.to_string()));
}

#[test]
fn what_does_not_fit_a_method_is_said() {
    for form in &forms() {
        let mut few = batch(form, 0);
        few.views = few.views.into_iter().take(1).collect();
        if !matches!(form, MethodForm::Supervised(_)) {
            let said = build(form, 0).loss(&few).expect_err("views are missing").to_string();
            assert!(said.contains("views of a picture and got 1"), "{said}");
        }
    }
    let supervised = forms().pop().expect("the last one is supervised");
    let mut batch = batch(&supervised, 0);
    batch.classes[0] = CLASSES as u32;
    assert!(build(&supervised, 0).loss(&batch).expect_err("no such class").to_string().contains("class number"));
    batch.classes.clear();
    assert!(matches!(build(&supervised, 0).loss(&batch), Err(Error::NoClasses)));
    let none = start_with(0, 0, |start| supervised.build(start).err());
    assert!(matches!(none, Some(Error::NoClasses)));
}

#[test]
fn gradients_reach_everything_that_is_trained() {
    for form in &forms() {
        let mut method = build(form, 0);
        let loss = method.loss(&batch(form, 10 * tiny::EPOCH)).expect("a loss");
        let gradients = loss.backward().expect("gradients");
        let normalised = method.trainable().contains_key("projection.norm.weight");
        for (name, var) in method.trainable() {
            let gradient = gradients.get(&var).map(values).unwrap_or_default();
            let largest = difference(&name, &gradient, &vec![0f32; gradient.len()]);
            // What shifts the input of a batch normalisation has no effect.
            let shifts = normalised && ["projection.hidden.bias", "encoder.bias"].contains(&name.as_str());
            assert!(!gradient.is_empty() && (largest > 1e-6 || shifts), "{name} of {}: {largest}", form.key());
        }
        let keys: Vec<Var> = method.trainable().into_values().collect();
        assert!(keys.len() >= 4, "{} trains {} tensors", form.key(), keys.len());
    }
}
