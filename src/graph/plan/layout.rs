//! Where values stand: each in a room of its own, or among the channels of the concatenation that alone reads it.

use super::fuse::Drafts;
use crate::graph::op::Form;
use gradscope_engine::{Map, MapMut};

/// Some channels of a room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub room: usize,
    /// The first channel.
    pub first: usize,
    pub h: usize,
    pub w: usize,
    pub c: usize,
    /// Channels of the room.
    pub pitch: usize,
}

impl Place {
    /// A place that has its room for itself.
    pub fn alone(self) -> Self {
        Self { first: 0, pitch: self.c, ..self }
    }

    /// Whether a picture's numbers stand side by side.
    pub fn is_dense(&self) -> bool {
        self.pitch == self.c
    }

    /// Numbers of one picture in a room of its own.
    pub fn len(&self) -> usize {
        self.h * self.w * self.c
    }

    /// The maps of `n` pictures.
    pub fn map<'a>(&self, n: usize, room: &'a [f32]) -> Map<'a> {
        Map::new(&room[self.first..], [n, self.h, self.w, self.c], self.pitch)
    }

    /// The maps of `n` pictures, to write.
    pub fn map_mut<'a>(&self, n: usize, room: &'a mut [f32]) -> MapMut<'a> {
        MapMut::new(&mut room[self.first..], [n, self.h, self.w, self.c], self.pitch)
    }
}

/// The place of each step's value, the sizes of rooms, and how often each value is read.
pub(super) fn places(drafts: &Drafts, shapes: &[Vec<usize>]) -> (Vec<Place>, Vec<usize>, Vec<usize>) {
    let steps = &drafts.steps;
    let mut uses = vec![0; steps.len()];
    steps.iter().flat_map(|s| s.reads.iter().chain(&s.add)).for_each(|&s| uses[s] += 1);
    let (mut places, mut rooms) = (vec![None; steps.len()], vec![]);
    for (i, step) in steps.iter().enumerate().rev() {
        let place = *places[i].get_or_insert_with(|| {
            let place = whole(rooms.len(), &shapes[step.last]);
            rooms.push(place.len());
            place
        });
        if step.form != Form::Concat {
            continue;
        }
        let mut first = place.first;
        for &read in &step.reads {
            let own = whole(place.room, &shapes[steps[read].last]);
            let dense = matches!(steps[read].form, Form::Linear | Form::Flatten);
            if uses[read] == 1 && !dense && places[read].is_none() {
                places[read] = Some(Place { first, pitch: place.pitch, ..own });
            }
            first += own.c;
        }
    }
    (places.into_iter().flatten().collect(), rooms, uses)
}

fn whole(room: usize, shape: &[usize]) -> Place {
    let c = shape[1];
    let (h, w) = match shape[2..] {
        [h, w] => (h, w),
        ref rest => (1, rest.iter().product()),
    };
    Place { room, first: 0, h, w, c, pitch: c }
}
