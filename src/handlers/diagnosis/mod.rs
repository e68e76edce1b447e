//! Jobs that show whether the machinery itself works.

pub mod no_op;
