//! The most that one value of a script may hold, including what is inside it.

/// Bytes of a string.
pub const STRING: usize = 1 << 20;
/// Values of an array.
pub const ARRAY: usize = 20_000;
/// Values of a map.
pub const MAP: usize = 4_000;
