//! The gallery of the app: several methods for several classes.

use crate::worker::{COUNTER, Desk};
use gradscope::render::text;
use gradscope::worker::message::{Command, GalleryCell, Update};
use std::fs;
use std::path::{Path, PathBuf};

const CLASS: &str = "const PLUGIN = #{ group: \"test\", params: [param(\"by\", 1, 0..=9, \"factor\")] };
fn run(cx) { text(`${cx.params.by} times ${cx.target}`, \"class\") }";

fn desk() -> Desk {
    let desk = Desk::new("class", CLASS);
    desk.frame();
    fs::write(desk.script("counter"), COUNTER).unwrap();
    fs::write(desk.script("fails"), "const PLUGIN = #{ group: \"test\" };\nfn run(cx) { throw \"on purpose\" }")
        .unwrap();
    desk.next(|u| match u {
        Update::Methods(rows) => rows.iter().any(|row| row.name == "fails").then_some(()),
        _ => None,
    });
    desk
}

fn gallery(methods: &[&str], classes: &[usize]) -> Command {
    Command::Gallery { methods: methods.iter().map(|name| (*name).to_owned()).collect(), classes: classes.to_vec() }
}

/// The next results of the gallery, as text.
fn results(desk: &Desk, count: usize) -> Vec<String> {
    let result = |index: usize| {
        desk.next(|u| match u {
            Update::GalleryCell(at, cell) => {
                assert_eq!(*at, index);
                Some(match cell {
                    GalleryCell::Figures(figures) => text(&figures[0], 80).unwrap(),
                    GalleryCell::Failed(why) => format!("failed: {why}"),
                })
            }
            _ => None,
        })
    };
    (0..count).map(result).collect()
}

/// The methods of the results in a folder.
fn saved(folder: &Path) -> Vec<String> {
    let folders = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |folder: PathBuf| fs::read(folder.join("result.json")).unwrap();
    let method = |folder| serde_json::from_slice::<serde_json::Value>(&read(folder)).unwrap()["method"].clone();
    let mut methods: Vec<_> = folders.map(|folder| method(folder).as_str().unwrap().to_owned()).collect();
    methods.sort();
    methods
}

#[test]
fn each_method_runs_to_its_end_for_each_class_and_an_error_takes_the_place_of_a_result() {
    let desk = desk();
    desk.ask(Command::Set("by".into(), "7".into()));
    desk.ask(gallery(&["class", "counter", "fails", "nowhere"], &[1, 0]));
    let seen = results(&desk, 8);
    let all = [
        "7 times 1",
        "n = 91",
        "failed: on purpose",
        "failed: ",
        "7 times 0",
        "n = 91",
        "failed: on purpose",
        "failed: ",
    ];
    for (seen, wanted) in seen.iter().zip(all) {
        assert!(seen.starts_with(wanted), "{seen} instead of {wanted}");
    }
    assert!(seen[3].contains("nowhere"), "{}", seen[3]);
    // The open method, its parameters and its target stay.
    desk.ask(Command::Restart);
    assert!(desk.words().starts_with("7 times "));
    let out = desk.folder.path().join("out");
    desk.ask(Command::SaveGallery(out.clone()));
    desk.next(|u| matches!(u, Update::Log(line) if line.contains("saved 4 results")).then_some(()));
    assert!(!out.join("gallery.png").exists(), "there is no picture");
    assert_eq!(saved(&out), ["class", "class", "counter", "counter"]);
    desk.ask(Command::SaveGallery(out.join("film.gif")));
    desk.next(|u| matches!(u, Update::Failed(report) if report.to_string().contains("no steps")).then_some(()));
}

#[test]
fn a_cancelled_gallery_keeps_its_complete_results() {
    let desk = desk();
    let endless = "const PLUGIN = #{ group: \"test\" };\nfn run(cx) { loop {} }";
    fs::write(desk.script("endless"), endless).unwrap();
    desk.next(|u| match u {
        Update::Methods(rows) => rows.iter().any(|row| row.name == "endless").then_some(()),
        _ => None,
    });
    desk.ask(gallery(&["class", "endless"], &[0]));
    assert!(results(&desk, 1)[0].starts_with("1 times 0"));
    desk.ask(Command::Cancel);
    desk.next(|u| matches!(u, Update::Said(line) if line.contains("1 of 2 results are complete")).then_some(()));
    let out = desk.folder.path().join("out");
    desk.ask(Command::SaveGallery(out.clone()));
    desk.next(|u| matches!(u, Update::Log(line) if line.contains("saved 1 result ")).then_some(()));
    assert_eq!(saved(&out), ["class"]);
    desk.ask(gallery(&["class"; 20], &[0; 11]));
    desk.next(|u| matches!(u, Update::Failed(report) if report.to_string().contains("at most 200")).then_some(()));
}
