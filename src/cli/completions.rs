//! `gradscope completions SHELL`: prints a shell script that completes commands, options, methods and models.

use super::args::{Args, CompletionsArgs, HostArgs};
use super::usage::is_plain;
use super::{open, out};
use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::{Command, CommandFactory};
use std::process::ExitCode;

/// Prints the completion script for a shell. In bash, zsh and fish, the script also completes the names of the methods and models
/// that are currently available.
pub fn completions(host_args: &HostArgs, args: &CompletionsArgs) -> Result<ExitCode> {
    let host = open::host(host_args)?;
    let methods = plain(host.methods().into_iter().map(|row| row.name));
    let models = plain(open::architectures(&host).list().0.into_iter().map(|row| row.name));
    let mut command = with_names(Args::command(), &methods, &models);
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "gradscope", &mut script);
    out::data(String::from_utf8(script)?.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

/// Keeps the names without shell metacharacters. The names are leaked, since the process exits soon.
fn plain(names: impl Iterator<Item = String>) -> Vec<&'static str> {
    names.filter(|name| is_plain(name)).map(|name| &*name.leak()).collect()
}

/// Adds the names of methods and models as possible values of the arguments that take them.
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
