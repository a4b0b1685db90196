//! The function `train(model, options)`, which trains a network like `gradscope train`, reusing the result of an identical
//! training run.

use super::Setting;
use crate::data::lock::Lock;
use crate::data::{Dataset, create_folder, disk, source};
use crate::model::{Model, answers};
use crate::script::api::options::{CallOptions, text};
use crate::script::api::training;
use crate::script::architecture::Architectures;
use crate::train::{TrainEvent, Trainer, TrainingLoop, TrainingOptions as Training};
use crate::words;
use anyhow::{Context, Result, bail};
use rhai::Map;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

impl Setting {
    /// Trains a network and writes it to the file `out`. If `out` is the result of an identical training run, it is loaded
    /// instead. An interrupted training run is resumed.
    ///
    /// With `checkpoints: folder`, the weights before the first epoch and after each one are written there. With `teacher: net`, the network is trained on the predictions of `net` instead of labels. With `count: n`, only the first
    /// `n` pictures are used.
    pub(super) fn train(&self, name: &str, map: Map) -> Result<Model> {
        let known =
            [&["data", "test", "out", "weights", "teacher", "count", "checkpoints"], &training::OPTIONS[..]].concat();
        let o = CallOptions::new("train", map, &known)?;
        let word = |key: &str| o.raw(key).map(text).transpose();
        let out = PathBuf::from(word("out")?.unwrap_or_else(|| format!("{name}.safetensors")));
        let spec = word("data")?.context("train needs data: #{ data: \"mnist:DIR\" }")?;
        let test = word("test")?.or_else(|| source::to_test_with(&spec));
        let test = test.map(|spec| source::open(&spec)).transpose()?;
        let architectures = Architectures::new(self.host.models().clone(), self.host.guard());
        let (mut card, graph) = match word("weights")? {
            Some(file) => {
                let model = architectures.open(name, Some(Path::new(&file)))?;
                model.note().iter().for_each(|note| self.desk.say(note));
                ((*model.card).clone(), (*model.graph).clone())
            }
            None => architectures.build(name)?,
        };
        let data = self.lessons(&o, source::open(&source::to_learn_from(&spec))?)?;
        if !o.has("weights") {
            card = card.to_learn(&data, graph.classes());
        }
        let trainer = Trainer::new(&graph, &card, data.clone(), training::options(&o, Training::default())?)?;
        if trainer.wrote(&out)? {
            self.desk.say(&format!("{name} is already trained; using the weights in {}", words::path(&out)));
            return architectures.open(name, Some(&out));
        }
        let checkpoint = out.with_extension("checkpoint");
        if let Some(folder) = out.parent() {
            create_folder(folder)?;
        }
        let _lock = Lock::of(&out)?;
        let trainer = match checkpoint.exists() {
            true => same(Trainer::resume(&checkpoint, &graph, &card, data)?, trainer, &checkpoint)?,
            false => trainer,
        };
        let trainer = trainer.to_device(&self.host.guard().options().device)?;
        let checkpoints = word("checkpoints")?.map(PathBuf::from);
        let mut course = TrainingLoop {
            trainer,
            card: &card,
            test: test.as_ref(),
            checkpoint: Some(&checkpoint),
            epochs: checkpoints.as_deref(),
        };
        self.learn(name, &mut course)?;
        course.trainer.write(&out)?;
        disk::remove(&checkpoint)?;
        architectures.open(name, Some(&out))
    }

    /// The training pictures, labeled by the data set or a teacher network.
    fn lessons(&self, o: &CallOptions, data: Dataset) -> Result<Dataset> {
        let count = o.size("count", data.len())?.min(data.len());
        let labels = match o.raw("teacher") {
            None if count == data.len() => return Ok(data),
            None => return data.first(count),
            Some(teacher) => {
                let teacher =
                    teacher.clone().try_cast::<Model>().context("`teacher` must be a network: train(…) or model(…)")?;
                let observer = self.desk.observer();
                answers(&teacher, &data, count, &mut |done| {
                    observer.progress("teacher's predictions", done, count);
                    self.host.guard().tick()
                })?
            }
        };
        data.relabelled(labels)
    }

    fn learn(&self, name: &str, course: &mut TrainingLoop) -> Result<()> {
        let (observer, all) = (self.desk.observer(), course.trainer.progress().1);
        let mut done = course.trainer.progress().0;
        self.host.guard().hold(true);
        let over = course.run(&mut |news| {
            match news {
                TrainEvent::Batch(report) => {
                    done += 1;
                    observer.progress(&format!("{name}, epoch {}/{}", report.epoch, report.epochs), done, all);
                }
                TrainEvent::Epoch { epoch, epochs, loss, count } => {
                    let right = count.map_or(String::new(), |c| format!(", {:.2}% correct", c.accuracy() * 100.0));
                    self.desk.say(&format!("{name}, epoch {epoch}/{epochs}: loss {loss:.4}{right}"));
                }
            }
            if self.host.guard().tick().is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        self.host.guard().hold(false);
        let over = over?;
        match over {
            true => Ok(()),
            false => self.host.guard().tick(),
        }
    }
}

/// Returns the interrupted training run `begun`. Errors if its options differ from those of `asked`.
fn same(begun: Trainer, asked: Trainer, file: &Path) -> Result<Trainer> {
    if begun.options() != asked.options() {
        bail!(
            "\"{}\" is left over from a training run with different options; remove it to start over",
            words::path(&file)
        );
    }
    Ok(begun)
}
