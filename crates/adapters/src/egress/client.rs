//! One request over one connection to a checked address.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use kernel::{Error, Result};
use platform::egress::{Egress, EgressError, EgressRequest, EgressResponse};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::addresses::{embedded_v4, is_public};
use super::config::EgressConfig;
use super::target::{Target, TargetHost};
use super::{Resolver, SystemResolver};

/// Addresses of one host that are tried.
const MAX_ADDRESSES: usize = 4;
const MAX_RESPONSE_HEADERS: usize = 100;
/// Bounds the head of an answer; also the size of one read.
const MAX_HEAD_BYTES: usize = 64 * 1024;
const USER_AGENT: &str = concat!("Guildhall/", env!("CARGO_PKG_VERSION"));

/// See the [module](super).
pub struct EgressClient {
    config: EgressConfig,
    resolver: Arc<dyn Resolver>,
    tls: TlsConnector,
    trusted: Vec<String>,
}

impl EgressClient {
    /// Reads the certificates to trust: those of the operating system, Mozilla's where it has none, and `egress.ca_file`.
    pub fn new(config: &EgressConfig) -> Result<Self> {
        Self::with_resolver(config, Arc::new(SystemResolver))
    }

    pub fn with_resolver(config: &EgressConfig, resolver: Arc<dyn Resolver>) -> Result<Self> {
        Ok(Self {
            config: config.clone(),
            resolver,
            tls: TlsConnector::from(Arc::new(tls_config(config)?)),
            trusted: Vec::new(),
        })
    }

    /// Also calls these origins (`scheme://host[:port]`), private ones and plain http too. For a client of its own whose
    /// origins the operator named; never for one that calls what users name.
    #[must_use]
    pub fn trusting(mut self, origins: &[String]) -> Self {
        let ascii = |origin: &String| url::Url::parse(origin).ok().map(|url| url.origin().ascii_serialization());
        self.trusted = origins.iter().filter_map(ascii).collect();
        self
    }

    fn connect_timeout(&self) -> Duration {
        Duration::from_secs(self.config.connect_timeout_seconds)
    }

    /// All addresses of the host, each of them allowed. One that is not spoils the name: a name with a public and an
    /// inner address is an attack or a mistake.
    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, EgressError> {
        let found = match &target.host {
            TargetHost::Address(address) => vec![*address],
            TargetHost::Name(name) => {
                let looked_up = tokio::time::timeout(self.connect_timeout(), self.resolver.resolve(name, target.port)).await;
                looked_up.map_err(|_| EgressError::Dns)?.map_err(|_| EgressError::Dns)?
            }
        };
        if found.is_empty() {
            return Err(EgressError::Dns);
        }
        if target.trusted || found.iter().all(|address| self.allows(*address)) {
            Ok(found.into_iter().map(|address| SocketAddr::new(address, target.port)).collect())
        } else {
            Err(EgressError::Address)
        }
    }

    fn allows(&self, address: IpAddr) -> bool {
        let inner = match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(v6) => embedded_v4(v6).map(IpAddr::V4),
        };
        let listed = |address: IpAddr| self.config.allow.iter().any(|net| net.contains(&address));
        is_public(address) || listed(address) || inner.is_some_and(listed)
    }

    async fn connect(&self, addresses: &[SocketAddr]) -> Result<TcpStream, EgressError> {
        for address in addresses.iter().take(MAX_ADDRESSES) {
            if let Ok(Ok(stream)) = tokio::time::timeout(self.connect_timeout(), TcpStream::connect(address)).await {
                // One small request: waiting to fill a segment would only delay it.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
        }
        Err(EgressError::Connect)
    }

    async fn exchange(&self, request: EgressRequest) -> Result<EgressResponse, EgressError> {
        let target = Target::parse(&request.url, &self.config, &self.trusted)?;
        let addresses = self.addresses(&target).await?;
        let stream = self.connect(&addresses).await?;
        if !target.tls {
            return round_trip(stream, &target, request).await;
        }
        let name = match &target.host {
            TargetHost::Name(name) => ServerName::try_from(name.clone()).map_err(|_| EgressError::Tls)?,
            TargetHost::Address(address) => ServerName::IpAddress((*address).into()),
        };
        let stream = self.tls.connect(name, stream).await.map_err(|_| EgressError::Tls)?;
        round_trip(stream, &target, request).await
    }
}

#[async_trait]
impl Egress for EgressClient {
    async fn check(&self, url: &str) -> Result<(), EgressError> {
        let target = Target::parse(url, &self.config, &self.trusted)?;
        self.addresses(&target).await.map(drop)
    }

    async fn send(&self, request: EgressRequest) -> Result<EgressResponse, EgressError> {
        match tokio::time::timeout(request.timeout, self.exchange(request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(EgressError::Timeout),
        }
    }
}

async fn round_trip<S>(stream: S, target: &Target, request: EgressRequest) -> Result<EgressResponse, EgressError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_RESPONSE_HEADERS)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|_| EgressError::Protocol)?;
    let limit = request.max_response_bytes;
    let outgoing = outgoing(target, request)?;
    let talk = async {
        let response = sender.send_request(outgoing).await.map_err(|_| EgressError::Protocol)?;
        Ok(read(response, limit).await)
    };
    // The connection moves the bytes while the other side talks; when it ends first, what it has read is still there.
    let drive = async {
        let _ = connection.await;
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        outcome = talk => outcome,
        never = drive => match never {},
    }
}

fn outgoing(target: &Target, request: EgressRequest) -> Result<Request<Full<Bytes>>, EgressError> {
    let mut outgoing = Request::new(Full::new(request.body));
    *outgoing.method_mut() = request.method;
    *outgoing.uri_mut() = target
        .path_and_query
        .parse()
        .map_err(|_| EgressError::Url("its path cannot be sent"))?;
    let host = HeaderValue::from_str(&target.authority).map_err(|_| EgressError::Url("its host cannot be sent"))?;
    let headers = outgoing.headers_mut();
    *headers = request.headers;
    headers.insert(header::HOST, host);
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    Ok(outgoing)
}

/// An answer whose body breaks off is still an answer: its status stands.
async fn read(response: Response<Incoming>, limit: usize) -> EgressResponse {
    let (parts, mut incoming) = response.into_parts();
    let mut body = BytesMut::new();
    let mut truncated = false;
    while let Some(frame) = incoming.frame().await {
        let Ok(frame) = frame else {
            truncated = true;
            break;
        };
        let Ok(data) = frame.into_data() else { continue };
        let room = limit - body.len();
        body.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            truncated = true;
            break;
        }
    }
    EgressResponse {
        status: parts.status,
        headers: parts.headers,
        body: body.freeze(),
        truncated,
    }
}

fn tls_config(config: &EgressConfig) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        // A container without certificates: Mozilla's list, built in.
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    if let Some(file) = &config.ca_file {
        let unreadable = |error| Error::internal(format!("egress.ca_file: {}: {error}", file.display()));
        let own: Vec<_> = CertificateDer::pem_file_iter(file)
            .map_err(unreadable)?
            .collect::<Result<_, _>>()
            .map_err(unreadable)?;
        let (added, _) = roots.add_parsable_certificates(own);
        if added == 0 {
            return Err(Error::internal(format!("egress.ca_file: {} holds no certificate", file.display())));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
}
