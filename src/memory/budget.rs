//! The memory budget: the smallest of the limits set by the user, the machine, the control groups and `ulimit`.

use super::count::held;
use super::group::{Group, own};
use anyhow::{Result, ensure};
use std::str::FromStr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The budget in bytes if the system does not report its available memory.
const UNKNOWN: usize = 8 << 30;
/// Minimum budget in bytes on a machine with at least this much available memory.
const LEAST: usize = 512 << 20;
/// Bytes of address space and data reserved for threads and the allocator.
const BESIDE: usize = 64 << 20;

/// The user's limit in bytes.
static ALLOWED: AtomicUsize = AtomicUsize::new(usize::MAX);
/// The system's limit in bytes, determined on first use.
static BUDGET: LazyLock<usize> = LazyLock::new(system);
static GROUPS: LazyLock<Vec<Group>> = LazyLock::new(own);

/// A memory size in bytes, parsed from a command-line argument such as `4G`, `512M` or `1.5GiB`; at least 64 MiB.
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
            "invalid memory size \"{text}\"; use a number with a unit, such as 512M or 4G; the minimum is 64M"
        );
        Ok(Self(bytes as usize))
    }
}

/// Sets the user's memory limit.
pub fn limit_to(size: MemorySize) {
    ALLOWED.store(size.0, Ordering::Relaxed);
}

/// Bytes that the program may hold: the smallest of the user's limit, half of the memory available on the machine at the first
/// query (at least 512 MiB if available), and the bytes held at that time plus three quarters of what the process limits still
/// allowed.
pub fn budget() -> usize {
    ALLOWED.load(Ordering::Relaxed).min(*BUDGET)
}

/// Bytes of memory that the system can still provide; `None` if the system does not report it.
pub fn available() -> Option<usize> {
    [machine(), process()].into_iter().flatten().min()
}

fn system() -> usize {
    let shared = machine().map_or(UNKNOWN, |bytes| (bytes / 2).max(LEAST.min(bytes)));
    let own = process().map_or(usize::MAX, |bytes| held() + bytes / 4 * 3);
    shared.min(own)
}

/// Bytes still available on the machine and in the control groups of the process; `None` if neither is reported.
fn machine() -> Option<usize> {
    let machine = kilobytes(&std::fs::read_to_string("/proc/meminfo").unwrap_or_default(), "MemAvailable:");
    GROUPS.iter().filter_map(Group::left).chain(machine).min()
}

/// Bytes that the process may still allocate under its own limits (`ulimit -v`, `ulimit -d`); `None` if unlimited.
fn process() -> Option<usize> {
    [left_of_address_space(), left_of_data()].into_iter().flatten().min()
}

/// Bytes of address space that the process may still map (`ulimit -v`); `None` if unlimited.
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

/// Parses the line with the given name, such as `MemAvailable:   22334455 kB`, and returns its value in bytes.
fn kilobytes(text: &str, name: &str) -> Option<usize> {
    let line = text.lines().find_map(|l| l.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<usize>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_memory_are_formatted_with_a_unit() {
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
    fn lines_of_meminfo_are_parsed() {
        let text = "MemTotal:       24000000 kB\nMemAvailable:   22334455 kB\n";
        assert_eq!(kilobytes(text, "MemAvailable:"), Some(22_334_455 << 10));
        assert_eq!(kilobytes(text, "VmSize:"), None);
    }
}
