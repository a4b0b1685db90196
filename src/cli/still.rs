//! Reports progress on stderr every 15 seconds if no progress bar is visible.

use super::out;
use crate::sync::LockUnpoisoned;
use crate::words;
use std::sync::{Mutex, Once};
use std::time::{Duration, Instant};

/// Time between two reports.
const SILENCE: Duration = Duration::from_secs(15);

/// The running task and its progress.
struct Work {
    task: String,
    said: Instant,
    what: String,
    done: usize,
    total: usize,
    /// When the current phase began, and the value of `done` at that time.
    begun: (Instant, usize),
    /// Whether a progress bar is visible.
    seen: bool,
}

static WORK: Mutex<Option<Work>> = Mutex::new(None);

fn with(f: impl FnOnce(&mut Option<Work>)) {
    f(&mut WORK.lock_unpoisoned());
}

/// Starts reporting on the task named `task`.
pub fn begin(task: &str) {
    static ONCE: Once = Once::new();
    let now = Instant::now();
    let task = words::name(task).into_owned();
    with(|work| {
        *work = Some(Work { task, said: now, what: String::new(), done: 0, total: 0, begun: (now, 0), seen: false });
    });
    ONCE.call_once(|| {
        // If the thread cannot be started, nothing is reported.
        let _ = std::thread::Builder::new().name("still".into()).spawn(|| {
            loop {
                std::thread::sleep(Duration::from_secs(1));
                with(|work| work.iter_mut().for_each(look));
            }
        });
    });
}

/// Updates the progress of the running task: the current phase, and the completed and total units. `total` is 0 if unknown.
pub fn progress(what: &str, done: usize, total: usize) {
    with(|work| {
        let Some(work) = work else { return };
        if work.total != total || work.what != what || done < work.done {
            work.begun = (Instant::now(), done);
            work.what = what.into();
        }
        (work.done, work.total) = (done, total);
    });
}

/// Sets whether a progress bar is visible.
pub fn seen(seen: bool) {
    with(|work| work.iter_mut().for_each(|work| work.seen = seen));
}

fn look(work: &mut Work) {
    if !work.seen && work.said.elapsed() >= SILENCE {
        work.said = Instant::now();
        out::tell(&format!("still running {}", line(work, work.begun.0.elapsed())));
    }
}

/// Formats a report, such as `occlusion: step 120 of 3136, 15/s; 3 min left`.
fn line(work: &Work, elapsed: Duration) -> String {
    let what = words::name(&work.what);
    let mut line = match (work.what.is_empty(), work.total) {
        (true, _) => return work.task.clone(),
        (_, 0) => format!("{}: {what} {}", work.task, work.done),
        (_, total) => format!("{}: {what} {} of {total}", work.task, work.done),
    };
    let since = work.done.saturating_sub(work.begun.1);
    if since > 0 && !elapsed.is_zero() {
        line += &format!(", {}", rate(since as f64 / elapsed.as_secs_f64()));
    }
    if since > 0 && work.total > work.done {
        let left = elapsed.as_secs_f64() / since as f64 * (work.total - work.done) as f64;
        line += &format!("; {} left", duration(left));
    }
    line
}

/// Formats a rate: `12/s`, `1.5/s`, or `20 s each` if it is less than one per two seconds.
pub fn rate(per_second: f64) -> String {
    match per_second {
        r if !r.is_finite() || r <= 0.0 => "-/s".into(),
        r if r >= 10.0 => format!("{r:.0}/s"),
        r if r >= 0.5 => format!("{r:.1}/s"),
        r => format!("{} each", duration(1.0 / r)),
    }
}

/// Formats a duration in seconds, minutes or hours.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_gives_progress_and_remaining_time() {
        let now = Instant::now();
        let work = |what: &str, done, total| Work {
            task: "occlusion".into(),
            said: now,
            what: what.into(),
            done,
            total,
            begun: (now, 20),
            seen: false,
        };
        let line = |work: Work| line(&work, Duration::from_secs(10));
        assert_eq!(line(work("", 0, 0)), "occlusion");
        assert_eq!(line(work("step", 120, 0)), "occlusion: step 120, 10/s");
        assert_eq!(line(work("step", 120, 3136)), "occlusion: step 120 of 3136, 10/s; 5 min left");
        assert_eq!(line(work("step", 120, 160)), "occlusion: step 120 of 160, 10/s; 4 s left");
        assert_eq!(line(work("step", 20, 20)), "occlusion: step 20 of 20");
        assert_eq!(duration(9000.0), "2.5 h");
        assert_eq!([250.0, 1.5, 0.05, 0.0].map(rate), ["250/s", "1.5/s", "20 s each", "-/s"]);
    }
}
