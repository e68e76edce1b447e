//! That a server lives, takes our token, and has what the configuration names.

use std::collections::BTreeSet;

use super::{api::Place, limits::size_kib, work::Work};
use crate::{PanelError, ServerInfo};

/// What the token must be allowed to do to the machines. What the guest agent takes is called differently by each release.
const PRIVILEGES: [&str; 8] = [
    "VM.Allocate",
    "VM.PowerMgmt",
    "VM.Config.Options",
    "VM.Config.CPU",
    "VM.Config.Memory",
    "VM.Config.Disk",
    "VM.Config.Cloudinit",
    "VM.Config.Network",
];

impl Work<'_> {
    pub(super) async fn server_info(&self) -> Result<ServerInfo, PanelError> {
        let version = self.api.version().await?.version;
        let nodes = self.api.nodes().await?;
        match nodes.iter().find(|node| node.node == self.config.node) {
            Some(node) if node.status == "offline" => {
                return Err(PanelError::transient(format!("the node {} is offline", self.config.node)));
            }
            Some(_) => {}
            None => return Err(PanelError::misconfigured(format!("the cluster has no node {}", self.config.node))),
        }
        self.check_privileges().await?;
        if let Some(storage) = &self.config.backup_storage {
            self.api.archives(&self.config.node, storage).await?;
        }
        let named = self.config.packages.values().filter_map(|package| package.template);
        for template in named.chain([self.config.template]).collect::<BTreeSet<_>>() {
            self.check_template(template).await?;
        }
        Ok(ServerInfo {
            version: format!("Proxmox VE {version}"),
            hostname: Some(self.config.node.clone()),
            nameservers: Vec::new(),
        })
    }

    async fn check_privileges(&self) -> Result<(), PanelError> {
        let on_all = self.api.privileges("/vms").await?;
        let mut held = on_all.clone();
        if let Some(pool) = &self.config.resource_pool {
            held.extend(self.api.privileges(&format!("/pool/{pool}")).await?);
        }
        let to_back_up = self.config.backup_storage.as_ref().map(|_| "VM.Backup");
        let missing: Vec<_> =
            PRIVILEGES.into_iter().chain(to_back_up).filter(|privilege| !held.contains(*privilege)).collect();
        if !missing.is_empty() {
            let why = format!("the token may not do to machines what takes {}", missing.join(", "));
            return Err(PanelError::misconfigured(why));
        }
        if !on_all.contains("VM.Audit") {
            let why = "the token may not see all machines (VM.Audit on /vms), of which some may have its numbers";
            return Err(PanelError::misconfigured(why));
        }
        Ok(())
    }

    async fn check_template(&self, vmid: u32) -> Result<(), PanelError> {
        if !self.api.privileges(&format!("/vms/{vmid}")).await?.contains("VM.Clone") {
            let why = format!("the token may not clone the template {vmid} (VM.Clone on /vms/{vmid})");
            return Err(PanelError::misconfigured(why));
        }
        let found = self.api.machine(Place { node: &self.config.node, vmid }).await?;
        let refuse = |why: &str| Err(PanelError::misconfigured(format!("the template {vmid} {why}")));
        let Some(template) = found else { return refuse("is not on the node") };
        if template.config.get("template").is_none_or(|value| value != "1") {
            return refuse("is no template");
        }
        if template.config.get(&self.config.disk).is_none_or(|drive| size_kib(drive).is_none()) {
            return refuse(&format!("has no disk {}", self.config.disk));
        }
        if !template.config.values().any(|value| value.contains("cloudinit")) {
            return refuse("has no cloud-init drive");
        }
        Ok(())
    }
}
