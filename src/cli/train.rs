//! `gradscope train`: small networks, from drawn weights or given ones, resumable.

use super::args::{Scripts, Train};
use super::stop::Stop;
use super::usage::usage;
use super::{draw, open};
use crate::data::{Dataset, source};
use crate::model::train::{Adversary, Options, Report, Trainer, write_weights};
use crate::model::{Card, Count, Model, evaluate};
use anyhow::{Context, Result, anyhow, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// A kill loses no more than this.
const EVERY: Duration = Duration::from_secs(15);

/// Trains, writes the weights, and says how good they are.
pub fn train(scripts: &Scripts, args: &Train) -> Result<ExitCode> {
    let host = open::host(scripts)?;
    let stop = Stop::new(host.guard())?;
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}.safetensors", args.model)));
    let checkpoint = out.with_extension("checkpoint");
    let (card, graph) = match &args.weights {
        Some(file) => {
            let model = open::architectures(&host).open(&args.model, Some(file))?;
            ((*model.card).clone(), (*model.graph).clone())
        }
        None => open::architectures(&host).build(&args.model).map_err(usage)?,
    };
    let data = source::open(&to_learn_from(&args.data))?;
    let test = to_test_with(args).map(|spec| source::open(&spec)).transpose()?;
    let trainer = match (args.resume, checkpoint.exists()) {
        (true, true) => Trainer::resume(&checkpoint, &graph, &card, data)?,
        (false, true) => {
            let (file, old) = (checkpoint.display(), "an interrupted training");
            return Err(usage(anyhow!(
                "\"{file}\" is left of {old}: --resume goes on with it, removing it begins anew"
            )));
        }
        (_, false) => Trainer::new(&graph, &card, data, options(args)).map_err(usage)?,
    };
    let begun = Instant::now();
    let Some(trainer) = learn(trainer, &card, test.as_ref(), &checkpoint, &stop)? else {
        bail!("interrupted; --resume goes on from \"{}\"", checkpoint.display());
    };
    write_weights(&out, &trainer.weights())?;
    // It served its purpose; one that stays is told about at the next training.
    let _ = std::fs::remove_file(&checkpoint);
    eprintln!("weights in {} after {:.0} s", out.display(), begun.elapsed().as_secs_f64());
    tell(args, &trainer, &card, test.as_ref(), &out)
}

/// What it is trained on: of sets with a part to learn from that part, unless another is named.
fn to_learn_from(spec: &str) -> String {
    let parted = ["mnist:", "made:"].iter().any(|scheme| spec.starts_with(scheme));
    if parted && !spec.contains('#') { format!("{spec}#train") } else { spec.into() }
}

/// What it is tested with: what was named, else the other part of the set.
fn to_test_with(args: &Train) -> Option<String> {
    let other = || to_learn_from(&args.data).strip_suffix("#train").map(String::from);
    args.test.clone().or_else(other)
}

fn options(args: &Train) -> Options {
    Options {
        epochs: args.epochs,
        batch: args.batch,
        rate: args.rate,
        optimizer: args.optimizer,
        schedule: args.schedule,
        weight_decay: args.weight_decay,
        init: args.init,
        seed: args.seed,
        shift: args.shift,
        flip: args.flip,
        adversary: args.adversary.map(|epsilon| adversary(args, epsilon / 255.0)),
    }
}

fn adversary(args: &Train, epsilon: f64) -> Adversary {
    let step = match (args.attack_step, args.attack_steps) {
        (Some(step), _) => step / 255.0,
        (None, 1) if args.random_start => 1.25 * epsilon,
        (None, 1) => epsilon,
        (None, steps) => 2.5 * epsilon / steps as f64,
    };
    Adversary { epsilon, steps: args.attack_steps, step, random_start: args.random_start, alpha: args.alpha }
}

/// Trains to the end; none when the person stopped it.
fn learn(
    mut trainer: Trainer,
    card: &Card,
    test: Option<&Dataset>,
    checkpoint: &Path,
    stop: &Stop,
) -> Result<Option<Trainer>> {
    let (done, all) = trainer.progress();
    if done > 0 {
        eprintln!("going on after step {done} of {all}");
    }
    let style = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} {eta}")?;
    let bar = ProgressBar::new(all as u64).with_style(style);
    let mut mean = None;
    loop {
        let mut ended = None;
        let mut on = |report: &Report| {
            mean = Some(mean.map_or(report.loss, |m: f64| m * 0.98 + report.loss * 0.02));
            bar.set_message(format!("epoch {}/{} loss {:.4}", report.epoch, report.epochs, mean.unwrap_or_default()));
            bar.inc(1);
            if report.batch == report.batches {
                ended = Some(*report);
            }
            if stop.wanted() || ended.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        bar.set_position(trainer.progress().0 as u64);
        let over = trainer.run(Some(checkpoint), EVERY, &mut on)?;
        if stop.wanted() {
            bar.finish_and_clear();
            return Ok(None);
        }
        if let Some(report) = ended {
            let accuracy = match test {
                Some(test) => {
                    format!(", {:.2} % of the test set right", measure(&trainer, card, test)?.accuracy() * 100.0)
                }
                None => String::new(),
            };
            let line =
                format!("epoch {}/{}: loss {:.4}{accuracy}", report.epoch, report.epochs, mean.unwrap_or_default());
            bar.suspend(|| eprintln!("{line}"));
        }
        if over || trainer.progress().0 >= all {
            bar.finish_and_clear();
            return Ok(Some(trainer));
        }
    }
}

fn measure(trainer: &Trainer, card: &Card, test: &Dataset) -> Result<Count> {
    let model = Model { card: card.clone().into(), graph: trainer.graph().clone(), hash: "".into() };
    evaluate(&model, test, &mut |_| Ok(())).context("testing the network")
}

fn tell(args: &Train, trainer: &Trainer, card: &Card, test: Option<&Dataset>, out: &Path) -> Result<ExitCode> {
    let count = test.map(|test| measure(trainer, card, test)).transpose()?;
    let line = match (args.json, count) {
        (true, _) => json!({
            "model": card.name,
            "data": args.data,
            "weights": out,
            "epochs": trainer.options().epochs,
            "correct": count.map(|c| c.correct),
            "total": count.map(|c| c.total),
            "accuracy": count.map(|c| c.accuracy()),
        })
        .to_string(),
        (false, Some(c)) => {
            let name = test.map_or("", |t| t.name.as_str());
            format!("{} on {name}: {} of {} right, {:.2} %", card.name, c.correct, c.total, c.accuracy() * 100.0)
        }
        (false, None) => format!("{} trained on {}", card.name, args.data),
    };
    draw::print(&line)?;
    Ok(ExitCode::SUCCESS)
}
