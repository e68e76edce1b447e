//! That a server lives, takes our token, and has what the configuration names.

use std::collections::BTreeSet;

use super::{api::Place, limits::size_kib, work::Work};
use crate::{PanelError, ServerInfo};

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

    async fn check_template(&self, vmid: u32) -> Result<(), PanelError> {
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
