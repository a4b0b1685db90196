//! The folder for `--out`: results of different commands are not mixed in it.

use super::args::RunArgs;
use super::usage::usage;
use crate::data::{disk, read_text};
use crate::panics::decoding;
use crate::script::session::checkpoint::STATE;
use crate::words;
use anyhow::{Context, Result, anyhow};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Name of the file that describes a result.
pub const RESULT: &str = "result.json";
/// Maximum size of a result in bytes.
pub const RESULT_BYTES: u64 = 1 << 30;
/// Arguments that do not change what a command computes or writes.
const HARMLESS: [&str; 2] = ["--force", "--resume"];

/// Checks that a run may write to a folder.
///
/// Errors if the folder has the result of another command, or an interrupted run, unless the arguments say what to do with them.
pub fn check(folder: &Path, args: &RunArgs) -> Result<()> {
    if args.force || args.resume {
        return Ok(());
    }
    let name = words::path(folder);
    let new_name = "or give --out a new name";
    let interrupted = |folder: &PathBuf| folder.join(STATE).exists() && !folder.join(RESULT).exists();
    if results(folder).iter().any(interrupted) {
        let why = anyhow!("\"{name}\" has an interrupted run; --resume continues it, --force starts over, {new_name}");
        return Err(usage(why));
    }
    for other in results(folder).into_iter().filter(|folder| folder.join(RESULT).exists()) {
        let found = read(&other.join(RESULT)).unwrap_or_default();
        if !is_of(&found, &args.command.words) {
            let what = description(&found, &other);
            return Err(usage(anyhow!("\"{name}\" has {what}; --force replaces it, {new_name}")));
        }
    }
    Ok(())
}

/// Removes the files of the result in a folder, if there is one; other files are kept.
pub fn clear(folder: &Path) -> Result<()> {
    let file = folder.join(RESULT);
    if !file.exists() {
        return Ok(());
    }
    let found = read(&file).unwrap_or_default();
    disk::remove(&file)?;
    files(&found).try_for_each(|name| disk::remove(&folder.join(name)))
}

/// Removes what other commands left in a folder and its subfolders: results and interrupted runs.
pub fn remove_others(folder: &Path, args: &RunArgs) -> Result<()> {
    for folder in results(folder) {
        if !is_of(&read(&folder.join(RESULT)).unwrap_or_default(), &args.command.words) {
            clear(&folder)?;
        }
        disk::remove(&folder.join(STATE))?;
    }
    Ok(())
}

/// Reads a result.
pub fn read(file: &Path) -> Result<Value> {
    let text = read_text(file, RESULT_BYTES)?;
    let found = decoding("JSON", || serde_json::from_str(&text));
    found.with_context(|| format!("reading \"{}\": not JSON", words::path(file)))
}

/// The folders with a result or a checkpoint: the folder itself, and subfolders such as `02-cat` of a run on several pictures.
fn results(folder: &Path) -> Vec<PathBuf> {
    let numbered = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.split_once('-').is_some_and(|(number, _)| number.len() >= 2 && number.bytes().all(|b| b.is_ascii_digit()))
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut all: Vec<_> = entries.filter(|path| numbered(path)).collect();
    all.sort();
    all.insert(0, folder.into());
    all.retain(|folder| folder.join(RESULT).exists() || folder.join(STATE).exists());
    all
}

/// Whether a result was computed by a command.
fn is_of(found: &Value, words: &[String]) -> bool {
    let of = |words: Vec<&str>| words.into_iter().filter(|word| !HARMLESS.contains(word)).map(String::from).collect();
    let theirs = found["command"].as_array().map(|all| all.iter().filter_map(Value::as_str).collect());
    let ours: Vec<String> = of(words.iter().map(String::as_str).collect());
    theirs.is_some_and(|theirs: Vec<&str>| ours == of(theirs) as Vec<String>)
}

/// Describes a result: method, picture, date and number of files.
fn description(found: &Value, folder: &Path) -> String {
    let count = files(found).filter(|name| folder.join(name).exists()).count() + 1;
    let count = format!("{count} file{}", if count == 1 { "" } else { "s" });
    let date = found["date"].as_str().and_then(|date| date.get(..10)).map(|date| format!(", {}", words::name(date)));
    match (found["method"].as_str(), found["picture"]["name"].as_str().or(found["picture"].as_str())) {
        (Some(method), Some(picture)) => {
            let [method, picture] = [method, picture].map(words::name);
            format!("the result of \"{method}\" on \"{picture}\" ({count}{})", date.unwrap_or_default())
        }
        _ => format!("another result ({count})"),
    }
}

/// The names of the files of a result's figures and logits, without those that lead outside its folder.
fn files(found: &Value) -> impl Iterator<Item = &str> {
    let figures = found["figures"].as_array().into_iter().flatten();
    let named = figures.flat_map(|figure| {
        let other = figure["other"].as_array().into_iter().flatten();
        [&figure["file"], &figure["raw"]].into_iter().chain(other).filter_map(Value::as_str)
    });
    let plain = |name: &&str| Path::new(name).components().count() == 1 && !name.contains(['/', '\\']) && *name != "..";
    named.chain(["logits.npy"]).filter(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_files_inside_the_folder_belong_to_a_result() {
        let figures = json!([
            { "file": "01-cam.png", "raw": "cam.npy", "other": ["cam.csv"] },
            { "file": "../secret", "raw": "/etc/passwd", "other": ["..", "a/b"] },
            { "file": null },
        ]);
        let found = json!({ "figures": figures });
        assert_eq!(files(&found).collect::<Vec<_>>(), ["01-cam.png", "cam.npy", "cam.csv", "logits.npy"]);
    }

    #[test]
    fn a_command_is_the_same_with_force_or_resume() {
        let words = |text: &str| text.split(' ').map(String::from).collect::<Vec<_>>();
        let found = json!({ "command": words("gradscope run pgd --out o --resume") });
        assert!(
            is_of(&found, &words("gradscope run pgd --out o"))
                && is_of(&found, &words("gradscope run pgd --force --out o"))
        );
        assert!(!is_of(&found, &words("gradscope run fgsm --out o")) && !is_of(&json!({}), &words("gradscope")));
    }
}
