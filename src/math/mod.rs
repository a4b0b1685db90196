//! Mathematics that does not involve networks: linear algebra, nearest neighbors, clustering, t-SNE, superpixels and structural
//! similarity.
//!
//! A set of points is a matrix `(N, D)`, one point per row. The order of summation does not depend on the number of cores, so
//! results are reproducible.

mod lstsq;
mod pca;
mod slic;
mod ssim;
mod neighbours;
mod affinity;
mod fourier;
mod repulsion;
mod tsne;
mod cluster;
mod linkage;

pub use affinity::Affinities;
pub use cluster::{adjusted_rand, kmeans, laplacian};
pub use linkage::complete_linkage;
pub use lstsq::{Solution, lstsq};
pub use neighbours::{Metric, Neighbours, neighbours};
pub use pca::{Components, leading, pca_lowrank};
pub use repulsion::Point;
pub use slic::{grid, slic};
pub use ssim::ssim;
pub use tsne::{Descent, Slope, Tsne};
