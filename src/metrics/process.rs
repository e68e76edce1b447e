//! What this process and its machine say of themselves: memory, descriptors, processor time, disks.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{LazyLock, OnceLock},
};

use jiff::Timestamp;
use nix::sys::statvfs::statvfs;

use super::Sample;
use crate::clock::Clock;

/// Of one second, as Linux counts processor time for programs, whatever its own clock does.
const TICKS_PER_SECOND: u64 = 100;

/// What this process was started as.
pub static ROLE: OnceLock<&'static str> = OnceLock::new();

static STARTED: LazyLock<Timestamp> = LazyLock::new(Clock::machine);

/// Says what this process was started as, such as `work`, and that it starts now.
pub fn set_role(role: &'static str) {
    LazyLock::force(&STARTED);
    // Tests start many in one process: the first one counts.
    let _already = ROLE.set(role);
}

/// A directory whose disk may fill.
#[derive(Clone, Debug)]
pub struct Disk {
    /// What is kept there: the value of the label `what`.
    pub what: &'static str,
    /// Where. It need not be there yet.
    pub path: PathBuf,
}

impl Disk {
    /// How much is free where it lies, and how much there is; nothing where that cannot be known.
    #[must_use]
    pub fn samples(&self) -> Vec<Sample> {
        let absolute = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        let Some(stat) = absolute.ancestors().find(|path| path.exists()).and_then(|path| statvfs(path).ok()) else {
            return Vec::new();
        };
        let bytes = |blocks| u128::from(stat.fragment_size()) * u128::from(blocks);
        vec![
            Sample::new("berth_disk_free_bytes", &[self.what], bytes(stat.blocks_available())),
            Sample::new("berth_disk_size_bytes", &[self.what], bytes(stat.blocks())),
        ]
    }
}

pub(super) fn samples() -> Vec<Sample> {
    let version = env!("CARGO_PKG_VERSION");
    let mut samples = vec![
        Sample::new("berth_build_info", &[version, ROLE.get().copied().unwrap_or("none")], 1),
        Sample::new("process_start_time_seconds", &[], STARTED.as_second()),
    ];
    samples.extend(of_proc(Path::new("/proc/self")).into_iter().map(|(family, value)| Sample::new(family, &[], value)));
    samples
}

/// What Linux tells; nothing elsewhere.
fn of_proc(proc: &Path) -> Vec<(&'static str, String)> {
    let read = |name: &str| fs::read_to_string(proc.join(name)).unwrap_or_default();
    let status = read("status");
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).and_then(first_number);
    let mut found = Vec::new();
    if let Some(kilobytes) = field("VmRSS:") {
        found.push(("process_resident_memory_bytes", (u128::from(kilobytes) * 1024).to_string()));
    }
    if let Some(threads) = field("Threads:") {
        found.push(("process_threads", threads.to_string()));
    }
    if let Some(ticks) = processor_ticks(&read("stat")) {
        let (seconds, hundredths) = (ticks / TICKS_PER_SECOND, ticks % TICKS_PER_SECOND);
        found.push(("process_cpu_seconds_total", format!("{seconds}.{hundredths:02}")));
    }
    let limits = read("limits");
    let most = limits.lines().find_map(|line| line.strip_prefix("Max open files")).and_then(first_number);
    if let Some(most) = most {
        found.push(("process_max_fds", most.to_string()));
    }
    if let Ok(open) = fs::read_dir(proc.join("fd")) {
        // One of them is the look itself.
        found.push(("process_open_fds", open.count().saturating_sub(1).to_string()));
    }
    found
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

/// Time in the program and in the system on its behalf. The program's own name, which may hold anything, ends with the last
/// parenthesis.
fn processor_ticks(stat: &str) -> Option<u64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(ticks(11)? + ticks(12)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_the_programs_name() {
        let stat = "17 (a ) b) S 1 17 17 0 -1 4194304 1 2 3 4 250 31 7 8 20 0 5 0 100 1 2";

        assert_eq!(processor_ticks(stat), Some(281));
    }

    #[test]
    fn this_process_is_known() {
        let found = of_proc(Path::new("/proc/self"));

        let names: Vec<&str> = found.iter().map(|(name, _)| *name).collect();
        if cfg!(target_os = "linux") {
            assert!(
                names.contains(&"process_open_fds") && names.contains(&"process_resident_memory_bytes"),
                "{names:?}"
            );
        }
    }

    #[test]
    fn a_disk_is_known_by_a_directory_that_is_not_there_yet() {
        let disk = Disk { what: "sites", path: std::env::temp_dir().join("not/there/yet") };

        assert_eq!(disk.samples().len(), 2);
    }
}
