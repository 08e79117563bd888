//! Units that meet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use platform::db::{Db, DbError, Guard, Unit};
use sea_query::{Expr, ExprTrait, LockBehavior, LockType, Query};
use testkit::TestDb;
use uuid::Uuid;

use crate::support::*;

const LAST_OWNER: Guard = Guard::conflict("probe.last_owner", "Somebody must own it.");

/// The owner leaves; another must remain.
fn leave(room: i32, owner: Uuid) -> Unit {
    let mut unit = Unit::new(&caller());
    unit.require(
        Query::select()
            .column(Owner::Id)
            .from(Owner::Table)
            .and_where(Expr::col(Owner::Room).eq(room))
            .and_where(Expr::col(Owner::Id).ne(owner))
            .to_owned(),
        LAST_OWNER,
    );
    unit.delete_guarded(
        Query::delete()
            .from_table(Owner::Table)
            .and_where(Expr::col(Owner::Id).eq(owner))
            .to_owned(),
        Guard::not_found("probe.no_owner", "No such owner."),
    );
    unit
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_owners_who_leave_at_once_one_stays() {
    let db = TestDb::new(SCHEMA).await;
    for room in 0..40 {
        let owners = [new_id(), new_id()];
        let mut unit = Unit::new(&caller());
        for owner in owners {
            unit.insert(insert_owner(owner, room));
        }
        db.apply(unit).await.expect("two owners");
        let (first, second) = tokio::join!(db.apply(leave(room, owners[0])), db.apply(leave(room, owners[1])));
        let refused: Vec<_> = [first, second].into_iter().filter_map(Result::err).collect();
        assert!(
            matches!(refused.as_slice(), [DbError::Guard(LAST_OWNER)]),
            "room {room}: {refused:?}"
        );
    }
    assert_eq!(count(&db, Owner::Table).await, 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_unit_that_fails_takes_no_other_of_its_group_with_it() {
    let db = TestDb::new(SCHEMA).await;
    let taken = new_id();
    let mut unit = Unit::new(&caller());
    unit.insert(insert_probe(taken, "taken"));
    db.apply(unit).await.expect("commits");
    let results = join_all((0..300).map(|index| {
        let mut unit = Unit::new(&caller());
        let id = new_id();
        unit.insert(insert_probe(id, &format!("name {index}")));
        // Each third fails after its first statement.
        unit.insert(insert_child(new_id(), if index % 3 == 0 { new_id() } else { id }));
        db.apply(unit)
    }))
    .await;
    for (index, result) in results.iter().enumerate() {
        assert_eq!(result.is_err(), index % 3 == 0, "{index}: {result:?}");
    }
    assert_eq!(count(&db, Probe::Table).await, 201);
    assert_eq!(count(&db, Child::Table).await, 200);
}

/// Raises the version of the row, whatever it is.
async fn raise(db: &Db, id: Uuid) {
    loop {
        let (_, version) = db.one::<(String, i64)>(probe_by_id(id)).await.expect("read");
        let mut unit = Unit::new(&caller());
        unit.update_guarded(
            Query::update()
                .table(Probe::Table)
                .value(Probe::Version, version + 1)
                .and_where(Expr::col(Probe::Id).eq(id))
                .and_where(Expr::col(Probe::Version).eq(version))
                .to_owned(),
            Guard::VERSION,
        );
        match db.apply(unit).await {
            Ok(_) => return,
            Err(DbError::Guard(Guard::VERSION)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_update_is_lost_between_read_and_write() {
    let db = TestDb::new(SCHEMA).await;
    let id = new_id();
    let mut unit = Unit::new(&caller());
    unit.insert(insert_probe(id, "counter"));
    db.apply(unit).await.expect("commits");
    join_all((0..8).map(|_| async {
        for _ in 0..10 {
            raise(&db, id).await;
        }
    }))
    .await;
    assert_eq!(db.one::<(String, i64)>(probe_by_id(id)).await.expect("read").1, 81);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn units_that_lock_in_opposite_order_are_repeated() {
    let db = TestDb::new(SCHEMA).await;
    let ids = [new_id(), new_id()];
    let mut unit = Unit::new(&caller());
    for (index, id) in ids.iter().enumerate() {
        unit.insert(insert_probe(*id, &format!("name {index}")));
    }
    db.apply(unit).await.expect("commits");
    let touch = |first: usize| {
        let mut unit = Unit::new(&caller());
        for id in [ids[first], ids[1 - first]] {
            let next = Expr::col(Probe::Version).add(1);
            let mut update = Query::update();
            update
                .table(Probe::Table)
                .value(Probe::Version, next)
                .and_where(Expr::col(Probe::Id).eq(id));
            unit.update_guarded(update.clone(), Guard::VERSION);
        }
        db.apply(unit)
    };
    // Few at once: PostgreSQL looks for a deadlock only after a second.
    for _ in 0..6 {
        for result in join_all((0..4).map(|index| touch(index % 2))).await {
            result.expect("a deadlock is ours to repeat, not the caller's");
        }
    }
    for id in ids {
        assert_eq!(db.one::<(String, i64)>(probe_by_id(id)).await.expect("read").1, 25);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_claim_hands_each_row_to_one_claimer() {
    let db = TestDb::new(SCHEMA).await;
    let mut unit = Unit::new(&caller());
    for _ in 0..60 {
        unit.insert(insert_owner(new_id(), 1));
    }
    db.apply(unit).await.expect("commits");
    let claimed = Arc::new(AtomicUsize::new(0));
    let claim = || async {
        loop {
            let mut unit = Unit::new(&caller());
            let waiting = unit.read::<Uuid>(
                Query::select()
                    .column(Owner::Id)
                    .from(Owner::Table)
                    .and_where(Expr::col(Owner::Room).eq(1))
                    .limit(7)
                    .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
                    .to_owned(),
            );
            let taken = db
                .tx(unit, move |output| {
                    let ids = output.take(&waiting);
                    let mut take = Unit::new(&caller());
                    for id in &ids {
                        let mut update = Query::update();
                        update
                            .table(Owner::Table)
                            .value(Owner::Room, 2)
                            .and_where(Expr::col(Owner::Id).eq(*id));
                        update.and_where(Expr::col(Owner::Room).eq(1));
                        take.update_guarded(update.clone(), Guard::conflict("probe.claimed", "Claimed twice."));
                    }
                    Ok((take, ids.len()))
                })
                .await
                .expect("claims");
            claimed.fetch_add(taken, Ordering::SeqCst);
            if taken == 0 {
                return;
            }
        }
    };
    tokio::join!(claim(), claim(), claim(), claim());
    // A claimer may leave early because the others held the rest; what it left is theirs.
    claim().await;
    assert_eq!(claimed.load(Ordering::SeqCst), 60);
}
