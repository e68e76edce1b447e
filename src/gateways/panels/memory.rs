//! An in-memory panel, for benches and tests.
