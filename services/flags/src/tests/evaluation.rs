//! Contexts, caches, and what other services are told.

use std::time::Duration;

use contracts::flags::{EvaluateBoolean, Flags};
use kernel::ids::{EntityId, WorkspaceId};
use platform::db::{Unit, count_statements};
use platform::http::{Field, IfMatch};
use sea_query::Query;
use serde_json::json;

use super::World;
use crate::model::FlagKind;
use crate::service::admin::{CreateFlag, UpdateFlag};

fn any() -> IfMatch {
    IfMatch::from_headers(&http::HeaderMap::from_iter([(
        http::header::IF_MATCH,
        http::HeaderValue::from_static("*"),
    )]))
}

#[tokio::test]
async fn sec_22_a_workspace_of_others_is_no_context() {
    let world = World::new().await;
    let theirs = WorkspaceId::generate(&world.clock);
    world
        .make("a", json!([{ "workspace_ids": [world.workspace, theirs], "variant": "on" }]))
        .await;
    let told = async |fields| world.told(&world.service, "a", fields).await;
    assert_eq!(
        told(json!({ "workspace_id": world.workspace })).await,
        json!([true, "TARGETING_MATCH"])
    );
    for bad in [
        json!({ "workspace_id": theirs }),
        json!({ "workspace_id": "no id" }),
        json!({ "workspace_id": 7 }),
        json!({ "targetingKey": 7 }),
        json!({ "targetingKey": "" }),
        json!({ "targetingKey": "x".repeat(257) }),
    ] {
        assert_eq!(told(bad.clone()).await, json!("INVALID_CONTEXT"), "{bad}");
    }
    assert_eq!(told(json!({ "anything": { "else": [1] } })).await, json!([false, "DEFAULT"]));
    assert_eq!(world.told(&world.service, "b", json!({})).await, json!("FLAG_NOT_FOUND"));
    // Who left the workspace is a stranger to it.
    world.workspaces.remove_member(world.workspace, world.ada);
    assert_eq!(told(json!({ "workspace_id": world.workspace })).await, json!("INVALID_CONTEXT"));
}

#[tokio::test]
async fn a_change_counts_at_once_here_and_soon_elsewhere() {
    let world = World::new().await;
    world.make("a", json!([])).await;
    let other = World::replica(&world.db, &world.clock, &world.workspaces);
    for service in [&world.service, &other] {
        assert_eq!(world.told(service, "a", json!({})).await, json!([false, "STATIC"]));
    }
    let ((), statements) = count_statements(async {
        for _ in 0..10 {
            world.told(&world.service, "a", json!({})).await;
        }
    })
    .await;
    assert_eq!(statements, 0, "from memory");
    let on = UpdateFlag {
        default_variant: Field::Value("on".into()),
        ..UpdateFlag::default()
    };
    world
        .service
        .update_flag(&world.caller(world.ada), "a", &any(), on)
        .await
        .expect("changed");
    assert_eq!(world.told(&world.service, "a", json!({})).await, json!([true, "STATIC"]));
    assert_eq!(world.told(&other, "a", json!({})).await, json!([false, "STATIC"]), "not yet");
    world.clock.advance(Duration::from_secs(5));
    assert_eq!(world.told(&other, "a", json!({})).await, json!([true, "STATIC"]));
    world
        .service
        .delete_flag(&world.caller(world.ada), "a", &any())
        .await
        .expect("deleted");
    assert_eq!(world.told(&world.service, "a", json!({})).await, json!("FLAG_NOT_FOUND"));
}

#[tokio::test]
async fn other_services_ask_with_a_default_and_never_fail_for_a_flag() {
    let world = World::new().await;
    let ask = async |key: &str, default: bool, workspace: Option<WorkspaceId>| {
        let request = EvaluateBoolean {
            key: key.to_owned(),
            default,
            user_id: Some(world.ada),
            workspace_id: workspace,
        };
        let found = world
            .service
            .evaluate_boolean(&world.caller(world.ada).call(), request)
            .await
            .expect("answered");
        (found.value, found.reason, found.error_code)
    };
    let of = |value: bool, reason: &str, code: Option<&str>| (value, reason.to_owned(), code.map(str::to_owned));
    for default in [true, false] {
        assert_eq!(ask("a", default, None).await, of(default, "ERROR", Some("FLAG_NOT_FOUND")));
    }
    world
        .make("a", json!([{ "workspace_ids": [world.workspace], "variant": "on" }]))
        .await;
    assert_eq!(ask("a", false, Some(world.workspace)).await, of(true, "TARGETING_MATCH", None));
    assert_eq!(ask("a", true, None).await, of(false, "DEFAULT", None));
    let text = CreateFlag {
        kind: FlagKind::String,
        variants: serde_json::from_value(json!({ "x": "y" })).expect("an object"),
        default_variant: Some("x".into()),
        ..World::command("text", json!([]))
    };
    world.service.create_flag(&world.caller(world.ada), text).await.expect("made");
    assert_eq!(ask("text", true, None).await, of(true, "ERROR", Some("TYPE_MISMATCH")));

    // Damage by a hand in the database is an error of this flag alone.
    let mut unit = Unit::new(&world.caller(world.ada));
    unit.update(Query::update().table("flags").value("definition", "{").take());
    world.db.db().apply(unit).await.expect("broken");
    world.clock.advance(Duration::from_secs(5));
    assert_eq!(ask("a", true, None).await, of(true, "ERROR", Some("PARSE_ERROR")));
}
