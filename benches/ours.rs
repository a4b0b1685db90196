//! Our side of the comparisons: `benches/peers.py` asks this program and its peers in turns.
//!
//! Each line of its input is one question; the answer is a line of seconds, one for each run, and the peak memory in MiB:
//!
//! ```text
//! forward  MODEL WEIGHTS SIZE BATCH RUNS
//! gradient MODEL WEIGHTS SIZE BATCH RUNS
//! method   MODEL WEIGHTS SIZE RUNS PLUGIN NAME=VALUE…
//! ```
//! `SIZE` is `CxHxW`; a gradient is that of a logit by the picture, a method runs with the picture's own class.
//! `GRADSCOPE_EXACT=1` keeps 3x3 convolutions to direct sums.

use anyhow::{Context, Result, bail};
use candle_core::{Device, Tensor};
use gradscope::backward::{Walk, logit};
use gradscope::model::Model;
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use gradscope::script::host::Host;
use gradscope::script::session::Session;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: gradscope::script::memory::Counting = gradscope::script::memory::Counting;

fn main() -> Result<()> {
    gradscope::kernel::keep_freed_memory();
    gradscope::kernel::set_exact(std::env::var_os("GRADSCOPE_EXACT").is_some());
    let mut open: Option<(Vec<String>, Model)> = None;
    for line in std::io::stdin().lines() {
        let line = line?;
        let words: Vec<_> = line.split_whitespace().collect();
        let [what, name, weights, size, rest @ ..] = &words[..] else { bail!("a question is longer than \"{line}\"") };
        let key: Vec<_> = [name, weights, size].map(|w| w.to_string()).into();
        let model = match open.take() {
            Some((k, model)) if k == key => model,
            _ => Architectures::new(Folders::models(None), &Default::default()).open(name, Some(Path::new(weights)))?,
        };
        let size: Vec<usize> = size.split('x').map(str::parse).collect::<Result<_, _>>()?;
        let times = match *what {
            "method" => method(&model, &size, rest)?,
            _ => network(&model, &size, rest, *what == "gradient")?,
        };
        let times: Vec<_> = times.iter().map(f64::to_string).collect();
        println!("{} {}", times.join(" "), peak()?);
        std::io::stdout().flush()?;
        open = Some((key, model));
    }
    Ok(())
}

/// Pictures of noise.
fn pictures(size: &[usize], batch: usize) -> Result<Tensor> {
    let dims = [&[batch], size].concat();
    let noise = |i: usize| (i as u32).wrapping_mul(2_654_435_761) as f32 / u32::MAX as f32;
    Ok(Tensor::from_vec((0..dims.iter().product()).map(noise).collect(), dims, &Device::Cpu)?)
}

fn timed(runs: usize, mut f: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    let mut once = || {
        let start = Instant::now();
        f().map(|()| start.elapsed().as_secs_f64())
    };
    once()?;
    (0..runs).map(|_| once()).collect()
}

fn network(model: &Model, size: &[usize], rest: &[&str], back: bool) -> Result<Vec<f64>> {
    let [batch, runs] = rest else { bail!("BATCH and RUNS are missing") };
    let x = pictures(size, batch.parse()?)?;
    let classes = vec![1; x.dims()[0]];
    timed(runs.parse()?, || {
        let trace = model.graph.forward(&x)?;
        let logits = trace.logits()?;
        if back {
            let seed = logit(&logits, &classes)?.reshape(trace.dims(model.graph.logits)?)?;
            let seeds = vec![(model.graph.logits, seed)];
            Walk { keep: false, ..Walk::gradient(&trace, seeds) }.run()?.input()?;
        }
        Ok(())
    })
}

fn method(model: &Model, size: &[usize], rest: &[&str]) -> Result<Vec<f64>> {
    let [runs, plugin, settings @ ..] = rest else { bail!("RUNS and PLUGIN are missing") };
    let host = Host::new(Folders::plugins(None), Folders::models(None));
    let mut session = Session::new(&host, model.clone(), "noise", pictures(size, 1)?)?;
    session.open(host.method(plugin)?);
    for setting in settings {
        let (name, value) = setting.split_once('=').context("a setting is NAME=VALUE")?;
        session.set(name, value)?;
    }
    timed(runs.parse()?, || session.run(&host).map(drop))
}

/// The most memory that this process has held, in MiB.
fn peak() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("0");
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<f64>()? / 1024.0)
}
