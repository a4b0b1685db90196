//! `gradscope bisect`: finds the checkpoint of a training at which tests begin to fail.

use super::args::{BisectArgs, HostArgs};
use super::console::Terminal;
use super::stop::{GRACE, StopFlag};
use super::usage::usage;
use super::{deadline, open, out};
use crate::data::{read_text, sha256, sha256_of_file, write_whole};
use crate::panics::decoding;
use crate::script::architecture::checkpoints;
use crate::script::folders::ScriptSource;
use crate::script::host::Host;
use crate::script::program::test::{Outcome, TestPlan, tests};
use crate::words;
use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Maximum sizes of a log and of a checkpoint in bytes.
const LOG_BYTES: u64 = 16 << 20;
const CHECKPOINT_BYTES: u64 = 1 << 40;

/// What the tests said about a checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Judgement {
    /// The names of the failed tests with the first reason of each; empty if all passed.
    failed: Vec<String>,
}

/// Outcomes by hash of the checkpoint and the tests, so that an interrupted search continues where it was.
type Log = BTreeMap<String, Judgement>;

/// Finds two neighboring checkpoints of which the first passes all tests and the second fails. The exit code is 1 if there are none.
pub fn bisect(host_args: &HostArgs, args: &BisectArgs) -> Result<ExitCode> {
    let host = Arc::new(open::host(host_args)?);
    let stop = StopFlag::new(host.guard(), GRACE)?;
    deadline::begin(args.time_limit, host.guard())?;
    let source = ScriptSource::read(&args.test).map_err(usage)?;
    let files = checkpoints::at_least(&args.runs, 2).map_err(usage)?;
    let mut search = Search { host, args, source, files, log: read_log(args.log.as_deref())?, told: vec![] };
    let found = search.first_failure();
    match found {
        Err(_) if stop.wanted() => {
            let kept = if args.log.is_some() { "; run the same command again to continue" } else { "" };
            bail!("cancelled after {} checkpoints{kept}", search.told.len())
        }
        Err(error) => Err(search.host.guard().ended().map_or(error, |why| anyhow!(why))),
        Ok(found) => search.tell(found),
    }
}

struct Search<'a> {
    host: Arc<Host>,
    args: &'a BisectArgs,
    source: ScriptSource,
    files: Vec<PathBuf>,
    log: Log,
    /// The judged checkpoints, in this order.
    told: Vec<(usize, Judgement)>,
}

/// What a search found.
enum Found {
    /// The index of the first checkpoint that fails.
    At(usize),
    /// The tests fail on the first checkpoint already.
    FailsFromTheStart,
    /// The tests still pass on the last checkpoint.
    NeverFails,
}

impl Search<'_> {
    fn first_failure(&mut self) -> Result<Found> {
        let (mut passes, mut fails) = (0, self.files.len() - 1);
        if !self.passes(passes)? {
            return Ok(Found::FailsFromTheStart);
        }
        if self.passes(fails)? {
            return Ok(Found::NeverFails);
        }
        while fails - passes > 1 {
            let middle = passes.midpoint(fails);
            if self.passes(middle)? { passes = middle } else { fails = middle }
        }
        Ok(Found::At(fails))
    }

    /// Whether all tests pass on the checkpoint at `index`.
    fn passes(&mut self, index: usize) -> Result<bool> {
        let file = self.files[index].clone();
        let key = self.key(&file)?;
        let judgement = match self.log.get(&key) {
            Some(known) => known.clone(),
            None => self.judge(&file).with_context(|| format!("testing \"{}\"", words::path(&file)))?,
        };
        self.log.insert(key, judgement.clone());
        if let Some(log) = &self.args.log {
            write_whole(log, words::json(&serde_json::to_value(&self.log)?).as_bytes())?;
        }
        if !self.args.json {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let verdict = match judgement.failed.first() {
                None => "passes".to_owned(),
                Some(first) => format!("fails: {first}"),
            };
            out::say(&format!("{}  {}", words::name(&name), words::line(&verdict)))?;
        }
        let passes = judgement.failed.is_empty();
        self.told.push((index, judgement));
        Ok(passes)
    }

    /// The hash that identifies a checkpoint together with the tests.
    fn key(&self, file: &Path) -> Result<String> {
        if self.args.log.is_none() {
            return Ok(file.to_string_lossy().into_owned());
        }
        let model = self.args.network.model.as_deref().unwrap_or_default();
        let weights = sha256_of_file(file, CHECKPOINT_BYTES)?;
        Ok(sha256(format!("{weights}\n{model}\n{}", self.source.text).as_bytes()))
    }

    fn judge(&self, file: &Path) -> Result<Judgement> {
        let network = &self.args.network;
        let model = open::quietly(&self.host, (network.model.as_deref(), Some(file)), &network.card.values()?)?;
        let plan = TestPlan { model: Some(model), ..TestPlan::default() };
        let terminal = Arc::new(Terminal::new(&file.file_name().unwrap_or_default().to_string_lossy()).quiet(true));
        let outcomes = tests(self.host.clone(), &self.source, &plan, terminal.clone(), |_| Ok(()));
        terminal.bar.end();
        let reason = |outcome: &Outcome| {
            let reasons = outcome.reasons();
            format!("{}: {}", outcome.name, reasons.first().map_or("", String::as_str))
        };
        Ok(Judgement { failed: outcomes?.iter().filter(|outcome| !outcome.passed()).map(reason).collect() })
    }

    fn tell(&self, found: Found) -> Result<ExitCode> {
        let name = |index: usize| words::path(&self.files[index]);
        let last = self.files.len() - 1;
        let text = match found {
            Found::At(at) => format!(
                "{} is the first that fails; {} passes (assuming that the tests begin to fail once: {} of {} checkpoints were tested)",
                name(at),
                name(at - 1),
                self.told.len(),
                self.files.len()
            ),
            Found::FailsFromTheStart => format!("the tests fail on the first checkpoint already: {}", name(0)),
            Found::NeverFails => format!("the tests still pass on the last checkpoint: {}", name(last)),
        };
        let code = match found {
            Found::At(_) => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        };
        if !self.args.json {
            out::say(&text)?;
            return Ok(code);
        }
        let at = match found {
            Found::At(at) => Some(at),
            _ => None,
        };
        let judged = self.told.iter().map(|(index, judgement)| {
            json!({ "checkpoint": name(*index), "passed": judgement.failed.is_empty(), "failed": judgement.failed })
        });
        out::json(&json!({
            "first_failing": at.map(name),
            "last_passing": at.map(|at| name(at - 1)),
            "checkpoints": self.files.len(),
            "judged": judged.collect::<Vec<_>>(),
        }))?;
        Ok(code)
    }
}

fn read_log(file: Option<&Path>) -> Result<Log> {
    let Some(file) = file.filter(|file| file.exists()) else { return Ok(Log::new()) };
    let reading = || format!("reading the log \"{}\"; remove it to start over", words::path(&file));
    let text = read_text(file, LOG_BYTES)?;
    decoding("JSON", || serde_json::from_str(&text)).with_context(reading)
}
