//! `guildhall outbox`: events that were given up are shown with the reason, and go on their way again.

use contracts::Envelope;
use kernel::ids::{EntityId, EventId, Uuid};
use kernel::{Actor, Clock, SystemClock};
use platform::db::Unit;
use sea_query::Query;
use serde_json::json;
use testkit::TestServer;

use crate::backup::{Place, json_of, refused, run_on};
use crate::process::{Server, free_port};
use crate::support::{SCHEMAS, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn given_up_events_are_shown_and_sent_again() {
    let database = TestServer::new(&SCHEMAS).await;
    let db = database.db(SCHEMAS[2]).await;
    let id = EventId::from_uuid(Uuid::from_u128(0x0191_0000_0000_7000_8000_0000_0000_0001));
    let envelope = Envelope {
        specversion: "1.0".into(),
        id,
        source: "/services/tasks".into(),
        // Nobody wants it, so the relay is done with it at once.
        event_type: "tasks.nothing_happened.v1".into(),
        subject: "the-subject".into(),
        time: SystemClock.now(),
        datacontenttype: "application/json".into(),
        workspaceid: None,
        actor: Actor::System,
        traceparent: None,
        requestid: None,
        data: json!({}),
    };
    let mut unit = Unit::new(&platform::Caller::system(&SystemClock as &dyn Clock, "test"));
    unit.insert(
        Query::insert()
            .into_table("outbox")
            .columns(["id", "event_type", "subject", "envelope", "created_at", "parked_at"])
            .values_panic([
                id.uuid().into(),
                envelope.event_type.as_str().into(),
                envelope.subject.as_str().into(),
                serde_json::to_string(&envelope).expect("JSON").into(),
                1_i64.into(),
                5_i64.into(),
            ])
            .to_owned(),
    );
    unit.insert(
        Query::insert()
            .into_table("outbox_failures")
            .columns(["event_id", "consumer", "attempts", "next_at", "last_error", "dead_at"])
            .values_panic([
                id.uuid().into(),
                "notifications.inbox".into(),
                20.into(),
                5_i64.into(),
                "it was a bad day".into(),
                5_i64.into(),
            ])
            .to_owned(),
    );
    db.apply(unit).await.expect("parked");

    let http = reqwest::Client::new();
    let mut server = Server::start(&database, free_port());
    server.ready(&http).await;
    let listed = json_of(&run_on(&database, &["outbox", "list", "--json"]), 0);
    let parked = &listed["services"][2]["parked"][0];
    assert_eq!(parked["id"], id.to_string(), "{listed:#}");
    assert_eq!(parked["failures"][0]["error"], "it was a bad day", "{listed:#}");
    let told = run_on(&database, &["outbox", "list"]);
    assert!(String::from_utf8_lossy(&told.stdout).contains("it was a bad day"), "{told:?}");

    refused(
        &run_on(&database, &["outbox", "requeue", "--service", "kitchen"]),
        2,
        "no such service",
    );
    json_of(&run_on(&database, &["outbox", "requeue", "--service", "identity", "--json"]), 0);
    let listed = json_of(&run_on(&database, &["outbox", "list", "--json"]), 0);
    assert_eq!(
        listed["services"][2]["parked"].as_array().map(Vec::len),
        Some(1),
        "not of this service"
    );
    json_of(&run_on(&database, &["outbox", "requeue", "--json"]), 0);
    eventually("an empty outbox", || async {
        let report = json_of(&run_on(&database, &["verify", "--json"]), 0);
        let tasks = &report["report"]["services"][2];
        (tasks["outbox_waiting"] == 0 && tasks["outbox_parked"] == 0).then_some(())
    })
    .await;

    let place = Place::new().await;
    refused(&place.run(&["outbox", "list"]), 1, "no installation");
    assert!(!place.data_dir().exists(), "looking makes nothing");
}
