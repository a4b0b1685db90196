//! Times one convolution a line of its input: `scripts/bench/layers.py` asks it and PyTorch in turns.
//!
//! A line is `way input output size kernel stride padding batch runs`, `way` one of forward, backward, forward-exact,
//! backward-exact; the answer is the least time of the runs in seconds.

use gradscope_engine::{Epilogue, Filter, Map, MapMut, Sizes, Slide, Sums};
use std::io::Write;
use std::time::Instant;

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
        let sums = match (words[0].ends_with("-exact"), batch) {
            (true, _) => Sums::Exact,
            (_, 0..4) => Sums::Few,
            _ => Sums::Many,
        };
        let (filter, from, into) = match words[0].starts_with("forward") {
            true => (Filter::forward(&w, sizes, slide, sums), x, y),
            false => (Filter::backward(&w, sizes, slide, sums), y, x),
        };
        println!("{}", least(&filter, from, into, runs));
        let _ = std::io::stdout().flush();
    }
}

fn least(filter: &Filter, from: [usize; 4], into: [usize; 4], runs: usize) -> f64 {
    let x = vec![0.5f32; from.iter().product()];
    let mut y = vec![0f32; into.iter().product()];
    let (x, mut y) = (Map::new(&x, from, from[3]), MapMut::new(&mut y, into, into[3]));
    let once = || {
        let start = Instant::now();
        filter.run(&x, &mut y, Epilogue::default());
        start.elapsed().as_secs_f64()
    };
    std::iter::repeat_with(once).take(runs + 1).skip(1).fold(f64::INFINITY, f64::min)
}
