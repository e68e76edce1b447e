//! What every driver must do whose server is spoken to by HTTP, while the network and the server fail it.

use std::{future::Future, time::Duration};

use futures::{
    StreamExt as _,
    future::{BoxFuture, join_all, ready},
    stream,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Server, at_once,
    cases::{Skip, Verdict, case},
    created,
    faults::{Fault, FaultProxy, Requests},
    present, result, settled, spec,
};
use crate::{CreateSpec, Created, Observed, Panel, PanelError, PanelFuture, RemoteState, Step};

mod secrets;

/// Beyond this a case hangs: a driver under test is configured with time-outs of a second or two.
const CASE_MAX: Duration = Duration::from_secs(120);

/// A server is given two mutations at once; these are ten times as many.
const AT_ONCE: usize = 20;

/// What a driver asks of its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// The read by which the driver sees an account.
    Observe,
    Create,
    Suspend,
    Activate,
    Package,
    Password,
    Remove,
}

/// A server that the panel under test reaches by a [`FaultProxy`] alone.
pub(crate) trait HttpServer: Server {
    fn proxy(&self) -> &FaultProxy;

    /// The requests that do an operation's work; of several the one that is decisive.
    fn requests(&self, operation: Operation) -> Requests;

    /// Leaves an account as a create leaves it that was interrupted between its steps.
    fn half_create<'a>(&'a self, _spec: &'a CreateSpec) -> BoxFuture<'a, Result<(), Skip>> {
        Box::pin(ready(Err(Skip("a create is one step"))))
    }

    /// Gives a domain to somebody else's account.
    fn hold_domain(&self, _domain: &str) -> Result<(), Skip> {
        Err(Skip("the server knows no domains"))
    }

    /// Lets the server say for so many requests that somebody else is at work on an account.
    fn hold_lock(&self, _username: &str, _requests: u32) -> Result<(), Skip> {
        Err(Skip("the server has no locks"))
    }

    /// Lets the server's next task end in an error, after nothing of it was done.
    fn fail_next_task(&self) -> Result<(), Skip> {
        Err(Skip("the server works without tasks"))
    }

    /// The most requests that a list of so many accounts may take: of a server that tells all of each at once, one.
    fn requests_of_list(&self, _accounts: usize) -> usize {
        1
    }

    /// How long a case may take.
    fn case_max(&self) -> Duration {
        CASE_MAX
    }

    /// The secrets that the driver was configured with.
    fn credentials(&self) -> Vec<String>;
}

/// Has so many accounts made, none of whose answers arrive, then asks for all of them again: the panel finds them.
pub(crate) async fn all_answers_are_lost(panel: &dyn Panel, server: &dyn HttpServer, accounts: u32) {
    let specs: Vec<_> = (0..accounts).map(|nth| spec(&format!("a{nth:03}lost"))).collect();
    server.proxy().next(accounts, server.requests(Operation::Create), Fault::DropResponse);

    let ask_all = async || {
        let asked = stream::iter(specs.iter().map(|spec| panel.ensure_created(spec)));
        asked.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await
    };
    let lost = ask_all().await;
    let adopted = ask_all().await;

    assert!(lost.iter().all(|answer| matches!(answer, Err(PanelError::Ambiguous(_)))));
    assert!(adopted.into_iter().map(at_once).all(|created| created.adopted));
    assert!(server.proxy().is_spent());
}

pub(crate) async fn conformance(panel: &dyn Panel, server: &dyn HttpServer) {
    let at = At { panel, server };
    at.case("list", at.a_list_takes_few_requests_and_half_of_one_is_none()).await;
    at.case("lost_response", at.an_answer_that_is_lost_makes_no_second_account()).await;
    at.case("lost_request", at.a_request_that_is_lost_is_sent_again()).await;
    at.case("late_work", at.work_that_appears_after_an_error_is_adopted()).await;
    at.case("late_work_after_retry", at.work_that_appears_after_the_retry_makes_no_second_account()).await;
    at.case("half_created", at.a_half_created_account_is_finished()).await;
    at.case("domain_elsewhere", at.a_domain_of_somebody_else_is_refused_for_good()).await;
    at.case("rate_limited", at.a_server_that_asks_for_fewer_requests_is_heard()).await;
    at.case("html_200", at.a_page_in_place_of_an_answer_is_no_success()).await;
    at.case("login_page", at.a_login_page_is_for_the_operator()).await;
    at.case("truncated_json", at.half_an_answer_is_no_success()).await;
    at.case("cut_answer", at.an_answer_that_is_cut_anywhere_makes_no_second_account()).await;
    at.case("unauthorized", at.refused_credentials_are_for_the_operator()).await;
    at.case("server_errors", at.errors_of_the_server_leave_a_mutation_open()).await;
    at.case("frozen", at.a_server_that_freezes_is_given_up()).await;
    at.case("every_answer_lost", at.every_mutation_may_lose_its_answer()).await;
    at.case("every_request_lost", at.every_mutation_may_lose_its_request()).await;
    at.case("ten_creates_slowly", at.ten_creates_over_a_slow_network_make_one_account()).await;
    at.case("lock_held", at.a_lock_of_somebody_else_is_waited_for()).await;
    at.case("task_fails", at.a_task_that_fails_is_no_success()).await;
    at.case("secrets_not_logged", at.no_secret_is_logged_or_told()).await;
}

struct At<'a> {
    panel: &'a dyn Panel,
    server: &'a dyn HttpServer,
}

impl At<'_> {
    async fn case<V: Into<Verdict>>(&self, name: &str, run: impl Future<Output = V>) {
        let within = async {
            match tokio::time::timeout(self.server.case_max(), run).await {
                Ok(verdict) => verdict,
                Err(_) => panic!("{name} hangs"),
            }
        };
        case(self.server.driver(), name, within).await;
        assert!(self.server.proxy().is_spent(), "every fault of {name} has met a request");
    }

    fn fault(&self, operation: Operation, fault: Fault) {
        self.server.proxy().next(1, self.server.requests(operation), fault);
    }

    async fn create(&self, spec: &CreateSpec) -> Result<Created, PanelError> {
        result(self.panel, || self.panel.ensure_created(spec)).await
    }

    async fn observe(&self, spec: &CreateSpec) -> Observed {
        self.panel.observe(&spec.account).await.unwrap()
    }

    /// The account is there once, whole and active, and opens to the password of its intent.
    async fn is_one(&self, spec: &CreateSpec) {
        let made = settled(self.panel, || self.panel.ensure_created(spec)).await;

        assert_eq!(self.observe(spec).await, present(spec, &made, RemoteState::Active));
        assert_eq!(self.server.creates_of(&spec.account), 1);
        if self.panel.caps().passwords
            && let Ok(opens) = self.server.opens(&spec.account.username, spec.password.expose_secret()).await
        {
            assert!(opens, "the password is known");
        }
    }

    async fn a_list_takes_few_requests_and_half_of_one_is_none(&self) -> Verdict {
        let whole = spec("htlist");
        settled(self.panel, || self.panel.ensure_created(&whole)).await;
        let half = spec("htlisthalf");
        let has_half = self.server.half_create(&half).await.is_ok();
        let before = self.server.proxy().seen().len();

        let listed = self.panel.list().await.unwrap();
        let asked = self.server.proxy().seen().len() - before;
        for fault in [Fault::DropRequest, Fault::DropResponse, Fault::Truncate] {
            self.server.proxy().next(1, Requests::all(), fault);
            let lost = self.panel.list().await.unwrap_err();
            assert!(matches!(lost, PanelError::Transient(_)), "{lost:?}");
        }

        let mut names: Vec<_> = listed.iter().map(|account| account.username.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, if has_half { vec!["htlist", "htlisthalf"] } else { vec!["htlist"] });
        assert!(listed.iter().all(|account| !account.suspended), "{listed:?}");
        assert!(asked <= self.server.requests_of_list(listed.len()), "{asked} requests for {}", listed.len());
        Verdict::Pass
    }

    async fn an_answer_that_is_lost_makes_no_second_account(&self) -> Verdict {
        let spec = spec("htlost");
        self.fault(Operation::Create, Fault::DropResponse);

        is_ambiguous(self.create(&spec).await);

        assert_ne!(self.observe(&spec).await, Observed::Absent);
        assert!(settled(self.panel, || self.panel.ensure_created(&spec)).await.adopted);
        self.is_one(&spec).await;
        Verdict::Pass
    }

    async fn a_request_that_is_lost_is_sent_again(&self) -> Verdict {
        let spec = spec("htunsent");
        self.fault(Operation::Create, Fault::DropRequest);

        is_ambiguous(self.create(&spec).await);

        assert_eq!(self.observe(&spec).await, Observed::Absent);
        assert_eq!(self.server.creates_of(&spec.account), 0);
        self.is_one(&spec).await;
        Verdict::Pass
    }

    async fn work_that_appears_after_an_error_is_adopted(&self) -> Verdict {
        let spec = spec("htlate");
        self.fault(Operation::Create, Fault::AnswerThenForward { status: 500 });

        is_ambiguous(self.create(&spec).await);
        let before = self.observe(&spec).await;
        self.server.proxy().forward_held().await;

        assert_eq!(before, Observed::Absent);
        self.is_one(&spec).await;
        Verdict::Pass
    }

    async fn work_that_appears_after_the_retry_makes_no_second_account(&self) -> Verdict {
        let spec = spec("htlater");
        self.fault(Operation::Create, Fault::AnswerThenForward { status: 504 });

        is_ambiguous(self.create(&spec).await);
        self.is_one(&spec).await;
        self.server.proxy().forward_held().await;

        self.is_one(&spec).await;
        Verdict::Pass
    }

    async fn a_half_created_account_is_finished(&self) -> Verdict {
        let spec = spec("hthalf");
        if let Err(skip) = self.server.half_create(&spec).await {
            return Verdict::from(skip);
        }
        let half = self.observe(&spec).await;

        settled(self.panel, || self.panel.ensure_created(&spec)).await;

        assert!(matches!(half, Observed::Partial { .. }), "{half:?}");
        self.is_one(&spec).await;
        Verdict::Pass
    }

    async fn a_domain_of_somebody_else_is_refused_for_good(&self) -> Verdict {
        if let Err(skip) = self.server.hold_domain("taken.example") {
            return Verdict::from(skip);
        }
        let mut spec = spec("htdomain");
        spec.account.domain = Some("taken.example".to_owned());

        let refused = self.create(&spec).await.unwrap_err();

        assert!(matches!(refused, PanelError::Permanent(_)), "{refused:?}");
        assert_eq!(self.observe(&spec).await, Observed::Absent);
        assert_eq!(self.server.creates_of(&spec.account), 0);
        Verdict::Pass
    }

    async fn a_server_that_asks_for_fewer_requests_is_heard(&self) -> Verdict {
        let spec = spec("htlimit");
        for operation in [Operation::Create, Operation::Observe] {
            let headers = &[("retry-after", "7")];
            self.fault(operation, Fault::Answer { status: 429, headers, body: "" });

            let refused = self.create(&spec).await.unwrap_err();

            let PanelError::RateLimited { retry_after, .. } = refused else { panic!("{refused:?}") };
            assert_eq!(retry_after.as_secs(), 7);
            assert_eq!(self.server.creates_of(&spec.account), 0);
        }
        self.is_one(&spec).await;
        Verdict::Pass
    }

    async fn a_page_in_place_of_an_answer_is_no_success(&self) -> Verdict {
        self.create_despite("hthtml", Fault::Html).await;
        let (spec, _) = created(self.panel, "hthtml2").await;
        self.fault(Operation::Observe, Fault::Html);

        is_transient(self.panel.observe(&spec.account).await);
        Verdict::Pass
    }

    async fn a_login_page_is_for_the_operator(&self) -> Verdict {
        let body = r#"<html><body><form><input type="password" name="pass"></form></body></html>"#;
        self.is_refused_and_nothing_done("htlogin", &Fault::Answer { status: 200, headers: &[], body }).await;
        Verdict::Pass
    }

    async fn half_an_answer_is_no_success(&self) -> Verdict {
        self.create_despite("httrunc", Fault::Truncate).await;
        let (spec, _) = created(self.panel, "httrunc2").await;
        self.fault(Operation::Observe, Fault::Truncate);

        is_transient(self.panel.observe(&spec.account).await);
        Verdict::Pass
    }

    async fn an_answer_that_is_cut_anywhere_makes_no_second_account(&self) -> Verdict {
        for (username, bytes) in [("htcuta", 0), ("htcutb", 1), ("htcutc", 20), ("htcutd", 90)] {
            self.create_despite(username, Fault::CutAfter(bytes)).await;
        }
        Verdict::Pass
    }

    /// A create whose answer cannot be understood though the work was done, and the next that adopts.
    async fn create_despite(&self, username: &str, fault: Fault) {
        let spec = spec(username);
        self.fault(Operation::Create, fault);

        is_ambiguous(self.create(&spec).await);

        self.is_one(&spec).await;
    }

    async fn refused_credentials_are_for_the_operator(&self) -> Verdict {
        for (username, status) in [("htdeny1", 401), ("htdeny3", 403)] {
            self.is_refused_and_nothing_done(username, &Fault::Answer { status, headers: &[], body: "" }).await;
        }
        Verdict::Pass
    }

    async fn is_refused_and_nothing_done(&self, username: &str, fault: &Fault) {
        let spec = spec(username);
        for operation in [Operation::Create, Operation::Observe] {
            self.fault(operation, fault.clone());

            let refused = self.create(&spec).await.unwrap_err();

            assert!(matches!(refused, PanelError::Misconfigured(_)), "{refused:?}");
            assert_eq!(self.server.creates_of(&spec.account), 0);
        }
        self.is_one(&spec).await;
    }

    async fn errors_of_the_server_leave_a_mutation_open(&self) -> Verdict {
        let spec = spec("hterror");
        for status in [500, 502, 503, 504] {
            let fault = Fault::Answer { status, headers: &[], body: "<html>" };
            self.fault(Operation::Create, fault.clone());
            is_ambiguous(self.create(&spec).await);
            assert_eq!(self.observe(&spec).await, Observed::Absent);
            self.fault(Operation::Observe, fault);
            is_transient(self.panel.observe(&spec.account).await);
        }
        self.is_one(&spec).await;
        Verdict::Pass
    }

    async fn a_server_that_freezes_is_given_up(&self) -> Verdict {
        self.create_despite("htfreeze", Fault::FreezeResponse).await;
        let spec = spec("htfrozen");
        self.fault(Operation::Create, Fault::FreezeRequest);

        is_ambiguous(self.create(&spec).await);

        assert_eq!(self.observe(&spec).await, Observed::Absent);
        self.is_one(&spec).await;
        Verdict::Pass
    }

    async fn every_mutation_may_lose_its_answer(&self) -> Verdict {
        self.every_mutation_may_meet("htanswer", &Fault::DropResponse).await;
        Verdict::Pass
    }

    async fn every_mutation_may_lose_its_request(&self) -> Verdict {
        self.every_mutation_may_meet("htrequest", &Fault::DropRequest).await;
        Verdict::Pass
    }

    /// Each mutation of an account's life but the first, once with the fault and then again.
    async fn every_mutation_may_meet(&self, username: &str, fault: &Fault) {
        let (mut spec, made) = created(self.panel, username).await;
        let account = &spec.account.clone();
        let suspended = RemoteState::Suspended { reason: Some("non_payment".to_owned()), ours: true };

        self.meets(Operation::Suspend, fault, || self.panel.ensure_suspended(account, "non_payment")).await;
        assert_eq!(self.observe(&spec).await, present(&spec, &made, suspended));
        self.meets(Operation::Activate, fault, || self.panel.ensure_active(account)).await;
        assert_eq!(self.observe(&spec).await, present(&spec, &made, RemoteState::Active));
        "large".clone_into(&mut spec.package);
        self.meets(Operation::Package, fault, || self.panel.ensure_package(account, "large")).await;
        assert_eq!(self.observe(&spec).await, present(&spec, &made, RemoteState::Active));
        if self.panel.caps().passwords {
            let new = SecretString::from("Vt6zHb2nKc8dRg4x-sWq");
            self.meets(Operation::Password, fault, || self.panel.set_password(account, &new)).await;
            if let Ok(opens) = self.server.opens(username, new.expose_secret()).await {
                assert!(opens);
            }
        }
        self.meets(Operation::Remove, fault, || self.panel.ensure_absent(account)).await;
        assert_eq!(self.observe(&spec).await, Observed::Absent);
        assert_eq!(self.server.creates_of(account), 1);
    }

    async fn meets<'c>(&self, operation: Operation, fault: &Fault, call: impl Fn() -> PanelFuture<'c, Step<()>>) {
        self.fault(operation, fault.clone());

        is_ambiguous(result(self.panel, &call).await);

        settled(self.panel, &call).await;
    }

    async fn ten_creates_over_a_slow_network_make_one_account(&self) -> Verdict {
        let spec = spec("htslow");
        let latency = Fault::Latency(Duration::from_millis(20));
        self.server.proxy().next(10, Requests::all(), latency);

        let made = join_all((0..10).map(|_| settled(self.panel, || self.panel.ensure_created(&spec)))).await;

        assert!(made.iter().all(|each| each.remote_id == made[0].remote_id), "{made:?}");
        self.is_one(&spec).await;
        Verdict::Pass
    }

    async fn a_lock_of_somebody_else_is_waited_for(&self) -> Verdict {
        let (spec, made) = created(self.panel, "htlock").await;
        if let Err(skip) = self.server.hold_lock("htlock", 3) {
            return Verdict::from(skip);
        }
        let account = &spec.account;

        let held = self.panel.ensure_suspended(account, "non_payment").await;
        settled(self.panel, || self.panel.ensure_suspended(account, "non_payment")).await;

        assert!(matches!(held, Err(PanelError::Transient(_)) | Ok(Step::Pending(..))), "{held:?}");
        let suspended = RemoteState::Suspended { reason: Some("non_payment".to_owned()), ours: true };
        assert_eq!(self.observe(&spec).await, present(&spec, &made, suspended));
        Verdict::Pass
    }

    async fn a_task_that_fails_is_no_success(&self) -> Verdict {
        let spec = spec("httask");
        if let Err(skip) = self.server.fail_next_task() {
            return Verdict::from(skip);
        }

        self.create(&spec).await.unwrap_err();

        self.is_one(&spec).await;
        Verdict::Pass
    }
}

#[track_caller]
fn is_ambiguous<T>(answer: Result<T, PanelError>) {
    let error = answer.err().expect("it fails");
    assert!(matches!(error, PanelError::Ambiguous(_)), "{error:?}");
}

#[track_caller]
fn is_transient<T>(answer: Result<T, PanelError>) {
    let error = answer.err().expect("it fails");
    assert!(matches!(error, PanelError::Transient(_)), "{error:?}");
}
