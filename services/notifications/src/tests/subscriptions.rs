//! Subscribing and muting.

use std::collections::BTreeSet;
use std::time::Duration;

use contracts::identity::events::UserDeactivated;
use contracts::tasks::events::{TaskAssigned, TaskCompleted, TaskOverdue, TaskRef, TaskUpdated};
use contracts::workspaces::events::{MemberRemoved, ProjectPurged};
use kernel::ids::{ProjectId, TaskId, UserId};
use kernel::roles::Role;
use kernel::{Clock, ErrorKind};
use platform::db::count_statements;

use super::World;
use super::news::{comment, prefer};
use crate::model::{Kind, Level, Subject};
use crate::service::subscriptions::{ListSubscriptions, Target};
use crate::service::views::SubscriptionView;

impl World {
    async fn choose(&self, user: UserId, target: Target, level: Level) -> SubscriptionView {
        let reply = self.service.subscribe(&self.caller(user), target, level).await;
        reply.expect("chosen").body
    }

    async fn reset(&self, user: UserId, target: Target) {
        self.service.unsubscribe(&self.caller(user), target).await.expect("taken back");
    }

    async fn chosen(&self, user: UserId, level: Option<Level>) -> Vec<SubscriptionView> {
        let request = ListSubscriptions {
            level,
            subject: None,
            workspace_id: None,
            cursor: None,
            limit: 200,
        };
        let page = self.service.list_subscriptions(&self.caller(user), request).await;
        page.expect("a page").items
    }

    /// Ada works on it: comments, changes, completes.
    async fn ada_works_on(&self, task: &mut TaskRef) {
        self.happens(Some(self.ada), &comment(self, task, &[])).await;
        task.version += 1;
        let updated = TaskUpdated {
            task: task.clone(),
            changed: vec!["title".to_owned()],
            mentioned_ids: vec![],
        };
        self.happens(Some(self.ada), &updated).await;
        task.version += 1;
        self.happens(Some(self.ada), &TaskCompleted { task: task.clone() }).await;
    }
}

fn project(world: &World) -> Target {
    Target::Project(world.project)
}

#[tokio::test]
async fn who_subscribes_to_a_project_hears_of_everything_in_it() {
    let world = World::new().await;
    let view = world.choose(world.cleo, project(&world), Level::Subscribed).await;
    assert_eq!((view.subject, view.key.as_str()), (Subject::Project, "ABC"));
    assert_eq!(
        (view.level, view.effective_level),
        (Some(Level::Subscribed), Some(Level::Subscribed))
    );
    let created = world.created(&[world.ben]);
    world.happens(Some(world.ada), &created).await;
    let mut task = created.task;
    world.ada_works_on(&mut task).await;
    assert_eq!(
        world.kinds(world.cleo).await,
        vec!["task.completed", "task.updated", "task.commented", "task.created"]
    );
    let mails = world.mails().await.into_iter().filter(|mail| mail.to == "cleo@example.com");
    assert_eq!(
        mails.map(|mail| mail.subject).collect::<Vec<_>>(),
        vec!["Ada commented on ABC-12 Fix the login"],
        "by mail what the preferences say"
    );
    world.happens(Some(world.cleo), &comment(&world, &task, &[])).await;
    assert_eq!(world.inbox(world.cleo).await.len(), 4, "never the actor");

    prefer(&world, world.cleo, Kind::TaskCreated, false, false).await;
    world.happens(Some(world.ada), &world.created(&[])).await;
    assert_eq!(world.inbox(world.cleo).await.len(), 4, "new tasks were switched off");
    world.reset(world.cleo, project(&world)).await;
    let mut other = world.task(&[world.ben]);
    world.ada_works_on(&mut other).await;
    assert_eq!(world.inbox(world.cleo).await.len(), 4, "unsubscribed");
}

#[tokio::test]
async fn who_watches_a_task_takes_part_in_it_and_in_no_other() {
    let world = World::new().await;
    let (mut watched, mut other) = (world.task(&[world.ben]), world.task(&[world.ben]));
    let view = world.choose(world.cleo, Target::Task(watched.task_id), Level::Subscribed).await;
    assert_eq!((view.key.as_str(), view.name.as_str()), ("ABC-12", "Fix the login"));
    assert_eq!((view.task_id, view.project_id), (Some(watched.task_id), world.project));
    world.ada_works_on(&mut watched).await;
    world.ada_works_on(&mut other).await;
    let about: BTreeSet<Option<TaskId>> = world.inbox(world.cleo).await.iter().map(|item| item.task_id).collect();
    assert_eq!(about, BTreeSet::from([Some(watched.task_id)]));
    assert_eq!(world.inbox(world.cleo).await.len(), 3);
}

#[tokio::test]
async fn a_muted_project_is_silent_but_for_what_is_addressed_to_the_person() {
    let world = World::new().await;
    world.choose(world.ben, project(&world), Level::Muted).await;
    let mut task = world.task(&[world.ben]);
    world.ada_works_on(&mut task).await;
    let overdue = TaskOverdue {
        task: task.clone(),
        due_at: world.clock.now(),
    };
    world.happens(None, &overdue).await;
    assert_eq!(world.kinds(world.ben).await, Vec::<&str>::new());
    assert_eq!(world.mails().await, vec![]);

    world.happens(Some(world.ada), &comment(&world, &task, &[world.ben])).await;
    task.version += 1;
    let assigned = TaskAssigned {
        task: task.clone(),
        added_ids: vec![world.ben],
        removed_ids: vec![],
    };
    world.happens(Some(world.ada), &assigned).await;
    world.happens(Some(world.ada), &world.created(&[world.ben])).await;
    assert_eq!(
        world.kinds(world.ben).await,
        vec!["task.assigned", "task.assigned", "task.mentioned"]
    );
    assert_eq!(world.mails().await.len(), 3);

    prefer(&world, world.ben, Kind::TaskMentioned, false, false).await;
    world.happens(Some(world.ada), &comment(&world, &task, &[world.ben])).await;
    assert_eq!(
        world.inbox(world.ben).await.len(),
        3,
        "a comment under a mute, although he is mentioned"
    );
    world.reset(world.ben, project(&world)).await;
    world.happens(Some(world.ada), &comment(&world, &task, &[])).await;
    assert_eq!(world.kinds(world.ben).await[0], "task.commented", "unmuted");
}

#[tokio::test]
async fn the_choice_for_a_task_wins_over_that_for_its_project() {
    let world = World::new().await;
    let (mut loud, mut quiet) = (world.task(&[world.ben, world.cleo]), world.task(&[world.ben, world.cleo]));
    // Ben mutes the project but watches one task, Cleo the other way round.
    world.choose(world.ben, project(&world), Level::Muted).await;
    world.choose(world.ben, Target::Task(loud.task_id), Level::Subscribed).await;
    world.choose(world.cleo, project(&world), Level::Subscribed).await;
    let view = world.choose(world.cleo, Target::Task(loud.task_id), Level::Muted).await;
    assert_eq!((view.level, view.effective_level), (Some(Level::Muted), Some(Level::Muted)));
    let inherited = world
        .service
        .get_subscription(&world.caller(world.cleo), Target::Task(quiet.task_id))
        .await
        .expect("readable");
    assert_eq!((inherited.level, inherited.effective_level), (None, Some(Level::Subscribed)));
    world.ada_works_on(&mut loud).await;
    world.ada_works_on(&mut quiet).await;
    let about = async |user| world.inbox(user).await.iter().map(|item| item.task_id).collect::<BTreeSet<_>>();
    assert_eq!(about(world.ben).await, BTreeSet::from([Some(loud.task_id)]));
    assert_eq!(about(world.cleo).await, BTreeSet::from([Some(quiet.task_id)]));
}

#[tokio::test]
async fn a_choice_replaces_the_one_before_and_repeating_changes_nothing() {
    let world = World::new().await;
    for level in [Level::Subscribed, Level::Muted, Level::Muted, Level::Subscribed] {
        world.clock.advance(Duration::from_secs(1));
        world.choose(world.ben, project(&world), level).await;
        let all = world.chosen(world.ben, None).await;
        assert_eq!(all.iter().map(|view| view.level).collect::<Vec<_>>(), vec![Some(level)]);
        assert_eq!(world.chosen(world.ben, Some(level)).await, all);
    }
    assert_eq!(world.chosen(world.ben, Some(Level::Muted)).await, vec![]);
    for _ in 0..2 {
        world.reset(world.ben, project(&world)).await;
        let view = world
            .service
            .get_subscription(&world.caller(world.ben), project(&world))
            .await
            .expect("readable");
        assert_eq!((view.level, view.effective_level, view.created_at), (None, None, None));
    }
}

#[tokio::test]
async fn sec_22_foreign_projects_and_tasks_do_not_exist() {
    let world = World::new().await;
    world.workspaces.add_project(world.workspace, world.project, true);
    let task = world.task(&[]);
    let unknown = [Target::Project(ProjectId(task.task_id.0)), Target::Task(TaskId(world.project.0))];
    for user in [world.mallory, world.ben] {
        for target in [project(&world), Target::Task(task.task_id)].into_iter().chain(unknown) {
            let caller = world.caller(user);
            let answers = [
                world.service.get_subscription(&caller, target).await.map(drop),
                world.service.subscribe(&caller, target, Level::Subscribed).await.map(drop),
                world.service.unsubscribe(&caller, target).await,
            ];
            for answer in answers {
                assert_eq!(answer.expect_err("hidden").kind, ErrorKind::NotFound, "{target:?}");
            }
        }
    }
    assert_eq!(super::rows(&world.db, "notification_subscriptions").await, 0);
}

#[tokio::test]
async fn sec_22_who_lost_access_hears_nothing_sees_nothing_and_may_still_take_it_back() {
    let world = World::new().await;
    world.workspaces.add_project(world.workspace, world.project, true);
    world.workspaces.set_project_role(world.project, world.cleo, Some(Role::Viewer));
    let mut task = world.task(&[]);
    world.choose(world.cleo, project(&world), Level::Subscribed).await;
    world.choose(world.cleo, Target::Task(task.task_id), Level::Subscribed).await;
    world.workspaces.set_project_role(world.project, world.cleo, None);
    world.ada_works_on(&mut task).await;
    assert_eq!(world.announced().await, 0, "nothing was made for anybody");
    assert_eq!(world.mails().await, vec![]);
    assert_eq!(world.chosen(world.cleo, None).await, vec![]);
    world.workspaces.set_project_role(world.project, world.cleo, Some(Role::Viewer));
    assert_eq!(world.chosen(world.cleo, None).await.len(), 2, "back with the access");
    world.workspaces.set_project_role(world.project, world.cleo, None);
    world.reset(world.cleo, project(&world)).await;
    let again = world.service.unsubscribe(&world.caller(world.cleo), project(&world)).await;
    assert_eq!(again.expect_err("hidden").kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn who_leaves_takes_their_choices_along_and_so_does_what_is_purged() {
    let world = World::new().await;
    let task = world.task(&[]);
    for user in [world.ada, world.ben, world.cleo] {
        world.choose(user, project(&world), Level::Subscribed).await;
        world.choose(user, Target::Task(task.task_id), Level::Muted).await;
    }
    let removed = MemberRemoved {
        workspace_id: world.workspace,
        user_id: world.ben,
        left: false,
    };
    world.happens(Some(world.ada), &removed).await;
    assert_eq!(super::rows(&world.db, "notification_subscriptions").await, 4);
    let deleted = UserDeactivated {
        user_id: world.cleo,
        deleted: true,
        sole_owned_workspaces: None,
    };
    world.happens(None, &deleted).await;
    assert_eq!(super::rows(&world.db, "notification_subscriptions").await, 2);
    // News of the removal that comes late does not take what was chosen after it.
    let late = world.envelope(Some(world.ada), &removed);
    world.clock.advance(Duration::from_secs(5));
    world.choose(world.ben, project(&world), Level::Subscribed).await;
    world.try_deliver(&late).await.expect("delivered");
    assert_eq!(super::rows(&world.db, "notification_subscriptions").await, 3);
    let purged = ProjectPurged {
        workspace_id: world.workspace,
        project_id: world.project,
    };
    world.happens(None, &purged).await;
    world.work().await;
    assert_eq!(super::rows(&world.db, "notification_subscriptions").await, 0);
}

#[tokio::test]
async fn the_list_is_paged_filtered_and_costs_a_fixed_number_of_statements() {
    let world = World::new().await;
    let mut chosen = Vec::new();
    for number in 0..7 {
        world.clock.advance(Duration::from_millis(u64::from(number % 2 == 0)));
        let task = world.task(&[]);
        world.choose(world.ben, Target::Task(task.task_id), Level::Subscribed).await;
        chosen.push(task.task_id);
    }
    world.choose(world.ben, project(&world), Level::Muted).await;
    let page = async |cursor: Option<String>, subject: Option<Subject>, limit: u32| {
        let request = ListSubscriptions {
            level: None,
            subject,
            workspace_id: Some(world.workspace),
            cursor,
            limit,
        };
        world.service.list_subscriptions(&world.caller(world.ben), request).await
    };
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let next = page(cursor, Some(Subject::Task), 3).await.expect("a page");
        seen.extend(next.items.into_iter().filter_map(|view| view.task_id));
        cursor = next.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.iter().collect::<BTreeSet<_>>(), chosen.iter().collect::<BTreeSet<_>>());
    assert_eq!(seen.len(), chosen.len(), "each once");
    let first = page(None, Some(Subject::Task), 3).await.expect("a page").next_cursor;
    let error = page(first, None, 3).await.expect_err("the cursor of another list");
    assert_eq!(error.code, "request.cursor_invalid");
    for limit in [1, 8, 200] {
        let (all, statements) = count_statements(page(None, None, limit)).await;
        assert_eq!(all.expect("a page").items.len(), usize::try_from(limit.min(8)).expect("small"));
        assert_eq!(statements, 2, "where they lie, and the page");
    }
    world.tasks.remove(chosen[0]);
    assert_eq!(world.chosen(world.ben, None).await.len(), 7, "a deleted task is left out");
}

#[tokio::test]
async fn an_event_costs_a_fixed_number_of_statements_however_many_people_chose() {
    let world = World::new().await;
    let task = world.task(&[world.ben]);
    let cost = async || {
        let event = world.envelope(Some(world.ada), &comment(&world, &task, &[]));
        let (delivered, statements) = count_statements(world.try_deliver(&event)).await;
        delivered.expect("delivered");
        statements
    };
    let before = cost().await;
    world.choose(world.cleo, project(&world), Level::Muted).await;
    world.choose(world.ben, Target::Task(task.task_id), Level::Subscribed).await;
    assert_eq!(cost().await, before);
}
