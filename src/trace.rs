//! Where a piece of work belongs: W3C's trace context, carried from a request through jobs to what is called outside.
//!
//! A span says what its maker notes of it and nothing else: no library adds what it knows, so that no secret, address or
//! token gets into one. Ids are drawn whether or not anybody collects spans, because log lines carry them.

mod parent;

use std::{
    borrow::Cow,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use berth_jobs::ids::JobId;
use jiff::Timestamp;
use tokio::{sync::mpsc, task::futures::TaskLocalFuture};
use uuid::Uuid;

use crate::{clock::Clock, metrics};

pub use parent::{InvalidTraceParent, TraceParent};

/// Finished spans that may wait to be collected. More than that are dropped: whoever works does not wait for who looks on.
const WAITING_ROOM: usize = 8_192;

tokio::task_local! {
    static HERE: Here;
}

static SINK: RwLock<Option<Sink>> = RwLock::new(None);
/// Whether there is a sink: asked at every note, when mostly there is none.
static COLLECTS: AtomicBool = AtomicBool::new(false);

struct Sink {
    spans: mpsc::Sender<FinishedSpan>,
    /// Of a hundred traces that begin here, so many are collected.
    percent: u8,
}

/// Where a task is, and what it is about.
#[derive(Clone, Copy, Debug)]
pub struct Here {
    /// The span that it is in.
    pub at: TraceParent,
    /// What log lines name besides the trace.
    pub about: About,
    /// What follows begins traces of its own: a sweep has thousands of followers, which have nothing else in common.
    scatters: bool,
}

/// What log lines name besides the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The run of a job.
    Job(JobId),
    /// A request.
    Request(Uuid),
    /// Neither.
    Nothing,
}

/// Where this task is; `None` outside of any span.
#[must_use]
pub fn here() -> Option<Here> {
    HERE.try_with(|here| *here).ok()
}

/// What the jobs that this task enqueues continue; `None` where they begin traces of their own.
#[must_use]
pub fn followed() -> Option<TraceParent> {
    here().filter(|here| !here.scatters).map(|here| here.at)
}

/// Work that is done in a task of its own, and where this one is.
pub fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let here = here();
    async move {
        match here {
            Some(here) => HERE.scope(here, work).await,
            None => work.await,
        }
    }
}

/// What a span is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// A request that came.
    Server,
    /// A call to somebody outside.
    Client,
    /// The run of a job.
    Consumer,
}

/// What a span says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
}

/// A piece of work from its beginning to its end, which is when this is dropped.
#[derive(Debug)]
pub struct Span {
    here: Here,
    parent: Option<TraceParent>,
    kind: SpanKind,
    name: Cow<'static, str>,
    began: Timestamp,
    notes: Vec<(&'static str, Note)>,
    failed: bool,
}

impl Span {
    /// Begins the span of something that continues `parent`, or else begins a trace.
    #[must_use]
    pub fn begin(
        parent: Option<TraceParent>,
        kind: SpanKind,
        name: impl Into<Cow<'static, str>>,
        about: About,
    ) -> Self {
        let at = parent.map_or_else(root, TraceParent::child);
        Self {
            here: Here { at, about, scatters: false },
            parent,
            kind,
            name: name.into(),
            began: Clock::machine(),
            notes: Vec::new(),
            failed: false,
        }
    }

    /// Begins the span of a call outside, from where this task is.
    #[must_use]
    pub fn call(name: impl Into<Cow<'static, str>>) -> Self {
        let here = here();
        let about = here.map_or(About::Nothing, |here| here.about);
        let mut span = Self::begin(here.map(|here| here.at), SpanKind::Client, name, about);
        span.here.scatters = here.is_some_and(|here| here.scatters);
        span
    }

    /// Has everything that follows from it begin traces of its own.
    #[must_use]
    pub fn scattering(mut self, scatters: bool) -> Self {
        self.here.scatters = scatters;
        self
    }

    /// Where work is that is done within it.
    #[must_use]
    pub fn at(&self) -> TraceParent {
        self.here.at
    }

    /// Whether somebody collects it: only then is it worth noting anything.
    #[must_use]
    pub fn is_collected(&self) -> bool {
        self.here.at.is_sampled() && COLLECTS.load(Ordering::Relaxed)
    }

    /// Notes a text: never what a customer wrote, an address or a secret.
    pub fn note(&mut self, key: &'static str, text: impl ToString) {
        if self.is_collected() {
            self.notes.push((key, Note::Text(text.to_string())));
        }
    }

    /// Notes a number.
    pub fn count(&mut self, key: &'static str, number: impl TryInto<i64>) {
        if self.is_collected() {
            self.notes.push((key, Note::Number(number.try_into().unwrap_or(i64::MAX))));
        }
    }

    /// Says that it ended badly.
    pub fn fail(&mut self) {
        self.failed = true;
    }

    /// Does work within it.
    pub fn within<F: Future>(&self, work: F) -> TaskLocalFuture<Here, F> {
        HERE.scope(self.here, work)
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if !self.is_collected() {
            return;
        }
        let finished = FinishedSpan {
            at: self.here.at,
            parent: self.parent,
            kind: self.kind,
            name: std::mem::take(&mut self.name),
            began: self.began,
            ended: Clock::machine().max(self.began),
            notes: std::mem::take(&mut self.notes),
            failed: self.failed,
        };
        let sink = SINK.read().unwrap_or_else(PoisonError::into_inner);
        if sink.as_ref().is_none_or(|sink| sink.spans.try_send(finished).is_err()) {
            metrics::counter("berth_trace_spans_total", &[("outcome", "dropped")]).increment(1);
        }
    }
}

/// A span that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedSpan {
    /// Its trace and its own id.
    pub at: TraceParent,
    /// The span that caused it.
    pub parent: Option<TraceParent>,
    /// What it is of.
    pub kind: SpanKind,
    /// What was done, such as `provision_account`.
    pub name: Cow<'static, str>,
    /// When it began, by this machine's clock.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// What it says of itself.
    pub notes: Vec<(&'static str, Note)>,
    /// Whether it ended badly.
    pub failed: bool,
}

/// Has finished spans collected from now on, of `percent` of the traces that begin here and of all that were begun
/// elsewhere as ones to collect. `None` while somebody collects them already.
pub fn collect(percent: u8) -> Option<mpsc::Receiver<FinishedSpan>> {
    let mut sink = SINK.write().unwrap_or_else(PoisonError::into_inner);
    if sink.as_ref().is_some_and(|sink| !sink.spans.is_closed()) {
        return None;
    }
    let (spans, finished) = mpsc::channel(WAITING_ROOM);
    *sink = Some(Sink { spans, percent });
    COLLECTS.store(true, Ordering::Relaxed);
    Some(finished)
}

fn root() -> TraceParent {
    // Without anybody who collects here there may be one at the other end.
    if !COLLECTS.load(Ordering::Relaxed) {
        return TraceParent::root(100);
    }
    let sink = SINK.read().unwrap_or_else(PoisonError::into_inner);
    TraceParent::root(sink.as_ref().map_or(100, |sink| sink.percent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_done_within_a_span_follows_from_it() {
        let came: TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().unwrap();
        let job = Span::begin(Some(came), SpanKind::Consumer, "no_op", About::Job(JobId::new()));

        let (call, followed) = job.within(async { (Span::call("stripe").at(), followed()) }).await;

        assert_eq!(followed, Some(job.at()));
        assert!(call.is_of(came) && job.at().is_of(came));
        assert!(call != job.at() && job.at() != came);
        assert!(here().is_none());
    }

    #[tokio::test]
    async fn what_a_sweep_brings_about_begins_traces_of_its_own() {
        let sweep = Span::begin(None, SpanKind::Consumer, "sweep_accounts", About::Nothing).scattering(true);

        let (here, followed) =
            sweep.within(async { (here().unwrap().at, Span::call("stripe").within(async { followed() }).await) }).await;

        assert_eq!((here, followed), (sweep.at(), None));
    }
}
