//! `gradscope new`: a method to begin from, which runs as it is.

use super::args::{NewArgs, ScriptArgs, Template};
use super::out::say;
use super::usage::{is_plain, usage};
use crate::data::{create_folder, write_whole};
use crate::script::group_folders;
use crate::words;
use anyhow::{Result, anyhow};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const MAP: &str = include_str!("map.rhai");
const RULE: &str = include_str!("rule.rhai");
const ATTACK: &str = include_str!("attack.rhai");

/// Writes `NAME.rhai` into `--plugins`, or `./plugins`, and there into the folder of its group if there is one; never where a file
/// of that name is.
pub fn new(scripts: &ScriptArgs, args: &NewArgs) -> Result<ExitCode> {
    let name = args.name.strip_suffix(".rhai").unwrap_or(&args.name);
    if !is_plain(name) {
        return Err(usage(anyhow!("\"{}\" is no name of a method: letters, digits, - and _ only", words::name(name))));
    }
    let root = scripts.plugins.clone().unwrap_or_else(|| PathBuf::from("plugins"));
    if let Some(path) = group_folders::file(&root, name)? {
        return Err(usage(anyhow!("\"{}\" is there already; another name works", words::path(&path))));
    }
    let (template, group) = match args.from {
        Template::Map => (MAP, "attribution"),
        Template::Rule => (RULE, "attribution"),
        Template::Attack => (ATTACK, "attack"),
    };
    let folder = Some(root.join(group)).filter(|folder| folder.is_dir()).unwrap_or(root);
    create_folder(&folder)?;
    let path = folder.join(format!("{name}.rhai"));
    write_whole(&path, template.replace("NAME", name).as_bytes())?;
    tell(name, &path, scripts.plugins.as_deref())?;
    Ok(ExitCode::SUCCESS)
}

fn tell(name: &str, path: &Path, folder: Option<&Path>) -> Result<()> {
    let option = folder.map_or(String::new(), |f| format!(" --plugins {}", words::path(f)));
    say(&format!(
        "{} is there. Watch it while you write it, in two panes:\n\n  gradscope{option} --method {name}\n  $EDITOR {}\n\n\
         gradscope run {name}{option} runs it here, gradscope check tries it, gradscope api lists what it can call.",
        words::path(path),
        words::path(path)
    ))
}
