//! `gradscope new`: creates a method from a working template.

use super::args::{HostArgs, NewArgs, Template};
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

/// Writes a new method to `NAME.rhai` in `--plugins` or `./plugins`, in the subfolder of the method's group if it has one. Errors
/// if a method with that name already exists there.
pub fn new(host_args: &HostArgs, args: &NewArgs) -> Result<ExitCode> {
    let name = args.name.strip_suffix(".rhai").unwrap_or(&args.name);
    if !is_plain(name) {
        return Err(usage(anyhow!(
            "\"{}\" is not a method name: use only letters, digits, - and _",
            words::name(name)
        )));
    }
    let root = host_args.plugins.clone().unwrap_or_else(|| PathBuf::from("plugins"));
    if let Some(path) = group_folders::file(&root, name)? {
        return Err(usage(anyhow!("\"{}\" already exists; choose another name", words::path(&path))));
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
    tell(name, &path, host_args.plugins.as_deref())?;
    Ok(ExitCode::SUCCESS)
}

fn tell(name: &str, path: &Path, folder: Option<&Path>) -> Result<()> {
    let option = folder.map_or(String::new(), |f| format!(" --plugins {}", words::path(f)));
    say(&format!(
        "Created {}. To see its figures while you edit it, open two panes:\n\n  gradscope{option} --method {name}\n  $EDITOR {}\n\n\
         gradscope run {name}{option} runs it here, gradscope check tests it, gradscope api lists the functions it can call.",
        words::path(path),
        words::path(path)
    ))
}
