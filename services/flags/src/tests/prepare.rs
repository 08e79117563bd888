//! Every statement of the store, prepared.

use kernel::Clock;
use kernel::ids::{EntityId, UserId};
use testkit::FixedClock;

use crate::SCHEMA;
use crate::model::flag::switch;
use crate::model::{Definition, Flag, FlagKind};
use crate::store::flags;

#[tokio::test]
async fn the_engine_accepts_every_statement_of_the_store() {
    let clock = FixedClock::default();
    let flag = Flag {
        key: "new-editor".into(),
        kind: FlagKind::Boolean,
        description: None,
        enabled: true,
        definition: Ok(Definition {
            variants: switch(),
            default_variant: "off".into(),
            rules: Vec::new(),
        }),
        version: 2,
        updated_by: UserId::generate(&clock),
        created_at: clock.now(),
        updated_at: clock.now(),
    };
    testkit::prepare_store(SCHEMA, env!("CARGO_MANIFEST_DIR"), async |db, unit| {
        for after in [None, Some("a")] {
            let _ = flags::list(db, flags::page(after, 10)).await;
        }
        let _ = flags::find(db, "a").await;
        let _ = flags::count(db).await;
        flags::insert(unit, &flag);
        flags::update(unit, &flag);
        flags::delete(unit, &flag);
    })
    .await;
}
