//! Writing down, reading, exporting, keeping and erasing.

use std::time::Duration;

use axum::body::Body;
use contracts::audit::events::ActionRecorded;
use contracts::audit::{Action, Entry, Log};
use contracts::identity::events::UserDeactivated;
use contracts::workspaces::events::WorkspacePurged;
use http_body_util::BodyExt;
use kernel::{Clock, ErrorKind};
use platform::db::{Unit, count_statements};
use platform::due::Sweep;
use sea_query::{Expr, ExprTrait, Query};

use super::World;
use crate::AuditService;
use crate::jobs::Retention;
use crate::service::export::Format;
use crate::store::entries::Filter;
use kernel::cursor::PageRequest;

#[tokio::test]
async fn sec_24_an_entry_says_who_did_what_from_where_once() {
    let world = World::new().await;
    let entry = Entry::new(Log::Workspace(world.workspace), Action::MemberRoleChanged, "member")
        .id(world.ben)
        .change("role", "viewer", "owner")
        .changed("secret");
    let mut recorded = ActionRecorded::new(entry, world.recorded(Action::ProjectCreated, "").source);
    recorded.target.name = None;
    let envelope = world.envelope(&recorded);
    world.try_deliver(&envelope).await.expect("delivered");
    // The inbox row of the relay refuses the second delivery; and if it were lost, the entry itself does.
    world.try_deliver(&envelope).await.expect_err("a second time");

    let entries = world.page(&Filter::default()).await;
    assert_eq!(entries.len(), 1);
    let entry = serde_json::to_value(&entries[0]).expect("json");
    assert_eq!(
        entry,
        serde_json::json!({
            "id": envelope.id, "seq": 1, "at": envelope.time, "action": "member.role_changed",
            "actor": { "kind": "user", "user_id": world.ada, "name": "Ada" },
            "target": { "kind": "member", "id": world.ben.to_string(), "name": "Ben" },
            "changes": [{ "field": "role", "before": "viewer", "after": "owner" }, { "field": "secret" }],
            "address": "203.0.113.9", "user_agent": "curl/8.5.0", "request_id": "req-1",
        })
    );
}

#[tokio::test]
async fn two_services_at_once_make_one_chain() {
    let world = World::new().await;
    world.happens(&world.recorded(Action::ProjectCreated, "First")).await;
    // Both read the same end; the second fails and is delivered again.
    let consumers = platform::Service::consumers(world.service.clone());
    let mut units = Vec::new();
    for name in ["Second", "Third"] {
        let mut unit = Unit::new(&platform::Caller::system(&world.clock, "relay"));
        let envelope = world.envelope(&world.recorded(Action::ProjectDeleted, name));
        consumers[0].handle(&envelope, &mut unit).await.expect("decided");
        units.push((envelope, unit));
    }
    let [(_, second), (envelope, third)]: [_; 2] = units.try_into().unwrap_or_else(|_| panic!("two"));
    let db = world.db.db();
    db.apply(second).await.expect("the first to come");
    let refused = db.apply(third).await.expect_err("the log grew");
    assert!(
        matches!(refused, platform::db::DbError::Guard(guard) if guard.code == "audit.log.grew"),
        "{refused}"
    );
    world.try_deliver(&envelope).await.expect("delivered again");
    assert_eq!(world.faults().await, Vec::<String>::new());
    assert_eq!(world.head().await.expect("a head").last_seq, 3);
}

#[tokio::test]
async fn sec_24_only_those_it_is_for_read_a_log() {
    let world = World::new().await;
    world.happens(&world.recorded(Action::ProjectCreated, "Forge")).await;
    for (person, kind) in [(world.ben, ErrorKind::Forbidden), (world.mallory, ErrorKind::NotFound)] {
        let refused = world.service.workspace_log(&world.caller(person), world.workspace).await;
        assert_eq!(refused.expect_err("refused").kind, kind);
    }
    assert_eq!(
        AuditService::installation_log(&world.caller(world.ada))
            .expect_err("no administrator")
            .code,
        "audit.admin_only"
    );

    // One's own log is one's own: the entry of an owner's workspace is not in it, nor Ben's in Ada's.
    let entry = Entry::of_account(world.ben, Action::PasswordChanged);
    world.happens(&ActionRecorded::new(entry, None)).await;
    for (person, expected) in [(world.ada, 0), (world.ben, 1)] {
        let caller = world.caller(person);
        let log = AuditService::own_log(&caller).expect("one's own");
        let page = PageRequest { limit: 10, cursor: None };
        let page = world
            .service
            .list_entries(&caller, log, &Filter::default(), page)
            .await
            .expect("a page");
        assert_eq!(page.items.len(), expected);
    }
}

#[tokio::test]
async fn pages_follow_each_other_and_filters_hold() {
    let world = World::new().await;
    let start = world.clock.now();
    for number in 0..5 {
        world.happens(&world.recorded(Action::ProjectCreated, &format!("P{number}"))).await;
    }
    let middle = world.clock.now();
    world.happens(&world.recorded(Action::ProjectDeleted, "P0")).await;
    let caller = world.caller(world.ada);
    let log = world.service.workspace_log(&caller, world.workspace).await.expect("readable");
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let request = PageRequest { limit: 4, cursor };
        let (page, statements) = count_statements(world.service.list_entries(&caller, log, &Filter::default(), request)).await;
        assert_eq!(statements, 1, "however long the page");
        let page = page.expect("a page");
        seen.extend(page.items.iter().map(|entry| entry.seq));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, [6, 5, 4, 3, 2, 1]);

    let count = async |filter: Filter| world.page(&filter).await.len();
    let all = Filter::default;
    assert_eq!(
        count(Filter {
            actions: vec!["project.deleted"],
            ..all()
        })
        .await,
        1
    );
    assert_eq!(
        count(Filter {
            actor: Some(world.ada),
            ..all()
        })
        .await,
        6
    );
    assert_eq!(
        count(Filter {
            actor: Some(world.ben),
            ..all()
        })
        .await,
        0
    );
    assert_eq!(
        count(Filter {
            target_kind: Some("task".into()),
            ..all()
        })
        .await,
        0
    );
    assert_eq!(
        count(Filter {
            target_id: Some("p-1".into()),
            ..all()
        })
        .await,
        6
    );
    assert_eq!(
        count(Filter {
            until: Some(start),
            ..all()
        })
        .await,
        0
    );
    assert_eq!(
        count(Filter {
            from: Some(start),
            until: Some(middle),
            ..all()
        })
        .await,
        4,
        "from is in, until is out"
    );

    // A cursor is good for its own question alone.
    let request = PageRequest { limit: 2, cursor: None };
    let page = world.service.list_entries(&caller, log, &all(), request).await.expect("a page");
    let other = Filter {
        target_kind: Some("project".into()),
        ..all()
    };
    let request = PageRequest {
        limit: 2,
        cursor: page.next_cursor,
    };
    let refused = world.service.list_entries(&caller, log, &other, request).await;
    assert_eq!(refused.expect_err("another list").kind, ErrorKind::Malformed);
}

async fn exported(world: &World, format: Format) -> String {
    let caller = world.caller(world.ada);
    let log = world.service.workspace_log(&caller, world.workspace).await.expect("readable");
    let lines = world.service.export(&caller, log, Filter::default(), format).await.expect("begun");
    let bytes = Body::from_stream(lines).collect().await.expect("whole").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[tokio::test]
async fn sec_24_an_export_is_whole_in_order_and_harmless() {
    let world = World::new().await;
    for number in 0..401 {
        let name = format!("=cmd|' /C calc'!A{number}");
        world.happens(&world.recorded(Action::ProjectCreated, &name)).await;
    }
    world.clock.advance(Duration::from_millis(1));
    let csv = exported(&world, Format::Csv).await;
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    assert_eq!(reader.headers().expect("names").get(3), Some("action"));
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().expect("CSV");
    assert_eq!(rows.len(), 401);
    assert_eq!(rows[400].get(0), Some("401"), "oldest first");
    assert!(
        rows.iter()
            .all(|row| row.iter().all(|field| !field.starts_with(['=', '+', '-', '@'])))
    );

    let jsonl = exported(&world, Format::Jsonl).await;
    let lines: Vec<serde_json::Value> = jsonl.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    assert_eq!(lines.len(), 401);
    assert_eq!(lines[0]["target"]["name"], "=cmd|' /C calc'!A0", "JSON needs no apostrophe");
    // Both exports are on their way to the log.
    let waiting: Vec<String> = world
        .db
        .db()
        .all(Query::select().column("envelope").from("outbox").take())
        .await
        .expect("read");
    assert_eq!(waiting.iter().filter(|text| text.contains("audit_log.exported")).count(), 2);
}

#[tokio::test]
async fn what_is_too_old_goes_and_the_chain_stays_whole() {
    let world = World::new().await;
    for number in 0..230 {
        world
            .happens(&world.recorded(Action::ProjectCreated, &format!("Old {number}")))
            .await;
    }
    world.clock.advance(Duration::from_secs(399 * 86_400));
    world.happens(&world.recorded(Action::ProjectDeleted, "Young")).await;
    let sweep = Retention(world.service.clone());
    sweep.run().await.expect("runs");
    assert_eq!(world.head().await.expect("a head").first_seq, 1, "nothing is old yet");
    world.clock.advance(Duration::from_secs(2 * 86_400));
    sweep.run().await.expect("runs");
    let entries = world.page(&Filter::default()).await;
    assert_eq!(entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [231]);
    assert_eq!(world.faults().await, Vec::<String>::new());
    world.clock.advance(Duration::from_secs(400 * 86_400));
    sweep.run().await.expect("runs");
    assert!(world.page(&Filter::default()).await.is_empty());
    world.happens(&world.recorded(Action::ProjectCreated, "New")).await;
    assert_eq!(world.page(&Filter::default()).await[0].seq, 232, "numbers go on");
    assert_eq!(world.faults().await, Vec::<String>::new());
}

#[tokio::test]
async fn sec_24_a_hand_in_the_database_is_noticed() {
    let world = World::new().await;
    for name in ["A", "B", "C"] {
        world.happens(&world.recorded(Action::ProjectCreated, name)).await;
    }
    assert_eq!(world.faults().await, Vec::<String>::new());
    let mut unit = Unit::new(&platform::Caller::system(&world.clock, "hand"));
    unit.update(
        Query::update()
            .table("audit_entries")
            .value("target_name", "X")
            .and_where(Expr::col("seq").eq(2))
            .take(),
    );
    world.db.db().apply(unit).await.expect("tampered");
    let faults = world.faults().await;
    assert!(faults.len() == 1 && faults[0].contains("seq=2"), "{faults:?}");
}

#[tokio::test]
async fn a_log_ends_with_what_it_is_about() {
    let world = World::new().await;
    world.happens(&world.recorded(Action::ProjectCreated, "Forge")).await;
    let entry = Entry::of_account(world.ben, Action::PasswordChanged);
    world.happens(&ActionRecorded::new(entry, None)).await;
    world
        .happens(&WorkspacePurged {
            workspace_id: world.workspace,
        })
        .await;
    assert_eq!(world.head().await, None);
    let left = async || {
        let select = crate::store::logs::page(None, 10);
        world.db.db().all::<crate::model::Head>(select).await.expect("read").len()
    };
    assert_eq!(left().await, 1, "Ben's");
    let mut event = UserDeactivated {
        user_id: world.ben,
        deleted: false,
        sole_owned_workspaces: None,
    };
    world.happens(&event).await;
    assert_eq!(left().await, 1, "a locked account keeps its log");
    event.deleted = true;
    world.happens(&event).await;
    assert_eq!(left().await, 0);
}
