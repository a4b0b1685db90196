//! `gradscope new`: creates a method or a file of tests from a working template.

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
const TEST: &str = include_str!("test.rhai");

/// Writes a new method to `NAME.rhai` in `--plugins` or `./plugins`, in the subfolder of the method's group if it has one. Errors
/// if a method with that name already exists there.
pub fn new(host_args: &HostArgs, args: &NewArgs) -> Result<ExitCode> {
    let (kind, name) = match &args.names[..] {
        [name] => (None, name),
        [kind, name] => (Some(kind), name),
        _ => return Err(usage(anyhow!("new needs the name of a method, or \"test\" and the name of a file of tests"))),
    };
    let name = name.strip_suffix(".rhai").unwrap_or(name);
    if !is_plain(name) {
        return Err(usage(anyhow!(
            "\"{}\" is not a method name: use only letters, digits, - and _",
            words::name(name)
        )));
    }
    match kind.map(String::as_str) {
        None => {}
        Some("test") => return new_test(name),
        Some(other) => {
            let kind = words::name(other);
            return Err(usage(anyhow!("\"{kind}\" is no kind of file; write new NAME for a method, or new test NAME")));
        }
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

/// Writes a file of tests to `NAME.rhai` in the current folder. Errors if the file exists.
fn new_test(name: &str) -> Result<ExitCode> {
    let path = PathBuf::from(format!("{name}.rhai"));
    if path.exists() {
        return Err(usage(anyhow!("\"{}\" already exists; choose another name", words::path(&path))));
    }
    write_whole(&path, TEST.replace("NAME", name).as_bytes())?;
    say(&format!(
        "Created {0}. Run it, first with --update to write the golden map:\n\n  gradscope test {0} --update\n  gradscope test {0}\n\n\
         gradscope test --expectations lists what can be expected.",
        words::path(&path)
    ))?;
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
