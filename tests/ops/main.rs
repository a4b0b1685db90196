//! Every operation kind and its kernels: gradients against finite differences in f64, values and fast paths against
//! plain loops.
#![allow(clippy::unwrap_used)]

#[path = "../common/random.rs"]
mod random;

mod differences;
mod grid;
mod kernels;
mod portable;
mod pools;
mod resize;
mod specs;
mod values;
