//! Limits on scripts (operations, memory, stack depth, nesting depth, string length) and their cancellation.

pub mod limits;
pub mod nesting;
pub mod bounded_text;
pub mod freeze;
pub mod stack;
pub mod trace_cache;
pub mod guard;
