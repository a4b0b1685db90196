//! Progress reports for reading large files.

use std::cell::RefCell;
use std::sync::Arc;

/// Receives the number of bytes read so far and the total; called from several threads.
pub type Report = Arc<dyn Fn(u64, u64) + Send + Sync>;

thread_local! {
    static REPORT: RefCell<Option<Report>> = const { RefCell::new(None) };
}

/// Calls `f` with `report` installed on this thread.
pub fn reporting<T>(report: Report, f: impl FnOnce() -> T) -> T {
    struct Back(Option<Report>);
    impl Drop for Back {
        fn drop(&mut self) {
            REPORT.set(self.0.take());
        }
    }
    let _back = Back(REPORT.replace(Some(report)));
    f()
}

/// The report installed on one thread, for use on other threads.
#[derive(Clone, Default)]
pub struct Loading(Option<Report>);

impl Loading {
    /// Returns the report installed on this thread, or one that does nothing.
    pub fn here() -> Self {
        Self(REPORT.with_borrow(Clone::clone))
    }

    /// Reports that `done` of `total` bytes have been read.
    pub fn tell(&self, done: u64, total: u64) {
        if let Some(report) = &self.0 {
            report(done, total);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn only_what_is_read_within_is_reported() {
        let seen = Arc::new(Mutex::new(vec![]));
        let told = seen.clone();
        Loading::here().tell(1, 2);
        reporting(Arc::new(move |done, total| told.lock().unwrap().push((done, total))), || {
            let loading = Loading::here();
            std::thread::spawn(move || loading.tell(3, 4)).join().unwrap();
        });
        Loading::here().tell(5, 6);
        assert_eq!(*seen.lock().unwrap(), [(3, 4)]);
    }
}
