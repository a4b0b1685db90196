//! Saves the session to a file on a separate thread, so that a killed program loses no changes.
//!
//! Each request is saved before it is processed, since processing it may crash the program. The displayed step is saved afterwards,
//! at a rate limited by how long writing takes.

use super::message::Update;
use crate::data::lock::Lock;
use crate::script::session::workspace::{self, Workspace};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The path of a session file, and the lock that keeps other processes from writing that file.
#[derive(Debug)]
pub struct SessionFile {
    /// Path of the session file.
    pub file: PathBuf,
    /// The lock on the session file, held while the file is in use.
    pub lock: Lock,
}

/// Maximum time that the worker waits for a request to be written before processing it.
const MOMENT: Duration = Duration::from_millis(30);
/// Minimum interval between two saves of the displayed step.
const EVERY: Duration = Duration::from_secs(1);
/// Minimum interval between saves, as a multiple of the time it takes to save a step.
const PAUSE: u32 = 20;

/// A job for the writer thread.
enum AutosaveJob {
    /// A request to save, whether it differs from the last saved request (so that the saved step is outdated), and a channel that
    /// confirms the write.
    Question(Box<Workspace>, bool, Sender<()>),
    Step(Option<Vec<u8>>),
}

/// The state of autosaving, and the thread that writes the files.
pub(super) struct Autosave {
    file: PathBuf,
    jobs: Option<Sender<AutosaveJob>>,
    thread: Option<JoinHandle<()>>,
    /// The request that was last sent to the writer thread.
    question: Option<Workspace>,
    /// The earliest time at which the next step may be saved.
    due: Instant,
    /// Whether the displayed step has not been saved yet.
    behind: bool,
}

impl Autosave {
    /// Starts a thread that writes to the session file `target` and reports errors to `updates`. `opened` is the session that was
    /// restored from that file and need not be written again.
    pub(super) fn new(
        target: SessionFile,
        opened: Option<Workspace>,
        updates: Sender<Update>,
    ) -> std::io::Result<Self> {
        let (jobs, inbox) = channel();
        let file = target.file.clone();
        let thread = std::thread::Builder::new().name("keeping".into());
        let thread = Some(thread.spawn(move || write(&target, &inbox, &updates))?);
        Ok(Self { file, jobs: Some(jobs), thread, question: opened, due: Instant::now(), behind: false })
    }

    /// The path of the session file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Saves the request `question` before it is processed, and waits briefly for the write. An unchanged request is saved again only if
    /// the method's script has changed.
    pub(super) fn begins(&mut self, question: Option<Workspace>, script_changed: bool) {
        let Some(question) = question.map(|question| question.under_way(true)) else { return };
        let same = self.question.as_ref().is_some_and(|kept| kept.clone().under_way(true) == question);
        if !same || script_changed {
            self.hand_on(question, !same);
        }
    }

    /// Records that the request was processed and that its result is shown.
    pub(super) fn answered(&mut self) {
        self.behind = true;
        self.settle();
    }

    /// Records that the program survived the request, by saving the request again with `under_way` unset.
    pub(super) fn settle(&mut self) {
        if let Some(question) = self.question.as_ref().filter(|q| q.under_way) {
            self.hand_on(question.clone().under_way(false), false);
        }
    }

    fn hand_on(&mut self, question: Workspace, new: bool) {
        self.question = Some(question.clone());
        let (done, written) = channel();
        self.send(AutosaveJob::Question(question.into(), new, done));
        if new {
            // If the write takes longer, it continues while the request is processed.
            let _ = written.recv_timeout(MOMENT);
        }
    }

    /// Saves the displayed step if it has not been saved yet and the interval between saves has passed; `at_once` ignores the
    /// interval.
    pub(super) fn step(&mut self, at_once: bool, step: impl FnOnce() -> Option<Vec<u8>>) {
        if !self.behind || (!at_once && Instant::now() < self.due) {
            return;
        }
        let begun = Instant::now();
        self.send(AutosaveJob::Step(step()));
        self.behind = false;
        self.due = Instant::now() + EVERY.max(PAUSE * begun.elapsed());
    }

    fn send(&self, job: AutosaveJob) {
        // The writer thread lives as long as `self`.
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
    }

    /// Waits until everything is written; called before a normal exit.
    pub(super) fn end(&mut self) {
        self.settle();
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has already been reported.
            let _ = thread.join();
        }
    }
}

/// Runs the writer thread: repeatedly writes the newest pending job, until the channel `inbox` is closed.
fn write(target: &SessionFile, inbox: &Receiver<AutosaveJob>, updates: &Sender<Update>) {
    let mut said = String::new();
    while let Ok(first) = inbox.recv() {
        let (mut question, mut step, mut waiting) = (None, None, vec![]);
        for job in std::iter::once(first).chain(inbox.try_iter()) {
            match job {
                AutosaveJob::Question(asked, new, done) => {
                    // If the request is new, the saved step belongs to an earlier request and is removed.
                    step = if new { Some(None) } else { step };
                    question = Some(*asked);
                    waiting.push(done);
                }
                AutosaveJob::Step(shown) => step = Some(shown),
            }
        }
        if let Err(error) = write_both(&target.file, question, step) {
            let error = format!("{error:#}");
            if error != said {
                // The receiver is dropped only when the program ends.
                let _ = updates.send(Update::Log(format!("the session is not being saved: {error}")));
                said = error;
            }
        }
        for done in waiting {
            let _ = done.send(());
        }
    }
}

/// Writes the request and the step to their files. The step of an old request is removed before the new request is written, and a
/// new step is written after its request.
fn write_both(file: &Path, question: Option<Workspace>, step: Option<Option<Vec<u8>>>) -> Result<()> {
    if let Some(None) = step {
        workspace::write_step(file, None)?;
    }
    question.map_or(Ok(()), |question| question.write(file))?;
    match step {
        Some(Some(bytes)) => workspace::write_step(file, Some(&bytes)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(folder: &Path) -> SessionFile {
        let file = folder.join("last.json");
        SessionFile { lock: Lock::of(&file).unwrap(), file }
    }

    fn question(method: &str) -> Option<Workspace> {
        let mut opened = Workspace::empty();
        opened.method = method.into();
        Some(opened)
    }

    #[test]
    fn a_request_is_saved_before_it_runs_and_marked_as_done_afterward() {
        let folder = tempfile::tempdir().unwrap();
        let (updates, _said) = channel();
        let mut keeping = Autosave::new(place(folder.path()), None, updates).unwrap();
        let file = folder.path().join("last.json");
        let read = || Workspace::read(&file).unwrap().unwrap();
        keeping.begins(question("gradcam"), false);
        let wait = Instant::now();
        while !file.exists() && wait.elapsed() < Duration::from_secs(20) {
            std::thread::yield_now();
        }
        assert_eq!((read().method.as_str(), read().under_way), ("gradcam", true));
        keeping.answered();
        keeping.step(true, || Some(b"the step".to_vec()));
        keeping.end();
        assert!(!read().under_way);
        assert!(folder.path().join("last.step.safetensors").exists());
    }

    #[test]
    fn the_step_of_an_earlier_request_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let step = folder.path().join("last.step.safetensors");
        std::fs::write(&step, "old").unwrap();
        let (updates, _said) = channel();
        let mut keeping = Autosave::new(place(folder.path()), question("fgsm"), updates.clone()).unwrap();
        keeping.begins(question("fgsm"), false);
        keeping.end();
        assert!(step.exists());
        let mut keeping = Autosave::new(place(folder.path()), question("fgsm"), updates).unwrap();
        keeping.begins(question("pgd"), false);
        keeping.end();
        assert!(!step.exists());
    }

    #[test]
    fn a_session_that_cannot_be_written_is_reported_once() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path());
        std::fs::create_dir(&place.file).unwrap();
        let (updates, said) = channel();
        let mut keeping = Autosave::new(place, None, updates).unwrap();
        ["a", "b", "c"].into_iter().for_each(|method| keeping.begins(question(method), false));
        keeping.end();
        let said: Vec<_> = said.iter().map(|update| format!("{update:?}")).collect();
        assert!(said.len() == 1 && said[0].contains("the session is not being saved"), "{said:?}");
    }
}
