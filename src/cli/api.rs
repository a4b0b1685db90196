//! `gradscope api`: the functions that scripts can call, with their signatures.

use super::args::{ApiArgs, ScriptArgs};
use super::open;
use super::out::say;
use crate::script::host::reference::{Reference, reference};
use crate::words;
use anyhow::{Result, bail};
use std::process::ExitCode;

/// Prints all of it, or what has a word in it; `--definitions` writes files for editors instead.
pub fn api(scripts: &ScriptArgs, args: &ApiArgs) -> Result<ExitCode> {
    let host = open::host(scripts)?;
    if let Some(folder) = &args.definitions {
        let count = host.write_definitions(folder)?;
        say(&format!("wrote {count} files to {}", words::path(folder)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let found = reference(&host).with(&args.search.join(" "));
    if found.rows.is_empty() && found.signatures.is_empty() {
        let search = args.search.join(" ");
        bail!("nothing that scripts can call has \"{}\" in it; without a word all is listed", words::name(&search));
    }
    say(&text(&found))?;
    Ok(ExitCode::SUCCESS)
}

fn text(found: &Reference) -> String {
    let rows = found.rows.iter().map(|(of, what)| format!("{of}\n    {what}\n"));
    let signatures = found.signatures.iter().map(|s| format!("  {s}"));
    let title = (!found.signatures.is_empty()).then(|| "signatures".to_string());
    rows.chain(title).chain(signatures).collect::<Vec<_>>().join("\n")
}
