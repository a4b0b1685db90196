//! Every kind of operation and its kernels: gradients against finite differences in f64, values and fast code paths against
//! plain loops.

mod differences;
mod grid;
mod kernels;
mod portable;
mod pools;
mod resize;
mod specs;
mod values;
