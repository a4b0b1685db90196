//! The limits of scripts: operations, memory, stack, nesting, length of texts; and their cancellation.

pub mod limits;
pub mod nesting;
pub mod bounded_text;
pub mod freeze;
pub mod stack;
pub mod trace_cache;
pub mod guard;
