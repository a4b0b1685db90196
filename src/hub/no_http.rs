//! Stands for the HTTP client in builds without the feature `hub`.

use super::reply::{Body, Head, Refusal};
use anyhow::Result;
use std::path::Path;
use std::time::Duration;

const WHY: &str = "this build downloads nothing; build it with --features hub";

/// A client that reaches nothing.
pub struct Client;

impl Client {
    /// Creates a client.
    pub fn new(_: Duration, _: Option<&Path>) -> Result<Self> {
        Ok(Self)
    }

    /// Errors: this build downloads nothing.
    pub fn head(&self, _: &str, _: Option<&str>) -> Result<Head, Refusal> {
        Err(Refusal::Unreachable(WHY.into()))
    }

    /// Errors: this build downloads nothing.
    pub fn get(&self, _: &str, _: Option<&str>, _: u64) -> Result<Body, Refusal> {
        Err(Refusal::Unreachable(WHY.into()))
    }
}
