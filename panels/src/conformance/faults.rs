//! A proxy that stands before a panel's server and breaks what passes through it, as it is told.
//!
//! It takes one request a connection, and says so, so that every request meets the plan. `Upgrade` requests are passed on as
//! they are.

use std::{
    collections::VecDeque,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::pending;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    task::JoinSet,
};

/// What a request or an answer may have at most: a driver that sends or gets more is no driver of a panel.
const MESSAGE_MAX: usize = 64 * 1024 * 1024;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// What happens to a request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The answer comes, but that much later.
    Latency(Duration),
    /// The server does the work; of its answer so many bytes come, then the connection ends.
    CutAfter(usize),
    /// The server does the work; the connection ends without an answer.
    DropResponse,
    /// The server never hears of it; the connection ends.
    DropRequest,
    /// The server does the work; the connection stays open, and silent.
    FreezeResponse,
    /// The server never hears of it; the connection stays open, and silent.
    FreezeRequest,
    /// The server never hears of it, and this is answered.
    Answer { status: u16, headers: &'static [(&'static str, &'static str)], body: &'static str },
    /// The server never hears of it, and the answer is the request's own body, as a careless error page would show it.
    Echo { status: u16 },
    /// This status is answered, and the server hears of the request when [`FaultProxy::forward_held`] is called.
    AnswerThenForward { status: u16 },
    /// The server does the work; half of its answer's body comes, as if that were all.
    Truncate,
    /// The server does the work; a page that is no login comes with status 200.
    Html,
}

/// Which requests are meant.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Requests {
    method: Option<&'static str>,
    path: Option<&'static str>,
    body: Option<&'static str>,
}

impl Requests {
    /// All.
    pub(crate) fn all() -> Self {
        Self::default()
    }

    /// Those with this method.
    pub(crate) fn method(self, method: &'static str) -> Self {
        Self { method: Some(method), ..self }
    }

    /// Those with this text in their path or query.
    pub(crate) fn path(self, path: &'static str) -> Self {
        Self { path: Some(path), ..self }
    }

    /// Those with this text in their body: of servers that are told in it what to do.
    pub(crate) fn body(self, body: &'static str) -> Self {
        Self { body: Some(body), ..self }
    }

    fn mean(self, request: &Request) -> bool {
        self.method.is_none_or(|method| request.method == method)
            && self.path.is_none_or(|path| request.target.contains(path))
            && self.body.is_none_or(|body| find(&request.body, body.as_bytes()).is_some())
    }
}

/// Where the server is.
#[derive(Clone, Debug)]
pub(crate) enum Upstream {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// The proxy. It serves until it is dropped.
pub(crate) struct FaultProxy {
    front: Upstream,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

struct Shared {
    upstream: Upstream,
    plans: Mutex<Vec<Plan>>,
    held: Mutex<VecDeque<Request>>,
    seen: Mutex<Vec<String>>,
}

struct Plan {
    left: u32,
    requests: Requests,
    fault: Fault,
}

#[derive(Clone)]
struct Request {
    method: String,
    target: String,
    head: String,
    body: Vec<u8>,
}

impl FaultProxy {
    /// Listens on a port of this machine.
    pub(crate) async fn new(upstream: Upstream) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let front = Upstream::Tcp(listener.local_addr().expect("a bound port"));
        Self::serving(front, Listener::Tcp(listener), upstream)
    }

    /// Listens on a unix socket.
    pub(crate) fn at_socket(path: &Path, upstream: Upstream) -> Self {
        let listener = UnixListener::bind(path).expect("a socket");
        Self::serving(Upstream::Unix(path.to_owned()), Listener::Unix(listener), upstream)
    }

    fn serving(front: Upstream, listener: Listener, upstream: Upstream) -> Self {
        let shared =
            Arc::new(Shared { upstream, plans: Mutex::default(), held: Mutex::default(), seen: Mutex::default() });
        let mut serving = JoinSet::new();
        let for_clients = Arc::clone(&shared);
        serving.spawn(async move {
            let mut clients = JoinSet::new();
            while let Ok(client) = listener.accept().await {
                clients.spawn(serve(client, Arc::clone(&for_clients)));
                while clients.try_join_next().is_some() {}
            }
        });
        Self { front, shared, _serving: serving }
    }

    /// Where clients connect to, such as `http://127.0.0.1:40123`; a socket's clients know its path.
    pub(crate) fn url(&self) -> String {
        match &self.front {
            Upstream::Tcp(address) => format!("http://{address}"),
            Upstream::Unix(_) => "http://localhost".to_owned(),
        }
    }

    /// Breaks the next `times` of these requests. Of several plans that mean a request the one that was made first holds.
    pub(crate) fn next(&self, times: u32, requests: Requests, fault: Fault) {
        self.shared.plans.lock().unwrap().push(Plan { left: times, requests, fault });
    }

    /// Whether every plan has met its requests; what is left of them is forgotten.
    pub(crate) fn is_spent(&self) -> bool {
        self.shared.plans.lock().unwrap().drain(..).all(|plan| plan.left == 0)
    }

    /// Lets the server hear of the requests that were held back, and waits until it has answered each.
    pub(crate) async fn forward_held(&self) {
        loop {
            let Some(request) = self.shared.held.lock().unwrap().pop_front() else { return };
            exchange(&self.shared.upstream, &request).await.expect("the server answers");
        }
    }

    /// Method and target of every request so far, such as `GET /1.0/instances`.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.shared.seen.lock().unwrap().clone()
    }
}

impl Shared {
    fn fault_for(&self, request: &Request) -> Option<Fault> {
        let mut plans = self.plans.lock().unwrap();
        let plan = plans.iter_mut().find(|plan| plan.left > 0 && plan.requests.mean(request))?;
        plan.left -= 1;
        Some(plan.fault.clone())
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Tcp(listener) => Box::new(listener.accept().await?.0),
            Self::Unix(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

async fn connect(upstream: &Upstream) -> io::Result<Box<dyn Stream>> {
    Ok(match upstream {
        Upstream::Tcp(address) => Box::new(TcpStream::connect(address).await?),
        Upstream::Unix(path) => Box::new(UnixStream::connect(path).await?),
    })
}

/// One request of a client. Whatever goes wrong ends the connection, which is what a client would see of a proxy.
async fn serve(mut client: Box<dyn Stream>, shared: Arc<Shared>) {
    let Ok(request) = read_request(&mut client).await else { return };
    shared.seen.lock().unwrap().push(format!("{} {}", request.method, request.target));
    if header(&request.head, "upgrade").is_some() {
        drop(tunnel(client, &shared.upstream, &request).await);
        return;
    }
    let fault = shared.fault_for(&request);
    if let Ok(answer) = answer(&shared, request, fault).await {
        drop(client.write_all(&answer).await);
        drop(client.shutdown().await);
    }
}

/// The bytes that the client gets; none for a connection that just ends.
async fn answer(shared: &Shared, request: Request, fault: Option<Fault>) -> io::Result<Vec<u8>> {
    let upstream = &shared.upstream;
    match fault {
        None => exchange(upstream, &request).await,
        Some(Fault::Latency(latency)) => {
            tokio::time::sleep(latency).await;
            exchange(upstream, &request).await
        }
        Some(Fault::CutAfter(bytes)) => {
            let mut answer = exchange(upstream, &request).await?;
            answer.truncate(bytes);
            Ok(answer)
        }
        Some(Fault::DropResponse) => exchange(upstream, &request).await.map(|_| Vec::new()),
        Some(Fault::DropRequest) => Ok(Vec::new()),
        Some(Fault::FreezeResponse) => {
            exchange(upstream, &request).await?;
            pending().await
        }
        Some(Fault::FreezeRequest) => pending().await,
        Some(Fault::Answer { status, headers, body }) => Ok(response(status, headers, body.as_bytes())),
        Some(Fault::Echo { status }) => Ok(response(status, &[], &request.body)),
        Some(Fault::AnswerThenForward { status }) => {
            shared.held.lock().unwrap().push_back(request);
            Ok(response(status, &[], b""))
        }
        Some(Fault::Truncate) => {
            let answer = exchange(upstream, &request).await?;
            let body = body_of(&answer);
            Ok(response(200, &[], &body[..body.len() / 2]))
        }
        Some(Fault::Html) => {
            exchange(upstream, &request).await?;
            Ok(response(200, &[("content-type", "text/html")], b"<!DOCTYPE html><html><body>Welcome</body></html>"))
        }
    }
}

fn response(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} Fault\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

async fn tunnel(mut client: Box<dyn Stream>, upstream: &Upstream, request: &Request) -> io::Result<()> {
    let mut server = connect(upstream).await?;
    server.write_all(request.head.as_bytes()).await?;
    server.write_all(&request.body).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

/// Sends a request to the server and reads its answer to the end of the connection.
async fn exchange(upstream: &Upstream, request: &Request) -> io::Result<Vec<u8>> {
    let lines =
        request.head.trim_end().split("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let head: Vec<_> = lines.chain(["connection: close", "", ""]).collect();
    let mut server = connect(upstream).await?;
    server.write_all(head.join("\r\n").as_bytes()).await?;
    server.write_all(&request.body).await?;
    let mut answer = Vec::new();
    server.take(MESSAGE_MAX.try_into().unwrap_or(u64::MAX)).read_to_end(&mut answer).await?;
    Ok(answer)
}

/// The body of an answer, with the framing of chunks taken out.
fn body_of(answer: &[u8]) -> Vec<u8> {
    let Some(head_end) = find(answer, END_OF_HEAD) else { return Vec::new() };
    let (head, body) = answer.split_at(head_end + END_OF_HEAD.len());
    let is_chunked = header(&String::from_utf8_lossy(head), "transfer-encoding").is_some();
    if !is_chunked {
        return body.to_vec();
    }
    let (mut rest, mut whole) = (body, Vec::new());
    while let Some(line_end) = find(rest, b"\r\n") {
        let size = str::from_utf8(&rest[..line_end]).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let Some(size @ 1..) = size else { break };
        let chunk = line_end + 2..line_end + 2 + size;
        whole.extend_from_slice(&rest[chunk.clone()]);
        rest = &rest[chunk.end + 2..];
    }
    whole
}

async fn read_request(client: &mut Box<dyn Stream>) -> io::Result<Request> {
    let mut read = Vec::new();
    let head_end = loop {
        if let Some(end) = find(&read, END_OF_HEAD) {
            break end + END_OF_HEAD.len();
        }
        read_more(client, &mut read).await?;
    };
    let mut body = read.split_off(head_end);
    let head = String::from_utf8_lossy(&read).into_owned();
    if header(&head, "transfer-encoding").is_some() {
        while !body.ends_with(b"0\r\n\r\n") {
            read_more(client, &mut body).await?;
        }
    } else {
        let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        while body.len() < length {
            read_more(client, &mut body).await?;
        }
    }
    let mut words = head.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    Ok(Request { method, target, head, body })
}

async fn read_more(client: &mut Box<dyn Stream>, read: &mut Vec<u8>) -> io::Result<()> {
    if read.len() > MESSAGE_MAX || client.read_buf(read).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

/// The value of a header, by its name in lower case.
fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests;
