//! Executes the commands that the app sends to its worker.

use super::branches::{Branch, Origin};
use super::message::{Command, Update};
use super::{Request, Worker};
use crate::data::loading::reporting;
use crate::data::lock::Lock;
use crate::data::{Picture, source};
use crate::hub::is_hub_name;
use crate::interrupt;
use crate::model::card::CardValues;
use crate::model::{Ablation, Model};
use crate::panics::caught;
use crate::render::{Colormap, ContactSheet};
use crate::script::architecture::open_model::file_of;
use crate::script::export::{self, film, sheet};
use crate::script::host::reference::reference;
use crate::script::method::data::Data;
use crate::script::method::needs::Need;
use crate::script::session::Target;
use crate::script::session::workspace;
use crate::script::summary::Frame;
use crate::words;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Bytes per megabyte.
const MEGABYTE: u64 = 1_000_000;

impl Worker {
    /// Executes a command and sends the resulting updates to the app.
    pub(super) fn change(&mut self, command: Command) -> Result<()> {
        match command {
            Command::Model { name, weights } => self.change_model(&name, weights.as_deref())?,
            Command::Weights(file) => self.change_weights(&file)?,
            Command::Data(spec) => self.change_data(&spec)?,
            Command::Picture(name) => self.open_picture(&name)?,
            Command::Method(name) => self.open_method(&name)?,
            Command::Set(name, text) => {
                let set = self.session.set(&name, &text);
                self.tell_method();
                set?;
                // A run that has no steps yet starts anew, so that its start has the new value too.
                let begins = self.session.method().is_some_and(|m| m.stepped) && self.session.kept() == 1;
                self.answer(if begins { Request::Run } else { Request::View });
            }
            Command::Target(target) => {
                match target {
                    Some(Target::Expression(text)) => self.session.set_target_text(&text)?,
                    Some(Target::Class(class)) => self.session.set_target(Some(class))?,
                    None => self.session.set_target(None)?,
                }
                self.tell(Update::Target(self.session.current_target()));
                self.answer(Request::Run);
            }
            Command::Ablate(units) => {
                match units {
                    Some(units) => self.session.toggle_ablations(&Ablation::parse_list(&units)?)?,
                    None => self.session.set_ablations(vec![])?,
                }
                self.tell_picture();
                self.tell_method();
                self.answer(Request::Run);
            }
            Command::Restart => {
                self.session.stop_again()?;
                self.tell_method();
                self.answer(Request::Run);
            }
            Command::Step if self.session.done().is_some() && self.session.unstop(&self.host)? => {
                self.tell_method();
                self.tell(Update::Said(
                    "stop is off: continuing although the network is already fooled; press r to run again".into(),
                ));
                self.keep_question(false);
                self.answer(Request::Next);
            }
            Command::Step if self.session.done().is_some() => {
                let why = self.session.done().unwrap_or_default();
                self.tell(Update::Log(format!("the run has ended: {why}; change a parameter to continue")));
                self.answer(Request::View);
            }
            Command::Step => self.answer(Request::Next),
            Command::Back => {
                let before = self.session.cursor().saturating_sub(1);
                self.answer(Request::Seek(before));
            }
            Command::Seek(step) => self.answer(Request::Seek(step)),
            Command::Play => self.playing = self.session.method().is_some_and(|m| m.stepped),
            Command::Pause | Command::Cancel => (self.playing, self.dropped) = (false, None),
            Command::Undo => self.turn_back(false)?,
            Command::Redo => self.turn_back(true)?,
            Command::MinimalEpsilon => self.minimal_epsilon()?,
            Command::Fork => self.fork()?,
            Command::Branch(at) => self.go_to_branch(at)?,
            Command::CloseBranch => self.close_branch()?,
            Command::Save(path) => self.save(&path)?,
            Command::Gallery { methods, classes } => self.gallery(&methods, &classes)?,
            Command::SaveGallery(path) => self.save_gallery(&path)?,
            Command::Keep(name) => self.keep_as(&name)?,
            Command::Reference => self.tell(Update::Reference(reference(&self.host).lines())),
            Command::Edit(name) => self.edit(name)?,
            Command::Edited(name) => self.edited(&name)?,
            Command::Revert(name) => self.revert(&name)?,
            Command::Quit => {}
        }
        Ok(())
    }

    /// Opens another network. If that fails or is cancelled, the current network and its result are kept.
    fn change_model(&mut self, name: &str, weights: Option<&Path>) -> Result<()> {
        let opened = self.open_model(name, weights, &CardValues::default());
        self.unless_opened(opened)
    }

    /// Loads other weights. If that fails or is cancelled, the current network and its result are kept.
    fn change_weights(&mut self, file: &Path) -> Result<()> {
        let opened = self.open_weights(file);
        self.unless_opened(opened)
    }

    /// Opens another data set. If that fails or is cancelled, the current data set and result are kept.
    fn change_data(&mut self, spec: &str) -> Result<()> {
        let opened = self.open_data(spec);
        self.unless_opened(opened)
    }

    /// If opening a file failed, shows the result of the current network again.
    fn unless_opened(&mut self, opened: Result<()>) -> Result<()> {
        let Err(error) = opened else { return Ok(()) };
        match (self.dropped.take(), self.shown.clone()) {
            (Some(question), _) => self.answer(question),
            (None, Some(frame)) => {
                let generation = self.generation.load(Ordering::Relaxed);
                self.tell(Update::Frame(Frame { generation, notes: vec![], ..frame }));
            }
            (None, None) => {}
        }
        if self.host.guard().stops() == self.stops {
            return Err(error);
        }
        self.tell(Update::Said(format!("opening cancelled; {} stays open", self.session.model().card.name)));
        Ok(())
    }

    /// Opens a network, with the card values set by flags.
    pub(super) fn open_model(&mut self, name: &str, weights: Option<&Path>, flags: &CardValues) -> Result<()> {
        self.begin();
        let file = weights.unwrap_or(Path::new(name));
        let model = self.read_file(file, || self.architectures.open_with(name, weights, flags))?;
        self.use_model(model, file_of(name, weights))
    }

    /// Loads weights into the architecture that they match, which is the open one if they match several.
    fn open_weights(&mut self, file: &Path) -> Result<()> {
        self.begin();
        let open = &self.session.model().card.name;
        let model = self.read_file(file, || self.architectures.tell_for(open, file))?;
        let hub = file.to_str().is_some_and(is_hub_name);
        self.use_model(model, Some(file.into()).filter(|_| !hub))
    }

    /// Shows a network that was opened from `file`; `None` for an architecture's own weights.
    fn use_model(&mut self, model: Model, file: Option<PathBuf>) -> Result<()> {
        let (asked, (name, picture)) = self.picture_for(&model)?;
        let input = model.card.preprocess().apply(&picture, self.no_resize)?;
        self.session.replace(&self.host, model, &name, input)?;
        self.session.opened_as(&asked, picture.size());
        self.origin = Origin { picture, asked, weights: file, labels: None };
        self.remember_folder();
        self.session.model().note().into_iter().for_each(|note| self.tell(Update::Log(note)));
        self.tell_model();
        self.tell_picture();
        self.tell_method();
        self.answer(Request::Run);
        self.tell_methods();
        Ok(())
    }

    /// Reads something from a file and reports progress; a request to stop opening cancels it.
    fn read_file<T>(&self, file: &Path, open: impl FnOnce() -> Result<T>) -> Result<T> {
        let file = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.tell(Update::Progress { what: format!("opening {file}"), done: 0, total: 0 });
        let (guard, stops, updates) = (self.host.guard().clone(), self.stops, self.updates.clone());
        let probe = Arc::new(move || (guard.stops() > stops).then(|| "cancelled".to_owned()));
        let report = Arc::new(move |done: u64, total: u64| {
            let (done, total) = ((done / MEGABYTE) as usize, (total / MEGABYTE) as usize);
            drop(updates.send(Update::Progress { what: "MB read".into(), done, total }));
        });
        caught(|| interrupt::within(probe, || reporting(report, open)))
            .unwrap_or_else(|panic| bail!("internal error: {panic}"))
    }

    /// Remembers the folder of the file from which the network was opened.
    pub(super) fn remember_folder(&mut self) {
        let Some(file) = &self.origin.weights else { return };
        let folder = match file.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        // Failing to remember the folder is harmless.
        if self.recent.add(&folder.canonicalize().unwrap_or_else(|_| folder.into())).is_ok() {
            self.tell(Update::RecentFolders(self.recent.folders().to_vec()));
        }
    }

    /// The picture to use with the new network `model`: the open picture, or the default picture of `model` if the open picture
    /// is the default of the old network.
    fn picture_for(&self, model: &Model) -> Result<(String, (String, Picture))> {
        let (before, now) = (&self.session.model().card.picture, &model.card.picture);
        let name = self.session.picture();
        if before != now && name == before {
            return Ok((now.clone(), source::picture(now)?));
        }
        Ok((self.origin.asked.clone(), (name.into(), self.origin.picture.clone())))
    }

    fn open_picture(&mut self, asked: &str) -> Result<()> {
        self.begin();
        let (name, picture) = source::picture(asked)?;
        let model = self.session.intact().clone();
        let input = model.card.preprocess().apply(&picture, self.no_resize)?;
        let kept = self.session.replace_picture(&self.host, model, &name, input)?;
        self.session.opened_as(asked, picture.size());
        (self.origin.picture, self.origin.asked) = (picture, asked.into());
        self.tell_picture();
        self.tell_method();
        self.answer(if kept { Request::View } else { Request::Run });
        Ok(())
    }

    /// Opens a data set. A method that needs one runs again; others show their result again.
    fn open_data(&mut self, spec: &str) -> Result<()> {
        self.begin();
        let data = Data::named(spec);
        let set = self.read_file(Path::new(spec), || data.get())?;
        self.session.set_data(data);
        let labels = if set.labelled { format!(", {} classes", set.class_count()) } else { ", no labels".into() };
        self.tell(Update::Said(format!("data set {}: {} pictures{labels}", words::name(&set.name), set.len())));
        self.tell_methods();
        let needed = self.session.method().is_some_and(|method| method.needs.contains(&Need::Data));
        self.answer(if needed { Request::Run } else { Request::View });
        Ok(())
    }

    fn open_method(&mut self, name: &str) -> Result<()> {
        let method = self.host.method(name)?;
        self.session.open(method);
        self.watch.open(name);
        self.tell_method();
        self.answer(Request::Run);
        Ok(())
    }

    /// Exports the session to `path`: a film if the path ends in `.gif`, a contact sheet if it ends in `.png`, otherwise a folder
    /// with the files of all figures.
    fn save(&mut self, path: &Path) -> Result<()> {
        match path.extension().and_then(|e| e.to_str()) {
            Some("gif") => self.save_film(path),
            Some("png") => {
                let frame = self.shown.as_ref().context("there is nothing to save yet")?;
                let figures = ContactSheet::of(&frame.figures, Colormap::default());
                sheet::write(path, &self.session, &figures)?;
                self.tell(Update::Log(format!("saved a contact sheet as \"{}\"", words::path(&path))));
                Ok(())
            }
            _ => self.save_all(path),
        }
    }

    fn save_all(&mut self, folder: &Path) -> Result<()> {
        let frame = self.shown.as_ref().context("there is nothing to save yet")?;
        let session = self.with_command(&self.session);
        let files = export::write(folder, &session, &self.host, frame, export::paint)?;
        self.tell(Update::Log(format!("saved {} files in \"{}\"", files.len(), words::path(&folder))));
        Ok(())
    }

    fn save_film(&mut self, file: &Path) -> Result<()> {
        self.begin();
        self.host.guard().start(self.known);
        let updates = self.updates.clone();
        let tell = move |done, total| drop(updates.send(Update::Progress { what: "film".into(), done, total }));
        let count = film::write(file, &self.session, &self.host, tell)?;
        self.tell(Update::Log(format!("saved a film of {count} steps as \"{}\"", words::path(&file))));
        Ok(())
    }

    fn keep_as(&mut self, name: &str) -> Result<()> {
        let keeping = self.keeping.as_ref().context("sessions are not saved: GRADSCOPE_STATE is empty")?;
        let file = keeping.file().with_file_name(format!("{name}.json"));
        let _lock = (file != keeping.file()).then(|| Lock::of(&file)).transpose()?;
        workspace::write_step(&file, None)?;
        self.opened().context("no method is open")?.write(&file)?;
        workspace::step(&self.session).map_or(Ok(()), |step| workspace::write_step(&file, Some(&step)))?;
        self.tell(Update::Log(format!("saved the session; reopen it with: gradscope --session {name}")));
        Ok(())
    }

    fn edit(&mut self, method: String) -> Result<()> {
        let open = self.session.method().filter(|m| m.name == method).and_then(|m| m.source.path.clone());
        let built_in = self.host.plugins().find(&method)?.is_some_and(|source| source.path.is_none());
        let path = open.map_or_else(|| self.host.plugins().to_edit(&method), Ok)?;
        if built_in {
            self.tell(Update::Said(format!("editing a copy of {method}: {}; :revert undoes it", words::path(&path))));
        }
        self.watch.add(path.parent().unwrap_or(Path::new(".")));
        self.tell(Update::Script { method, path });
        Ok(())
    }

    /// Removes the user's copy of an embedded script if the editor left it unchanged.
    fn edited(&mut self, method: &str) -> Result<()> {
        if self.host.plugins().remove_unchanged(method)?.is_some() {
            self.saved(&[], self.known);
            self.tell(Update::Said(format!("{method} was not changed; the copy was removed")));
        }
        self.list_methods();
        Ok(())
    }

    /// Replaces the user's copy of an embedded script by the embedded script.
    fn revert(&mut self, method: &str) -> Result<()> {
        let old = self.host.plugins().revert(method)?;
        self.saved(&[], self.known);
        self.list_methods();
        self.tell(Update::Said(format!("{method} is the built-in method again; your version: {}", words::path(&old))));
        Ok(())
    }

    /// Forks a branch from the current state of the open branch, and opens the new branch.
    fn fork(&mut self) -> Result<()> {
        let left = self.snapshot();
        self.branches.fork(left)?;
        self.tell_branches();
        self.answer(Request::View);
        Ok(())
    }

    /// Opens another branch in the state in which it was left.
    fn go_to_branch(&mut self, at: usize) -> Result<()> {
        if self.go_to(at)? {
            self.show_branch();
        }
        Ok(())
    }

    /// Closes the open branch, and opens the previous branch or, if the first was open, the next.
    fn close_branch(&mut self) -> Result<()> {
        let at = self.branches.at();
        if let Some(closed) = self.take_out()? {
            self.closed(at, closed);
        }
        self.show_branch();
        Ok(())
    }

    /// Makes the branch `at` the open one without showing it. Returns whether another was open before.
    pub(super) fn go_to(&mut self, at: usize) -> Result<bool> {
        let Some(wanted) = self.branches.take(at)? else { return Ok(false) };
        let left = self.open_branch(wanted);
        self.branches.go_to(at, left);
        Ok(true)
    }

    /// Removes the open branch and opens its neighbor without showing it. Returns the removed branch.
    pub(super) fn take_out(&mut self) -> Result<Option<Branch>> {
        Ok(self.branches.close()?.map(|wanted| self.open_branch(wanted)))
    }

    /// Opens a branch, and returns the branch that was open before.
    pub(super) fn open_branch(&mut self, wanted: Branch) -> Branch {
        Branch {
            session: std::mem::replace(&mut self.session, wanted.session),
            origin: std::mem::replace(&mut self.origin, wanted.origin),
        }
    }

    /// Tells the app what the open branch shows.
    pub(super) fn show_branch(&mut self) {
        if let Some(method) = self.session.method() {
            self.watch.open(&method.name);
        }
        self.tell_branches();
        self.tell_model();
        self.tell_methods();
        self.tell_picture();
        self.tell_method();
        self.answer(Request::View);
    }

    pub(super) fn tell_branches(&self) {
        self.tell(Update::Branches { at: self.branches.at(), count: self.branches.count() });
    }
}
