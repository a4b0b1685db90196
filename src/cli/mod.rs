//! The command line. Data goes to stdout, messages to stderr. The exit code is 0 for success, 1 for a failure, 2 for a usage
//! error, and 128 plus the signal's number after a signal.

mod args;
mod api;
mod app;
mod bisect;
mod card;
mod check;
mod check_precision;
mod completions;
pub mod config;
mod config_file;
mod console;
mod deadline;
mod download;
mod draw;
mod eval;
mod exec;
mod junit;
mod man;
mod method_page;
mod new;
mod open;
mod out;
mod out_folder;
mod progress;
mod rerun;
mod run;
mod run_options;
mod selftest;
mod still;
mod stop;
mod tables;
mod test;
mod train;
mod usage;

pub use run_options::device;

use crate::memory::limit_to;
use crate::script::sandbox::stack;
use anyhow::Result;
use args::{Args, CliCommand};
use std::process::ExitCode;

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    let args = match Args::of_process() {
        Ok(args) => args,
        Err(error) => return usage::refused(error),
    };
    stop::survive_limits();
    let done = stack::deep(|| dispatch(args));
    out::tell_notes();
    match done {
        Ok(code) => code,
        Err(error) if error.is::<out::Closed>() => ExitCode::SUCCESS,
        Err(error) => {
            out::tell(&format!("error: {}", usage::sentence(&error)));
            ExitCode::from(stop::code().unwrap_or(if error.is::<usage::Usage>() { 2 } else { 1 }))
        }
    }
}

fn dispatch(args: Args) -> Result<ExitCode> {
    args.memory.into_iter().for_each(limit_to);
    let host = args.host;
    match args.command {
        None => app::app(&host, &args.question, &args.app),
        Some(CliCommand::Run(run)) => {
            still::begin(&run.method);
            run::run(&host, &run)
        }
        Some(CliCommand::Rerun(rerun)) => rerun::rerun(&host, &rerun),
        Some(CliCommand::Exec(exec)) => {
            still::begin(&exec.script.to_string_lossy());
            exec::exec(&host, &exec)
        }
        Some(CliCommand::Methods(table)) => method_page::methods(&host, &table),
        Some(CliCommand::Models(table)) => tables::models(&host, &table),
        Some(CliCommand::Layers(of)) => tables::layers(&host, &of),
        Some(CliCommand::Classes(of)) => tables::classes(&host, &of),
        Some(CliCommand::Card(args)) => card::card(&host, &args),
        Some(CliCommand::Eval(eval)) => {
            still::begin("eval");
            eval::eval(&host, &eval)
        }
        Some(CliCommand::Train(train)) => {
            still::begin("train");
            train::train(&host, &train)
        }
        Some(CliCommand::Test(args)) => {
            still::begin("test");
            test::test(&host, &args)
        }
        Some(CliCommand::Bisect(args)) => {
            still::begin("bisect");
            bisect::bisect(&host, &args)
        }
        Some(CliCommand::New(new)) => new::new(&host, &new),
        Some(CliCommand::Api(api)) => api::api(&host, &api),
        Some(CliCommand::Config(config)) => config_file::config(&config),
        Some(CliCommand::Check(check)) => check::check(&host, &check),
        Some(CliCommand::Selftest(args)) => {
            still::begin("selftest");
            selftest::selftest(&host, &args)
        }
        Some(CliCommand::Completions(shell)) => completions::completions(&host, &shell),
        Some(CliCommand::Man(man)) => man::man(&man),
    }
}
