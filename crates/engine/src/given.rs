//! Weights as a layer gives them, read in either direction.

/// Weights `(O, C/groups, kh, kw)` as one direction reads them: the one of group `g` and tap `t` between channel read `c` and channel given
/// `o` stands at `g · group + c · read + o · given + t`.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    pub numbers: &'a [f32],
    pub group: usize,
    pub read: usize,
    pub given: usize,
}

impl Given<'_> {
    /// Where those of a group, a channel read and a tap start.
    #[inline(always)]
    pub fn start(&self, g: usize, c: usize, tap: usize) -> usize {
        g * self.group + c * self.read + tap
    }

    /// That of channel `o` among those that start there.
    #[inline(always)]
    pub fn at(&self, start: usize, o: usize) -> f32 {
        self.numbers[start + o * self.given]
    }
}
