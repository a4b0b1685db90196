//! Ranges of positions along an axis that are affected by a change to the input.

use crate::backend::Window;

/// The range of positions along an axis affected by a change to the input, given by its start for each picture. All ranges have
/// the same length, so that the ranges of a batch form one feature map.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ReceptiveRange {
    pub at: Vec<usize>,
    pub len: usize,
}

impl ReceptiveRange {
    /// Ranges `start..end` on an axis of `size` positions. Shorter ranges are extended to the length of the longest.
    pub fn new(parts: impl Iterator<Item = (usize, usize)> + Clone, size: usize) -> Self {
        let len = parts.clone().map(|(start, end)| end - start).max().unwrap_or(0).clamp(1, size);
        Self { at: parts.map(|(start, _)| start.min(size - len)).collect(), len }
    }

    /// A range that covers the whole axis of `size` positions for each of `n` pictures.
    pub fn whole(n: usize, size: usize) -> Self {
        Self { at: vec![0; n], len: size }
    }

    /// The range of outputs, on an axis of `to` outputs, whose windows `w` overlap this range.
    pub fn seen(&self, w: &Window, to: usize) -> Self {
        let reach = w.dilation * (w.kernel - 1);
        let part = |&at: &usize| {
            let first = (at + w.padding).saturating_sub(reach).div_ceil(w.stride).min(to - 1);
            let end = ((at + self.len - 1 + w.padding) / w.stride + 1).min(to);
            (first, end.max(first + 1))
        };
        Self::new(self.at.iter().map(part), to)
    }

    /// The range of outputs, on an axis of `to` outputs, that a slice with this start and step reads from this range.
    pub fn picked(&self, start: usize, step: usize, to: usize) -> Self {
        let from = |&at: &usize| at.saturating_sub(start).div_ceil(step).min(to - 1);
        let end = |&at: &usize| (at + self.len).saturating_sub(start).div_ceil(step).min(to);
        Self::new(self.at.iter().map(|at| (from(at), end(at).max(from(at) + 1))), to)
    }

    /// The range of inputs that a slice with this start and step reads to produce the outputs in this range.
    pub fn spread(&self, start: usize, step: usize) -> Self {
        Self { at: self.at.iter().map(|at| at * step + start).collect(), len: 1 + (self.len - 1) * step }
    }

    /// The smallest range that contains both `self` and `other`, on an axis of `size` positions.
    pub fn with(&self, other: &Self, size: usize) -> Self {
        let parts = self.at.iter().zip(&other.at);
        Self::new(parts.map(|(&a, &b)| (a.min(b), (a + self.len).max(b + other.len))), size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_affected_by_a_change_are_those_with_a_tap_in_it() {
        for (kernel, stride, padding, dilation) in
            [(3, 1, 1, 1), (7, 2, 3, 1), (3, 2, 0, 1), (1, 2, 0, 1), (3, 1, 2, 2)]
        {
            let (window, size) = (Window::new(kernel, stride, padding, dilation), 23);
            let to = window.count(size, false).unwrap_or_else(|e| panic!("{e}"));
            for (at, len) in [(0, 1), (5, 4), (20, 3), (0, 23), (11, 1)] {
                let spans = ReceptiveRange { at: vec![at], len }.seen(&window, to);
                let sees = |i: usize| {
                    (0..kernel).filter_map(|t| window.at(i, t, size)).any(|place| (at..at + len).contains(&place))
                };
                let inside = |i: usize| (spans.at[0]..spans.at[0] + spans.len).contains(&i);
                assert!((0..to).all(|i| !sees(i) || inside(i)), "{window:?} of {at}, {len}: {spans:?}");
                let seen = (0..to).filter(|&i| sees(i)).count();
                assert!(spans.len <= seen.max(1) * dilation, "{window:?} of {at}, {len}: {spans:?} for {seen}");
            }
        }
    }

    #[test]
    fn ranges_of_equal_length_stay_inside_and_cover_the_originals() {
        let parts = [(0, 3), (4, 9), (8, 10)];
        let spans = ReceptiveRange::new(parts.iter().copied(), 10);
        assert_eq!(spans, ReceptiveRange { at: vec![0, 4, 5], len: 5 });
        assert_eq!(spans.with(&ReceptiveRange::whole(3, 10), 10), ReceptiveRange::whole(3, 10));
        assert_eq!(ReceptiveRange { at: vec![3], len: 4 }.picked(0, 2, 5), ReceptiveRange { at: vec![2], len: 2 });
    }
}
