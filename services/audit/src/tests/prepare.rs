//! Every statement of the store, prepared.

use kernel::Clock;
use kernel::ids::{EntityId, EventId, UserId, Uuid};
use testkit::FixedClock;

use crate::SCHEMA;
use crate::model::{Entry, Head, SealedEntry, Who};
use crate::store::entries::{self, Direction, Filter};
use crate::store::logs;

#[tokio::test]
async fn the_engine_accepts_every_statement_of_the_store() {
    let clock = FixedClock::default();
    let now = clock.now();
    let log = Uuid::from_u128(7);
    let sealed = SealedEntry {
        entry: Entry {
            log_id: log,
            seq: 1,
            id: EventId::generate(&clock),
            occurred_at: now,
            who: Who {
                kind: "user".into(),
                user_id: Some(UserId::generate(&clock)),
                api_key_id: None,
            },
            action: "project.deleted".into(),
            target_kind: "project".into(),
            target_id: Some("1".into()),
            target_name: None,
            address: Some("::1".into()),
            user_agent: None,
            request_id: "r".into(),
            changes: "[]".into(),
        },
        key_id: "k".into(),
        seal: "s".into(),
    };
    let head = Head {
        log_id: log,
        kind: "workspace".into(),
        last_seq: 1,
        last_seal: "s".into(),
        first_seq: 1,
        before_seal: String::new(),
        key_id: "k".into(),
        key_since: 1,
        seal: "s".into(),
    };
    let everything = Filter {
        actions: vec!["project.deleted", "project.created"],
        actor: Some(UserId::generate(&clock)),
        target_kind: Some("project".into()),
        target_id: Some("1".into()),
        from: Some(now),
        until: Some(now),
    };
    testkit::prepare_store(SCHEMA, env!("CARGO_MANIFEST_DIR"), async |db, unit| {
        let _ = logs::find(db, log).await;
        for after in [None, Some(log)] {
            let _ = db.all::<Head>(logs::page(after, 10)).await;
            let _ = logs::list_old(db, now, after, 10).await;
        }
        logs::insert(unit, &head, now);
        logs::change(unit, &head, &head);
        logs::shorten(unit, &head, &head);
        logs::erase(unit, log);

        entries::insert(unit, &sealed);
        let _ = entries::list(db, entries::chain(log, 0, 10)).await;
        for filter in [&Filter::default(), &everything] {
            for after in [None, Some((1, 1))] {
                for direction in [Direction::NewestFirst, Direction::OldestFirst] {
                    let _ = entries::list(db, entries::page(log, filter, direction, after, 10)).await;
                }
            }
        }
    })
    .await;
}
