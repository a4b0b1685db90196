//! `gradscope completions SHELL`: a script with which a shell completes commands, options, methods and models.

use super::args::{Args, CompletionsArgs, ScriptArgs};
use super::usage::is_plain;
use super::{open, out};
use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::{Command, CommandFactory};
use std::process::ExitCode;

/// Prints the script. In bash, zsh and fish it completes the names of the methods and models that exist now, too.
pub fn completions(scripts: &ScriptArgs, args: &CompletionsArgs) -> Result<ExitCode> {
    let host = open::host(scripts)?;
    let methods = plain(host.methods().into_iter().map(|row| row.name));
    let models = plain(open::architectures(&host).list().0.into_iter().map(|row| row.name));
    let mut command = with_names(Args::command(), &methods, &models);
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "gradscope", &mut script);
    out::data(String::from_utf8(script)?.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

/// The names that no shell takes for anything else. The process ends soon after, so they are leaked.
fn plain(names: impl Iterator<Item = String>) -> Vec<&'static str> {
    names.filter(|name| is_plain(name)).map(|name| &*name.leak()).collect()
}

/// The command with methods and models as the values that their arguments take.
fn with_names(command: Command, methods: &[&'static str], models: &[&'static str]) -> Command {
    let command = command.mut_args(|arg| {
        let names = match arg.get_id().as_str() {
            "method" | "methods" => methods,
            "model" => models,
            _ => return arg,
        };
        arg.value_parser(PossibleValuesParser::new(names.to_vec()))
    });
    command.mut_subcommands(|command| with_names(command, methods, models))
}
