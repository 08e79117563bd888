//! Full-text search.

use std::collections::BTreeSet;

use kernel::ids::{EntityId, TaskId};
use platform::Caller;
use platform::db::{Unit, count_statements};
use platform::due::Sweep;
use sea_query::{Expr, ExprTrait, Query};
use serde_json::json;

use super::lists::{page, sort, titles, value};
use super::support::{World, body, world};
use crate::model::Priority;
use crate::service::list::{Criteria, Shape};
use crate::store;
use crate::store::list::{Sort, SortKey};
use crate::store::refold::Kind;

#[tokio::test]
async fn nobody_sees_tasks_of_projects_they_cannot_read() {
    let world = world().await;
    world.create(json!({"title": "Hidden treasure"})).await;
    let criteria = || Criteria {
        q: Some("treasure".into()),
        sorts: vec![sort(SortKey::CreatedAt, true)],
        ..Criteria::default()
    };
    let seen = world
        .service
        .list_tasks(&world.caller(world.viewer), criteria(), page(10))
        .await
        .unwrap();
    assert_eq!(seen.items.len(), 1);
    let hidden = world
        .service
        .list_tasks(&world.caller(world.stranger), criteria(), page(10))
        .await
        .unwrap();
    assert!(hidden.items.is_empty());
}

#[tokio::test]
async fn search_folds_case_and_accents_and_completes_the_last_word() {
    let world = world().await;
    world
        .create(json!({"title": "Café menu", "description": "The **Überraschung** for Łódź"}))
        .await;
    world.tick();
    let second = world
        .service
        .create_task(&world.ann(), world.other_project_id, body(json!({"title": "Cafeteria keys"})))
        .await
        .unwrap()
        .body;
    let find = async |q: &str| {
        titles(
            &world,
            Criteria {
                q: Some(q.into()),
                sorts: vec![sort(SortKey::CreatedAt, false)],
                ..Criteria::default()
            },
        )
        .await
    };
    assert_eq!(find("CAFE").await, ["Café menu", "Cafeteria keys"]);
    assert_eq!(find("cafe ").await, ["Café menu"]);
    assert_eq!(find("menu cafe").await, ["Café menu"]);
    assert_eq!(find("menu keys").await, Vec::<String>::new());
    assert_eq!(find("uberr").await, ["Café menu"]);
    assert_eq!(find("xyz-1").await, ["Cafeteria keys"]);
    assert_eq!(find("%").await, Vec::<String>::new());
    world.patch(second.id, json!({"title": "Restaurant keys"})).await.unwrap();
    assert_eq!(find("cafeteria").await, Vec::<String>::new());
    assert_eq!(find("restau").await, ["Restaurant keys"]);
}

/// Words of all degrees of rarity, alone and together, in every sort and page by page: the way a search goes is chosen by
/// how often the words occur (see `store::search`; the limits are small in tests), and no way may give another answer.
#[tokio::test]
async fn a_search_finds_the_same_whichever_way_it_goes() {
    let world = world().await;
    let mut all: Vec<(BTreeSet<&str>, String)> = Vec::new();
    for i in 0..30 {
        let mut words = BTreeSet::from(["common"]);
        words.insert(if i % 2 == 0 { "even" } else { "odd" });
        if i % 10 == 3 {
            words.insert("scarce");
        }
        if i == 17 {
            words.insert("single");
        }
        if i >= 26 {
            words.insert("commotion");
        }
        let title = format!("{} n{i:02}", words.iter().copied().collect::<Vec<_>>().join(" "));
        let project = if i % 3 == 0 { world.other_project_id } else { world.project_id };
        world.tick();
        let command = body(json!({ "title": title, "priority": (["low", "high"])[i % 2] }));
        world.service.create_task(&world.ann(), project, command).await.unwrap();
        all.push((words, title));
    }
    for (q, words, prefix) in [
        ("common ", vec!["common"], ""),
        ("comm", vec![], "comm"),
        ("common even ", vec!["common", "even"], ""),
        ("common eve", vec!["common"], "eve"),
        ("even odd ", vec!["even", "odd"], ""),
        ("odd scarce ", vec!["odd", "scarce"], ""),
        ("even scarce ", vec!["even", "scarce"], ""),
        ("scarce com", vec!["scarce"], "com"),
        ("single", vec!["single"], ""),
        ("commotion common ", vec!["commotion", "common"], ""),
        ("common missing ", vec!["common", "missing"], ""),
    ] {
        let matches = |(has, _): &&(BTreeSet<&str>, String)| {
            words.iter().all(|word| has.contains(word)) && (prefix.is_empty() || has.iter().any(|word| word.starts_with(prefix)))
        };
        let expected: Vec<String> = all.iter().filter(matches).map(|(_, title)| title.clone()).collect();
        for (key, descending) in [
            (SortKey::CreatedAt, false),
            (SortKey::CreatedAt, true),
            (SortKey::Priority, true),
            (SortKey::Title, false),
        ] {
            let sorts = vec![sort(key, descending), sort(SortKey::CreatedAt, descending)];
            let found = paged(&world, q, sorts, expected.len() as u64).await;
            let (mut sorted, mut wanted) = (found.clone(), expected.clone());
            if key == SortKey::CreatedAt {
                if descending {
                    wanted.reverse();
                }
            } else {
                sorted.sort_unstable();
                wanted.sort_unstable();
            }
            assert_eq!(sorted, wanted, "{q:?} by {key:?} {descending}");
        }
    }
    let high = Criteria {
        q: Some("common ".into()),
        priorities: vec![Priority::High],
        ..Criteria::default()
    };
    assert_eq!(titles(&world, high).await.len(), 15);
}

/// All pages of three.
async fn paged(world: &World, q: &str, sorts: Vec<Sort>, total: u64) -> Vec<String> {
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let criteria = Criteria {
            q: Some(q.into()),
            sorts: sorts.clone(),
            ..Criteria::default()
        };
        let shape = Shape {
            cursor,
            include_total: true,
            ..page(3)
        };
        let page = world.service.list_tasks(&world.ann(), criteria, shape).await.unwrap();
        assert_eq!(page.total, Some(total), "{q:?}");
        seen.extend(page.items.into_iter().map(|item| value(item)["title"].as_str().unwrap().to_owned()));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return seen;
        }
    }
}

#[tokio::test]
async fn a_search_costs_at_most_two_statements_more_than_a_list() {
    let world = world().await;
    for i in 0..12 {
        let word = if i == 0 { "rare" } else { ["even", "odd"][i % 2] };
        world.create(json!({ "title": format!("common {word}") })).await;
    }
    let cost = async |q: &str| {
        let criteria = Criteria {
            q: Some(q.into()),
            sorts: vec![sort(SortKey::CreatedAt, true)],
            ..Criteria::default()
        };
        let (found, cost) = Box::pin(count_statements(world.service.list_tasks(&world.ann(), criteria, page(2)))).await;
        assert!(found.is_ok());
        cost
    };
    // How rare the words are, tasks, assignees, labels; for common words also a look at the first tasks.
    assert_eq!((cost("rare ").await, cost("common ").await, cost("even odd ").await), (4, 5, 3));
}

#[tokio::test]
async fn search_and_names_fold_case_fully() {
    let world = world().await;
    world.create(json!({"title": "Große Straße", "description": "ΟΔΥΣΣΕΥΣ"})).await;
    world.create(json!({"title": "GROSSER PLATZ"})).await;
    let find = async |q: &str| {
        let criteria = Criteria {
            q: Some(q.into()),
            ..Criteria::default()
        };
        titles(&world, criteria).await
    };
    for q in ["STRASSE ", "straße ", "STRAẞE ", "strass", "οδυσσευς ", "Οδυσσεύς "] {
        assert_eq!(find(q).await, ["Große Straße"], "{q}");
    }
    assert_eq!(find("große").await, ["Große Straße", "GROSSER PLATZ"]);
    let by_title = Criteria {
        sorts: vec![sort(SortKey::Title, true)],
        ..Criteria::default()
    };
    assert_eq!(titles(&world, by_title).await, ["GROSSER PLATZ", "Große Straße"]);
    world.label("Straße").await;
    let again = world
        .service
        .create_label(&world.ann(), world.workspace_id, body(json!({"name": "STRASSE"})))
        .await;
    assert_eq!(super::support::code(again), "tasks.label.name_taken");
}

/// Rows as the version before folded them, and the sweep that works them off.
#[tokio::test]
async fn rows_folded_by_an_older_rule_are_folded_anew() {
    let world = world().await;
    let street = world.create(json!({"title": "Straße", "description": "plain words"})).await;
    let plain = world.create(json!({"title": "plain"})).await;
    let (sharp, double) = (world.label("Maß").await, world.label("MASSE").await);
    let mut unit = Unit::new(&Caller::system(&world.clock, "test"));
    let older = |table: &'static str, column: &'static str, id: kernel::ids::Uuid, value: &'static str| {
        Query::update()
            .table(table)
            .value(column, value)
            .and_where(Expr::col("id").eq(id))
            .take()
    };
    unit.update(older("tasks", "title_sort", street.id.uuid(), "straße"));
    unit.update(older("labels", "name_folded", sharp.uuid(), "maß"));
    // Two names that are only now the same.
    unit.update(
        Query::update()
            .table("labels")
            .values([("name", "Masse".into()), ("name_folded", "mass".into())])
            .and_where(Expr::col("id").eq(double.uuid()))
            .take(),
    );
    let mut task = store::tasks::find(&world.db(), street.id).await.unwrap().unwrap();
    store::terms::remove(&mut unit, &task, &BTreeSet::from(["strasse".to_owned()]));
    store::terms::add(&mut unit, &task, &BTreeSet::from(["straße".to_owned()]));
    for (kind, id) in [
        ("task", street.id.uuid()),
        ("task", plain.id.uuid()),
        ("task", TaskId::generate(&world.clock).uuid()),
        ("label", sharp.uuid()),
        ("label", double.uuid()),
        ("state", street.state_id.uuid()),
    ] {
        let mark = Query::insert()
            .into_table("task_refold")
            .columns(["kind", "id"])
            .values_panic([kind.into(), id.into()])
            .take();
        unit.insert(mark);
    }
    world.db().apply(unit).await.unwrap();
    // Somebody edits it before the sweep comes: by the present rule, next to terms of the older one.
    world.patch(street.id, json!({"title": "Straßen"})).await.unwrap();

    crate::jobs::Refold(world.service.clone()).run().await.unwrap();
    let terms = async |id: TaskId| -> BTreeSet<String> {
        store::terms::list(&world.db(), &[id])
            .await
            .unwrap()
            .into_iter()
            .map(|(_, term)| term)
            .collect()
    };
    assert_eq!(
        terms(street.id).await,
        BTreeSet::from(["strassen", "plain", "words"].map(str::to_owned))
    );
    assert_eq!(terms(plain.id).await, BTreeSet::from(["plain".to_owned()]));
    task = store::tasks::find(&world.db(), street.id).await.unwrap().unwrap();
    assert_eq!(task.version, 2, "nothing that anybody sees has changed");
    for kind in [Kind::Task, Kind::Label, Kind::State] {
        assert!(store::refold::list(&world.db(), kind, 10).await.unwrap().is_empty());
    }
    let labels = world
        .service
        .list_labels(&world.ann(), world.workspace_id, None, 1, false)
        .await
        .unwrap();
    let rest = world
        .service
        .list_labels(&world.ann(), world.workspace_id, labels.next_cursor.as_deref(), 5, false)
        .await
        .unwrap();
    assert_eq!((labels.items.len(), rest.items.len()), (1, 1));
}
