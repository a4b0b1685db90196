//! The reference of what scripts can call: complete, grouped by noun, with examples that run.

use crate::common::{host, method, session};
use gradscope::render::Figure;
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::{Folders, ScriptSource};
use gradscope::script::host::Host;
use gradscope::script::host::reference::{Section, reference};
use gradscope::script::method::context::{NoObserver, Observer};
use gradscope::script::program::{self, Console};
use std::sync::{Arc, Mutex};

/// Captures the output of a program.
#[derive(Default)]
struct Printed(Mutex<Vec<String>>);

impl Console for Printed {
    fn print(&self, line: &str) -> anyhow::Result<()> {
        self.0.lock().unwrap().push(line.into());
        Ok(())
    }

    fn draw(&self, _: &Figure) -> anyhow::Result<()> {
        Ok(())
    }

    fn say(&self, _: &str) {}

    fn observer(&self) -> Arc<dyn Observer> {
        Arc::new(NoObserver)
    }
}

fn runs(host: &Arc<Host>, section: &Section) -> anyhow::Result<()> {
    let text = &section.example;
    if text.contains("fn build(") {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("example.rhai"), text)?;
        let (_, graph) = Architectures::new(Folders::models(Some(folder.path())), host.guard()).build("example")?;
        anyhow::ensure!(graph.nodes.len() > 2, "it builds nothing");
    } else if text.contains("fn run(cx)") {
        let mut session = session(host);
        session.open(method(host, text));
        let figures = session.run(host)?.figures;
        anyhow::ensure!(!figures.is_empty(), "it shows nothing");
        let finite = |f: &Figure| f.values().is_none_or(|v| v.data.iter().all(|v| v.is_finite()));
        anyhow::ensure!(figures.iter().all(finite), "it shows what is not finite");
    } else {
        let console = Arc::new(Printed::default());
        let source = ScriptSource::of_text(&section.noun, text.clone());
        program::run(host.clone(), &source, &[], console.clone())?;
        anyhow::ensure!(!console.0.lock().unwrap().is_empty(), "it prints nothing");
    }
    Ok(())
}

#[test]
fn every_example_runs_as_it_is() {
    let host = Arc::new(host());
    let wrong: Vec<_> = reference(&host)
        .sections
        .iter()
        .filter_map(|section| runs(&host, section).err().map(|e| format!("{}: {e:#}", section.noun)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_noun_is_documented_and_every_function_belongs_to_one() {
    let all = reference(&host());
    for section in &all.sections {
        assert!(!section.rows.is_empty(), "plugins/README.md has no row for \"{}\"", section.noun);
        assert!(!section.signatures.is_empty() || section.noun == "program", "\"{}\" has no functions", section.noun);
    }
    let noun = |start: &str| -> Vec<_> {
        let has = |s: &&Section| s.signatures.iter().any(|signature| signature.starts_with(start));
        all.sections.iter().filter(has).map(|s| s.noun.as_str()).collect()
    };
    assert_eq!(noun("stabilize("), ["elementwise"]);
    assert_eq!(noun("relevance("), ["backward"]);
    assert_eq!(noun("Site.successors"), ["site"]);
    assert_eq!(noun("answer("), ["answer"]);
    assert_eq!(noun("push("), ["language"]);
}

#[test]
fn a_noun_selects_its_group_and_any_other_word_searches_all() {
    let all = || reference(&host());
    let one = all().with("site");
    assert_eq!(one.sections.len(), 1);
    assert!(one.sections[0].example.contains("site.vjp"));
    let found = all().with("GAUSSIAN");
    assert!(found.sections.iter().any(|s| s.noun == "map"));
    assert!(found.sections.iter().flat_map(|s| &s.signatures).all(|s| s.to_lowercase().contains("gaussian")));
    assert!(all().with("zzz").sections.is_empty());
}
