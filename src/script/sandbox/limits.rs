//! Maximum sizes of values in scripts, including nested values.

/// Maximum length of a string in bytes.
pub const STRING: usize = 1 << 20;
/// Maximum number of values in an array.
pub const ARRAY: usize = 20_000;
/// Maximum number of values in a map.
pub const MAP: usize = 4_000;
