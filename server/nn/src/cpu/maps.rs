//! Sizes of maps, and the buffers of what works on them.

use crate::conv::Padding;

/// Size of a batch of maps, all but their channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Maps {
    /// Images N.
    pub images: usize,
    /// Rows H.
    pub height: usize,
    /// Columns W.
    pub width: usize,
}

impl Maps {
    /// N x H x W.
    #[must_use]
    pub const fn pixels(self) -> usize {
        self.images * self.height * self.width
    }

    /// Image, row and column of the pixel with this number.
    #[inline(always)]
    pub(super) const fn place(self, pixel: usize) -> (usize, usize, usize) {
        let (line, column) = (pixel / self.width, pixel % self.width);
        (line / self.height, line % self.height, column)
    }

    /// Image, row and column of the pixel behind, without the division that takes long.
    #[inline(always)]
    pub(super) const fn next(self, (image, row, column): (usize, usize, usize)) -> (usize, usize, usize) {
        if column + 1 < self.width {
            (image, row, column + 1)
        } else if row + 1 < self.height {
            (image, row + 1, 0)
        } else {
            (image + 1, 0, 0)
        }
    }

    /// The size under a kernel, and its zeros above and at the left.
    #[must_use]
    pub fn under(self, kernel: usize, stride: usize, padding: Padding) -> (Self, [usize; 2]) {
        let [(above, height), (left, width)] = [self.height, self.width].map(|n| padding.of(n, kernel, stride));
        (Self { height, width, ..self }, [above, left])
    }
}

/// Buffers that a convolution works in.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) transformed: Vec<f32>,
    pub(super) products: Vec<f32>,
    pub(super) zeros: Vec<f32>,
}
