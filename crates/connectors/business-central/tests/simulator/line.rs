//! The way from the connector to the simulated company and back: a plain HTTP/1.1 client with a token, and an address that
//! answers notifications as Spindel's own does.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use spindel_connect::{Auth, BoxFuture, Connector, Endpoint, Failure, Incoming, Receive, Reply, Request, Transport};
use spindel_connector_business_central::BusinessCentral;
use spindel_model::{Change, Timestamp};
use std::{
    io,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// A message of either direction: its first line, its headers, its body.
struct Message {
    first: String,
    headers: HeaderMap,
    body: Bytes,
}

/// Reads as far as `content-length` says.
async fn read(stream: &mut TcpStream) -> io::Result<Message> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap().to_owned();
        let headers: HeaderMap = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value.trim()).unwrap()))
            .collect();
        let length = headers.get("content-length").map_or(0, |it| it.to_str().unwrap().parse().unwrap());
        if bytes.len() >= end + 4 + length {
            return Ok(Message { first, headers, body: Bytes::copy_from_slice(&bytes[end + 4..end + 4 + length]) });
        }
    }
}

pub struct Line {
    authority: String,
    root: String,
    token: String,
}

impl Line {
    /// With a token that the endpoint's own credentials were given for.
    pub async fn to(endpoint: Endpoint) -> Arc<Self> {
        let Auth::Token(grant) = endpoint.auth else { panic!("no token") };
        let (authority, path) = endpoint.base_url.trim_start_matches("http://").split_once('/').unwrap();
        let line = Self { authority: authority.into(), root: format!("/{path}"), token: String::new() };
        let encoded = |text: &str| text.replace('%', "%25").replace('/', "%2F").replace(':', "%3A");
        let form: Vec<String> = grant.fields.iter().map(|(name, value)| format!("{name}={}", encoded(value.expose()))).collect();
        let path = grant.url.split_once(authority).unwrap().1;
        let head = "content-type: application/x-www-form-urlencoded\r\n";
        let answer = line.call("POST", path, head, form.join("&").as_bytes()).await.unwrap();
        let token: serde_json::Value = answer.json().unwrap();
        Arc::new(Self { token: token["access_token"].as_str().unwrap().to_owned(), ..line })
    }

    async fn call(&self, method: &str, path: &str, head: &str, body: &[u8]) -> io::Result<Reply> {
        let mut stream = TcpStream::connect(&self.authority).await?;
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {length}\r\n{head}\r\n",
            self.authority
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body).await?;
        let answer = read(&mut stream).await?;
        let status = answer.first.split(' ').nth(1).unwrap().parse().unwrap();
        Ok(Reply { status, headers: answer.headers, body: answer.body })
    }
}

impl Transport for Line {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, Failure>> {
        Box::pin(async move {
            let mut head = format!("authorization: Bearer {}\r\n", self.token);
            for (name, value) in &request.headers {
                head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
            }
            let path = format!("{}{}", self.root, request.path);
            let sent = self.call(request.method.as_str(), &path, &head, &request.body).await;
            sent.map_err(|error| Failure::NoAnswer(error.to_string()))
        })
    }
}

/// Answers as Spindel does: the challenge, then the proof, then success. Genuine changes are kept.
pub struct Inbox {
    pub url: String,
    pub changes: Arc<Mutex<Vec<Change>>>,
}

impl Inbox {
    pub async fn start(settings: serde_json::Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let changes: Arc<Mutex<Vec<Change>>> = Arc::default();
        let (url, kept) = (format!("{origin}/in/erp"), Arc::clone(&changes));
        tokio::spawn(async move {
            let (erp, _) = BusinessCentral::connect(serde_json::from_value(settings).unwrap()).ok().unwrap();
            while let Ok((mut stream, _)) = listener.accept().await {
                let message = read(&mut stream).await.unwrap();
                let uri = message.first.split(' ').nth(1).unwrap().to_owned();
                let incoming =
                    Incoming { method: Method::POST, uri, origin: origin.clone(), headers: message.headers, body: message.body };
                let (status, body) = answer(&erp, incoming, &kept);
                let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
                stream.write_all(head.as_bytes()).await.unwrap();
                stream.write_all(&body).await.unwrap();
            }
        });
        Self { url, changes }
    }
}

fn answer(erp: &BusinessCentral, incoming: Incoming, kept: &Mutex<Vec<Change>>) -> (StatusCode, Bytes) {
    if let Some(answer) = erp.challenge(&incoming) {
        return (answer.status, answer.body);
    }
    match erp.proof(&[]).check(incoming, Timestamp::UNIX_EPOCH) {
        Ok(verified) => {
            kept.lock().unwrap().extend(erp.changes(&verified).unwrap());
            (StatusCode::OK, Bytes::new())
        }
        Err(_) => (StatusCode::UNAUTHORIZED, Bytes::new()),
    }
}
