//! A strided view of a layer's weights, for a convolution or its transpose.

/// A view of weights `(O, C/groups, kh, kw)`. The weight of group `g` and tap `t` from input channel `c` to output channel `o`
/// has index `g · group_stride + c · input_stride + o · output_stride + t`. For the input gradient, the roles of input and output
/// channels are swapped.
#[derive(Clone, Copy)]
pub(crate) struct WeightView<'a> {
    pub numbers: &'a [f32],
    pub group_stride: usize,
    pub input_stride: usize,
    pub output_stride: usize,
}

impl WeightView<'_> {
    /// The index of the weight for a group, an input channel and a tap, at output channel 0.
    #[inline(always)]
    pub fn start(&self, g: usize, c: usize, tap: usize) -> usize {
        g * self.group_stride + c * self.input_stride + tap
    }

    /// The weight for output channel `o`, given an index from [`WeightView::start`].
    #[inline(always)]
    pub fn at(&self, start: usize, o: usize) -> f32 {
        self.numbers[start + o * self.output_stride]
    }
}
