//! Rebuilds the crate when a script is added or removed, because the binary embeds both folders, and records the git commit in
//! release builds.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=plugins");
    println!("cargo:rerun-if-changed=models");
    println!("cargo:rerun-if-env-changed=GRADSCOPE_COMMIT");
    if let Some(commit) = commit() {
        println!("cargo:rustc-env=GRADSCOPE_COMMIT={commit}");
    }
}

/// The commit that is built: the value of `GRADSCOPE_COMMIT`, or in release builds git's commit, with `-dirty` appended if a
/// source file differs from it. `None` in other builds, so that a commit does not rebuild them, and without git.
fn commit() -> Option<String> {
    if let Ok(commit) = std::env::var("GRADSCOPE_COMMIT") {
        return Some(commit).filter(|commit| !commit.is_empty());
    }
    let release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    // In a vendored copy, git would find the repository of the program that contains it.
    if !release || !Path::new(".git").exists() {
        return None;
    }
    println!("cargo:rerun-if-changed={}", git(&["rev-parse", "--git-path", "logs/HEAD"])?);
    ["src", "crates"].iter().for_each(|folder| println!("cargo:rerun-if-changed={folder}"));
    let commit = git(&["rev-parse", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no", "--", "src", "crates", "plugins", "models"])?;
    Some(if changed.is_empty() { commit } else { format!("{commit}-dirty") })
}

/// The trimmed output of a git command; `None` if it fails.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_string())
}
