//! Watches the script folders, and reports each saved file once, when the save is complete.

use crate::script::folders::Folders;
use crate::script::group_folders::script_name;
use crate::script::method::Method;
use crate::sync::LockUnpoisoned;
use anyhow::{Context, Result};
use notify::event::{EventKind, ModifyKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A save counts as complete once there have been no events for this long, since editors save in several operations: they truncate,
/// write and rename.
const QUIET: Duration = Duration::from_millis(30);

/// Watches script folders, and tracks changes to the open script.
pub(super) struct Watch {
    watcher: RecommendedWatcher,
    folders: Vec<PathBuf>,
    /// The source code of the open script and its libraries as last checked for changes.
    judged: Option<String>,
    /// Name of the open script.
    open: Arc<Mutex<String>>,
}

impl Watch {
    /// Creates a watcher that calls `saved` with the saved files and whether the open script or a library is among them. No folder
    /// is watched until [`Watch::add`] is called.
    pub(super) fn new(saved: impl Fn(Vec<PathBuf>, bool) + Send + 'static) -> Result<Self> {
        let (send, events) = channel();
        let watcher = notify::recommended_watcher(move |event| drop(send.send(event)));
        let watcher = watcher.context("starting to watch the script folders")?;
        let open = Arc::<Mutex<String>>::default();
        let name = open.clone();
        let tell = move |files: Vec<PathBuf>| {
            let touched = files.iter().any(|f| concerns(f, &name.lock_unpoisoned()));
            saved(files, touched);
        };
        let thread = std::thread::Builder::new().name("watch".into());
        thread.spawn(move || gather(&events, tell)).context("starting the watcher thread")?;
        Ok(Self { watcher, folders: vec![], judged: None, open })
    }

    /// Watches another folder recursively. If the folder cannot be watched, changes are detected only by polling.
    pub(super) fn add(&mut self, folder: &Path) {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        if !self.folders.iter().any(|f| f == folder) && self.watcher.watch(folder, RecursiveMode::Recursive).is_ok() {
            self.folders.push(folder.into());
        }
    }

    /// Whether the source code of a method or of a library it imports differs both from the compiled version and from the version
    /// last checked. An empty file does not count as changed, since an editor is probably still writing it.
    pub(super) fn is_new(&mut self, method: &Method, folders: &Folders) -> bool {
        let Some(text) = present(method, folders).filter(|t| !t.trim().is_empty()) else { return false };
        let judged = self.judged.take().unwrap_or_else(|| method.all_text());
        let new = text != judged;
        self.judged = Some(text);
        new
    }

    /// Sets the open method, whose script is tracked from now on.
    pub(super) fn open(&mut self, name: &str) {
        self.judged = None;
        let stem = Path::new(name).file_stem().unwrap_or_default().to_string_lossy();
        *self.open.lock_unpoisoned() = stem.into_owned();
    }
}

/// The current source code of a method's script followed by that of its libraries; `None` if the method's file cannot be read.
fn present(method: &Method, folders: &Folders) -> Option<String> {
    let text = method.source.again(folders).ok()?.text;
    let library = |name: &str| folders.find(name).ok().flatten().map(|s| s.text).unwrap_or_default();
    Some(method.library_names().fold(text, |all, name| all + library(name).as_str()))
}

/// Collects the files named in events until there have been no events for [`QUIET`], then calls `saved` with them; repeats until
/// the channel is closed.
fn gather(events: &Receiver<notify::Result<Event>>, saved: impl Fn(Vec<PathBuf>)) {
    while let Ok(first) = events.recv() {
        let mut files = vec![];
        let mut next = Some(first);
        while let Some(event) = next {
            files.extend(event.into_iter().filter(changes).flat_map(|e| e.paths).filter(|p| script_name(p).is_some()));
            next = events.recv_timeout(QUIET).ok();
        }
        files.sort();
        files.dedup();
        if !files.is_empty() {
            saved(files);
        }
    }
}

/// Whether an event changes the content of a file. Reads do not, and the worker's own reads must not be reported.
fn changes(event: &Event) -> bool {
    let metadata = matches!(event.kind, EventKind::Modify(ModifyKind::Metadata(_)));
    !metadata && !matches!(event.kind, EventKind::Access(_))
}

/// Whether a file is the script named `open`, or a library that this script may import.
fn concerns(file: &Path, open: &str) -> bool {
    let library = file.parent().is_some_and(|folder| folder.ends_with("lib"));
    library || file.file_stem().is_some_and(|stem| stem.to_string_lossy() == open)
}
