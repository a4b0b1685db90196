//! Occlusion: forward passes with a window of the picture covered.

use super::pixel_window::PixelWindow;
use super::trace::Trace;
use crate::graph::Node;
use anyhow::{Result, ensure};
use candle_core::Tensor;

impl Trace {
    /// The logits, `(K, classes)`, of `K` copies of the picture. In copy `k`, window `k` is replaced by the same region of
    /// `fill`, `(1, C, H, W)`.
    ///
    /// Values not affected by a window are reused from this run. The results equal those of full forward passes up to rounding.
    /// A window may be empty. `tick` is called before each step and may stop the run with an error.
    ///
    /// Errors if the run has more than one picture, there are no windows, a window extends beyond the picture, `fill` does not
    /// have the picture's shape, or the network does not output class scores.
    pub fn occluded(
        &self,
        windows: &[PixelWindow],
        fill: &Tensor,
        tick: &dyn Fn(&Node) -> Result<()>,
    ) -> Result<Tensor> {
        let x = self.input();
        let (n, _, h, w) = x.dims4()?;
        ensure!(n == 1, "occlusion expects one picture, got {n}");
        ensure!(
            fill.dims() == x.dims(),
            "the fill must have the picture's shape {:?}, got {:?}",
            x.dims(),
            fill.dims()
        );
        for v in windows {
            let inside = v.top + v.height <= h && v.left + v.width <= w;
            ensure!(inside, "each window must lie within the picture of {h} rows and {w} columns, got {v:?}");
        }
        self.graph.check_classes()?;
        ensure!(!windows.is_empty(), "occlusion expects at least one window");
        let fill = fill.to_dtype(x.dtype())?;
        let local = self.fused().map_or(Ok(None), |run| run.occluded(&self.graph, windows, &fill, tick))?;
        match local {
            Some(value) => self.graph.scores.logits(&value),
            None => self.occluded_plainly(windows, &fill, tick),
        }
    }

    /// Like [`occluded`](Self::occluded), but runs the whole network on every copy of the picture and does not check the
    /// arguments.
    pub fn occluded_plainly(
        &self,
        windows: &[PixelWindow],
        fill: &Tensor,
        tick: &dyn Fn(&Node) -> Result<()>,
    ) -> Result<Tensor> {
        let x = self.input();
        let (_, _, h, w) = x.dims4()?;
        let mask = |v: &PixelWindow| (0..h * w).map(|p| u8::from(v.covers(p / w, p % w))).collect::<Vec<_>>();
        let masks: Vec<u8> = windows.iter().flat_map(mask).collect();
        let masks = Tensor::from_vec(masks, (windows.len(), 1, h, w), x.device())?;
        let dims = [&[windows.len()], &x.dims()[1..]].concat();
        let all = |t: &Tensor| t.broadcast_as(dims.as_slice());
        let covered = masks.broadcast_as(dims.as_slice())?.where_cond(&all(fill)?, &all(x)?)?;
        self.graph.forward_until(&covered, tick)?.logits()
    }
}
