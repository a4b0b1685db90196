//! The cache of effective parameters, which operations derive from the stored ones, such as standardized weights.

use crate::sync::LockUnpoisoned;
use candle_core::{Tensor, TensorId};
use std::sync::Mutex;

/// The effective parameters of a node, with the stored ones from which they were computed. A clone starts empty.
#[derive(Debug, Default)]
pub(super) struct EffectiveParameters(Mutex<Option<(Vec<TensorId>, Vec<Tensor>)>>);

impl EffectiveParameters {
    /// The parameters computed from `stored`, if they are cached.
    pub(super) fn of(&self, stored: &[Tensor]) -> Option<Vec<Tensor>> {
        let cached = self.0.lock_unpoisoned();
        cached.as_ref().filter(|(source, _)| *source == ids(stored)).map(|(_, effective)| effective.clone())
    }

    /// Caches parameters computed from `stored`.
    pub(super) fn keep(&self, stored: &[Tensor], effective: &[Tensor]) {
        *self.0.lock_unpoisoned() = Some((ids(stored), effective.to_vec()));
    }
}

impl Clone for EffectiveParameters {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// The ids of tensors. Tensors with the same id share their storage.
pub(super) fn ids(tensors: &[Tensor]) -> Vec<TensorId> {
    tensors.iter().map(Tensor::id).collect()
}

#[cfg(test)]
mod tests {
    use crate::backend::Conv2d;
    use crate::graph::Builder;
    use crate::graph::op::{Conv, StdConv};
    use candle_core::{Device, Tensor};

    #[test]
    fn standardized_weights_are_computed_once_and_anew_when_the_stored_ones_change() {
        let mut builder = Builder::new(&[1, 4, 4]);
        let conv = Conv { input: 1, output: 2, kernel: (1, 2), slide: Conv2d::default(), bias: true };
        let id = builder.add("conv", StdConv { conv, epsilon: 0.0 }, &[0]).unwrap();
        let mut graph = builder.finish(id).unwrap();
        let weight = |values: [f64; 4]| Tensor::from_vec(values.to_vec(), (2, 1, 1, 2), &Device::Cpu).unwrap();
        let bias = Tensor::new(&[5.0, 6.0], &Device::Cpu).unwrap();
        for (values, expected) in
            [([1.0, 3.0, 5.0, 4.0], [-1.0, 1.0, 1.0, -1.0]), ([2.0, 0.0, 1.0, 9.0], [1.0, -1.0, -1.0, 1.0])]
        {
            graph.nodes[id].params = vec![weight(values), bias.clone()];
            let [first, again] = [(), ()].map(|()| graph.nodes[id].weights().unwrap());
            assert_eq!(first[0].flatten_all().unwrap().to_vec1::<f64>().unwrap(), expected);
            assert_eq!((first[0].id(), first[1].id()), (again[0].id(), bias.id()));
        }
    }
}
