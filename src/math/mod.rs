//! Mathematics that knows no networks: linear algebra, points in the space of features, superpixels.
//!
//! A set of points is a matrix `(N, D)`, a row a point. Sums are added in an order that does not depend on how many cores
//! there are, so the same points give the same map.

mod lstsq;
mod pca;
mod slic;
mod neighbours;
mod affinity;
mod fourier;
mod repulsion;
mod tsne;
mod cluster;

pub use affinity::Affinities;
pub use cluster::{adjusted_rand, kmeans, laplacian};
pub use lstsq::{Solution, lstsq};
pub use neighbours::{Metric, Neighbours, neighbours};
pub use pca::{Components, leading, pca_lowrank};
pub use repulsion::Point;
pub use slic::{grid, slic};
pub use tsne::{Descent, Slope, Tsne};
