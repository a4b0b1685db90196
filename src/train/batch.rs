//! Batches of training pictures: shuffling, and random shifts and flips.

use anyhow::Result;
use candle_core::Tensor;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The batches of all epochs. The pictures are reshuffled for each epoch, in an order that depends only on the seed and the epoch.
#[derive(Clone)]
pub(super) struct Batches {
    count: usize,
    batch: usize,
    seed: u64,
    shift: usize,
    flip: bool,
    /// The epoch for which `order` was drawn.
    epoch: Option<usize>,
    order: Vec<usize>,
}

impl Batches {
    /// Splits `count` pictures into batches of `batch`. Each picture is shifted at random by up to `shift` pixels and, with `flip`, flipped
    /// horizontally with probability one half.
    pub(super) fn new(count: usize, batch: usize, seed: u64, shift: usize, flip: bool) -> Self {
        Self { count, batch, seed, shift, flip, epoch: None, order: vec![] }
    }

    /// Number of batches per epoch.
    pub(super) fn per_epoch(&self) -> usize {
        self.count.div_ceil(self.batch)
    }

    /// Indices of the pictures in batch `batch` of epoch `epoch`; both are zero-based.
    pub(super) fn numbers(&mut self, epoch: usize, batch: usize) -> &[usize] {
        if self.epoch != Some(epoch) {
            let mut random = self.random(epoch, 0);
            self.order = (0..self.count).collect();
            self.order.shuffle(&mut random);
            self.epoch = Some(epoch);
        }
        let start = batch * self.batch;
        &self.order[start..(start + self.batch).min(self.count)]
    }

    /// Shifts and flips pictures `(N, C, H, W)` at random. The shift and flip of a picture depend only on its index in the data set, listed
    /// in `numbers`, and on the epoch.
    pub(super) fn moved(&self, x: &Tensor, numbers: &[usize], epoch: usize) -> Result<Tensor> {
        if self.shift == 0 && !self.flip {
            return Ok(x.clone());
        }
        let (_, _, height, width) = x.dims4()?;
        let padded = x.pad_with_same(2, self.shift, self.shift)?.pad_with_same(3, self.shift, self.shift)?;
        let one = |(row, &number): (usize, &usize)| -> Result<Tensor> {
            let mut random = self.random(epoch, 1 + number as u64);
            let [down, across] = [0, 1].map(|_| random.random_range(0..=2 * self.shift));
            let picture = padded.narrow(0, row, 1)?.narrow(2, down, height)?.narrow(3, across, width)?;
            if self.flip && random.random() { Ok(picture.contiguous()?.flip(&[3])?) } else { Ok(picture) }
        };
        let moved = numbers.iter().enumerate().map(one).collect::<Result<Vec<_>>>()?;
        Ok(Tensor::cat(&moved, 0)?)
    }

    /// The random number generator of one picture in one epoch; each `purpose`, 1 or greater, selects an independent stream.
    pub(super) fn of_picture(&self, epoch: usize, number: usize, purpose: u64) -> ChaCha8Rng {
        self.random(epoch, (purpose << 40) + 1 + number as u64)
    }

    /// A random number generator for one epoch; stream 0 is used for shuffling, and all others for individual pictures.
    fn random(&self, epoch: usize, stream: u64) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ epoch as u64);
        random.set_stream(stream);
        random
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::TrainingOptions;
    use candle_core::Device;

    fn batches(options: TrainingOptions) -> Batches {
        options.batches(10)
    }

    #[test]
    fn each_epoch_has_every_picture_once_in_a_new_order() {
        let mut batches = batches(TrainingOptions { batch: 4, ..TrainingOptions::default() });
        assert_eq!(batches.per_epoch(), 3);
        let mut epoch = |e| (0..3).flat_map(|b| batches.numbers(e, b).to_vec()).collect::<Vec<_>>();
        let (first, second) = (epoch(0), epoch(1));
        assert_ne!(first, second);
        assert_eq!(epoch(0), first);
        for mut numbers in [first, second] {
            numbers.sort_unstable();
            assert_eq!(numbers, (0..10).collect::<Vec<_>>());
        }
    }

    #[test]
    fn augmentation_of_a_picture_does_not_depend_on_its_batch() {
        let batches = batches(TrainingOptions { shift: 2, flip: true, ..TrainingOptions::default() });
        let x = Tensor::arange(0f32, 50.0, &Device::Cpu).unwrap().reshape((2, 1, 5, 5)).unwrap();
        let values = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let both = batches.moved(&x, &[3, 7], 1).unwrap();
        assert_eq!(both.dims(), [2, 1, 5, 5]);
        let second = batches.moved(&x.narrow(0, 1, 1).unwrap(), &[7], 1).unwrap();
        assert_eq!(values(both.narrow(0, 1, 1).unwrap()), values(second));
        assert!((0..5).any(|epoch| values(batches.moved(&x, &[3, 7], epoch).unwrap()) != values(both.clone())));
    }

    #[test]
    fn about_half_of_the_pictures_are_mirrored_and_all_keep_their_values() {
        let count = 200;
        let x = Tensor::new(&[0f32, 1.0, 2.0], &Device::Cpu).unwrap().broadcast_as((count, 1, 1, 3)).unwrap();
        let numbers: Vec<_> = (0..count).collect();
        let mirrored = |shift| {
            let batches = batches(TrainingOptions { shift, flip: true, ..TrainingOptions::default() });
            let rows = batches.moved(&x, &numbers, 0).unwrap().reshape((count, 3)).unwrap().to_vec2::<f32>().unwrap();
            assert!(rows.iter().all(|row| row.is_sorted() || row.iter().rev().is_sorted()), "shift {shift}");
            rows.iter().filter(|row| row[0] > row[2]).count()
        };
        assert!((70..130).contains(&mirrored(0)));
        assert!((70..130).contains(&mirrored(1)));
    }
}
