//! The gallery: several methods for several classes, each run to its end.

use super::Worker;
use super::gallery_result::GalleryResult;
use super::message::{GalleryCell, Update};
use crate::data::create_folder;
use crate::render::{Colormap, ContactSheet, Figure};
use crate::script::export::{self, names::Names, sheet};
use crate::script::method::context::NoObserver;
use crate::script::method::needs::Need;
use crate::script::session::Session;
use crate::script::summary::{Frame, Report};
use crate::words;
use anyhow::{Result, bail, ensure};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Maximum duration of one method; its steps end after it.
const BUDGET: Duration = Duration::from_secs(10);
/// Maximum number of results.
const MOST: usize = 200;
/// File name of the contact sheet in an exported gallery.
const SHEET: &str = "gallery.png";

impl Worker {
    /// Runs each method for each class, and sends each result when it is complete. The open method keeps its parameters; the others have
    /// their defaults. A cancel request ends the gallery, which keeps the complete results.
    ///
    /// Errors if there are too many results; the error of a method takes the place of its result.
    pub(super) fn gallery(&mut self, methods: &[String], classes: &[usize]) -> Result<()> {
        let count = methods.len() * classes.len();
        ensure!(count <= MOST, "a gallery of {count} results; at most {MOST}: mark fewer methods or classes");
        self.playing = false;
        self.begin();
        self.host.guard().start(self.known);
        self.gallery = Vec::with_capacity(count);
        let titles: Vec<_> = methods.iter().map(|name| self.title(name)).collect();
        let labels: Vec<_> = classes.iter().map(|class| self.session.model().card.label(*class)).collect();
        self.tell(Update::Gallery { methods: titles.clone(), classes: labels.clone() });
        for (row, class) in classes.iter().enumerate() {
            for (column, method) in methods.iter().enumerate() {
                let index = row * methods.len() + column;
                self.tell(Update::Progress { what: "results".into(), done: index, total: count });
                match self.to_end(method, *class) {
                    Ok((session, frame)) => {
                        self.tell(Update::GalleryCell(index, GalleryCell::Figures(frame.figures.clone())));
                        let (title, class) = (titles[column].clone(), labels[row].clone());
                        self.gallery.push(GalleryResult { session, frame, title, class });
                    }
                    Err(_) if self.host.guard().is_cancelled() => {
                        self.tell(Update::Said(format!("gallery cancelled: {index} of {count} results are complete")));
                        return Ok(());
                    }
                    Err(error) => {
                        let why = Report::of(error).message;
                        self.tell(Update::GalleryCell(index, GalleryCell::Failed(why)));
                    }
                }
            }
        }
        let failed = count - self.gallery.len();
        let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
        self.tell(Update::Said(format!("{} results{failed}; s saves them", self.gallery.len())));
        Ok(())
    }

    fn title(&self, method: &str) -> String {
        let row = self.methods.iter().find(|row| row.name == method);
        row.map_or(method, |row| row.title()).to_owned()
    }

    /// Runs a method for a class until its steps end or take too long.
    fn to_end(&self, method: &str, class: usize) -> Result<(Session, Frame)> {
        let row = self.methods.iter().find(|row| row.name == method);
        let unmet = row.and_then(|row| Need::first_unmet(&row.needs, self.session.model(), self.session.data()));
        unmet.map_or(Ok(()), |why| bail!("{why}"))?;
        let mut session = self.session.clone();
        if session.method().is_none_or(|open| open.name != method) {
            session.open(self.host.method(method)?);
        }
        session.watched_by(Arc::new(NoObserver));
        session.set_target(Some(class))?;
        let begun = Instant::now();
        let mut frame = session.run(&self.host)?;
        while session.can_go_on() && begun.elapsed() < BUDGET {
            frame = session.next(&self.host)?;
        }
        Ok((session, frame))
    }

    /// Exports the gallery: as one contact sheet if `path` ends in `.png`, otherwise into a folder with a folder for each result and a
    /// contact sheet.
    pub(super) fn save_gallery(&mut self, path: &Path) -> Result<()> {
        ensure!(!self.gallery.is_empty(), "the gallery has no results to save");
        self.begin();
        match path.extension().and_then(|e| e.to_str()) {
            Some("gif") => bail!("a gallery has no steps for a film; save it to a folder or a .png"),
            Some("png") => {
                let sheet = self.gallery_sheet();
                sheet::write_titled(path, &self.gallery_heading(), &sheet)?;
                self.tell(Update::Log(format!("saved a contact sheet as \"{}\"", words::path(&path))));
            }
            _ => {
                create_folder(path)?;
                let mut names = Names::without(SHEET);
                for (done, result) in self.gallery.iter().enumerate() {
                    self.tell(Update::Progress { what: "results".into(), done, total: self.gallery.len() });
                    let method = result.session.method().map_or("", |method| method.name.as_str());
                    let folder = path.join(names.next(&format!("{method}-{}", result.class)));
                    let session = self.with_command(&result.session);
                    export::write(&folder, &session, &self.host, &result.frame, export::paint)?;
                }
                let sheet = self.gallery_sheet();
                if !sheet.is_empty() {
                    sheet::write_titled(&path.join(SHEET), &self.gallery_heading(), &sheet)?;
                }
                let count = self.gallery.len();
                let results = if count == 1 { "result" } else { "results" };
                self.tell(Update::Log(format!("saved {count} {results} in \"{}\"", words::path(&path))));
            }
        }
        Ok(())
    }

    /// The main figures of all results, with their methods and classes.
    fn gallery_sheet(&self) -> ContactSheet {
        let main = |result: &GalleryResult| -> Option<Figure> {
            let figure = result.frame.figures.iter().find(|figure| !figure.is_summary())?;
            Some(Figure { title: format!("{} {}", result.title, result.class), ..figure.clone() })
        };
        let figures: Vec<_> = self.gallery.iter().filter_map(main).collect();
        ContactSheet::of(&figures, Colormap::default())
    }

    fn gallery_heading(&self) -> String {
        let first = self.gallery.first().map(|result| &result.session);
        first.map_or_else(String::new, |session| format!("{} {}", session.model().card.name, session.picture()))
    }
}
