//! `gradscope eval`: the accuracy of a network on a data set.

use super::args::{EvalArgs, HostArgs};
use super::progress::ProgressLine;
use super::stop::{GRACE, StopFlag};
use super::{open, out};
use crate::data::source;
use crate::graph::Scores;
use crate::model::{Accuracy, ClassMap, Matches, Model, matches};
use crate::words;
use anyhow::{Result, bail};
use serde_json::json;
use std::process::ExitCode;

/// Computes the accuracy of a network on a data set and prints it.
pub fn eval(host_args: &HostArgs, args: &EvalArgs) -> Result<ExitCode> {
    let host = open::host(host_args)?;
    let stop = StopFlag::new(host.guard(), GRACE)?;
    let model = open::model(&host, &args.network)?;
    let data = source::open(&args.data)?;
    let labels = ClassMap::of_classes(&data, &model.card, &model.graph)?.by.to_string();
    out::tell_notes();
    let bar = ProgressLine::of(data.len(), 0)?;
    let mut on = |count: Accuracy| {
        bar.set(count.total, &format!("{:.2}%", count.accuracy() * 100.0));
        if stop.wanted() {
            bail!("cancelled after {} pictures, {} of them correct", count.total, count.correct);
        }
        Ok(())
    };
    host.guard().hold(true);
    let count = matches(&model, &data, &mut on);
    bar.end();
    let (count, more) = count?;
    let accuracy = count.accuracy();
    if count.not_finite > 0 {
        out::tell(&format!(
            "the scores of {} of {} pictures are not finite; these pictures count as wrong",
            count.not_finite, count.total
        ));
    }
    if args.json {
        out::json_line(&json!({
            "model": model.card.name,
            "data": args.data,
            "labels": labels,
            "correct": count.correct,
            "not_finite": count.not_finite,
            "total": count.total,
            "accuracy": accuracy,
            "top_label": more.top_label,
            "exact_match": more.exact,
        }))?;
    } else {
        out::say(&format!(
            "{} on {}: {} of {} correct, {:.2}%{}",
            words::name(&model.card.name),
            words::name(&args.data),
            count.correct,
            count.total,
            accuracy * 100.0,
            independent(&model, more)
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Formats the additional metrics of a network with independent class scores; empty for other networks.
fn independent(model: &Model, more: Matches) -> String {
    match model.graph.scores {
        Scores::Independent => {
            format!(
                " (correct: p > 0.5 for the label); label ranked first {}, exact match {}",
                more.top_label, more.exact
            )
        }
        _ => String::new(),
    }
}
