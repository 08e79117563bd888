//! Invitations as the invited person sees them: look, accept, decline, and register by one.
//!
//! Where accounts are made by invitation only, a link for one must make one account, though account and invitation lie in
//! different databases. So the use is claimed before the account is made (decision 0008 says why this order holds).

use std::time::Duration;

use contracts::audit::Action;
use contracts::identity::GetUsers;
use contracts::workspaces::ClaimInvitation;
use contracts::workspaces::events::MemberAdded;
use kernel::ids::UserId;
use kernel::roles::Permission;
use kernel::{CallContext, Error, Result, Timestamp};
use platform::Caller;
use platform::db::{DbError, Reply, Unit};

use super::access::Scope;
use super::entry;
use super::invitations::invitation_entry;
use crate::WorkspacesService;
use crate::error::{INVITATION_ENDED, MEMBERS_FULL, WorkspacesError, member_exists};
use crate::model::invitation::{Claim, claim_tag, hash_of_presented};
use crate::model::{Invitation, InvitationState, Member, Workspace};
use crate::store;
use crate::store::workspaces::Headcount;
use crate::views::{InvitationPreview, MemberView};

/// How long a claim stands before its account is there. Far longer than a request may take (`http.timeout_seconds`): only
/// a crash leaves a claim without an account.
const CLAIM_TIME: Duration = Duration::from_secs(600);
/// Each lost try means that another registration by the same link got further.
const CLAIM_TRIES: usize = 5;

impl WorkspacesService {
    pub(crate) async fn preview_invitation(&self, caller: &Caller, token: &str) -> Result<InvitationPreview> {
        let (invitation, workspace) = self.open_invitation(caller, token).await?;
        let inviter = self
            .people(caller, vec![invitation.invited_by])
            .await?
            .remove(&invitation.invited_by);
        Ok(InvitationPreview {
            workspace_name: workspace.name,
            invited_by: inviter.map(|user| user.name),
            email: invitation.email,
            role: invitation.role,
            sales_role: invitation.sales_role,
            expires_at: invitation.expires_at,
        })
    }

    /// 404 for a token we never gave; 410 for one whose invitation ended, ran out, or leads nowhere.
    async fn open_invitation(&self, caller: &Caller, token: &str) -> Result<(Invitation, Workspace)> {
        let invitation = self.invitation_by_token(token).await?.ok_or(WorkspacesError::InvitationNotFound)?;
        if !invitation.is_open(caller.now) {
            return Err(WorkspacesError::InvitationEnded.into());
        }
        let workspace = store::workspaces::find_active(&self.db, invitation.workspace_id).await?;
        Ok((invitation, workspace.ok_or(WorkspacesError::InvitationEnded)?))
    }

    async fn invitation_by_token(&self, token: &str) -> Result<Option<Invitation>> {
        match hash_of_presented(token) {
            Some(hash) => Ok(store::invitations::find_by_token(&self.db, hash).await?),
            None => Ok(None),
        }
    }

    /// The signed-in person becomes a member. An invitation by e-mail is for the account with that address alone; the
    /// role must still be one that the inviter may give today.
    pub(crate) async fn accept_invitation(&self, caller: &Caller, token: &str) -> Result<Reply<MemberView>> {
        let user_id = caller.user_id()?;
        let (invitation, workspace) = self.open_invitation(caller, token).await?;
        self.check_address(&caller.call(), user_id, &invitation).await?;
        let scope = Scope::of_invitation(&invitation);
        self.check_claim(&caller.call(), user_id, &invitation, caller.now).await?;
        self.check_inviter(&scope, &invitation).await?;
        if store::members::find(&self.db, &scope, user_id).await?.is_some() {
            return Err(WorkspacesError::AlreadyMember.into());
        }
        let member = Member {
            workspace_id: workspace.id,
            user_id,
            role: invitation.role,
            sales_role: invitation.sales_role,
            version: 1,
            invited_by: Some(invitation.invited_by),
            created_at: caller.now,
            updated_at: caller.now,
        };
        let mut unit = Unit::new(caller);
        let change = Headcount {
            members: 1,
            owners: i64::from(member.is_owner()),
            max_members: i64::from(self.config.max_members),
            deleted: false,
        };
        store::workspaces::change_headcount(&mut unit, &scope, change, MEMBERS_FULL);
        if invitation.single_use {
            store::invitations::accept(&mut unit, &scope, &invitation, caller.now);
        } else {
            store::invitations::count_use(&mut unit, &scope, invitation.id, caller.now);
        }
        store::members::require_role(
            &mut unit,
            &scope,
            invitation.invited_by,
            Permission::MemberInvite,
            invitation.role,
            INVITATION_ENDED,
        );
        store::members::insert(&mut unit, &member);
        unit.emit(&MemberAdded {
            workspace_id: workspace.id,
            workspace_name: workspace.name,
            user_id,
            role: member.role,
            sales_role: member.sales_role,
        });
        unit.record(
            entry(workspace.id, Action::MemberAdded, "member")
                .id(user_id)
                .with("role", member.role)
                .with("sales_role", member.sales_role)
                .with("invitation_id", invitation.id)
                .with("invited_by", invitation.invited_by),
        );
        tracing::info!(workspace = %workspace.id, member = %user_id, role = %member.role, invitation = %invitation.id, "member comes");
        let _announcement = self.announce(workspace.id, Some(user_id));
        let view = MemberView::from(&member);
        let location = format!("/v1/workspaces/{}/members/{user_id}", workspace.id);
        self.db
            .apply_reply(unit, move |_| Ok(Reply::created(view, 1, location)))
            .await
            .map_err(member_exists)
    }

    /// The token proves the mailbox, the address of the account must be the one that was invited: the two together are
    /// what a verified address would say.
    async fn check_address(&self, ctx: &CallContext, user_id: UserId, invitation: &Invitation) -> Result<()> {
        if invitation.email.is_none() {
            return Ok(());
        }
        let users = self.identity.get_users(ctx, GetUsers { ids: vec![user_id] }).await?;
        let user = users
            .into_iter()
            .find(|user| user.id == user_id && user.active)
            .ok_or_else(|| Error::unauthenticated("auth.required", "Sign in to do this."))?;
        if invitation.is_for(&user.email) {
            Ok(())
        } else {
            Err(WorkspacesError::OtherAddress.into())
        }
    }

    /// A link by which somebody registered is for them alone.
    async fn check_claim(&self, ctx: &CallContext, user_id: UserId, invitation: &Invitation, now: Timestamp) -> Result<()> {
        match &invitation.claim {
            Some(claim) if claim.user_id != user_id && self.stands(ctx, claim, now).await? => Err(WorkspacesError::InvitationEnded.into()),
            _ => Ok(()),
        }
    }

    /// A claim stands while its account may be on the way, and for ever once the account is there (deleted ones stay
    /// known). What a crash left behind blocks nobody for long.
    async fn stands(&self, ctx: &CallContext, claim: &Claim, now: Timestamp) -> Result<bool> {
        if now < claim.at.plus(CLAIM_TIME) {
            return Ok(true);
        }
        let request = GetUsers { ids: vec![claim.user_id] };
        Ok(!self.identity.get_users(ctx, request).await?.is_empty())
    }

    /// Asked today and not when the invitation was made: an inviter who lost the right took it along.
    async fn check_inviter(&self, scope: &Scope, invitation: &Invitation) -> Result<()> {
        let inviter = store::members::find(&self.db, scope, invitation.invited_by).await?;
        let allowed = inviter.is_some_and(|inviter| {
            inviter.standing().permits(Permission::MemberInvite) && inviter.standing().may_grant(invitation.standing())
        });
        if allowed {
            Ok(())
        } else {
            Err(WorkspacesError::InvitationEnded.into())
        }
    }

    /// Whoever holds the mail may decline, with or without an account. A link is for anybody, so nobody can decline it
    /// for the others.
    pub(crate) async fn decline_invitation(&self, caller: &Caller, token: &str) -> Result<Reply<InvitationPreview>> {
        let preview = self.preview_invitation(caller, token).await?;
        let (invitation, _) = self.open_invitation(caller, token).await?;
        if invitation.email.is_none() {
            return Err(WorkspacesError::LinkNotDeclinable.into());
        }
        let mut unit = Unit::new(caller);
        store::invitations::end(
            &mut unit,
            &Scope::of_invitation(&invitation),
            invitation.id,
            InvitationState::Declined,
            caller.now,
        );
        unit.record(invitation_entry(&invitation, Action::InvitationDeclined));
        Ok(self.db.apply_reply(unit, move |_| Ok(Reply::plain(preview))).await?)
    }

    /// For registration by invitation: the invitation, if the token and the address fit and it is not spent on another.
    pub(crate) async fn claimable(&self, ctx: &CallContext, email: &str, token: &str, now: Timestamp) -> Result<Option<Invitation>> {
        let Some(invitation) = self.invitation_by_token(token).await? else {
            return Ok(None);
        };
        if !invitation.is_open(now) || !invitation.is_for(email) {
            return Ok(None);
        }
        if let Some(claim) = &invitation.claim
            && claim.tag != claim_tag(token, email)
            && self.stands(ctx, claim, now).await?
        {
            return Ok(None);
        }
        let workspace = store::workspaces::find_active(&self.db, invitation.workspace_id).await?;
        Ok(workspace.map(|_| invitation))
    }

    /// The same address keeps the id it was given first, so that a repeated registration cannot make a second account.
    pub(crate) async fn claim(&self, ctx: &CallContext, request: &ClaimInvitation) -> Result<Option<UserId>> {
        for _ in 0..CLAIM_TRIES {
            let caller = Caller::system(&*self.toolkit.clock, ctx.request_id.as_str());
            let found = self.claimable(ctx, &request.email, &request.token, caller.now).await?;
            let Some(invitation) = found else { return Ok(None) };
            if !invitation.single_use || invitation.email.is_some() {
                // For many, or for one address, which no two accounts can have: nothing to set apart.
                return Ok(Some(request.user_id));
            }
            let tag = claim_tag(&request.token, &request.email);
            let earlier = invitation.claim.as_ref().filter(|claim| claim.tag == tag);
            let claim = Claim {
                user_id: earlier.map_or(request.user_id, |claim| claim.user_id),
                tag,
                at: caller.now,
            };
            let mut unit = Unit::new(&caller);
            store::invitations::claim(&mut unit, &Scope::of_invitation(&invitation), &invitation, &claim);
            match self.db.apply(unit).await {
                Ok(_) => return Ok(Some(claim.user_id)),
                // Somebody was faster; what they left decides.
                Err(DbError::Guard(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::unavailable(Duration::from_secs(1)))
    }
}
