//! Training and measuring: what a network learns, and how well it knows a data set.

mod adversary;
mod dropout;
mod evaluate;
mod train;
mod welcome;
