//! The log: paging, filters, replay, test, retention.

use std::sync::Arc;
use std::time::Duration;

use kernel::ids::EntityId;
use kernel::{Clock, ErrorKind, Timestamp};
use platform::Service;
use platform::http::{Field, IfMatch};

use super::{World, rows, status};
use crate::model::{DeliveryId, DeliveryState};
use crate::service::webhooks::UpdateWebhook;
use crate::store::deliveries::Filter;
use kernel::cursor::PageRequest;

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn the_log_is_paged_newest_first_and_filtered() {
    let world = World::new().await;
    let (webhook, _) = world.webhook(&["*"]).await;
    let start = world.clock.now();
    world.network.will([status(200), status(500), status(200)]);
    for _ in 0..3 {
        world.task_happens().await;
        world.work().await;
        world.clock.advance(Duration::from_secs(1));
    }
    let ada = world.caller(world.ada);
    let mut page = PageRequest { limit: 2, cursor: None };
    let list =
        async |filter: Filter, page: PageRequest| world.service.list_deliveries(&ada, world.workspace, webhook.id, filter, page).await;
    let before = world.db.statements();
    let first = list(Filter::default(), page.clone()).await.expect("a page");
    assert_eq!(world.db.statements() - before, 2, "the webhook and the page");
    page.cursor = first.next_cursor;
    let second = list(Filter::default(), page.clone()).await.expect("a page");
    let times: Vec<Timestamp> = first
        .items
        .iter()
        .chain(&second.items)
        .map(|delivery| delivery.created_at)
        .collect();
    assert_eq!(times.len(), 3);
    assert!(times.is_sorted_by(|a, b| a > b), "{times:?}");
    let failing = Filter {
        state: Some(DeliveryState::Pending),
        ..Filter::default()
    };
    let other_list = list(failing.clone(), page).await.expect_err("a cursor of another list");
    assert_eq!(other_list.kind, ErrorKind::Malformed);
    assert_eq!(world.deliveries(webhook.id, failing).await.len(), 1);
    let named = |name: &str| Filter {
        event_type: Some(name.to_owned()),
        ..Filter::default()
    };
    assert_eq!(world.deliveries(webhook.id, named("task.created")).await.len(), 3);
    assert_eq!(world.deliveries(webhook.id, named("task.deleted")).await.len(), 0);
    let since = Filter {
        since: Some(start.plus(Duration::from_secs(2))),
        ..Filter::default()
    };
    assert_eq!(world.deliveries(webhook.id, since).await.len(), 1);
}

#[tokio::test]
async fn a_test_message_goes_out_whatever_the_webhook_wants() {
    let world = World::new().await;
    let (webhook, _) = world.webhook(&["member.added"]).await;
    let ada = world.caller(world.ada);
    let reply = world
        .service
        .test_webhook(&ada, world.workspace, webhook.id)
        .await
        .expect("accepted");
    assert_eq!(reply.status, 202);
    assert!(reply.location.expect("a place").ends_with(&reply.body.id.to_string()));
    world.work().await;
    let body: serde_json::Value = serde_json::from_slice(&world.network.sent()[0].body).expect("json");
    assert_eq!(
        (&body["type"], &body["data"]["webhook_id"]),
        (&"webhook.test".into(), &webhook.id.to_string().into())
    );
    assert_eq!(world.state(webhook.id).await, (DeliveryState::Delivered, 1));
}

#[tokio::test]
async fn one_delivery_or_all_failed_ones_can_be_replayed() {
    let world = World::new().await;
    let (webhook, _) = world.webhook(&["*"]).await;
    let ada = world.caller(world.ada);
    world.network.always(status(500));
    let mut made = Vec::new();
    for _ in 0..3 {
        world.task_happens().await;
        made.push(world.clock.now());
    }
    world.work().await;
    let switch = async |enabled: bool| {
        let command = UpdateWebhook {
            enabled: Field::Value(enabled),
            ..UpdateWebhook::default()
        };
        let any = IfMatch::from_headers(&http::HeaderMap::new());
        let changed = world.service.update_webhook(&ada, world.workspace, webhook.id, &any, command).await;
        changed.expect("changed");
    };
    switch(false).await;
    let log = world.deliveries(webhook.id, Filter::default()).await;
    assert!(log.iter().all(|delivery| delivery.state == DeliveryState::Failed), "{log:#?}");
    let replay = async |id: DeliveryId| world.service.replay_delivery(&ada, world.workspace, webhook.id, id).await;
    assert_eq!(replay(log[0].id).await.expect_err("disabled").code, "webhooks.webhook.disabled");
    switch(true).await;
    world.network.always(status(200));
    let sent = world.network.sent().len();
    let again = replay(log[0].id).await.expect("accepted");
    assert_eq!((again.status, again.body.state), (202, DeliveryState::Pending));
    world.work().await;
    assert_eq!(world.network.sent().len(), sent + 1);
    let all_failed = async |since: Timestamp, until: Option<Timestamp>| {
        let reply = world.service.replay_failed(&ada, world.workspace, webhook.id, since, until).await;
        reply.expect("accepted").body
    };
    assert_eq!(all_failed(made[2], None).await.replayed, 0, "the newest was replayed already");
    let found = all_failed(made[1], None).await;
    assert_eq!((found.replayed, found.more), (1, false));
    assert_eq!(all_failed(made[0], Some(made[1])).await.replayed, 1);
    world.work().await;
    assert_eq!(world.network.sent().len(), sent + 3);
    // What arrived can be sent again too, and counts on.
    replay(log[0].id).await.expect("accepted");
    world.work().await;
    let detail = world.detail(webhook.id, log[0].id).await;
    assert_eq!(
        (detail.delivery.state, detail.delivery.attempts),
        (DeliveryState::Delivered, detail.attempt_log.len().try_into().expect("small"))
    );
    assert_eq!(
        replay(DeliveryId::generate(&world.clock)).await.expect_err("none").code,
        "webhooks.delivery.not_found"
    );
}

#[tokio::test]
async fn what_is_old_is_erased_and_what_was_forgotten_is_sent() {
    let world = World::new().await;
    let (webhook, _) = world.webhook(&["*"]).await;
    world.task_happens().await;
    world.work().await;
    world.clock.advance(20 * DAY);
    world.task_happens().await;
    // An outage in which the due work was given up.
    let mut unit = platform::db::Unit::new(&world.caller(world.ada));
    unit.unschedule("webhooks.send", &webhook.id.to_string());
    world.db.apply(unit).await.expect("lost");
    world.after(Duration::from_secs(3_600)).await;
    assert_eq!(world.network.sent().len(), 1);
    let sweep = async |name: &str| {
        for sweep in Arc::clone(&world.service).sweeps() {
            if sweep.name() == name {
                sweep.run().await.expect("swept");
            }
        }
    };
    sweep("webhooks.reminder").await;
    world.work().await;
    assert_eq!(world.network.sent().len(), 2);
    world.clock.advance(11 * DAY);
    sweep("webhooks.retention").await;
    for table in ["webhook_messages", "webhook_deliveries", "webhook_attempts"] {
        assert_eq!(rows(&world.db, table).await, 1, "{table}");
    }
}
