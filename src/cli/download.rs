//! Shows downloads on stderr: a line for each file, and a progress bar on a terminal.

use super::out;
use super::progress::ProgressLine;
use crate::data::file::size_text;
use crate::hub::Transfer;
use crate::sync::LockUnpoisoned;
use crate::words;
use std::sync::Mutex;

/// Layout of the bar, as an indicatif template.
const LAYOUT: &str = "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left";
/// Files smaller than this, in bytes, are downloaded silently.
const SMALL: u64 = 1 << 20;

/// The download that is shown, if any.
#[derive(Default)]
pub struct DownloadProgress(Mutex<Option<(String, ProgressLine)>>);

impl DownloadProgress {
    /// Shows the progress of a download.
    pub fn show(&self, transfer: &Transfer) {
        let Transfer { file, from, done, total } = transfer;
        let Some(total) = total.filter(|total| *total >= SMALL) else { return };
        let mut shown = self.0.lock_unpoisoned();
        if shown.as_ref().is_none_or(|(known, _)| known != from) {
            let here = if *done > 0 { format!(", {} already downloaded", size_text(*done)) } else { String::new() };
            out::tell(&format!("downloading {} ({}{here})", words::line(from), size_text(total)));
            // If the bar cannot be created, only the line above is shown.
            *shown =
                ProgressLine::with_layout(total as usize, *done as usize, LAYOUT).ok().map(|bar| (from.clone(), bar));
        }
        let Some((_, bar)) = shown.as_ref() else { return };
        bar.received(file, *done);
        if *done == total {
            bar.end();
        }
    }
}

impl Drop for DownloadProgress {
    fn drop(&mut self) {
        self.0.lock_unpoisoned().iter().for_each(|(_, bar)| bar.end());
    }
}
