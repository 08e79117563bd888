//! A reply is stored with its `Idempotency-Key` in the commit of its effect.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use platform::Caller;
use platform::db::{DbError, Guard, Reply, Unit};
use sea_query::{Expr, ExprTrait, Query};
use testkit::TestDb;

use crate::support::*;

fn keyed(key: u8) -> Caller {
    Caller {
        idempotency: Some(Arc::new(idempotency_slot(key))),
        ..caller()
    }
}

fn stored(key: u8) -> sea_query::SelectStatement {
    Query::select()
        .columns(["status", "location", "version", "body"])
        .from("idempotency_keys")
        .and_where(Expr::col("scope_hash").eq(vec![key; 32]))
        .to_owned()
}

type Stored = (i32, Option<String>, Option<i64>, String);

#[tokio::test]
async fn a_reply_is_stored_with_its_effect() {
    let db = TestDb::new(SCHEMA).await;
    // With a read the reply is rendered between the statements and COMMIT, without one before.
    for (key, reads) in [(1, true), (2, false)] {
        let caller = keyed(key);
        let id = new_id();
        let mut unit = Unit::new(&caller);
        unit.insert(insert_probe(id, &format!("name {key}")));
        let slot = reads.then(|| unit.read::<(String, i64)>(probe_by_id(id)));
        let reply = db
            .apply_reply(unit, move |output| {
                let name = match &slot {
                    Some(slot) => output.first(slot)?.0,
                    None => "name 2".to_owned(),
                };
                Ok(Reply::created(name, 1, "/v1/probes/1".to_owned()))
            })
            .await
            .expect("commits");
        assert_eq!((reply.status, reply.body.as_str()), (201, format!("name {key}").as_str()));
        let row = db.one::<Stored>(stored(key)).await.expect("stored");
        assert_eq!(row, (201, Some("/v1/probes/1".to_owned()), Some(1), format!("\"name {key}\"")));
        assert!(caller.idempotency.is_some_and(|slot| slot.settled.load(Ordering::SeqCst)));
    }
}

#[tokio::test]
async fn a_failed_unit_stores_no_reply() {
    let db = TestDb::new(SCHEMA).await;
    let caller = keyed(3);
    let failing = |guard: bool| {
        let mut unit = Unit::new(&caller);
        unit.insert(insert_probe(new_id(), "never"));
        let mut nothing = Query::delete();
        nothing.from_table(Owner::Table).and_where(Expr::col(Owner::Id).eq(new_id()));
        if guard {
            unit.delete_guarded(nothing.clone(), Guard::VERSION);
        }
        unit.read::<(String, i64)>(probe_by_id(new_id()));
        unit
    };
    let error = db.apply_reply(failing(true), |_| Ok(Reply::plain(1))).await.expect_err("guard");
    assert!(matches!(error, DbError::Guard(_)), "{error:?}");
    let error = db
        .apply_reply::<i32, _>(failing(false), |_| Err(DbError::NoRow))
        .await
        .expect_err("the reply cannot be rendered");
    assert!(matches!(error, DbError::NoRow), "{error:?}");
    assert_eq!(db.opt::<Stored>(stored(3)).await.expect("asked"), None);
    assert_eq!(count(&db, Probe::Table).await, 0);
    assert!(caller.idempotency.is_some_and(|slot| !slot.settled.load(Ordering::SeqCst)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_requests_with_one_key_one_has_an_effect() {
    let db = TestDb::new(SCHEMA).await;
    for round in 0..20_u8 {
        let twin = || {
            let mut unit = Unit::new(&keyed(100 + round));
            // The name is unique: the loser must learn that it is a twin, not that the name is taken.
            unit.insert(insert_probe(new_id(), &format!("round {round}")));
            db.apply_reply(unit, |_| Ok(Reply::plain("done")))
        };
        let (first, second) = tokio::join!(twin(), twin());
        let mut refused = [first, second].into_iter().filter_map(Result::err);
        assert!(matches!(refused.next(), Some(DbError::IdempotencyRace)));
        assert!(refused.next().is_none());
    }
    assert_eq!(count(&db, Probe::Table).await, 20);
    assert_eq!(count(&db, "idempotency_keys").await, 20);
}
