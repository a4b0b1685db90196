//! Available memory in the control groups (cgroup v1 or v2) of this process and in their ancestors.

use std::fs;
use std::path::{Path, PathBuf};

/// A control group: its folder and the version of its hierarchy.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    folder: PathBuf,
    unified: bool,
}

impl Group {
    /// Bytes still available in the group, with inactive page cache counted as free; `None` if the group has no limit.
    pub fn left(&self) -> Option<usize> {
        let [limit, used, cache] = match self.unified {
            true => ["memory.max", "memory.current", "inactive_file"],
            false => ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"],
        };
        let number = |file: &str| fs::read_to_string(self.folder.join(file)).ok()?.trim().parse::<usize>().ok();
        // Version 1 reports a value near 2⁶³ for "no limit".
        let limit = number(limit).filter(|&bytes| bytes < 1 << 60)?;
        let facts = fs::read_to_string(self.folder.join("memory.stat")).unwrap_or_default();
        let cache = facts.lines().find_map(|l| l.strip_prefix(cache)?.trim().parse::<usize>().ok());
        Some(limit.saturating_sub(number(used)?.saturating_sub(cache.unwrap_or(0))))
    }
}

/// The control groups of this process and their ancestors.
pub fn own() -> Vec<Group> {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    groups(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"))
}

/// Parses the contents of `/proc/self/cgroup` and `/proc/self/mountinfo`.
fn groups(cgroup: &str, mounts: &str) -> Vec<Group> {
    let mut all = vec![];
    for line in cgroup.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let unified = controllers.is_empty();
        if unified || controllers.split(',').any(|c| c == "memory") {
            let mount = mounts.lines().filter_map(mount).find(|m| m.unified == unified);
            all.extend(mount.into_iter().flat_map(|m| m.around(path)));
        }
    }
    all
}

/// The mount point of a control group hierarchy, and the group mounted there.
struct Mount<'a> {
    root: &'a str,
    point: &'a str,
    unified: bool,
}

/// Parses a line of `mountinfo`, such as `36 35 0:30 / /sys/fs/cgroup rw,… - cgroup2 cgroup2 rw,…`; `None` for other file
/// systems.
fn mount(line: &str) -> Option<Mount<'_>> {
    let (place, kind) = line.split_once(" - ")?;
    let mut place = place.split(' ').skip(3);
    let (root, point) = (place.next()?, place.next()?);
    let mut kind = kind.split(' ');
    let unified = match kind.next()? {
        "cgroup2" => true,
        "cgroup" if kind.nth(1)?.split(',').any(|option| option == "memory") => false,
        _ => return None,
    };
    Some(Mount { root, point, unified })
}

impl Mount<'_> {
    /// The group at `path` and its ancestors up to the mount point; in a container that sees the host's path, only the mount point.
    fn around(&self, path: &str) -> Vec<Group> {
        let inner = match self.root {
            "/" => Some(path),
            root => path.strip_prefix(root),
        };
        let inner = inner.filter(|inner| !inner.contains("..")).unwrap_or_default().trim_matches('/');
        let (point, own) = (Path::new(self.point), Path::new(self.point).join(inner));
        let around = own.ancestors().take_while(|folder| folder.starts_with(point));
        around.map(|folder| Group { folder: folder.into(), unified: self.unified }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(cgroup: &str, mounts: &str) -> Vec<String> {
        groups(cgroup, mounts).iter().map(|g| g.folder.to_string_lossy().trim_end_matches('/').to_string()).collect()
    }

    #[test]
    fn the_groups_of_a_process_include_all_ancestors() {
        let mounts =
            "24 1 0:22 / /proc rw - proc proc rw\n36 35 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate";
        let own = folders("0::/user.slice/user-0.slice/a.scope\n", mounts);
        let root = "/sys/fs/cgroup";
        let expected = ["/user.slice/user-0.slice/a.scope", "/user.slice/user-0.slice", "/user.slice", ""];
        assert_eq!(own, expected.map(|end| format!("{root}{end}")));
        assert_eq!(folders("0::/\n", mounts), [root]);
    }

    #[test]
    fn version_1_has_a_separate_memory_hierarchy() {
        let mounts = "31 25 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
            32 25 0:27 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory";
        let own = folders("4:cpu:/docker/abc\n5:memory:/docker/abc/job\n", mounts);
        assert_eq!(own, ["/sys/fs/cgroup/memory/job", "/sys/fs/cgroup/memory"]);
        // A container that sees the host's path.
        assert_eq!(folders("5:memory:/kubepods/x\n", mounts), ["/sys/fs/cgroup/memory"]);
        assert_eq!(folders("0::/../other\n", "36 35 0:30 /a /sys/fs/cgroup rw - cgroup2 c rw"), ["/sys/fs/cgroup"]);
    }

    #[test]
    fn available_memory_of_a_group_is_its_limit_minus_its_usage() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let group = |unified| Group { folder: folder.path().into(), unified };
        assert_eq!(group(true).left(), None);
        write("memory.max", "max\n");
        write("memory.current", "600\n");
        assert_eq!(group(true).left(), None);
        write("memory.max", "1000\n");
        assert_eq!(group(true).left(), Some(400));
        write("memory.stat", "anon 500\ninactive_file 100\nactive_file 7\n");
        assert_eq!(group(true).left(), Some(500));
        write("memory.limit_in_bytes", "9223372036854771712");
        write("memory.usage_in_bytes", "50");
        assert_eq!(group(false).left(), None);
        write("memory.limit_in_bytes", "40");
        assert_eq!(group(false).left(), Some(0));
    }
}
