//! What `berth-host` is asked and what it answers: the one place where both ends read the shapes.

pub mod protocol;
