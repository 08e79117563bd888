//! Live events: many open streams, one event, how long until all have it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Barrier, mpsc};
use tokio::task::JoinSet;

use crate::cases;
use crate::load::Connection;
use crate::process::Process;
use crate::stage::Stage;
use crate::{Outcome, fail};

const PATIENCE: Duration = Duration::from_secs(60);
/// Streams that are opened at a time.
const OPENING: usize = 32;

#[derive(Debug, Clone, Serialize)]
pub struct Listeners {
    pub listeners: usize,
    pub events: usize,
    /// From the start of the request that creates a task to the last listener's event: median over the events, milliseconds.
    pub all_after_ms: f64,
    /// The same to the listener in the middle.
    pub half_after_ms: f64,
    pub resident_before_mib: f64,
    pub resident_with_mib: f64,
}

async fn listen(address: SocketAddr, workspace: &str, token: &str) -> Outcome<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "GET /v1/events?workspace_id={workspace} HTTP/1.1\r\nhost: bench\r\naccept: text/event-stream\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    read_until(&mut stream, "ready").await?;
    Ok(stream)
}

/// Reads until an event of this type has come. What came after it in the same read is dropped: events are sent one at a time.
async fn read_until(stream: &mut TcpStream, event: &str) -> Outcome<()> {
    let wanted = format!("event: {event}\n");
    let mut text = Vec::new();
    let mut part = [0; 4_096];
    loop {
        let length = tokio::time::timeout(PATIENCE, stream.read(&mut part)).await??;
        if length == 0 {
            return fail(format!("a stream ended: {}", String::from_utf8_lossy(&text)));
        }
        text.extend_from_slice(&part[..length]);
        if text.windows(wanted.len()).any(|window| window == wanted.as_bytes()) {
            return Ok(());
        }
    }
}

pub async fn measure(server: &Process, stage: &Stage, listeners: usize, events: usize) -> Outcome<Listeners> {
    let resident_before_mib = server.resident_mib()?;
    let mut streams = Vec::with_capacity(listeners);
    while streams.len() < listeners {
        let batch = OPENING.min(listeners - streams.len());
        let opening = (streams.len()..streams.len() + batch).map(|index| {
            let token = &stage.members()[index % stage.members().len()].access;
            listen(server.address, &stage.workspace, token)
        });
        streams.extend(futures_util::future::try_join_all(opening).await?);
    }
    let resident_with_mib = server.resident_mib()?;

    let (tell, mut heard) = mpsc::unbounded_channel();
    let barrier = Arc::new(Barrier::new(listeners + 1));
    let mut tasks = JoinSet::new();
    for mut stream in streams {
        let (tell, barrier) = (tell.clone(), Arc::clone(&barrier));
        tasks.spawn(async move {
            for _ in 0..events {
                read_until(&mut stream, "task.created").await?;
                tell.send(Instant::now())?;
                barrier.wait().await;
            }
            Ok::<_, crate::Failure>(())
        });
    }
    drop(tell);
    let mut maker = Connection::open(server.address).await?;
    let (owner, mut all, mut half) = (&stage.members()[0], Vec::new(), Vec::new());
    for _ in 0..events {
        let begun = Instant::now();
        let request = cases::create(&stage.recorded, &owner.id, &owner.access);
        let (status, _) = maker.send(request).await?;
        if !status.is_success() {
            return fail(format!("an event could not be made: {status}"));
        }
        let mut times = Vec::with_capacity(listeners);
        for _ in 0..listeners {
            match tokio::time::timeout(PATIENCE, heard.recv()).await? {
                Some(at) => times.push((at - begun).as_secs_f64() * 1e3),
                None => return fail("the listeners are gone"),
            }
        }
        times.sort_by(f64::total_cmp);
        half.push(times[listeners / 2]);
        all.push(times[listeners - 1]);
        barrier.wait().await;
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(Listeners {
        listeners,
        events,
        all_after_ms: crate::report::median(&mut all),
        half_after_ms: crate::report::median(&mut half),
        resident_before_mib,
        resident_with_mib,
    })
}
