//! Points in the space of features: nearest neighbours, maps of the plane, clusters.
//!
//! A set of points is a matrix `(N, D)`, a row a point. Sums are added in an order that does not depend on how many cores
//! there are, so the same points give the same map.

mod affinity;
mod cluster;
mod fourier;
mod neighbours;
mod repulsion;
mod tsne;

pub use affinity::Affinities;
pub use cluster::{adjusted_rand, kmeans, laplacian};
pub use neighbours::{Metric, Neighbours, neighbours};
pub use repulsion::Point;
pub use tsne::{Descent, Slope, Tsne};
