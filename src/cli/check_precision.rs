//! `--check-precision`: runs the same method in f32 as well.

use super::args::{HostArgs, NetworkArgs};
use super::open;
use crate::model::Model;
use crate::script::host::Host;
use anyhow::Result;

/// A host and a network in f32.
pub struct InF32 {
    pub host: Host,
    pub model: Model,
}

impl InF32 {
    /// Opens the network in f32; `None` if `args` ask for f32 already.
    pub fn open(args: &HostArgs, network: &NetworkArgs) -> Result<Option<Self>> {
        if args.precision == "f32" {
            return Ok(None);
        }
        let host = open::host(&HostArgs { precision: "f32".into(), ..args.clone() })?;
        let model =
            open::quietly(&host, (network.model.as_deref(), network.weights.as_deref()), &network.card.values()?)?;
        Ok(Some(Self { host, model }))
    }
}
