//! The yardstick for HTTP: the same framework and runtime, a body that is there already, no rules around it.

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{StatusCode, header};

use crate::Outcome;

/// Prints the address it got, then serves until it is killed.
pub fn serve(size: usize, status: u16) -> Outcome<()> {
    let status = StatusCode::from_u16(status)?;
    let text = Bytes::from(vec![b'x'; size]);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async move {
        // The request's body is read, as a real handler would have to.
        let answer = move |_: Bytes| async move {
            let mut response = Response::new(Body::from(text));
            *response.status_mut() = status;
            let kind = header::HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        {
            use std::io::Write as _;
            let mut out = std::io::stdout().lock();
            writeln!(out, "{address}")?;
            out.flush()?;
        }
        axum::serve(NoDelay(listener), Router::new().fallback(answer)).await?;
        Ok(())
    })
}

/// Like the product's listener: answers go out at once.
struct NoDelay(tokio::net::TcpListener);

impl axum::serve::Listener for NoDelay {
    type Io = tokio::net::TcpStream;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, peer) = axum::serve::Listener::accept(&mut self.0).await;
        let _ = stream.set_nodelay(true);
        (stream, peer)
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.0.local_addr()
    }
}
