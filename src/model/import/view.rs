//! How the dimensions of an exported value map to the axes of a node's value.
//!
//! Axis 0 of a node's value is the batch axis, whereas exported programs may move the batch dimension or merge it with others, as in
//! `(T, N, C)` or `(N·heads, T, d)`. A view lists the axes that make up each exported dimension. Moving or merging dimensions therefore
//! only changes the view; nodes are added once an operation requires them.

use std::collections::VecDeque;

/// For each exported dimension, the axes of the node's value that are merged into it, outermost first. An axis of size 1 may be missing;
/// every other axis occurs once. A dimension without axes has size 1.
#[derive(Clone, Debug, PartialEq)]
pub struct View(pub Vec<Vec<usize>>);

/// How to split axes so that a reshape becomes a view.
#[derive(Debug, PartialEq)]
pub struct Regrouped {
    /// The sizes that each axis is split into.
    pub factors: Vec<Vec<usize>>,
    /// The reshaped value, as a view of the split axes.
    pub view: View,
}

/// How to bring the axes into the order of the exported dimensions.
#[derive(Debug, PartialEq)]
pub struct Arranged {
    /// The permutation of the axes, starting with the batch axis.
    pub order: Vec<usize>,
    /// The sizes, without the batch size, after the axes of each dimension are merged.
    pub sizes: Vec<usize>,
    /// The view of the rearranged value: the axes of each dimension are merged into one, except for the batch axis, which stays separate.
    pub view: View,
}

impl View {
    /// The view of a value whose `rank` axes are its exported dimensions.
    pub fn natural(rank: usize) -> Self {
        Self((0..rank).map(|axis| vec![axis]).collect())
    }

    /// The exported shape for axes of these sizes.
    pub fn shape(&self, sizes: &[usize]) -> Vec<usize> {
        self.0.iter().map(|axes| axes.iter().map(|&axis| sizes[axis]).product()).collect()
    }

    /// Whether each exported dimension is the axis with the same index.
    pub fn is_natural(&self, rank: usize) -> bool {
        *self == Self::natural(rank)
    }

    /// The view with its dimensions in this order.
    pub fn permuted(&self, order: &[usize]) -> Self {
        Self(order.iter().map(|&d| self.0[d].clone()).collect())
    }

    /// Reinterprets axes of these sizes as dimensions of the sizes `target`, splitting axes where a dimension ends inside one.
    /// `None` if that requires more than splitting, or would split the batch axis.
    pub fn regrouped(&self, sizes: &[usize], target: &[usize]) -> Option<Regrouped> {
        let mut atoms: VecDeque<(usize, usize)> = self.0.iter().flatten().map(|&axis| (axis, sizes[axis])).collect();
        let mut factors: Vec<Vec<usize>> = vec![vec![]; sizes.len()];
        let mut groups: Vec<Vec<(usize, usize)>> = vec![];
        for (at, &wanted) in target.iter().enumerate() {
            let (mut left, mut group) = (wanted, vec![]);
            let next = target.get(at + 1).copied();
            while let Some(&(axis, size)) = atoms.front() {
                if size == 1 {
                    // A batch axis of size 1 joins the dimension that ends here, unless the next dimension has size 1; other axes of
                    // size 1 can be omitted.
                    if axis == 0 && !group.is_empty() && left == 1 && next == Some(1) {
                        break;
                    }
                    if axis == 0 {
                        group.push((axis, factors[axis].len()));
                        factors[axis].push(1);
                    }
                    atoms.pop_front();
                } else if left == 1 {
                    break;
                } else if left.is_multiple_of(size) {
                    group.push((axis, factors[axis].len()));
                    factors[axis].push(size);
                    left /= size;
                    atoms.pop_front();
                } else if axis != 0 && size.is_multiple_of(left) {
                    group.push((axis, factors[axis].len()));
                    factors[axis].push(left);
                    atoms[0].1 = size / left;
                    left = 1;
                } else {
                    return None;
                }
            }
            if left != 1 {
                return None;
            }
            groups.push(group);
        }
        if atoms.iter().any(|&(_, size)| size != 1) {
            return None;
        }
        for (axis, parts) in factors.iter_mut().enumerate().filter(|(_, parts)| parts.is_empty()) {
            parts.push(sizes[axis]);
        }
        let first = |axis: usize| factors[..axis].iter().map(Vec::len).sum::<usize>();
        let view = groups.iter().map(|group| group.iter().map(|&(axis, part)| first(axis) + part).collect()).collect();
        Some(Regrouped { view: View(view), factors })
    }

    /// Brings axes of these sizes into the order of the exported dimensions, with one axis per dimension. If `units` is true, dimensions
    /// without axes become axes of size 1.
    pub fn arranged(&self, sizes: &[usize], units: bool) -> Arranged {
        let named: Vec<usize> = self.0.iter().flatten().copied().filter(|&axis| axis != 0).collect();
        let rest = (1..sizes.len()).filter(|axis| !named.contains(axis));
        let order = std::iter::once(0).chain(rest).chain(named.iter().copied()).collect();
        let (mut new, mut view) = (vec![], vec![]);
        for axes in &self.0 {
            let mut dimension = vec![];
            let mut merged = |axes: &[usize], dimension: &mut Vec<usize>| {
                new.push(axes.iter().map(|&axis| sizes[axis]).product());
                dimension.push(new.len());
            };
            match axes.iter().position(|&axis| axis == 0) {
                Some(at) => {
                    if at > 0 {
                        merged(&axes[..at], &mut dimension);
                    }
                    dimension.push(0);
                    if at + 1 < axes.len() {
                        merged(&axes[at + 1..], &mut dimension);
                    }
                }
                None if axes.is_empty() && !units => {}
                None => merged(axes, &mut dimension),
            }
            view.push(dimension);
        }
        Arranged { order, sizes: new, view: View(view) }
    }
}

/// Whether a permutation moves only axes of size 1, so that it is equivalent to a reshape.
pub fn is_reshape(order: &[usize], sizes: &[usize]) -> bool {
    let moved: Vec<_> = order.iter().filter(|&&axis| axis == 0 || sizes[axis] != 1).collect();
    moved.windows(2).all(|pair| pair[0] < pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A batch size that divides no other size.
    const N: usize = 1009;

    fn view(dims: &[&[usize]]) -> View {
        View(dims.iter().map(|axes| axes.to_vec()).collect())
    }

    #[test]
    fn heads_are_split_from_features_and_merged_with_the_batch() {
        // (T, N, C) to (T, N·heads, C/heads), as in nn.MultiheadAttention.
        let x = view(&[&[1], &[0], &[2]]);
        let split = x.regrouped(&[N, 5, 12], &[5, N * 3, 4]).unwrap();
        assert_eq!(
            split,
            Regrouped { factors: vec![vec![N], vec![5], vec![3, 4]], view: view(&[&[1], &[0, 2], &[3]]) }
        );
        let heads = split.view.permuted(&[1, 0, 2]);
        let arranged = heads.arranged(&[N, 5, 3, 4], true);
        assert_eq!((arranged.order, arranged.sizes), (vec![0, 2, 1, 3], vec![3, 5, 4]));
        assert_eq!(arranged.view, view(&[&[0, 1], &[2], &[3]]));
    }

    #[test]
    fn windows_are_two_splits_and_a_permutation() {
        let x = View::natural(4);
        let split = x.regrouped(&[N, 8, 8, 3], &[N, 2, 4, 2, 4, 3]).unwrap();
        assert_eq!(split.factors, [vec![N], vec![2, 4], vec![2, 4], vec![3]]);
        let windows = split.view.permuted(&[0, 1, 3, 2, 4, 5]);
        let merged = windows.regrouped(&[N, 2, 4, 2, 4, 3], &[N * 4, 16, 3]).unwrap();
        assert_eq!(merged.view, view(&[&[0, 1, 3], &[2, 4], &[5]]));
        assert_eq!(merged.view.shape(&[N, 2, 4, 2, 4, 3]), [N * 4, 16, 3]);
        let arranged = merged.view.arranged(&[N, 2, 4, 2, 4, 3], true);
        assert_eq!((arranged.order, arranged.sizes), (vec![0, 1, 3, 2, 4, 5], vec![4, 16, 3]));
    }

    #[test]
    fn the_batch_is_never_split_and_a_batch_of_one_finds_its_dimension() {
        assert_eq!(View::natural(2).regrouped(&[N, 6], &[6, N]), None);
        assert_eq!(View::natural(3).regrouped(&[N, 4, 6], &[N, 6, 4]), None);
        let one = View::natural(4).regrouped(&[1, 4, 4, 3], &[16, 3]).unwrap();
        assert_eq!(one.view, view(&[&[0, 1, 2], &[3]]));
        let one = View::natural(3).regrouped(&[1, 16, 3], &[1, 1, 16, 3]).unwrap();
        assert_eq!(one.view, view(&[&[0], &[], &[1], &[2]]));
        let merged = view(&[&[1], &[0], &[2]]).regrouped(&[1, 17, 48], &[17, 48]).unwrap();
        assert_eq!(merged.view, view(&[&[1, 0], &[2]]));
    }

    #[test]
    fn moving_axes_of_size_1_is_a_reshape() {
        assert!(is_reshape(&[0, 2, 1, 3], &[N, 1, 5, 4]));
        assert!(!is_reshape(&[0, 2, 1, 3], &[N, 3, 5, 4]));
    }
}
