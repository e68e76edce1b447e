//! CPU time and memory of other processes, as Linux tells them; elsewhere they are not known.

use std::{fs, time::Duration};

/// Linux counts CPU time in hundredths of a second wherever Berth runs.
const TICK: Duration = Duration::from_millis(10);

/// User and system time so far; of a process alone, or with all its children.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    pub(crate) berth: Duration,
    pub(crate) postgres: Duration,
    pub(crate) redis: Duration,
}

impl Cpu {
    /// Reads the time of three servers, PostgreSQL's with its children.
    pub(crate) fn read(berth: Option<u32>, postgres: Option<u32>, redis: Option<u32>) -> Self {
        Self {
            berth: berth.map(of_process).unwrap_or_default(),
            postgres: postgres.map(of_tree).unwrap_or_default(),
            redis: redis.map(of_tree).unwrap_or_default(),
        }
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            berth: self.berth.saturating_sub(before.berth),
            postgres: self.postgres.saturating_sub(before.postgres),
            redis: self.redis.saturating_sub(before.redis),
        }
    }
}

/// Microseconds an item.
pub(crate) fn us_per_item(time: Duration, items: u64) -> f64 {
    time.as_secs_f64() * 1e6 / items.max(1) as f64
}

struct Stat {
    parent: u32,
    own: Duration,
    /// Of children that have ended and were waited for.
    ended_children: Duration,
}

/// `proc_pid_stat(5)`: the name may hold anything, so the fields are counted from its closing parenthesis.
fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    let number = |at: usize| fields.get(at)?.parse::<u32>().ok();
    let ticks = |at: usize| number(at).map(|ticks| TICK * ticks);
    Some(Stat { parent: number(1)?, own: ticks(11)? + ticks(12)?, ended_children: ticks(13)? + ticks(14)? })
}

pub(crate) fn of_process(pid: u32) -> Duration {
    stat(pid).map(|stat| stat.own).unwrap_or_default()
}

/// A child that ends moves from the list of processes into its parent's `ended_children`: the sum only grows.
fn of_tree(pid: u32) -> Duration {
    let Some(top) = stat(pid) else { return Duration::ZERO };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let children: Duration = pids.filter_map(stat).filter(|stat| stat.parent == pid).map(|stat| stat.own).sum();
    top.own + top.ended_children + children
}

/// How many files and sockets a process has open.
pub(crate) fn descriptors(pid: u32) -> Option<u64> {
    Some(u64::try_from(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count()).unwrap_or(u64::MAX))
}

/// A line of `/proc/PID/status`, such as `VmHWM` (the most memory that was ever resident), in bytes.
pub(crate) fn memory(pid: u32, line: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(':'))?;
    Some(value.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}
