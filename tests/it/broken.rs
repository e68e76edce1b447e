//! Tests of broken.
