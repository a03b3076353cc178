//! Networks: encoders, and what is trained behind them.

pub mod convnext;
pub mod deeplab;
pub mod efficientnet_lite;
pub mod linear;
pub mod multi_embedding;
pub mod pixelwise;
pub mod resnet;
pub mod vit;

use crate::encoder::Family;

/// Every kind of encoder that Virboard runs.
pub const FAMILIES: [Family; 4] = [resnet::FAMILY, efficientnet_lite::FAMILY, vit::FAMILY, convnext::FAMILY];

#[cfg(test)]
mod test_networks {
    use crate::encoder::Encoder;
    use crate::testing::values;
    use candle_core::Tensor;

    /// An image's embedding has the same bits alone on one thread as among those of `x`.
    pub fn same_bits_in_any_batch(network: &dyn Encoder, x: &Tensor) {
        let all: Vec<Vec<f32>> = network.embedding(x).and_then(|e| Ok(e.to_vec2()?)).expect("values");
        let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
        for (i, wanted) in all.iter().enumerate() {
            let alone = x.narrow(0, i, 1).expect("an image");
            let alone = one_thread.install(|| network.embedding(&alone)).expect("computed");
            assert_eq!(&values(&alone), wanted, "image {i}");
        }
    }
}
