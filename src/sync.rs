//! Locks that stay usable after a panic.
//!
//! The standard library poisons a lock whose holder panics. This program catches panics of decoders and scripts, reports
//! them and continues; no critical section leaves its value half updated, so the value is still valid.

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Locks a [`Mutex`] whether or not it is poisoned.
pub trait LockUnpoisoned<T: ?Sized> {
    /// Waits for the lock and returns its guard.
    fn lock_unpoisoned(&self) -> MutexGuard<'_, T>;
}

impl<T: ?Sized> LockUnpoisoned<T> for Mutex<T> {
    fn lock_unpoisoned(&self) -> MutexGuard<'_, T> {
        self.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Locks an [`RwLock`] whether or not it is poisoned.
pub trait ReadWriteUnpoisoned<T: ?Sized> {
    /// Locks for reading, waiting for any writer to finish.
    fn read_unpoisoned(&self) -> RwLockReadGuard<'_, T>;
    /// Locks for writing, waiting for all readers and writers to finish.
    fn write_unpoisoned(&self) -> RwLockWriteGuard<'_, T>;
}

impl<T: ?Sized> ReadWriteUnpoisoned<T> for RwLock<T> {
    fn read_unpoisoned(&self) -> RwLockReadGuard<'_, T> {
        self.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_unpoisoned(&self) -> RwLockWriteGuard<'_, T> {
        self.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn a_lock_whose_holder_panicked_gives_its_value() {
        let (mutex, rw) = (Mutex::new(1), RwLock::new(2));
        let held = AssertUnwindSafe(|| {
            let _guards = (mutex.lock(), rw.write());
            std::panic::resume_unwind(Box::new(()));
        });
        assert!(catch_unwind(held).is_err());
        assert!(mutex.is_poisoned() && rw.is_poisoned());
        *rw.write_unpoisoned() += 1;
        assert_eq!((*mutex.lock_unpoisoned(), *rw.read_unpoisoned()), (1, 3));
    }
}
