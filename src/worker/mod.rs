//! The worker, a thread that computes results for the app. It receives commands and sends updates; a new request cancels the
//! previous one.

pub mod message;
mod watch;
mod throttled_observer;
mod branches;
mod command_line;
mod commands;
mod gallery;
mod gallery_result;
mod history;
mod minimal_epsilon;
mod autosave;

use crate::data::recent_folders::RecentFolders;
use crate::data::{Picture, notes, source, wait_for_writes};
use crate::panics::caught;
use crate::render::Array;
use crate::script::architecture::open_model::again;
use crate::script::architecture::{Architectures, card};
use crate::script::host::Host;
use crate::script::method::needs::Need;
use crate::script::sandbox::guard::Guard;
use crate::script::sandbox::stack;
use crate::script::session::Session;
use crate::script::session::workspace::{self, Workspace};
use crate::script::summary::{Frame, MethodRow, Report};
use crate::sync::LockUnpoisoned;
use anyhow::{Context, Result, anyhow};
use autosave::Autosave;
pub use autosave::SessionFile;
pub use branches::letter;
use branches::{Branches, Origin};
use candle_core::DType;
use gallery_result::GalleryResult;
use history::History;
use message::{Command, Update};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use throttled_observer::ThrottledObserver;
use watch::Watch;

/// Interval at which an idle worker checks the open script for changes, since network drives send no file events.
const LOOK: Duration = Duration::from_secs(1);
/// Maximum time to wait on exit for a worker that has not noticed the request to stop.
const AT_ONCE: Duration = Duration::from_millis(300);
/// Maximum time to wait on exit for a worker that has noticed the request to stop, and for files being written.
const KEEPING: Duration = Duration::from_secs(10);

/// The initial state of a worker. The model, the picture and the method are already open, so that errors are reported before the
/// app starts.
pub struct WorkerInit {
    /// The host that compiles and calls scripts.
    pub host: Host,
    /// The session, with a model, a picture and possibly a method.
    pub session: Session,
    /// The picture before preprocessing, which is needed when another model is opened.
    pub picture: Picture,
    /// The name by which the picture was opened.
    pub asked: String,
    /// The file, of weights or a graph, from which the model was opened; `None` for the architecture's own weights.
    pub weights: Option<PathBuf>,
    /// Whether pictures keep their size instead of being resized for the model.
    pub no_resize: bool,
    /// The file to which the session is saved; `None` disables autosaving.
    pub session_file: Option<SessionFile>,
    /// Whether the session was restored from `session_file`.
    pub restored: bool,
    /// Whether the method waits for the user to run it, because it may have crashed the program before.
    pub waits: bool,
    /// The file of class names given for the network, if any.
    pub labels: Option<PathBuf>,
    /// The arguments that set the script folders, the device and the precision.
    pub host_words: Vec<String>,
    /// Notes to show to the user at the start.
    pub notes: Vec<String>,
    /// Folders whose model files were opened recently.
    pub recent: RecentFolders,
}

impl WorkerInit {
    /// The state of a worker without a session file.
    pub fn new(host: Host, session: Session, picture: Picture, asked: String, recent: RecentFolders) -> Self {
        let (no_resize, restored, waits) = (false, false, false);
        Self {
            host,
            session,
            picture,
            asked,
            weights: None,
            no_resize,
            session_file: None,
            restored,
            waits,
            labels: None,
            host_words: vec![],
            notes: vec![],
            recent,
        }
    }
}

/// Sends commands to a worker.
#[derive(Clone)]
pub struct WorkerHandle {
    inbox: Sender<Message>,
    guard: Arc<Guard>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

/// A message to the worker, with the number of cancel requests made by the time it was sent.
enum Message {
    /// A command, the number of cancel requests, and the number of requests to stop opening a network.
    Command(Command, u64, u64),
    /// Files in the script folders were saved: their paths, and the number of cancel requests.
    Saved(Vec<PathBuf>, u64),
}

/// Starts a worker, and returns a handle for sending commands and the channel of its updates. The first updates describe what is
/// open.
pub fn start(opening: WorkerInit) -> Result<(WorkerHandle, Receiver<Update>)> {
    let (inbox, messages) = channel();
    let (updates, answers) = channel();
    let asker = WorkerHandle { inbox, guard: opening.host.guard().clone(), thread: Arc::default() };
    let worker = Worker::new(opening, updates, &asker)?;
    let thread = stack::spawn("worker", move || worker.work(&messages)).context("starting the worker thread")?;
    *asker.thread.lock_unpoisoned() = Some(thread);
    Ok((asker, answers))
}

impl WorkerHandle {
    /// Sends a command to the worker. The current computation is cancelled if the command requests another result; a request for
    /// the next step waits for the current step instead.
    pub fn ask(&self, command: Command) {
        let ends = matches!(command, Command::Cancel | Command::Quit);
        if ends || (command.asks() && command != Command::Step) {
            self.guard.cancel();
        }
        if ends || matches!(command, Command::Model { .. } | Command::Weights(_) | Command::Data(_)) {
            self.guard.stop_opening();
        }
        // The worker exits only when the program ends.
        let _ = self.inbox.send(Message::Command(command, self.guard.cancel_requests(), self.guard.stops()));
    }

    /// Stops the worker and waits until it has saved the session. Native code that does not return in time is abandoned; the
    /// request that started it has already been saved.
    pub fn end(&self) {
        self.ask(Command::Quit);
        let asked = Instant::now();
        let Some(thread) = self.thread.lock_unpoisoned().take() else { return };
        while !thread.is_finished() {
            let most = if self.guard.has_noticed() { KEEPING } else { AT_ONCE };
            if asked.elapsed() > most {
                return wait_for_writes(KEEPING);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        // A panic of the worker has already been reported.
        let _ = thread.join();
    }

    /// Tells the worker which script files were saved; `open` means that the open script may have changed, which cancels the
    /// current computation.
    fn saved(&self, files: Vec<PathBuf>, open: bool) {
        if open {
            self.guard.cancel();
        }
        let _ = self.inbox.send(Message::Saved(files, self.guard.cancel_requests()));
    }
}

/// A request for a result of the session.
#[derive(Clone, Copy, Debug)]
enum Request {
    /// Run the method from its start.
    Run,
    /// Show the current step again.
    View,
    /// Take the next step.
    Next,
    /// Show the step with this index.
    Seek(usize),
}

struct Worker {
    host: Host,
    architectures: Architectures,
    session: Session,
    origin: Origin,
    no_resize: bool,
    /// The arguments that set the script folders, the device and the precision.
    host_words: Vec<String>,
    keeping: Option<Autosave>,
    /// Whether the method waits for the user to run it.
    waits: bool,
    updates: Sender<Update>,
    generation: Arc<AtomicU64>,
    known: u64,
    /// Number of requests to stop opening a network that predate the current command.
    stops: u64,
    recent: RecentFolders,
    playing: bool,
    busy: bool,
    shown: Option<Frame>,
    branches: Branches,
    history: History,
    /// The results of the latest gallery.
    gallery: Vec<GalleryResult>,
    /// All methods, as last compiled.
    methods: Vec<MethodRow>,
    /// The request that another message cancelled, if any.
    dropped: Option<Request>,
    watch: Watch,
}

impl Worker {
    fn new(opening: WorkerInit, updates: Sender<Update>, asker: &WorkerHandle) -> Result<Self> {
        let WorkerInit { host, mut session, picture, asked, weights, no_resize, session_file, restored, .. } = opening;
        let WorkerInit { waits, labels, host_words, notes, recent, .. } = opening;
        let generation = Arc::new(AtomicU64::new(0));
        let watcher = asker.clone();
        let mut watch = Watch::new(move |files, open| watcher.saved(files, open))?;
        host.plugins().existing().iter().chain(&host.models().existing()).for_each(|folder| watch.add(folder));
        if let Some(method) = session.method() {
            watch.open(&method.name);
            method.source.path.iter().filter_map(|p| p.parent()).for_each(|folder| watch.add(folder));
        }
        notes.into_iter().for_each(|note| drop(updates.send(Update::Said(note))));
        session.watched_by(Arc::new(ThrottledObserver::new(updates.clone(), generation.clone())));
        let told = updates.clone();
        let architectures = Architectures::new(host.models().clone(), host.guard()).with_downloads(move |transfer| {
            let (what, done) = (format!("MiB of {}", transfer.file), (transfer.done >> 20) as usize);
            // The receiver is dropped only when the program ends.
            let _ = told.send(Update::Progress { what, done, total: (transfer.total.unwrap_or(0) >> 20) as usize });
        });
        let (known, stops) = (host.guard().cancel_requests(), host.guard().stops());
        let (playing, busy, shown) = (false, false, None);
        let opened = Workspace::of(&session, &asked, weights.as_deref(), no_resize).filter(|_| restored);
        let keeping = session_file.map(|place| Autosave::new(place, opened, updates.clone()));
        Ok(Self {
            host,
            architectures,
            session,
            origin: Origin { picture, asked, weights, labels },
            host_words,
            no_resize,
            keeping: keeping.transpose().context("starting the thread that saves the session")?,
            waits,
            updates,
            generation,
            known,
            stops,
            recent,
            playing,
            busy,
            shown,
            branches: Branches::default(),
            history: History::default(),
            gallery: vec![],
            methods: vec![],
            dropped: None,
            watch,
        })
    }

    fn work(mut self, messages: &Receiver<Message>) {
        self.introduce();
        match (self.session.started(), self.waits) {
            (true, _) => self.survive(|worker| worker.answer(Request::View)),
            (false, false) => self.survive(|worker| worker.answer(Request::Run)),
            (false, true) => {}
        }
        loop {
            let message = match self.next(messages) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) if self.playing => {
                    self.survive(Self::play);
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.keep_step(true);
                    Message::Saved(vec![], self.known)
                }
                Err(RecvTimeoutError::Disconnected) => return self.end(),
            };
            if matches!(message, Message::Command(Command::Quit, ..)) {
                return self.end();
            }
            self.survive(|worker| match message {
                Message::Command(command, known, stops) => {
                    worker.stops = stops;
                    worker.execute(command, known);
                }
                Message::Saved(files, known) => worker.saved(&files, known),
            });
        }
    }

    /// Calls `work` and reports a panic in it as an error; the session stays open.
    fn survive(&mut self, work: impl FnOnce(&mut Self)) {
        if let Err(panic) = caught(|| work(self)) {
            self.playing = false;
            let why = anyhow!("internal error: {panic}");
            self.tell(Update::Failed(Report::plain(&why)));
        }
    }

    /// Receives the next message, and updates the number of known cancel requests and the number of the current request.
    fn next(&mut self, messages: &Receiver<Message>) -> Result<Message, RecvTimeoutError> {
        let message = match messages.try_recv() {
            Ok(message) => message,
            Err(_) if self.playing => return Err(RecvTimeoutError::Timeout),
            Err(_) => {
                self.rest();
                messages.recv_timeout(LOOK)?
            }
        };
        if let Message::Command(command, known, _) = &message {
            self.known = *known;
            if command.asks() {
                self.generation.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(message)
    }

    fn tell(&self, update: Update) {
        // The receiver is dropped only when the program ends.
        let _ = self.updates.send(update);
    }

    /// Sends updates that describe what is open.
    fn introduce(&mut self) {
        self.list_methods();
        let (rows, errors) = self.architectures.list();
        self.tell(Update::Models(rows));
        errors.into_iter().for_each(|e| self.tell(Update::Log(format!("{e:#}"))));
        self.tell(Update::RecentFolders(self.recent.folders().to_vec()));
        self.remember_folder();
        self.tell_model();
        self.tell_picture();
        self.tell_method();
    }

    fn tell_model(&self) {
        self.tell(Update::Model(card(self.session.model())));
    }

    /// Compiles all methods anew and lists them.
    fn list_methods(&mut self) {
        self.methods = self.host.methods();
        self.tell_methods();
    }

    /// Lists the methods, each with the reason why it cannot run on the open network and data set, if it cannot.
    fn tell_methods(&self) {
        let (model, data) = (self.session.model(), self.session.data());
        let unmet = |row: &MethodRow| Need::first_unmet(&row.needs, model, data);
        let rows = self.methods.iter().map(|row| MethodRow { unmet: unmet(row), ..row.clone() });
        self.tell(Update::Methods(rows.collect()));
    }

    fn tell_picture(&self) {
        let told = self.pixels().and_then(|pixels| {
            let classes = self.session.classes(&self.host, 10)?;
            let source = self.origin.asked.clone();
            Ok(Update::Picture { name: source::title(self.session.picture()), source, pixels, classes })
        });
        self.tell(told.unwrap_or_else(|e| Update::Failed(Report::of(e))));
        self.tell(Update::Target(self.session.current_target()));
        self.tell(Update::Ablated(self.session.ablated()));
        if let Some(why) = self.session.unnamed() {
            self.tell(Update::Log(why.to_string()));
        }
    }

    fn pixels(&self) -> Result<Array> {
        let input = self.session.input().narrow(0, 0, 1)?.squeeze(0)?;
        Array::new(input.dims().to_vec(), input.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()?)
    }

    fn tell_method(&self) {
        if let Some(card) = self.session.card() {
            self.tell(Update::Method(card));
        }
    }

    /// Executes a command. If it fails, reports the error.
    fn execute(&mut self, command: Command, known: u64) {
        self.known = known;
        // Changing a parameter does not pause a run.
        if command.asks() && !matches!(command, Command::Set(..)) {
            self.playing = false;
        }
        // A command is never cancelled halfway, since newer commands build on its effects.
        self.host.guard().start(u64::MAX);
        let change = self.describe(&command);
        let before = change.is_some().then(|| self.snapshot());
        let done = self.change(command);
        if let (Ok(()), Some(change), Some(before)) = (&done, change, before) {
            self.changed(change, before);
        }
        if let Err(error) = done {
            self.playing = false;
            self.tell(Update::Failed(Report::of(error)));
        }
    }

    /// Takes one step of a run that is playing.
    fn play(&mut self) {
        let fresh = !self.session.started();
        if !fresh && !self.session.can_go_on() {
            self.playing = false;
            return;
        }
        self.answer(if fresh { Request::Run } else { Request::Next });
    }

    /// Computes the result of a request and sends it to the app; a newer request cancels the computation silently.
    fn answer(&mut self, question: Request) {
        if self.session.method().is_none() {
            return;
        }
        self.begin();
        // A request for a further step need not be saved, because it belongs to a run whose request was already saved.
        if matches!(question, Request::Run | Request::View) {
            self.keep_question(false);
        }
        self.host.guard().start(self.known);
        self.dropped = None;
        if matches!(question, Request::Next) {
            self.keep_later_steps();
        }
        let answer = match question {
            Request::Run => self.session.run(&self.host),
            Request::View => self.session.view(&self.host),
            Request::Next => self.session.next(&self.host),
            Request::Seek(step) => self.session.seek(&self.host, step),
        };
        match answer {
            Ok(frame) => {
                let frame = Frame { generation: self.generation.load(Ordering::Relaxed), ..frame };
                self.keeping.iter_mut().for_each(Autosave::answered);
                frame.notes.iter().for_each(|note| self.tell(Update::Log(note.clone())));
                self.shown = Some(frame.clone());
                self.tell(Update::Frame(frame));
                self.tell_command();
                self.keep_step(false);
            }
            Err(_) if self.host.guard().is_cancelled() => self.dropped = Some(question),
            Err(error) => {
                self.playing = false;
                self.keeping.iter_mut().for_each(Autosave::settle);
                self.tell(Update::Failed(Report::of(error)));
            }
        }
    }

    /// The session as it is saved to a file; `None` if no method is open.
    fn opened(&self) -> Option<Workspace> {
        Workspace::of(&self.session, &self.origin.asked, self.origin.weights.as_deref(), self.no_resize)
    }

    /// Saves the request that is about to be processed. An unchanged request is saved again only if `script_changed` is set.
    fn keep_question(&mut self, script_changed: bool) {
        let opened = self.opened();
        self.keeping.iter_mut().for_each(|keeping| keeping.begins(opened.clone(), script_changed));
    }

    fn keep_step(&mut self, at_once: bool) {
        let session = &self.session;
        self.keeping.iter_mut().for_each(|keeping| keeping.step(at_once, || workspace::step(session)));
    }

    fn end(mut self) {
        self.host.guard().hold(true);
        self.keep_step(true);
        self.keeping.iter_mut().for_each(Autosave::end);
    }

    fn begin(&mut self) {
        if !self.busy {
            self.busy = true;
            self.tell(Update::Busy(true));
        }
    }

    fn rest(&mut self) {
        notes::take().into_iter().for_each(|note| self.tell(Update::Log(note)));
        if self.busy {
            self.busy = false;
            self.tell(Update::Busy(false));
        }
    }

    /// Reloads the open method and the open architecture if their files were saved.
    fn saved(&mut self, files: &[PathBuf], known: u64) {
        self.known = known;
        self.host.guard().start(u64::MAX);
        let models = self.host.models().existing();
        if files.iter().any(|f| models.iter().any(|m| within(f, m))) {
            self.reopen();
        }
        let reloaded = self.reload();
        if !files.is_empty() || !matches!(reloaded, Ok(false)) {
            self.list_methods();
        }
        match (reloaded, self.dropped) {
            (Err(error), _) => self.tell(Update::Failed(Report::of(error))),
            (Ok(false), Some(question)) => self.answer(question),
            _ => {}
        }
    }

    fn reopen(&mut self) {
        let (card, file) = (self.session.model().card.clone(), self.origin.weights.clone());
        let (name, weights) = again(card.opened_by(file.as_deref()), file.as_deref());
        if let Err(error) = self.open_model(name, weights, &card.flags()) {
            self.tell(Update::Failed(Report::of(error)));
        }
    }

    /// Reloads the open method if its source code or that of an imported library has changed; returns whether it was reloaded.
    fn reload(&mut self) -> Result<bool> {
        let Some(old) = self.session.method().cloned() else { return Ok(false) };
        if !self.watch.is_new(&old, self.host.plugins()) {
            return Ok(false);
        }
        let begun = Instant::now();
        let method = self.host.again(&old)?;
        self.session.reload(method);
        self.keep_question(true);
        let millis = begun.elapsed().as_secs_f64() * 1e3;
        self.tell(Update::Reloaded { method: old.name, millis });
        self.tell_method();
        self.answer(Request::View);
        Ok(true)
    }
}

fn within(file: &Path, folder: &Path) -> bool {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    file.canonicalize().unwrap_or_else(|_| file.to_path_buf()).starts_with(folder)
}
