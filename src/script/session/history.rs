//! The history of a run's steps. Scalars are kept for all steps. States are kept as long as memory allows. When the limit is
//! exceeded, only every second older state is kept, then every fourth, and so on.

use candle_core::Tensor;
use rhai::{Array, Dynamic, Map};
use std::collections::HashMap;

/// Maximum total size in bytes of all stored states.
const ROOM: usize = 512 << 20;
/// Number of most recent states that are never dropped.
const LATEST: usize = 16;

/// One step of a run: the state after the step, and the scalars that the step reported.
#[derive(Clone, Default)]
pub(super) struct KeptStep {
    /// The state after the step; `()` if it was dropped or never stored.
    pub state: Dynamic,
    pub scalars: Vec<(String, f64)>,
    pub done: Option<String>,
    pub millis: f64,
}

/// All steps of a run, in order.
#[derive(Clone)]
pub(super) struct History {
    steps: Vec<KeptStep>,
    /// Only every `stride`-th of the older states is kept.
    stride: usize,
    room: usize,
}

impl Default for History {
    fn default() -> Self {
        Self { steps: vec![], stride: 1, room: ROOM }
    }
}

impl History {
    pub fn new(steps: Vec<KeptStep>) -> Self {
        Self { steps, ..Self::default() }
    }

    pub fn len(&self) -> usize {
        self.steps.len()
    }

    pub fn get(&self, step: usize) -> Option<&KeptStep> {
        self.steps.get(step)
    }

    pub fn get_mut(&mut self, step: usize) -> Option<&mut KeptStep> {
        self.steps.get_mut(step)
    }

    pub fn iter(&self) -> impl Iterator<Item = &KeptStep> {
        self.steps.iter()
    }

    /// Appends a step, dropping older states if the states use too much memory.
    pub fn push(&mut self, step: KeptStep) {
        self.steps.push(step);
        // Measuring all states is slow, so it is done only occasionally.
        if self.steps.len().is_multiple_of(LATEST) {
            self.make_room();
        }
    }

    /// Removes and returns the steps starting at index `from`.
    pub fn split_off(&mut self, from: usize) -> Vec<KeptStep> {
        self.steps.split_off(from)
    }

    /// Appends steps returned by [`History::split_off`].
    pub fn extend(&mut self, steps: Vec<KeptStep>) {
        self.steps.extend(steps);
    }

    /// The index of a step with a stored state near `step`, searching first in the direction of the move from `here` to `step`;
    /// `None` if no state is stored.
    pub fn nearest(&self, step: usize, here: usize) -> Option<usize> {
        let kept = |at: &usize| self.steps.get(*at).is_some_and(|s| !s.state.is_unit());
        let (mut after, mut before) = (step..self.steps.len(), (0..=step).rev());
        match step > here {
            true => after.find(kept).or_else(|| before.find(kept)),
            false => before.find(kept).or_else(|| after.find(kept)),
        }
    }

    /// The interval at which older states are kept; 1 if all are kept.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// One curve per scalar, with one value per step: NaN for steps that did not report the scalar.
    pub fn curves(&self) -> Vec<(String, Vec<f64>)> {
        let mut curves: Vec<(String, Vec<f64>)> = vec![];
        for (at, step) in self.steps.iter().enumerate() {
            for (place, (name, value)) in step.scalars.iter().enumerate() {
                // Most steps have the same scalars as the previous one, in the same order.
                let here = curves.get(place).is_some_and(|(n, _)| n == name);
                let known = if here { Some(place) } else { curves.iter().position(|(n, _)| n == name) };
                let known = known.unwrap_or_else(|| {
                    curves.push((name.clone(), vec![f64::NAN; self.steps.len()]));
                    curves.len() - 1
                });
                curves[known].1[at] = *value;
            }
        }
        curves
    }

    /// Drops older states until all states fit: doubles the stride as often as necessary, keeping one state per stride.
    fn make_room(&mut self) {
        while self.weight() > self.room && self.stride < self.steps.len() {
            self.thin();
            if self.weight() > self.room {
                self.stride *= 2;
            }
        }
    }

    fn thin(&mut self) {
        let (stride, older) = (self.stride, self.steps.len().saturating_sub(LATEST));
        let dropped = self.steps[..older].iter_mut().enumerate().filter(|(at, _)| at % stride != 0);
        dropped.for_each(|(_, step)| step.state = Dynamic::UNIT);
    }

    /// The total size of all stored states in bytes. A tensor shared by several states counts once.
    fn weight(&self) -> usize {
        let mut tensors = HashMap::new();
        self.steps.iter().for_each(|step| collect(&step.state, &mut tensors));
        tensors.values().sum()
    }
}

fn collect(value: &Dynamic, tensors: &mut HashMap<candle_core::TensorId, usize>) {
    if let Some(tensor) = value.read_lock::<Tensor>() {
        tensors.insert(tensor.id(), tensor.elem_count() * tensor.dtype().size_in_bytes());
    } else if let Some(map) = value.read_lock::<Map>() {
        map.values().for_each(|v| collect(v, tensors));
    } else if let Some(array) = value.read_lock::<Array>() {
        array.iter().for_each(|v| collect(v, tensors));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    fn filled(count: usize, room: usize) -> History {
        let mut history = History { room, ..History::default() };
        let same = Tensor::zeros(1000, DType::F32, &Device::Cpu).unwrap();
        for _ in 0..count {
            let own = Tensor::zeros(250, DType::F32, &Device::Cpu).unwrap();
            let state = Map::from([("x".into(), Dynamic::from(own)), ("x0".into(), Dynamic::from(same.clone()))]);
            history.push(KeptStep { state: state.into(), ..KeptStep::default() });
        }
        history
    }

    #[test]
    fn a_curve_has_a_value_for_every_step() {
        let step = |scalars: &[(&str, f64)]| KeptStep {
            scalars: scalars.iter().map(|(n, v)| (n.to_string(), *v)).collect(),
            ..KeptStep::default()
        };
        let curves = History::new(vec![step(&[("a", 1.0), ("b", 2.0)]), step(&[("b", 3.0)])]).curves();
        assert_eq!((curves[0].0.as_str(), &curves[1]), ("a", &("b".to_string(), vec![2.0, 3.0])));
        assert!(curves[0].1[0] == 1.0 && curves[0].1[1].is_nan());
    }

    #[test]
    fn tensors_shared_by_states_count_once() {
        assert_eq!(filled(3, ROOM).weight(), 3 * 1000 + 4000);
    }

    #[test]
    fn older_states_are_thinned_evenly_and_all_steps_stay() {
        let history = filled(1000, 100_000);
        assert!(history.weight() <= 100_000 + 1000 * LATEST, "{}", history.weight());
        assert_eq!((history.len(), history.stride()), (1000, 16));
        let kept: Vec<_> = (0..1000).filter(|&s| history.nearest(s, s) == Some(s)).collect();
        assert!(kept.starts_with(&[0, 16, 32, 48]) && kept.ends_with(&[997, 998, 999]));
    }

    #[test]
    fn seeking_a_dropped_step_shows_the_next_stored_one_in_that_direction() {
        let history = filled(1000, 100_000);
        assert_eq!((history.nearest(17, 0), history.nearest(17, 500)), (Some(32), Some(16)));
        assert_eq!(History::default().nearest(0, 0), None);
    }
}
