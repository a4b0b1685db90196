//! Keeps what is open in a file, on a thread of its own: a kill loses nothing that was changed before it.
//!
//! The question is written before it is answered, since the answer may be what ends the program; the step that is shown follows as
//! often as writing it allows.

use super::message::Update;
use crate::data::lock::Lock;
use crate::script::session::workspace::{self, Workspace};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The file of a session, and the lock that keeps other programs from writing it.
#[derive(Debug)]
pub struct SessionFile {
    /// The file.
    pub file: PathBuf,
    /// Held as long as the file is written.
    pub lock: Lock,
}

/// How long a new question waits for being written before it is answered.
const MOMENT: Duration = Duration::from_millis(30);
/// A step is kept no more often than this.
const EVERY: Duration = Duration::from_secs(1);
/// How many times as long as it takes to keep a step is waited for the next.
const PAUSE: u32 = 20;

/// What the thread is to write.
enum AutosaveJob {
    /// A question; whether it is another than the last, so that the step beside it is none of its.
    Question(Workspace, bool, Sender<()>),
    Step(Option<Vec<u8>>),
}

/// What is kept, and the thread that writes it.
pub(super) struct Autosave {
    file: PathBuf,
    jobs: Option<Sender<AutosaveJob>>,
    thread: Option<JoinHandle<()>>,
    /// The question as it was last handed on.
    question: Option<Workspace>,
    /// When a step may be kept again.
    due: Instant,
    /// Whether a step is shown that is not kept.
    behind: bool,
}

impl Autosave {
    /// A thread that writes to `place`; what it cannot write it says to `updates`. A session that was `opened` from there is there
    /// already.
    pub(super) fn new(place: SessionFile, opened: Option<Workspace>, updates: Sender<Update>) -> std::io::Result<Self> {
        let (jobs, inbox) = channel();
        let file = place.file.clone();
        let thread = std::thread::Builder::new().name("keeping".into());
        let thread = Some(thread.spawn(move || write(&place, &inbox, &updates))?);
        Ok(Self { file, jobs: Some(jobs), thread, question: opened, due: Instant::now(), behind: false })
    }

    /// The file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// A question is about to be answered; `anew` says that its script changed. Waits a moment for it to be written.
    pub(super) fn begins(&mut self, question: Option<Workspace>, anew: bool) {
        let Some(question) = question.map(|question| question.under_way(true)) else { return };
        let same = self.question.as_ref().is_some_and(|kept| kept.clone().under_way(true) == question);
        if !same || anew {
            self.hand_on(question, !same);
        }
    }

    /// The question was answered, and a step of it is shown.
    pub(super) fn answered(&mut self) {
        self.behind = true;
        self.settle();
    }

    /// The program did not end by this question.
    pub(super) fn settle(&mut self) {
        if let Some(question) = self.question.as_ref().filter(|q| q.under_way) {
            self.hand_on(question.clone().under_way(false), false);
        }
    }

    fn hand_on(&mut self, question: Workspace, new: bool) {
        self.question = Some(question.clone());
        let (done, written) = channel();
        self.send(AutosaveJob::Question(question, new, done));
        if new {
            // It goes on being written while it is being answered.
            let _ = written.recv_timeout(MOMENT);
        }
    }

    /// Keeps the step that is shown, unless that was done just now; `at_once` even then.
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
        // The thread ends with this.
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
    }

    /// The program ends in order: waits until all is written.
    pub(super) fn end(&mut self) {
        self.settle();
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

/// Writes what comes, the newest of what waits, until nothing comes any more.
fn write(place: &SessionFile, inbox: &Receiver<AutosaveJob>, updates: &Sender<Update>) {
    let mut said = String::new();
    while let Ok(first) = inbox.recv() {
        let (mut question, mut step, mut waiting) = (None, None, vec![]);
        for job in std::iter::once(first).chain(inbox.try_iter()) {
            match job {
                AutosaveJob::Question(asked, new, done) => {
                    // The step beside the file is of a question that is no more.
                    step = if new { Some(None) } else { step };
                    question = Some(asked);
                    waiting.push(done);
                }
                AutosaveJob::Step(shown) => step = Some(shown),
            }
        }
        if let Err(error) = write_both(&place.file, question, step) {
            let error = format!("{error:#}");
            if error != said {
                // The app is gone only when the program ends.
                let _ = updates.send(Update::Log(format!("the session is not kept: {error}")));
                said = error;
            }
        }
        for done in waiting {
            let _ = done.send(());
        }
    }
}

/// A step of an old question is removed before the new question is written, and a step of the new one written after it.
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
    fn a_question_is_kept_before_its_answer_and_known_as_answered_after_it() {
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
    fn the_step_of_another_question_does_not_stay_beside_it() {
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
    fn a_session_that_cannot_be_written_is_said_once() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path());
        std::fs::create_dir(&place.file).unwrap();
        let (updates, said) = channel();
        let mut keeping = Autosave::new(place, None, updates).unwrap();
        ["a", "b", "c"].into_iter().for_each(|method| keeping.begins(question(method), false));
        keeping.end();
        let said: Vec<_> = said.iter().map(|update| format!("{update:?}")).collect();
        assert!(said.len() == 1 && said[0].contains("the session is not kept"), "{said:?}");
    }
}
