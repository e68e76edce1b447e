//! What somebody sees who visits the accounts: their sites as a browser gets them, their containers as the daemon lists them.

use anyhow::{Context, bail};
use reqwest::{Method, StatusCode, header};
use url::form_urlencoded;

use super::{Guide, Sold};

impl Guide<'_> {
    pub(super) async fn all_work(&self, sold: &[Sold]) -> anyhow::Result<()> {
        for account in sold {
            let seen = match (self.has_container(account), &account.site_url) {
                (true, _) => self.running(account).await?,
                (false, Some(url)) => self.open_site(account, url).await?,
                (false, None) => bail!("{} has neither a container nor a site", account.account_username),
            };
            self.say(&format!("  {:<9} {} works: {seen}", account.service_type, account.account_username));
        }
        Ok(())
    }

    pub(super) async fn none_work(&self, sold: &[Sold]) -> anyhow::Result<()> {
        for account in sold {
            let name = &account.account_username;
            let seen = match (self.has_container(account), &account.site_url) {
                (true, _) => self.in_status(name, "STOPPED").await?,
                (false, Some(url)) => self.answers(url, StatusCode::SERVICE_UNAVAILABLE).await?,
                (false, None) => bail!("{name} has neither a container nor a site"),
            };
            self.say(&format!("  {:<9} {name} is off: {seen}", account.service_type));
        }
        Ok(())
    }

    fn has_container(&self, account: &Sold) -> bool {
        self.tour.servers.incus.is_some() && ["vps", "cloud"].contains(&account.service_type.as_str())
    }

    async fn in_status(&self, name: &str, wanted: &str) -> anyhow::Result<String> {
        let incus = self.tour.servers.incus.as_ref().context("no daemon runs")?;
        let containers = incus.containers().await?;
        let found = containers.iter().find(|container| container.name == name);
        match found {
            Some(container) if container.status == wanted => {
                Ok(format!("its container is {wanted}, says {}", incus.product()))
            }
            Some(container) => bail!("the container {name} is {}, not {wanted}", container.status),
            None => bail!("there is no container {name}"),
        }
    }

    async fn running(&self, account: &Sold) -> anyhow::Result<String> {
        let name = &account.account_username;
        let seen = self.in_status(name, "RUNNING").await?;
        let incus = self.tour.servers.incus.as_ref().context("no daemon runs")?;
        let hostname = incus.output_in(name, &["hostname"]).await?;
        if hostname != *name {
            bail!("within the container {name} `hostname` prints {hostname}");
        }
        Ok(format!("{seen}; within it `hostname` prints {hostname}"))
    }

    async fn answers(&self, url: &str, wanted: StatusCode) -> anyhow::Result<String> {
        let status = self.shop.visit(Method::GET, url, "").await?.status();
        if status != wanted {
            bail!("the site {url} answers {status}, not {wanted}");
        }
        Ok(format!("HTTP {} {url}", status.as_u16()))
    }

    /// The front page, and where there is a WordPress on a real server, its customer's sign-in.
    async fn open_site(&self, account: &Sold, url: &str) -> anyhow::Result<String> {
        let seen = self.answers(url, StatusCode::OK).await?;
        if account.service_type != "wordpress" || self.tour.servers.linux.is_none() {
            return Ok(seen);
        }
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("log", &account.account_username)
            .append_pair("pwd", &account.password)
            .finish();
        let answer = self.shop.visit(Method::POST, &format!("{url}wp-login.php"), &form).await?;
        let status = answer.status();
        let leads_to = answer.headers().get(header::LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
        if status != StatusCode::FOUND || !leads_to.ends_with("/wp-admin/") {
            bail!("signing in to the WordPress at {url} answers {status}, to {leads_to:?}");
        }
        Ok(format!("{seen}; signing in: HTTP {} to {leads_to}", status.as_u16()))
    }
}
