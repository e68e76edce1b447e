//! Memory of processes, as Linux tells it; elsewhere it is not known, and 0.

use std::{collections::BTreeMap, fs};

/// Bytes of this process that are resident.
pub(crate) fn own() -> u64 {
    line("/proc/self/smaps_rollup", "Rss:")
}

/// Bytes of processes and all that came of them, with pages that several share counted in parts.
pub(crate) fn of_trees(roots: &[u32]) -> u64 {
    let parents = parents();
    let is_of_tree = |pid: u32| {
        let mut at = pid;
        while !roots.contains(&at) {
            match parents.get(&at) {
                Some(parent) if *parent != 0 => at = *parent,
                _ => return false,
            }
        }
        true
    };
    let found = parents.keys().copied().filter(|pid| is_of_tree(*pid));
    found.map(|pid| line(&format!("/proc/{pid}/smaps_rollup"), "Pss:")).sum()
}

/// `proc_pid_stat(5)`: the name may hold anything, so the fields are counted from its closing parenthesis.
fn parents() -> BTreeMap<u32, u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
        Some((pid, parent))
    })
    .collect()
}

fn line(path: &str, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    found.unwrap_or_default() * 1024
}
