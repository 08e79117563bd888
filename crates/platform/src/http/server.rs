//! Accepts connections: bounded number, bounded time for headers, graceful end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use http::{HeaderValue, Version, header};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};

use super::config::HttpConfig;

/// When the machine has no more file handles, trying again at once only burns the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Above what `receive` allows: what hyper refuses gets an answer without a body.
const MAX_HEAD_BYTES: u32 = 128 * 1024;
const MAX_HEADERS: usize = 256;

/// RFC 9113, 3.4.
const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PREFACE_PAUSE: Duration = Duration::from_millis(20);

/// Serves until `stopping` fires, then lets running requests end. The caller bounds the drain time.
///
/// For [`HttpConfig::shutdown_delay_ms`] after the signal connections are still taken, and each answer of HTTP/1 says that
/// its connection closes: who keeps connections open learns of the stop from an answer instead of a lost request.
pub async fn serve(listener: TcpListener, router: Router, config: HttpConfig, stopping: CancellationToken) {
    let patience = Duration::from_secs(config.header_timeout_seconds);
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(MAX_HEAD_BYTES as usize)
        .max_headers(MAX_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(128)
        .max_header_list_size(MAX_HEAD_BYTES)
        .keep_alive_interval(Duration::from_secs(20));
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(config.max_connections.min(Semaphore::MAX_PERMITS)));
    let over = CancellationToken::new();
    let mut delay = std::pin::pin!(async {
        stopping.cancelled().await;
        tokio::time::sleep(Duration::from_millis(config.shutdown_delay_ms)).await;
    });
    loop {
        let accepted = tokio::select! {
            () = &mut delay => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, peer, place)) = accepted else { continue };
        let service = hyper::service::service_fn({
            let (router, stopping) = (router.clone(), stopping.clone());
            move |mut request: hyper::Request<Incoming>| {
                request.extensions_mut().insert(ConnectInfo(peer));
                let http1 = request.version() < Version::HTTP_2;
                let (mut router, stopping) = (router.clone(), stopping.clone());
                async move {
                    // A router is always ready.
                    let ready = ServiceExt::<hyper::Request<Incoming>>::ready(&mut router).await?;
                    let mut response = ready.call(request).await?;
                    if http1 && stopping.is_cancelled() {
                        let close = HeaderValue::from_static("close");
                        response.headers_mut().insert(header::CONNECTION, close);
                    }
                    Ok::<_, Infallible>(response)
                }
            }
        });
        let (builder, watcher, ending) = (builder.clone(), graceful.watcher(), over.clone());
        #[expect(clippy::disallowed_methods, reason = "connections are tracked by hyper-util's graceful watcher")]
        tokio::spawn(async move {
            let _place = place;
            let spoke = tokio::select! {
                () = ending.cancelled() => false,
                spoke = spoke_in_time(&stream, patience) => spoke,
            };
            if !spoke {
                return;
            }
            let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!(%error, %peer, "connection ended");
            }
        });
    }
    drop(listener);
    over.cancel();
    graceful.shutdown().await;
}

/// hyper's own clock for headers starts once it knows the HTTP version. Whoever connects and stays silent, or sends only
/// the start of the HTTP/2 preface, would keep a place for ever.
async fn spoke_in_time(stream: &tokio::net::TcpStream, patience: Duration) -> bool {
    let version_known = async {
        let mut start = [0; HTTP2_PREFACE.len()];
        loop {
            match stream.peek(&mut start).await {
                Ok(0) | Err(_) => return false,
                Ok(length) if length < start.len() && HTTP2_PREFACE.starts_with(&start[..length]) => {
                    // Peeking again returns at once, so wait a little for the rest.
                    tokio::time::sleep(PREFACE_PAUSE).await;
                }
                Ok(_) => return true,
            }
        }
    };
    tokio::time::timeout(patience, version_known).await.unwrap_or(false)
}

type Accepted = (tokio::net::TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<Accepted> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Answers are written whole; waiting to fill a packet only adds delay.
            let _ = stream.set_nodelay(true);
            Some((stream, peer, place))
        }
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}
