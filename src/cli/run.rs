//! `gradscope run`: runs a method on one or more pictures.

use super::args::{HostArgs, RunArgs};
use super::check_precision::InF32;
use super::draw::FigurePrinter;
use super::out_folder;
use super::progress::ProgressLine;
use super::stop::{GRACE, StopFlag};
use super::{deadline, open, out, still, usage};
use crate::data::Picture;
use crate::model::Model;
use crate::render::{ContactSheet, Figure};
use crate::script::export::{self, film, result, sheet};
use crate::script::host::Host;
use crate::script::method::context::Observer;
use crate::script::session::Session;
use crate::script::session::checkpoint::Checkpoint;
use crate::script::summary::Frame;
use crate::words;
use anyhow::{Result, anyhow, bail};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

/// Default limit on the number of steps of an attack; other methods run until they are done.
pub const STEPS: usize = 100;

/// Runs a method and draws, writes or prints its figures.
pub fn run(host_args: &HostArgs, args: &RunArgs) -> Result<ExitCode> {
    let host = open::host(host_args)?;
    let stop = StopFlag::new(host.guard(), GRACE)?;
    deadline::begin(args.time_limit, host.guard())?;
    // Report usage errors before any slow work begins.
    host.method(&args.method)
        .map_err(|e| if e.is::<crate::script::summary::Report>() { e } else { usage::usage(e) })?;
    args.out.as_ref().map_or(Ok(()), |out| out_folder::check(out, args))?;
    let model = open::model(&host, &args.question.network)?;
    let names: Vec<_> = match args.question.pictures.len() {
        0 => vec![None],
        _ => args.question.pictures.iter().map(|p| Some(p.as_str())).collect(),
    };
    if names.len() > 1 && (args.sheet.is_some() || args.film.is_some()) {
        return Err(usage::usage(anyhow!("--sheet and --film support only one picture; --out supports several")));
    }
    let in_f32 = if args.check_precision { InF32::open(host_args, &args.question.network)? } else { None };
    let opened = |name: &Option<&str>| Ok((name.map(String::from), open::picture(*name, &model)?));
    let pictures = names.iter().map(opened).collect::<Result<Vec<_>>>()?;
    let into_files = args.out.is_some() || args.json || args.sheet.is_some() || args.film.is_some();
    let screen = if into_files { None } else { Some(FigurePrinter::new(args.graphics)?) };
    let (mut documents, begun) = (vec![], Instant::now());
    let mut ended = Ok(());
    for (i, (asked, (name, picture))) in pictures.iter().enumerate() {
        let picture = Asked { name, asked: asked.as_deref().unwrap_or(name), picture };
        let folder = args.out.as_ref().map(|out| folder(out, name, i, pictures.len()));
        let before = count(i, pictures.len(), begun);
        match one((&host, &model, in_f32.as_ref()), picture, (folder.as_deref(), screen.as_ref(), &before), args, &stop)
        {
            Ok(document) => documents.extend(document),
            // What is complete is printed even if the user cancels.
            Err(error) if i > 0 && (stop.wanted() || host.guard().ended().is_some()) => {
                ended = Err(anyhow!("{}; {i} of {} pictures are complete", usage::sentence(&error), pictures.len()));
                break;
            }
            Err(error) => return Err(error),
        }
    }
    if args.json {
        out::json(&if pictures.len() == 1 { documents.remove(0) } else { documents.into() })?;
    }
    ended?;
    if let Some(out) = args.out.as_ref().filter(|_| args.force) {
        out_folder::remove_others(out, args)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Text about the progress of a run on several pictures, such as `picture 3 of 9, 10 s left: `; empty for a single picture.
fn count(done: usize, all: usize, begun: Instant) -> String {
    if all == 1 {
        return String::new();
    }
    let left = begun.elapsed().as_secs_f64() / done.max(1) as f64 * (all - done) as f64;
    let left = if done > 0 { format!(", {} left", still::duration(left)) } else { String::new() };
    format!("picture {} of {all}{left}: ", done + 1)
}

/// The output folder of picture `i`: `out` itself if there is only one picture, otherwise a subfolder.
fn folder(out: &Path, name: &str, i: usize, count: usize) -> PathBuf {
    if count == 1 {
        return out.to_path_buf();
    }
    let stem = Path::new(name).file_stem().unwrap_or_default().to_string_lossy();
    let stem: String = stem.chars().map(|c| if c.is_alphanumeric() || "-_".contains(c) { c } else { '_' }).collect();
    out.join(format!("{:02}-{stem}", i + 1))
}

/// A picture with its name and the argument with which it was opened.
#[derive(Clone, Copy)]
struct Asked<'a> {
    name: &'a str,
    asked: &'a str,
    picture: &'a Picture,
}

fn one(
    (host, model, in_f32): (&Host, &Model, Option<&InF32>),
    asked: Asked,
    (out, screen, before): (Option<&Path>, Option<&FigurePrinter>, &str),
    args: &RunArgs,
    stop: &StopFlag,
) -> Result<Option<serde_json::Value>> {
    let mut session = open::session(host, model.clone(), (asked.name, asked.picture), &args.method, &args.question)?;
    session.opened_as(asked.asked, asked.picture.size());
    session.computed_by(args.command.clone());
    if args.steps.is_some() && !session.method().is_some_and(|m| m.stepped) {
        return Err(usage::usage(anyhow!("--steps: the method \"{}\" has no steps", args.method)));
    }
    if args.film.is_some() && !session.method().is_some_and(|m| m.stepped) {
        return Err(usage::usage(anyhow!("--film: the method \"{}\" has no steps", args.method)));
    }
    let bar = Arc::new(ProgressLine::spinner(&format!("{before}{}", args.method)));
    bar.begin_with(before);
    session.watched_by(bar.clone());
    let mut kept = Checkpoint::new(out, args.resume, &mut session)?;
    bar.tell(&kept.notes());
    let frame = answer(host, &mut session, args.steps, &bar, stop, &mut kept);
    bar.end();
    let frame = match frame {
        Err(_) if stop.wanted() && kept.is_saved() => {
            bail!("cancelled after step {}; --resume continues from there", session.cursor())
        }
        Err(_) if stop.wanted() => bail!("cancelled"),
        Err(error) => return Err(host.guard().ended().map_or(error, |why| anyhow!(why))),
        Ok(frame) => frame,
    };
    session.unnamed().iter().for_each(|why| out::tell(&why.to_string()));
    if let Some(count) = session.not_finite() {
        out::tell(&format!(
            "the scores of {count} pictures are not finite; these pictures count neither as correct nor as fooled"
        ));
    }
    if let Some(in_f32) = in_f32 {
        compare(in_f32, asked, (&mut session, &frame), args, (&bar, stop))?;
    }
    write_files(args, out, &session, host, &frame)?;
    kept.end()?;
    if let Some(screen) = screen {
        show(&session, &frame, args, screen)?;
    }
    args.json.then(|| result::document(&session, host, &frame)).transpose()
}

/// Runs the method in f32 with the same target class and reports how well the result in `frame` agrees.
fn compare(
    in_f32: &InF32,
    Asked { name, picture, .. }: Asked,
    (session, frame): (&mut Session, &Frame),
    args: &RunArgs,
    (bar, stop): (&ProgressLine, &StopFlag),
) -> Result<()> {
    let InF32 { host, model } = in_f32;
    let mut other = open::session(host, model.clone(), (name, picture), &args.method, &args.question)?;
    if let Some(class) = session.target() {
        other.set_target(Some(class))?;
    }
    let mut unsaved = Checkpoint::new(None, false, &mut other)?;
    let reference = answer(host, &mut other, args.steps, bar, stop, &mut unsaved)?;
    bar.end();
    out::tell(&session.compare_with_f32(frame, (&other, &reference))?.to_string());
    Ok(())
}

/// Writes the requested files. Each figure is rendered only once, even if several files contain it.
fn write_files(args: &RunArgs, out: Option<&Path>, session: &Session, host: &Host, frame: &Frame) -> Result<()> {
    let mut sheet = ContactSheet::default();
    let mut paint = |figure: &Figure| {
        let picture = export::paint(figure);
        picture.iter().filter(|_| args.sheet.is_some()).for_each(|picture| sheet.add(figure, picture));
        picture
    };
    let mut written = vec![];
    match out {
        Some(folder) => {
            out_folder::clear(folder)?;
            written = export::write(folder, session, host, frame, paint)?;
        }
        None if args.sheet.is_some() => frame.figures.iter().for_each(|figure| drop(paint(figure))),
        None => {}
    }
    if let Some(file) = &args.sheet {
        sheet::write(file, session, &sheet)?;
        out::tell(&format!("wrote a contact sheet to {}", words::path(file)));
    }
    if let Some(file) = &args.film {
        let count = film::write(file, session, host, |_, _| ())?;
        out::tell(&format!("wrote a film of {count} steps to {}", words::path(file)));
    }
    if let Some(folder) = out.filter(|_| !args.quiet) {
        out::tell(&format!("wrote {} files to {}", written.len(), words::path(folder)));
    }
    Ok(())
}

/// Runs the method and returns its frame; for a stepped method, runs all steps and returns the last frame.
fn answer(
    host: &Host,
    session: &mut Session,
    steps: Option<usize>,
    bar: &ProgressLine,
    stop: &StopFlag,
    kept: &mut Checkpoint,
) -> Result<Frame> {
    let frame = session.view(host)?;
    bar.tell(&frame.notes);
    if !session.method().is_some_and(|m| m.stepped) {
        return Ok(frame);
    }
    let attack = session.method().is_some_and(|m| m.group == "attack");
    let count = steps.unwrap_or(if attack { STEPS } else { usize::MAX });
    while session.cursor() < count && session.can_go_on() {
        bar.progress("step", session.cursor(), if count == usize::MAX { 0 } else { count });
        let step = session.advance(host);
        kept.save(session, stop.wanted() || step.is_err())?;
        bar.tell(&kept.notes());
        bar.tell(&session.new_notes());
        if stop.wanted() {
            bail!("cancelled");
        }
        step?;
    }
    let frame = session.view(host)?;
    bar.tell(&frame.notes);
    if frame.done.is_none() && steps.is_none() {
        out::tell(&format!("the method has not finished after {count} steps; raise the limit with --steps"));
    }
    Ok(frame)
}

fn show(session: &Session, frame: &Frame, args: &RunArgs, screen: &FigurePrinter) -> Result<()> {
    let model = session.model();
    let label = |class| words::name(&model.card.label(class)).into_owned();
    let class = session.target().map(|class| format!(", target {} ({class})", label(class)));
    let expression = session.expression().map(|head| -> Result<String> {
        let value = head.value(session.input())?;
        Ok(format!(", target {} = {value:.4}", words::name(&head.text)))
    });
    let target = expression.transpose()?.or(class);
    let [method, name, picture] = [&args.method, &model.card.name, session.picture()].map(words::name);
    out::say(&format!("{method} of {name} on {picture}{}", target.unwrap_or_default()))?;
    screen.show(&frame.figures)?;
    if let Some(why) = &frame.done {
        out::say(&words::line(why))?;
    }
    Ok(())
}
