//! All that is logged in a test, at every level, by us and by the crates that we use.

use std::{
    io,
    sync::{Mutex, Once},
};

use tracing_subscriber::filter::LevelFilter;

static WRITTEN: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static BEGUN: Once = Once::new();

/// Begins to keep what is logged. It is kept of the whole process, so look for what no other test would log.
pub(crate) fn capture() {
    BEGUN.call_once(|| {
        tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_ansi(false).with_writer(|| Written).init();
    });
}

/// All that was logged since [`capture`].
pub(crate) fn captured() -> String {
    String::from_utf8_lossy(&WRITTEN.lock().unwrap()).into_owned()
}

struct Written;

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        WRITTEN.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
