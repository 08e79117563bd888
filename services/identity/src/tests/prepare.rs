//! Every statement of the store, prepared.

use kernel::Clock;
use kernel::ids::{ApiKeyId, EntityId, ExternalIdentityId, SessionId, UserId};
use platform::db::Guard;
use testkit::FixedClock;

use crate::model::api_key::ApiKey;
use crate::model::external_identity::ExternalIdentity;
use crate::model::second_factor::SecondFactor;
use crate::model::session::Session;
use crate::model::user::{User, UserStatus};
use crate::store::keys::{KeyRow, Slot};
use crate::store::mail_tokens::{MailToken, Purpose};
use crate::store::sessions::Which;
use crate::store::users::UserFilter;
use crate::store::{api_keys, external_identities, keys, mail_tokens, second_factors, sessions, setup, throttles, users};
use crate::{SCHEMA, SigningAlgorithm};

fn user(clock: &FixedClock) -> User {
    let now = clock.now();
    User {
        id: UserId::generate(clock),
        email: Some("ada@example.org".into()),
        email_verified: true,
        pending_email: None,
        name: "Ada".into(),
        time_zone: "UTC".into(),
        locale: "en".into(),
        password_hash: None,
        password_changed_at: now,
        status: UserStatus::Active,
        instance_admin: false,
        created_at: now,
        updated_at: now,
        version: 2,
    }
}

fn session(clock: &FixedClock, user_id: UserId) -> Session {
    let now = clock.now();
    Session {
        id: SessionId::generate(clock),
        user_id,
        created_at: now,
        last_used_at: now,
        expires_at: now,
        idle_expires_at: now,
        ended_at: None,
        generation: 1,
        rotated_at: now,
        ip: String::new(),
        user_agent: String::new(),
    }
}

#[tokio::test]
async fn the_engine_accepts_every_statement_of_the_store() {
    let clock = FixedClock::default();
    let now = clock.now();
    let user = user(&clock);
    let session = session(&clock, user.id);
    let hash = [7; 32];
    let key = KeyRow {
        kid: "kid".into(),
        slot: Some(Slot::Next),
        algorithm: SigningAlgorithm::Es256,
        salt: hash,
        public_key: hash,
        created_at: now,
        activated_at: None,
        retired_at: None,
    };
    let token = MailToken {
        hash,
        user_id: user.id,
        purpose: Purpose::VerifyEmail,
        email: "ada@example.org".into(),
        created_at: now,
        expires_at: now,
    };
    let api_key = ApiKey {
        id: ApiKeyId::generate(&clock),
        user_id: user.id,
        name: "Key".into(),
        scopes: kernel::scopes::Scope::ALL.into_iter().collect(),
        secret_hash: hash,
        created_at: now,
        updated_at: now,
        expires_at: now,
        last_used_at: None,
        revoked_at: None,
        version: 2,
    };
    let guard = Guard::VERSION;
    testkit::prepare_store(SCHEMA, env!("CARGO_MANIFEST_DIR"), async |db, unit| {
        let _ = users::find(db, user.id).await;
        let _ = users::find_by_email(db, "ada@example.org").await;
        let _ = users::list_by_ids(db, &[user.id; 3]).await;
        for (text, status, after) in [
            (None, None, None),
            (Some("a%".to_owned()), Some(UserStatus::Locked), Some((now, user.id))),
        ] {
            let filter = UserFilter {
                text,
                status,
                limit: 10,
                after,
            };
            let _ = users::list(db, &filter).await;
        }
        let _ = users::has_admin(db).await;
        users::require_other_admin(unit, user.id, guard);
        users::require_unchanged_credentials(unit, &user, guard);
        users::require_proven_address(unit, user.id, "ada@example.org", guard);
        users::insert(unit, &user);
        users::touch_nobody(unit);
        users::update(unit, &user, 1, guard);
        users::replace_hash(unit, &user, "hash");

        let _ = sessions::find_by_token(db, &hash).await;
        let _ = sessions::find_standing(db, session.id).await;
        let _ = sessions::find(db, user.id, session.id).await;
        for after in [None, Some((now, session.id))] {
            let _ = sessions::list(db, user.id, now, 10, after).await;
        }
        let _ = sessions::knows_address(db, user.id, "192.0.2.1", now).await;
        let _ = sessions::list_over(db, now, 10).await;
        sessions::insert(unit, &session, &hash);
        sessions::rotate(unit, &session, 1, &hash, guard);
        for which in [Which::One(session.id), Which::AllBut(session.id), Which::All] {
            sessions::end(unit, user.id, which, "test", now);
        }
        sessions::erase_traces(unit, user.id);
        sessions::delete(unit, &[session.id]);

        let _ = keys::list(db).await;
        keys::insert(unit, &key);
        keys::retire(unit, "kid", now, guard);
        keys::activate(unit, "kid", now, guard);
        keys::delete_retired(unit, now);

        let _ = mail_tokens::find(db, &hash).await;
        let _ = mail_tokens::find_latest(db, user.id, Purpose::ResetPassword).await;
        mail_tokens::replace(unit, &token);
        mail_tokens::consume(unit, &hash, guard);
        mail_tokens::delete_purpose(unit, user.id, Purpose::ChangeEmail);
        mail_tokens::delete_of_user(unit, user.id);
        mail_tokens::delete_expired(unit, now);

        let _ = throttles::list(db, &[hash]).await;
        throttles::count(unit, &hash, now, None);
        throttles::count(unit, &hash, now, Some(now));
        throttles::read(unit, &[hash]);
        throttles::reset(unit, &[hash]);
        throttles::take_back(unit, &hash);
        throttles::delete_old(unit, now);

        let _ = api_keys::find_standing(db, api_key.id).await;
        let _ = api_keys::find(db, user.id, api_key.id).await;
        for after in [None, Some((now, api_key.id))] {
            let _ = api_keys::list(db, user.id, 10, after).await;
        }
        let _ = api_keys::count(unit, user.id);
        api_keys::insert(unit, &api_key);
        api_keys::update(unit, &api_key, guard);
        api_keys::note_use(unit, api_key.id, now);
        api_keys::delete_of_user(unit, user.id);
        api_keys::delete_expired(unit, now);

        let identity = ExternalIdentity {
            id: ExternalIdentityId::generate(&clock),
            user_id: user.id,
            issuer: "https://id.example.org".into(),
            subject: "ada".into(),
            email: None,
            created_at: now,
            last_used_at: None,
        };
        let _ = external_identities::find(db, &identity.issuer, &identity.subject).await;
        let _ = external_identities::list(db, user.id).await;
        external_identities::insert(unit, &identity);
        external_identities::note_use(unit, &identity, now, guard);
        external_identities::require_other(unit, &identity, vec![identity.issuer.clone()], guard);
        external_identities::delete(unit, user.id, identity.id, guard);
        external_identities::delete_of_user(unit, user.id);
        external_identities::finish_flow(unit, &hash, now);
        external_identities::delete_expired_flows(unit, now);

        let factor = SecondFactor {
            user_id: user.id,
            sealed_seed: "v1.x".into(),
            last_step: 0,
            created_at: now,
            confirmed_at: None,
            version: 1,
        };
        let challenge = second_factors::Challenge {
            token_hash: hash,
            user_id: user.id,
            failures: 0,
            created_at: now,
            expires_at: now,
        };
        let _ = second_factors::find(db, user.id).await;
        let _ = second_factors::count_recovery_codes(db, user.id).await;
        let _ = second_factors::find_challenge(db, &hash).await;
        second_factors::replace_unconfirmed(unit, &factor);
        second_factors::confirm(unit, &factor, 1, now, guard);
        second_factors::use_step(unit, user.id, 1, guard);
        second_factors::require_none(unit, user.id, guard);
        second_factors::delete_of_user(unit, user.id);
        second_factors::replace_recovery_codes(unit, user.id, &[hash], now);
        second_factors::use_recovery_code(unit, user.id, &hash, guard);
        second_factors::insert_challenge(unit, &challenge);
        second_factors::count_guess(unit, &hash, 5, guard);
        second_factors::consume_challenge(unit, &hash, guard);
        second_factors::delete_challenges(unit, user.id);
        second_factors::delete_expired_challenges(unit, now);

        let _ = setup::find(db).await;
        setup::insert(unit, &hash, now);
        setup::renew(unit, &hash, &hash, now);
        setup::consume(unit, &hash, now, guard);
    })
    .await;
}
