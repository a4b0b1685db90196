//! `gradscope api`: the functions that scripts can call, with their signatures.

use super::args::{ApiArgs, HostArgs};
use super::open;
use super::out::say;
use crate::script::host::reference::{Section, reference};
use crate::words;
use anyhow::{Result, bail};
use std::process::ExitCode;

/// Prints the reference for script functions: all sections, the section of one noun, or the entries that contain the search
/// words. With `--definitions`, writes definition files for editors instead.
pub fn api(host_args: &HostArgs, args: &ApiArgs) -> Result<ExitCode> {
    let host = open::host(host_args)?;
    if let Some(folder) = &args.definitions {
        let count = host.write_definitions(folder)?;
        say(&format!("wrote {count} files to {}", words::path(folder)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let (all, search) = (reference(&host), args.search.join(" "));
    let nouns = all.nouns().collect::<Vec<_>>().join(", ");
    let found = all.with(&search);
    if found.sections.is_empty() {
        bail!("nothing in the script API matches \"{}\"; the nouns are {nouns}", words::name(&search));
    }
    say(&found.sections.iter().map(text).collect::<Vec<_>>().join("\n\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Formats a section of the reference: the noun, its rows, its signatures and its example.
fn text(section: &Section) -> String {
    let rows = section.rows.iter().map(|(of, what)| format!("  {of}\n      {what}"));
    let signatures = lines("functions", section.signatures.iter().map(String::as_str));
    let example = lines("example", section.example.lines());
    std::iter::once(section.noun.clone()).chain(rows).chain(signatures).chain(example).collect::<Vec<_>>().join("\n")
}

/// Formats lines below a title; `None` if there are no lines.
fn lines<'a>(title: &str, lines: impl Iterator<Item = &'a str>) -> Option<String> {
    let text = lines.map(|line| format!("\n      {line}")).collect::<String>();
    (!text.is_empty()).then(|| format!("  {title}{text}"))
}
