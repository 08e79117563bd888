use std::time::Duration;

use contracts::workspaces::events::{MemberAdded, MemberInvited};
use contracts::workspaces::{CheckInvitation, ClaimInvitation, Workspaces};
use kernel::ErrorKind;
use kernel::roles::{Role, SalesRole};
use platform::db::{DbError, FromRow, Row};
use platform::http::Field;

use super::*;
use crate::service::members::UpdateMember;
use crate::views::InvitationStateView;

const ENDED: &str = "workspaces.invitation.ended";
const UNKNOWN: &str = "workspaces.invitation.not_found";
const DAY: Duration = Duration::from_secs(86_400);

struct Scene {
    world: World,
    ada: UserId,
    acme: WorkspaceId,
}

async fn scene() -> Scene {
    let world = World::new().await;
    let ada = world.person("ada");
    let acme = world.workspace(ada, "Acme").await.id;
    Scene { world, ada, acme }
}

impl Scene {
    async fn invite(&self, command: CreateInvitation) -> Result<crate::views::IssuedInvitationView> {
        let reply = self
            .world
            .service
            .create_invitation(&self.world.caller(self.ada), self.acme, command)
            .await?;
        Ok(reply.body)
    }
    async fn accept(&self, user: UserId, token: &str) -> Result<platform::db::Reply<crate::views::MemberView>> {
        self.world.service.accept_invitation(&self.world.caller(user), token).await
    }
    async fn fits(&self, email: &str, token: &str) -> bool {
        let request = CheckInvitation {
            email: email.into(),
            token: token.into(),
        };
        self.world
            .service
            .check_invitation(&self.world.nobody().call(), request)
            .await
            .expect("an answer")
            .valid
    }
}

#[tokio::test]
async fn an_invitation_by_mail_goes_from_inviter_to_member() {
    let s = scene().await;
    let bob = s.world.person("bob");
    let issued = s.invite(by_mail("BOB@example.com", Role::Collaborator)).await.expect("issued");
    assert_eq!((issued.token, issued.link), (None, None), "the token is in the mail alone");
    assert_eq!(issued.invitation.email.as_deref(), Some("bob@example.com"));
    let event = &s.world.events_of::<MemberInvited>().await[0];
    assert_eq!((event.user_id, event.workspace_name.as_str()), (Some(bob), "Acme"));
    let token = s.world.mailed_token().await;

    let preview = s
        .world
        .service
        .preview_invitation(&s.world.nobody(), &token)
        .await
        .expect("a preview");
    assert_eq!(
        (preview.workspace_name.as_str(), preview.invited_by.as_deref(), preview.role),
        ("Acme", Some("ada"), Role::Collaborator)
    );
    assert!(s.fits("Bob@Example.com", &token).await && !s.fits("eve@example.com", &token).await);

    let eve = s.world.person("eve");
    let stolen = s.accept(eve, &token).await.expect_err("another address");
    assert_eq!(
        (stolen.kind, stolen.code.as_ref()),
        (ErrorKind::Forbidden, "workspaces.invitation.other_address")
    );
    let joined = s.accept(bob, &token).await.expect("accepted");
    assert_eq!(
        (joined.status, joined.body.role, joined.body.invited_by),
        (201, Role::Collaborator, Some(s.ada))
    );
    assert_eq!(s.world.membership(s.acme, bob).await.expect("a member").role, Role::Collaborator);
    assert_eq!(code(s.accept(bob, &token).await), ENDED, "one use");
    assert!(!s.fits("bob@example.com", &token).await);
    assert_eq!(s.world.events_of::<MemberAdded>().await.len(), 2, "ada and bob");
    assert_eq!(
        code(s.invite(by_mail("bob@example.com", Role::Viewer)).await),
        "workspaces.invitation.member_exists"
    );
}

#[tokio::test]
async fn known_and_unknown_addresses_get_the_same_answer() {
    let s = scene().await;
    s.world.person("known");
    let known = s.invite(by_mail("known@example.com", Role::Viewer)).await.expect("issued");
    let unknown = s.invite(by_mail("nobody@example.com", Role::Viewer)).await.expect("issued");
    let shape = |view: &crate::views::IssuedInvitationView| {
        let mut json = serde_json::to_value(view).expect("json");
        for varying in ["id", "email"] {
            json.as_object_mut().expect("an object").remove(varying);
        }
        json
    };
    assert_eq!(shape(&known), shape(&unknown));
    let caller = s.world.caller(s.ada);
    let cost = async |email: &str| {
        let invite = s.world.service.create_invitation(&caller, s.acme, by_mail(email, Role::Viewer));
        let (reply, statements) = platform::db::count_statements(invite).await;
        reply.expect("issued");
        statements
    };
    s.world.person("known2");
    assert_eq!(cost("known2@example.com").await, cost("nobody2@example.com").await, "the same work");
}

#[tokio::test]
async fn tokens_rest_as_hashes_only() {
    struct Hash(Vec<u8>);
    impl FromRow for Hash {
        fn from_row(row: &Row<'_>) -> std::result::Result<Self, DbError> {
            row.get(0).map(Self)
        }
    }
    let s = scene().await;
    let token = s
        .invite(by_link(Role::Viewer, true))
        .await
        .expect("issued")
        .token
        .expect("a link has a token");
    let select = Query::select()
        .column(Alias::new("token_hash"))
        .from(Alias::new("invitations"))
        .take();
    let stored: Vec<Hash> = s.world.db.all(select).await.expect("rows");
    assert_eq!(stored[0].0, crate::model::invitation::hash_of_presented(&token).expect("a token"));
    assert_eq!(stored[0].0.len(), 32);
    assert!(
        !s.world.events().await.iter().any(|event| event.data.to_string().contains(&token)),
        "nor in an event"
    );
}

#[tokio::test]
async fn links_for_one_and_links_for_many() {
    let s = scene().await;
    let one = s.invite(by_link(Role::Viewer, true)).await.expect("issued").token.expect("a token");
    let many = s.invite(by_link(Role::Viewer, false)).await.expect("issued");
    let (token, id) = (many.token.expect("a token"), many.invitation.id);
    assert!(many.link.expect("a link").ends_with(&token));
    let (bob, cy, dan) = (s.world.person("bob"), s.world.person("cy"), s.world.person("dan"));
    s.accept(bob, &one).await.expect("accepted");
    assert_eq!(code(s.accept(cy, &one).await), ENDED);
    s.accept(cy, &token).await.expect("accepted");
    s.accept(dan, &token).await.expect("accepted");
    assert_eq!(code(s.accept(dan, &token).await), "workspaces.member.exists");
    let view = s
        .world
        .service
        .get_invitation(&s.world.caller(s.ada), s.acme, id)
        .await
        .expect("read")
        .body;
    assert_eq!((view.uses, view.state), (2, InvitationStateView::Pending));
    assert_eq!(
        code(s.world.service.decline_invitation(&s.world.nobody(), &token).await),
        "workspaces.invitation.link"
    );
    s.world
        .service
        .revoke_invitation(&s.world.caller(s.ada), s.acme, id, &no_match())
        .await
        .expect("revoked");
    s.world
        .service
        .revoke_invitation(&s.world.caller(s.ada), s.acme, id, &no_match())
        .await
        .expect("again");
    assert_eq!(code(s.accept(s.world.person("eli"), &token).await), ENDED);
    let wide = CreateInvitation {
        single_use: Some(false),
        ..by_mail("x@example.com", Role::Viewer)
    };
    assert_eq!(s.invite(wide).await.expect_err("422").fields[0].pointer, "/single_use");
}

#[tokio::test]
async fn invitations_run_out_and_the_address_is_free_again() {
    let s = scene().await;
    let bob = s.world.person("bob");
    s.invite(by_mail("bob@example.com", Role::Viewer)).await.expect("issued");
    let first = s.world.mailed_token().await;
    let twice = s
        .invite(by_mail("bob@example.com", Role::Viewer))
        .await
        .expect_err("one open at a time");
    assert_eq!(
        (twice.code.as_ref(), twice.fields[0].pointer.as_str()),
        ("workspaces.invitation.pending", "/email")
    );
    s.world.clock.advance(DAY * 7);
    assert_eq!(code(s.accept(bob, &first).await), ENDED);
    assert_eq!(code(s.world.service.preview_invitation(&s.world.nobody(), &first).await), ENDED);
    assert!(!s.fits("bob@example.com", &first).await);
    s.invite(by_mail("bob@example.com", Role::Viewer)).await.expect("free again");
    let second = s.world.mailed_token().await;
    let list = async |state| {
        let found = s
            .world
            .service
            .list_invitations(&s.world.caller(s.ada), s.acme, state, page(50, None))
            .await
            .expect("a page");
        found.items.len()
    };
    assert_eq!(
        (
            list(None).await,
            list(Some(InvitationStateView::Expired)).await,
            list(Some(InvitationStateView::Pending)).await
        ),
        (2, 1, 1)
    );
    s.accept(bob, &second).await.expect("accepted");
    assert_eq!(list(Some(InvitationStateView::Accepted)).await, 1);
    for expires_in in [299, 2_592_001] {
        let command = CreateInvitation {
            expires_in: Some(expires_in),
            ..by_link(Role::Viewer, true)
        };
        assert_eq!(s.invite(command).await.expect_err("422").fields[0].pointer, "/expires_in");
    }
}

#[tokio::test]
async fn sending_again_makes_a_new_token_and_kills_the_old() {
    let s = scene().await;
    let bob = s.world.person("bob");
    let id = s
        .invite(by_mail("bob@example.com", Role::Viewer))
        .await
        .expect("issued")
        .invitation
        .id;
    let old = s.world.mailed_token().await;
    let caller = s.world.caller(s.ada);
    let soon = s
        .world
        .service
        .resend_invitation(&caller, s.acme, id, &no_match())
        .await
        .expect_err("429");
    assert_eq!(
        (soon.kind, soon.retry_after),
        (ErrorKind::RateLimited, Some(Duration::from_secs(60)))
    );
    s.world.clock.advance(DAY * 8);
    let caller = s.world.caller(s.ada);
    let again = s
        .world
        .service
        .resend_invitation(&caller, s.acme, id, &no_match())
        .await
        .expect("sent")
        .body;
    assert_eq!(
        again.invitation.expires_at,
        s.world.clock.now().plus(DAY * 7),
        "also brings back what ran out"
    );
    let new = s.world.mailed_token().await;
    assert_eq!(code(s.accept(bob, &old).await), UNKNOWN);
    s.accept(bob, &new).await.expect("accepted");
    assert_eq!(
        code(s.world.service.resend_invitation(&caller, s.acme, id, &no_match()).await),
        ENDED
    );
    assert_eq!(
        code(s.world.service.revoke_invitation(&caller, s.acme, id, &no_match()).await),
        ENDED
    );
}

#[tokio::test]
async fn the_tag_of_an_invitation_changes_with_all_that_shows_and_is_a_condition() {
    let s = scene().await;
    let made = s
        .world
        .service
        .create_invitation(&s.world.caller(s.ada), s.acme, by_link(Role::Viewer, false))
        .await
        .expect("issued");
    let id = made.body.invitation.id;
    let token = made.body.token.expect("a token");
    let tag = async || {
        let read = s.world.service.get_invitation(&s.world.caller(s.ada), s.acme, id).await;
        read.expect("read").version.expect("a tag")
    };
    let new = tag().await;
    assert_eq!(made.version, Some(new));
    s.accept(s.world.person("bob"), &token).await.expect("accepted");
    let used = tag().await;
    assert_ne!(used, new, "uses show");
    s.world.clock.advance(DAY * 8);
    let expired = tag().await;
    assert!(expired != used && expired != new, "that it ran out shows");
    let caller = s.world.caller(s.ada);
    let stale = s.world.service.resend_invitation(&caller, s.acme, id, &if_match(used)).await;
    assert_eq!(code(stale), "request.version_mismatch");
    let again = s.world.service.resend_invitation(&caller, s.acme, id, &if_match(expired)).await;
    let again = again.expect("sent").version.expect("a tag");
    assert!(![new, used, expired].contains(&again));
    let stale = s.world.service.revoke_invitation(&caller, s.acme, id, &if_match(expired)).await;
    assert_eq!(code(stale), "request.version_mismatch");
    let revoked = s.world.service.revoke_invitation(&caller, s.acme, id, &if_match(again)).await;
    revoked.expect("revoked");
}

#[tokio::test]
async fn declined_and_revoked_before_the_mail_left() {
    let s = scene().await;
    s.invite(by_mail("bob@example.com", Role::Viewer)).await.expect("issued");
    let token = s.world.mailed_token().await;
    s.world
        .service
        .decline_invitation(&s.world.nobody(), &token)
        .await
        .expect("declined without an account");
    assert_eq!(code(s.world.service.decline_invitation(&s.world.nobody(), &token).await), ENDED);
    let id = s
        .invite(by_mail("bob@example.com", Role::Viewer))
        .await
        .expect("free again")
        .invitation
        .id;
    s.world
        .service
        .revoke_invitation(&s.world.caller(s.ada), s.acme, id, &no_match())
        .await
        .expect("revoked");
    assert!(s.world.mails().await.is_empty(), "the mail of a revoked invitation does not leave");
}

#[tokio::test]
async fn the_role_cannot_exceed_the_inviters_then_or_now() {
    let s = scene().await;
    let bob = s.world.joined(s.acme, "bob", Role::Owner).await;
    let (cy, dan) = (s.world.person("cy"), s.world.person("dan"));
    let issue = async |role| {
        let reply = s
            .world
            .service
            .create_invitation(&s.world.caller(bob), s.acme, by_link(role, true))
            .await
            .expect("issued");
        reply.body.token.expect("a token")
    };
    let (first, second) = (issue(Role::Owner).await, issue(Role::Viewer).await);
    let demote = UpdateMember {
        role: Some(Role::Collaborator),
        sales_role: Field::Absent,
    };
    s.world
        .service
        .update_member(&s.world.caller(s.ada), s.acme, bob, &if_match(1), demote)
        .await
        .expect("demoted");
    assert_eq!(code(s.accept(cy, &first).await), ENDED, "bob is no owner today");
    assert_eq!(code(s.accept(dan, &second).await), ENDED, "nor may he invite");
    let refused = s
        .world
        .service
        .create_invitation(&s.world.caller(bob), s.acme, by_link(Role::Viewer, true))
        .await;
    assert_eq!(code(refused), "workspaces.role.too_low");
    s.world
        .service
        .remove_member(&s.world.caller(s.ada), s.acme, bob, &if_match(2))
        .await
        .expect("removed");
    assert_eq!(code(s.accept(dan, &second).await), ENDED);
    let sales = CreateInvitation {
        sales_role: Some(SalesRole::Manager),
        ..by_link(Role::Viewer, true)
    };
    let token = s.invite(sales).await.expect("an owner appoints").token.expect("a token");
    assert_eq!(
        s.accept(dan, &token).await.expect("accepted").body.sales_role,
        Some(SalesRole::Manager)
    );
}

#[tokio::test]
async fn open_invitations_and_members_are_bounded() {
    let config = Config {
        max_pending_invitations: 2,
        max_members: 2,
        ..Config::default()
    };
    let world = World::with(config).await;
    let ada = world.person("ada");
    let acme = world.workspace(ada, "Acme").await.id;
    let s = Scene { world, ada, acme };
    let many = s
        .invite(by_link(Role::Viewer, false))
        .await
        .expect("issued")
        .token
        .expect("a token");
    s.invite(by_link(Role::Viewer, true)).await.expect("issued");
    assert_eq!(code(s.invite(by_link(Role::Viewer, true)).await), "workspaces.invitation.too_many");
    s.accept(s.world.person("bob"), &many).await.expect("accepted");
    assert_eq!(code(s.accept(s.world.person("cy"), &many).await), "workspaces.member.too_many");
}

#[tokio::test]
async fn nothing_leads_into_a_deleted_workspace() {
    let s = scene().await;
    let token = s.invite(by_link(Role::Viewer, true)).await.expect("issued").token.expect("a token");
    s.world
        .service
        .delete_workspace(&s.world.caller(s.ada), s.acme, &no_match())
        .await
        .expect("deleted");
    assert_eq!(code(s.accept(s.world.person("bob"), &token).await), ENDED);
    assert!(!s.fits("bob@example.com", &token).await);
    for nonsense in ["", "x", "../../etc", &"A".repeat(43)] {
        assert_eq!(code(s.world.service.preview_invitation(&s.world.nobody(), nonsense).await), UNKNOWN);
    }
}

impl Scene {
    async fn claim(&self, token: &str, name: &str, user_id: UserId) -> Option<UserId> {
        let request = ClaimInvitation {
            email: format!("{name}@Example.com"),
            token: token.into(),
            user_id,
        };
        let ctx = self.world.nobody().call();
        self.world.service.claim_invitation(&ctx, request).await.expect("an answer")
    }
    async fn valid(&self, token: &str, name: &str) -> bool {
        let request = CheckInvitation {
            email: format!("{name}@example.com"),
            token: token.into(),
        };
        let ctx = self.world.nobody().call();
        self.world.service.check_invitation(&ctx, request).await.expect("an answer").valid
    }
    fn unborn(&self) -> UserId {
        self.world.tick();
        UserId::generate(&self.world.clock)
    }
    async fn link(&self, single_use: bool) -> String {
        self.invite(by_link(Role::Viewer, single_use))
            .await
            .expect("a link")
            .token
            .expect("a token")
    }
}

#[tokio::test]
async fn a_link_by_which_somebody_registered_is_for_them_alone() {
    let scene = scene().await;
    let token = scene.link(true).await;
    let (bob, cy) = (scene.world.person("bob"), scene.world.person("cy"));
    assert_eq!(scene.claim(&token, "bob", bob).await, Some(bob));
    assert_eq!(
        scene.claim(&token, "bob", scene.unborn()).await,
        Some(bob),
        "the same address, the same account"
    );
    assert_eq!(scene.claim(&token, "cy", cy).await, None);
    assert_eq!((scene.valid(&token, "bob").await, scene.valid(&token, "cy").await), (true, false));
    // The account is there, so the claim does not run out.
    scene.world.clock.advance(DAY);
    assert_eq!(scene.claim(&token, "cy", cy).await, None);
    assert_eq!(code(scene.accept(cy, &token).await), ENDED);
    assert_eq!(scene.accept(bob, &token).await.expect("a member").status, 201);
    assert_eq!(scene.claim(&token, "bob", bob).await, None, "used up");
}

#[tokio::test]
async fn a_claim_without_an_account_blocks_nobody_for_long() {
    let scene = scene().await;
    let (token, cy) = (scene.link(true).await, scene.world.person("cy"));
    let lost = scene.unborn();
    assert_eq!(scene.claim(&token, "bob", lost).await, Some(lost));
    assert_eq!(code(scene.accept(cy, &token).await), ENDED, "the account may be on its way");
    scene.world.clock.advance(Duration::from_secs(599));
    assert_eq!(scene.claim(&token, "cy", cy).await, None);
    // The same address comes again: its claim starts anew, and keeps the account's id.
    assert_eq!(scene.claim(&token, "bob", scene.unborn()).await, Some(lost));
    scene.world.clock.advance(Duration::from_secs(599));
    assert!(!scene.valid(&token, "cy").await);
    scene.world.clock.advance(Duration::from_secs(1));
    assert!(scene.valid(&token, "cy").await);
    assert_eq!(scene.claim(&token, "cy", cy).await, Some(cy));
    assert_eq!(scene.claim(&token, "bob", lost).await, None);
}

#[tokio::test]
async fn links_for_many_and_invitations_by_mail_are_not_claimed() {
    let scene = scene().await;
    let token = scene.link(false).await;
    for name in ["bob", "cy"] {
        let id = scene.unborn();
        assert_eq!(scene.claim(&token, name, id).await, Some(id));
    }
    scene.invite(by_mail("dan@example.com", Role::Viewer)).await.expect("invited");
    let token = scene.world.mailed_token().await;
    let id = scene.unborn();
    assert_eq!(scene.claim(&token, "eve", id).await, None);
    for id in [id, scene.unborn()] {
        assert_eq!(scene.claim(&token, "dan", id).await, Some(id));
    }
    assert_eq!(scene.claim("nonsense", "dan", id).await, None);
}
