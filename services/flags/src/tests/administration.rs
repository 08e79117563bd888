//! Making, changing and deleting.

use kernel::ErrorKind;
use kernel::cursor::PageRequest;
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

fn none() -> IfMatch {
    IfMatch::from_headers(&http::HeaderMap::new())
}

#[tokio::test]
async fn only_administrators_see_and_change_flags() {
    let world = World::new().await;
    world.make("a", json!([])).await;
    let ben = world.caller(world.ben);
    let made = world.service.create_flag(&ben, World::command("b", json!([]))).await;
    assert_eq!(made.expect_err("refused").code, "flags.admin_only");
    let page = PageRequest { limit: 10, cursor: None };
    assert_eq!(
        world.service.list_flags(&ben, page).await.expect_err("refused").kind,
        ErrorKind::Forbidden
    );
    for key in ["a", "nothing"] {
        assert_eq!(
            world.service.get_flag(&ben, key).await.expect_err("refused").kind,
            ErrorKind::Forbidden,
            "{key}"
        );
        let changed = world.service.update_flag(&ben, key, &any(), UpdateFlag::default()).await;
        assert_eq!(changed.expect_err("refused").kind, ErrorKind::Forbidden);
        assert_eq!(
            world.service.delete_flag(&ben, key, &any()).await.expect_err("refused").kind,
            ErrorKind::Forbidden
        );
    }
}

#[tokio::test]
async fn a_flag_is_made_once_changed_with_its_version_and_every_change_is_recorded() {
    let world = World::new().await;
    let ada = world.caller(world.ada);
    let made = world.make("new-editor", json!([])).await;
    assert_eq!((made.version, made.default_variant.as_str(), made.variants.len()), (1, "off", 2));
    let again = world.service.create_flag(&ada, World::command("new-editor", json!([]))).await;
    assert_eq!(again.expect_err("taken").code, "flags.flag.exists");
    let blind = world.service.update_flag(&ada, "new-editor", &none(), UpdateFlag::default()).await;
    assert_eq!(blind.expect_err("refused").kind, ErrorKind::PreconditionRequired);
    let nothing = world.service.update_flag(&ada, "new-editor", &any(), UpdateFlag::default()).await;
    assert_eq!(nothing.expect("unchanged").body.version, 1);
    let off = UpdateFlag {
        enabled: Field::Value(false),
        ..UpdateFlag::default()
    };
    assert_eq!(
        world
            .service
            .update_flag(&ada, "new-editor", &any(), off)
            .await
            .expect("changed")
            .body
            .version,
        2
    );
    let bad = UpdateFlag {
        default_variant: Field::Value("none".into()),
        enabled: Field::Null,
        ..UpdateFlag::default()
    };
    let refused = world
        .service
        .update_flag(&ada, "new-editor", &any(), bad)
        .await
        .expect_err("refused");
    let found: Vec<_> = refused.fields.iter().map(|field| field.pointer.as_str()).collect();
    assert_eq!(found, ["/enabled", "/default_variant"]);
    world.service.delete_flag(&ada, "new-editor", &any()).await.expect("deleted");
    let gone = world.service.delete_flag(&ada, "new-editor", &any()).await.expect_err("gone");
    assert_eq!(gone.code, "flags.flag.not_found");

    let recorded: Vec<String> = world
        .db
        .db()
        .all(
            Query::select()
                .column("envelope")
                .from("outbox")
                .order_by("seq", sea_query::Order::Asc)
                .take(),
        )
        .await
        .expect("read");
    let actions: Vec<bool> = ["flag.created", "flag.updated", "flag.deleted"]
        .iter()
        .zip(&recorded)
        .map(|(action, envelope)| envelope.contains(action))
        .collect();
    assert_eq!((actions, recorded.len()), (vec![true; 3], 3), "{recorded:?}");
    let updated: serde_json::Value = serde_json::from_str(&recorded[1]).expect("an envelope");
    assert_eq!(
        updated["data"]["changes"],
        json!([{ "field": "enabled", "before": true, "after": false }])
    );
}

#[tokio::test]
async fn values_are_of_the_flags_kind() {
    let world = World::new().await;
    let command = |kind, variants| CreateFlag {
        kind,
        variants: serde_json::from_value(variants).expect("an object"),
        default_variant: Some("a".into()),
        ..World::command("typed", json!([]))
    };
    for (kind, variants) in [
        (FlagKind::String, json!({ "a": "x", "b": 1 })),
        (FlagKind::Number, json!({ "a": 1, "b": "1" })),
        (FlagKind::Object, json!({ "a": {}, "b": [] })),
        (FlagKind::Boolean, json!({ "a": true, "b": null })),
    ] {
        let refused = world.service.create_flag(&world.caller(world.ada), command(kind, variants)).await;
        let refused = refused.expect_err("refused");
        assert_eq!(
            (refused.fields[0].pointer.as_str(), &*refused.fields[0].code),
            ("/variants/b", "wrong_type")
        );
    }
    let missing = CreateFlag {
        kind: FlagKind::String,
        ..World::command("typed", json!([]))
    };
    let refused = world
        .service
        .create_flag(&world.caller(world.ada), missing)
        .await
        .expect_err("refused");
    assert_eq!(refused.fields.len(), 2, "variants and default variant: {refused:?}");
}

#[tokio::test]
async fn pages_are_by_key() {
    let world = World::new().await;
    for key in ["c", "a", "b"] {
        world.make(key, json!([])).await;
    }
    let ada = world.caller(world.ada);
    let first = world
        .service
        .list_flags(&ada, PageRequest { limit: 2, cursor: None })
        .await
        .expect("a page");
    assert_eq!(first.items.iter().map(|flag| flag.key.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let request = PageRequest {
        limit: 2,
        cursor: first.next_cursor,
    };
    let second = world.service.list_flags(&ada, request).await.expect("a page");
    assert_eq!((second.items[0].key.as_str(), second.next_cursor), ("c", None));
}
