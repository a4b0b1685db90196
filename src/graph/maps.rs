//! Determines which dimensions of a layer's value hold channels and spatial positions.

use super::network::Graph;
use super::node::{Node, NodeId};
use super::op::Family;
use anyhow::{Context, Result, bail};
use candle_core::Tensor;
use std::collections::BTreeSet;

/// Maximum number of prefix tokens, such as class and register tokens.
const MOST_PREFIX: usize = 16;
/// Maximum number of nodes to follow in search of a layer that determines the channel dimension.
const FAR: usize = 24;

/// The layout of a layer's value: which dimensions hold channels and spatial positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapLayout {
    /// `(N, K)`: units without positions.
    Units,
    /// `(N, K, h, w)`.
    ChannelsFirst,
    /// `(N, h, w, K)`, as in Swin.
    ChannelsLast,
    /// `(N, prefix + h·w, K)`: tokens of a transformer.
    Tokens {
        /// Number of prefix tokens, which have no position.
        prefix: usize,
        /// Rows of the grid of positions.
        h: usize,
        /// Columns of the grid of positions.
        w: usize,
    },
}

impl MapLayout {
    /// Number of prefix tokens, which have no position.
    fn prefix(&self) -> usize {
        if let Self::Tokens { prefix, .. } = self { *prefix } else { 0 }
    }

    /// Rearranges a tensor of this layout to feature maps, `(N, K, h, w)`. Prefix tokens are dropped.
    pub fn arrange(self, x: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Units => x.reshape((x.dims()[0], (), 1, 1))?,
            Self::ChannelsFirst => x.clone(),
            Self::ChannelsLast => x.permute((0, 3, 1, 2))?.contiguous()?,
            Self::Tokens { prefix, h, w } => {
                let (n, _, k) = x.dims3()?;
                x.narrow(1, prefix, h * w)?.transpose(1, 2)?.contiguous()?.reshape((n, k, h, w))?
            }
        })
    }
}

impl Graph {
    /// The layout of a value of shape `shape` at node `id`, for pictures of height and width `picture`.
    ///
    /// Errors if the value does not consist of channels and positions, as is the case for attention weights.
    pub fn map_layout(&self, id: NodeId, shape: &[usize], picture: (usize, usize)) -> Result<MapLayout> {
        let found = match shape.len() {
            2 => Some(MapLayout::Units),
            3 => self.token_grid(id, shape[1], picture).ok(),
            4 => self.channels_last(id).map(|last| match last {
                true => MapLayout::ChannelsLast,
                false => MapLayout::ChannelsFirst,
            }),
            _ => None,
        };
        match found {
            Some(layout) => Ok(layout),
            None => bail!(
                "layer \"{}\" has no map: the positions in its shape {shape:?} are unknown; choose another layer",
                self.nodes[id].name
            ),
        }
    }

    /// The grid formed by `tokens` tokens at node `id`: that of the preceding convolution or pooling layer whose number of positions is
    /// closest, with the remaining tokens as the prefix; otherwise, a grid with the picture's proportions.
    ///
    /// Errors if there is no such grid.
    pub fn token_grid(&self, id: NodeId, tokens: usize, picture: (usize, usize)) -> Result<MapLayout> {
        let own = self.nodes[0].shape.ends_with(&[picture.0, picture.1]);
        let maps = (1..=id).rev().filter(|_| own).filter_map(|id| match self.nodes[id].shape[..] {
            [_, _, h, w] if ["conv", "max_pool", "avg_pool"].contains(&self.nodes[id].op.kind()) => Some((h, w)),
            _ => None,
        });
        let from_map = |(h, w): (usize, usize)| {
            let prefix = tokens.checked_sub(h * w).filter(|&prefix| prefix <= MOST_PREFIX && h * w > 1)?;
            Some(MapLayout::Tokens { prefix, h, w })
        };
        let found = maps.filter_map(from_map).min_by_key(|layout| layout.prefix()).or_else(|| grid(tokens, picture));
        found.with_context(|| format!("cannot arrange {tokens} tokens in a grid"))
    }

    /// The dimension of a node's value that holds the channels: 1 for `(N, C)` and `(N, C, h, w)`, and the last one for tokens,
    /// channels-last maps and values of other ranks.
    pub fn channel_dim(&self, id: NodeId) -> usize {
        let rank = self.nodes[id].shape.len();
        if rank == 4 && self.channels_last(id) != Some(true) { 1 } else { rank.max(2) - 1 }
    }

    /// Rearranges a value of node `id` to feature maps, `(N, K, h, w)`, if its positions are known for pictures of height and width
    /// `picture`; otherwise to `(N, K, …)`.
    pub fn channels_first(&self, id: NodeId, value: &Tensor, picture: (usize, usize)) -> Result<Tensor> {
        match self.map_layout(id, value.dims(), picture) {
            Ok(layout) if layout != MapLayout::Units => layout.arrange(value),
            _ => Ok(value.transpose(1, self.channel_dim(id))?.contiguous()?),
        }
    }

    /// The layer whose feature maps class activation maps use by default: the last one with feature maps whose channels are not yet the
    /// classes. In a transformer that classifies from a single token, such as a class token, it is the norm before the last attention,
    /// since the other tokens no longer affect the class scores afterwards. 0 if no layer has feature maps.
    pub fn last_map(&self) -> NodeId {
        const MEANS: [&str; 4] = ["avg_pool", "adaptive_avg_pool", "global_avg_pool", "mean"];
        let scores = self.score_maps();
        let fits = |id: NodeId| {
            let (node, spec) = (&self.nodes[id], self.nodes[id].op.spec());
            let same_map = match spec.family {
                Family::Input | Family::Dropout | Family::Softmax => true,
                Family::Pool => MEANS.contains(&spec.kind),
                // Attention windows have no feature map until they are merged.
                _ => spec.is_shape_arithmetic() && node.inputs.iter().any(|&input| self.picture_map(input).is_some()),
            };
            if same_map || scores.contains(&id) { None } else { self.picture_map(id) }
        };
        let found = (1..self.nodes.len()).rev().find_map(|id| Some((id, fits(id)?)));
        let last = match found {
            Some((last, MapLayout::Tokens { prefix: 1.., .. })) => last,
            Some((last, MapLayout::Tokens { .. })) if self.class_token().is_some() => last,
            _ => return found.map_or(0, |(last, _)| self.put_together(last)),
        };
        let attends = |node: &Node| node.op.spec().family == Family::Softmax && node.shape.len() > 2;
        let before = 1..self.nodes.iter().rposition(attends).unwrap_or(1);
        let is_norm = |id: &NodeId| self.nodes[*id].op.spec().family == Family::Norm && fits(*id).is_some();
        before.rev().find(is_norm).unwrap_or(last)
    }

    /// The last node with feature maps in the chain of shape operations that starts at node `id`, such as those that merge attention
    /// windows; `id` itself if there is none.
    fn put_together(&self, id: NodeId) -> NodeId {
        let moves = |id: &NodeId| self.nodes[*id].op.spec().is_shape_arithmetic();
        let all = std::iter::successors(Some(id).filter(moves), |&id| self.readers(id).find(moves));
        all.filter(|&id| self.picture_map(id).is_some()).last().unwrap_or(id)
    }

    /// The layout of a node's value if it has several positions that correspond to positions in the picture.
    fn picture_map(&self, id: NodeId) -> Option<MapLayout> {
        let [.., height, width] = self.nodes[0].shape[..] else { return None };
        let shape = &self.nodes[id].shape;
        let layout = self.map_layout(id, shape, (height, width)).ok()?;
        let fits = match layout {
            MapLayout::Units => false,
            MapLayout::ChannelsFirst => shape[2] * shape[3] > 1,
            MapLayout::ChannelsLast => {
                let (across, down) = (shape[1] * width, shape[2] * height);
                shape[1] * shape[2] > 1 && across <= 2 * down && down <= 2 * across
            }
            // With a single channel, the tokens are the weights of a sequence pool.
            MapLayout::Tokens { h, w, .. } => h * w > 1 && shape[2] > 1,
        };
        fits.then_some(layout)
    }

    /// The nodes whose channels are the classes: from the logits back to the layers that mix channels, inclusive.
    fn score_maps(&self) -> BTreeSet<NodeId> {
        let mut found = BTreeSet::new();
        let mut open = if self.classes() > 0 { vec![self.logits] } else { vec![] };
        while let Some(id) = open.pop() {
            let spec = self.nodes[id].op.spec();
            let mixes = match spec.family {
                Family::AnyLinear => true,
                Family::Norm => spec.kind != "batch_norm",
                _ => false,
            };
            if found.insert(id) && !mixes {
                open.extend(self.nodes[id].inputs.iter().copied());
            }
        }
        let classes = self.nodes[self.logits].shape.get(1).copied();
        let channels = |id: NodeId| match self.picture_map(id)? {
            MapLayout::Units | MapLayout::ChannelsFirst => self.nodes[id].shape.get(1).copied(),
            MapLayout::ChannelsLast | MapLayout::Tokens { .. } => self.nodes[id].shape.last().copied(),
        };
        found.retain(|&id| channels(id).is_some_and(|channels| Some(channels) == classes));
        found
    }

    /// Whether the last dimension of a rank-4 value holds its channels, inferred from the surrounding layers; `None` if the value does not
    /// consist of channels and positions.
    fn channels_last(&self, id: NodeId) -> Option<bool> {
        self.before(id, FAR).or_else(|| self.after(id, FAR)).unwrap_or(Some(false))
    }

    /// The answer to `channels_last` implied by node `id` or the nodes before it, if any.
    fn before(&self, id: NodeId, far: usize) -> Option<Option<bool>> {
        let node = &self.nodes[id];
        let input = *node.inputs.first()?;
        if far == 0 || node.shape.len() != 4 {
            return None;
        }
        let spec = node.op.spec();
        let same = || if self.nodes[input].shape.len() == 4 { self.before(input, far - 1) } else { None };
        match (spec.family, spec.kind) {
            (_, "matmul") | (Family::Softmax, _) => Some(None),
            (Family::AnyLinear, kind) => Some(Some(kind == "linear")),
            (Family::Norm, kind) => Some(Some(["layer_norm", "rms_norm"].contains(&kind))),
            (Family::Pool, "mean" | "amax") => same(),
            (Family::Pool, _) | (_, "interpolate" | "crop" | "reflect_pad") => Some(Some(false)),
            (_, "permute" | "transpose") => {
                let last = self.before(input, far - 1).or_else(|| self.after(input, far - 1))?;
                Some(last.and_then(|last| self.moved(id, if last { 3 } else { 1 })))
            }
            (Family::Activation | Family::Dropout, _)
            | (_, "scale" | "ablate" | "pow" | "slice" | "pad" | "concat" | "expand" | "gather") => same(),
            (Family::Elementwise, _) => {
                let wide = |i: &&NodeId| self.nodes[**i].shape == node.shape && **i != id;
                node.inputs.iter().find(wide).and_then(|&i| self.before(i, far - 1))
            }
            _ => None,
        }
    }

    /// The answer to `channels_last` implied by the nodes that read the value, if any.
    fn after(&self, id: NodeId, far: usize) -> Option<Option<bool>> {
        if far == 0 {
            return None;
        }
        let decided = |reader: NodeId| {
            let node = &self.nodes[reader];
            let spec = node.op.spec();
            match (spec.family, spec.kind) {
                (_, "matmul") | (Family::Softmax, _) => Some(None),
                (Family::AnyLinear, kind) => Some(Some(kind == "linear")),
                (Family::Norm, kind) => Some(Some(["layer_norm", "rms_norm"].contains(&kind))),
                (Family::Pool, "mean" | "amax") => None,
                (Family::Pool, _) => Some(Some(false)),
                (_, "permute" | "transpose") if node.shape.len() == 4 => {
                    let last = self.after(reader, far - 1)??;
                    let at = (1..4).find(|&d| self.moved(reader, d) == Some(last))?;
                    Some(Some(at == 3))
                }
                _ if node.shape == self.nodes[id].shape => self.after(reader, far - 1),
                _ => None,
            }
        };
        self.readers(id).find_map(decided)
    }

    /// Whether the permutation at node `id` moves dimension `d` to the end (`true`) or to dimension 1 (`false`); otherwise `None`.
    fn moved(&self, id: NodeId, d: usize) -> Option<bool> {
        // The sizes are distinct, so they identify the dimensions.
        let shape = self.nodes[id].op.shape(&[&[1, 2, 3, 5]]).ok()?;
        let size = [1, 2, 3, 5][d];
        match shape.iter().position(|&n| n == size) {
            Some(3) => Some(true),
            Some(1) => Some(false),
            _ => None,
        }
    }
}

/// The grid of `tokens` tokens that has the picture's proportions, to within 10%, and the fewest prefix tokens.
fn grid(tokens: usize, (height, width): (usize, usize)) -> Option<MapLayout> {
    let fits = |prefix: usize| {
        let count = tokens.checked_sub(prefix).filter(|&n| n > 0)?;
        let h = (count as f64 * height as f64 / width.max(1) as f64).sqrt().round() as usize;
        let w = count.checked_div(h).filter(|w| w * h == count)?;
        let apart = (h * width).abs_diff(w * height) as f64;
        (apart <= 0.1 * (h * width) as f64).then_some(MapLayout::Tokens { prefix, h, w })
    };
    (0..=MOST_PREFIX).find_map(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_form_a_grid_after_the_tokens_without_a_position() {
        for (tokens, picture, expected) in [
            (196, (224, 224), Some((0, 14, 14))),
            (197, (224, 224), Some((1, 14, 14))),
            (198, (224, 224), Some((2, 14, 14))),
            (261, (224, 224), Some((5, 16, 16))),
            (50, (224, 224), Some((1, 7, 7))),
            (129, (128, 256), Some((1, 8, 16))),
            (23, (224, 224), Some((7, 4, 4))),
        ] {
            let expected = expected.map(|(prefix, h, w)| MapLayout::Tokens { prefix, h, w });
            assert_eq!(grid(tokens, picture), expected, "{tokens} tokens");
        }
    }
}
