//! The app with its worker; and the README's screenshots show what the app shows now. `just screenshots` makes the pictures and the texts anew.

use gradscope::data::recent_folders::RecentFolders;
use gradscope::data::source;
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use gradscope::script::host::Host;
use gradscope::script::session::Session;
use gradscope::tui::effect::Effect;
use gradscope::tui::event::Event;
use gradscope::tui::state::State;
use gradscope::tui::update::update;
use gradscope::worker::message::{Command, Update};
use gradscope::worker::{WorkerHandle, WorkerInit, start};
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// The app with its worker, without a terminal.
pub struct App {
    /// The state of the app.
    pub state: State,
    /// The commands that would have saved figures.
    pub saves: Vec<Command>,
    asker: WorkerHandle,
    updates: Receiver<Update>,
    begun: Instant,
}

impl App {
    /// Opens the built-in network and picture, as on the first start.
    pub fn first_start(columns: u16, rows: u16) -> Self {
        let host = Host::new(Folders::plugins(None).embedded_only(), Folders::models(None).embedded_only());
        let model = Architectures::new(host.models().clone(), host.guard()).open("shapes", None).unwrap();
        let asked = model.card.picture.clone();
        let (name, picture) = source::picture(&asked).unwrap();
        let input = model.card.preprocess().apply(&picture, false).unwrap();
        let mut session = Session::new(&host, model, &name, input).unwrap();
        session.open(host.method("gradcam").unwrap());
        session.opened_as(&asked, None);
        let opening = WorkerInit::new(host, session, picture, asked, RecentFolders::default());
        let (asker, updates) = start(opening).unwrap();
        let mut app = Self { state: State::new(columns, rows), saves: vec![], asker, updates, begun: Instant::now() };
        app.state.graphics = "kitty".into();
        app.settle();
        app
    }

    /// Delivers the worker's messages until it is idle and all requests are answered.
    pub fn settle(&mut self) {
        let end = Instant::now() + Duration::from_secs(60);
        let mut quiet = 0;
        while quiet < 3 {
            assert!(Instant::now() < end, "the worker is idle in time");
            match self.updates.recv_timeout(Duration::from_millis(150)) {
                Ok(said) => {
                    self.happen(Event::Worker(Box::new(said)));
                    quiet = 0;
                }
                Err(_) => {
                    let answered = self.state.run.frame.is_some() && !self.state.stale();
                    quiet += usize::from(self.state.busy.is_none() && answered);
                }
            }
        }
    }

    pub fn happen(&mut self, event: Event) {
        for effect in update(&mut self.state, self.begun.elapsed(), event) {
            match effect {
                Effect::Ask(command @ (Command::Save(_) | Command::SaveGallery(_))) => self.saves.push(command),
                Effect::Ask(command) => self.asker.ask(command),
                _ => {}
            }
        }
    }

    /// The value of a parameter.
    pub fn value(&self, name: &str) -> String {
        let param = self.state.params().iter().find(|param| param.name == name);
        let param = param.unwrap_or_else(|| panic!("{name} in {}", crate::drawing::screen(&self.state)));
        self.state.value(param).to_owned()
    }

    /// The index of a class, as a parameter has it.
    pub fn class(&self, label: &str) -> String {
        let labels = &self.state.model.as_ref().unwrap().labels;
        labels.iter().position(|other| other == label).unwrap().to_string()
    }

    /// Sends a command to the worker, and waits until it is idle.
    pub fn send(&mut self, command: Command) {
        self.state.asked += u64::from(command.asks());
        self.asker.ask(command);
        self.settle();
    }

    /// The text on the screen. Durations vary and are left out.
    fn screen(&mut self) -> String {
        self.state.toast = None;
        let seen = crate::drawing::screen(&self.state);
        // Without durations and pictures in letters.
        let words = |part: &str| {
            let words: Vec<_> = part.split(' ').filter(|word| !word.is_empty()).collect();
            let drawn = |word: &str| word.chars().all(|c| ".:-=+*#%@".contains(c));
            let timed = |at: usize| words.get(at + 1) == Some(&"ms");
            let kept = words.iter().enumerate().filter(|(at, word)| !drawn(word) && !timed(*at)).map(|(_, word)| *word);
            kept.collect::<Vec<_>>().join(" ")
        };
        let line = |line: &str| line.split('│').map(words).collect::<Vec<_>>().join("│") + "\n";
        seen.lines().map(line).collect()
    }
}

fn compare(name: &str, seen: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/screens").join(name);
    if std::env::var_os("GRADSCOPE_WRITE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        return std::fs::write(&path, seen).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == seen, "the screenshot is stale; run `just screenshots`. Now:\n{seen}\nwhen it was taken:\n{kept}");
}

#[test]
fn the_first_screen_is_as_in_the_readme() {
    let mut app = App::first_start(140, 40);
    compare("main.txt", &app.screen());
}

#[test]
fn fgsm_at_its_second_step_is_as_in_the_readme() {
    let mut app = App::first_start(140, 40);
    app.send(Command::Method("fgsm".into()));
    app.send(Command::Step);
    app.send(Command::Step);
    compare("fgsm.txt", &app.screen());
}
