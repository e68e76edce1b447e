//! A scripted HTTP/1.1 server: each request takes the next step, and everything received is remembered.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What happens to one request after it has been read whole.
#[derive(Clone)]
pub(super) enum Step {
    Answer {
        status: u16,
        headers: Vec<(&'static str, &'static str)>,
        body: String,
    },
    /// Holds the connection open and says nothing.
    Silence,
    /// Closes without a word.
    HangUp,
    /// Promises more bytes than it sends.
    CutBody,
}

impl Step {
    pub(super) fn answer(status: u16, body: &str) -> Self {
        Self::with_headers(status, &[], body)
    }

    pub(super) fn with_headers(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Self {
        Self::Answer { status, headers: headers.to_vec(), body: body.to_owned() }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) connection: usize,
    pub(super) line: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Received {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The form's fields, one a line and readable.
    pub(super) fn form(&self) -> String {
        fields(&self.body)
    }

    /// Method and path, then the query's fields.
    pub(super) fn query(&self) -> String {
        let (path, query) = self.line.split_once('?').unwrap_or((&self.line, ""));
        format!("{path}\n{}", fields(query))
    }
}

fn fields(encoded: &str) -> String {
    let fields: Vec<String> =
        url::form_urlencoded::parse(encoded.as_bytes()).map(|(key, value)| format!("{key}={value}")).collect();
    fields.join("\n")
}

#[derive(Default)]
struct State {
    script: VecDeque<Step>,
    received: Vec<Received>,
}

pub(super) struct Server {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Server {
    /// When the script ends, its last step repeats.
    pub(super) fn start(script: impl IntoIterator<Item = Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { script: script.into_iter().collect(), received: Vec::new() }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for (connection, socket) in listener.incoming().enumerate() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(connection, socket.unwrap(), &shared));
            }
        });
        Self { address, state }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.state.lock().unwrap().received.clone()
    }

    /// The only request there was.
    pub(super) fn one(&self) -> Received {
        let received = self.received();
        assert_eq!(received.len(), 1, "{received:?}");
        received[0].clone()
    }
}

fn serve(connection: usize, socket: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    let mut socket = socket;
    while let Some(received) = read_request(connection, &mut reader) {
        let step = {
            let mut state = state.lock().unwrap();
            state.received.push(received);
            if state.script.len() > 1 { state.script.pop_front().unwrap() } else { state.script[0].clone() }
        };
        match step {
            Step::Answer { status, headers, body } => {
                let mut head =
                    format!("HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\nrequest-id: req_1\r\n", body.len());
                for (name, value) in headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                if socket.write_all(format!("{head}\r\n{body}").as_bytes()).is_err() {
                    return;
                }
            }
            Step::Silence => {
                // Ends when the client gives up and closes.
                drop(reader.read(&mut [0]));
                return;
            }
            Step::HangUp => return,
            Step::CutBody => {
                drop(socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{\"id\":\"pi_1\","));
                return;
            }
        }
    }
}

fn read_request(connection: usize, reader: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    Some(Received { connection, line, headers, body: String::from_utf8(body).unwrap() })
}
