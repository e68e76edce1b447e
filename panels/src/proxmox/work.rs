//! What all calls have in common: finding a machine, proving whose it is, and following the server's tasks.

use std::{collections::BTreeSet, time::Duration};

use tokio::sync::MutexGuard;

use super::{
    ProxmoxConfig,
    api::{Api, Form, Outcome, Place},
    failures::Refusal,
    machine::Machine,
    name_of,
    notes::Notes,
    slots::Slots,
    tasks::{Goal, PAUSE, Task, Upid},
    wire::Guest,
};
use crate::{AccountRef, PanelError, Step, TaskOutcome, TaskRef, http::Effect};

/// Between the first two looks at a task, and the longest pause between any two: most end within a second or two.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Why a call ends before it has done all: it failed, or the server is still at work.
pub(super) enum Halt {
    Failed(PanelError),
    Waiting(Task),
}

impl From<PanelError> for Halt {
    fn from(error: PanelError) -> Self {
        Self::Failed(error)
    }
}

/// What the caller hears.
pub(super) fn answer<T>(result: Result<T, Halt>) -> Result<Step<T>, PanelError> {
    match result {
        Ok(value) => Ok(Step::Done(value)),
        Err(Halt::Waiting(task)) => Ok(Step::Pending(task.reference(), PAUSE)),
        Err(Halt::Failed(error)) => Err(error),
    }
}

/// What there is of an account.
pub(super) enum Found {
    Nothing,
    Ours(Machine),
    Foreign,
}

/// What there is of an account, and which numbers are taken.
pub(super) struct Look {
    pub(super) found: Found,
    pub(super) taken: BTreeSet<u32>,
}

/// How a task, or a request that needs none, has ended.
pub(super) enum Ended {
    Well,
    Badly(Refusal),
    Lost,
}

impl Ended {
    pub(super) fn error(self, what: &str) -> PanelError {
        match self {
            Self::Well => PanelError::ambiguous(format!("{what}, although the server said that it had worked")),
            Self::Badly(refusal) => refusal.error(Effect::Mutation, what),
            Self::Lost => PanelError::ambiguous(format!("{what}: the server has forgotten the task")),
        }
    }
}

/// One call at work.
pub(super) struct Work<'a> {
    pub(super) config: &'a ProxmoxConfig,
    pub(super) slots: &'a Slots,
    pub(super) api: &'a Api,
    /// How long it follows a task.
    pub(super) patience: Duration,
    /// Held by calls that change something.
    #[expect(dead_code, reason = "held, not read")]
    pub(super) lock: Option<MutexGuard<'a, ()>>,
}

impl Work<'_> {
    /// Looks for the account's machine: under its numbers, its remote id and its name. Notes alone prove that it is ours.
    pub(super) async fn look_for(&self, account: &AccountRef) -> Result<Look, PanelError> {
        let name = name_of(account)?;
        let slots = self.slots.of(account.account_id);
        let remote_id = account.remote_id.as_deref().and_then(|id| id.parse::<u32>().ok());
        let guests = self.api.guests().await?;
        let mut ours = Vec::new();
        for guest in guests.iter().filter(|guest| guest.is_machine()) {
            if !slots.contains(&guest.vmid) && remote_id != Some(guest.vmid) && guest.name != name {
                continue;
            }
            let mut machine = self.listed(guest).await?;
            if slots.contains(&guest.vmid) && machine.is_being_made() && !machine.notes.name_an_account() {
                machine = self.named(guest, &machine).await?;
            }
            if machine.notes.prove(account.account_id, guest.vmid) {
                ours.push(machine);
            }
        }
        // Of two, which only a create can leave that came late and to a number that was taken before, the one that is used.
        let best = ours.into_iter().min_by_key(|machine| (!machine.is_ready(), machine.vmid));
        let found = match best {
            Some(machine) => Found::Ours(machine),
            None if guests.iter().any(|guest| guest.name == name) => Found::Foreign,
            None => Found::Nothing,
        };
        Ok(Look { found, taken: guests.iter().map(|guest: &Guest| guest.vmid).collect() })
    }

    /// A machine that the list shows. One that is not where it was said to be has just moved or gone, and is nobody's neither.
    async fn listed(&self, guest: &Guest) -> Result<Machine, PanelError> {
        let machine = self.api.machine(Place { node: &guest.node, vmid: guest.vmid }).await?;
        let why = || format!("machine {} is being moved or removed, and does not say whose it is", guest.vmid);
        machine.ok_or_else(|| PanelError::transient(why()))
    }

    /// A clone has no notes until its first disk is copied: until then it may be ours. One that no task is at work on any more,
    /// and that has none then, will never be anybody's, and its number is just taken.
    async fn named(&self, guest: &Guest, nameless: &Machine) -> Result<Machine, PanelError> {
        if self.clone_at_work(nameless).await?.is_some() {
            let why = format!("machine {} is being made, and does not say yet whose it will be", guest.vmid);
            return Err(PanelError::transient(why));
        }
        // The task may have ended since the machine was looked at.
        self.listed(guest).await
    }

    /// A task that may be cloning this machine. A task says of which template it makes a clone, not which one.
    async fn clone_at_work(&self, machine: &Machine) -> Result<Option<Upid>, PanelError> {
        let templates = self.config.packages.values().filter_map(|package| package.template);
        for template in templates.chain([self.config.template]).collect::<BTreeSet<_>>() {
            if let Some(upid) = self.api.running(&machine.node, "qmclone", template).await? {
                return Ok(Some(upid));
            }
        }
        Ok(None)
    }

    /// That a machine is not being cloned or restored any more.
    pub(super) async fn made(&self, machine: Machine) -> Result<Machine, Halt> {
        if !machine.is_being_made() {
            return Ok(machine);
        }
        let vmid = machine.vmid;
        let at_work = match self.api.running(&machine.node, "qmrestore", vmid).await? {
            None => self.clone_at_work(&machine).await?,
            restore => restore,
        };
        if let Some(upid) = at_work {
            return Err(Halt::Waiting(Task { goal: Goal::There, vmid, upid }));
        }
        // The task may have ended since the machine was looked at.
        let again = self.api.machine((&machine).into()).await?;
        again.filter(|machine| !machine.is_being_made()).ok_or_else(|| {
            // Nobody but root@pam can take the lock away, not even by its token.
            let why = format!("a task that was killed has left machine {vmid} locked: `qm unlock` and `qm destroy` it");
            PanelError::permanent(why).into()
        })
    }

    /// The account's machine, once it is proved to be ours.
    pub(super) async fn owned(&self, account: &AccountRef) -> Result<Machine, PanelError> {
        match self.look_for(account).await?.found {
            Found::Ours(machine) => Ok(machine),
            Found::Nothing => Err(PanelError::permanent(format!("there is no machine {}", account.username))),
            Found::Foreign => Err(somebody_elses(&account.username)),
        }
    }

    /// The machine again, after it was changed.
    pub(super) async fn again(&self, machine: &Machine) -> Result<Machine, PanelError> {
        let again = self.api.machine(machine.into()).await?;
        again.ok_or_else(|| PanelError::ambiguous(format!("machine {} is gone in the midst of a change", machine.vmid)))
    }

    /// Changes a machine's notes and whatever else, at once.
    pub(super) async fn set(
        &self,
        machine: &Machine,
        notes: &Notes,
        more: Form<'_>,
        what: &str,
    ) -> Result<Machine, Halt> {
        let form = [vec![("description", notes.to_string())], more].concat();
        let said = self.api.configure(machine, form, None).await?;
        self.end_of(Goal::There, machine.vmid, said).await?.well(what)?;
        Ok(self.again(machine).await?)
    }

    /// Follows what a request has started, for as long as a call may take.
    pub(super) async fn end_of(&self, goal: Goal, vmid: u32, said: Result<Outcome, Refusal>) -> Result<Ended, Halt> {
        let upid = match said {
            Ok(Outcome::Done) => return Ok(Ended::Well),
            Err(refusal) => return Ok(Ended::Badly(refusal)),
            Ok(Outcome::Started(upid)) => upid,
        };
        let (mut left, mut pause) = (self.patience, FIRST_PAUSE);
        loop {
            match self.api.task(&upid).await {
                Ok(Some(task)) if !task.is_running() && task.has_succeeded() => return Ok(Ended::Well),
                Ok(Some(task)) if !task.is_running() => return Ok(Ended::Badly(Refusal::of_task(task.exit()))),
                Ok(Some(_)) if !left.is_zero() => {}
                Ok(None) => return Ok(Ended::Lost),
                // What is at work goes on, though nobody can be asked just now.
                Ok(Some(_)) | Err(PanelError::Transient(_) | PanelError::RateLimited { .. }) => {
                    return Err(Halt::Waiting(Task { goal, vmid, upid }));
                }
                Err(error) => return Err(error.into()),
            }
            let nap = pause.min(left);
            tokio::time::sleep(nap).await;
            left = left.saturating_sub(nap);
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// As [`Work::end_of`], and an error where the goal was not reached, by this task or by another.
    async fn reach(
        &self,
        goal: Goal,
        machine: &Machine,
        said: Result<Outcome, Refusal>,
        what: &str,
    ) -> Result<(), Halt> {
        let ended = self.end_of(goal, machine.vmid, said).await?;
        if self.shows(goal, machine.vmid, &ended).await? { Ok(()) } else { Err(ended.error(what).into()) }
    }

    /// Whether a goal is reached once its task has ended. The cluster's manager of high availability may have done nothing yet
    /// when a task of its own has ended well: it is given as long as a task is.
    async fn shows(&self, goal: Goal, vmid: u32, ended: &Ended) -> Result<bool, PanelError> {
        let mut left = if matches!(ended, Ended::Well) { self.patience } else { Duration::ZERO };
        loop {
            if self.holds(goal, vmid).await? {
                return Ok(true);
            }
            if left.is_zero() {
                return Ok(false);
            }
            let nap = LONGEST_PAUSE.min(left);
            tokio::time::sleep(nap).await;
            left = left.saturating_sub(nap);
        }
    }

    pub(super) async fn start(&self, machine: &Machine) -> Result<(), Halt> {
        let said = self.api.power(machine, "start", &Vec::new()).await?;
        self.reach(Goal::Running, machine, said, "the machine could not be started").await
    }

    pub(super) async fn resume(&self, machine: &Machine) -> Result<(), Halt> {
        let said = self.api.power(machine, "resume", &Vec::new()).await?;
        self.reach(Goal::Running, machine, said, "the machine could not be resumed").await
    }

    /// Stops a machine: first it is asked, and after its grace it is ended.
    pub(super) async fn shut_down(&self, machine: &Machine) -> Result<(), Halt> {
        if machine.is_paused() {
            return self.cut_power(machine).await;
        }
        let grace = self.config.grace.as_secs().to_string();
        let form = vec![("timeout", grace), ("forceStop", "1".to_owned())];
        let said = self.api.power(machine, "shutdown", &form).await?;
        let ended = self.end_of(Goal::Stopped, machine.vmid, said).await?;
        if self.shows(Goal::Stopped, machine.vmid, &ended).await? {
            return Ok(());
        }
        match ended {
            Ended::Badly(refusal) if refusal.is_lock() => {
                Err(refusal.error(Effect::Mutation, "the machine could not be shut down").into())
            }
            // It hears nobody.
            Ended::Well | Ended::Badly(_) | Ended::Lost => self.cut_power(machine).await,
        }
    }

    pub(super) async fn cut_power(&self, machine: &Machine) -> Result<(), Halt> {
        let said = self.api.power(machine, "stop", &Vec::new()).await?;
        self.reach(Goal::Stopped, machine, said, "the machine could not be stopped").await
    }

    /// Deletes a machine, which the caller has just proved to be ours.
    pub(super) async fn delete(&self, machine: &Machine) -> Result<(), Halt> {
        let said = self.api.delete(machine).await?;
        self.reach(Goal::Gone, machine, said, "the machine could not be deleted").await
    }

    /// Whether it shows that a goal is reached.
    async fn holds(&self, goal: Goal, vmid: u32) -> Result<bool, PanelError> {
        let guests = self.api.guests().await?;
        let Some(guest) = guests.iter().find(|guest| guest.vmid == vmid) else { return Ok(goal == Goal::Gone) };
        let machine = self.listed(guest).await?;
        Ok(match goal {
            Goal::There => !machine.is_being_made(),
            Goal::Running => machine.runs(),
            Goal::Stopped => !machine.has_power(),
            Goal::Gone | Goal::Changed => false,
        })
    }

    /// How a task stands.
    pub(super) async fn poll(&self, reference: &TaskRef) -> Result<Step<TaskOutcome>, PanelError> {
        let task = Task::read(reference)?;
        Ok(match self.api.task(&task.upid).await? {
            Some(status) if status.is_running() => Step::Pending(reference.clone(), PAUSE),
            Some(status) if status.has_succeeded() => Step::Done(TaskOutcome::Succeeded),
            // By another task, or by this one before anybody asked.
            Some(_) | None if self.holds(task.goal, task.vmid).await? => Step::Done(TaskOutcome::Succeeded),
            Some(status) => Step::Done(TaskOutcome::Failed(status.exit().to_owned())),
            None => Step::Done(TaskOutcome::Failed(
                "the server has forgotten the task, and its work does not show".to_owned(),
            )),
        })
    }
}

impl Ended {
    /// An error where it did not end well.
    pub(super) fn well(self, what: &str) -> Result<(), PanelError> {
        match self {
            Self::Well => Ok(()),
            ended @ (Self::Badly(_) | Self::Lost) => Err(ended.error(what)),
        }
    }
}

pub(super) fn somebody_elses(name: &str) -> PanelError {
    PanelError::permanent(format!("{name} is somebody else's machine"))
}
