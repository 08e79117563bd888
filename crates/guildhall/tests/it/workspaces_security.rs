//! Lines of the security checklist that workspaces answers for.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, Client, TestApp, join};
use crate::workspaces_flow::token_in;

async fn act(client: &Client, path: &str) -> Answer {
    client.send(client.request(Method::POST, path)).await
}

/// The claims of an access token, unverified.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("a JWT");
    serde_json::from_slice(&data_encoding::BASE64URL_NOPAD.decode(payload.as_bytes()).expect("base64url")).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_12_no_roles_in_tokens_and_removal_works_at_once() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.register("ada").await, app.register("bob").await);
    let workspace = ada.workspace("Acme").await;
    join(&app, &ada, &workspace, &bob, "collaborator").await;
    let project = ada.project(&workspace, "ABC").await;
    let claims = claims(bob.token.as_deref().expect("a token"));
    let names: Vec<_> = claims.as_object().expect("claims").keys().map(String::as_str).collect();
    for name in ["role", "roles", "workspaces", "permissions", "scope", "admin"] {
        assert!(!names.contains(&name), "{claims}");
    }

    let tasks = format!("/v1/projects/{project}/tasks");
    let member = format!("/v1/workspaces/{workspace}/members/{}", bob.user_id);
    // Warm every cache, then take the role away: the very next request with the same token is refused.
    bob.post(&tasks, json!({ "title": "Before" })).await.expect(StatusCode::CREATED);
    ada.patch_if(&member, 1, json!({ "role": "viewer" })).await.expect(StatusCode::OK);
    bob.post(&tasks, json!({ "title": "After" })).await.expect(StatusCode::FORBIDDEN);
    bob.get(&tasks).await.expect(StatusCode::OK);
    ada.delete_if(&member, 2).await.expect(StatusCode::NO_CONTENT);
    bob.get(&tasks).await.expect(StatusCode::NOT_FOUND);
    bob.get(&format!("/v1/projects/{project}")).await.expect(StatusCode::NOT_FOUND);
    bob.get(&format!("/v1/workspaces/{workspace}")).await.expect(StatusCode::NOT_FOUND);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_16_invitation_tokens_are_secret_bound_and_for_one_use() {
    let app = TestApp::start().await;
    let (ada, bob, eve) = (app.register("ada").await, app.register("bob").await, app.register("eve").await);
    let workspace = ada.workspace("Acme").await;
    let path = format!("/v1/workspaces/{workspace}/invitations");
    let issued = ada
        .post(&path, json!({ "email": "Bob@Example.com", "role": "collaborator" }))
        .await
        .expect(StatusCode::CREATED);
    let token = token_in(
        &app.mail("bob@example.com", |mail| mail.text.contains("/v1/invitations/"))
            .await
            .text,
    );
    assert!(token.len() >= 43, "256 bits");
    assert!(!issued.text.contains(&token), "the inviter never sees the token of a mail");

    let accept = format!("/v1/invitations/{token}/acceptance");
    act(&eve, &accept)
        .await
        .expect_problem(StatusCode::FORBIDDEN, "workspaces.invitation.other_address");
    act(&bob, &accept).await.expect(StatusCode::CREATED);
    act(&bob, &accept)
        .await
        .expect_problem(StatusCode::GONE, "workspaces.invitation.ended");
    act(&eve, &accept)
        .await
        .expect_problem(StatusCode::GONE, "workspaces.invitation.ended");

    // It is a token for that one thing.
    let impostor = Client {
        token: Some(token.clone()),
        ..app.anonymous()
    };
    impostor.get("/v1/workspaces").await.expect(StatusCode::UNAUTHORIZED);
    let refresh = &bob.refresh;
    assert!(!refresh.is_empty(), "registration gives a refresh token");
    app.anonymous()
        .get(&format!("/v1/invitations/{refresh}"))
        .await
        .expect(StatusCode::NOT_FOUND);

    // A collaborator cannot invite at all, so nobody invites above themselves.
    bob.post(&path, json!({ "role": "owner" }))
        .await
        .expect_problem(StatusCode::FORBIDDEN, "workspaces.role.too_low");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_16_invitations_run_out() {
    let clock = testkit::FixedClock::default();
    let app = TestApp::start_at(&clock).await;
    let (ada, bob) = (app.register("ada").await, app.register("bob").await);
    let workspace = ada.workspace("Acme").await;
    let path = format!("/v1/workspaces/{workspace}/invitations");
    let link = ada
        .post(&path, json!({ "role": "viewer", "expires_in": 600 }))
        .await
        .expect(StatusCode::CREATED);
    let token = link.body["token"].as_str().expect("a token").to_owned();
    let page = format!("/v1/invitations/{token}");
    clock.advance(std::time::Duration::from_secs(599));
    app.anonymous().get(&page).await.expect(StatusCode::OK);
    clock.advance(std::time::Duration::from_secs(1));
    act(&bob, &format!("{page}/acceptance"))
        .await
        .expect_problem(StatusCode::GONE, "workspaces.invitation.ended");
    act(&app.anonymous(), &format!("{page}/decline"))
        .await
        .expect_problem(StatusCode::GONE, "workspaces.invitation.ended");
    assert_eq!(bob.get("/v1/workspaces").await.expect(StatusCode::OK).items().len(), 0);
    let listed = ada.get(&format!("{path}/{}", link.id())).await.expect(StatusCode::OK);
    assert_eq!(listed.body["state"], "expired", "{listed:#?}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_workspaces_demand_the_version_of_every_change() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    let body = json!({ "name": "Strict", "settings": { "strict_concurrency": true } });
    let strict = ada.post("/v1/workspaces", body).await.expect(StatusCode::CREATED).id();
    let lax = ada.workspace("Lax").await;
    for (workspace, missing) in [(&strict, StatusCode::PRECONDITION_REQUIRED), (&lax, StatusCode::OK)] {
        let project = ada.project(workspace, "STR").await;
        let task = ada.task(&project, "Turn").await["id"].as_str().expect("an id").to_owned();
        let comment = ada
            .post(&format!("/v1/tasks/{task}/comments"), json!({ "body": "Hear" }))
            .await
            .expect(StatusCode::CREATED)
            .id();
        let label = ada
            .post(
                &format!("/v1/workspaces/{workspace}/labels"),
                json!({ "name": "bug", "color": "#cc3333" }),
            )
            .await
            .expect(StatusCode::CREATED)
            .id();
        for (path, change) in [
            (format!("/v1/tasks/{task}"), json!({ "title": "Turned" })),
            (format!("/v1/comments/{comment}"), json!({ "body": "Hear, hear" })),
            (format!("/v1/workspaces/{workspace}/labels/{label}"), json!({ "color": "#3366cc" })),
            (format!("/v1/projects/{project}"), json!({ "name": "Renamed" })),
        ] {
            let answer = ada.patch(&path, change.clone()).await;
            assert_eq!(answer.status, missing, "{path}: {answer:#?}");
            if missing == StatusCode::OK {
                continue;
            }
            assert_eq!(answer.body["code"], "request.if_match_required", "{path}");
            ada.send(ada.request(Method::DELETE, &path))
                .await
                .expect_problem(missing, "request.if_match_required");
            let tag = ada
                .get(&path)
                .await
                .expect(StatusCode::OK)
                .header("etag")
                .expect("an ETag")
                .to_owned();
            let conditional = |tag: &str| ada.request(Method::PATCH, &path).header("if-match", tag).json(&change);
            ada.send(conditional("\"999\""))
                .await
                .expect_problem(StatusCode::PRECONDITION_FAILED, "request.version_mismatch");
            ada.send(conditional(&tag)).await.expect(StatusCode::OK);
        }
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_16_a_replayed_reply_has_no_token() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    let workspace = ada.workspace("Acme").await;
    let request = || {
        ada.request(Method::POST, &format!("/v1/workspaces/{workspace}/invitations"))
            .header("idempotency-key", "one-link")
            .json(&json!({ "role": "viewer" }))
    };
    let first = ada.send(request()).await.expect(StatusCode::CREATED);
    let replay = ada.send(request()).await.expect(StatusCode::CREATED);
    assert_eq!(replay.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.id(), replay.id(), "one invitation");
    assert!(first.body["token"].is_string() && replay.body.get("token").is_none(), "{replay:#?}");
    app.stop().await;
}

/// The paths of these two name neither workspace nor project; their answers do.
#[tokio::test(flavor = "multi_thread")]
async fn sec_22_whoever_has_left_is_told_nothing_again() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.register("ada").await, app.register("bob").await);
    let workspace = ada.workspace("Acme").await;
    join(&app, &ada, &workspace, &bob, "collaborator").await;
    let own = ada.project(&workspace, "ABC").await;
    let task = ada.post(&format!("/v1/projects/{own}/tasks"), json!({ "title": "Secret" })).await;
    let project = json!({ "workspace_id": workspace, "key": "XYZ", "name": "Plans" });
    let batch = json!({ "operations": [{ "op": "complete", "task_id": task.id() }] });
    let requests = [
        ("/v1/projects", StatusCode::CREATED, project),
        ("/v1/tasks/batch", StatusCode::OK, batch),
    ];
    let ask = |path: &str, body: &Value| {
        let request = bob.request(Method::POST, path).header("idempotency-key", path).json(body);
        bob.send(request)
    };
    for (path, status, body) in &requests {
        ask(path, body).await.expect(*status);
        let replay = ask(path, body).await.expect(*status);
        assert_eq!(replay.header("idempotency-replayed"), Some("true"), "{path}");
    }
    let member = format!("/v1/workspaces/{workspace}/members/{}", bob.user_id);
    ada.delete_if(&member, 1).await.expect(StatusCode::NO_CONTENT);
    for (path, _, body) in &requests {
        let refused = ask(path, body).await.expect(StatusCode::NOT_FOUND);
        assert!(!refused.text.contains("Secret") && !refused.text.contains("Plans"), "{refused:#?}");
    }
    app.stop().await;
}

/// Whoever declines never was a member, and is told again all the same.
#[tokio::test(flavor = "multi_thread")]
async fn declining_twice_with_one_key_is_declining_once() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.register("ada").await, app.register("bob").await);
    let workspace = ada.workspace("Acme").await;
    let invitations = format!("/v1/workspaces/{workspace}/invitations");
    ada.post(&invitations, json!({ "email": bob.email, "role": "viewer" }))
        .await
        .expect(StatusCode::CREATED);
    let mail = app.mail(&bob.email, |mail| mail.text.contains("/v1/invitations/")).await;
    let path = format!("/v1/invitations/{}/decline", token_in(&mail.text));
    let decline = || bob.send(bob.request(Method::POST, &path).header("idempotency-key", "no"));
    let first = decline().await.expect(StatusCode::OK);
    let again = decline().await.expect(StatusCode::OK);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.body, first.body);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_06_inviting_known_and_unknown_addresses_answers_the_same() {
    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    app.register("known").await;
    let workspace = ada.workspace("Acme").await;
    let mut answers = Vec::new();
    for email in ["known@example.com", "unknown@example.com"] {
        let path = format!("/v1/workspaces/{workspace}/invitations");
        let answer = ada
            .post(&path, json!({ "email": email, "role": "viewer" }))
            .await
            .expect(StatusCode::CREATED);
        let mut members: Vec<_> = answer.body.as_object().expect("an object").keys().cloned().collect();
        members.sort();
        answers.push((members, answer.body["state"].clone()));
    }
    assert_eq!(answers[0], answers[1]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_21_ids_in_paths_and_bodies_are_checked_and_strangers_find_nothing() {
    let app = TestApp::start().await;
    let (ada, vic, eve) = (app.register("ada").await, app.register("vic").await, app.register("eve").await);
    let workspace = ada.workspace("Acme").await;
    join(&app, &ada, &workspace, &vic, "viewer").await;
    let project = ada.project(&workspace, "ABC").await;
    let own = eve.workspace("Evil").await;
    let own_project = eve.project(&own, "EVL").await;
    let invitation = ada
        .post(&format!("/v1/workspaces/{workspace}/invitations"), json!({ "role": "viewer" }))
        .await
        .expect(StatusCode::CREATED)
        .id();

    // Paths: another's is 404, one's own with too low a role 403.
    for (method, path) in [
        (Method::GET, format!("/v1/workspaces/{workspace}")),
        (Method::DELETE, format!("/v1/workspaces/{workspace}")),
        (Method::GET, format!("/v1/workspaces/{workspace}/members")),
        (Method::GET, format!("/v1/workspaces/{workspace}/members/{}", vic.user_id)),
        (Method::GET, format!("/v1/workspaces/{workspace}/invitations")),
        (Method::DELETE, format!("/v1/workspaces/{own}/invitations/{invitation}")),
        (Method::GET, format!("/v1/workspaces/{own}/members/{}", vic.user_id)),
        (Method::GET, format!("/v1/projects/{project}")),
        (Method::PUT, format!("/v1/projects/{project}/archive")),
        (Method::GET, format!("/v1/projects?workspace_id={workspace}")),
    ] {
        let answer = eve.send(eve.request(method.clone(), &path)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}: {answer:#?}");
    }
    vic.delete(&format!("/v1/workspaces/{workspace}"))
        .await
        .expect(StatusCode::FORBIDDEN);
    vic.get(&format!("/v1/workspaces/{workspace}/invitations"))
        .await
        .expect(StatusCode::FORBIDDEN);

    // Bodies: the same check, and the same answer for foreign and unknown ids.
    let unknown = "0192f0c1-0000-7000-8000-000000000001";
    for id in [workspace.as_str(), unknown] {
        let body = json!({ "workspace_id": id, "key": "NEW", "name": "New" });
        eve.post("/v1/projects", body)
            .await
            .expect_problem(StatusCode::NOT_FOUND, "workspaces.workspace.not_found");
    }
    let transfer = format!("/v1/workspaces/{own}/transfer");
    for id in [vic.user_id.as_str(), unknown] {
        let request = eve.request(Method::POST, &transfer).header("if-match", "*");
        let answer = eve.send(request.json(&json!({ "user_id": id }))).await;
        let answer = answer.expect(StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(answer.body["errors"][0]["code"], "not_a_member");
    }
    eve.put(
        &format!("/v1/projects/{own_project}/members/{}", vic.user_id),
        json!({ "role": "viewer" }),
    )
    .await
    .expect(StatusCode::NOT_FOUND);

    // What is not offered cannot be assigned.
    let path = format!("/v1/workspaces/{own}");
    for body in [
        json!({ "id": unknown }),
        json!({ "owner_count": 9 }),
        json!({ "created_by": unknown }),
        json!({ "role": "owner" }),
    ] {
        eve.patch_if(&path, 1, body).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    }
    eve.patch(&format!("/v1/projects/{own_project}"), json!({ "workspace_id": workspace }))
        .await
        .expect(StatusCode::UNPROCESSABLE_ENTITY);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_22_the_last_owner_stays_and_nobody_rises_by_themselves() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.register("ada").await, app.register("bob").await);
    let workspace = ada.workspace("Acme").await;
    join(&app, &ada, &workspace, &bob, "collaborator").await;
    let base = format!("/v1/workspaces/{workspace}");
    let (own, his) = (format!("{base}/members/{}", ada.user_id), format!("{base}/members/{}", bob.user_id));
    let last = "workspaces.owner.last";
    act(&ada, &format!("{base}/leave")).await.expect_problem(StatusCode::CONFLICT, last);
    ada.patch_if(&own, 1, json!({ "role": "collaborator" }))
        .await
        .expect_problem(StatusCode::CONFLICT, last);
    ada.delete_if(&own, 1).await.expect_problem(StatusCode::CONFLICT, last);

    bob.patch_if(&his, 1, json!({ "role": "owner" }))
        .await
        .expect_problem(StatusCode::FORBIDDEN, "workspaces.role.too_low");
    bob.patch_if(&own, 1, json!({ "role": "viewer" }))
        .await
        .expect_problem(StatusCode::FORBIDDEN, "workspaces.role.too_low");
    bob.delete_if(&own, 1)
        .await
        .expect_problem(StatusCode::FORBIDDEN, "workspaces.role.too_low");
    bob.post(&format!("{base}/transfer"), json!({ "user_id": bob.user_id }))
        .await
        .expect(StatusCode::FORBIDDEN);
    // The owner of a project gives roles up to their own there, and none in the workspace.
    let project = bob.project(&workspace, "BOB").await;
    let role = format!("/v1/projects/{project}/members/{}", bob.user_id);
    bob.get(&role).await.expect(StatusCode::OK);
    bob.delete(&base).await.expect(StatusCode::FORBIDDEN);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_22_what_a_removed_member_had_stops() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.register("ada").await, app.register("bob").await);
    let workspace = ada.workspace("Acme").await;
    join(&app, &ada, &workspace, &bob, "owner").await;
    let project = bob.project(&workspace, "BOB").await;
    let link = bob
        .post(
            &format!("/v1/workspaces/{workspace}/invitations"),
            json!({ "role": "viewer", "single_use": false }),
        )
        .await
        .expect(StatusCode::CREATED);
    let token = link.body["token"].as_str().expect("a token").to_owned();
    let second = app.sign_in(&bob.email).await;
    ada.delete_if(&format!("/v1/workspaces/{workspace}/members/{}", bob.user_id), 1)
        .await
        .expect(StatusCode::NO_CONTENT);
    for session in [&bob, &second] {
        session.get(&format!("/v1/projects/{project}")).await.expect(StatusCode::NOT_FOUND);
        session
            .get(&format!("/v1/projects/{project}/tasks"))
            .await
            .expect(StatusCode::NOT_FOUND);
        assert!(session.get("/v1/projects").await.items().is_empty());
    }
    let cy = app.register("cy").await;
    act(&cy, &format!("/v1/invitations/{token}/acceptance"))
        .await
        .expect_problem(StatusCode::GONE, "workspaces.invitation.ended");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_23_the_role_that_counts_is_the_one_of_the_table() {
    use kernel::roles::{Permission, Role, effective_role};

    let app = TestApp::start().await;
    let ada = app.register("ada").await;
    let workspace = ada.workspace("Acme").await;
    let mut projects = Vec::new();
    for (key, private) in [("OPEN", false), ("PRIV", true)] {
        let body = json!({ "workspace_id": workspace, "key": key, "name": key, "private": private });
        let id = ada.post("/v1/projects", body).await.expect(StatusCode::CREATED).id();
        let task = ada.task(&id, "A task").await["id"].as_str().expect("an id").to_owned();
        projects.push((id, private, task));
    }
    let any = |client: &Client, method, path: &str| client.request(method, path).header("if-match", "*");
    for workspace_role in Role::ALL {
        let user = app.register(&format!("{workspace_role}")).await;
        join(&app, &ada, &workspace, &user, workspace_role.as_str()).await;
        for project_role in [None, Some(Role::Viewer), Some(Role::Collaborator), Some(Role::Owner)] {
            for (project, private, task) in &projects {
                let role = format!("/v1/projects/{project}/members/{}", user.user_id);
                if let Some(project_role) = project_role {
                    let body = json!({ "role": project_role });
                    // The first one is new, and nothing is there that a condition could match.
                    let given = match project_role {
                        Role::Viewer => ada.put(&role, body).await,
                        _ => ada.send(any(&ada, Method::PUT, &role).json(&body)).await,
                    };
                    assert!(given.status.is_success(), "{given:#?}");
                }
                let effective = effective_role(Some(*workspace_role), project_role, *private);
                let expected = |permission: Permission| match effective {
                    None => StatusCode::NOT_FOUND,
                    Some(role) if role.permits(permission) => StatusCode::OK,
                    Some(_) => StatusCode::FORBIDDEN,
                };
                let context = format!("{workspace_role} {project_role:?} private={private}");
                let read = user.get(&format!("/v1/tasks/{task}")).await;
                assert_eq!(read.status, expected(Permission::TaskRead), "read a task: {context}");
                let write = user
                    .send(any(&user, Method::PATCH, &format!("/v1/tasks/{task}")).json(&json!({ "title": context })))
                    .await;
                assert_eq!(write.status, expected(Permission::TaskWrite), "write a task: {context} {write:#?}");
                let update = json!({ "description": context });
                let update = user.patch(&format!("/v1/projects/{project}"), update).await;
                assert_eq!(update.status, expected(Permission::ProjectUpdate), "change the project: {context}");
            }
        }
    }
    app.stop().await;
}

#[test]
fn sec_23_the_documented_tables_are_the_ones_in_force() {
    let documented = include_str!("../../../../docs/security/roles.md");
    assert!(
        documented.ends_with(&kernel::roles::markdown_tables()),
        "docs/security/roles.md is old: replace its tables by what `guildhall roles` prints"
    );
}
