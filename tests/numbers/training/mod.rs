//! Training and evaluation on data sets.

mod adversary;
mod dropout;
mod evaluate;
mod train;
mod welcome;
