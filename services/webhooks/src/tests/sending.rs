//! From an event to the receiver, and what follows from its answers.

use std::time::Duration;

use data_encoding::BASE64;
use kernel::Clock;
use platform::egress::EgressError;
use platform::http::{Field, IfMatch};
use serde_json::Value;

use super::secrets::expect_signed_by;
use super::{World, announced, rows, status, with_header};
use crate::Config;
use crate::model::{DeliveryState, DisabledReason, MAX_TRIES, RETRY_AFTER, SigningSecret, signatures};
use crate::service::webhooks::{CreateWebhook, UpdateWebhook};
use crate::store::deliveries::Filter;

const HOUR: Duration = Duration::from_secs(3_600);

pub(super) fn any() -> IfMatch {
    IfMatch::from_headers(&http::HeaderMap::new())
}

pub(super) fn secret(shown: &str) -> SigningSecret {
    let encoded = shown.strip_prefix("whsec_").expect("the prefix");
    SigningSecret::from_bytes(BASE64.decode(encoded.as_bytes()).expect("base64"))
}

#[tokio::test]
async fn an_event_is_sent_signed_as_the_public_sees_it() {
    let world = World::new().await;
    let (webhook, shown) = world.webhook(&["task.*"]).await;
    let event = world.task_happens().await;
    world.work().await;
    let sent = world.network.sent();
    assert_eq!(sent.len(), 1);
    let header = |name: &str| sent[0].headers[name].to_str().expect("text").to_owned();
    assert_eq!(sent[0].url, webhook.url);
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("webhook-id"), event.to_string());
    assert_eq!(header("webhook-timestamp"), world.clock.now().as_seconds().to_string());
    let wanted = signatures(&[secret(&shown)], &event.to_string(), world.clock.now().as_seconds(), &sent[0].body);
    assert_eq!(header("webhook-signature"), wanted.expect("signed"));
    let body: Value = serde_json::from_slice(&sent[0].body).expect("json");
    assert_eq!((&body["type"], &body["id"]), (&"task.created".into(), &event.to_string().into()));
    assert_eq!(body["data"]["title"], "Fix the “login”");
    let text = body.to_string();
    for internal in ["req-secret", "4bf92f35", "session", "tasks.task_created"] {
        assert!(!text.contains(internal), "{internal} in {text}");
    }
    let delivery = world.only_delivery(webhook.id).await;
    assert_eq!(
        (delivery.state, delivery.attempts, delivery.last_status),
        (DeliveryState::Delivered, 1, Some(200))
    );
    let detail = world.detail(webhook.id, delivery.id).await;
    assert_eq!(detail.payload, body);
    assert_eq!(detail.attempt_log[0].response.as_deref(), Some("said 200"));
    assert!(world.read(webhook.id).await.last_success_at.is_some());
    assert_eq!(rows(&world.db, "due_work").await, 0, "nothing is left to do");
}

#[tokio::test]
async fn an_event_delivered_twice_makes_one_delivery_per_webhook() {
    let world = World::new().await;
    let (first, _) = world.webhook(&["*"]).await;
    let (second, _) = world.webhook(&["task.created"]).await;
    let (unconcerned, _) = world.webhook(&["member.*"]).await;
    let envelope = world.envelope(&world.task_created());
    world.try_deliver(&envelope).await.expect("the first time");
    assert!(world.try_deliver(&envelope).await.expect_err("the second time").is_unique());
    world.work().await;
    assert_eq!(world.network.sent().len(), 2);
    for webhook in [&first, &second] {
        assert_eq!(world.state(webhook.id).await, (DeliveryState::Delivered, 1));
    }
    assert_eq!(world.deliveries(unconcerned.id, Filter::default()).await, []);
    assert_eq!(rows(&world.db, "webhook_messages").await, 1);
}

#[tokio::test]
async fn filters_of_type_and_project_and_the_switch_decide() {
    let world = World::new().await;
    let other = kernel::ids::EntityId::generate(&world.clock);
    world.workspaces.add_project(world.workspace, other, false);
    let make = async |project_id, enabled| {
        let command = CreateWebhook {
            project_id,
            enabled,
            ..World::command(&["task.created"])
        };
        let made = world
            .service
            .create_webhook(&world.caller(world.ada), world.workspace, command)
            .await;
        made.expect("made").body.webhook.id
    };
    let of_project = make(Some(world.project), true).await;
    let of_other = make(Some(other), true).await;
    let off = make(None, false).await;
    world.task_happens().await;
    world.work().await;
    assert_eq!(world.state(of_project).await, (DeliveryState::Delivered, 1));
    assert_eq!(world.deliveries(of_other, Filter::default()).await, []);
    assert_eq!(world.deliveries(off, Filter::default()).await, []);
}

#[tokio::test]
async fn failures_are_retried_on_schedule_and_given_up_in_the_end() {
    let world = World::with(Config {
        disable_after_hours: 8_760,
        ..Config::default()
    })
    .await;
    let (webhook, _) = world.webhook(&["*"]).await;
    world.network.always(status(500));
    world.task_happens().await;
    world.work().await;
    for (index, pause) in RETRY_AFTER.into_iter().enumerate() {
        let attempts = i32::try_from(index).expect("small") + 1;
        assert_eq!(world.state(webhook.id).await, (DeliveryState::Pending, attempts));
        world.after(pause.saturating_sub(Duration::from_secs(1))).await;
        assert_eq!(world.state(webhook.id).await.1, attempts, "too early");
        world.after(pause.mul_f64(0.1) + Duration::from_secs(2)).await;
        assert_eq!(world.state(webhook.id).await.1, attempts + 1, "after pause {index}");
    }
    assert_eq!(world.state(webhook.id).await, (DeliveryState::Failed, MAX_TRIES));
    let sent = world.network.sent();
    let ids: std::collections::BTreeSet<_> = sent
        .iter()
        .map(|request| request.headers["webhook-id"].clone())
        .map(|id| id.to_str().expect("text").to_owned())
        .collect();
    assert_eq!((sent.len(), ids.len()), (10, 1), "the same id each time");
    let stamps: std::collections::BTreeSet<_> = sent
        .iter()
        .map(|request| request.headers["webhook-signature"].as_bytes().to_vec())
        .collect();
    assert_eq!(stamps.len(), 10, "each attempt is signed with its own time");
    world.after(48 * HOUR).await;
    assert_eq!(world.network.sent().len(), 10);
    assert!(world.read(webhook.id).await.failing_since.is_some());
}

#[tokio::test]
async fn a_success_ends_the_failing() {
    let world = World::new().await;
    let (webhook, _) = world.webhook(&["*"]).await;
    world.network.will([Err(EgressError::Timeout), status(302), status(204)]);
    world.task_happens().await;
    world.work().await;
    let delivery = world.only_delivery(webhook.id).await;
    assert_eq!((delivery.last_status, delivery.last_error.as_deref()), (None, Some("timeout")));
    world.after(Duration::from_secs(6)).await;
    let delivery = world.only_delivery(webhook.id).await;
    assert_eq!(
        (delivery.state, delivery.last_status),
        (DeliveryState::Pending, Some(302)),
        "redirects are failures"
    );
    assert!(world.read(webhook.id).await.failing_since.is_some());
    world.after(Duration::from_secs(331)).await;
    assert_eq!(world.state(webhook.id).await, (DeliveryState::Delivered, 3));
    assert_eq!(world.read(webhook.id).await.failing_since, None);
    let log = world.detail(webhook.id, delivery.id).await.attempt_log;
    assert_eq!(log.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2, 3]);
}

#[tokio::test]
async fn an_answer_of_410_switches_the_webhook_off_and_tells_its_administrators() {
    let world = World::new().await;
    let (webhook, _) = world.webhook(&["*"]).await;
    world.network.will([status(500), status(410)]);
    world.task_happens().await;
    world.work().await;
    world.task_happens().await;
    world.work().await;
    let off = world.read(webhook.id).await;
    assert_eq!((off.enabled, off.disabled_reason), (false, Some(DisabledReason::Gone)));
    let log = world.deliveries(webhook.id, Filter::default()).await;
    assert_eq!(
        log.iter().map(|delivery| delivery.state).collect::<Vec<_>>(),
        [DeliveryState::Failed; 2]
    );
    assert!(log.iter().any(|delivery| delivery.last_status == Some(410)));
    assert!(
        log.iter()
            .any(|delivery| delivery.last_error.as_deref() == Some("webhook_disabled"))
    );
    let mails = world.mails();
    assert_eq!(
        mails.iter().map(|mail| mail.to.as_str()).collect::<Vec<_>>(),
        ["ada@example.com"],
        "owners only"
    );
    assert!(
        mails[0].text.contains("hooks.example.com") && !mails[0].text.contains("key=1"),
        "{}",
        mails[0].text
    );
    assert_eq!(announced(&world.db, "webhooks.webhook_disabled.v1").await, 1);
    // Nothing more is taken or sent.
    world.task_happens().await;
    world.after(HOUR).await;
    assert_eq!(world.network.sent().len(), 2);
    // Enabled again, with a clean slate.
    let command = UpdateWebhook {
        enabled: Field::Value(true),
        ..UpdateWebhook::default()
    };
    let on = world
        .service
        .update_webhook(&world.caller(world.ada), world.workspace, webhook.id, &any(), command)
        .await
        .expect("enabled");
    assert_eq!(
        (on.body.enabled, on.body.disabled_reason, on.body.failing_since),
        (true, None, None)
    );
}

#[tokio::test]
async fn nothing_but_failures_for_days_switches_the_webhook_off() {
    let world = World::new().await;
    let (webhook, _) = world.webhook(&["*"]).await;
    world.network.always(Err(EgressError::Connect));
    world.task_happens().await;
    world.work().await;
    for _ in 0..71 {
        world.after(HOUR).await;
    }
    assert!(world.read(webhook.id).await.enabled);
    // The tenth try comes after 75 hours at the soonest, and later by its jitter and the steps of this test.
    for _ in 0..24 {
        world.after(HOUR).await;
    }
    let off = world.read(webhook.id).await;
    assert_eq!((off.enabled, off.disabled_reason), (false, Some(DisabledReason::Failing)));
    assert_eq!(world.mails().len(), 1);
}

#[tokio::test]
async fn a_receiver_that_asks_for_quiet_gets_it() {
    let world = World::new().await;
    let (webhook, _) = world.webhook(&["*"]).await;
    world.network.will([with_header(429, "retry-after", "120")]);
    world.task_happens().await;
    world.work().await;
    // Another message does not break the quiet.
    world.task_happens().await;
    world.work().await;
    assert_eq!(world.network.sent().len(), 1);
    world.after(Duration::from_secs(118)).await;
    assert_eq!(world.network.sent().len(), 1);
    world.after(Duration::from_secs(3)).await;
    assert_eq!(world.network.sent().len(), 3);
    let log = world.deliveries(webhook.id, Filter::default()).await;
    assert!(log.iter().all(|delivery| delivery.state == DeliveryState::Delivered), "{log:#?}");
}

/// A day of quiet is long when the mistake was ours.
#[tokio::test]
async fn a_corrected_url_ends_the_quiet_at_once() {
    let world = World::new().await;
    let (webhook, _) = world.webhook(&["*"]).await;
    world.network.will([with_header(429, "retry-after", "86400")]);
    world.task_happens().await;
    world.work().await;
    world.task_happens().await;
    world.work().await;
    assert_eq!(world.network.sent().len(), 1);
    let until = world.read(webhook.id).await.paused_until.expect("a pause");
    assert_eq!(until, world.clock.now().minus(Duration::from_millis(1)).plus(24 * HOUR));
    let log = world.deliveries(webhook.id, Filter::default()).await;
    assert_eq!(log.len(), 2);
    for delivery in &log {
        assert_eq!(delivery.next_attempt_at, Some(until), "nothing is sent before");
        assert_eq!(world.detail(webhook.id, delivery.id).await.delivery, *delivery);
    }
    let ada = world.caller(world.ada);
    let replayed = world.service.replay_delivery(&ada, world.workspace, webhook.id, log[0].id).await;
    assert_eq!(replayed.expect("accepted").body.next_attempt_at, Some(until));
    world.work().await;
    assert_eq!(world.network.sent().len(), 1, "not even that");

    let command = UpdateWebhook {
        url: Field::Value("https://right.example.com/in".to_owned()),
        ..UpdateWebhook::default()
    };
    let corrected = world
        .service
        .update_webhook(&ada, world.workspace, webhook.id, &any(), command)
        .await;
    assert_eq!(corrected.expect("corrected").body.paused_until, None);
    world.work().await;
    let sent = world.network.sent();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[1].url, "https://right.example.com/in");
    // What was refused itself keeps the time that it was given.
    let log = world.deliveries(webhook.id, Filter::default()).await;
    assert_eq!(
        log.iter()
            .map(|delivery| (delivery.state, delivery.next_attempt_at))
            .collect::<Vec<_>>(),
        [(DeliveryState::Delivered, None), (DeliveryState::Pending, Some(until))]
    );
}

#[tokio::test]
async fn after_a_rotation_both_secrets_sign_for_a_day() {
    let world = World::new().await;
    let (webhook, old) = world.webhook(&["*"]).await;
    let rotated = world
        .service
        .rotate_secret(&world.caller(world.ada), world.workspace, webhook.id, &any(), false)
        .await
        .expect("rotated");
    let new = rotated.body.secret.expect("shown once");
    assert_ne!(new, old);
    expect_signed_by(&world, &[new.clone(), old]).await;
    world.clock.advance(24 * HOUR);
    expect_signed_by(&world, &[new]).await;
    assert_eq!(world.read(webhook.id).await.old_secret_expires_at, None);
}

#[tokio::test]
async fn many_messages_go_out_in_few_statements() {
    let world = World::new().await;
    let (webhook, _) = world.webhook(&["*"]).await;
    for _ in 0..12 {
        world.task_happens().await;
    }
    assert_eq!(rows(&world.db, "due_work").await, 1, "one call for all of them");
    let before = world.db.statements();
    world.work().await;
    let asked = world.db.statements() - before;
    assert_eq!(world.network.sent().len(), 12);
    let log = world.deliveries(webhook.id, Filter::default()).await;
    assert_eq!(log.len(), 12);
    // Per message: settle, log, note. Per round of four: the webhook, what is due. And the claim around it all.
    assert!(asked <= 12 * 3 + 4 * 2 + 12, "{asked} statements");
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_a_failure_with_its_reason() {
    let world = World::new().await;
    let (webhook, _) = world.webhook(&["*"]).await;
    let unreadable = sea_query::Query::update()
        .table(sea_query::Alias::new("webhooks"))
        .value(sea_query::Alias::new("secret"), "v1.another-installation")
        .take();
    let mut unit = platform::db::Unit::new(&world.caller(world.ada));
    unit.update(unreadable);
    world.db.apply(unit).await.expect("changed");
    world.task_happens().await;
    world.work().await;
    assert_eq!(world.network.sent().len(), 0);
    assert_eq!(
        world.only_delivery(webhook.id).await.last_error.as_deref(),
        Some("secret_unreadable")
    );
    // Rotating mends it, although the old secret still does not open.
    let rotated = world
        .service
        .rotate_secret(&world.caller(world.ada), world.workspace, webhook.id, &any(), false)
        .await;
    rotated.expect("rotated");
    world.after(Duration::from_secs(6)).await;
    assert_eq!(world.state(webhook.id).await, (DeliveryState::Delivered, 2));
}
