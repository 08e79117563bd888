//! Making, changing, rotating, deleting.

use std::sync::Arc;

use contracts::workspaces::events::{ProjectPurged, WorkspacePurged};
use kernel::ErrorKind;
use kernel::ids::{EntityId, ProjectId, WebhookId, WorkspaceId};
use platform::db::Unit;
use platform::egress::EgressError;
use platform::http::{Field, IfMatch};
use sea_query::{Alias, Query};

use super::{World, announced, rows};
use crate::Config;
use crate::model::{DisabledReason, Webhook};
use crate::service::webhooks::{CreateWebhook, UpdateWebhook};
use crate::store;
use crate::store::deliveries::Filter;
use kernel::cursor::PageRequest;

fn any() -> IfMatch {
    IfMatch::from_headers(&http::HeaderMap::new())
}

#[tokio::test]
async fn only_who_administers_the_workspace_reaches_its_webhooks() {
    let world = World::new().await;
    let (webhook, _) = world.webhook(&["*"]).await;
    let page = || PageRequest { limit: 10, cursor: None };
    for (person, kind) in [(world.ben, ErrorKind::Forbidden), (world.mallory, ErrorKind::NotFound)] {
        let caller = world.caller(person);
        let made = world.service.create_webhook(&caller, world.workspace, World::command(&["*"])).await;
        assert_eq!(made.expect_err("refused").kind, kind);
        let listed = world.service.list_webhooks(&caller, world.workspace, page()).await;
        assert_eq!(listed.expect_err("refused").kind, kind);
        let read = world.service.get_webhook(&caller, world.workspace, webhook.id).await;
        assert_eq!(read.expect_err("refused").kind, kind);
        let tested = world.service.test_webhook(&caller, world.workspace, webhook.id).await;
        assert_eq!(tested.expect_err("refused").kind, kind);
    }
    // The id of another workspace's webhook is as good as none.
    let other = WorkspaceId::generate(&world.clock);
    world.workspaces.add_member(other, world.ada, kernel::roles::Role::Owner);
    let read = world.service.get_webhook(&world.caller(world.ada), other, webhook.id).await;
    assert_eq!(read.expect_err("hidden").code, "webhooks.webhook.not_found");
}

#[tokio::test]
async fn where_webhooks_are_not_offered_none_is_made_and_those_there_go_on() {
    let world = World::new().await;
    let (webhook, _) = world.webhook(&["*"]).await;
    world.flags.set("webhooks.creation", false);
    let ada = world.caller(world.ada);
    let made = world.service.create_webhook(&ada, world.workspace, World::command(&["*"])).await;
    assert_eq!(made.expect_err("refused").code, "webhooks.not_offered");
    world
        .service
        .test_webhook(&ada, world.workspace, webhook.id)
        .await
        .expect("goes on");
    // Who may not make webhooks learns nothing of it.
    let made = world
        .service
        .create_webhook(&world.caller(world.ben), world.workspace, World::command(&["*"]))
        .await;
    assert_eq!(made.expect_err("refused").code, "webhooks.forbidden");
}

#[tokio::test]
async fn what_is_wrong_is_told_at_once_and_at_its_place() {
    let world = World::new().await;
    *world.network.refused.lock().expect("lock") = Some(EgressError::Address);
    let command = CreateWebhook {
        description: Some("two\nlines".to_owned()),
        project_id: Some(ProjectId::generate(&world.clock)),
        ..World::command(&["task.created", "invoice.paid"])
    };
    let made = world
        .service
        .create_webhook(&world.caller(world.ada), world.workspace, command)
        .await;
    let error = made.expect_err("refused");
    let mut found: Vec<(&str, &str)> = error.fields.iter().map(|field| (field.pointer.as_str(), &*field.code)).collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("/description", "control_character"),
            ("/event_types/1", "unknown_event_type"),
            ("/project_id", "not_found"),
            ("/url", "address_not_allowed")
        ]
    );
    assert_eq!(rows(&world.db, "webhooks").await, 0);
}

#[tokio::test]
async fn a_workspace_has_only_so_many() {
    let world = World::with(Config {
        max_per_workspace: 2,
        ..Config::default()
    })
    .await;
    let (first, _) = world.webhook(&["*"]).await;
    let (second, _) = world.webhook(&["task.*"]).await;
    let made = world
        .service
        .create_webhook(&world.caller(world.ada), world.workspace, World::command(&["*"]))
        .await;
    assert_eq!(made.expect_err("refused").code, "webhooks.webhook.too_many");
    let mut page = PageRequest { limit: 1, cursor: None };
    let mut found = Vec::new();
    loop {
        let listed = world
            .service
            .list_webhooks(&world.caller(world.ada), world.workspace, page.clone())
            .await
            .expect("a page");
        found.extend(listed.items.iter().map(|webhook| webhook.id));
        page.cursor = listed.next_cursor;
        if page.cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, [first.id, second.id]);
}

#[tokio::test]
async fn a_lowered_limit_starves_no_webhook_that_is_there() {
    let world = World::with(Config {
        max_per_workspace: 1,
        ..Config::default()
    })
    .await;
    let (first, _) = world.webhook(&["*"]).await;
    let found = store::webhooks::find(&world.db, world.workspace, first.id)
        .await
        .expect("a database");
    // Made while more were allowed.
    let second = Webhook {
        id: WebhookId::generate(&world.clock),
        ..found.expect("the webhook")
    };
    let mut unit = Unit::new(&world.caller(world.ada));
    store::webhooks::insert(&mut unit, &second);
    world.db.apply(unit).await.expect("made");
    world.task_happens().await;
    for id in [first.id, second.id] {
        assert_eq!(world.deliveries(id, Filter::default()).await.len(), 1, "{id}");
    }
}

/// Also the first ones, when there is no webhook yet that they could wait for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_make_no_more_than_a_workspace_may_have() {
    let world = World::with(Config {
        max_per_workspace: 3,
        ..Config::default()
    })
    .await;
    let barrier = Arc::new(tokio::sync::Barrier::new(12));
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let (service, caller, barrier) = (Arc::clone(&world.service), world.caller(world.ada), Arc::clone(&barrier));
        let workspace = world.workspace;
        racers.spawn(async move {
            barrier.wait().await;
            let made = service.create_webhook(&caller, workspace, World::command(&["*"])).await;
            made.map(drop).map_err(|error| error.code.into_owned())
        });
    }
    let (made, refused): (Vec<_>, Vec<_>) = racers.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 3, "{refused:?}");
    assert!(
        refused.iter().all(|code| code == &Err("webhooks.webhook.too_many".to_owned())),
        "{refused:?}"
    );
    assert_eq!(rows(&world.db, "webhooks").await, 3);
    assert_eq!(announced(&world.db, "webhooks.webhook_created.v1").await, 3);
}

#[tokio::test]
async fn sec_29_the_secret_is_sealed_in_the_database() {
    let world = World::new().await;
    let (webhook, secret) = world.webhook(&["*"]).await;
    assert!(secret.starts_with("whsec_"));
    let select = Query::select().column(Alias::new("secret")).from(Alias::new("webhooks")).take();
    let stored: String = world.db.one(select).await.expect("a row");
    assert!(stored.starts_with("v1.") && !stored.contains(&secret[6..20]), "{stored}");
    let shown = serde_json::to_string(&world.read(webhook.id).await).expect("json");
    assert!(!shown.contains("secret"), "{shown}");
}

#[tokio::test]
async fn a_change_is_checked_and_versioned() {
    let world = World::new().await;
    let (webhook, _) = world.webhook(&["*"]).await;
    let ada = world.caller(world.ada);
    let change = async |command: UpdateWebhook| {
        world
            .service
            .update_webhook(&ada, world.workspace, webhook.id, &any(), command)
            .await
    };
    let reply = change(UpdateWebhook {
        description: Field::Value("  Chat ".to_owned()),
        event_types: Field::Value(vec!["task.*".to_owned()]),
        project_id: Field::Value(world.project),
        ..UpdateWebhook::default()
    })
    .await
    .expect("changed");
    assert_eq!((reply.version, reply.body.description.as_deref()), (Some(2), Some("Chat")));
    assert_eq!(reply.body.project_id, Some(world.project));
    let same = change(UpdateWebhook {
        enabled: Field::Value(true),
        ..UpdateWebhook::default()
    })
    .await;
    assert_eq!(same.expect("unchanged").version, Some(2));
    let off = change(UpdateWebhook {
        enabled: Field::Value(false),
        description: Field::Null,
        project_id: Field::Null,
        ..UpdateWebhook::default()
    })
    .await
    .expect("off");
    assert_eq!((off.body.enabled, off.body.disabled_reason), (false, Some(DisabledReason::Manual)));
    assert_eq!((off.body.description, off.body.project_id), (None, None));
    for command in [
        UpdateWebhook {
            url: Field::Null,
            ..UpdateWebhook::default()
        },
        UpdateWebhook {
            event_types: Field::Null,
            ..UpdateWebhook::default()
        },
        UpdateWebhook {
            enabled: Field::Null,
            ..UpdateWebhook::default()
        },
    ] {
        assert_eq!(change(command).await.expect_err("refused").fields[0].code, "not_null");
    }
    let stale = http::HeaderMap::from_iter([(http::header::IF_MATCH, "\"1\"".parse().expect("a tag"))]);
    let deleted = world
        .service
        .delete_webhook(&ada, world.workspace, webhook.id, &IfMatch::from_headers(&stale))
        .await;
    assert_eq!(deleted.expect_err("stale").kind, ErrorKind::Precondition);
    assert_eq!(announced(&world.db, "webhooks.webhook_updated.v1").await, 2);
}

#[tokio::test]
async fn a_deleted_webhook_is_gone_with_its_log() {
    let world = World::new().await;
    let (webhook, _) = world.webhook(&["*"]).await;
    world.task_happens().await;
    world.work().await;
    world.task_happens().await;
    let ada = world.caller(world.ada);
    let rotated = world.service.rotate_secret(&ada, world.workspace, webhook.id, &any(), false).await;
    rotated.expect("rotated");
    let deleted = world.service.delete_webhook(&ada, world.workspace, webhook.id, &any()).await;
    deleted.expect("deleted");
    for table in [
        "webhooks",
        "webhook_old_secrets",
        "webhook_deliveries",
        "webhook_attempts",
        "due_work",
    ] {
        assert_eq!(rows(&world.db, table).await, 0, "{table}");
    }
    let sent = world.network.sent().len();
    world.after(std::time::Duration::from_secs(60)).await;
    assert_eq!(world.network.sent().len(), sent);
    assert_eq!(announced(&world.db, "webhooks.webhook_deleted.v1").await, 1);
    let missing = world
        .service
        .get_webhook(&ada, world.workspace, WebhookId::generate(&world.clock))
        .await;
    assert_eq!(missing.expect_err("none").kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn purged_workspaces_and_projects_take_their_webhooks_along() {
    let world = World::new().await;
    let (of_all, _) = world.webhook(&["*"]).await;
    let command = CreateWebhook {
        project_id: Some(world.project),
        ..World::command(&["*"])
    };
    let ada = world.caller(world.ada);
    let made = world.service.create_webhook(&ada, world.workspace, command).await;
    let of_project = made.expect("made").body.webhook;
    let rotated = world.service.rotate_secret(&ada, world.workspace, of_all.id, &any(), false).await;
    rotated.expect("rotated");
    world.task_happens().await;
    let purged = ProjectPurged {
        workspace_id: world.workspace,
        project_id: world.project,
    };
    world.happens(&purged).await;
    assert_eq!(
        world.read(of_project.id).await.disabled_reason,
        Some(DisabledReason::ProjectDeleted)
    );
    assert!(world.read(of_all.id).await.enabled);
    assert_eq!(
        world.only_delivery(of_project.id).await.last_error.as_deref(),
        Some("webhook_disabled")
    );
    world
        .happens(&WorkspacePurged {
            workspace_id: world.workspace,
        })
        .await;
    for table in [
        "webhooks",
        "webhook_old_secrets",
        "webhook_turns",
        "webhook_messages",
        "webhook_deliveries",
    ] {
        assert_eq!(rows(&world.db, table).await, 0, "{table}");
    }
}
