//! Size checks that unsafe code relies on: axes are bounded, and products do not overflow.

/// The largest axis, stride, padding or count, chosen so that an index times a stride fits in a `usize`.
pub(crate) const MOST: usize = 1 << (usize::BITS / 2 - 1);

/// The maximum number of taps of a kernel, or of phases of a stride.
pub(crate) const MOST_TAPS: usize = 1 << 24;

/// The largest padding of a convolution, bounded because some algorithms copy rows together with their padding.
pub(crate) const MOST_PADDING: usize = 1 << 16;

/// The product of several sizes.
///
/// # Panics
/// If the product exceeds the address space.
pub(crate) fn product<const N: usize>(sizes: [usize; N]) -> usize {
    let product = sizes.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    let fits = product.filter(|&product| sizes.contains(&0) || product <= isize::MAX as usize / size_of::<f32>());
    fits.unwrap_or_else(|| panic!("sizes {sizes:?} exceed the address space"))
}

/// Checks that sizes are not too large.
///
/// # Panics
/// If a size is larger than `MOST`.
pub(crate) fn bounded(sizes: &[usize]) {
    assert!(sizes.iter().all(|&size| size <= MOST), "sizes {sizes:?} are too large");
}

/// Checks that sizes are positive and not too large.
///
/// # Panics
/// If a size is 0 or larger than `MOST`.
pub(crate) fn positive(sizes: &[usize]) {
    assert!(sizes.iter().all(|size| (1..=MOST).contains(size)), "sizes {sizes:?} must be positive and not too large");
}
