//! A small HTTP file server that can drop connections, stall and refuse requests, and records its requests.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// A request: method, path and relevant headers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// `GET` or `HEAD`.
    pub method: String,
    /// Path, beginning with a slash.
    pub path: String,
    /// The position after `Range: bytes=`; `None` without that header.
    pub from: Option<usize>,
    /// The header `Authorization`.
    pub authorization: Option<String>,
}

/// An answer to a request.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// The status, such as 200.
    pub status: u16,
    /// Names and values of headers.
    pub headers: Vec<(String, String)>,
    /// The contents; a GET returns the requested range.
    pub body: Vec<u8>,
    /// The number of bytes after which the connection is dropped; 0 for never.
    pub broken_after: usize,
    /// Instead of dropping the connection, keep it open without sending more.
    pub stalls: bool,
    /// Ignore ranges and send the whole file.
    pub whole: bool,
}

/// A running server; it ends when dropped.
pub struct FileServer {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    ended: Arc<Mutex<bool>>,
    thread: Option<JoinHandle<()>>,
}

impl FileServer {
    /// Starts a server whose responses are computed from the request and the port.
    pub fn new(answer: impl Fn(&Request, u16) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, ended): (Arc<Mutex<Vec<Request>>>, Arc<Mutex<bool>>) = Default::default();
        let (log, end, answer) = (requests.clone(), ended.clone(), Arc::new(answer));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if *end.lock().unwrap() {
                    return;
                }
                let (log, answer) = (log.clone(), answer.clone());
                std::thread::spawn(move || {
                    // A client that disconnects is not an error.
                    let _ = serve(stream.unwrap(), |request| {
                        log.lock().unwrap().push(request.clone());
                        answer(request, port)
                    });
                });
            }
        });
        Self { port, requests, ended, thread: Some(thread) }
    }

    /// The address of the server, without a trailing slash.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Removes and returns the requests so far.
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        *self.ended.lock().unwrap() = true;
        // Wakes the listener.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let _ = self.thread.take().unwrap().join();
    }
}

fn serve(mut stream: TcpStream, answer: impl FnOnce(&Request) -> Reply) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let mut words = first.split(' ').map(String::from);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut request = Request { method, path, ..Request::default() };
    while let Some(line) = lines.next().transpose()?.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").unwrap_or_default();
        match name.to_lowercase().as_str() {
            "range" => request.from = value.strip_prefix("bytes=").and_then(|v| v.strip_suffix('-')?.parse().ok()),
            "authorization" => request.authorization = Some(value.into()),
            _ => {}
        }
    }
    if request.path.is_empty() {
        return Ok(());
    }
    let reply = answer(&request);
    let total = reply.body.len();
    let from = request.from.filter(|_| reply.status == 200 && !reply.whole && request.method == "GET");
    let (status, range) = match from {
        Some(from) if from >= total => (416, format!("Content-Range: bytes */{total}\r\n")),
        Some(from) => (206, format!("Content-Range: bytes {from}-{}/{total}\r\n", total - 1)),
        None => (reply.status, String::new()),
    };
    let body = if status == 416 { &[] } else { &reply.body[from.unwrap_or(0)..] };
    write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{range}Connection: close\r\n", body.len())?;
    reply.headers.iter().try_for_each(|(name, value)| write!(stream, "{name}: {value}\r\n"))?;
    stream.write_all(b"\r\n")?;
    if request.method == "HEAD" {
        return Ok(());
    }
    let sent = if reply.broken_after > 0 { body.len().min(reply.broken_after) } else { body.len() };
    stream.write_all(&body[..sent])?;
    if reply.stalls && sent < body.len() {
        std::thread::sleep(Duration::from_secs(60));
    }
    Ok(())
}
