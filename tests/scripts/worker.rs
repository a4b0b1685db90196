//! The worker thread of the app: updates it sends, commands it drops, and the effect of saving a script.

use crate::common::{picture, tiny};
use candle_core::Tensor;
use gradscope::data::Picture;
use gradscope::data::lock::Lock;
use gradscope::data::recent_folders::RecentFolders;
use gradscope::script::architecture::Architectures;
use gradscope::script::architecture::open_model::{again, file_of};
use gradscope::script::folders::Folders;
use gradscope::script::host::Host;
use gradscope::script::session::workspace::{Workspace, go_on};
use gradscope::script::session::{Session, Target};
use gradscope::script::summary::Frame;
use gradscope::worker::message::{Command, Update};
use gradscope::worker::{SessionFile, WorkerHandle, WorkerInit, start};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// A worker with a temporary folder of scripts.
pub struct Desk {
    pub folder: tempfile::TempDir,
    asker: WorkerHandle,
    updates: Receiver<Update>,
}

pub const COUNTER: &str = "const PLUGIN = #{ group: \"test\", params: [param(\"by\", 1, 0..=9, \"added\")] };
fn start(cx) { #{ n: 0, scalars: #{ n: 0 } } }
fn step(cx, s) { s.n += cx.params.by; s.scalars.n = s.n; if s.n > 90 { s.done = \"full\"; } s }
fn view(cx, s) { text(`n = ${s.n}`, \"count\") }";

pub fn words(text: &str) -> String {
    format!("const PLUGIN = #{{ group: \"test\" }};\nfn run(cx) {{\n  text(\"{text}\", \"words\")\n}}")
}

impl Desk {
    /// Opens one method.
    pub fn new(method: &str, text: &str) -> Self {
        Self::in_folder("", method, text)
    }

    /// The same, in a subfolder.
    fn in_folder(group: &str, method: &str, text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join(group)).unwrap();
        fs::write(folder.path().join(group).join(format!("{method}.rhai")), text).unwrap();
        let plugins = Folders::plugins(Some(folder.path()));
        let host = Host::new(plugins, Folders::models(None).embedded_only());
        let mut session = Session::new(&host, tiny(), "drawn", picture()).unwrap();
        session.open(host.method(method).unwrap());
        let raw = Picture::Values(picture().squeeze(0).unwrap());
        let opening = WorkerInit::new(host, session, raw, "drawn".into(), RecentFolders::default());
        let opening = WorkerInit { no_resize: true, ..opening };
        let (asker, updates) = start(opening).unwrap();
        Self { folder, asker, updates }
    }

    pub fn script(&self, method: &str) -> PathBuf {
        self.folder.path().join(format!("{method}.rhai"))
    }

    /// The next update that `find` accepts, within ten seconds.
    pub fn next<T>(&self, find: impl Fn(&Update) -> Option<T>) -> T {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let update = self.updates.recv_timeout(end.saturating_duration_since(Instant::now()));
            if let Some(found) = find(&update.expect("an answer in time")) {
                return found;
            }
        }
    }

    pub fn frame(&self) -> Frame {
        self.next(|u| match u {
            Update::Frame(frame) => Some(frame.clone()),
            Update::Failed(report) => panic!("{report}"),
            _ => None,
        })
    }

    pub fn words(&self) -> String {
        gradscope::render::text(&self.frame().figures[0], 80).unwrap()
    }

    fn failure(&self) -> String {
        self.next(|u| match u {
            Update::Failed(report) => Some(report.to_string()),
            _ => None,
        })
    }

    pub fn ask(&self, command: Command) {
        self.asker.ask(command);
    }
}

#[test]
fn the_open_method_is_computed_at_once() {
    assert_eq!(Desk::new("words", &words("hello")).words(), "hello");
}

#[test]
fn a_save_in_a_group_folder_is_noticed_and_a_new_file_is_listed() {
    let desk = Desk::in_folder("odd_ones", "words", &words("hello"));
    assert_eq!(desk.words(), "hello");
    let folder = desk.folder.path().join("odd_ones");
    fs::write(folder.join("words.rhai"), words("again")).unwrap();
    assert_eq!(desk.words(), "again");
    fs::write(folder.join(".#other.rhai"), words("an editor's")).unwrap();
    fs::write(folder.join("other.rhai"), words("new").replace("group: \"test\"", "")).unwrap();
    let listed = desk.next(|u| match u {
        Update::Methods(rows) => rows.iter().find(|row| row.name == "other").map(|row| row.group.clone()),
        _ => None,
    });
    assert_eq!(listed, "odd ones");
    desk.ask(Command::Method("other".into()));
    assert_eq!(desk.words(), "new");
}

#[test]
fn a_network_with_non_finite_scores_stays_open_for_methods_that_need_no_class() {
    let desk = Desk::new("look", "const PLUGIN = #{ group: \"test\" };\nfn run(cx) { image(cx.input, \"input\") }");
    desk.frame();
    let own = Architectures::new(Folders::models(None), &Arc::default()).open("shapes", None).unwrap().graph.weights();
    let nan =
        |(name, w): (String, Tensor)| if name.ends_with("bias") { (name, (w * f64::NAN).unwrap()) } else { (name, w) };
    let file = desk.folder.path().join("nan.safetensors");
    candle_core::safetensors::save(&own.into_iter().map(nan).collect(), &file).unwrap();
    desk.ask(Command::Model { name: "shapes".into(), weights: Some(file) });
    let classes = desk.next(|u| if let Update::Picture { classes, .. } = u { Some(classes.len()) } else { None });
    assert_eq!(classes, 0);
    assert_eq!(desk.next(|u| if let Update::Target(target) = u { Some(target.clone()) } else { None }), None);
    let told = desk.next(|u| if let Update::Log(line) = u { Some(line.clone()) } else { None });
    assert!(told.contains("scores are not finite: 10 of 10 are NaN; first in layer"), "{told}");
    assert_eq!(desk.frame().figures[0].title, "input");
    fs::write(desk.script("ask"), "const PLUGIN = #{ group: \"test\" };\nfn run(cx) { text(`${cx.target}`, \"t\") }")
        .unwrap();
    desk.ask(Command::Method("ask".into()));
    assert!(desk.failure().contains("scores are not finite"));
    desk.ask(Command::Target(Some(Target::Class(3))));
    assert_eq!(desk.words(), "3");
}

#[test]
fn a_picture_with_invalid_pixels_is_refused_and_the_previous_one_stays() {
    let desk = Desk::new("words", &words("hello"));
    desk.frame();
    let file = desk.folder.path().join("bytes.npy");
    gradscope::data::write_npy(&file, &[1, 6, 6], &[200.0; 36]).unwrap();
    desk.ask(Command::Picture(file.to_str().unwrap().into()));
    let told = desk.failure();
    assert!(told.contains("divide them by 255"), "{told}");
    desk.ask(Command::Restart);
    assert_eq!(desk.words(), "hello");
}

#[test]
fn steps_move_forward_back_and_to_an_index_and_a_changed_parameter_continues_from_there() {
    let desk = Desk::new("counter", COUNTER);
    assert_eq!(desk.words(), "n = 0");
    let ask = |command| {
        desk.ask(command);
        desk.words()
    };
    assert_eq!(ask(Command::Step), "n = 1");
    assert_eq!(ask(Command::Step), "n = 2");
    assert_eq!(ask(Command::Back), "n = 1");
    assert_eq!(ask(Command::Step), "n = 2");
    assert_eq!(ask(Command::Seek(1)), "n = 1");
    assert_eq!(ask(Command::Set("by".into(), "5".into())), "n = 1");
    assert_eq!(ask(Command::Step), "n = 6");
    assert_eq!(ask(Command::Restart), "n = 0");
}

#[test]
fn playing_ends_with_the_method_and_frames_carry_their_request() {
    let desk = Desk::new("counter", COUNTER);
    desk.frame();
    desk.ask(Command::Set("by".into(), "9".into()));
    assert_eq!(desk.frame().generation, 1);
    desk.ask(Command::Play);
    let last = desk.next(|u| match u {
        Update::Frame(f) if f.done.is_some() => Some(f.clone()),
        _ => None,
    });
    assert_eq!((last.step, last.done.as_deref()), (11, Some("full")));
    assert_eq!(last.scalars[0].1.len(), 12);
    desk.next(|u| matches!(u, Update::Busy(false)).then_some(()));
}

#[test]
fn a_playing_run_continues_with_a_changed_parameter_and_ends_at_an_invalid_one() {
    let slow = COUNTER.replace("fn step(cx, s) {", "fn step(cx, s) { for i in 0..20000 { i + 1; }");
    let desk = Desk::new("counter", &slow);
    desk.frame();
    desk.ask(Command::Play);
    desk.next(|u| matches!(u, Update::Frame(f) if f.step == 3).then_some(()));
    desk.ask(Command::Set("by".into(), "9".into()));
    let last = desk.next(|u| match u {
        Update::Frame(f) if f.done.is_some() => Some(f.clone()),
        _ => None,
    });
    assert!(last.step < 40, "steps of 1, then of 9, without a continue command: {}", last.step);
    let desk = Desk::new("counter", &slow);
    desk.frame();
    desk.ask(Command::Play);
    desk.next(|u| matches!(u, Update::Frame(f) if f.step == 1).then_some(()));
    desk.ask(Command::Set("by".into(), "many".into()));
    desk.failure();
    desk.next(|u| matches!(u, Update::Busy(false)).then_some(()));
}

#[test]
fn a_newer_request_soon_ends_an_endless_one() {
    let desk = Desk::new("words", &words("hello"));
    desk.frame();
    fs::write(desk.script("endless"), words("x").replace("text(", "loop { cx.input.abs(); }\n text(")).unwrap();
    desk.ask(Command::Method("endless".into()));
    desk.next(|u| matches!(u, Update::Method(card) if card.name == "endless").then_some(()));
    std::thread::sleep(Duration::from_millis(50));
    let begun = Instant::now();
    desk.ask(Command::Method("words".into()));
    assert_eq!(desk.words(), "hello");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn invalid_requests_are_reported_and_the_previous_result_stays() {
    let desk = Desk::new("counter", COUNTER);
    desk.frame();
    desk.ask(Command::Set("by".into(), "10".into()));
    assert!(desk.failure().contains("an integer from 0 to 9"));
    desk.ask(Command::Set("bye".into(), "1".into()));
    assert!(desk.failure().contains("did you mean \"by\""));
    desk.ask(Command::Method("nowhere".into()));
    assert!(desk.failure().contains("no method named \"nowhere\""));
    desk.ask(Command::Picture("nowhere.png".into()));
    assert!(desk.failure().contains("nowhere.png"));
    desk.ask(Command::Model { name: "nowhere".into(), weights: None });
    assert!(desk.failure().contains("no architecture named \"nowhere\""));
    desk.ask(Command::Target(Some(Target::Class(99))));
    assert!(desk.failure().contains("no class 99"));
    desk.ask(Command::Step);
    assert_eq!(desk.words(), "n = 1");
}

/// As `cp` and most programs save: the file is truncated and rewritten.
fn in_place(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

/// As vim saves: the old file is renamed, a new one is written, and the old one is removed.
fn by_backup(path: &Path, text: &str) {
    let backup = path.with_extension("rhai~");
    fs::rename(path, &backup).unwrap();
    fs::write(path, text).unwrap();
    fs::remove_file(backup).unwrap();
}

/// As helix saves: a temporary file next to it is renamed to it.
fn by_rename(path: &Path, text: &str) {
    let temporary = path.with_extension("tmp");
    fs::write(&temporary, text).unwrap();
    fs::rename(temporary, path).unwrap();
}

#[test]
fn a_saved_script_is_shown_however_it_was_saved() {
    let desk = Desk::new("words", &words("first"));
    assert_eq!(desk.words(), "first");
    for (i, save) in [in_place, by_backup, by_rename, in_place, by_rename, by_backup].into_iter().enumerate() {
        let text = format!("version {i}");
        save(&desk.script("words"), &words(&text));
        assert_eq!(desk.words(), text);
    }
}

#[test]
fn a_broken_script_is_reported_with_its_line_while_the_last_good_version_stays() {
    let desk = Desk::new("counter", COUNTER);
    desk.frame();
    desk.ask(Command::Step);
    assert_eq!(desk.words(), "n = 1");
    fs::write(desk.script("counter"), COUNTER.replace("s.n += cx", "s.n +== cx")).unwrap();
    assert!(desk.failure().starts_with("counter:3:"));
    desk.ask(Command::Step);
    assert_eq!(desk.words(), "n = 2");
    fs::write(desk.script("counter"), COUNTER.replace("n = $", "count = $")).unwrap();
    assert_eq!(desk.words(), "count = 2");
    desk.ask(Command::Step);
    assert_eq!(desk.words(), "count = 3");
}

#[test]
fn saving_a_library_reruns_the_plugin_that_imports_it() {
    let desk = Desk::new("words", &words("first"));
    desk.frame();
    fs::create_dir(desk.folder.path().join("lib")).unwrap();
    fs::write(desk.script("lib/say"), "fn it() { \"one\" }").unwrap();
    let text =
        "import \"lib/say\" as say;\nconst PLUGIN = #{ group: \"test\" };\nfn run(cx) { text(say::it(), \"w\") }";
    fs::write(desk.script("words"), text).unwrap();
    assert_eq!(desk.words(), "one");
    fs::write(desk.script("lib/say"), "fn it() { \"two\" }").unwrap();
    assert_eq!(desk.words(), "two");
}

#[test]
fn figures_are_saved_as_files() {
    let desk = Desk::new("words", &words("hello"));
    desk.frame();
    let out = desk.folder.path().join("out");
    desk.ask(Command::Save(out.clone()));
    desk.next(|u| matches!(u, Update::Log(line) if line.starts_with("saved 3 files")).then_some(()));
    assert_eq!(fs::read_to_string(out.join("01-words.txt")).unwrap(), "hello\n");
    assert!(fs::read_to_string(out.join("result.json")).unwrap().contains("\"method\": \"words\""));
    assert!(out.join("logits.npy").is_file());
}

#[test]
fn steps_are_saved_as_a_film_and_figures_as_a_sheet() {
    let text = "const PLUGIN = #{ group: \"test\" };
fn start(cx) { #{ n: 0 } }
fn step(cx, s) { s.n += 1; s }
fn view(cx, s) { [image(cx.input * (s.n / 4.0), \"dim\")] }";
    let desk = Desk::new("film", text);
    desk.frame();
    for _ in 0..3 {
        desk.ask(Command::Step);
        desk.frame();
    }
    let (film, sheet) = (desk.folder.path().join("steps.gif"), desk.folder.path().join("sheet.png"));
    desk.ask(Command::Save(film.clone()));
    desk.ask(Command::Save(sheet.clone()));
    desk.next(|u| matches!(u, Update::Log(line) if line.starts_with("saved a contact sheet")).then_some(()));
    let decoder = image::codecs::gif::GifDecoder::new(std::io::BufReader::new(fs::File::open(&film).unwrap())).unwrap();
    let frames = image::AnimationDecoder::into_frames(decoder).collect_frames().unwrap();
    assert_eq!(frames.len(), 4);
    let bright = |i: usize| frames[i].buffer().pixels().map(|p| u64::from(p.0[0])).sum::<u64>();
    assert!(bright(0) < bright(1) && bright(1) < bright(3), "each step is seen");
    let sheet = image::open(sheet).unwrap();
    assert_eq!((sheet.width(), sheet.height()), (frames[0].buffer().width(), frames[0].buffer().height()));
    desk.ask(Command::Keep("mine".into()));
    assert!(desk.failure().contains("sessions are not saved"));
}

#[test]
fn branches_are_independent_and_keep_their_steps() {
    let desk = Desk::new("counter", COUNTER);
    desk.frame();
    let ask = |command| {
        desk.ask(command);
        desk.words()
    };
    ask(Command::Step);
    assert_eq!(ask(Command::Fork), "n = 1");
    ask(Command::Set("by".into(), "5".into()));
    assert_eq!(ask(Command::Step), "n = 6");
    assert_eq!(ask(Command::Branch(0)), "n = 1", "the first branch is unchanged");
    assert_eq!(ask(Command::Step), "n = 2", "it has its own parameters");
    assert_eq!(ask(Command::Branch(1)), "n = 6");
    assert_eq!(ask(Command::Back), "n = 1", "both branches keep the steps before the fork");
    assert_eq!(ask(Command::CloseBranch), "n = 2");
    desk.ask(Command::Branch(1));
    let said = desk.next(|u| match u {
        Update::Failed(report) => Some(report.message.clone()),
        _ => None,
    });
    assert_eq!(said, "no branch B; number of branches: 1");
}

#[test]
fn the_session_is_saved_and_reopened_at_its_step() {
    let folder = tempfile::tempdir().unwrap();
    let plugins = || Folders::plugins(Some(folder.path()));
    fs::write(folder.path().join("counter.rhai"), COUNTER).unwrap();
    let session = |host: &Host, set: &[(String, String)]| {
        let mut session = Session::new(host, tiny(), "drawn", picture()).unwrap();
        session.open(host.method("counter").unwrap());
        set.iter().for_each(|(name, value)| session.set(name, value).unwrap());
        session
    };
    let file = folder.path().join("last.json");
    let host = Host::new(plugins(), Folders::models(None).embedded_only());
    let (started, raw) = (session(&host, &[]), Picture::Values(picture().squeeze(0).unwrap()));
    let opening = WorkerInit {
        no_resize: true,
        session_file: Some(SessionFile { lock: Lock::claim(&file).unwrap().unwrap(), file: file.clone() }),
        ..WorkerInit::new(host, started, raw, "drawn".into(), RecentFolders::default())
    };
    let (asker, updates) = start(opening).unwrap();
    let desk = Desk { folder: tempfile::tempdir().unwrap(), asker, updates };
    desk.frame();
    for command in [Command::Step, Command::Set("by".into(), "5".into()), Command::Step] {
        desk.ask(command);
        desk.frame();
    }
    desk.asker.end();

    let opened = Workspace::read(&file).unwrap().unwrap();
    assert_eq!((opened.method.as_str(), opened.picture.as_str()), ("counter", "drawn"));
    assert_eq!(opened.set, [("by".to_string(), "5".to_string())]);
    let host = Host::new(plugins(), Folders::models(None).embedded_only());
    let mut again = session(&host, &opened.set);
    host.method("gradcam").expect("another method, with libraries of its own");
    again.reload(host.method("counter").unwrap());
    assert!(go_on(&file, &mut again).unwrap());
    assert_eq!(again.cursor(), 2);
    let words = |frame: Frame| gradscope::render::text(&frame.figures[0], 80).unwrap();
    assert_eq!(words(again.view(&host).unwrap()), "n = 6");
    assert!(format!("{:#}", again.seek(&host, 1).unwrap_err()).contains("earlier session"));
    assert_eq!(words(again.step(&host).unwrap()), "n = 11");
    let mut other = session(&host, &[]);
    assert!(format!("{:#}", go_on(&file, &mut other).unwrap_err()).contains("changed: parameters"));
}

#[test]
fn a_damaged_session_file_is_reported_and_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("last.json");
    assert!(Workspace::read(&file).unwrap().is_none());
    fs::write(&file, "{ \"form\": 1,").unwrap();
    assert!(format!("{:#}", Workspace::read(&file).unwrap_err()).contains("last.json"));
}

/// The folders that the worker last reported.
fn recent(update: &Update) -> Option<Vec<PathBuf>> {
    if let Update::RecentFolders(folders) = update { Some(folders.clone()) } else { None }
}

#[test]
fn a_model_opens_again_from_its_file_whose_folder_is_remembered() {
    let desk = Desk::new("words", &words("hello"));
    assert!(desk.next(recent).is_empty());
    desk.frame();
    let folder = tempfile::tempdir().unwrap();
    let architectures = Architectures::new(Folders::models(None), &Arc::default());
    let own = architectures.open("shapes", None).unwrap().graph.weights();
    let file = folder.path().join("mine.safetensors");
    candle_core::safetensors::save(&own.into_iter().collect(), &file).unwrap();
    desk.ask(Command::Model { name: file.to_str().unwrap().into(), weights: None });
    assert_eq!(desk.next(recent), [folder.path().canonicalize().unwrap()]);
    let opened = desk.next(|u| if let Update::Model(card) = u { Some(card.name.clone()) } else { None });
    assert_eq!(opened, "shapes");
    desk.frame();
    let from = file_of(file.to_str().unwrap(), None);
    assert_eq!(again(&opened, from.as_deref()), ("shapes", Some(file.as_path())));
    assert_eq!(
        again("net.onnx", Some(Path::new("/a/net.onnx"))),
        ("/a/net.onnx", None),
        "a graph needs no architecture"
    );
    assert_eq!((file_of("resnet18", None), file_of("a.pt2", None)), (None, Some("a.pt2".into())));
}

#[test]
fn a_wrong_file_leaves_the_present_model_and_its_result() {
    let desk = Desk::new("counter", COUNTER);
    assert_eq!(desk.words(), "n = 0");
    for (name, text, why) in [
        ("a.onnx", "no graph", "a.onnx"),
        ("b.pth", "<!DOCTYPE html>", "web page"),
        ("c.pt2", "PK\x03\x04", "c.pt2"),
        ("d.safetensors", "", "empty"),
    ] {
        let file = desk.folder.path().join(name);
        fs::write(&file, text).unwrap();
        desk.ask(Command::Model { name: file.to_str().unwrap().into(), weights: None });
        assert_eq!(desk.words(), "n = 0", "the result is still that of the present model");
        let failure = desk.failure();
        assert!(failure.contains(why), "{failure}");
    }
    desk.ask(Command::Step);
    assert_eq!(desk.words(), "n = 1");
}

#[test]
fn opening_a_model_can_be_cancelled() {
    let endless = "const PLUGIN = #{ group: \"test\" };\nfn run(cx) { loop { } }";
    let desk = Desk::new("endless", endless);
    desk.next(|u| matches!(u, Update::Busy(true)).then_some(()));
    desk.ask(Command::Model { name: "shapes".into(), weights: None });
    desk.ask(Command::Cancel);
    let said = desk.next(|u| if let Update::Said(line) = u { Some(line.clone()) } else { None });
    assert!(said.starts_with("opening cancelled"), "{said}");
    desk.next(|u| matches!(u, Update::Busy(false)).then_some(()));
    fs::write(desk.script("words"), words("hello")).unwrap();
    desk.ask(Command::Method("words".into()));
    assert_eq!(desk.words(), "hello");
}

#[test]
fn changes_are_undone_and_redone_with_their_steps() {
    let desk = Desk::new("counter", COUNTER);
    desk.frame();
    for _ in 0..2 {
        desk.ask(Command::Step);
        desk.frame();
    }
    desk.ask(Command::Set("by".into(), "7".into()));
    desk.frame();
    desk.ask(Command::Step);
    assert!(desk.words().contains("n = 9"));
    desk.ask(Command::Method("saliency".into()));
    desk.frame();
    let said = |u: &Update| match u {
        Update::Said(line) => Some(line.clone()),
        Update::Failed(report) => panic!("{report}"),
        _ => None,
    };
    desk.ask(Command::Undo);
    assert_eq!(desk.next(said), "undone: method counter → saliency");
    desk.ask(Command::Seek(3));
    assert!(desk.words().contains("n = 9"), "the steps are back");
    desk.ask(Command::Undo);
    assert_eq!(desk.next(said), "undone: by 1 → 7");
    desk.ask(Command::Step);
    assert!(desk.words().contains("n = 3"), "one is added again to the two");
    desk.ask(Command::Undo);
    assert_eq!(desk.next(said), "nothing to undo");
    desk.frame();
    desk.ask(Command::Redo);
    assert_eq!(desk.next(said), "redone: by 1 → 7");
    desk.ask(Command::Redo);
    assert_eq!(desk.next(said), "redone: method counter → saliency");
}

#[test]
fn a_closed_branch_comes_back_with_its_steps() {
    let desk = Desk::new("counter", COUNTER);
    desk.frame();
    desk.ask(Command::Fork);
    desk.frame();
    for _ in 0..3 {
        desk.ask(Command::Step);
        desk.frame();
    }
    let branches = |u: &Update| match u {
        Update::Branches { at, count } => Some((*at, *count)),
        _ => None,
    };
    desk.ask(Command::CloseBranch);
    assert_eq!(desk.next(branches), (0, 1));
    desk.frame();
    desk.ask(Command::Undo);
    assert_eq!(desk.next(branches), (1, 2));
    assert!(desk.words().contains("n = 3"));
    desk.ask(Command::Redo);
    assert_eq!(desk.next(branches), (0, 1));
}

#[test]
fn steps_after_a_step_back_are_kept_as_a_branch() {
    let desk = Desk::new("counter", COUNTER);
    desk.frame();
    for _ in 0..4 {
        desk.ask(Command::Step);
        desk.frame();
    }
    desk.ask(Command::Seek(1));
    desk.frame();
    desk.ask(Command::Step);
    assert!(desk.words().contains("n = 2"), "an unchanged step is shown again");
    desk.ask(Command::Set("by".into(), "5".into()));
    desk.frame();
    desk.ask(Command::Step);
    let said = desk.next(|u| match u {
        Update::Said(line) => Some(line.clone()),
        _ => None,
    });
    assert_eq!(said, "the later steps are kept as branch B");
    assert!(desk.words().contains("n = 7"));
    desk.ask(Command::Branch(1));
    desk.frame();
    desk.ask(Command::Seek(4));
    assert!(desk.words().contains("n = 4"), "branch B has all steps with the old parameter");
}

#[test]
fn the_smallest_radius_that_fools_is_found_by_bisection() {
    // Fooled from a radius of 5.5 on.
    let script = "const PLUGIN = #{ group: \"attack\", params: [param(\"epsilon\", 1.0, 0.0..=64.0, \"radius\")] };
fn start(cx) { #{ r: 0.0 } }
fn step(cx, s) { s.r += 4.0; if s.r >= cx.params.epsilon { s.r = cx.params.epsilon; s.done = \"end\"; } s }
fn view(cx, s) { badge(\"fooled\", s.r >= 5.5) }";
    let desk = Desk::new("ball", script);
    desk.frame();
    desk.ask(Command::MinimalEpsilon);
    let said = desk.next(|u| match u {
        Update::Said(line) => Some(line.clone()),
        Update::Failed(report) => panic!("{report}"),
        _ => None,
    });
    let numbers: Vec<f64> =
        said.split(|c: char| !(c.is_ascii_digit() || c == '.')).filter_map(|w| w.parse().ok()).collect();
    let [found, failed] = numbers[..] else { panic!("{said}") };
    assert!((5.5..5.7).contains(&found) && (5.3..5.5).contains(&failed), "{said}");

    let hopeless = script.replace("s.r >= 5.5", "false");
    let desk = Desk::new("ball", &hopeless);
    desk.frame();
    desk.ask(Command::MinimalEpsilon);
    let why = desk.next(|u| match u {
        Update::Failed(report) => Some(report.message.clone()),
        _ => None,
    });
    assert!(why.contains("does not fool the network with epsilon up to 64"), "{why}");

    let desk = Desk::new("words", &words("none"));
    desk.frame();
    desk.ask(Command::MinimalEpsilon);
    let why = desk.next(|u| match u {
        Update::Failed(report) => Some(report.message.clone()),
        _ => None,
    });
    assert!(why.contains("words has no parameter \"epsilon\""), "{why}");
}

#[test]
fn a_step_after_success_switches_stop_off_and_says_so() {
    let desk = Desk::new("fgsm", include_str!("../../plugins/attack/fgsm.rhai"));
    desk.frame();
    for (name, value) in [("epsilon", "255"), ("step", "8")] {
        desk.ask(Command::Set(name.into(), value.into()));
        desk.frame();
    }
    desk.ask(Command::Play);
    let fooled = desk.next(|u| match u {
        Update::Frame(f) if f.done.is_some() => Some(f.clone()),
        _ => None,
    });
    assert!(fooled.done.as_deref().unwrap().starts_with("fooled"), "{:?}", fooled.done);
    let stop = |update: &Update| match update {
        Update::Method(card) => card.params.iter().find(|p| p.name == "stop").map(|p| p.value.clone()),
        _ => None,
    };
    desk.ask(Command::Step);
    assert_eq!(desk.next(stop), "false", "the form shows that stop is off");
    let said = desk.next(|u| match u {
        Update::Said(line) => Some(line.clone()),
        _ => None,
    });
    assert!(said.contains("stop is off"), "{said}");
    let on = desk.frame();
    assert_eq!((on.step, on.done), (fooled.step + 1, None));
    desk.ask(Command::Step);
    assert_eq!(desk.frame().step, fooled.step + 2);
    desk.ask(Command::Restart);
    assert_eq!(desk.next(stop), "true", "after a restart it stops again");
    assert_eq!(desk.frame().step, 0);
}

#[test]
fn an_opened_data_set_reaches_the_method_and_the_list_of_methods() {
    let text = "const PLUGIN = #{ group: \"test\", needs: [\"data\"] };\nfn run(cx) { text(`${cx.data.len()} pictures`, \"n\") }";
    let desk = Desk::new("counts", text);
    let unmet = |desk: &Desk| {
        desk.next(|u| match u {
            Update::Methods(rows) => Some(rows.iter().find(|row| row.name == "counts")?.unmet),
            _ => None,
        })
    };
    assert_eq!(unmet(&desk), Some("needs a data set"));
    assert!(desk.failure().contains("needs a data set"));
    desk.ask(Command::Data("made:moons".into()));
    let said = desk.next(|u| if let Update::Said(line) = u { Some(line.clone()) } else { None });
    assert!(said.starts_with("data set made:moons: ") && said.ends_with(", 2 classes"), "{said}");
    assert_eq!(unmet(&desk), None);
    let counted = desk.words();
    assert!(counted.ends_with(" pictures"), "{counted}");
    desk.ask(Command::Data("no/such/folder".into()));
    assert_eq!(desk.words(), counted, "the old data set stays");
    assert!(desk.failure().contains("no data set \"no/such/folder\""));
    desk.ask(Command::Undo);
    assert_eq!(unmet(&desk), Some("needs a data set"), "the list follows undo");
}

#[test]
fn weights_open_in_the_architecture_that_they_match() {
    let desk = Desk::new("words", &words("hello"));
    desk.frame();
    let name = |desk: &Desk| desk.next(|u| if let Update::Model(card) = u { Some(card.name.clone()) } else { None });
    let folder = tempfile::tempdir().unwrap();
    let architectures = Architectures::new(Folders::models(None), &Arc::default());
    let own = architectures.open("shapes", None).unwrap().graph.weights();
    let file = folder.path().join("mine.safetensors");
    candle_core::safetensors::save(&own.into_iter().collect(), &file).unwrap();
    for _ in 0..2 {
        desk.ask(Command::Weights(file.clone()));
        assert_eq!(name(&desk), "shapes");
        desk.frame();
    }
    let damaged = folder.path().join("damaged.pth");
    fs::write(&damaged, "no weights").unwrap();
    desk.ask(Command::Weights(damaged));
    assert!(desk.failure().contains("the file is text"));
}
