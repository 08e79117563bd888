//! Every statement of the store, prepared.

use std::collections::{BTreeMap, BTreeSet};

use kernel::Clock;
use kernel::ids::{CommentId, EntityId, ProjectId, TaskId, UserId, Uuid, WorkspaceId};
use platform::db::{Db, Guard, Unit};
use serde_json::Value;
use testkit::FixedClock;

use crate::SCHEMA;
use crate::model::feed::{Feed, FeedId};
use crate::model::recurrence::{Recurrence, RecurrenceId, Trigger};
use crate::model::relation::Edge;
use crate::model::saved::{SavedView, ViewId};
use crate::model::terms::{self, Word};
use crate::model::{ActivityId, Comment, Due, Label, LabelId, Priority, State, StateId, Status, Task};
use crate::store::list::{Archived, Filter, Named, Parent, Place, Sort, SortKey, TextFilter};
use crate::store::tasks::{BoardScope, Counts, Reminder};
use crate::store::{
    activity, comments, feeds, labels, list, people, purge, recurrences, refold, relations, search, states, tasks, terms as index, trash,
    views,
};

const GUARD: Guard = Guard::conflict("test", "A guard of the test.");

/// Things to hand to the store. None of them is ever written.
struct Things {
    workspace: WorkspaceId,
    project: ProjectId,
    user: UserId,
    task: Task,
    state: State,
    label: Label,
    comment: Comment,
}

fn things() -> Things {
    let clock = FixedClock::default();
    let now = clock.now();
    let (workspace_id, project_id) = (WorkspaceId::generate(&clock), ProjectId::generate(&clock));
    let (user, id, state_id, label_id) = (
        UserId::generate(&clock),
        TaskId::generate(&clock),
        StateId::generate(&clock),
        LabelId::generate(&clock),
    );
    let task = Task {
        id,
        workspace_id,
        project_id,
        number: 1,
        title: "Title".into(),
        description: "Text".into(),
        state_id,
        status: Status::Open,
        priority: Priority::None,
        due: Some(Due::moment(now)),
        parent_id: Some(id),
        position: "80".into(),
        creator_id: Some(user),
        comment_count: 0,
        subtask_count: 0,
        subtask_done_count: 0,
        version: 1,
        created_at: now,
        updated_at: now,
        completed_at: None,
        archived_at: None,
        deleted_at: None,
        deleted_with: None,
        recurrence_id: None,
        assignee_ids: vec![user],
        label_ids: vec![label_id],
    };
    let state = State {
        id: state_id,
        workspace_id,
        name: "To do".into(),
        status: Status::Open,
        position: 1,
        is_default: true,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let label = Label {
        id: label_id,
        workspace_id,
        name: "Bug".into(),
        name_folded: "bug".into(),
        color: "#888888".into(),
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let comment = Comment {
        id: CommentId::generate(&clock),
        workspace_id,
        task_id: id,
        author_id: Some(user),
        body: "Text".into(),
        version: 1,
        created_at: now,
        updated_at: now,
        edited_at: None,
    };
    Things {
        workspace: workspace_id,
        project: project_id,
        user,
        task,
        state,
        label,
        comment,
    }
}

#[tokio::test]
async fn the_engine_accepts_every_statement_of_the_store() {
    let things = things();
    testkit::prepare_store(SCHEMA, env!("CARGO_MANIFEST_DIR"), async |db, unit| {
        read_tasks(&things, db).await;
        write_tasks(&things, unit);
        lists(&things, db).await;
        settings(&things, db, unit).await;
        around_a_task(&things, db, unit).await;
        related(&things, db, unit).await;
        clean_up(&things, db, unit).await;
    })
    .await;
}

async fn read_tasks(things: &Things, db: &Db) {
    let task = &things.task;
    let _ = tasks::find(db, task.id).await;
    let _ = people::find_whole(db, task.id).await;
    let _ = tasks::list_by_ids(db, &[task.id]).await;
    let _ = tasks::find_by_number(db, things.project, 1).await;
    for position in [None, Some((task.created_at, task.id.uuid()))] {
        let _ = comments::list_in(db, task.workspace_id, position, 1).await;
        let _ = comments::list_of_author(db, things.user, position, 1).await;
        let _ = activity::list_in(db, task.workspace_id, position, 1).await;
    }
    for after in [None, Some((task.id, task.id, "blocks".to_owned()))] {
        let _ = relations::list_in(db, task.workspace_id, after.as_ref(), 1).await;
    }
    for after in [None, Some(task.id.uuid())] {
        let _ = recurrences::list_in(db, task.workspace_id, after, 1).await;
    }
    let _ = tasks::list_by_numbers(db, things.project, &[1]).await;
    for before in [None, Some((task.created_at, task.id.uuid()))] {
        let _ = trash::list(db, task.workspace_id, &[things.project], task.created_at, before, 1).await;
    }
    let _ = trash::list_deletions(db, task.workspace_id, &[task.id]).await;
    let _ = tasks::list_branches(db, things.project, &[task.id]).await;
    let _ = tasks::list_children(db, &[task.id], 1).await;
    let _ = tasks::list_deleted_with(db, task.id, 1).await;
    let _ = tasks::list_project_keys(db, &[things.project]).await;
    let scope = BoardScope {
        project_id: things.project,
        state_id: task.state_id,
        moving: task.id,
    };
    let place = task.place();
    for beyond in [None, Some(&place)] {
        for upwards in [true, false] {
            let _ = tasks::next_place(db, &scope, beyond, upwards).await;
        }
    }
    let _ = tasks::list_at_position(db, task, &place, 1).await;
    let _ = tasks::next_position(db, things.project, "80").await;
}

fn write_tasks(things: &Things, unit: &mut Unit) {
    let (task, now) = (&things.task, things.task.created_at);
    tasks::insert_numbered(unit, task, "ABC");
    tasks::update(unit, task, 1);
    trash::erase(unit, task.workspace_id, task.id, 1, &[task.id]);
    let counts = Counts {
        comments: 1,
        subtasks: 1,
        done: 1,
    };
    tasks::adjust_counts(unit, task.id, &counts, now, None);
    tasks::adjust_counts(unit, task.id, &counts, now, Some(GUARD));
    tasks::require_version(unit, task.id, 1);
    tasks::require_parent(unit, task.id, None);
    tasks::require_parent(unit, task.id, Some(task.id));
    for reminder in [Reminder::Soon, Reminder::Overdue] {
        tasks::mark_reminded(unit, task.id, reminder, now, GUARD);
    }
    tasks::rename_project_key(unit, things.workspace, things.project, "ABC");
    people::assign(unit, task, &task.assignee_ids, now);
    people::unassign(unit, task.id, &task.assignee_ids);
    people::add_labels(unit, task.id, &task.label_ids);
    people::remove_labels(unit, task.id, &task.label_ids);
    let words = BTreeSet::from(["a".to_owned(), "b".to_owned(), "c".to_owned()]);
    index::add(unit, task, &words);
    index::remove(unit, task, &words);
}

fn sort(key: SortKey, descending: bool) -> Sort {
    Sort { key, descending }
}

/// Every filter, every sort with and without a cursor, every way a search goes, every cut into branches.
async fn lists(things: &Things, db: &Db) {
    let (task, now) = (&things.task, things.task.created_at);
    let one = Filter {
        projects: BTreeMap::from([(things.workspace, vec![things.project])]),
        ..Filter::default()
    };
    let keys = [
        SortKey::CreatedAt,
        SortKey::UpdatedAt,
        SortKey::DueAt,
        SortKey::Priority,
        SortKey::Position,
        SortKey::Number,
        SortKey::Title,
    ];
    let mut sorts: Vec<Vec<Sort>> = keys.map(|key| vec![sort(key, true)]).into();
    sorts.push(vec![
        sort(SortKey::Priority, true),
        sort(SortKey::DueAt, false),
        sort(SortKey::Title, true),
    ]);
    for sorts in &sorts {
        let place = Place::of(task, sorts);
        for after in [None, Some(&place)] {
            let _ = list::list(db, &one, sorts, after, 10).await;
        }
    }
    let newest = &sorts[0];
    let full = Filter {
        ids: vec![task.id],
        statuses: vec![Status::Open, Status::Done],
        states: vec![task.state_id],
        assignees: vec![things.user],
        unassigned: true,
        creators: vec![things.user],
        labels: vec![things.label.id],
        priorities: vec![Priority::Low, Priority::High],
        due_before: Some(now),
        due_after: Some(now),
        updated_since: Some(now),
        parent: Some(Parent::Of(task.id)),
        archived: Archived::Only,
        deleted_since: Some(now),
        ..one.clone()
    };
    let top = Filter {
        parent: Some(Parent::TopLevel),
        unassigned: true,
        archived: Archived::Any,
        ..one.clone()
    };
    let projects = |workspaces: u128, each: u128| Filter {
        projects: (0..workspaces)
            .map(|w| {
                let ids = (0..each).map(|p| ProjectId(Uuid::from_u128(w * 100 + p))).collect();
                (WorkspaceId(Uuid::from_u128(w)), ids)
            })
            .collect(),
        ..Filter::default()
    };
    for filter in [full, top, projects(1, 3), projects(2, 20), projects(20, 2)] {
        let _ = list::list(db, &filter, newest, None, 10).await;
        let _ = list::count(db, &filter).await;
    }
    let query = terms::parse_query("whole words pre");
    let _ = search::find_rare(db, one.projects.keys().copied(), &query).await;
    let named = Named {
        projects: vec![things.project],
        number: 1,
    };
    for rare in [None, Some(Word::Whole("whole".into())), Some(Word::Prefix("pre".into()))] {
        for named in [None, Some(named.clone())] {
            let text = TextFilter {
                query: query.clone(),
                rare: rare.clone(),
                named,
            };
            for base in [&one, &projects(2, 20)] {
                let filter = Filter {
                    text: Some(text.clone()),
                    ..base.clone()
                };
                let _ = list::list(db, &filter, newest, None, 10).await;
                let _ = list::count(db, &filter).await;
            }
        }
    }
    let nothing = Filter {
        text: Some(TextFilter::default()),
        ..one
    };
    let _ = list::list(db, &nothing, newest, None, 10).await;
}

async fn settings(things: &Things, db: &Db, unit: &mut Unit) {
    let (workspace, state, label) = (things.workspace, &things.state, &things.label);
    let now = state.created_at;
    let _ = states::list(db, workspace).await;
    states::mark_seeded(unit, workspace, now);
    states::insert(unit, state);
    states::update(unit, state, 1);
    states::clear_default(unit, workspace, state.id, now);
    states::require_another(unit, state, GUARD);
    states::delete(unit, state);
    for after in [None, Some("bug")] {
        let _ = labels::list(db, workspace, after, 10).await;
    }
    let _ = labels::count(db, workspace).await;
    let _ = labels::find(db, workspace, label.id).await;
    let _ = labels::list_by_ids(db, &[label.id]).await;
    labels::insert(unit, label);
    labels::update(unit, label, 1);
    labels::delete(unit, label, now);
    let view = SavedView {
        id: ViewId(things.user.0),
        workspace_id: workspace,
        project_id: Some(things.project),
        owner_id: things.user,
        shared: true,
        name: "Open".into(),
        query: "status=open".into(),
        position: 1,
        is_default: true,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let _ = views::list(db, workspace, things.user, 10).await;
    let _ = views::find(db, workspace, view.id).await;
    for of in [None, Some(things.user)] {
        let _ = views::count(db, workspace, of).await;
    }
    views::insert(unit, &view);
    views::update(unit, &view, 1);
    views::clear_default(unit, &view, now);
    views::delete(unit, &view);
    let feed = Feed {
        id: FeedId(things.user.0),
        user_id: things.user,
        name: "Mine".into(),
        query: String::new(),
        created_at: now,
    };
    let _ = feeds::list(db, things.user, 10).await;
    let _ = feeds::find_by_token(db, "hash").await;
    feeds::insert(unit, &feed, "hash");
    feeds::delete(unit, things.user, feed.id, GUARD);
    feeds::delete_of_user(unit, things.user);
}

async fn around_a_task(things: &Things, db: &Db, unit: &mut Unit) {
    let (task, comment) = (&things.task, &things.comment);
    let place = (comment.created_at, comment.id.uuid());
    for position in [None, Some(place)] {
        let _ = comments::list(db, task.id, position, 10).await;
        let _ = activity::list(db, task.id, position, 10).await;
    }
    let _ = comments::find(db, comment.id).await;
    comments::insert(unit, comment);
    comments::update(unit, comment, 1);
    comments::delete(unit, comment);
    let line = activity::Activity {
        id: ActivityId(comment.id.0),
        workspace_id: things.workspace,
        task_id: task.id,
        actor_id: Some(things.user),
        kind: "updated".into(),
        field: Some("title".into()),
        old: Value::Null,
        new: Value::from("x"),
        created_at: task.created_at,
    };
    activity::insert(unit, &[line]);
    let _ = people::attach(db, &mut [task.clone()]).await;
    for project in [None, Some(things.project)] {
        let _ = people::list_assigned(db, things.workspace, things.user, project, 10).await;
    }
    for project in [None, Some(things.project)] {
        let _ = people::list_projects_of(db, things.workspace, things.user, project, 10).await;
    }
    for user in [None, Some(things.user)] {
        let _ = people::list_assignees_in(db, things.project, user, 10).await;
    }
    let _ = index::list(db, &[task.id]).await;
}

async fn related(things: &Things, db: &Db, unit: &mut Unit) {
    let (workspace, task) = (things.workspace, &things.task);
    let row = relations::RelationRow {
        workspace_id: workspace,
        edge: Edge::Blocks,
        source_id: task.id,
        target_id: task.id,
        creator_id: Some(things.user),
        created_at: task.created_at,
    };
    let _ = relations::list(db, workspace, task.id, 10).await;
    let _ = relations::count(db, task.id).await;
    let _ = relations::find(db, Edge::Blocks, task.id, task.id).await;
    let _ = relations::list_targets(db, Edge::Blocks, &[task.id], 10).await;
    let _ = relations::graph_version(db, workspace).await;
    relations::insert(unit, &row);
    relations::delete(unit, &row, GUARD);
    relations::grow_graph(unit, workspace, 1, GUARD);
    let (first, time) = Recurrence::occurrence(Due::moment(task.created_at), "UTC");
    let series = Recurrence {
        id: RecurrenceId(task.id.0),
        workspace_id: workspace,
        project_id: things.project,
        task_id: task.id,
        rule: "FREQ=DAILY".into(),
        trigger: Trigger::Schedule,
        time_zone: "UTC".into(),
        first,
        time,
        current: first,
        creator_id: None,
        ended_at: None,
        version: 1,
        created_at: task.created_at,
        updated_at: task.created_at,
    };
    let _ = recurrences::find(db, series.id).await;
    recurrences::insert(unit, &series);
    recurrences::update(unit, &series, 1, GUARD);
}

async fn clean_up(things: &Things, db: &Db, unit: &mut Unit) {
    let (workspace, project, task) = (things.workspace, things.project, &things.task);
    let _ = purge::list_expired(db, task.created_at, 10).await;
    for project in [None, Some(project)] {
        let _ = purge::list_in(db, workspace, project, 10).await;
    }
    purge::delete_expired(unit, &[task.id], task.created_at);
    purge::delete_stranded_series(unit, &[task.id]);
    purge::delete_tasks(unit, workspace, &[task.id]);
    purge::delete_settings(unit, workspace);
    purge::delete_project(unit, workspace, project);
    for kind in [refold::Kind::Task, refold::Kind::Label, refold::Kind::State] {
        let _ = refold::list(db, kind, 10).await;
        refold::done(unit, kind, &[task.id.0]);
    }
    let _ = refold::list_states(db, &[things.state.id]).await;
    refold::write_title(unit, task);
    refold::write_label(unit, &things.label);
    refold::write_state(unit, &things.state);
}
