//! Sizes of convolutions for tests.

use gradscope_engine::Slide;

/// Height and width of a convolution's output; `None` if the kernel does not fit the padded input.
pub fn output_size(from: (usize, usize), slide: Slide) -> Option<(usize, usize)> {
    let count = |size: usize, kernel: usize, stride: usize, padding: usize, dilation: usize| {
        (size + 2 * padding).checked_sub(dilation * (kernel - 1) + 1).map(|rest| rest / stride + 1)
    };
    let Slide { kernel: k, stride: s, padding: p, dilation: d, .. } = slide;
    Some((count(from.0, k.0, s.0, p.0, d.0)?, count(from.1, k.1, s.1, p.1, d.1)?))
}
