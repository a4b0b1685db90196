//! Memory layout of values. Each value occupies a separate buffer or, if its sole consumer is a concatenation, a channel range of
//! that buffer.
//!
//! Channels are innermost. In a feature map `(N, C, H, W)`, channels are dimension 1. In any other value, they are the last
//! dimension, so the memory order is that of the tensor. A view that keeps the memory order shares the buffer of the value it reads.

use super::segment::{Segment, Segments, is_over_rows};
use crate::backend;
use crate::graph::op::Pattern;
use anyhow::Result;
use candle_core::Tensor;
use gradscope_engine::{Map, MapMut, Saves, to_channels_first, to_channels_last};

/// Where a value is stored: a range of channels in a buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// Index of the buffer that holds the value.
    pub buffer: usize,
    /// The first channel of the range.
    pub first: usize,
    pub h: usize,
    pub w: usize,
    pub c: usize,
    /// Number of channels in the buffer, which is the stride between pixels in elements.
    pub pitch: usize,
    /// Whether the value's tensor is channels first.
    pub channels_first: bool,
}

impl Slot {
    /// The slot for a copy of the value in a separate buffer.
    pub fn alone(self) -> Self {
        Self { first: 0, pitch: self.c, ..self }
    }

    /// Whether the elements of one picture are contiguous.
    pub fn is_dense(&self) -> bool {
        self.pitch == self.c
    }

    /// Number of elements of one picture's value.
    pub fn len(&self) -> usize {
        self.h * self.w * self.c
    }

    /// Number of positions (pixels) of one picture's value.
    pub fn rows(&self) -> usize {
        self.h * self.w
    }

    /// A view of the value of `n` pictures in `buffer`, as feature maps.
    pub fn map<'a>(&self, n: usize, buffer: &'a [f32]) -> Map<'a> {
        Map::new(&buffer[self.first..], [n, self.h, self.w, self.c], self.pitch)
    }

    /// A mutable view of the value of `n` pictures in `buffer`, as feature maps.
    pub fn map_mut<'a>(&self, n: usize, buffer: &'a mut [f32]) -> MapMut<'a> {
        MapMut::new(&mut buffer[self.first..], [n, self.h, self.w, self.c], self.pitch)
    }

    /// Whether the elements of a dense value are in tensor order.
    fn is_in_order(&self) -> bool {
        !self.channels_first || self.rows() == 1 || self.c == 1
    }

    /// The value as a tensor with the given shape.
    pub fn tensor(&self, n: usize, buffer: &[f32], shape: &[usize]) -> Result<Tensor> {
        if self.is_dense() && self.is_in_order() {
            return backend::tensor(buffer[self.first..][..n * self.len()].to_vec(), shape);
        }
        let mut elements = vec![0f32; n * self.len()];
        self.read(n, buffer, &mut elements);
        backend::tensor(elements, shape)
    }

    /// Copies the value from `buffer` to `to`, in tensor order.
    pub fn read(&self, n: usize, buffer: &[f32], to: &mut [f32]) {
        if self.channels_first {
            return to_channels_first(&self.map(n, buffer), to);
        }
        let from = buffer[self.first..].chunks(self.pitch);
        to.chunks_exact_mut(self.c.max(1)).zip(from).for_each(|(to, from)| to.copy_from_slice(&from[..self.c]));
    }

    /// Copies a tensor's elements to the value's slot in `buffer`.
    pub fn write(&self, n: usize, elements: &[f32], buffer: &mut [f32]) {
        if self.channels_first {
            return to_channels_last(elements, &mut self.map_mut(n, buffer));
        }
        let to = buffer[self.first..].chunks_mut(self.pitch);
        elements.chunks_exact(self.c.max(1)).zip(to).for_each(|(from, to)| to[..self.c].copy_from_slice(from));
    }
}

/// Where all values of a plan are stored.
#[derive(Debug)]
pub(super) struct Layout {
    /// The slot of each step's value.
    pub slots: Vec<Slot>,
    /// The slot in which each step saves its activation's input, if any.
    pub saved: Vec<Option<Slot>>,
    /// Number of elements per picture of each buffer.
    pub buffers: Vec<usize>,
    /// Number of consumers of each step's value.
    pub uses: Vec<usize>,
}

impl Layout {
    /// Assigns slots to the values of the segments.
    pub fn new(segments: &Segments, shapes: &[Vec<usize>]) -> Self {
        let steps = &segments.steps;
        let mut uses = vec![0; steps.len()];
        steps.iter().flat_map(|s| s.reads.iter().chain(&s.add)).for_each(|&s| uses[s] += 1);
        // Views assume that the values they read are contiguous.
        let mut viewed = vec![false; steps.len()];
        let views = steps.iter().filter(|s| !s.views.is_empty());
        views.flat_map(|s| &s.reads).for_each(|&read| viewed[read] = true);
        let (mut slots, mut buffers) = (vec![None; steps.len()], vec![]);
        let mut aliases = vec![];
        for (i, step) in steps.iter().enumerate().rev() {
            if segments.is_alias(i, shapes) {
                aliases.push(i);
                continue;
            }
            let slot = *slots[i].get_or_insert_with(|| alone(&mut buffers, &shapes[step.last], step.maps));
            if step.pattern != Pattern::Concat {
                continue;
            }
            let mut first = slot.first;
            for &read in &step.reads {
                let own = whole(slot.buffer, &shapes[steps[read].last], steps[read].maps);
                let pattern = steps[read].pattern;
                let dense = is_over_rows(pattern) || matches!(pattern, Pattern::Flatten | Pattern::View);
                if uses[read] == 1 && !dense && !viewed[read] && slots[read].is_none() {
                    slots[read] = Some(Slot { first, pitch: slot.pitch, ..own });
                }
                first += own.c;
            }
        }
        for i in aliases {
            let buffer = slots[steps[i].reads[0]].map_or(0, |slot: Slot| slot.buffer);
            slots[i] = Some(whole(buffer, &shapes[steps[i].last], steps[i].maps));
        }
        let saved = steps.iter().map(|s| keeps(s).then(|| alone(&mut buffers, &shapes[s.last], s.maps))).collect();
        Self { slots: slots.into_iter().flatten().collect(), saved, buffers, uses }
    }
}

/// Whether a step must save its activation's input, because the derivative is computed from it and no other step stores it.
fn keeps(step: &Segment) -> bool {
    step.activation.is_some_and(|a| a.saves() == Saves::Input) && step.first != step.last
}

/// Adds a buffer for a value of this shape and returns its slot.
fn alone(buffers: &mut Vec<usize>, shape: &[usize], maps: bool) -> Slot {
    let slot = whole(buffers.len(), shape, maps);
    buffers.push(slot.len());
    slot
}

/// The slot of a value that fills a buffer.
fn whole(buffer: usize, shape: &[usize], maps: bool) -> Slot {
    let (h, w, c) = match *shape {
        [_, c, h, w] if maps => (h, w, c),
        [_, ref rows @ .., c] => (1, rows.iter().product(), c),
        _ => (1, 1, 1),
    };
    Slot { buffer, first: 0, h, w, c, pitch: c, channels_first: maps }
}
