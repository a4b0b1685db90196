//! The HTTP client.

use super::reply::{Body, Head, Refusal};
use crate::data::read_whole;
use crate::words;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::time::Duration;
use ureq::http::{Response, StatusCode, header};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::typestate::WithoutBody;
use ureq::{Agent, RequestBuilder};

/// Maximum number of redirects followed.
const REDIRECTS: u32 = 5;
/// Maximum size of a file of certificate authorities, in bytes.
const CERTIFICATES: u64 = 16 << 20;

/// An HTTP client that uses the proxy set in the environment.
pub struct Client(Agent);

impl Client {
    /// Creates a client with this timeout for connecting and for each read. It trusts the certificate authorities in the PEM file
    /// `certificates` if one is given, else Mozilla's.
    pub fn new(timeout: Duration, certificates: Option<&Path>) -> Result<Self> {
        let roots = certificates.map_or(Ok(RootCerts::WebPki), authorities)?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .user_agent(concat!("gradscope/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .timeout_resolve(Some(timeout))
            .timeout_connect(Some(timeout))
            .timeout_recv_response(Some(timeout * 3))
            .timeout_per_read(Some(timeout))
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .max_redirects(0)
            .max_redirects_will_error(false);
        Ok(Self(config.build().new_agent()))
    }

    /// The headers of a file on the Hugging Face hub. Redirects within the hub, as for renamed repositories, are followed.
    /// Redirects to other hosts are not, since only the hub's own responses have these headers.
    pub fn head(&self, url: &str, token: Option<&str>) -> Result<Head, Refusal> {
        let (mut linked, mut commit) = (None, None);
        let reply = self.follow(
            url,
            token,
            |url| self.0.head(url),
            |reply, to| {
                linked = linked.take().or_else(|| text(reply, "x-linked-etag"));
                commit = commit.take().or_else(|| text(reply, "x-repo-commit"));
                origin(to) == origin(url)
            },
        )?;
        if reply.status().is_client_error() || reply.status().is_server_error() {
            return Err(refusal(&reply));
        }
        let etag = linked.or_else(|| text(&reply, "x-linked-etag")).or_else(|| text(&reply, "etag"));
        let etag = etag.map(|etag| etag.trim_start_matches("W/").trim_matches('"').to_string());
        let length = || number(&reply, "content-length").filter(|_| reply.status().is_success());
        let size = number(&reply, "x-linked-size").or_else(length);
        Ok(Head { commit: text(&reply, "x-repo-commit").or(commit), etag, size })
    }

    /// The contents of a file, starting at byte offset `from`.
    pub fn get(&self, url: &str, token: Option<&str>, from: u64) -> Result<Body, Refusal> {
        let request = |url: &str| match from {
            0 => self.0.get(url),
            _ => self.0.get(url).header(header::RANGE, format!("bytes={from}-")),
        };
        let reply = self.follow(url, token, request, |_, _| true)?;
        let length = number(&reply, "content-length");
        let (start, total) = match reply.status() {
            StatusCode::OK => (0, length),
            StatusCode::PARTIAL_CONTENT => {
                let range = text(&reply, "content-range");
                let range = range.as_deref().and_then(range_of).filter(|(start, _)| *start == from);
                range.ok_or_else(|| Refusal::Unreachable("the server sent the wrong part of the file".into()))?
            }
            _ => return Err(refusal(&reply)),
        };
        Ok(Body { start, total, reader: Box::new(reply.into_body().into_reader()) })
    }

    /// Sends a request and follows its redirects, as long as `follows` accepts the response and its target. The token is only sent
    /// to the first host.
    fn follow(
        &self,
        url: &str,
        token: Option<&str>,
        request: impl Fn(&str) -> RequestBuilder<WithoutBody>,
        mut follows: impl FnMut(&Response<ureq::Body>, &str) -> bool,
    ) -> Result<Response<ureq::Body>, Refusal> {
        let mut at = url.to_string();
        for _ in 0..=REDIRECTS {
            let mut request = request(&at);
            if let Some(token) = token.filter(|_| origin(&at) == origin(url)) {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            let reply = request.call().map_err(unreachable)?;
            let to = text(&reply, "location").filter(|_| reply.status().is_redirection()).map(|to| joined(&at, &to));
            match to.filter(|to| follows(&reply, to)) {
                None => return Ok(reply),
                Some(to) if at.starts_with("https:") && !to.starts_with("https:") => {
                    return Err(Refusal::Unreachable("the server redirects to an unencrypted connection".into()));
                }
                Some(to) => at = to,
            }
        }
        Err(Refusal::Unreachable("too many redirects".into()))
    }
}

/// The certificate authorities in a PEM file.
fn authorities(file: &Path) -> Result<RootCerts> {
    let reading =
        || format!("reading the certificates \"{}\" set by SSL_CERT_FILE or REQUESTS_CA_BUNDLE", words::path(file));
    let pem = read_whole(file, CERTIFICATES).with_context(reading)?;
    let found = parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    let found: Vec<_> = found.collect();
    ensure!(!found.is_empty(), "{}: the file contains no certificates", reading());
    Ok(RootCerts::new_with_certs(&found))
}

/// The start and the total size in a `Content-Range` header such as `bytes 100-199/200`.
fn range_of(header: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = header.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, total.parse().ok()))
}

fn refusal<T>(reply: &Response<T>) -> Refusal {
    Refusal::Status { status: reply.status().as_u16(), code: text(reply, "x-error-code").unwrap_or_default() }
}

fn unreachable(error: ureq::Error) -> Refusal {
    let why = error.to_string();
    let hint = if why.contains("certificate") {
        "; set SSL_CERT_FILE to a file with the certificate authorities of your network"
    } else {
        ""
    };
    Refusal::Unreachable(format!("{}{hint}", words::name(&why)))
}

fn text<T>(reply: &Response<T>, header: &str) -> Option<String> {
    Some(reply.headers().get(header)?.to_str().ok()?.trim().to_string())
}

fn number<T>(reply: &Response<T>, header: &str) -> Option<u64> {
    text(reply, header)?.parse().ok()
}

/// The scheme and host of a URL: `https://huggingface.co`.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    &url[..url[host..].find('/').map_or(url.len(), |at| host + at)]
}

/// Resolves the target `to` of a redirect from `url`, which may be relative.
fn joined(url: &str, to: &str) -> String {
    match to {
        _ if to.starts_with("//") => format!("{}:{to}", url.split(':').next().unwrap_or("https")),
        _ if to.starts_with('/') => format!("{}{to}", origin(url)),
        _ => to.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_origins_are_parsed() {
        assert_eq!(range_of("bytes 100-199/200"), Some((100, Some(200))));
        assert_eq!(range_of("bytes 0-1/*"), Some((0, None)));
        assert_eq!(range_of("bytes */200"), None);
        assert_eq!(origin("http://127.0.0.1:80/a/b"), "http://127.0.0.1:80");
        assert_eq!(origin("https://huggingface.co"), "https://huggingface.co");
        let joined = |to| joined("https://a.b/c/d", to);
        assert_eq!(joined("/e"), "https://a.b/e");
        assert_eq!(joined("//f/e"), "https://f/e");
        assert_eq!(joined("http://f/e"), "http://f/e");
    }
}
