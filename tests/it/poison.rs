//! Tests of poison.
