//! The limits of a script: operations, memory, stack, nesting, length of texts; and what stops it.

pub mod limits;
pub mod nesting;
pub mod bounded_text;
pub mod freeze;
pub mod stack;
pub mod trace_cache;
pub mod guard;
