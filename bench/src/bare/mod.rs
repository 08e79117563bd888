//! The yardstick for data: the statements of a request on the driver alone, with as many connections as the product's clients.

mod mysql;
mod postgres;
mod sqlite;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use platform::db::Engine;

use crate::Outcome;
use crate::engine::Place;
use crate::load::Slice;
use crate::recording::{Act, Script};

/// A script and how far it has been played; it goes on where the slice before ended.
pub struct Reel {
    script: Script,
    turn: AtomicU64,
}

impl Reel {
    pub fn new(script: Script) -> Self {
        Self {
            script,
            turn: AtomicU64::new(0),
        }
    }
    pub fn statements(&self) -> usize {
        self.script.statements()
    }
    fn next(&self) -> std::borrow::Cow<'_, [Act]> {
        self.script.acts(self.turn.fetch_add(1, Ordering::Relaxed))
    }
}

/// Runs of acts that go together: a read alone, or all of one transaction.
fn parts(acts: &[Act]) -> impl Iterator<Item = &[Act]> {
    acts.chunk_by(|a, b| a.unit.is_some() && a.unit == b.unit)
}

pub async fn measure(place: &Place, reel: &Arc<Reel>, connections: usize, seconds: f64) -> Outcome<Slice> {
    match place.engine {
        Engine::Sqlite => {
            let files = crate::engine::SERVICES.map(|service| (service, place.bare(service)));
            let reel = Arc::clone(reel);
            tokio::task::spawn_blocking(move || sqlite::measure(&files, &reel, connections, seconds)).await?
        }
        Engine::Postgres => postgres::measure(place, reel, connections, seconds).await,
        Engine::Mysql => mysql::measure(place, reel, connections, seconds).await,
    }
}
