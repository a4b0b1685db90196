//! Stand-in for the HTTP client in builds without the `hub` feature.

use super::reply::{Body, Head, Refusal};
use anyhow::Result;
use std::path::Path;
use std::time::Duration;

const WHY: &str = "this build cannot download files; build gradscope with --features hub";

/// A client whose requests all fail.
pub struct Client;

impl Client {
    /// Creates a client.
    pub fn new(_: Duration, _: Option<&Path>) -> Result<Self> {
        Ok(Self)
    }

    /// Always errors: this build cannot download files.
    pub fn head(&self, _: &str, _: Option<&str>) -> Result<Head, Refusal> {
        Err(Refusal::Unreachable(WHY.into()))
    }

    /// Always errors: this build cannot download files.
    pub fn get(&self, _: &str, _: Option<&str>, _: u64) -> Result<Body, Refusal> {
        Err(Refusal::Unreachable(WHY.into()))
    }
}
