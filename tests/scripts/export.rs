//! Exported results: each figure is rendered once, and `result.json` lists the files.

use crate::common::{host, session};
use gradscope::render::{Body, Figure};
use gradscope::script::export;
use std::cell::RefCell;
use std::fs;
use std::path::Path;

/// The titles of figures in the order in which they were rendered while a result was exported to a folder.
fn painted(method: &str, folder: &Path) -> (Vec<Figure>, Vec<String>) {
    let host = host();
    let mut session = session(&host);
    session.open(host.method(method).unwrap());
    let frame = session.run(&host).unwrap();
    let titles = RefCell::new(vec![]);
    let paint = |figure: &Figure| {
        titles.borrow_mut().push(figure.title.clone());
        export::paint(figure)
    };
    let written = export::write(folder, &session, &host, &frame, paint).unwrap();
    assert!(written.iter().all(|file| file.is_file()), "{written:?}");
    assert_eq!(written.last(), Some(&folder.join("result.json")));
    assert_eq!(fs::read_dir(folder).unwrap().count(), written.len());
    (frame.figures, titles.into_inner())
}

#[test]
fn each_figure_of_a_result_is_painted_once_and_its_files_are_named() {
    for method in ["network", "gradcam", "completeness", "pgd"] {
        let folder = tempfile::tempdir().unwrap();
        let (figures, painted) = painted(method, folder.path());
        let titles: Vec<_> = figures.iter().map(|figure| figure.title.clone()).collect();
        assert_eq!(painted, titles, "{method}");
        let text = fs::read_to_string(folder.path().join("result.json")).unwrap();
        let result: serde_json::Value = serde_json::from_str(&text).unwrap();
        for (figure, named) in figures.iter().zip(result["figures"].as_array().unwrap()) {
            let file = named["file"].as_str().unwrap();
            let words = matches!(figure.body, Body::Text { .. } | Body::Table { .. } | Body::Badge { .. });
            assert!(file.ends_with(if words { ".txt" } else { ".png" }), "{method}: {file}");
            assert!(folder.path().join(file).is_file(), "{method}: {file}");
            assert_eq!(named["raw"].is_string(), figure.values().is_some(), "{method}: {file}");
        }
    }
}
