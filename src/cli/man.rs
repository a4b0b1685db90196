//! `gradscope man DIR`: writes a man page for each command.

use super::args::{Args, ManArgs};
use super::out;
use crate::data::{create_folder, write_whole};
use crate::words;
use anyhow::Result;
use clap::CommandFactory;
use std::process::ExitCode;

/// Writes the man pages `gradscope.1`, `gradscope-run.1` and so on to a folder.
pub fn man(args: &ManArgs) -> Result<ExitCode> {
    let mut program = Args::command().disable_help_subcommand(true);
    program.build();
    create_folder(&args.folder)?;
    let pages = || std::iter::once(&program).chain(program.get_subcommands());
    for command in pages() {
        let page = clap_mangen::Man::new(command.clone());
        let mut text = Vec::new();
        page.render(&mut text)?;
        write_whole(&args.folder.join(page.get_filename()), &text)?;
    }
    out::say(&format!("wrote {} pages to {}", pages().count(), words::path(&args.folder)))?;
    Ok(ExitCode::SUCCESS)
}
