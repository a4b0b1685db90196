//! Times convolutions, one per line of input; `scripts/bench/layers.py` runs this and PyTorch alternately.
//!
//! An input line is `way input output size kernel stride padding batch runs`, where `way` is forward or backward,
//! optionally followed by `-exact` or `-bf16`. The output line is the median time of the runs in seconds. Weights rotate through
//! more copies than fit into the cache, as when a whole network runs.
#![allow(clippy::disallowed_macros, clippy::disallowed_methods)]

use gradscope_engine::{Algorithm, Epilogue, Filter, Map, MapMut, Sizes, Slide};
use std::io::Write;
use std::time::Instant;

/// Number of bytes of weights that are read between two uses of the same copy.
const FAR: usize = 128 << 20;

fn main() {
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let words: Vec<_> = line.split_whitespace().collect();
        let numbers: Vec<usize> = words.iter().skip(1).filter_map(|w| w.parse().ok()).collect();
        let [input, output, size, k, stride, padding, batch, runs] = numbers[..] else { continue };
        let to = (size + 2 * padding - k) / stride + 1;
        let sizes = Sizes { input, output, from: (size, size), to: (to, to) };
        let pair = |n| (n, n);
        let slide =
            Slide { kernel: pair(k), stride: pair(stride), padding: pair(padding), dilation: pair(1), groups: 1 };
        let w = vec![0.01f32; output * input * k * k];
        let (x, y) = ([batch, size, size, input], [batch, to, to, output]);
        let sums = match (words[0].rsplit('-').next(), batch) {
            (Some("exact"), _) => Algorithm::Direct,
            (Some("bf16"), _) => Algorithm::Bf16,
            (_, 0..4) => Algorithm::SmallBatch,
            _ => Algorithm::LargeBatch,
        };
        let forward = words[0].starts_with("forward");
        let (from, into) = if forward { (x, y) } else { (y, x) };
        let make = || match forward {
            true => Filter::forward(&w, sizes, slide, sums),
            false => Filter::backward(&w, sizes, slide, sums),
        };
        let first = make();
        let copies = (FAR / first.bytes()).clamp(1, runs);
        let filters: Vec<_> = (1..copies).map(|_| make()).chain([first]).collect();
        println!("{}", median(&filters, from, into, runs));
        let _ = std::io::stdout().flush();
    }
}

fn median(filters: &[Filter], from: [usize; 4], into: [usize; 4], runs: usize) -> f64 {
    let x = vec![0.5f32; from.iter().product()];
    let mut y = vec![0f32; into.iter().product()];
    let (x, mut y) = (Map::new(&x, from, from[3]), MapMut::new(&mut y, into, into[3]));
    let once = |i: usize| {
        let start = Instant::now();
        filters[i % filters.len()].run(&x, &mut y, Epilogue::default());
        start.elapsed().as_secs_f64()
    };
    let mut times: Vec<_> = (0..=runs).map(once).skip(1).collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
