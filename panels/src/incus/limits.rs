//! What an instance gets: its package's limits, and what was bought beyond them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::wire::{Instance, OPTIONS, PACKAGE};
use crate::PanelError;

const MIB_PER_GIB: u64 = 1024;
/// No machine has more of anything; a larger number is a mistake, and would overflow.
const OPTION_MAX: u64 = 1_000_000;

/// What a package gives. Options that were bought can only add to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Processors that may be busy at once.
    pub cpu_cores: u64,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// The root disk, in MiB. Enforced where the storage pool has quotas.
    pub disk_mib: u64,
    /// The image, by its alias on the server; `None` for the server's usual one.
    pub image: Option<String>,
    /// Profiles, applied in this order, for what is beyond limits: networks, nesting, cloud-init. `None` for the usual ones.
    pub profiles: Option<Vec<String>>,
}

/// What was chosen of the options that concern an instance, or a machine of another driver's. Others, such as a region, are
/// not for the drivers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Options {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ram_gb: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_cores: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) disk_gb: Option<u64>,
}

impl Options {
    /// Of a [`crate::CreateSpec::configuration`].
    pub(crate) fn chosen(configuration: &Value) -> Result<Self, PanelError> {
        let number = |id: &str| match configuration.get(id) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number @ 1..=OPTION_MAX) => Ok(Some(number)),
                _ => Err(PanelError::permanent(format!("the option {id} is {value}, which is no number of them"))),
            },
        };
        Ok(Self { ram_gb: number("ram_gb")?, cpu_cores: number("cpu_cores")?, disk_gb: number("disk_gb")? })
    }

    /// As they were written on the instance when it was created.
    pub(super) fn of(instance: &Instance) -> Result<Self, PanelError> {
        let Some(text) = instance.key(OPTIONS) else { return Ok(Self::default()) };
        serde_json::from_str(text)
            .map_err(|_| PanelError::permanent(format!("the instance's {OPTIONS} is not what Berth has written")))
    }

    /// As they are written on an instance.
    pub(crate) fn written(self) -> String {
        json!(self).to_string()
    }
}

/// Limits as the API takes them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) config: BTreeMap<&'static str, String>,
    pub(super) root: BTreeMap<&'static str, String>,
}

impl Limits {
    pub(super) fn new(name: &str, package: &Package, options: Options, pool: &str) -> Self {
        let most = |of_package: u64, bought: Option<u64>| of_package.max(bought.unwrap_or(0));
        let cpu_cores = most(package.cpu_cores, options.cpu_cores);
        let memory_mib = most(package.memory_mib, options.ram_gb.map(in_mib));
        let disk_mib = most(package.disk_mib, options.disk_gb.map(in_mib));
        Self {
            config: BTreeMap::from([
                (PACKAGE, name.to_owned()),
                ("limits.cpu", cpu_cores.to_string()),
                ("limits.memory", format!("{memory_mib}MiB")),
            ]),
            root: BTreeMap::from([
                ("type", "disk".to_owned()),
                ("path", "/".to_owned()),
                ("pool", pool.to_owned()),
                ("size", format!("{disk_mib}MiB")),
            ]),
        }
    }

    /// Whether an instance has them already.
    pub(super) fn hold_for(&self, instance: &Instance) -> bool {
        let config = self.config.iter().all(|(key, value)| instance.config.get(*key) == Some(value));
        let root = instance.devices.get("root");
        config && root.is_some_and(|root| self.root.iter().all(|(key, value)| root.get(*key) == Some(value)))
    }
}

pub(crate) fn in_mib(gib: u64) -> u64 {
    gib.saturating_mul(MIB_PER_GIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package() -> Package {
        Package { cpu_cores: 2, memory_mib: 2048, disk_mib: 40 * 1024, image: None, profiles: None }
    }

    #[test]
    fn options_add_to_a_package_and_take_nothing_away() {
        let chosen =
            Options::chosen(&json!({ "ram_gb": 8, "cpu_cores": 1, "region": "eu-central", "disk_gb": null })).unwrap();

        let limits = Limits::new("starter", &package(), chosen, "default");

        assert_eq!(limits.config["limits.memory"], "8192MiB");
        assert_eq!(limits.config["limits.cpu"], "2");
        assert_eq!(limits.root["size"], "40960MiB");
    }

    #[test]
    fn an_option_that_is_no_number_is_refused() {
        for configuration in
            [json!({ "ram_gb": "8" }), json!({ "cpu_cores": 0 }), json!({ "disk_gb": -1 }), json!({ "ram_gb": 1e30 })]
        {
            let refused = Options::chosen(&configuration).unwrap_err();

            assert!(matches!(refused, PanelError::Permanent(_)), "{configuration}: {refused:?}");
        }
        assert_eq!(Options::chosen(&Value::Null).unwrap(), Options::default());
    }
}
