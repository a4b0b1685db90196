//! `gradscope train`: trains a small network from random or given weights; interrupted training can be resumed.

use super::args::{HostArgs, TrainArgs};
use super::progress::ProgressLine;
use super::stop::{GRACE_OF_TRAINING, StopFlag};
use super::usage::usage;
use super::{open, out};
use crate::backend::{self, Resize};
use crate::data::lock::Lock;
use crate::data::{disk, source};
use crate::model::Accuracy;
use crate::script::host::Host;
use crate::train::{Adversary, LossWeights, Perceptual, TrainEvent, Trainer, TrainingLoop, TrainingOptions};
use crate::words;
use anyhow::{Result, anyhow, bail, ensure};
use serde_json::json;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Trains a network, writes its weights, and prints its accuracy on the test set.
pub fn train(host_args: &HostArgs, args: &TrainArgs) -> Result<ExitCode> {
    let host = open::host(host_args)?;
    let stop = StopFlag::new(host.guard(), GRACE_OF_TRAINING)?;
    let file = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}.safetensors", args.model)));
    ensure!(!file.is_dir(), "\"{}\" is a folder; --out must be the weight file to write", words::path(&file));
    let checkpoint = file.with_extension("checkpoint");
    let _lock = Lock::of(&file)?;
    let (mut card, graph) = match &args.weights {
        Some(file) => {
            let model = open::architectures(&host).open(&args.model, Some(file))?;
            model.note().iter().for_each(|note| out::tell(note));
            ((*model.card).clone(), (*model.graph).clone())
        }
        None => open::architectures(&host).build(&args.model).map_err(usage)?,
    };
    if let Some(size) = args.size.map(usize::from) {
        card.input = [card.input[0], size, size];
        card.resize = Some(size);
    }
    let data = source::open(&source::to_learn_from(&args.data))?;
    if args.weights.is_none() && args.style.is_none() {
        card = card.to_learn(&data, graph.classes());
    }
    let style = args.style.as_ref().map(|painting| style(&host, args, painting)).transpose()?;
    let test = args.test.clone().or_else(|| source::to_test_with(&args.data)).filter(|_| style.is_none());
    let test = test.map(|spec| source::open(&spec)).transpose()?;
    let trainer = match (args.resume, checkpoint.exists()) {
        (true, true) => Trainer::resume(&checkpoint, &graph, &card, data)?,
        (false, true) => {
            let (file, old) = (words::path(&checkpoint), "an interrupted training run");
            return Err(usage(anyhow!(
                "found \"{file}\" from {old}: use --resume to continue it, or remove the file to start over"
            )));
        }
        (_, false) => Trainer::new(&graph, &card, data, options(args)).map_err(usage)?,
    };
    let trainer = trainer.to_device(&host.guard().options().device)?;
    let trainer = match style {
        Some(style) => trainer.with_style(style).map_err(usage)?,
        None => trainer,
    };
    out::tell_notes();
    let begun = Instant::now();
    let (checkpoint_file, epochs) = (Some(&*checkpoint), args.checkpoints.as_deref());
    let mut course = TrainingLoop { trainer, card: &card, test: test.as_ref(), checkpoint: checkpoint_file, epochs };
    if !learn(&mut course, &stop)? {
        bail!("interrupted; --resume continues from \"{}\"", words::path(&checkpoint));
    }
    course.trainer.write(&file)?;
    disk::remove(&checkpoint)?;
    out::tell(&format!("wrote weights to {} after {:.0} s", words::path(&file), begun.elapsed().as_secs_f64()));
    tell(args, &course, &file)
}

/// Creates the perceptual style loss for a painting.
fn style(host: &Host, args: &TrainArgs, painting: &str) -> Result<Perceptual> {
    let critic = open::architectures(host).open(&args.critic, args.critic_weights.as_deref())?;
    critic.note().iter().for_each(|note| out::tell(note));
    let (name, picture) = source::picture(painting)?;
    let whole = critic.card.preprocess().apply(&picture, true)?;
    // Scale the painting to about the critic's input size.
    let (_, _, h, w) = whole.dims4()?;
    let scale = *critic.card.input.iter().max().unwrap_or(&224) as f64 / h.max(w) as f64;
    let side = |n: usize| ((n as f64 * scale).round() as usize).max(1);
    let painting = critic.take(&backend::interpolate(&whole, (side(h), side(w)), Resize::BilinearAntialias)?)?;
    Perceptual::new(
        &critic,
        &painting,
        &name,
        LossWeights { content: 1.0, style: args.style_weight, variation: args.variation },
    )
}

fn options(args: &TrainArgs) -> TrainingOptions {
    TrainingOptions {
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
        patience: args.patience,
    }
}

fn adversary(args: &TrainArgs, epsilon: f64) -> Adversary {
    let usual = Adversary::new(epsilon, args.attack_steps, args.random_start);
    let step = args.attack_step.map_or(usual.step, |step| step / 255.0);
    Adversary { step, alpha: args.alpha, warmup: args.warmup, ..usual }
}

/// Trains to the end; returns false if training was interrupted.
fn learn(course: &mut TrainingLoop, stop: &StopFlag) -> Result<bool> {
    let (done, all) = course.trainer.progress();
    if done > 0 {
        out::tell(&format!("resuming after step {done} of {all}"));
    }
    let bar = ProgressLine::of(all, done)?;
    let (mut mean, mut step) = (None, done);
    let over = course.run(&mut |news| {
        match news {
            TrainEvent::Batch(report) => {
                let now = mean.map_or(report.loss, |m: f64| m * 0.98 + report.loss * 0.02);
                mean = Some(now);
                step += 1;
                bar.set(step, &format!("epoch {}/{} loss {now:.4}", report.epoch, report.epochs));
            }
            TrainEvent::Epoch { epoch, epochs, loss, count } => {
                let right = |c: Accuracy| format!(", test accuracy {:.2}%", c.accuracy() * 100.0);
                let right = count.map(right).unwrap_or_default();
                bar.tell(&[format!("epoch {epoch}/{epochs}: loss {loss:.4}{right}")]);
            }
        }
        if stop.wanted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    bar.end();
    Ok(over)
}

fn tell(args: &TrainArgs, course: &TrainingLoop, file: &Path) -> Result<ExitCode> {
    let count = course.result()?;
    let name = &course.card.name;
    match (args.json, count) {
        (true, _) => out::json_line(&json!({
            "model": name,
            "data": args.data,
            "weights": file,
            "epochs": course.trainer.options().epochs,
            "correct": count.map(|c| c.correct),
            "total": count.map(|c| c.total),
            "accuracy": count.map(|c| c.accuracy()),
        }))?,
        (false, Some(c)) => {
            let test = course.test.map_or("", |t| t.name.as_str());
            let (name, test, share) = (words::name(name), words::name(test), c.accuracy() * 100.0);
            out::say(&format!("{name} on {test}: {} of {} correct, {share:.2}%", c.correct, c.total))?;
        }
        (false, None) => out::say(&format!("{} trained on {}", words::name(name), words::name(&args.data)))?,
    }
    Ok(ExitCode::SUCCESS)
}
