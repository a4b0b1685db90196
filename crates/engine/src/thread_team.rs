//! A thread team that distributes work over all cores. Workers spin briefly before they sleep, and the calling thread also works.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, OnceLock, TryLockError};
use std::thread::Thread;

/// Number of spins before a worker goes to sleep (tens of microseconds).
const SPINS: usize = 4000;

type Job = dyn Fn(usize) + Sync;

/// The hook that a job's calling thread runs before each task it executes itself.
static BEFORE_TASK: OnceLock<fn()> = OnceLock::new();

/// Registers a hook that a job's calling thread runs before each task it executes itself. `f` may unwind to cancel the job: tasks
/// that have not started are skipped, and the thread continues to unwind. Only the first registration has an effect.
pub fn before_each_task(f: fn()) {
    // Later registrations have no effect.
    let _ = BEFORE_TASK.set(f);
}

fn before_task() {
    if let Some(f) = BEFORE_TASK.get() {
        f();
    }
}

/// State shared by the calling thread and the workers.
struct ThreadTeam {
    /// A lock held by the thread whose job is running.
    caller: Mutex<()>,
    job: UnsafeCell<(*const Job, usize)>,
    /// ID of the job that workers may join, or 0 if there is none.
    open: AtomicUsize,
    jobs: AtomicUsize,
    next: AtomicUsize,
    /// Number of workers that are in the job or about to check whether they may join it.
    inside: AtomicUsize,
    panicked: AtomicBool,
    workers: OnceLock<Vec<(Thread, &'static AtomicBool)>>,
}

// SAFETY: `job` is written only while no worker is inside and none may enter.
unsafe impl Sync for ThreadTeam {}

static TEAM: ThreadTeam = ThreadTeam {
    caller: Mutex::new(()),
    job: UnsafeCell::new((std::ptr::null::<fn(usize)>() as *const Job, 0)),
    open: AtomicUsize::new(0),
    jobs: AtomicUsize::new(0),
    next: AtomicUsize::new(0),
    inside: AtomicUsize::new(0),
    panicked: AtomicBool::new(false),
    workers: OnceLock::new(),
};

/// Number of threads used by jobs started on this thread: 1 on a rayon worker, since rayon workers already run in parallel.
pub fn size() -> usize {
    if rayon::current_thread_index().is_some() { 1 } else { rayon::current_num_threads() }
}

/// Calls `f` with each index in `0..tasks`, in any order, on all cores. Returns after all calls have finished.
pub fn run(tasks: usize, f: impl Fn(usize) + Sync) {
    let f = |i: usize| f(i);
    let alone = |tasks: usize| {
        (0..tasks).for_each(|i| {
            before_task();
            f(i);
        });
    };
    if tasks <= 1 || size() == 1 {
        return alone(tasks);
    }
    let guard = match TEAM.caller.try_lock() {
        Ok(guard) => guard,
        Err(TryLockError::Poisoned(e)) => e.into_inner(),
        Err(TryLockError::WouldBlock) => return alone(tasks),
    };
    TEAM.run(tasks, &f);
    drop(guard);
    if TEAM.panicked.swap(false, SeqCst) {
        panic!("a worker thread of the engine panicked");
    }
}

/// Like [`run`], but makes all calls on the calling thread if `threads` is 1.
pub fn run_some(threads: usize, tasks: usize, f: impl Fn(usize) + Sync) {
    if threads == 1 { (0..tasks).for_each(f) } else { run(tasks, f) }
}

/// Splits `0..n` into ranges of about `grain` elements, and calls `f` with each range on all cores.
pub fn ranges(n: usize, grain: usize, f: impl Fn(std::ops::Range<usize>) + Sync) {
    let most = size() * 4;
    let count = n.div_ceil(grain.max(1)).clamp(1, most);
    run(count, |i| f(part(n, i, count)));
}

/// The range of part `i` when `0..n` is split into `count` parts of nearly equal length.
#[inline(always)]
pub fn part(n: usize, i: usize, count: usize) -> std::ops::Range<usize> {
    i * n / count..(i + 1) * n / count
}

/// Splits a slice into parts of `size` elements (the last may be shorter), and calls `f` with each part and its index on all
/// cores.
pub fn parts<T: Send>(all: &mut [T], size: usize, f: impl Fn(usize, &mut [T]) + Sync) {
    struct At<T>(*mut T);
    // SAFETY: each task accesses only its own part of the slice.
    unsafe impl<T: Send> Sync for At<T> {}
    impl<T> At<T> {
        /// The pointer advanced by `count` elements. This is a method so that closures capture the wrapper rather than the
        /// pointer.
        fn add(&self, count: usize) -> *mut T {
            // SAFETY: `count` is below the length of the slice.
            unsafe { self.0.add(count) }
        }
    }
    let (len, size, at) = (all.len(), size.max(1), At(all.as_mut_ptr()));
    run(len.div_ceil(size), |i| {
        let count = size.min(len - i * size);
        // SAFETY: the parts do not overlap, and the slice is borrowed until all tasks are done.
        f(i, unsafe { std::slice::from_raw_parts_mut(at.add(i * size), count) });
    });
}

impl ThreadTeam {
    fn run(&'static self, tasks: usize, f: &(dyn Fn(usize) + Sync)) {
        // SAFETY: all workers leave the job before this function returns, so `f` outlives all uses.
        unsafe { *self.job.get() = (std::mem::transmute::<*const (dyn Fn(usize) + Sync), *const Job>(f), tasks) };
        self.next.store(0, SeqCst);
        self.open.store(self.jobs.fetch_add(1, SeqCst) + 1, SeqCst);
        for (thread, asleep) in self.workers().iter().take(tasks - 1) {
            if asleep.swap(false, SeqCst) {
                thread.unpark();
            }
        }
        let close = Close(self);
        self.work(before_task);
        drop(close);
    }

    /// Runs tasks of the current job until none are left.
    fn work(&self, before: impl Fn()) {
        // SAFETY: the caller keeps the job alive until all workers have left it.
        let (f, tasks) = unsafe { *self.job.get() };
        loop {
            let i = self.next.fetch_add(1, SeqCst);
            if i >= tasks {
                return;
            }
            before();
            // SAFETY: the caller keeps the job alive until all workers have left it.
            unsafe { (*f)(i) };
        }
    }

    fn workers(&'static self) -> &'static [(Thread, &'static AtomicBool)] {
        self.workers.get_or_init(|| {
            let start = |i: usize| {
                let asleep: &'static AtomicBool = Box::leak(Box::default());
                let name = format!("engine-{i}");
                let thread = std::thread::Builder::new().name(name).spawn(move || self.serve(asleep)).ok()?;
                Some((thread.thread().clone(), asleep))
            };
            (1..rayon::current_num_threads()).filter_map(start).collect()
        })
    }

    /// The loop that a worker runs.
    fn serve(&self, asleep: &AtomicBool) {
        let mut seen = 0;
        loop {
            let mut spins = 0;
            let job = loop {
                let open = self.open.load(SeqCst);
                if open != 0 && open != seen {
                    break open;
                }
                spins += 1;
                if spins < SPINS {
                    std::hint::spin_loop();
                    continue;
                }
                asleep.store(true, SeqCst);
                if matches!(self.open.load(SeqCst), open if open == 0 || open == seen) {
                    std::thread::park();
                }
                asleep.store(false, SeqCst);
                spins = 0;
            };
            seen = job;
            self.inside.fetch_add(1, SeqCst);
            if self.open.load(SeqCst) == job {
                let work = std::panic::AssertUnwindSafe(|| self.work(|| ()));
                if std::panic::catch_unwind(work).is_err() {
                    self.panicked.store(true, SeqCst);
                }
            }
            self.inside.fetch_sub(1, SeqCst);
        }
    }
}

/// A guard that closes the job and waits until all workers have left it, even if a task on the calling thread panics.
struct Close(&'static ThreadTeam);

impl Drop for Close {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Skips the remaining tasks.
            self.0.next.store(usize::MAX / 2, SeqCst);
        }
        self.0.open.store(0, SeqCst);
        let mut spins = 0usize;
        while self.0.inside.load(SeqCst) != 0 {
            spins += 1;
            if spins.is_multiple_of(SPINS) { std::thread::yield_now() } else { std::hint::spin_loop() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once() {
        for tasks in [0, 1, 2, 3, 100, 5000] {
            let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
            run(tasks, |i| {
                counts[i].fetch_add(1, SeqCst);
            });
            assert!(counts.iter().all(|c| c.load(SeqCst) == 1), "{tasks}");
        }
    }

    #[test]
    fn parts_match_chunks() {
        for (len, size) in [(0, 4), (3, 4), (4, 4), (4000, 7), (5, 0)] {
            let mut numbers = vec![0; len];
            parts(&mut numbers, size, |i, part| part.iter_mut().enumerate().for_each(|(k, n)| *n = 1000 * i + k));
            let expected =
                numbers.chunks(size.max(1)).enumerate().flat_map(|(i, p)| (0..p.len()).map(move |k| 1000 * i + k));
            assert_eq!(numbers, expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn tasks_may_hand_out_tasks_and_threads_may_share_the_team() {
        let count = AtomicUsize::new(0);
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| {
                    for _ in 0..200 {
                        run(8, |_| {
                            run(4, |_| {
                                count.fetch_add(1, SeqCst);
                            })
                        });
                    }
                });
            }
        });
        assert_eq!(count.load(SeqCst), 4 * 200 * 8 * 4);
    }
}
