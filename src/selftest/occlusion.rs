//! Test cases for occlusion. The plugin runs cases with square windows. All other cases are run by a script that uses the plugin's library.

use super::harness::{Answer, Harness, by_input};
use super::network::{Network, ReadOptions};
use super::value::{baseline, list};
use anyhow::{Context, Result, ensure};

pub(super) fn answer(desk: Harness) -> Result<Answer> {
    let params = desk.params();
    let only = params["which"].as_str();
    let network = desk.network(ReadOptions { only, origin: baseline(params), ..ReadOptions::default() })?;
    ensure!(network.inputs.len() == 1, "occlusion needs a single input; choose one with \"which\"");
    let window = sizes(desk, &network, "window")?;
    let stride = sizes(desk, &network, "stride")?;
    let mean = params["combine"].as_str().unwrap_or("mean") == "mean";
    let map = match (square(&network, window), square(&network, stride), mean) {
        (Some(patch), Some(stride), true) => {
            let set = [("patch", patch), ("stride", stride)].map(|(name, n)| (name, n.to_string()));
            let set = [&set[..], &[("baseline", "black".into()), ("measure", "logit".into())]].concat();
            desk.map(&network, desk.plugin("occlusion", &set)?, "heatmap")?
        }
        _ => {
            let sizes = [("rows", window[0]), ("columns", window[1]), ("down", stride[0]), ("across", stride[1])];
            let set = sizes.map(|(name, n)| (name, n.to_string()));
            let combine = params["combine"].as_str().unwrap_or("mean");
            let set = [&set[..], &[("combine", combine.into())]].concat();
            desk.map(&network, desk.script(include_str!("scripts/occlusion.rhai"), &set)?, "heatmap")?
        }
    };
    by_input(&network, &map.broadcast_as(network.picture.shape())?.contiguous()?)
}

/// Reads `[height, width]` from the parameter `name`, which is `[size]` for vectors (height 1) or `[channels, height, width]` for
/// maps.
fn sizes(desk: Harness, network: &Network, name: &str) -> Result<[u64; 2]> {
    let sizes = list(&desk.params()[name])?.iter().map(|v| v.as_u64().context("a size must be a nonnegative integer"));
    let sizes = sizes.collect::<Result<Vec<_>>>().with_context(|| format!("\"{name}\""))?;
    match sizes[..] {
        [across] => Ok([1, across]),
        [channels, down, across] => {
            let all = network.picture.dims()[1] as u64;
            ensure!(
                channels >= all,
                "a window covers {channels} of {all} channels; each window must cover all channels"
            );
            Ok([down, across])
        }
        _ => anyhow::bail!("\"{name}\" must be [size] or [channels, height, width], got {sizes:?}"),
    }
}

/// The side length of a window if it is square. If the picture is a single row of pixels, only the width matters.
fn square(network: &Network, [down, across]: [u64; 2]) -> Option<u64> {
    (down == across || network.picture.dims()[2] == 1).then_some(across)
}
