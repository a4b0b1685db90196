//! How much memory the program holds, how much it may hold, and the question that stands before every large allocation.
//!
//! The program installs [`Counting`] with `#[global_allocator]`; where nobody does, nothing is counted and only what the
//! system says of its limits holds.

mod count;
mod group;
mod budget;

pub use budget::{MemorySize, available, budget, left_of_address_space, limit_to};
pub use count::{Counting, held, on_exhaustion, requests_here, small_blocks_here};

use anyhow::{Result, ensure};

/// Requests from this size on are compared with what the system can give now, which costs some microseconds.
const LOOKED_AT: usize = 16 << 20;

/// Asks for `bytes` more than are held, before they are allocated.
///
/// Errors name what they were for, and the limit.
pub fn reserve(bytes: usize, what: impl Fn() -> String) -> Result<()> {
    let (held, budget) = (held(), budget());
    ensure!(
        held.saturating_add(bytes) <= budget,
        "no memory for {}: {} more than the {} held, and {} is the limit",
        what(),
        text(bytes),
        text(held),
        text(budget)
    );
    let left = if bytes >= LOOKED_AT { available() } else { None };
    ensure!(
        left.is_none_or(|left| bytes <= left),
        "no memory for {}: {}, and {} is left of what the system allows",
        what(),
        text(bytes),
        text(left.unwrap_or_default())
    );
    Ok(())
}

/// The same for a tensor of this shape; sizes beside a 0 count too, since strides are products of them.
pub fn reserve_tensor(shape: &[usize], bytes_each: usize) -> Result<()> {
    let bytes = shape.iter().try_fold(bytes_each, |product, &n| product.checked_mul(n.max(1)));
    let sizes = || shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
    reserve(bytes.unwrap_or(usize::MAX), || format!("a tensor of {} numbers", sizes()))
}

/// Bytes as people read them.
pub fn text(bytes: usize) -> String {
    match bytes {
        b if b >= 1 << 60 => "more than any machine has".into(),
        b if b >= 1 << 30 => format!("{:.1} GiB", b as f64 / f64::from(1 << 30)),
        b => format!("{:.0} MiB", b as f64 / f64::from(1 << 20)),
    }
}
