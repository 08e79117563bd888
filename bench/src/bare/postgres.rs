//! tokio-postgres: a connection per client and service, statements prepared once, a transaction pipelined from BEGIN to COMMIT.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::{BufMut as _, BytesMut};
use futures_util::future::try_join_all;
use tokio::task::JoinSet;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Error, NoTls, Statement};

use super::{Reel, parts};
use crate::Outcome;
use crate::engine::{Place, SERVICES};
use crate::load::{Slice, Window};
use crate::recording::{Act, Cell};

/// A statement under way.
type Sent<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

type Encoded = Result<IsNull, Box<dyn std::error::Error + Sync + Send>>;

impl ToSql for Cell {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Encoded {
        match self {
            Self::Null => return Ok(IsNull::Yes),
            Self::Bool(value) => out.put_u8(u8::from(*value)),
            Self::Int(value) => match *ty {
                Type::INT4 => out.put_i32(i32::try_from(*value)?),
                Type::INT2 => out.put_i16(i16::try_from(*value)?),
                Type::BOOL => out.put_u8(u8::from(*value != 0)),
                Type::INT8 => out.put_i64(*value),
                _ => return Err(format!("an integer for {ty}").into()),
            },
            Self::Float(value) => out.put_f64(*value),
            Self::Text(value) => {
                if *ty == Type::JSONB {
                    out.put_u8(1);
                }
                out.put_slice(value.as_bytes());
            }
            Self::Bytes(value) => out.put_slice(value),
            Self::Uuid(value) => out.put_slice(value.as_bytes()),
        }
        Ok(IsNull::No)
    }
    fn accepts(_: &Type) -> bool {
        true
    }
    to_sql_checked!();
}

struct Session {
    client: Client,
    prepared: HashMap<String, Statement>,
    _driver: JoinSet<()>,
}

impl Session {
    async fn open(place: &Place, service: &str) -> Outcome<Self> {
        let mut options: tokio_postgres::Config = place.bare(service).parse()?;
        options.options(format!("-c search_path={service}"));
        let (client, connection) = options.connect(NoTls).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // Statements learn of a broken connection.
            let _ = connection.await;
        });
        Ok(Self {
            client,
            prepared: HashMap::new(),
            _driver: driver,
        })
    }

    async fn prepare(&mut self, act: &Act) -> Result<(), Error> {
        if !self.prepared.contains_key(&act.text) {
            let statement = self.client.prepare(&act.text).await?;
            self.prepared.insert(act.text.clone(), statement);
        }
        Ok(())
    }

    async fn run(&self, act: &Act) -> Result<(), Error> {
        let values: Vec<&(dyn ToSql + Sync)> = act.values.iter().map(|value| value as _).collect();
        let statement = &self.prepared[&act.text];
        if act.is_select() {
            std::hint::black_box(self.client.query(statement, &values).await?);
        } else {
            self.client.execute(statement, &values).await?;
        }
        Ok(())
    }

    async fn part(&mut self, part: &[Act]) -> Result<(), Error> {
        for act in part {
            self.prepare(act).await?;
        }
        if part[0].unit.is_none() {
            return self.run(&part[0]).await;
        }
        let mut sent: Vec<Sent<'_>> = Vec::with_capacity(part.len() + 2);
        sent.push(Box::pin(self.client.batch_execute("BEGIN")));
        for act in part {
            sent.push(Box::pin(self.run(act)));
        }
        sent.push(Box::pin(self.client.batch_execute("COMMIT")));
        try_join_all(sent).await.map(drop)
    }
}

pub async fn measure(place: &Place, reel: &Arc<Reel>, connections: usize, seconds: f64) -> Outcome<Slice> {
    let acts = reel.next().into_owned();
    let mut sessions = Vec::new();
    for _ in 0..connections {
        let mut mine = HashMap::new();
        for service in SERVICES
            .into_iter()
            .filter(|service| acts.iter().any(|act| act.service == *service))
        {
            let mut session = Session::open(place, service).await?;
            for act in acts.iter().filter(|act| act.service == service) {
                session.prepare(act).await?;
            }
            mine.insert(service, session);
        }
        sessions.push(mine);
    }
    let window = Window::open(seconds);
    let mut workers = JoinSet::new();
    for mine in sessions {
        workers.spawn(work(mine, Arc::clone(reel), window, seconds));
    }
    let mut total = Slice::new(seconds)?;
    while let Some(done) = workers.join_next().await {
        total.add(&done??)?;
    }
    Ok(total)
}

async fn work(mut sessions: HashMap<&'static str, Session>, reel: Arc<Reel>, window: Window, seconds: f64) -> Outcome<Slice> {
    let mut slice = Slice::new(seconds)?;
    loop {
        let acts = reel.next();
        let begun = Instant::now();
        for part in parts(&acts) {
            if let Some(session) = sessions.get_mut(part[0].service) {
                session.part(part).await?;
            }
        }
        let ended = Instant::now();
        if ended >= window.from && ended <= window.until {
            slice.record(ended - begun);
        }
        if ended >= window.until {
            return Ok(slice);
        }
    }
}
