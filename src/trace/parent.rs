//! The header `traceparent` of W3C's Trace Context: the text by which one process tells another where a call belongs.

use std::{fmt, str::FromStr};

/// A place in a trace: which trace, which span of it, and whether the trace is collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace_id: u128,
    span_id: u64,
    sampled: bool,
}

/// It is no `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent such as 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
pub struct InvalidTraceParent;

impl TraceParent {
    /// The beginning of a trace, which is collected in so many of a hundred cases.
    pub(super) fn root(percent: u8) -> Self {
        let trace_id = rand::random::<u128>().max(1);
        Self { trace_id, span_id: new_span_id(), sampled: trace_id % 100 < u128::from(percent) }
    }

    /// Another span of the same trace.
    pub(super) fn child(self) -> Self {
        Self { span_id: new_span_id(), ..self }
    }

    /// The trace, as the 32 digits that log lines and tracing backends show.
    #[must_use]
    pub fn trace_id(self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// The trace's 16 bytes.
    #[must_use]
    pub fn trace_bytes(self) -> [u8; 16] {
        self.trace_id.to_be_bytes()
    }

    /// The span's 8 bytes.
    #[must_use]
    pub fn span_bytes(self) -> [u8; 8] {
        self.span_id.to_be_bytes()
    }

    /// Whether the trace is one to collect.
    #[must_use]
    pub fn is_sampled(self) -> bool {
        self.sampled
    }

    /// Whether both are places in one trace.
    #[must_use]
    pub fn is_of(self, other: Self) -> bool {
        self.trace_id == other.trace_id
    }
}

fn new_span_id() -> u64 {
    rand::random::<u64>().max(1)
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    fn from_str(text: &str) -> Result<Self, InvalidTraceParent> {
        let mut parts = text.split('-');
        let mut part = |digits| parts.next().filter(|part| is_hex(part, digits)).ok_or(InvalidTraceParent);
        let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        // A later version may add parts behind these, and promises to leave these as they are.
        if version == "ff" || (version == "00" && parts.next().is_some()) {
            return Err(InvalidTraceParent);
        }
        let trace_id = u128::from_str_radix(trace, 16).map_err(|_| InvalidTraceParent)?;
        let span_id = u64::from_str_radix(span, 16).map_err(|_| InvalidTraceParent)?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_| InvalidTraceParent)?;
        if trace_id == 0 || span_id == 0 {
            return Err(InvalidTraceParent);
        }
        Ok(Self { trace_id, span_id, sampled: flags & 1 == 1 })
    }
}

fn is_hex(part: &str, digits: usize) -> bool {
    part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn it_is_read_and_written_as_the_standard_says() {
        let read: TraceParent = EXAMPLE.parse().unwrap();

        assert_eq!(read.to_string(), EXAMPLE);
        assert_eq!(read.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert!(read.is_sampled() && !EXAMPLE.replace("-01", "-02").parse::<TraceParent>().unwrap().is_sampled());
    }

    #[test]
    fn a_later_version_may_say_more() {
        let later = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-the-future-says";

        assert_eq!(later.parse(), EXAMPLE.parse::<TraceParent>());
    }

    #[test]
    fn what_is_none_is_refused() {
        let zero_trace = format!("00-{}-b7ad6b7169203331-01", "0".repeat(32));
        let zero_span = format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", "0".repeat(16));
        for text in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-é1",
            zero_trace.as_str(),
            zero_span.as_str(),
        ] {
            assert_eq!(text.parse::<TraceParent>(), Err(InvalidTraceParent), "{text}");
        }
    }

    #[test]
    fn a_child_is_another_span_of_the_same_trace() {
        let parent: TraceParent = EXAMPLE.parse().unwrap();

        let child = parent.child();

        assert!(child.is_of(parent) && child != parent && child.is_sampled());
    }

    #[test]
    fn traces_are_collected_as_often_as_was_asked_for() {
        let of_a_thousand = |percent| (0..1_000).filter(|_| TraceParent::root(percent).is_sampled()).count();

        assert_eq!((of_a_thousand(100), of_a_thousand(0)), (1_000, 0));
        assert!((100..400).contains(&of_a_thousand(25)));
    }
}
