//! Server-sent events, read as a browser reads them.

use serde_json::Value;

/// A stream of events.
pub(crate) struct EventStream {
    response: reqwest::Response,
    text: String,
    /// What the server last asked the client to wait before it comes back, in milliseconds.
    pub(crate) retry: Option<u64>,
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ServerEvent {
    pub(crate) name: String,
    pub(crate) id: i64,
    pub(crate) data: Value,
}

impl EventStream {
    pub(crate) fn of(response: reqwest::Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new(), retry: None }
    }

    /// The next event; `None` when the stream has ended as it should.
    pub(crate) async fn next(&mut self) -> Option<ServerEvent> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                if let Some(event) = self.read(&block) {
                    return Some(event);
                }
            }
            match self.response.chunk().await.expect("the stream is not cut off") {
                Some(bytes) => self.text.push_str(std::str::from_utf8(&bytes).unwrap()),
                None => {
                    assert_eq!(self.text, "", "an event is not left half-told");
                    return None;
                }
            }
        }
    }

    /// Reads what stands between two empty lines; `None` where it is no event, as a heartbeat is none.
    fn read(&mut self, block: &str) -> Option<ServerEvent> {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        if let Some(retry) = field("retry") {
            self.retry = Some(retry.parse().unwrap());
        }
        let data = field("data")?;
        Some(ServerEvent {
            name: field("event").unwrap().to_owned(),
            id: field("id").unwrap().parse().unwrap(),
            data: serde_json::from_str(data).unwrap(),
        })
    }
}
