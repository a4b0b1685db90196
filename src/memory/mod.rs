//! Memory accounting: how much memory the program holds, how much it may hold, and the check before large allocations.
//!
//! The program installs [`Counting`] with `#[global_allocator]`. Without this allocator, nothing is counted and only the system's
//! limits apply.

mod count;
mod group;
mod budget;

pub use budget::{MemorySize, available, budget, left_of_address_space, limit_to};
pub use count::{Counting, held, on_exhaustion, requests_here, small_blocks_here};

use anyhow::{Result, ensure};

/// Requests of at least this many bytes are checked against the system's available memory, which takes a few microseconds.
const LOOKED_AT: usize = 16 << 20;

/// Checks that another `bytes` bytes may be allocated.
///
/// Errors if they exceed the budget or the available memory. `what` names the purpose of the memory in the message.
pub fn reserve(bytes: usize, what: impl Fn() -> String) -> Result<()> {
    let (held, budget) = (held(), budget());
    ensure!(
        held.saturating_add(bytes) <= budget,
        "not enough memory for {}: it needs {} more, {} is in use, and the limit is {}",
        what(),
        text(bytes),
        text(held),
        text(budget)
    );
    let left = if bytes >= LOOKED_AT { available() } else { None };
    ensure!(
        left.is_none_or(|left| bytes <= left),
        "not enough memory for {}: it needs {}, and the system has {} left",
        what(),
        text(bytes),
        text(left.unwrap_or_default())
    );
    Ok(())
}

/// Like [`reserve`], for a tensor with the given shape and bytes per element. A size of 0 counts as 1, because strides are
/// products of the sizes.
pub fn reserve_tensor(shape: &[usize], bytes_each: usize) -> Result<()> {
    let bytes = shape.iter().try_fold(bytes_each, |product, &n| product.checked_mul(n.max(1)));
    let sizes = || shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
    reserve(bytes.unwrap_or(usize::MAX), || format!("a tensor of shape {}", sizes()))
}

/// Formats a number of bytes: `1.5 GiB`, `12 MiB`.
pub fn text(bytes: usize) -> String {
    match bytes {
        b if b >= 1 << 60 => "more memory than any machine has".into(),
        b if b >= 1 << 30 => format!("{:.1} GiB", b as f64 / f64::from(1 << 30)),
        b => format!("{:.0} MiB", b as f64 / f64::from(1 << 20)),
    }
}
