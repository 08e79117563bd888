//! Every statement of the store, prepared.

use contracts::tasks::events::TaskRef;
use kernel::Clock;
use kernel::ids::{EntityId, EventId, NotificationId, ProjectId, TaskId, UserId, WorkspaceId};
use testkit::FixedClock;

use crate::SCHEMA;
use crate::error::NOT_FOUND;
use crate::model::{Channels, Content, EmailMode, Kind, Level, Subject, Told};
use crate::store::inbox::{Filter, NotificationRow, Scope};
use crate::store::{event_log, inbox, participants, preferences, purge, settings, subscriptions};

#[tokio::test]
async fn the_engine_accepts_every_statement_of_the_store() {
    let clock = FixedClock::default();
    let now = clock.now();
    let (user, id) = (UserId::generate(&clock), NotificationId::generate(&clock));
    let (workspace, project, task) = (WorkspaceId::generate(&clock), ProjectId::generate(&clock), TaskId::generate(&clock));
    let scopes = [None, Some(project)].map(|project_id| Scope {
        workspace_id: workspace,
        project_id,
    });
    let everything = Filter {
        unread: Some(false),
        workspace_id: Some(workspace),
        kinds: vec![Kind::TaskCreated],
        until: Some(now),
        hidden: scopes.to_vec(),
    };
    let row = NotificationRow {
        id,
        user_id: user,
        event_id: EventId::generate(&clock),
        kind: Kind::TaskCreated,
        workspace_id: Some(workspace),
        project_id: Some(project),
        task_id: Some(task),
        change_key: Some("change".to_owned()),
        actor_id: Some(user),
        content: Content::default(),
        created_at: now,
        read_at: None,
    };
    let entry = event_log::NewEntry {
        workspace_id: workspace,
        event_id: row.event_id,
        event_type: "task.created".to_owned(),
        project_id: Some(project),
        user_id: Some(user),
        permission: None,
        envelope: "{}".to_owned(),
        created_at: now,
    };
    let about = TaskRef {
        task_id: task,
        workspace_id: workspace,
        project_id: project,
        title: String::new(),
        assignee_ids: Vec::new(),
        creator_id: None,
        version: 1,
    };
    let subscription = subscriptions::SubscriptionRow {
        user_id: user,
        subject_id: task.uuid(),
        subject: Subject::Task,
        workspace_id: workspace,
        project_id: project,
        level: Level::Muted,
        created_at: now,
    };
    let on = Channels { in_app: true, email: true };
    testkit::prepare_store(SCHEMA, env!("CARGO_MANIFEST_DIR"), async |db, unit| {
        let _ = event_log::after(db, workspace, 0, 10).await;
        let _ = event_log::bounds(db, workspace).await;
        event_log::append(unit, &entry);
        event_log::erase_before(unit, now);
        event_log::erase_user(unit, user);

        for filter in [&Filter::default(), &everything] {
            let _ = inbox::list(db, user, filter, None, 10).await;
            let _ = inbox::list(db, user, filter, Some((1, id)), 10).await;
            let _ = inbox::count(db, user, filter).await;
            let _ = inbox::read_count(unit, user, filter);
        }
        let _ = inbox::find(db, user, id).await;
        let _ = inbox::of_change(db, "change").await;
        let _ = inbox::scopes(db, user).await;
        inbox::insert(unit, &row, Told::default(), true).expect("json");
        inbox::set_read(unit, user, id, Some(now));
        inbox::read_all(unit, user, Some(workspace), now, now);
        inbox::dismiss(unit, user, id, now);
        inbox::replace(unit, user, &[id]);
        let _ = inbox::awaiting(db, user, 10).await;
        inbox::settle(unit, user, &[id]);
        inbox::erase_old(unit, now, now);
        inbox::erase_user(unit, user);

        let _ = participants::of_task(db, workspace, task).await;
        participants::join(unit, &about, user, now);
        participants::erase_user(unit, user);

        let _ = preferences::preferences_of(db, user).await;
        let _ = preferences::preferences_of_all(db, &[user], &[Kind::TaskCreated]).await;
        let _ = preferences::anybody_wants(db, Kind::TaskCreated).await;
        let _ = preferences::read(unit, user);
        for named in [(true, true), (true, false), (false, true)] {
            preferences::put(unit, user, Kind::TaskCreated, on, named.0, named.1, now);
        }
        preferences::reset(unit, user, Kind::TaskCreated);
        preferences::erase_user(unit, user);

        let _ = settings::find(db, user).await;
        let _ = settings::of_all(db, &[user]).await;
        let _ = settings::read(unit, user);
        for (mode_named, hour_named) in [(true, true), (true, false), (false, true)] {
            settings::put(unit, user, (EmailMode::Daily, mode_named), (8, hour_named), now);
        }
        settings::take_turn(unit, user, now);
        settings::set_next_digest(unit, user, Some(now));
        settings::take_digest(unit, user, now, NOT_FOUND);
        settings::erase_user(unit, user);

        let chosen = subscriptions::Filter {
            level: Some(Level::Muted),
            subject: Some(Subject::Task),
            workspace_id: Some(workspace),
            hidden: vec![project],
        };
        let subject = task.uuid();
        for filter in [&subscriptions::Filter::default(), &chosen] {
            let _ = subscriptions::list(db, user, filter, None, 10).await;
            let _ = subscriptions::list(db, user, filter, Some((1, subject)), 10).await;
        }
        let _ = subscriptions::of_task(db, project, task).await;
        let _ = subscriptions::find(db, user, [subject; 2]).await;
        let _ = subscriptions::read(unit, user, [subject; 2]);
        let _ = subscriptions::count(db, user).await;
        let _ = subscriptions::scopes(db, user).await;
        subscriptions::put(unit, &subscription);
        subscriptions::delete(unit, user, subject);
        subscriptions::erase_member(unit, workspace, user, now);
        subscriptions::erase_user(unit, user);

        for project_id in [None, Some(project)] {
            let area = purge::Area {
                workspace_id: workspace,
                project_id,
            };
            let _ = purge::portion(db, area, 10).await;
            purge::erase(
                unit,
                area,
                &purge::Portion {
                    notifications: vec![id],
                    tasks: vec![task],
                    subjects: vec![subject],
                    entries: vec![1],
                },
            );
        }
        purge::erase_counter(unit, workspace);
    })
    .await;
}
