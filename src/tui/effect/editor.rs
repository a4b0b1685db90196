//! Opens files in the user's editor, and completes paths.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Opens a file at a line in `$VISUAL`, `$EDITOR` or `vi`, and waits until the editor exits. Errors are one-line messages.
pub fn edit(path: &Path, line: Option<usize>) -> Result<(), String> {
    let named = |name: &str| std::env::var(name).ok().filter(|v| !v.trim().is_empty());
    let editor = named("VISUAL").or_else(|| named("EDITOR")).unwrap_or_else(|| "vi".into());
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or("vi");
    let status = Command::new(program).args(words).args(arguments(program, path, line)).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("\"{editor}\" failed: {status}")),
        Err(error) => Err(format!("cannot run \"{editor}\": {error}; set EDITOR to an installed editor")),
    }
}

/// Command-line arguments for opening a file at a line in an editor.
fn arguments(program: &str, path: &Path, line: Option<usize>) -> Vec<OsString> {
    let name = Path::new(program).file_stem().and_then(|n| n.to_str()).unwrap_or("");
    let place = |line: usize| OsString::from(format!("{}:{line}", path.to_string_lossy()));
    match (line, name) {
        (Some(line), "vi" | "vim" | "nvim" | "nano" | "emacs" | "emacsclient" | "kak" | "micro") => {
            vec![format!("+{line}").into(), path.into()]
        }
        (Some(line), "hx" | "helix" | "zed" | "subl") => vec![place(line)],
        (Some(line), "code" | "codium") => vec!["--wait".into(), "--goto".into(), place(line)],
        _ => vec![path.into()],
    }
}

/// Sorted files and folders whose paths start with `text`.
pub fn completions(text: &str) -> Vec<String> {
    let (folder, start) = text.rsplit_once('/').map_or(("", text), |(folder, start)| (folder, start));
    let lead = &text[..text.len() - start.len()];
    let place = if lead.is_empty() { PathBuf::from(".") } else { home(&format!("{folder}/")) };
    let Ok(entries) = std::fs::read_dir(place) else { return Vec::new() };
    let named = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let hidden = name.starts_with('.') && !start.starts_with('.');
        let slash = if entry.path().is_dir() { "/" } else { "" };
        (name.starts_with(start) && !hidden).then(|| format!("{lead}{name}{slash}"))
    };
    let mut found: Vec<_> = entries.flatten().filter_map(named).collect();
    found.sort();
    found
}

/// Expands a leading `~/` to the user's home folder.
pub fn home(path: &str) -> PathBuf {
    let home = || directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_owned());
    match path.strip_prefix("~/").and_then(|rest| Some(home()?.join(rest))) {
        Some(path) => path,
        None => path.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_editor_gets_the_line_in_its_own_syntax() {
        let of = |program, line| arguments(program, Path::new("a.rhai"), line);
        assert_eq!(of("/usr/bin/vim", Some(3)), ["+3", "a.rhai"]);
        assert_eq!(of("hx", Some(3)), ["a.rhai:3"]);
        assert_eq!(of("ed", Some(3)), ["a.rhai"], "an unknown editor gets only the file");
        assert_eq!(of("vim", None), ["a.rhai"]);
    }

    #[test]
    fn paths_complete_to_existing_files() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("photos")).unwrap();
        for name in ["phone.png", "dog.png", ".phidden"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let lead = format!("{}/", folder.path().display());
        let found = completions(&format!("{lead}ph"));
        assert_eq!(found, [format!("{lead}phone.png"), format!("{lead}photos/")]);
        assert!(completions("/there is no such folder/x").is_empty());
    }
}
