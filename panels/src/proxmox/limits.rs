//! What a machine gets: its package's resources, and what was bought beyond them.

pub(super) use crate::incus::limits::Options;
use crate::incus::limits::in_mib;

/// What a package gives. Options that were bought can only add to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Virtual processors, in one socket.
    pub cpu_cores: u64,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// The disk, in MiB. It is never made smaller than the template's, nor than it was.
    pub disk_mib: u64,
    /// The template, by its number; `None` for the server's usual one.
    pub template: Option<u32>,
}

/// A machine's resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) cpu_cores: u64,
    pub(super) memory_mib: u64,
    pub(super) disk_mib: u64,
}

impl Limits {
    pub(super) fn new(package: &Package, options: Options) -> Self {
        let most = |of_package: u64, bought: Option<u64>| of_package.max(bought.unwrap_or(0));
        Self {
            cpu_cores: most(package.cpu_cores, options.cpu_cores),
            memory_mib: most(package.memory_mib, options.ram_gb.map(in_mib)),
            disk_mib: most(package.disk_mib, options.disk_gb.map(in_mib)),
        }
    }

    /// As parameters of a machine's configuration. A template's sockets would multiply the cores.
    pub(super) fn parameters(self) -> [(&'static str, String); 3] {
        [("cores", self.cpu_cores.to_string()), ("sockets", "1".to_owned()), ("memory", self.memory_mib.to_string())]
    }
}

/// The size that a drive's configuration says, such as `local-lvm:vm-100-disk-0,discard=on,size=10G`, in KiB.
pub(super) fn size_kib(drive: &str) -> Option<u64> {
    let size = drive.split(',').find_map(|option| option.trim().strip_prefix("size="))?;
    let digits = size.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    match size.get(digits.len()..)? {
        "K" => Some(number),
        "M" => number.checked_mul(1 << 10),
        "G" => number.checked_mul(1 << 20),
        "T" => number.checked_mul(1 << 30),
        "" => Some(number.div_ceil(1 << 10)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn options_add_to_a_package_and_take_nothing_away() {
        let package = Package { cpu_cores: 2, memory_mib: 2048, disk_mib: 40 * 1024, template: None };
        let chosen = Options::chosen(&json!({ "ram_gb": 8, "cpu_cores": 1, "region": "eu-central" })).unwrap();

        let limits = Limits::new(&package, chosen);

        assert_eq!(limits, Limits { cpu_cores: 2, memory_mib: 8192, disk_mib: 40 * 1024 });
    }

    #[test]
    fn sizes_are_read_as_they_are_written() {
        for (drive, kib) in [
            ("local-lvm:vm-100-disk-0,size=10G", Some(10 << 20)),
            ("local:100/vm-100-disk-0.qcow2,discard=on,size=2252M,ssd=1", Some(2252 << 10)),
            ("local-lvm:vm-100-disk-0,size=4T", Some(4 << 30)),
            ("local-lvm:vm-100-disk-0,size=528K", Some(528)),
            ("local-lvm:vm-100-disk-0,size=1048577", Some(1025)),
            ("local-lvm:vm-100-disk-0", None),
            ("local-lvm:vm-100-disk-0,size=", None),
            ("local-lvm:vm-100-disk-0,size=1X", None),
        ] {
            assert_eq!(size_kib(drive), kib, "{drive}");
        }
    }
}
