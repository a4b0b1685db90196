//! Our side of the benchmarks: `benches/peers.py` runs this program and its peers alternately.
//!
//! Each input line is one request with tab-separated fields; the response is one line with the time of each run, in seconds:
//!
//! ```text
//! forward  MODEL WEIGHTS SIZE BATCH RUNS
//! gradient MODEL WEIGHTS SIZE BATCH RUNS
//! method   MODEL WEIGHTS SIZE RUNS DATA PLUGIN NAME=VALUE…
//! loop     MODEL WEIGHTS SIZE RUNS
//! train    MODEL WEIGHTS SIZE BATCH RUNS
//! ```
//!
//! `MODEL` is an architecture, or a file if `WEIGHTS` is `-`. `SIZE` is `CxHxW`; gradients are those of one logit with respect to the
//! picture. A method runs to completion for the predicted class, with the data set `DATA`, or without one if `DATA` is `-`; `loop` is the
//! Rust version of `loop.rhai`; `train` runs steps of SGD with momentum on batches of noise. `GRADSCOPE_EXACT=1` uses direct convolution
//! for 3x3 convolutions, `GRADSCOPE_DEVICE=cuda:0` selects the device, and `GRADSCOPE_PRECISION=bf16` selects the precision.

use anyhow::{Context, Result, bail};
use candle_core::{Device, Tensor};
use gradscope::backend::Accumulation;
use gradscope::data::Dataset;
use gradscope::exec::{Precision, RunOptions, Trace};
use gradscope::explain::{Walk, logit};
use gradscope::model::Model;
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use gradscope::script::host::Host;
use gradscope::script::method::data::Data;
use gradscope::script::session::Session;
use gradscope::train::{Optimizer, Schedule, Trainer, TrainingOptions};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: gradscope::memory::Counting = gradscope::memory::Counting;

/// Number of gradients in one `loop`, the same as in `loop.rhai`.
const SAMPLES: usize = 50;

fn main() -> Result<()> {
    gradscope::backend::keep_freed_memory();
    let host = host()?;
    let mut open: Option<(Vec<String>, Model)> = None;
    for line in std::io::stdin().lines() {
        let line = line?;
        let words: Vec<_> = line.split('\t').collect();
        let [what, name, weights, size, rest @ ..] = &words[..] else { bail!("incomplete request \"{line}\"") };
        let key: Vec<_> = [name, weights, size].map(|w| w.to_string()).into();
        let model = match open.take() {
            Some((k, model)) if k == key => model,
            _ => {
                let weights = Some(Path::new(weights)).filter(|_| *weights != "-");
                Architectures::new(host.models().clone(), host.guard()).open(name, weights)?
            }
        };
        let size: Vec<usize> = size.split('x').map(str::parse).collect::<Result<_, _>>()?;
        let times = match *what {
            "forward" | "gradient" => network(&model, &size, rest, *what == "gradient")?,
            "train" => training(&model, &size, rest)?,
            "method" => method(&model, &size, rest)?,
            "loop" => gradients(&model, &size, rest)?,
            _ => bail!("unknown request \"{what}\""),
        };
        let times: Vec<_> = times.iter().map(f64::to_string).collect();
        println!("{}", times.join(" "));
        std::io::stdout().flush()?;
        open = Some((key, model));
    }
    Ok(())
}

/// The device and precision set by environment variables.
fn run_options() -> Result<RunOptions> {
    let asked = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.into());
    let device = gradscope::cli::device(&asked("GRADSCOPE_DEVICE", "cpu"))?;
    let mut precision: Precision = asked("GRADSCOPE_PRECISION", "f32").parse()?;
    if std::env::var_os("GRADSCOPE_EXACT").is_some() {
        precision.accumulation = Accumulation::Direct;
    }
    Ok(RunOptions { device, precision })
}

/// A `(batch, C, H, W)` tensor of noise in [0, 1], on the device of `model`.
fn pictures(model: &Model, size: &[usize], batch: usize) -> Result<Tensor> {
    let dims = [&[batch], size].concat();
    let noise = |i: usize| (i as u32).wrapping_mul(2_654_435_761) as f32 / u32::MAX as f32;
    model.take(&Tensor::from_vec((0..dims.iter().product()).map(noise).collect(), dims, &Device::Cpu)?)
}

fn timed(model: &Model, runs: usize, mut f: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    let once = |_| {
        let start = Instant::now();
        f()?;
        model.graph.device().synchronize()?;
        Ok(start.elapsed().as_secs_f64())
    };
    (0..runs).map(once).collect()
}

/// Times forward passes or, with `back`, input gradients, after one warm-up run.
fn network(model: &Model, size: &[usize], rest: &[&str], back: bool) -> Result<Vec<f64>> {
    let [batch, runs] = rest else { bail!("BATCH and RUNS are missing") };
    let x = pictures(model, size, batch.parse()?)?;
    let run = || match back {
        true => gradient(&model.graph.forward(&x)?).map(drop),
        false => model.graph.logits(&x).map(drop),
    };
    run()?;
    model.graph.device().synchronize()?;
    timed(model, runs.parse()?, run)
}

/// Times training steps on batches of noise with cyclic labels, after one warm-up step.
fn training(model: &Model, size: &[usize], rest: &[&str]) -> Result<Vec<f64>> {
    let [batch, runs] = rest else { bail!("BATCH and RUNS are missing") };
    let (batch, runs): (usize, usize) = (batch.parse()?, runs.parse()?);
    let [c, h, w] = size else { bail!("expected a size CxHxW") };
    let (classes, count) = (model.graph.classes(), 4 * batch);
    let pixels = (0..count * c * h * w).map(|i| ((i as u32).wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let labels = (0..count).map(|i| i % classes).collect();
    let data = Dataset::of_bytes("noise", model.card.labels.to_vec(), [*c, *h, *w], pixels, labels)?;
    let options = TrainingOptions {
        epochs: runs,
        batch,
        rate: 1e-3,
        optimizer: Optimizer::sgd(),
        schedule: Schedule::Constant,
        ..TrainingOptions::default()
    };
    let mut trainer = Trainer::new(&model.graph, &model.card, data, options)?.to_device(&model.graph.device())?;
    trainer.step()?;
    timed(model, runs, || trainer.step().map(drop))
}

/// The gradient of each picture's second logit with respect to the picture.
fn gradient(trace: &Trace) -> Result<Tensor> {
    let logits = trace.logits()?;
    let seed = logit(&logits, &[1])?.reshape(trace.dims(trace.graph.logits)?)?;
    let seeds = vec![(trace.graph.logits, seed)];
    Ok(Walk { keep: false, ..Walk::gradient(trace, seeds) }.run()?.input()?.clone())
}

fn gradients(model: &Model, size: &[usize], rest: &[&str]) -> Result<Vec<f64>> {
    let [runs] = rest else { bail!("RUNS is missing") };
    let x = pictures(model, size, 1)?;
    timed(model, runs.parse()?, || {
        let mut sum = x.zeros_like()?;
        for i in 0..SAMPLES {
            let moved = (&x + 0.001 * i as f64)?;
            sum = (sum + gradient(&model.graph.forward(&moved)?)?)?;
        }
        Ok(())
    })
}

/// Times a method. Each run uses a new host, so that no trace is cached from the previous run.
fn method(model: &Model, size: &[usize], rest: &[&str]) -> Result<Vec<f64>> {
    let [runs, data, plugin, settings @ ..] = rest else { bail!("RUNS, DATA and PLUGIN are missing") };
    let mut question = Session::new(&host()?, model.clone(), "noise", pictures(model, size, 1)?)?;
    if *data != "-" {
        let data = Data::named(data);
        data.get()?;
        question.set_data(data);
    }
    let once = |_| {
        let host = host()?;
        let mut session = question.clone();
        session.open(host.method(plugin)?);
        for setting in settings {
            let (name, value) = setting.split_once('=').context("expected a setting NAME=VALUE")?;
            session.set(name, value)?;
        }
        let start = Instant::now();
        session.run(&host)?;
        while session.can_go_on() {
            session.advance(&host)?;
        }
        if session.cursor() > 0 {
            session.view(&host)?;
        }
        model.graph.device().synchronize()?;
        Ok(start.elapsed().as_secs_f64())
    };
    (0..runs.parse()?).map(once).collect()
}

fn host() -> Result<Host> {
    Ok(Host::with_options(Folders::plugins(None), Folders::models(None), run_options()?))
}
