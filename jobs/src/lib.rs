//! The jobs that Berth runs: names, payloads and ids, for applications that enqueue them.

pub mod ids;
