//! How the steps of some tensors differ from those of others.

/// How an optimiser treats a tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Group {
    /// Whether it has weight decay.
    pub decayed: bool,
    /// Whether LARS adapts its learning rate.
    pub adapted: bool,
    /// What its learning rate is multiplied with: 1, or less for the layers near the picture when
    /// an encoder is fine-tuned.
    pub rate: f64,
}

impl Default for Group {
    /// Decayed and adapted, at the whole learning rate: how PyTorch treats all tensors alike.
    fn default() -> Self {
        Self { decayed: true, adapted: true, rate: 1.0 }
    }
}

impl Group {
    /// What [`Self::default`] is to matrices and kernels; vectors, which are biases and the
    /// weights of normalisations, are neither decayed nor adapted (`SimCLR`, `SwAV`, timm).
    #[must_use]
    pub fn by_dimensions(dims: &[usize]) -> Self {
        let matrix = dims.len() > 1;
        Self { decayed: matrix, adapted: matrix, rate: 1.0 }
    }

    /// The same at `rate` times the learning rate.
    #[must_use]
    pub fn at_rate(self, rate: f64) -> Self {
        Self { rate, ..self }
    }
}
