//! Invitations as the workspace sees them: issue, list, send again, revoke.
//!
//! The token of an invitation by e-mail leaves the server in the mail alone, never in a reply. So whoever shows it
//! has read the mail: that proves the address, also where accounts need no verified address.

use contracts::audit::{Action, Entry};
use contracts::identity::FindUserByEmail;
use contracts::workspaces::events::MemberInvited;
use kernel::cursor::{Page, PageRequest};
use kernel::ids::{EntityId, InvitationId, UserId, WorkspaceId};
use kernel::roles::{Permission, Role, SalesRole};
use kernel::{Error, Result};
use platform::Caller;
use platform::db::{Guard, Reply, Unit};
use platform::due::Due;
use platform::http::IfMatch;
use platform::mail::{MAIL_KIND, Mail};

use super::access::{Scope, WorkspaceAccess};
use super::entry;
use crate::WorkspacesService;
use crate::error::{ROLE_LOST, WorkspacesError};
use crate::model::{Fields, Invitation, InvitationState, InvitationToken, Standing};
use crate::store;
use crate::store::invitations::Filter;
use crate::views::{InvitationStateView, InvitationView, IssuedInvitationView};

#[derive(Debug, Clone)]
pub(crate) struct CreateInvitation {
    /// `None`: a link.
    pub email: Option<String>,
    pub role: Option<Role>,
    pub sales_role: Option<SalesRole>,
    /// Seconds.
    pub expires_in: Option<i64>,
    pub single_use: Option<bool>,
}

fn mail_key(id: InvitationId) -> String {
    format!("invitation:{id}")
}

impl WorkspacesService {
    pub(crate) async fn create_invitation(
        &self,
        caller: &Caller,
        id: WorkspaceId,
        command: CreateInvitation,
    ) -> Result<Reply<IssuedInvitationView>> {
        let access = self.authorize(caller, Permission::MemberInvite, id).await?;
        let invitation = self.new_invitation(caller, &access, command)?;
        if !access.standing().may_grant(invitation.standing()) {
            return Err(WorkspacesError::AboveOwnRole.into());
        }
        let open = store::invitations::count_open(&self.db, &access.scope, caller.now).await?;
        if open >= i64::from(self.config.max_pending_invitations) {
            return Err(WorkspacesError::TooManyInvitations.into());
        }
        let invitee = self.invitee(caller, &access.scope, invitation.email.as_deref()).await?;
        tracing::info!(workspace = %id, invitation = %invitation.id, role = %invitation.role, "invitation");
        let token = InvitationToken::random();
        let mut unit = Unit::new(caller);
        require_inviter(&mut unit, &access, invitation.standing());
        if let Some(email) = &invitation.email {
            store::invitations::release_expired(&mut unit, &access.scope, email, caller.now);
        }
        store::invitations::insert(&mut unit, &invitation, &token);
        unit.emit(&MemberInvited {
            workspace_id: id,
            workspace_name: access.workspace.name.clone(),
            invitation_id: invitation.id,
            email: invitation.email.clone(),
            user_id: invitee,
            role: invitation.role,
        });
        unit.record(invitation_entry(&invitation, Action::InvitationCreated));
        self.send(caller, &mut unit, &access, &invitation, &token).await?;
        let reply = self.issue(caller, unit, &invitation, &token, true).await?;
        Ok(reply)
    }

    fn new_invitation(&self, caller: &Caller, access: &WorkspaceAccess, command: CreateInvitation) -> Result<Invitation> {
        let mut fields = Fields::default();
        let email = command.email.as_deref().map(|email| fields.email("/email", email));
        let lifetime = match command.expires_in {
            Some(seconds) => fields.expires_in("/expires_in", seconds),
            None => self.config.invitation_time(),
        };
        if email.is_some() && command.single_use == Some(false) {
            fields.reject("/single_use", "email", "an invitation by e-mail is for one person");
        }
        fields.finish()?;
        Ok(Invitation {
            id: InvitationId::generate(&*self.toolkit.clock),
            workspace_id: access.workspace.id,
            state: InvitationState::Pending,
            single_use: email.is_some() || command.single_use.unwrap_or(true),
            sent_at: email.is_some().then_some(caller.now),
            email,
            role: command.role.unwrap_or(access.workspace.default_role),
            sales_role: command.sales_role,
            uses: 0,
            invited_by: access.member.user_id,
            claim: None,
            version: 1,
            expires_at: caller.now.plus(lifetime),
            created_at: caller.now,
            updated_at: caller.now,
        })
    }

    /// The account behind the address, for the event. That the address has an account shows in no reply; that it is a
    /// member does, but the list of members says so anyway.
    async fn invitee(&self, caller: &Caller, scope: &Scope, email: Option<&str>) -> Result<Option<UserId>> {
        let Some(email) = email else { return Ok(None) };
        let request = FindUserByEmail { email: email.to_owned() };
        let user = self.identity.find_user_by_email(&caller.call(), request).await?;
        // The same statement whether or not the account exists, so that the time tells nothing.
        let probe = user.as_ref().map_or_else(|| UserId::generate(&*self.toolkit.clock), |user| user.id);
        if store::members::find(&self.db, scope, probe).await?.is_some() {
            return Err(WorkspacesError::AddressIsMember.into());
        }
        Ok(user.map(|user| user.id))
    }

    pub(crate) async fn list_invitations(
        &self,
        caller: &Caller,
        id: WorkspaceId,
        state: Option<InvitationStateView>,
        page: PageRequest,
    ) -> Result<Page<InvitationView>> {
        let access = self.authorize(caller, Permission::MemberInvite, id).await?;
        let binding = format!("invitations|{id}|{state:?}|{}", access.member.user_id);
        let after = self.toolkit.cursors.start(page.cursor.as_deref(), &binding)?;
        let filter = match state {
            None => Filter::All,
            Some(InvitationStateView::Pending) => Filter::Open(caller.now),
            Some(InvitationStateView::Expired) => Filter::Expired(caller.now),
            Some(InvitationStateView::Accepted) => Filter::Stored(InvitationState::Accepted),
            Some(InvitationStateView::Declined) => Filter::Stored(InvitationState::Declined),
            Some(InvitationStateView::Revoked) => Filter::Stored(InvitationState::Revoked),
        };
        let rows = store::invitations::list(&self.db, &access.scope, filter, after, page.rows()).await?;
        let page = self.toolkit.cursors.page(rows, page.limit, &binding, |row| row.id)?;
        Ok(page.map(|row| InvitationView::new(&row, caller.now)))
    }

    pub(crate) async fn get_invitation(
        &self,
        caller: &Caller,
        id: WorkspaceId,
        invitation_id: InvitationId,
    ) -> Result<Reply<InvitationView>> {
        let access = self.authorize(caller, Permission::MemberInvite, id).await?;
        let invitation = self.invitation_of(&access.scope, invitation_id).await?;
        Ok(Reply::ok(InvitationView::new(&invitation, caller.now), invitation.tag(caller.now)))
    }

    async fn invitation_of(&self, scope: &Scope, id: InvitationId) -> Result<Invitation> {
        let invitation = store::invitations::find(&self.db, scope, id).await?;
        Ok(invitation.ok_or(WorkspacesError::InvitationNotFound)?)
    }

    /// Idempotent: of a revoked invitation it says nothing new. One that was used stays as it is.
    pub(crate) async fn revoke_invitation(
        &self,
        caller: &Caller,
        id: WorkspaceId,
        invitation_id: InvitationId,
        if_match: &IfMatch,
    ) -> Result<()> {
        let access = self.authorize(caller, Permission::MemberInvite, id).await?;
        let invitation = self.invitation_of(&access.scope, invitation_id).await?;
        match invitation.state {
            InvitationState::Revoked => return Ok(()),
            InvitationState::Accepted | InvitationState::Declined => return Err(WorkspacesError::InvitationEnded.into()),
            InvitationState::Pending => {}
        }
        if_match.check(invitation.tag(caller.now))?;
        let mut unit = Unit::new(caller);
        if if_match.require().is_ok() {
            store::invitations::require_version(&mut unit, &access.scope, &invitation, Guard::VERSION);
        }
        store::invitations::end(&mut unit, &access.scope, invitation_id, InvitationState::Revoked, caller.now);
        unit.unschedule(MAIL_KIND, &mail_key(invitation_id));
        unit.record(invitation_entry(&invitation, Action::InvitationRevoked));
        self.db.apply(unit).await?;
        Ok(())
    }

    /// A new token in a new mail (or a new link), valid for as long as the first was; the old one is dead. Also
    /// brings back an invitation that ran out. The one who sends it again becomes its inviter.
    pub(crate) async fn resend_invitation(
        &self,
        caller: &Caller,
        id: WorkspaceId,
        invitation_id: InvitationId,
        if_match: &IfMatch,
    ) -> Result<Reply<IssuedInvitationView>> {
        let access = self.authorize(caller, Permission::MemberInvite, id).await?;
        let mut invitation = self.invitation_of(&access.scope, invitation_id).await?;
        if invitation.state != InvitationState::Pending {
            return Err(WorkspacesError::InvitationEnded.into());
        }
        if_match.check(invitation.tag(caller.now))?;
        if !access.standing().may_grant(invitation.standing()) {
            return Err(WorkspacesError::AboveOwnRole.into());
        }
        let pause = std::time::Duration::from_secs(u64::from(self.config.resend_seconds));
        let wait = invitation
            .sent_at
            .map(|sent| sent.plus(pause).since(caller.now))
            .unwrap_or_default();
        if !wait.is_zero() {
            return Err(WorkspacesError::ResentTooSoon(wait).into());
        }
        let lifetime = invitation
            .expires_at
            .since(invitation.created_at.max(invitation.sent_at.unwrap_or_default()));
        invitation.expires_at = caller.now.plus(lifetime);
        invitation.sent_at = Some(caller.now);
        invitation.invited_by = access.member.user_id;
        invitation.version += 1;
        invitation.updated_at = caller.now;
        let token = InvitationToken::random();
        let mut unit = Unit::new(caller);
        require_inviter(&mut unit, &access, invitation.standing());
        store::invitations::renew(&mut unit, &access.scope, &invitation, &token);
        unit.record(invitation_entry(&invitation, Action::InvitationResent));
        self.send(caller, &mut unit, &access, &invitation, &token).await?;
        self.issue(caller, unit, &invitation, &token, false).await
    }

    async fn issue(
        &self,
        caller: &Caller,
        unit: Unit,
        invitation: &Invitation,
        token: &InvitationToken,
        new: bool,
    ) -> Result<Reply<IssuedInvitationView>> {
        let (view, tag) = (InvitationView::new(invitation, caller.now), invitation.tag(caller.now));
        let location = format!("/v1/workspaces/{}/invitations/{}", invitation.workspace_id, invitation.id);
        // What is stored under an Idempotency-Key is rendered here, without the token: it must not rest in the database.
        let stored = self
            .db
            .apply_reply(unit, move |_| {
                let body = IssuedInvitationView {
                    invitation: view,
                    token: None,
                    link: None,
                };
                Ok(if new {
                    Reply::created(body, tag, location)
                } else {
                    Reply::ok(body, tag)
                })
            })
            .await?;
        let mut reply = stored;
        if invitation.email.is_none() {
            reply.body.token = Some(token.as_str().to_owned());
            reply.body.link = Some(self.config.link(token.as_str()));
        }
        Ok(reply)
    }

    /// A mail in the unit, when the invitation has an address. One that waits for the same invitation is replaced.
    async fn send(
        &self,
        caller: &Caller,
        unit: &mut Unit,
        access: &WorkspaceAccess,
        invitation: &Invitation,
        token: &InvitationToken,
    ) -> Result<()> {
        let Some(to) = invitation.email.clone() else { return Ok(()) };
        let inviter = self
            .people(caller, vec![access.member.user_id])
            .await?
            .remove(&access.member.user_id);
        let inviter = inviter.map_or_else(|| "Somebody".to_owned(), |user| user.name);
        let mail = invitation_mail(
            to,
            &inviter,
            &access.workspace.name,
            invitation,
            &self.config.link(token.as_str()),
            token,
        );
        unit.schedule(Due {
            kind: MAIL_KIND,
            key: Some(mail_key(invitation.id)),
            payload: serde_json::to_value(&mail).map_err(Error::internal)?,
            run_at: caller.now,
        });
        Ok(())
    }
}

/// Named by the address that it is for.
pub(super) fn invitation_entry(invitation: &Invitation, action: Action) -> Entry {
    let entry = entry(invitation.workspace_id, action, "invitation")
        .id(invitation.id)
        .with("role", invitation.role)
        .with("sales_role", invitation.sales_role);
    match &invitation.email {
        Some(email) => entry.name(email.as_str()),
        None => entry,
    }
}

/// At commit the inviter must still be allowed to give the role.
fn require_inviter(unit: &mut Unit, access: &WorkspaceAccess, given: Standing) {
    store::members::require_role(
        unit,
        &access.scope,
        access.member.user_id,
        Permission::MemberInvite,
        given.role,
        ROLE_LOST,
    );
}

fn invitation_mail(to: String, inviter: &str, workspace: &str, invitation: &Invitation, link: &str, token: &InvitationToken) -> Mail {
    Mail {
        to,
        subject: format!("{inviter} invites you to {workspace}"),
        text: format!(
            "{inviter} invites you to the workspace \"{workspace}\" as {role}.\n\n\
             See the invitation:\n{link}\n\n\
             To accept, sign in with this address and send POST /v1/invitations/{token}/acceptance.\n\
             The invitation is for you alone and ends on {end}. If you did not expect it, you can ignore this mail.\n",
            role = invitation.role,
            token = token.as_str(),
            end = invitation.expires_at.to_jiff().strftime("%-d %B %Y, %H:%M UTC"),
        ),
        html: None,
        message_id: format!("invitation-{}-{}", invitation.id, invitation.version),
    }
}
