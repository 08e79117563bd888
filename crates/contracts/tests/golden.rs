//! One golden file per event version: what consumers were promised. A golden is never edited, except that a new
//! optional member may be added; a breaking change is a new version beside the old.
//!
//! `GUILDHALL_TEST_BLESS=1 cargo test -p contracts --test golden` writes the files of new events.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use contracts::audit::{Action, Entry, Log, events as audit};
use contracts::catalog::EVENTS;
use contracts::identity::events as identity;
use contracts::notifications::events as notifications;
use contracts::tasks::events as tasks;
use contracts::webhooks::events as webhooks;
use contracts::workspaces::events as workspaces;
use contracts::{Envelope, EventPayload};
use kernel::ids::{
    CommentId, EntityId, EventId, InvitationId, NotificationId, ProjectId, SessionId, TaskId, UserId, Uuid, WebhookId, WorkspaceId,
};
use kernel::roles::{Role, SalesRole};
use kernel::{Actor, Timestamp};
use serde_json::{Value, json};

fn id<T: EntityId>(n: u128) -> T {
    T::from_uuid(Uuid::from_u128(0x0193_4f6e_8a00_7000_8000_0000_0000_0000 + n))
}

fn user(n: u128) -> UserId {
    id(0x100 + n)
}

fn workspace() -> WorkspaceId {
    id(0x200)
}

fn project() -> ProjectId {
    id(0x300)
}

const NOON: Timestamp = Timestamp::from_micros(1_795_262_400_000_001);

fn task() -> tasks::TaskRef {
    tasks::TaskRef {
        task_id: id::<TaskId>(0x400),
        workspace_id: workspace(),
        project_id: project(),
        title: "Paint the door — “red”".into(),
        assignee_ids: vec![user(1), user(2)],
        creator_id: Some(user(1)),
        version: 7,
    }
}

struct Sample {
    event_type: &'static str,
    envelope: Envelope,
}

/// Members in the order of their names, whatever features serde_json was built with.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let map: BTreeMap<String, Value> = map.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            Value::Object(map.into_iter().collect())
        }
        Value::Array(list) => list.into_iter().map(sorted).collect(),
        other => other,
    }
}

fn sample<P: EventPayload>(payload: &P) -> Sample {
    let service = P::TYPE.split('.').next().expect("a service");
    Sample {
        event_type: P::TYPE,
        envelope: Envelope {
            specversion: "1.0".into(),
            id: id::<EventId>(1),
            source: format!("/services/{service}"),
            event_type: P::TYPE.into(),
            subject: payload.subject(),
            time: NOON,
            datacontenttype: "application/json".into(),
            workspaceid: payload.workspace_id(),
            actor: Actor::User {
                user_id: user(1),
                session_id: id::<SessionId>(0x500),
            },
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
            requestid: Some("req-1".into()),
            data: sorted(serde_json::to_value(payload).expect("serialises")),
        },
    }
}

fn identity_samples() -> Vec<Sample> {
    vec![
        sample(&identity::UserRegistered {
            user_id: user(1),
            email: "ada@example.com".into(),
            email_verified: false,
            name: "Ada Lovelace".into(),
        }),
        sample(&identity::EmailVerified {
            user_id: user(1),
            email: "ada@example.com".into(),
            reclaimed: false,
        }),
        sample(&identity::ProfileUpdated {
            user_id: user(1),
            name: "Ada".into(),
            time_zone: "Europe/London".into(),
            locale: "en-GB".into(),
        }),
        sample(&identity::UserDeactivated {
            user_id: user(1),
            deleted: true,
            sole_owned_workspaces: Some(contracts::identity::SoleOwnedWorkspaces::Transfer),
        }),
        sample(&identity::SessionsEnded {
            user_id: user(1),
            session_ids: vec![id(0x500)],
        }),
    ]
}

fn workspaces_samples() -> Vec<Sample> {
    let (workspace_id, project_id) = (workspace(), project());
    let workspace_name = || "Forge".to_owned();
    vec![
        sample(&workspaces::WorkspaceCreated {
            workspace_id,
            name: workspace_name(),
            slug: "forge".into(),
            owner_id: user(1),
        }),
        sample(&workspaces::WorkspaceUpdated {
            workspace_id,
            name: workspace_name(),
            slug: "forge".into(),
            changed: vec!["name".into()],
        }),
        sample(&workspaces::WorkspaceDeleted { workspace_id }),
        sample(&workspaces::WorkspaceRestored { workspace_id }),
        sample(&workspaces::WorkspacePurged { workspace_id }),
        sample(&workspaces::MemberAdded {
            workspace_id,
            workspace_name: workspace_name(),
            user_id: user(2),
            role: Role::Collaborator,
            sales_role: Some(SalesRole::Agent),
        }),
        sample(&workspaces::RoleChanged {
            workspace_id,
            workspace_name: workspace_name(),
            project_id: Some(project_id),
            project_name: Some("Doors".into()),
            user_id: user(2),
            old_role: None,
            new_role: Some(Role::Viewer),
            old_sales_role: Some(SalesRole::Manager),
            new_sales_role: None,
        }),
        sample(&workspaces::MemberRemoved {
            workspace_id,
            user_id: user(2),
            left: false,
        }),
        sample(&workspaces::MemberInvited {
            workspace_id,
            workspace_name: workspace_name(),
            invitation_id: id::<InvitationId>(0x600),
            email: Some("grace@example.com".into()),
            user_id: None,
            role: Role::Owner,
        }),
        sample(&workspaces::ProjectCreated {
            workspace_id,
            project_id,
            key: "DOOR".into(),
            name: "Doors".into(),
        }),
        sample(&workspaces::ProjectUpdated {
            workspace_id,
            project_id,
            key: "DOOR".into(),
            name: "Doors".into(),
            archived: true,
            changed: vec!["archived".into()],
        }),
        sample(&workspaces::ProjectDeleted { workspace_id, project_id }),
        sample(&workspaces::ProjectRestored { workspace_id, project_id }),
        sample(&workspaces::ProjectPurged { workspace_id, project_id }),
    ]
}

fn tasks_samples() -> Vec<Sample> {
    let comment_id = id::<CommentId>(0x700);
    vec![
        sample(&tasks::TaskCreated {
            task: task(),
            mentioned_ids: vec![user(3)],
            import_id: None,
        }),
        sample(&tasks::TaskUpdated {
            task: task(),
            changed: vec!["title".into(), "due_at".into()],
            mentioned_ids: vec![],
        }),
        sample(&tasks::TaskAssigned {
            task: task(),
            added_ids: vec![user(2)],
            removed_ids: vec![user(3)],
        }),
        sample(&tasks::TaskCompleted { task: task() }),
        sample(&tasks::TaskReopened { task: task() }),
        sample(&tasks::TaskArchived {
            task: task(),
            archived: true,
        }),
        sample(&tasks::TaskDeleted { task: task() }),
        sample(&tasks::TaskRestored { task: task() }),
        sample(&tasks::TaskRelated {
            task: task(),
            relation: "blocks".into(),
            other_id: Some(id::<TaskId>(0x401)),
        }),
        sample(&tasks::TaskUnrelated {
            task: task(),
            relation: "duplicated_by".into(),
            other_id: Some(id::<TaskId>(0x401)),
        }),
        sample(&tasks::TaskDueSoon {
            task: task(),
            due_at: NOON,
        }),
        sample(&tasks::TaskOverdue {
            task: task(),
            due_at: NOON,
        }),
        sample(&tasks::CommentCreated {
            task: task(),
            comment_id,
            excerpt: "Looks good @grace".into(),
            mentioned_ids: vec![user(3)],
        }),
        sample(&tasks::CommentUpdated {
            task: task(),
            comment_id,
            mentioned_ids: vec![],
        }),
        sample(&tasks::CommentDeleted { task: task(), comment_id }),
        sample(&tasks::TasksImported {
            import_id: id(0x780),
            workspace_id: workspace(),
            project_id: project(),
            project_name: "Anvil".into(),
            created: 12,
            assignee_ids: vec![user(2)],
        }),
        sample(&tasks::TaskSettingsChanged {
            workspace_id: workspace(),
            changed: vec!["labels".into()],
        }),
    ]
}

fn audit_sample() -> Sample {
    let entry = Entry::new(Log::Workspace(workspace()), Action::MemberRoleChanged, "member")
        .id(user(2))
        .name("Ben")
        .change("role", Role::Viewer, Role::Owner)
        .changed("secret");
    let source = audit::Source {
        address: [203, 0, 113, 9].into(),
        user_agent: Some("curl/8.5.0".into()),
    };
    sample(&audit::ActionRecorded::new(entry, Some(source)))
}

fn samples() -> Vec<Sample> {
    let notification = notifications::NotificationCreated {
        notification_id: id::<NotificationId>(0x800),
        user_id: user(2),
        workspace_id: Some(workspace()),
        kind: "task.assigned".into(),
    };
    let mut all = identity_samples();
    all.extend(workspaces_samples());
    all.extend(tasks_samples());
    all.push(sample(&notification));
    all.extend(webhooks_samples());
    all.push(audit_sample());
    all
}

fn webhooks_samples() -> Vec<Sample> {
    let (workspace_id, webhook_id) = (workspace(), id::<WebhookId>(0x900));
    let host = || "hooks.example.com".to_owned();
    vec![
        sample(&webhooks::WebhookCreated {
            workspace_id,
            webhook_id,
            host: host(),
            event_types: vec!["task.*".into(), "member.added".into()],
        }),
        sample(&webhooks::WebhookUpdated {
            workspace_id,
            webhook_id,
            host: host(),
            changed: vec!["url".into(), "secret".into()],
        }),
        sample(&webhooks::WebhookDeleted {
            workspace_id,
            webhook_id,
            host: host(),
        }),
        sample(&webhooks::WebhookDisabled {
            workspace_id,
            webhook_id,
            host: host(),
            reason: "failing".into(),
        }),
    ]
}

fn golden_path(event_type: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(format!("{event_type}.json"))
}

#[expect(clippy::disallowed_methods, reason = "a switch of the person who runs the test")]
fn bless() -> bool {
    std::env::var_os("GUILDHALL_TEST_BLESS").is_some()
}

#[test]
fn every_event_is_written_as_promised_and_what_was_promised_is_read() {
    for Sample { event_type, envelope } in samples() {
        let path = golden_path(event_type);
        let mut written = serde_json::to_string_pretty(&envelope).expect("serialises");
        written.push('\n');
        if bless() && !path.exists() {
            std::fs::write(&path, &written).expect("writes the golden");
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(written, golden, "{event_type}");
        let read: Envelope = serde_json::from_str(&golden).expect("reads the golden");
        assert_eq!(read, envelope, "{event_type}");
    }
}

#[test]
fn consumers_ignore_members_they_do_not_know() {
    for event in EVENTS {
        let golden = std::fs::read_to_string(golden_path(event.event_type)).expect("a golden");
        let mut json: Value = serde_json::from_str(&golden).expect("JSON");
        json["futureextension"] = json!("x");
        let data = json["data"].clone();
        json["data"]["member_of_the_future"] = json!({ "a": [1] });
        let envelope: Envelope = serde_json::from_value(json).expect("an envelope with a new extension");
        let back = (event.round_trip)(envelope.data).unwrap_or_else(|error| panic!("{}: {error}", event.event_type));
        assert_eq!(back, data, "{}", event.event_type);
    }
}

#[test]
fn every_event_has_one_sample_one_golden_and_a_place_in_the_catalog() {
    let listed: BTreeSet<&str> = EVENTS.iter().map(|event| event.event_type).collect();
    assert_eq!(listed.len(), EVENTS.len(), "a type is listed twice");
    let sampled: BTreeSet<&str> = samples().iter().map(|sample| sample.event_type).collect();
    assert_eq!(sampled, listed);

    let folder = golden_path("x").parent().expect("a folder").to_owned();
    let files = std::fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name());
    let files: BTreeSet<String> = files
        .map(|name| name.to_string_lossy().trim_end_matches(".json").to_owned())
        .collect();
    assert_eq!(files, listed.iter().map(|&name| name.to_owned()).collect());

    // Types in the sources that somebody forgot to list.
    let sources = [
        include_str!("../src/audit.rs"),
        include_str!("../src/identity.rs"),
        include_str!("../src/workspaces.rs"),
        include_str!("../src/tasks.rs"),
        include_str!("../src/notifications.rs"),
        include_str!("../src/webhooks.rs"),
    ];
    let literals = sources.iter().flat_map(|source| source.split('"').skip(1).step_by(2));
    let declared: BTreeSet<&str> = literals
        .filter(|text| text.rsplit_once(".v").is_some_and(|(_, n)| n.parse::<u32>().is_ok()))
        .collect();
    assert_eq!(declared, listed);
}
