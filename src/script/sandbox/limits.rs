//! The maximum size of a value in a script, including nested values.

/// Bytes of a string.
pub const STRING: usize = 1 << 20;
/// Values in an array.
pub const ARRAY: usize = 20_000;
/// Values in a map.
pub const MAP: usize = 4_000;
