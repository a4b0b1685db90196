//! Layers of known networks: GFLOP/s by the direct operation count; `cargo bench -p gradscope-engine`.

use gradscope_engine::{Epilogue, Filter, Map, MapMut, Sizes, Slide};
use std::time::Instant;

/// Channels read and given, size, kernel, stride, padding.
const LAYERS: &[(&str, usize, usize, usize, usize, usize, usize)] = &[
    ("vgg conv1_1", 3, 64, 224, 3, 1, 1),
    ("vgg conv1_2", 64, 64, 224, 3, 1, 1),
    ("vgg conv2_2", 128, 128, 112, 3, 1, 1),
    ("vgg conv3_2", 256, 256, 56, 3, 1, 1),
    ("vgg conv4_2", 512, 512, 28, 3, 1, 1),
    ("vgg conv5_1", 512, 512, 14, 3, 1, 1),
    ("resnet stem", 3, 64, 224, 7, 2, 3),
    ("resnet 1", 64, 64, 56, 3, 1, 1),
    ("resnet 2 down", 64, 128, 56, 3, 2, 1),
    ("resnet 2", 128, 128, 28, 3, 1, 1),
    ("resnet 3", 256, 256, 14, 3, 1, 1),
    ("resnet 4", 512, 512, 7, 3, 1, 1),
    ("squeeze", 128, 16, 54, 1, 1, 0),
    ("expand 1x1", 16, 64, 54, 1, 1, 0),
    ("expand 3x3", 16, 64, 54, 3, 1, 1),
    ("squeezenet end", 512, 1000, 13, 1, 1, 0),
    ("bottleneck", 256, 64, 56, 1, 1, 0),
    ("bottleneck wide", 64, 256, 56, 1, 1, 0),
    ("cifar", 16, 16, 32, 3, 1, 1),
    ("lenet 1", 1, 6, 28, 5, 1, 2),
    ("lenet 2", 6, 16, 14, 5, 1, 0),
];

fn best(mut f: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = vec![];
    let start = Instant::now();
    while times.len() < 5 || start.elapsed().as_secs_f64() < 0.15 {
        let start = Instant::now();
        f();
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times[0]
}

fn main() {
    let batch = std::env::var("BATCH").map_or(1, |b| b.parse().unwrap_or(1));
    println!("{:<16} {:>9} {:>9} {:>9} {:>9}", "layer", "forward", "exact", "backward", "exact");
    for &(name, input, output, size, k, stride, padding) in LAYERS {
        let to = (size + 2 * padding - k) / stride + 1;
        let sizes = Sizes { input, output, from: (size, size), to: (to, to) };
        let slide = Slide {
            kernel: (k, k),
            stride: (stride, stride),
            padding: (padding, padding),
            dilation: (1, 1),
            groups: 1,
        };
        let w = vec![0.01f32; output * input * k * k];
        let mut x = vec![0.5f32; batch * size * size * input];
        let mut y = vec![0.5f32; batch * to * to * output];
        let flops = (2 * batch * to * to * output * input * k * k) as f64;
        print!("{name:<16}");
        for exact in [false, true] {
            let filter = Filter::forward(&w, sizes, slide, exact);
            let x = Map::new(&x, [batch, size, size, input], input);
            let mut y = MapMut::new(&mut y, [batch, to, to, output], output);
            print!(" {:>9.1}", flops / best(|| filter.run(&x, &mut y, Epilogue::default())) / 1e9);
        }
        for exact in [false, true] {
            let filter = Filter::backward(&w, sizes, slide, exact);
            let y = Map::new(&y, [batch, to, to, output], output);
            let mut x = MapMut::new(&mut x, [batch, size, size, input], input);
            print!(" {:>9.1}", flops / best(|| filter.run(&y, &mut x, Epilogue::default())) / 1e9);
        }
        println!();
    }
}
