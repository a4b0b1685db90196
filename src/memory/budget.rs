//! How much memory there is: what the machine, control groups and the process's own limits can still give, and what the person
//! allows.

use super::count::held;
use super::group::{Group, own};
use anyhow::{Result, ensure};
use std::str::FromStr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The budget where the system tells nothing.
const UNKNOWN: usize = 8 << 30;
/// What a machine is asked for at least, where it has that much.
const LEAST: usize = 512 << 20;
/// Address space and data that threads and the allocator need beside what is asked for.
const BESIDE: usize = 64 << 20;

/// Bytes that the person allows.
static ALLOWED: AtomicUsize = AtomicUsize::new(usize::MAX);
/// Bytes that the program may hold by what the system could give when first asked.
static BUDGET: LazyLock<usize> = LazyLock::new(system);
static GROUPS: LazyLock<Vec<Group>> = LazyLock::new(own);

/// A number of bytes as it is written on the command line: `4G`, `512M`, `1.5GiB`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemorySize(pub usize);

impl FromStr for MemorySize {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let unit = match text[split..].trim().to_ascii_lowercase().trim_end_matches("ib").trim_end_matches('b') {
            "k" => 1u64 << 10,
            "m" => 1 << 20,
            "g" => 1 << 30,
            "t" => 1 << 40,
            _ => 0,
        };
        let bytes = text[..split].parse::<f64>().unwrap_or(0.0) * unit as f64;
        ensure!(
            ((64 << 20) as f64..1e18).contains(&bytes),
            "\"{text}\" is no amount of memory; write 4G or 512M, 64M at least"
        );
        Ok(Self(bytes as usize))
    }
}

/// From now on the program may hold no more than this.
pub fn limit_to(size: MemorySize) {
    ALLOWED.store(size.0, Ordering::Relaxed);
}

/// Bytes that the program may hold: what the person allows, but no more than half of what the machine could give when first
/// asked, and three quarters of what limits of the process left then.
pub fn budget() -> usize {
    ALLOWED.load(Ordering::Relaxed).min(*BUDGET)
}

/// Bytes that the system can still give, where it tells.
pub fn available() -> Option<usize> {
    [machine(), process()].into_iter().flatten().min()
}

fn system() -> usize {
    let shared = machine().map_or(UNKNOWN, |bytes| (bytes / 2).max(LEAST.min(bytes)));
    let own = process().map_or(usize::MAX, |bytes| held() + bytes / 4 * 3);
    shared.min(own)
}

/// What the machine and the groups that the process is in can give.
fn machine() -> Option<usize> {
    let machine = kilobytes(&std::fs::read_to_string("/proc/meminfo").unwrap_or_default(), "MemAvailable:");
    GROUPS.iter().filter_map(Group::left).chain(machine).min()
}

/// What the limits of the process leave (`ulimit -v`, `ulimit -d`).
fn process() -> Option<usize> {
    [left_of_address_space(), left_of_data()].into_iter().flatten().min()
}

/// Bytes of address space that the process may still take (`ulimit -v`); none where it has no limit.
pub fn left_of_address_space() -> Option<usize> {
    #[cfg(unix)]
    return left_of(rustix::process::Resource::As, "VmSize:");
    #[cfg(not(unix))]
    None
}

fn left_of_data() -> Option<usize> {
    #[cfg(unix)]
    return left_of(rustix::process::Resource::Data, "VmData:");
    #[cfg(not(unix))]
    None
}

#[cfg(unix)]
fn left_of(resource: rustix::process::Resource, used: &str) -> Option<usize> {
    let limit = rustix::process::getrlimit(resource).current? as usize;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let used = kilobytes(&status, used).unwrap_or_else(held);
    Some(limit.saturating_sub(used).saturating_sub(BESIDE))
}

/// `MemAvailable:   22334455 kB` in bytes.
fn kilobytes(text: &str, name: &str) -> Option<usize> {
    let line = text.lines().find_map(|l| l.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<usize>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_memory_are_written_with_their_unit() {
        let size = |text: &str| text.parse::<MemorySize>().map(|s| s.0);
        assert_eq!(size("4G").unwrap(), 4 << 30);
        assert_eq!(size("512M").unwrap(), 512 << 20);
        assert_eq!(size("1.5GiB").unwrap(), 3 << 29);
        assert_eq!(size("800 mb").unwrap(), 800 << 20);
        for wrong in ["", "4", "G", "-1G", "1e3G", "4X", "63M", "0G", "9999999999T", "NaNG", "é"] {
            assert!(size(wrong).unwrap_err().to_string().contains("4G"), "{wrong}");
        }
    }

    #[test]
    fn what_the_system_writes_is_read() {
        let text = "MemTotal:       24000000 kB\nMemAvailable:   22334455 kB\n";
        assert_eq!(kilobytes(text, "MemAvailable:"), Some(22_334_455 << 10));
        assert_eq!(kilobytes(text, "VmSize:"), None);
    }
}
