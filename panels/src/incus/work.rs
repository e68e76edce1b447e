//! What all calls have in common: finding an instance, proving whose it is, and following the daemon's operations.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::MutexGuard;

use super::{
    IncusConfig,
    api::{Api, Reply, Waited},
    failures::Refusal,
    names::InstanceName,
    tasks::{Goal, PAUSE, Task},
    wire::{Instance, Operation},
};
use crate::{AccountRef, PanelError, Step, TaskOutcome, TaskRef, http::Effect};

/// How long an instance that is being made may take to be there, as a part.
const SETTLED_WITHIN: Duration = Duration::from_secs(5);

/// Why a call ends before it has done all: it failed, or the daemon is still at work.
pub(super) enum Halt {
    Failed(PanelError),
    Waiting(Task),
}

impl From<PanelError> for Halt {
    fn from(error: PanelError) -> Self {
        Self::Failed(error)
    }
}

/// What is under a name.
pub(super) enum Found {
    Nothing,
    Ours(Instance),
    Foreign,
}

/// How an operation, or a request that needs none, has ended.
pub(super) enum Ended {
    Well(Value),
    Badly(Refusal),
    Lost,
}

impl Ended {
    fn of(operation: Operation) -> Self {
        if operation.has_succeeded() {
            return Self::Well(operation.metadata);
        }
        Self::Badly(Refusal::of_operation(operation.err))
    }

    pub(super) fn error(self, what: &str) -> PanelError {
        match self {
            Self::Well(_) => PanelError::ambiguous(format!("{what}, although the server said that it had worked")),
            Self::Badly(refusal) => refusal.error(Effect::Mutation, what),
            Self::Lost => PanelError::ambiguous(format!("{what}: the server has forgotten the operation")),
        }
    }
}

/// One call at work. It holds the account's lock of this process: between processes, the jobs see to it that one account
/// is changed by one call at a time.
pub(super) struct Work<'a> {
    pub(super) config: &'a IncusConfig,
    pub(super) api: Api,
    pub(super) _lock: MutexGuard<'a, ()>,
}

impl Work<'_> {
    /// What the caller hears.
    pub(super) fn answer<T>(&self, result: Result<T, Halt>) -> Result<Step<T>, PanelError> {
        match result {
            Ok(value) => Ok(Step::Done(value)),
            Err(Halt::Waiting(task)) => Ok(Step::Pending(task.reference(), PAUSE)),
            Err(Halt::Failed(error)) => Err(self.api.verdict(error)),
        }
    }

    pub(super) async fn find(&self, account: &AccountRef, name: &InstanceName) -> Result<Found, PanelError> {
        find(&self.api, account, name).await
    }

    /// The account's instance, once it is proved to be ours, and nothing else is at work on it.
    pub(super) async fn owned(&self, account: &AccountRef, name: &InstanceName, goal: Goal) -> Result<Instance, Halt> {
        let instance = owned(&self.api, account, name).await?;
        self.idle(name, goal).await?;
        Ok(instance)
    }

    /// Waits for whoever is at work on the instance: an earlier call's operation, or somebody else's.
    pub(super) async fn idle(&self, name: &InstanceName, goal: Goal) -> Result<(), Halt> {
        match self.api.running_on(name).await? {
            None => Ok(()),
            Some(operation) => Err(Halt::Waiting(Task::new(goal, name, &operation.id)?)),
        }
    }

    /// Follows what a request has started, for as long as a call may take.
    pub(super) async fn end_of(&self, goal: Goal, name: &InstanceName, reply: Reply) -> Result<Ended, Halt> {
        self.end_within(self.config.patience, goal, name, reply).await
    }

    pub(super) async fn end_within(
        &self,
        patience: Duration,
        goal: Goal,
        name: &InstanceName,
        reply: Reply,
    ) -> Result<Ended, Halt> {
        let operation = match reply {
            Reply::Done(value) => return Ok(Ended::Well(value)),
            Reply::Refused(refusal) => return Ok(Ended::Badly(refusal)),
            Reply::Started(operation) => operation,
        };
        let task = Task::new(goal, name, &operation.id)?;
        match self.api.wait(task.operation, patience).await? {
            Waited::Running => Err(Halt::Waiting(task)),
            Waited::Lost => Ok(Ended::Lost),
            Waited::Ended(operation) => {
                // What was created stays open: until the account is finished, the caller must look.
                if goal != Goal::There || !operation.has_succeeded() {
                    self.api.close();
                }
                Ok(Ended::of(operation))
            }
        }
    }

    /// As [`Work::end_within`], for what does not show afterwards: nobody could go on where this call has ended.
    pub(super) async fn end_here(
        &self,
        patience: Duration,
        name: &InstanceName,
        reply: Reply,
        what: &str,
    ) -> Result<Value, Halt> {
        match self.end_within(patience, Goal::Refreshed, name, reply).await {
            Ok(Ended::Well(value)) => Ok(value),
            Ok(ended) => Err(ended.error(what).into()),
            Err(Halt::Waiting(_)) => {
                Err(PanelError::ambiguous(format!("{what} within {} s", patience.as_secs())).into())
            }
            Err(failed @ Halt::Failed(_)) => Err(failed),
        }
    }

    /// As [`Work::end_of`], and an error where the goal was not reached, by this operation or by another.
    pub(super) async fn reach(&self, goal: Goal, name: &InstanceName, reply: Reply, what: &str) -> Result<(), Halt> {
        match self.end_of(goal, name, reply).await? {
            Ended::Well(_) => Ok(()),
            _ if holds(&self.api, goal, name).await? => Ok(()),
            ended @ (Ended::Badly(_) | Ended::Lost) => {
                // Somebody else may have been faster, and be at work still.
                self.idle(name, goal).await?;
                Err(ended.error(what).into())
            }
        }
    }

    /// Changes keys, which takes effect at once.
    pub(super) async fn set(&self, name: &InstanceName, config: Value, what: &str) -> Result<(), Halt> {
        let reply = self.api.patch(name, &json!({ "config": config })).await?;
        match self.end_of(Goal::There, name, reply).await? {
            Ended::Well(_) => Ok(()),
            ended @ (Ended::Badly(_) | Ended::Lost) => Err(ended.error(what).into()),
        }
    }

    pub(super) async fn start(&self, name: &InstanceName) -> Result<(), Halt> {
        let reply = self.api.start(name).await?;
        self.reach(Goal::Running, name, reply, "the instance could not be started").await
    }

    /// Stops an instance: first it is asked, and after its grace it is ended.
    pub(super) async fn stop(&self, name: &InstanceName) -> Result<(), Halt> {
        let grace = self.config.grace;
        let reply = self.api.stop(name, grace).await?;
        let ended = self.end_within(grace + self.config.patience, Goal::Stopped, name, reply).await?;
        if matches!(ended, Ended::Well(_)) || holds(&self.api, Goal::Stopped, name).await? {
            return Ok(());
        }
        self.kill(name).await
    }

    pub(super) async fn kill(&self, name: &InstanceName) -> Result<(), Halt> {
        let reply = self.api.kill(name).await?;
        self.reach(Goal::Stopped, name, reply, "the instance could not be stopped").await
    }

    /// Deletes an instance, which the caller has just proved to be ours.
    pub(super) async fn delete(&self, name: &InstanceName) -> Result<(), Halt> {
        let reply = self.api.delete(name).await?;
        self.reach(Goal::Gone, name, reply, "the instance could not be deleted").await
    }
}

/// What is under an account's name.
pub(super) async fn find(api: &Api, account: &AccountRef, name: &InstanceName) -> Result<Found, PanelError> {
    Ok(match api.instance(name).await? {
        None => Found::Nothing,
        Some(instance) if instance.is_of(account.account_id) => Found::Ours(instance),
        Some(_) => Found::Foreign,
    })
}

/// As [`find`], where a create may be on its way: what the daemon has begun to make is not there at once.
pub(super) async fn find_settled(api: &Api, account: &AccountRef, name: &InstanceName) -> Result<Found, PanelError> {
    let found = find(api, account, name).await?;
    if !matches!(found, Found::Nothing) {
        return Ok(found);
    }
    let Some(operation) = api.running_on(name).await? else { return find(api, account, name).await };
    let task = Task::new(Goal::There, name, &operation.id)?;
    let waited = api.wait(task.operation, SETTLED_WITHIN).await?;
    match (find(api, account, name).await?, waited) {
        (Found::Nothing, Waited::Running) => {
            Err(PanelError::transient(format!("the server is at work on {name}, and it is not there yet")))
        }
        (found, Waited::Running | Waited::Ended(_) | Waited::Lost) => Ok(found),
    }
}

/// The account's instance, once it is proved to be ours.
pub(super) async fn owned(api: &Api, account: &AccountRef, name: &InstanceName) -> Result<Instance, PanelError> {
    match find(api, account, name).await? {
        Found::Ours(instance) => Ok(instance),
        Found::Nothing => Err(PanelError::permanent(format!("there is no instance {name}"))),
        Found::Foreign => Err(PanelError::permanent(format!("{name} is somebody else's instance"))),
    }
}

/// Whether it shows that a goal is reached.
async fn holds(api: &Api, goal: Goal, name: &InstanceName) -> Result<bool, PanelError> {
    let instance = api.instance(name).await?;
    Ok(match goal {
        Goal::There => instance.is_some(),
        Goal::Gone => instance.is_none(),
        Goal::Running => instance.is_some_and(|instance| instance.is_running()),
        Goal::Stopped => instance.is_some_and(|instance| instance.is_stopped()),
        Goal::Refreshed => false,
    })
}

/// How a task stands.
pub(super) async fn poll(api: &Api, reference: &TaskRef) -> Result<Step<TaskOutcome>, PanelError> {
    let task = Task::read(reference)?;
    Ok(match api.operation(task.operation).await? {
        Some(operation) if operation.is_running() => Step::Pending(reference.clone(), PAUSE),
        Some(operation) if operation.has_succeeded() => Step::Done(TaskOutcome::Succeeded),
        // By another operation, or by this one before anybody asked.
        Some(_) | None if holds(api, task.goal, &task.name).await? => Step::Done(TaskOutcome::Succeeded),
        Some(operation) => Step::Done(TaskOutcome::Failed(operation.err)),
        None => Step::Done(TaskOutcome::Failed(
            "the server has forgotten the operation, and its work does not show: it was restarted, or the work failed"
                .to_owned(),
        )),
    })
}
