//! Which statements a request is, learnt from the product itself: the application runs inside this process for a moment, is
//! asked, and tells what it sent to its databases.

use std::collections::HashMap;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use guildhall::compose::{App, Parts};
use guildhall::config::Config;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use platform::db::{Sent, record_sent};
use platform::lifecycle::Lifecycle;
use sea_query::Value;
use tower::ServiceExt as _;
use uuid::Uuid;

use crate::cases::{self, Case};
use crate::engine::Place;
use crate::json;
use crate::stage::{PASSWORD, Stage};
use crate::{Outcome, fail};

/// Requests that a case's reads are taken from, in turn.
const VARIANTS: usize = 32;
/// Tries to record two creations that send the same statements.
const PAIRS: usize = 10;

/// A value as all three drivers know it.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Uuid(Uuid),
}

impl Cell {
    fn of(value: &Value) -> Outcome<Self> {
        Ok(match value {
            Value::Bool(Some(value)) => Self::Bool(*value),
            Value::TinyInt(Some(value)) => Self::Int(i64::from(*value)),
            Value::SmallInt(Some(value)) => Self::Int(i64::from(*value)),
            Value::Int(Some(value)) => Self::Int(i64::from(*value)),
            Value::BigInt(Some(value)) => Self::Int(*value),
            Value::Unsigned(Some(value)) => Self::Int(i64::from(*value)),
            Value::BigUnsigned(Some(value)) => Self::Int(i64::try_from(*value)?),
            Value::Double(Some(value)) => Self::Float(*value),
            Value::String(Some(value)) => Self::Text(value.clone()),
            Value::Bytes(Some(value)) => Self::Bytes(value.clone()),
            Value::Uuid(Some(value)) => Self::Uuid(*value),
            Value::Bool(None)
            | Value::TinyInt(None)
            | Value::SmallInt(None)
            | Value::Int(None)
            | Value::BigInt(None)
            | Value::Double(None)
            | Value::String(None)
            | Value::Bytes(None)
            | Value::Uuid(None) => Self::Null,
            other => return fail(format!("the yardstick cannot bind {other:?}")),
        })
    }
}

/// A statement with its values.
#[derive(Debug, Clone)]
pub struct Act {
    pub service: &'static str,
    pub text: String,
    pub values: Vec<Cell>,
    pub unit: Option<usize>,
}

impl Act {
    fn of(sent: Sent) -> Outcome<Self> {
        Ok(Self {
            service: sent.service,
            text: sent.text,
            values: sent.values.iter().map(Cell::of).collect::<Outcome<_>>()?,
            unit: sent.unit,
        })
    }

    pub fn is_select(&self) -> bool {
        self.text.starts_with("SELECT")
    }
}

/// The statements of a case.
#[derive(Debug, Clone)]
pub enum Script {
    /// Reads: the same ones again and again, in turn.
    Again(Vec<Vec<Act>>),
    /// Writes: as two consecutive requests had them. What differed between the two goes on from there: ids are fresh,
    /// numbers and times grow.
    Grow(Vec<Act>, Vec<Act>),
}

impl Script {
    /// How many statements one request is, transaction control not counted.
    pub fn statements(&self) -> usize {
        match self {
            Self::Again(variants) => variants.first().map_or(0, Vec::len),
            Self::Grow(first, _) => first.len(),
        }
    }

    /// The statements of the `turn`th request.
    pub fn acts(&self, turn: u64) -> std::borrow::Cow<'_, [Act]> {
        match self {
            Self::Again(variants) => {
                let index = usize::try_from(turn).unwrap_or(0) % variants.len();
                std::borrow::Cow::Borrowed(&variants[index])
            }
            // The first two were made when they were recorded.
            Self::Grow(first, second) => std::borrow::Cow::Owned(grow(first, second, turn + 2)),
        }
    }
}

fn grow(first: &[Act], second: &[Act], turn: u64) -> Vec<Act> {
    let mut fresh: HashMap<Uuid, Uuid> = HashMap::new();
    let pairs = || first.iter().zip(second).flat_map(|(a, b)| a.values.iter().zip(&b.values));
    for (a, b) in pairs() {
        if let (Cell::Uuid(a), Cell::Uuid(b)) = (a, b)
            && a != b
        {
            fresh.insert(*a, later(*a, turn));
        }
    }
    let step = i64::try_from(turn).unwrap_or(i64::MAX);
    let cell = |a: &Cell, b: &Cell| match (a, b) {
        (Cell::Uuid(id), _) => Cell::Uuid(fresh.get(id).copied().unwrap_or(*id)),
        (Cell::Int(a), Cell::Int(b)) => Cell::Int(a.saturating_add(b.saturating_sub(*a).saturating_mul(step))),
        (Cell::Text(a), Cell::Text(b)) if a != b => {
            let mut text = a.clone();
            for (old, new) in &fresh {
                text = text.replace(&old.to_string(), &new.to_string());
            }
            Cell::Text(text)
        }
        _ => a.clone(),
    };
    let both = first.iter().zip(second);
    both.map(|(a, b)| Act {
        values: a.values.iter().zip(&b.values).map(|(a, b)| cell(a, b)).collect(),
        ..a.clone()
    })
    .collect()
}

/// The same id `turn` milliseconds later: as ordered, and as unique, as the product's own.
fn later(id: Uuid, turn: u64) -> Uuid {
    Uuid::from_u128(id.as_u128().wrapping_add(u128::from(turn) << 80))
}

/// The product inside this process.
struct Inside {
    router: Router,
    token: String,
}

impl Inside {
    async fn ask(&self, request: Request<Full<Bytes>>) -> Outcome<Bytes> {
        let answer = self.router.clone().oneshot(request.map(Body::new)).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if status.is_success() {
            Ok(body)
        } else {
            fail(format!("recording: {status}: {}", String::from_utf8_lossy(&body)))
        }
    }

    async fn record(&self, request: Request<Full<Bytes>>) -> Outcome<Vec<Act>> {
        let (answer, sent) = record_sent(self.ask(request)).await;
        answer?;
        sent.into_iter().map(Act::of).collect()
    }

    async fn script(&self, case: Case, stage: &Stage) -> Outcome<Script> {
        let assignee = &stage.members()[1].id;
        let make = |index: usize| match case {
            Case::Read => cases::read(&stage.tasks[index * 7 % stage.tasks.len()], &self.token),
            Case::Page => cases::page(&stage.project, &self.token),
            _ => cases::create(&stage.recorded, assignee, &self.token),
        };
        // Fills the caches, which are full under load.
        self.ask(make(0)).await?;
        if case == Case::Create {
            let mut first = self.record(make(1)).await?;
            for turn in 2..2 + PAIRS {
                let second = self.record(make(turn)).await?;
                let alike = first.len() == second.len() && first.iter().zip(&second).all(|(a, b)| a.text == b.text);
                if alike {
                    return Ok(Script::Grow(first, second));
                }
                // A cache ran out between the two.
                first = second;
            }
            return fail("equal requests send different statements");
        }
        let mut variants = Vec::new();
        for index in 0..VARIANTS {
            variants.push(self.record(make(index)).await?);
        }
        Ok(Script::Again(variants))
    }
}

/// Records every case that is replayed. The server must not run.
pub async fn record(place: &Place, stage: &Stage, cases: &[Case]) -> Outcome<HashMap<&'static str, Script>> {
    let mut config = Config::default();
    config.server.data_dir.clone_from(&place.folder);
    config.database.url = place.url();
    let app = App::build(&config, Parts::default()).await?;
    let router = app.router(&Lifecycle::new(), true);
    let mut inside = Inside {
        router,
        token: String::new(),
    };
    let body = serde_json::json!({ "email": stage.people[0].email, "password": PASSWORD });
    let request = cases::request(http::Method::POST, "/v1/auth/sign-in", None, Some(&body));
    inside.token = json::text(&serde_json::from_slice(&inside.ask(request).await?)?, "access_token")?;
    let mut scripts = HashMap::new();
    for case in cases.iter().filter(|case| case.is_replayed()) {
        scripts.insert(case.as_str(), inside.script(*case, stage).await?);
    }
    for db in app.databases.all() {
        db.close().await;
    }
    Ok(scripts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(number: i64, id: u128, text: &str) -> Act {
        Act {
            service: "tasks",
            text: "INSERT".into(),
            values: vec![
                Cell::Int(number),
                Cell::Int(7),
                Cell::Uuid(Uuid::from_u128(id)),
                Cell::Text(text.into()),
            ],
            unit: Some(1),
        }
    }

    #[test]
    fn what_differs_goes_on_and_the_rest_stays() {
        let (a, b) = (Uuid::from_u128(1 << 100), Uuid::from_u128(2 << 100));
        let script = Script::Grow(
            vec![act(10, a.as_u128(), &format!("task {a}"))],
            vec![act(11, b.as_u128(), &format!("task {b}"))],
        );
        let acts = script.acts(3);
        let Cell::Uuid(fresh) = acts[0].values[2] else { panic!("an id") };
        assert!(fresh != a && fresh != b);
        assert_eq!(acts[0].values[0], Cell::Int(15));
        assert_eq!(acts[0].values[1], Cell::Int(7));
        assert_eq!(acts[0].values[3], Cell::Text(format!("task {fresh}")));
        assert_ne!(script.acts(4)[0].values[2], acts[0].values[2]);
    }
}
