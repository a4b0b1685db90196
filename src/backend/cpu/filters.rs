//! A cache of convolution weights packed for the engine.

use crate::backend::Accumulation;
use crate::backend::storage::with;
use crate::sync::LockUnpoisoned;
use anyhow::Result;
use candle_core::{Tensor, TensorId};
use gradscope_engine::{Filter, Sizes, Slide};
use std::sync::{Arc, Mutex};

/// The direction of a filter: forward for the convolution, backward for its input gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Direction {
    Forward,
    Backward,
}

type FilterKey = (TensorId, Direction, Sizes, Slide, Accumulation);

/// The cached filters, keyed by the weight from which they were packed, most recently used last. A filter is `None` if its key has been
/// seen only once, as with weights that change in every training step.
static KEPT: Mutex<Vec<(FilterKey, Option<Arc<Filter>>)>> = Mutex::new(vec![]);

/// Maximum size of the cached filters, in bytes.
const BYTES: usize = 512 << 20;
/// Maximum number of cached keys.
const KEYS: usize = 512;

/// The filter for weight `w` and one direction, packed if it is not cached.
pub(super) fn filter(
    w: &Tensor,
    way: Direction,
    (sizes, slide): (Sizes, Slide),
    accumulation: Accumulation,
) -> Result<Arc<Filter>> {
    let key = (w.id(), way, sizes, slide, accumulation);
    let seen = {
        let mut kept = KEPT.lock_unpoisoned();
        let at = kept.iter().rposition(|(k, _)| *k == key);
        if let Some(entry) = at.map(|at| kept.remove(at)) {
            let filter = entry.1.clone();
            kept.push(entry);
            if let Some(filter) = filter {
                return Ok(filter);
            }
        }
        at.is_some()
    };
    let sums = accumulation.into();
    let filter = Arc::new(with::<f32, _>(w, |w| match way {
        Direction::Forward => Filter::forward(w, sizes, slide, sums),
        Direction::Backward => Filter::backward(w, sizes, slide, sums),
    })?);
    let mut kept = KEPT.lock_unpoisoned();
    kept.retain(|(k, _)| *k != key);
    kept.push((key, seen.then(|| filter.clone())));
    let bytes = |(_, f): &(FilterKey, Option<Arc<Filter>>)| f.as_ref().map_or(0, |f| f.bytes());
    let mut held: usize = kept.iter().map(bytes).sum();
    while held > BYTES || kept.len() > KEYS {
        held -= bytes(&kept.remove(0));
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn a_weight_is_packed_anew_once_and_then_kept_by_its_identity() {
        let slide = Slide { kernel: (3, 3), stride: (1, 1), padding: (1, 1), dilation: (1, 1), groups: 1 };
        let sizes = Sizes { input: 2, output: 3, from: (5, 5), to: (5, 5) };
        let weight = || Tensor::rand(-1f32, 1.0, (3, 2, 3, 3), &Device::Cpu).unwrap();
        let (a, b) = (weight(), weight());
        let packed = |w: &Tensor, way| filter(w, way, (sizes, slide), Accumulation::Direct).unwrap();
        let get = |w: &Tensor| packed(w, Direction::Forward);
        let (first, second, third) = (get(&a), get(&a), get(&a));
        assert!(!Arc::ptr_eq(&first, &second) && Arc::ptr_eq(&second, &third));
        assert!(!Arc::ptr_eq(&get(&b), &third) && Arc::ptr_eq(&get(&a), &third));
        assert!(!Arc::ptr_eq(&packed(&a, Direction::Backward), &third));
    }
}
