//! Secrets that were replaced sign on, each until its own end.

use std::sync::Arc;
use std::time::Duration;

use kernel::ids::{EntityId, UserId, WebhookId, WorkspaceId};
use kernel::{Clock, ErrorKind};
use platform::db::transfer::{known_migrations, migrate_to};
use platform::db::{Db, Reply, Unit};
use platform::{Caller, Service};
use sea_query::{Alias, Query};
use testkit::{FixedClock, TestServer};

use super::sending::{any, secret};
use super::{World, rows};
use crate::SCHEMA;
use crate::model::{MAX_OLD_SECRETS, OldSecret, signatures};
use crate::service::views::WebhookWithSecretView;
use crate::store::secrets;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

async fn rotate(world: &World, id: WebhookId, expire_old: bool) -> kernel::Result<Reply<WebhookWithSecretView>> {
    let ada = world.caller(world.ada);
    world.service.rotate_secret(&ada, world.workspace, id, &any(), expire_old).await
}

/// The new secret.
async fn rotated(world: &World, id: WebhookId) -> String {
    let reply = rotate(world, id, false).await.expect("rotated");
    reply.body.secret.expect("shown once")
}

/// A message of now has the signatures of these secrets, in this order, and no others.
pub(super) async fn expect_signed_by(world: &World, secrets: &[String]) {
    let event = world.task_happens().await;
    world.work().await;
    let sent = world.network.sent().pop().expect("sent");
    let secrets: Vec<_> = secrets.iter().map(|shown| secret(shown)).collect();
    let wanted = signatures(&secrets, &event.to_string(), world.clock.now().as_seconds(), &sent.body).expect("signed");
    assert_eq!(sent.headers["webhook-signature"], wanted);
}

#[tokio::test]
async fn a_second_rotation_takes_nothing_from_the_secrets_before() {
    let world = World::new().await;
    let (webhook, first) = world.webhook(&["*"]).await;
    let first_end = world.clock.now().plus(DAY);
    let second = rotated(&world, webhook.id).await;
    world.clock.advance(HOUR);
    let second_end = world.clock.now().plus(DAY);
    let third = rotated(&world, webhook.id).await;
    expect_signed_by(&world, &[third.clone(), second.clone(), first]).await;
    assert_eq!(world.read(webhook.id).await.old_secret_expires_at, Some(second_end));
    world.clock.set(first_end);
    expect_signed_by(&world, &[third.clone(), second]).await;
    world.clock.set(second_end);
    assert_eq!(world.read(webhook.id).await.old_secret_expires_at, None);
    expect_signed_by(&world, &[third]).await;
    // The chore takes what the rotations have left.
    assert_eq!(rows(&world.db, "webhook_old_secrets").await, 2);
    for sweep in Arc::clone(&world.service).sweeps() {
        if sweep.name() == "webhooks.retention" {
            sweep.run().await.expect("swept");
        }
    }
    assert_eq!(rows(&world.db, "webhook_old_secrets").await, 0);
}

#[tokio::test]
async fn only_so_many_sign_at_the_same_time_and_none_is_pushed_out() {
    let world = World::new().await;
    let (webhook, original) = world.webhook(&["*"]).await;
    let first_end = world.clock.now().plus(DAY);
    let mut live = vec![original];
    for _ in 0..MAX_OLD_SECRETS {
        live.insert(0, rotated(&world, webhook.id).await);
        world.clock.advance(HOUR);
    }
    let refused = rotate(&world, webhook.id, false).await.expect_err("one too many");
    assert_eq!(
        (refused.kind, &*refused.code),
        (ErrorKind::Conflict, "webhooks.webhook.too_many_secrets")
    );
    assert!(refused.detail.contains(&first_end.to_string()), "{}", refused.detail);
    expect_signed_by(&world, &live).await;
    world.clock.set(first_end);
    live.pop();
    live.insert(0, rotated(&world, webhook.id).await);
    expect_signed_by(&world, &live).await;
    // The row that had ended went with the rotation.
    assert_eq!(rows(&world.db, "webhook_old_secrets").await, 5);
}

#[tokio::test]
async fn all_secrets_before_can_be_ended_at_once() {
    let world = World::new().await;
    let (webhook, _) = world.webhook(&["*"]).await;
    // Also where one more would not fit.
    for _ in 0..MAX_OLD_SECRETS {
        rotated(&world, webhook.id).await;
    }
    let ended = rotate(&world, webhook.id, true).await.expect("rotated").body;
    assert_eq!(ended.webhook.old_secret_expires_at, None);
    assert_eq!(rows(&world.db, "webhook_old_secrets").await, 0);
    let mut live = vec![ended.secret.expect("shown once")];
    expect_signed_by(&world, &live).await;
    // And it begins anew.
    live.insert(0, rotated(&world, webhook.id).await);
    expect_signed_by(&world, &live).await;
}

/// From the two columns of before, as it is sealed.
#[tokio::test]
async fn what_was_replaced_before_there_was_a_list_is_on_it() {
    let server = TestServer::new(&[]).await;
    let before: Vec<String> = known_migrations(&SCHEMA)
        .into_iter()
        .filter(|label| label != "webhooks/0003_old_secrets")
        .collect();
    let migrated = migrate_to(server.config(), server.folder(), SCHEMA, Some(&before)).await;
    migrated.expect("migrated");
    let db = Db::connect(server.config(), server.folder(), SCHEMA).await.expect("a database");
    let clock = FixedClock::default();
    let now = clock.now();
    let mut unit = Unit::new(&Caller::system(&clock, "test"));
    let ids = [WebhookId::generate(&clock), WebhookId::generate(&clock)];
    for (id, old) in ids.into_iter().zip([Some("v1.sealed"), None]) {
        let columns = [
            "id",
            "workspace_id",
            "url",
            "event_types",
            "enabled",
            "secret",
            "old_secret",
            "old_secret_expires_at",
            "version",
            "created_by",
            "created_at",
            "updated_at",
        ];
        unit.insert(
            Query::insert()
                .into_table(Alias::new("webhooks"))
                .columns(columns.map(Alias::new))
                .values_panic([
                    id.uuid().into(),
                    WorkspaceId::generate(&clock).uuid().into(),
                    "https://hooks.example.com/".into(),
                    "[\"*\"]".into(),
                    true.into(),
                    "v1.current".into(),
                    old.into(),
                    old.map(|_| now.plus(HOUR).as_micros()).into(),
                    7_i64.into(),
                    UserId::generate(&clock).uuid().into(),
                    now.as_micros().into(),
                    now.as_micros().into(),
                ])
                .take(),
        );
    }
    db.apply(unit).await.expect("as it was");
    assert_eq!(db.migrate().await.expect("migrates").applied, ["webhooks/0003_old_secrets"]);
    let copied = OldSecret {
        webhook_id: ids[0],
        version: 7,
        secret: "v1.sealed".to_owned(),
        expires_at: now.plus(HOUR),
    };
    assert_eq!(secrets::list_live(&db, ids[0], now).await.expect("the list"), [copied]);
    assert_eq!(secrets::list_live(&db, ids[1], now).await.expect("the list"), []);
}
