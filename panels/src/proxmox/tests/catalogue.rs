//! Every error that the server's own sources can answer the driver's requests with, once each.

use super::*;

/// The requests of a machine's life, by method and path.
const CLONE: (&str, &str) = ("POST", "/nodes/{node}/qemu/{vmid}/clone");
const RESIZE: (&str, &str) = ("PUT", "/nodes/{node}/qemu/{vmid}/resize");
const CONFIGURE: (&str, &str) = ("PUT", "/nodes/{node}/qemu/{vmid}/config");
const START: (&str, &str) = ("POST", "/nodes/{node}/qemu/{vmid}/status/start");
const SHUTDOWN: (&str, &str) = ("POST", "/nodes/{node}/qemu/{vmid}/status/shutdown");
const STOP: (&str, &str) = ("POST", "/nodes/{node}/qemu/{vmid}/status/stop");
const DELETE: (&str, &str) = ("DELETE", "/nodes/{node}/qemu/{vmid}");
const READ: (&str, &str) = ("GET", "/nodes/{node}/qemu/{vmid}/config");
const TASK: (&str, &str) = ("GET", "/nodes/{node}/tasks/{upid}/status");
const LIST: (&str, &str) = ("GET", "/cluster/resources");

impl World {
    fn errors(&self, (method, path): (&str, &str)) -> Vec<String> {
        let errors: Vec<(String, bool)> =
            serde_json::from_value(self.fake.call(json!(["errors", method, path]))).unwrap();
        assert!(errors.len() > 3, "{errors:?}");
        errors.into_iter().map(|(name, _)| name).collect()
    }

    /// Calls with each of the errors once, and then without. Gives back how each one ended.
    async fn meets<'a>(
        &self,
        request: (&str, &str),
        call: impl Fn() -> crate::PanelFuture<'a, Step<()>>,
        between: impl AsyncFn(),
    ) -> Vec<(String, Option<PanelError>)> {
        let mut ended = Vec::new();
        for error in self.errors(request) {
            between().await;
            self.fake.fail_as(request.0, request.1, &error);
            let met = result(&self.panel, &call).await.err();
            self.fake.call(json!(["unfail"]));
            ended.push((error, met));
            settled(&self.panel, &call).await;
        }
        ended
    }
}

/// What each error must be for the caller, as far as its name says so.
#[track_caller]
fn are_classed(ended: &[(String, Option<PanelError>)]) {
    for (name, error) in ended {
        let Some(error) = error else { continue };
        let is_right = match name.trim_end_matches("_2") {
            "invalid_ticket" | "authentication_failure" | "permission_denied" | "invalid_csrf" => {
                matches!(error, PanelError::Misconfigured(_))
            }
            "locked" | "no_quorum" | "config_lock_timeout" | "no_route_to_host" => {
                matches!(error, PanelError::Transient(_) | PanelError::Ambiguous(_))
            }
            "storage_does_not_exist" | "hostname_lookup_failed" => matches!(error, PanelError::Misconfigured(_)),
            name if name.starts_with("param_") || name == "not_implemented" => {
                matches!(error, PanelError::Permanent(_) | PanelError::Misconfigured(_) | PanelError::Ambiguous(_))
            }
            _ => !matches!(error, PanelError::NameTaken(_) | PanelError::RateLimited { .. }),
        };
        assert!(is_right, "{name}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_meets_any_error_of_the_servers_is_finished_by_the_next() {
    let Some(world) = World::new().await else { return };

    for request in [CLONE, RESIZE, CONFIGURE, START, READ, TASK, LIST] {
        let mut ended = Vec::new();
        for (nth, error) in world.errors(request).into_iter().enumerate() {
            let spec = spec(&format!("catalogue{nth}"));
            world.fake.fail_as(request.0, request.1, &error);

            let met = result(&world.panel, || world.panel.ensure_created(&spec)).await.err();
            world.fake.call(json!(["unfail"]));
            let made = settled(&world.panel, || world.panel.ensure_created(&spec)).await;

            let observed = world.panel.observe(&spec.account).await.unwrap();
            assert!(matches!(observed, Observed::Present { state: RemoteState::Active, .. }), "{error}: {observed:?}");
            assert_eq!(world.creates_of(&spec.account), 1, "{error}");
            assert_eq!(world.fake.vmid_of(&spec.account.username).to_string(), made.remote_id);
            assert!(world.fake.takes(&spec.account.username, spec.password.expose_secret()), "{error}");
            done(&world.panel, || world.panel.ensure_absent(&spec.account)).await;
            ended.push((error, met));
        }
        are_classed(&ended);
        assert!(request == TASK || ended.iter().filter(|(_, error)| error.is_some()).count() > 4, "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_and_its_end_that_meet_any_error_come_about_in_the_end() {
    let Some(world) = World::new().await else { return };
    let (spec, _) = created(&world.panel, "alice").await;
    let suspend = || world.panel.ensure_suspended(&spec.account, "non_payment");
    let activate = || world.panel.ensure_active(&spec.account);
    let ours = RemoteState::Suspended { reason: Some("non_payment".to_owned()), ours: true };
    let is = async |expected: &RemoteState| {
        let observed = world.panel.observe(&spec.account).await.unwrap();
        assert!(matches!(&observed, Observed::Present { state, .. } if state == expected), "{observed:?}");
    };

    for request in [CONFIGURE, SHUTDOWN, READ, LIST] {
        are_classed(&world.meets(request, suspend, async || done(&world.panel, activate).await).await);
        is(&ours).await;
    }
    for request in [CONFIGURE, START, READ, LIST] {
        are_classed(&world.meets(request, activate, async || done(&world.panel, suspend).await).await);
        is(&RemoteState::Active).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_meets_any_error_comes_about_in_the_end_and_takes_all_disks() {
    let Some(world) = World::new().await else { return };
    let spec = spec("alice");
    let volumes = world.fake.call(json!(["volumes", fake::STORAGE]));

    for request in [STOP, DELETE, READ, LIST] {
        let create = async || {
            done(&world.panel, || world.panel.ensure_created(&spec)).await;
        };
        are_classed(&world.meets(request, || world.panel.ensure_absent(&spec.account), create).await);

        assert_eq!(world.fake.count(), 0);
        assert_eq!(world.fake.call(json!(["volumes", fake::STORAGE])), volumes);
    }
}
