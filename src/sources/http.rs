//! One connection to a vault of somebody else: TLS, HTTP/1.1, a few requests in turn, and then it is gone. No pool, no proxy, no
//! redirect, no cookie; what goes in and what comes out lies in buffers that are wiped. Never goes on in a task of its own: whoever
//! drops the future ends the connection.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};
use zeroize::Zeroizing;

use super::LONGEST;
use super::error::Why;

/// The largest head of an answer, in bytes.
const HEAD: usize = 64 * 1024;

/// Where a vault is: read from the configuration once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Whether TLS is spoken; without it only to this machine itself.
    pub tls: bool,
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{}://{open}{}{close}:{}", if self.tls { "https" } else { "http" }, self.host, self.port)
    }
}

impl std::str::FromStr for Address {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("`{}` is no address of a vault: {why}", crate::model::printable(text, 200));
        let uri: hyper::Uri = text.parse().map_err(|_| wrong("write https://HOST:PORT"))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong("write https://HOST:PORT")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("write https://HOST:PORT"))?;
        if authority.as_str().contains('@') || !uri.path().trim_matches('/').is_empty() || uri.query().is_some() {
            return Err(wrong("nothing but https://HOST:PORT belongs there"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(8200);
        let loopback = host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if !tls && !loopback {
            return Err(wrong("without TLS only 127.0.0.1 and [::1] are reached: write https://"));
        }
        if tls && ServerName::try_from(host.clone()).is_err() {
            return Err(wrong("that is no name of a host"));
        }
        Ok(Self { tls, host, port })
    }
}

/// What is sent.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    /// From the root, without anything that would have to be escaped.
    pub(super) path: &'a str,
    pub(super) namespace: Option<&'a str>,
    pub(super) token: Option<&'a Zeroizing<Vec<u8>>>,
    pub(super) body: Option<Zeroizing<Vec<u8>>>,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Zeroizing<Vec<u8>>,
}

type Driver = Pin<Box<dyn Future<Output = Result<(), hyper::Error>> + Send>>;

/// A connection.
pub(super) struct Line {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver,
    over: bool,
    host: HeaderValue,
}

impl Line {
    /// Connects, and proves who is there.
    pub(super) async fn open(address: &Address, ca_file: Option<&Path>) -> Result<Self, Why> {
        let tcp = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(|e| Why::Unreachable(unreachable(&e)))?;
        let _ = tcp.set_nodelay(true);
        let shown = if address.host.contains(':') {
            format!("[{}]:{}", address.host, address.port)
        } else {
            format!("{}:{}", address.host, address.port)
        };
        let host = HeaderValue::from_str(&shown).map_err(|_| Why::Unreachable("its name"))?;
        if !address.tls {
            return Self::speak(tcp, host).await;
        }
        let name = ServerName::try_from(address.host.clone()).map_err(|_| Why::Tls("its name is no name of a host"))?;
        let tls = TlsConnector::from(Arc::new(trust(ca_file)?)).connect(name, tcp).await.map_err(|e| Why::Tls(tls_fault(&e)))?;
        Self::speak(tls, host).await
    }

    async fn speak(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, host: HeaderValue) -> Result<Self, Why> {
        let mut builder = Builder::new();
        builder.max_buf_size(HEAD).max_headers(100);
        let (sender, connection) = builder.handshake(TokioIo::new(io)).await.map_err(|_| Why::BrokeOff)?;
        Ok(Self { sender, driver: Box::pin(connection), over: false, host })
    }

    /// Sends one request and reads its whole answer, at most 64 KiB.
    pub(super) async fn ask(&mut self, ask: Ask<'_>) -> Result<Answer, Why> {
        let request = self.request(ask)?;
        let sender = &mut self.sender;
        let mut answer = pin!(async move {
            sender.ready().await.map_err(|_| Why::BrokeOff)?;
            read(sender.send_request(request).await.map_err(|_| Why::BrokeOff)?).await
        });
        loop {
            tokio::select! {
                biased;
                _ = &mut self.driver, if !self.over => self.over = true,
                answer = &mut answer => return answer,
            }
        }
    }

    fn request(&self, ask: Ask<'_>) -> Result<Request<Full<Bytes>>, Why> {
        const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
        const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");
        const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
        let mut request = Request::builder().method(ask.method).uri(ask.path).header(HOST, self.host.clone());
        // Vault's own clients send it, and its agent asks for it, against requests that were forged through a browser or proxy.
        request = request.header(USER_AGENT, concat!("keyward/", env!("CARGO_PKG_VERSION"))).header(REQUEST, "true");
        if let Some(namespace) = ask.namespace {
            request = request.header(NAMESPACE, namespace);
        }
        if let Some(token) = ask.token {
            let mut value =
                HeaderValue::from_maybe_shared(shared(token)).map_err(|_| Why::File("the token has a character that no token has"))?;
            value.set_sensitive(true);
            request = request.header(TOKEN, value);
        }
        let body = match ask.body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Bytes::from_owner(Owned(body))
            }
            None => Bytes::new(),
        };
        request.body(Full::new(body)).map_err(|_| Why::BrokeOff)
    }
}

/// A buffer that is wiped when the last handle of the HTTP library has gone.
struct Owned(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn shared(bytes: &Zeroizing<Vec<u8>>) -> Bytes {
    let mut own = Zeroizing::new(Vec::with_capacity(bytes.len()));
    own.extend_from_slice(bytes);
    Bytes::from_owner(Owned(own))
}

async fn read(response: Response<Incoming>) -> Result<Answer, Why> {
    let status = response.status().as_u16();
    let mut from = response.into_body();
    let mut body = Zeroizing::new(Vec::with_capacity(LONGEST));
    while let Some(frame) = from.frame().await {
        let frame = frame.map_err(|_| Why::BrokeOff)?;
        if let Ok(data) = frame.into_data() {
            if body.len() + data.len() > LONGEST {
                return Err(Why::TooBig);
            }
            body.extend_from_slice(&data);
        }
    }
    Ok(Answer { status, body })
}

/// Whom to believe: the certificates of the file, else those of the system. Nothing is kept from one connection to the next.
fn trust(ca_file: Option<&Path>) -> Result<ClientConfig, Why> {
    let roots = match ca_file {
        Some(file) => Arc::new(from_file(file)?),
        None => system()?,
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|_| Why::Tls("no version of it is left"))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn from_file(file: &Path) -> Result<RootCertStore, Why> {
    let unread = |_| Why::Tls("the file of its certificate authority cannot be read");
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(unread)? {
        store.add(certificate.map_err(unread)?).map_err(|_| Why::Tls("the file of its certificate authority holds no such certificate"))?;
    }
    if store.is_empty() { Err(Why::Tls("the file of its certificate authority is empty")) } else { Ok(store) }
}

fn system() -> Result<Arc<RootCertStore>, Why> {
    static SYSTEM: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let store = SYSTEM.get_or_init(|| {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(store)
    });
    if store.is_empty() { Err(Why::Tls("this system trusts no certificate authority: set ca_file")) } else { Ok(Arc::clone(store)) }
}

fn unreachable(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused",
        std::io::ErrorKind::HostUnreachable | std::io::ErrorKind::NetworkUnreachable => "no route",
        std::io::ErrorKind::TimedOut => "no answer",
        _ => "its name is not known, or the network fails",
    }
}

/// What to tell of a failed handshake. The library's own words would quote what the other side sent.
fn tls_fault(error: &std::io::Error) -> &'static str {
    use rustls::{CertificateError, Error};
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => "its certificate is of an authority that is not trusted here",
        Some(Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })) => {
            "its certificate has expired"
        }
        Some(Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. })) => {
            "its certificate is for another name"
        }
        Some(Error::InvalidCertificate(_)) => "its certificate is not good",
        Some(Error::AlertReceived(_)) => "it broke off the handshake",
        Some(_) => "it does not speak TLS 1.2 or 1.3 as it should",
        None => "it broke off the handshake",
    }
}

/// A certificate authority's file, if one is named.
pub(super) type CaFile = Option<PathBuf>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_or_this_machine() {
        for (text, shown) in [
            ("https://vault.example.org:8200", "https://vault.example.org:8200"),
            ("https://vault.example.org", "https://vault.example.org:8200"),
            ("https://vault.example.org/", "https://vault.example.org:8200"),
            ("https://[2001:db8::1]:443", "https://[2001:db8::1]:443"),
            ("https://192.0.2.7:8200", "https://192.0.2.7:8200"),
            ("http://127.0.0.1:8200", "http://127.0.0.1:8200"),
            ("http://[::1]:8200", "http://[::1]:8200"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), shown);
        }
        for bad in [
            "http://vault.example.org:8200",
            "http://192.0.2.7",
            "http://localhost:8200",
            "http://127.0.0.1.example.org",
            "http://127.0.0.1@evil.example.org",
            "https://user:pw@vault.example.org",
            "https://vault.example.org/v1/secret",
            "https://vault.example.org/?x=y",
            "ftp://vault.example.org",
            "vault.example.org:8200",
            "file:///etc/passwd",
            "unix:/run/vault.sock",
            "https://",
            "https://a b",
            "",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }
}
