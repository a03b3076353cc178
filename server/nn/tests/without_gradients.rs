//! Networks without gradients: the same values in a fraction of the memory, and tensors that can be
//! set as ever. There is one test in this file, since all that the process allocates is counted.

use candle_core::{Device, Tensor};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};
use virboard_nn::path::{in_bf16, plainly};
use virboard_nn::testing::{Random, values};
use virboard_nn::trainable::{Form, Gradients, Normalising, Trainable};

/// Bytes that are allocated, and the most there have been.
static NOW: AtomicIsize = AtomicIsize::new(0);
static MOST: AtomicIsize = AtomicIsize::new(0);

struct Counted;

// SAFETY: the system's allocator does everything; beside it numbers are added.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let size = layout.size() as isize;
        MOST.fetch_max(NOW.fetch_add(size, Ordering::SeqCst) + size, Ordering::SeqCst);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size() as isize, Ordering::SeqCst);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

/// What `work` gives, and the most bytes that it held at once.
fn peak<T>(work: impl FnOnce() -> T) -> (T, isize) {
    let before = NOW.load(Ordering::SeqCst);
    MOST.store(before, Ordering::SeqCst);
    let made = work();
    (made, MOST.load(Ordering::SeqCst) - before)
}

/// Networks whose activations are many beside their weights.
fn forms() -> Vec<(&'static str, Form)> {
    let resnet = |key: &str| Form { width: Some(8), blocks: Some([4, 4, 4, 4]), ..Form::of(key) };
    let vit = Form { width: Some(64), depth: Some(8), patch: Some(8), grid: Some(8), ..Form::of("vit") };
    vec![("basic blocks", resnet("resnet18")), ("bottlenecks", resnet("resnet50")), ("vision transformer", vit)]
}

type Way = fn(&dyn Trainable, &Tensor) -> Tensor;

fn embedded(network: &dyn Trainable, x: &Tensor) -> Tensor {
    network.embedding(x, Normalising { groups: 2, ..Normalising::TRAIN }).expect("computed")
}

#[test]
fn a_network_without_gradients_keeps_nothing_and_computes_the_same() {
    let ways: [(&str, Way); 3] = [
        ("the CPU's own operations", embedded),
        ("operations of every device", |network, x| plainly(|| embedded(network, x))),
        ("bfloat16", |network, x| in_bf16(true, || embedded(network, x))),
    ];
    let x = Random::new("without gradients").normal(1.0, (32, 64, 64, 3));
    for ((what, form), (way, run)) in forms().iter().flat_map(|form| ways.map(|way| (form, way))) {
        let build =
            |gradients| form.build_with(gradients, &mut form.random(3).expect("weights"), &Device::Cpu).expect("built");
        let (trained, follower) = (build(Gradients::Wanted), build(Gradients::None));
        let (y, kept) = peak(|| run(&*trained, &x));
        let (z, bare) = peak(|| run(&*follower, &x));
        println!("{what}, {way}: {kept} bytes with gradients, {bare} without");
        assert!(bare > 0 && 2 * bare < kept, "{what}, {way}: {bare} bytes are not half of {kept}");
        assert_eq!(values(&z), values(&y), "{what}, {way}");
        assert!(y.track_op() && !z.track_op());

        let gradients = (&y * &z).and_then(|p| p.sum_all()).and_then(|loss| loss.backward()).expect("gradients");
        let vars = trained.parameters().trainable().iter().zip(follower.parameters().trainable());
        let mut compared = 0;
        for ((name, var), (same, other)) in vars {
            assert_eq!(name, same);
            assert!(gradients.get(var).is_some(), "{what}, {way}: {name}");
            assert!(gradients.get(other).is_none(), "{what}, {way}: {name} of the follower");
            let moved = (var.as_detached_tensor() * 0.75).and_then(|t| t + 0.01).expect("moved");
            var.set(&moved).expect("set");
            other.set(&moved).expect("set");
            compared += 1;
        }
        assert!(compared > 20, "{what}: {compared} tensors");
        let again = values(&run(&*follower, &x));
        assert_ne!(again, values(&z), "{what}, {way}: the layers see what tensors are set to");
        assert_eq!(again, values(&run(&*trained, &x)), "{what}, {way}");
        for (name, var) in trained.parameters().all() {
            let other = follower.parameters().get(name).expect("the same");
            assert_eq!(values(var), values(other), "{what}, {way}: {name}");
        }
    }
}
