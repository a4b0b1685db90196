//! `gradscope rerun`: repeats the command of a `result.json` and compares the numbers.

use super::args::{Args, CliCommand, HostArgs, RerunArgs, RunArgs};
use super::out_folder::{self, RESULT};
use super::tables::{as_table, named};
use super::usage::{sentence, usage};
use super::{out, run, still};
use crate::data::read_npy;
use crate::memory::limit_to;
use crate::script::export::result::SCHEMA;
use crate::words;
use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tempfile::TempDir;

/// What is compared apart from figures: the key in `result.json` and its name in the report.
const NUMBERS: [(&str, &str); 5] = [
    ("target", "target"),
    ("top5", "top five"),
    ("attacked_top5", "top five, attacked"),
    ("steps", "steps"),
    ("done", "end"),
];

/// What should be the same for the numbers to be: a JSON pointer in `result.json` and its name in warnings.
const CONDITIONS: [(&str, &str); 10] = [
    ("/version", "versions of gradscope"),
    ("/commit", "commits of gradscope"),
    ("/weights/sha256", "weights"),
    ("/script/sha256", "scripts of the method"),
    ("/script/libraries", "libraries of the script"),
    ("/picture/sha256", "picture files"),
    ("/input/sha256", "inputs of the network"),
    ("/device", "devices"),
    ("/threads", "numbers of threads"),
    ("/precision", "precisions"),
];

/// Repeats each result in a file and compares the numbers. The exit code is 0 if all are the same.
pub fn rerun(host_args: &HostArgs, args: &RerunArgs) -> Result<ExitCode> {
    let file = if args.result.is_dir() { args.result.join(RESULT) } else { args.result.clone() };
    let file = std::path::absolute(&file)?;
    let olds = match out_folder::read(&file)? {
        Value::Array(all) => all,
        one => vec![one],
    };
    ensure!(!olds.is_empty(), "\"{}\" contains no result", words::path(&file));
    if olds.len() > 1 && args.out.is_some() {
        return Err(usage(anyhow!("--out supports one result; \"{}\" contains {}", words::path(&file), olds.len())));
    }
    let repeated = olds.iter().map(|old| repeat(host_args, args, (&file, old))).collect::<Result<Vec<_>>>()?;
    let same = repeated.iter().all(|r| r.rows.iter().all(|row| row.same));
    if args.json {
        let documents: Vec<_> = repeated.iter().map(Repetition::document).collect();
        out::json(&if let [one] = &documents[..] { one.clone() } else { documents.into() })?;
    } else {
        for r in &repeated {
            out::say(&r.title)?;
            as_table(&["compared", "numbers", "greatest difference"], r.rows.iter().map(Comparison::cells).collect())?;
        }
        out::say(if same { "all numbers are the same" } else { "the numbers differ" })?;
    }
    Ok(ExitCode::from(u8::from(!same)))
}

/// A repeated result beside the old one.
struct Repetition {
    title: String,
    /// Conditions that differ from those of the old result.
    warnings: Vec<String>,
    rows: Vec<Comparison>,
}

impl Repetition {
    fn document(&self) -> Value {
        json!({
            "same": self.rows.iter().all(|row| row.same),
            "warnings": self.warnings,
            "compared": self.rows.iter().map(Comparison::document).collect::<Vec<_>>(),
        })
    }
}

fn repeat(host_args: &HostArgs, args: &RerunArgs, (file, old): (&Path, &Value)) -> Result<Repetition> {
    let (host, mut run) =
        command(old).with_context(|| format!("repeating \"{}\"", words::path(file))).map_err(usage)?;
    let temporary = TempDir::new().context("creating a temporary folder")?;
    let folder = args.out.as_deref().map(std::path::absolute).transpose()?;
    let folder = folder.unwrap_or_else(|| temporary.path().join("result"));
    run.out = Some(folder.clone());
    run.force = args.force;
    enter(old);
    still::begin(&run.method);
    run::run(&over(host, host_args), &run)?;
    let new = out_folder::read(&folder.join(RESULT))?;
    let warnings = warnings(old, &new);
    warnings.iter().for_each(|warning| out::tell(&format!("warning: {warning}")));
    let text = |value: &Value| named(value.as_str().unwrap_or("?"));
    let title = format!(
        "{} of {} on {}, first computed {}",
        text(&old["method"]),
        text(&old["model"]),
        text(&old["picture"]["name"]),
        text(&old["date"])
    );
    let folders = (file.parent().unwrap_or(Path::new(".")), &*folder);
    Ok(Repetition { title, warnings, rows: compare((old, &new), folders) })
}

/// Parses the command of a result, for the picture of this result only.
fn command(old: &Value) -> Result<(HostArgs, RunArgs)> {
    match old["schema"].as_u64() {
        Some(SCHEMA) => {}
        Some(other) => bail!("it has version {other} of the schema; this version of gradscope reads {SCHEMA}"),
        None => bail!(
            "it is not a result.json, or one of a version of gradscope that did not record commands; run the command again"
        ),
    }
    let words = old["command"].as_array().context(
        "it does not record a command: in the app, a parameter or the script was changed between steps, and no single command repeats that",
    )?;
    let words = words.iter().map(|word| word.as_str().context("its command contains a value that is not a string"));
    let args = Args::of(words.collect::<Result<Vec<_>>>()?).map_err(|why| anyhow!("its command is invalid: {why}"))?;
    args.memory.into_iter().for_each(limit_to);
    let Some(CliCommand::Run(mut run)) = args.command else { bail!("its command is not gradscope run") };
    if run.question.pictures.len() > 1 {
        let source = old["picture"]["source"].as_str().context("it does not record which picture it shows")?;
        run.question.pictures = vec![source.into()];
    }
    (run.sheet, run.film) = (None, None);
    (run.resume, run.json, run.quiet) = (false, false, true);
    Ok((args.host, run))
}

/// Changes to the folder in which the command was run, if it exists here.
fn enter(old: &Value) {
    let Some(folder) = old["folder"].as_str() else { return };
    if std::env::set_current_dir(folder).is_err() {
        let name = words::path(folder);
        out::tell(&format!("note: there is no folder \"{name}\", in which the command was run; using the current one"));
    }
}

/// The recorded device and precision, with those of this command line in their place where it sets any.
fn over(recorded: HostArgs, here: &HostArgs) -> HostArgs {
    let or = |text: &str, default: &str, recorded: String| if text == default { recorded } else { text.into() };
    HostArgs {
        plugins: recorded.plugins,
        models: recorded.models,
        device: or(&here.device, "cpu", recorded.device),
        precision: or(&here.precision, "f32", recorded.precision),
        exact: here.exact || recorded.exact,
    }
}

/// The conditions that differ between two results.
fn warnings(old: &Value, new: &Value) -> Vec<String> {
    let short = |value: &Value| match value {
        Value::String(text) if text.len() == 64 => format!("{}…", words::name(&text[..text.floor_char_boundary(12)])),
        Value::String(text) => words::name(text).into_owned(),
        Value::Null => "unknown".into(),
        other => words::line(&other.to_string()).into_owned(),
    };
    let differs = |(pointer, name): &(&str, &str)| {
        let [then, now] = [old, new].map(|result| result.pointer(pointer).unwrap_or(&Value::Null));
        let values = match then {
            Value::Object(_) => String::new(),
            _ => format!(": {} then, {} now", short(then), short(now)),
        };
        (then != now).then(|| format!("the {name} differ{values}"))
    };
    CONDITIONS.iter().filter_map(differs).collect()
}

/// A comparison of one figure, or of other numbers.
struct Comparison {
    name: String,
    same: bool,
    /// The greatest absolute difference of two numbers; `None` if they are the same, or not comparable.
    greatest: Option<f64>,
    /// Why the numbers are not comparable; empty if they are.
    why: String,
}

impl Comparison {
    fn new(name: &str, apart: Result<f64, String>) -> Self {
        let name = name.to_string();
        match apart {
            Ok(0.0) => Self { name, same: true, greatest: None, why: String::new() },
            Ok(greatest) => Self { name, same: false, greatest: Some(greatest), why: String::new() },
            Err(why) => Self { name, same: false, greatest: None, why },
        }
    }

    fn cells(&self) -> Vec<String> {
        let greatest = match (self.same, self.greatest) {
            (true, _) => "0".into(),
            (false, Some(greatest)) => format!("{greatest:.3e}"),
            (false, None) => words::line(&self.why).into_owned(),
        };
        vec![named(&self.name), if self.same { "identical" } else { "different" }.into(), greatest]
    }

    fn document(&self) -> Value {
        let why = (!self.why.is_empty()).then_some(&self.why);
        json!({ "name": self.name, "same": self.same, "greatest_difference": self.greatest, "why": why })
    }
}

/// Compares the figures and other numbers of two results, whose files are in two folders.
fn compare((old, new): (&Value, &Value), folders: (&Path, &Path)) -> Vec<Comparison> {
    let figures = |result: &Value| result["figures"].as_array().cloned().unwrap_or_default();
    let (olds, news) = (figures(old), figures(new));
    let mut rows: Vec<_> = olds.iter().zip(&news).map(|pair| figure(pair, folders)).collect();
    if olds.len() != news.len() {
        rows.push(Comparison::new("figures", Err(format!("{} then, {} now", olds.len(), news.len()))));
    }
    let empty = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    let present = NUMBERS.iter().filter(|(key, _)| !empty(&old[key]) || !empty(&new[key]));
    rows.extend(present.map(|(key, name)| Comparison::new(name, apart(&old[key], &new[key]))));
    rows
}

fn figure((old, new): (&Value, &Value), (before, after): (&Path, &Path)) -> Comparison {
    let title = old["title"].as_str().unwrap_or("?");
    if old["title"] != new["title"] || old["kind"] != new["kind"] {
        return Comparison::new(
            title,
            Err(format!("a {} \"{}\" now", new["kind"], named(new["title"].as_str().unwrap_or("?")))),
        );
    }
    if old["sha256"] != new["sha256"] {
        let arrays = arrays_apart(old, new, (before, after));
        return Comparison::new(title, arrays.map_err(|why| sentence(&why)));
    }
    let contents = ["table", "classes", "bars", "line", "text", "badge"].map(|key| apart(&old[key], &new[key]));
    Comparison::new(title, greatest(contents))
}

/// The greatest difference between the raw values of two figures whose hashes differ.
fn arrays_apart(old: &Value, new: &Value, (before, after): (&Path, &Path)) -> Result<f64> {
    let file = |figure: &Value, folder: &Path| -> Option<PathBuf> {
        let name = Path::new(figure["raw"].as_str()?);
        (name.components().count() == 1).then(|| folder.join(name)).filter(|path| path.is_file())
    };
    let old = file(old, before).context("the first result has no .npy file to compare with")?;
    let new = file(new, after).context("the new result has no raw values")?;
    let (old, new) = (read_npy(&old)?, read_npy(&new)?);
    ensure!(old.shape == new.shape, "shape {:?} then, {:?} now", old.shape, new.shape);
    let apart = |(a, b): (&f32, &f32)| number_apart(f64::from(*a), f64::from(*b));
    Ok(old.values.iter().zip(&new.values).map(apart).fold(f64::MIN_POSITIVE, f64::max))
}

/// The greatest difference between two numbers at the same place of two JSON values. Errors if the values differ in anything but
/// numbers.
fn apart(old: &Value, new: &Value) -> Result<f64, String> {
    let shown = |value: &Value| words::name(&value.to_string()).into_owned();
    let differ = || Err(format!("{} then, {} now", shown(old), shown(new)));
    match (old, new) {
        (Value::Number(a), Value::Number(b)) => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => Ok(number_apart(a, b)),
            _ => differ(),
        },
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => greatest(a.iter().zip(b).map(|(a, b)| apart(a, b))),
        (Value::Array(a), Value::Array(b)) => Err(format!("{} entries then, {} now", a.len(), b.len())),
        (Value::Object(a), Value::Object(b)) if a.len() == b.len() => {
            greatest(a.iter().map(|(key, a)| b.get(key).map_or_else(differ, |b| apart(a, b))))
        }
        _ if old == new => Ok(0.0),
        _ => differ(),
    }
}

/// The greatest of several differences.
fn greatest(all: impl IntoIterator<Item = Result<f64, String>>) -> Result<f64, String> {
    all.into_iter().try_fold(0f64, |most, next| Ok(most.max(next?)))
}

fn number_apart(a: f64, b: f64) -> f64 {
    let same = a.to_bits() == b.to_bits() || a == b || (a.is_nan() && b.is_nan());
    let apart = (a - b).abs();
    if same {
        0.0
    } else if apart.is_nan() {
        f64::INFINITY
    } else {
        apart
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_of_two_values_is_that_of_their_numbers() {
        let old = json!({ "rows": [["a", 1.0, null], ["b", 2, true]] });
        assert_eq!(apart(&old, &old), Ok(0.0));
        let new = json!({ "rows": [["a", 1.25, null], ["b", 2.0, true]] });
        assert_eq!(apart(&old, &new), Ok(0.25));
        for new in
            [json!({ "rows": [] }), json!({ "rows": [["a", 1.0, null], ["c", 2, true]] }), json!({}), json!(null)]
        {
            assert!(apart(&old, &new).is_err(), "{new}");
        }
        assert_eq!(number_apart(f64::NAN, f64::NAN), 0.0);
        assert_eq!(number_apart(f64::NAN, 1.0), f64::INFINITY);
    }

    #[test]
    fn conditions_that_differ_are_named_with_both_values() {
        let old = json!({ "version": "0.1.0", "device": "cpu", "threads": 4, "weights": { "sha256": "a".repeat(64) } });
        let new =
            json!({ "version": "0.1.0", "device": "cuda:0", "threads": 4, "weights": { "sha256": "b".repeat(64) } });
        let expected =
            ["the weights differ: aaaaaaaaaaaa… then, bbbbbbbbbbbb… now", "the devices differ: cpu then, cuda:0 now"];
        assert_eq!(warnings(&old, &new), expected);
    }
}
