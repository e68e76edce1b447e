//! A server for the driver `incus`: an Incus or LXD of one's own, with a pool of disks in a file and an image of busybox.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use nix::sys::signal::Signal;
use tokio::task::spawn_blocking;

use super::home::{Home, remove_if_there};
use super::process::{Endings, Readiness, ServerProcess, stop_orphan};
use super::{ServerError, failed_to};
use crate::gateways::panels::private::incus::{INCUS, LXD, Product, build_image, socket, unmount};

/// The image's alias.
pub const IMAGE: &str = "tiny";
/// What the pool's file grows to at most. What accounts may have is only limited, not set aside.
const POOL: &str = "size=8GiB";
const SERVER: &str = "Incus";
/// The daemon stops its containers first, and starts them again when it is started.
#[cfg(target_os = "linux")]
const ENDINGS: Endings = Endings { clean: Signal::SIGPWR, quick: Signal::SIGPWR };
#[cfg(not(target_os = "linux"))]
const ENDINGS: Endings = Endings { clean: Signal::SIGTERM, quick: Signal::SIGTERM };

/// A container, as the daemon's own client lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Such as `RUNNING`.
    pub status: String,
}

/// A running daemon. Dropping it ends it and its containers; they stay for the next start.
#[derive(Debug)]
pub struct PrivateIncus {
    product: Product,
    below: PathBuf,
    home: Home,
    process: Option<ServerProcess>,
}

impl PrivateIncus {
    /// Whether the machine can have one.
    ///
    /// # Errors
    /// With what is missing, and what installs it.
    pub fn possible() -> Result<(), ServerError> {
        possible().map(drop)
    }

    /// Stops what an earlier run left, starts the daemon, and makes its pool and its image when they are not there yet.
    ///
    /// # Errors
    /// When the machine cannot have one, or it does not start.
    pub async fn start(below: &Path) -> Result<Self, ServerError> {
        let product = possible()?;
        let home = Home::claim(below, None)?;
        // The root of a container is nobody outside, and has to come by here.
        fs::set_permissions(below, Permissions::from_mode(0o711)).map_err(failed_to("open to containers", below))?;
        stop_orphan(SERVER, &home, ENDINGS).await?;
        let mut daemon = Self { product, below: below.to_owned(), home, process: None };
        daemon.launch().await?;
        daemon.prepare().await?;
        Ok(daemon)
    }

    async fn launch(&mut self) -> Result<(), ServerError> {
        let mut command = self.product.process(&self.below);
        let mut process = ServerProcess::spawn(SERVER, &mut command, &self.home, ENDINGS)?;
        let (product, below) = (self.product, &self.below);
        let is_up = async || {
            let waits = product.admin(below, &["waitready", "--timeout", "5"]);
            output_of(waits).await.is_ok()
        };
        match process.until_ready(is_up).await {
            Readiness::Ready => {
                self.process = Some(process);
                Ok(())
            }
            Readiness::Exited | Readiness::TooLate => {
                let tail = self.home.log_tail().unwrap_or_else(|error| error.to_string());
                Err(ServerError::DidNotStart { server: SERVER, log: self.home.log(), tail })
            }
        }
    }

    async fn prepare(&self) -> Result<(), ServerError> {
        if self.client(&["storage", "show", "default"]).await.is_err() {
            self.told(&["storage", "create", "default", "btrfs", POOL]).await?;
        }
        // The image's init may take no notice of being asked to end.
        self.told(&["profile", "set", "default", "boot.host_shutdown_timeout=5"]).await?;
        if self.client(&["image", "info", IMAGE]).await.is_err() {
            let dir = self.below.join("image");
            remove_if_there(&dir)?;
            let built = dir.clone();
            let building = spawn_blocking(move || build_image(&built));
            let image = building.await.map_err(io::Error::from).flatten().map_err(failed_to("build", &dir))?;
            self.told(&["image", "import", &image.to_string_lossy(), "--alias", IMAGE]).await?;
        }
        Ok(())
    }

    async fn client(&self, args: &[&str]) -> io::Result<String> {
        output_of(self.product.command(&self.below, args)).await
    }

    /// A command that has to succeed.
    async fn told(&self, args: &[&str]) -> Result<String, ServerError> {
        self.client(args).await.map_err(failed_to("set up", &self.below))
    }

    /// Where it is spoken to.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        socket(&self.below)
    }

    /// What it calls itself.
    #[must_use]
    pub fn product(&self) -> &'static str {
        self.product.name
    }

    /// Its containers.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn containers(&self) -> Result<Vec<Container>, ServerError> {
        let listed = self.told(&["list", "--format", "csv", "--columns", "ns"]).await?;
        let lines = listed.lines().filter_map(|line| line.split_once(','));
        Ok(lines.map(|(name, status)| Container { name: name.to_owned(), status: status.to_owned() }).collect())
    }

    /// What a program prints that is run in a container.
    ///
    /// # Errors
    /// When the container does not run, or the program fails.
    pub async fn output_in(&self, container: &str, program: &[&str]) -> Result<String, ServerError> {
        Ok(self.told(&[&["exec", container, "--"], program].concat()).await?.trim().to_owned())
    }

    /// Removes every container.
    ///
    /// # Errors
    /// When one is not removed.
    pub async fn empty(&self) -> Result<(), ServerError> {
        for container in self.containers().await? {
            self.told(&["delete", "--force", &container.name]).await?;
        }
        Ok(())
    }

    /// Empties it, ends it, and removes all that it was.
    ///
    /// # Errors
    /// When something of it cannot be removed.
    pub async fn remove(mut self) -> Result<(), ServerError> {
        self.empty().await?;
        self.stop().await?;
        fs::remove_dir_all(&self.below).map_err(failed_to("remove", &self.below))
    }

    /// Ends the containers and the daemon.
    ///
    /// # Errors
    /// When it does not end, or leaves something mounted.
    pub async fn stop(&mut self) -> Result<(), ServerError> {
        if let Some(mut process) = self.process.take() {
            process.end(ENDINGS.clean).await?;
            unmount(&self.below).map_err(failed_to("unmount what is below", &self.below))?;
            self.home.forget()?;
        }
        Ok(())
    }
}

/// Incus or else LXD, if there is all that they need.
fn possible() -> Result<Product, ServerError> {
    let product = [INCUS, LXD].into_iter().find(|product| product.daemon().is_some()).unwrap_or(INCUS);
    match product.missing() {
        None => Ok(product),
        Some(why) => Err(ServerError::CannotBeHad { panel: "incus", why }),
    }
}

/// What a command prints.
async fn output_of(command: Command) -> io::Result<String> {
    let output = tokio::process::Command::from(command).output().await?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
