//! Sizes that unsafe code may trust: bounded axes and checked products.

/// The greatest axis, stride, padding or count: a place along an axis times a stride then fits a `usize`.
pub(crate) const MOST: usize = 1 << (usize::BITS / 2 - 1);

/// Taps of the largest kernel, and phases of the largest stride.
pub(crate) const MOST_TAPS: usize = 1 << 24;

/// The greatest padding: rows are copied with it.
pub(crate) const MOST_PADDING: usize = 1 << 16;

/// The product of sizes.
///
/// # Panics
/// Where so many numbers fit no memory.
pub(crate) fn product<const N: usize>(sizes: [usize; N]) -> usize {
    let product = sizes.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    let fits = product.filter(|&product| sizes.contains(&0) || product <= isize::MAX as usize / size_of::<f32>());
    fits.unwrap_or_else(|| panic!("sizes {sizes:?} fit no memory"))
}

/// # Panics
/// Where one of them is larger than `MOST`.
pub(crate) fn bounded(sizes: &[usize]) {
    assert!(sizes.iter().all(|&size| size <= MOST), "sizes {sizes:?} are too large");
}

/// # Panics
/// Where one of them is 0 or larger than `MOST`.
pub(crate) fn positive(sizes: &[usize]) {
    assert!(sizes.iter().all(|size| (1..=MOST).contains(size)), "sizes {sizes:?} are none");
}
