//! What was deleted: seen by those who may restore it, and erased for good.

use std::time::Duration;

use kernel::ids::{EntityId, TaskId};
use kernel::{Clock as _, Result};
use serde_json::json;

use super::lists::titles;
use super::support::{World, code, if_match, world};
use crate::service::list::Criteria;
use crate::view::{TrashItem, TrashKind};

impl World {
    async fn trash(&self, user: kernel::ids::UserId, limit: u64) -> Result<Vec<TrashItem>> {
        let caller = self.caller(user);
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let page = self
                .service
                .list_trash(&caller, self.workspace_id, &TrashKind::ALL, cursor.as_deref(), limit)
                .await?;
            assert!(page.items.len() as u64 <= limit);
            items.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(items);
            }
        }
    }

    async fn delete(&self, id: TaskId) {
        self.tick();
        self.service.delete_task(&self.ann(), id, &if_match(None)).await.unwrap();
    }
}

#[tokio::test]
async fn the_trash_tells_what_who_and_until_when() {
    let world = world().await;
    let mut roots = Vec::new();
    for n in 0..5 {
        let task = world.create(json!({ "title": format!("Task {n}") })).await;
        world.create(json!({ "title": "Below", "parent_id": task.id })).await;
        world.delete(task.id).await;
        roots.push(task);
    }
    roots.reverse();
    let items = world.trash(world.owner, 2).await.unwrap();
    let ids: Vec<_> = items.iter().map(|item| item.id).collect();
    assert_eq!(
        ids,
        roots.iter().map(|task| task.id.uuid()).collect::<Vec<_>>(),
        "last deleted first, without what comes back with it"
    );
    let first = &items[0];
    assert_eq!(
        (first.key.as_str(), first.title.as_str(), first.deleted_by),
        ("ABC-9", "Task 4", Some(world.ann))
    );
    assert_eq!(first.purge_at, first.deleted_at.plus(Duration::from_secs(30 * 86_400)));
    assert!(
        world.trash(world.viewer, 50).await.unwrap().is_empty(),
        "who may not restore sees nothing"
    );
    assert_eq!(code(world.trash(world.stranger, 50).await), "tasks.workspace.not_found");
    world
        .service
        .restore_task(&world.ann(), roots[0].id, &if_match(None))
        .await
        .unwrap();
    assert_eq!(world.trash(world.ann, 50).await.unwrap().len(), 4);
    let last = &roots[1];
    let left = items[1].purge_at.since(world.clock.now());
    world.clock.advance(left.checked_sub(Duration::from_micros(1)).unwrap());
    assert_eq!(world.trash(world.ann, 50).await.unwrap()[0].id, last.id.uuid());
    world.clock.advance(Duration::from_micros(1));
    assert!(
        world.trash(world.ann, 50).await.unwrap().is_empty(),
        "its time is over, swept or not"
    );
    let gone = Criteria {
        deleted: true,
        ..Criteria::default()
    };
    assert!(titles(&world, gone).await.is_empty(), "nor is it in a list of deleted tasks");
    let late = world
        .service
        .restore_task(&world.ann(), last.id, &if_match(None))
        .await
        .unwrap_err();
    assert_eq!((late.kind, late.code.as_ref()), (kernel::ErrorKind::Gone, "tasks.restore.too_late"));
}

#[tokio::test]
async fn erasing_takes_everything_below_and_needs_an_owner() {
    let world = world().await;
    let task = world.create(json!({ "title": "Top" })).await;
    let below = world.create(json!({ "title": "Below", "parent_id": task.id })).await;
    let beside = world.create(json!({ "title": "Beside", "parent_id": task.id })).await;
    let owner = world.caller(world.owner);
    let purge =
        async |caller: &platform::Caller, id: TaskId, version: Option<i64>| world.service.purge_task(caller, id, &if_match(version)).await;
    assert_eq!(code(purge(&owner, task.id, None).await), "tasks.task.not_deleted");
    world.delete(below.id).await;
    world.delete(task.id).await;
    assert_eq!(code(purge(&world.ann(), task.id, None).await), "tasks.forbidden");
    assert_eq!(
        code(purge(&world.caller(world.stranger), task.id, None).await),
        "tasks.task.not_found"
    );
    assert_eq!(code(purge(&owner, task.id, Some(1)).await), "request.version_mismatch");
    purge(&owner, task.id, None).await.unwrap();
    for id in [task.id, below.id, beside.id] {
        assert!(crate::store::tasks::find(&world.db(), id).await.unwrap().is_none());
    }
    assert!(world.trash(world.owner, 50).await.unwrap().is_empty());
    assert_eq!(code(purge(&owner, task.id, None).await), "tasks.task.not_found");
}

#[tokio::test]
async fn a_long_page_asks_no_more_than_a_short_one() {
    let world = world().await;
    let mut counts = Vec::new();
    for _ in 0..2 {
        for _ in 0..5 {
            let task = world.create(json!({ "title": "Task" })).await;
            world.delete(task.id).await;
        }
        let (items, statements) = platform::db::count_statements(world.trash(world.ann, 50)).await;
        counts.push((items.unwrap().len(), statements));
    }
    assert_eq!((counts[0].0, counts[1].0), (5, 10));
    assert_eq!(counts[0].1, counts[1].1);
}
