//! Every statement of the store, prepared.

use kernel::Clock;
use kernel::ids::{EntityId, EventId, ProjectId, UserId, WebhookId, WorkspaceId};
use testkit::FixedClock;

use crate::SCHEMA;
use crate::model::{Attempt, Delivery, DeliveryId, DeliveryState, DisabledReason, Message, OldSecret, Webhook};
use crate::store::deliveries::{self, Filter};
use crate::store::{secrets, webhooks};

#[tokio::test]
async fn the_engine_accepts_every_statement_of_the_store() {
    let clock = FixedClock::default();
    let now = clock.now();
    let (workspace, project) = (WorkspaceId::generate(&clock), ProjectId::generate(&clock));
    let (id, delivery_id) = (WebhookId::generate(&clock), DeliveryId::generate(&clock));
    let webhook = Webhook {
        id,
        workspace_id: workspace,
        project_id: Some(project),
        url: "https://hooks.example.com/".to_owned(),
        description: Some("Chat".to_owned()),
        event_types: vec!["*".to_owned()],
        enabled: true,
        disabled_reason: None,
        disabled_at: None,
        secret: "v1.x".to_owned(),
        old_secret_expires_at: None,
        failing_since: None,
        last_success_at: None,
        paused_until: None,
        version: 2,
        created_by: UserId::generate(&clock),
        created_at: now,
        updated_at: now,
    };
    let old_secret = OldSecret {
        webhook_id: id,
        version: 2,
        secret: "v1.y".to_owned(),
        expires_at: now,
    };
    let message = Message {
        id: EventId::generate(&clock),
        workspace_id: workspace,
        event_type: "task.created".to_owned(),
        body: "{}".to_owned(),
        created_at: now,
    };
    let delivery = Delivery::new(delivery_id, id, &message, now);
    let attempt = Attempt {
        delivery_id,
        number: 1,
        started_at: now,
        duration_ms: 7,
        status: Some(200),
        error: None,
        response: None,
        response_truncated: false,
    };
    let everything = Filter {
        state: Some(DeliveryState::Failed),
        event_type: Some("task.created".to_owned()),
        since: Some(now),
    };
    testkit::prepare_store(SCHEMA, env!("CARGO_MANIFEST_DIR"), async |db, unit| {
        for after in [None, Some(id)] {
            let _ = webhooks::list(db, webhooks::page(workspace, after, 10)).await;
        }
        let _ = webhooks::list(db, webhooks::enabled(workspace, 10)).await;
        let _ = webhooks::list(db, webhooks::of_project(workspace, project)).await;
        let _ = webhooks::find(db, workspace, id).await;
        let _ = webhooks::find_for_sending(db, id).await;
        let _ = webhooks::take_turn(unit, workspace, now);
        webhooks::insert(unit, &webhook);
        webhooks::update(unit, &webhook);
        webhooks::note_success(unit, id, now);
        webhooks::note_failure(unit, id, now);
        webhooks::pause(unit, id, now);
        webhooks::disable(unit, &webhook, DisabledReason::Gone, now);
        webhooks::delete(unit, &webhook);
        webhooks::erase_workspace(unit, workspace);

        let _ = secrets::list_live(db, id, now).await;
        secrets::insert(unit, &old_secret);
        secrets::delete_ended(unit, id, now);
        secrets::delete_all(unit, id);
        secrets::sweep(unit, now);

        deliveries::insert_message(unit, &message);
        deliveries::insert(unit, &delivery);
        let _ = deliveries::list_due(db, id, now, 4).await;
        let _ = deliveries::find_next_attempt(db, id).await;
        for filter in [&Filter::default(), &everything] {
            for before in [None, Some((1, delivery_id))] {
                let _ = deliveries::list(db, deliveries::page(id, filter, before, 10)).await;
            }
        }
        let _ = deliveries::list(db, deliveries::failed_between(id, now, now, 10)).await;
        let _ = deliveries::find(db, id, delivery_id).await;
        let _ = deliveries::list_attempts(db, delivery_id, 50).await;
        deliveries::settle(unit, &delivery, &attempt);
        deliveries::give_up_pending(unit, id, "webhook_disabled");
        deliveries::replay(unit, delivery_id, now);
        deliveries::replay_failed(unit, &[delivery_id], now);
        let _ = deliveries::list_late(db, now, 10).await;
        let _ = deliveries::list_old_messages(db, now, 10).await;
        deliveries::delete_messages(unit, &[message.id]);
        deliveries::erase_workspace(unit, workspace);
    })
    .await;
}
