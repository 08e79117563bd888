//! `mysql_async`: a connection per client and service, statements prepared once by the driver's cache.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, OptsBuilder, Params, Value};
use tokio::task::JoinSet;

use super::{Reel, parts};
use crate::Outcome;
use crate::engine::{Place, SERVICES};
use crate::load::{Slice, Window};
use crate::recording::{Act, Cell};

async fn open(place: &Place, service: &str) -> Outcome<Conn> {
    let options = OptsBuilder::from_opts(Opts::from_url(&place.bare(service))?)
        .client_found_rows(true)
        .stmt_cache_size(256)
        .prefer_socket(false)
        .tcp_nodelay(true)
        .setup(vec!["SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"]);
    Ok(Conn::new(options).await?)
}

fn bind(values: &[Cell]) -> Params {
    let value = |cell: &Cell| match cell {
        Cell::Null => Value::NULL,
        Cell::Bool(value) => Value::Int(i64::from(*value)),
        Cell::Int(value) => Value::Int(*value),
        Cell::Float(value) => Value::Double(*value),
        Cell::Text(value) => Value::Bytes(value.clone().into_bytes()),
        Cell::Bytes(value) => Value::Bytes(value.clone()),
        Cell::Uuid(value) => Value::Bytes(value.as_bytes().to_vec()),
    };
    if values.is_empty() {
        Params::Empty
    } else {
        Params::Positional(values.iter().map(value).collect())
    }
}

async fn run(connection: &mut Conn, act: &Act) -> mysql_async::Result<()> {
    if act.is_select() {
        let rows: Vec<mysql_async::Row> = connection.exec(act.text.as_str(), bind(&act.values)).await?;
        std::hint::black_box(rows);
        return Ok(());
    }
    connection.exec_drop(act.text.as_str(), bind(&act.values)).await
}

async fn part(connection: &mut Conn, part: &[Act]) -> mysql_async::Result<()> {
    if part[0].unit.is_none() {
        return run(connection, &part[0]).await;
    }
    connection.query_drop("START TRANSACTION").await?;
    for act in part {
        run(connection, act).await?;
    }
    connection.query_drop("COMMIT").await
}

pub async fn measure(place: &Place, reel: &Arc<Reel>, connections: usize, seconds: f64) -> Outcome<Slice> {
    let acts = reel.next().into_owned();
    let mut clients = Vec::new();
    for _ in 0..connections {
        let mut mine = HashMap::new();
        for service in SERVICES
            .into_iter()
            .filter(|service| acts.iter().any(|act| act.service == *service))
        {
            mine.insert(service, open(place, service).await?);
        }
        clients.push(mine);
    }
    let window = Window::open(seconds);
    let mut workers = JoinSet::new();
    for mine in clients {
        workers.spawn(work(mine, Arc::clone(reel), window, seconds));
    }
    let mut total = Slice::new(seconds)?;
    while let Some(done) = workers.join_next().await {
        total.add(&done??)?;
    }
    Ok(total)
}

async fn work(mut connections: HashMap<&'static str, Conn>, reel: Arc<Reel>, window: Window, seconds: f64) -> Outcome<Slice> {
    let mut slice = Slice::new(seconds)?;
    loop {
        let acts = reel.next();
        let begun = Instant::now();
        for group in parts(&acts) {
            if let Some(connection) = connections.get_mut(group[0].service) {
                part(connection, group).await?;
            }
        }
        let ended = Instant::now();
        if ended >= window.from && ended <= window.until {
            slice.record(ended - begun);
        }
        if ended >= window.until {
            break;
        }
    }
    for (_, connection) in connections {
        connection.disconnect().await?;
    }
    Ok(slice)
}
