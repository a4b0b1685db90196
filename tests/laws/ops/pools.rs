//! Pools of small maps, with windows that extend past the edge or exceed the map, against PyTorch's `max_pool2d` and
//! `avg_pool2d`: by the plain loops, the portable kernels and fused runs.

use crate::common::random::numbers;
use candle_core::{DType, Device, Tensor};
use gradscope::backend::{self, Pool2d, Window, portable};
use gradscope::explain::Walk;
use gradscope::graph::{Builder, op};
use serde_json::Value;
use std::sync::Arc;

fn whole(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

fn window(axis: &Value) -> Window {
    Window::new(whole(&axis["kernel"]), whole(&axis["stride"]), whole(&axis["padding"]), whole(&axis["dilation"]))
}

/// `null` means minus infinity: no tap lies inside the map.
fn list(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap_or(f64::NEG_INFINITY)).collect()
}

fn assert_near(what: &str, ours: &Tensor, theirs: &[f64], bound: f64) {
    let ours = numbers(ours);
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (a, b) in ours.iter().zip(theirs) {
        assert!(a == b || (a - b).abs() <= bound * b.abs().max(1.0), "{what}: {ours:?} instead of {theirs:?}");
    }
}

/// A pool of one map.
struct Case<'a> {
    what: String,
    pool: Pool2d,
    /// Whether padding counts in the mean; `None` for a max pool.
    mean: Option<bool>,
    x: Tensor,
    theirs: &'a Value,
}

impl Case<'_> {
    fn dy(&self, dtype: DType) -> Tensor {
        let shape: Vec<_> = self.theirs["shape"].as_array().unwrap().iter().map(whole).collect();
        let count = shape[0] * shape[1];
        let dy: Vec<_> = (0..count).map(|i| (i + 1) as f64 / 2.0).collect();
        Tensor::from_vec(dy, (1, 1, shape[0], shape[1]), &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
    }

    fn check(&self, how: &str, y: &Tensor, dx: &Tensor, bound: f64) {
        let theirs = list(&self.theirs["y"]);
        assert_near(&format!("{how}: {}", self.what), y, &theirs, bound);
        if theirs.iter().all(|v| v.is_finite()) {
            assert_near(&format!("gradient, {how}: {}", self.what), dx, &list(&self.theirs["dx"]), bound);
        }
    }

    fn by_kernels(&self, dtype: DType, bound: f64) {
        let (x, pool, dy) = (self.x.to_dtype(dtype).unwrap(), &self.pool, self.dy(dtype));
        match self.mean {
            None => {
                let (y, dx) = (backend::max_pool2d(&x, pool).unwrap(), backend::max_pool2d_vjp(&dy, &x, pool).unwrap());
                self.check("loops", &y, &dx, bound);
                let (y, dx) =
                    (portable::max_pool2d(&x, pool).unwrap(), portable::max_pool2d_vjp(&dy, &x, pool).unwrap());
                self.check("portable", &y, &dx, bound);
            }
            Some(pad) => {
                let y = backend::avg_pool2d(&x, pool, pad).unwrap();
                self.check("loops", &y, &backend::avg_pool2d_vjp(&dy, x.dims(), pool, pad).unwrap(), bound);
                let y = portable::avg_pool2d(&x, pool, pad).unwrap();
                self.check("portable", &y, &portable::avg_pool2d_vjp(&dy, x.dims(), pool, pad).unwrap(), bound);
            }
        }
    }

    /// In a network with no other node.
    fn fused(&self) {
        let mut b = Builder::new(&self.x.dims()[1..]);
        let end = match self.mean {
            None => b.add("pool", op::MaxPool { pool: self.pool }, &[0]),
            Some(include_pad) => b.add("pool", op::AvgPool { pool: self.pool, include_pad }, &[0]),
        };
        let graph = Arc::new(b.finish(end.unwrap()).unwrap());
        let trace = graph.forward(&self.x.to_dtype(DType::F32).unwrap()).unwrap();
        assert!(trace.fused().is_some());
        let walk = Walk { to: vec![0], keep: false, ..Walk::gradient(&trace, vec![(1, self.dy(DType::F32))]) };
        let dx = walk.run().unwrap().values.remove(&0).unwrap();
        self.check("fused", trace.value(1).unwrap(), &dx, 1e-6);
    }

    /// Whether it is rejected, as in PyTorch.
    fn refused(&self) -> bool {
        match self.mean {
            None => {
                let dy = self.x.zeros_like().unwrap();
                backend::max_pool2d(&self.x, &self.pool).is_err()
                    && backend::max_pool2d_vjp(&dy, &self.x, &self.pool).is_err()
                    && portable::max_pool2d(&self.x, &self.pool).is_err()
            }
            Some(pad) => {
                backend::avg_pool2d(&self.x, &self.pool, pad).is_err()
                    && portable::avg_pool2d(&self.x, &self.pool, pad).is_err()
            }
        }
    }
}

#[test]
fn pools_of_small_maps_match_pytorch() {
    let file: Value = serde_json::from_str(include_str!("../../fixtures/pools.json")).unwrap();
    let (mut larger, mut refused) = (0, 0);
    for (k, case) in file["cases"].as_array().unwrap().iter().enumerate() {
        let (h, w) = (whole(&case["h"]["size"]), whole(&case["w"]["size"]));
        let pool =
            Pool2d { h: window(&case["h"]), w: window(&case["w"]), ceil_mode: case["ceil_mode"].as_bool().unwrap() };
        let values = if k % 3 == 0 { 7 } else { 101 };
        let x: Vec<_> = (0..h * w).map(|i| ((i * 37 + 11 * k) % values) as f64 / 8.0).collect();
        let x = Tensor::from_vec(x, (1, 1, h, w), &Device::Cpu).unwrap();
        for (name, mean) in [("max", None), ("avg_with_pad", Some(true)), ("avg_without_pad", Some(false))] {
            let near = |w: Window| Window { dilation: if mean.is_some() { 1 } else { w.dilation }, ..w };
            let pool = Pool2d { h: near(pool.h), w: near(pool.w), ..pool };
            let what = format!("{name} {k}, {pool:?} of {h}x{w}");
            let case = Case { what: what.clone(), pool, mean, x: x.clone(), theirs: &case[name] };
            if case.theirs.is_null() {
                refused += 1;
                assert!(case.refused(), "{what} is rejected by PyTorch");
                continue;
            }
            let span = |w: &Window, size: usize| w.dilation * (w.kernel - 1) + 1 > size + 2 * w.padding;
            larger += usize::from(span(&pool.h, h) || span(&pool.w, w));
            case.by_kernels(DType::F64, 1e-8);
            case.by_kernels(DType::F32, 1e-6);
            case.fused();
        }
    }
    assert!(larger > 50 && refused > 10, "{larger} windows larger than the map, {refused} rejections");
}
