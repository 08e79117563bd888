//! security.md 9, 10, 12 and 14 as far as they live in the kit.

use std::sync::atomic::Ordering;
use std::time::Duration;

use contracts::identity::SessionState;
use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use kernel::ids::SessionId;
use platform::signals::{Signal, Signals};
use serde_json::{Value, json};

use crate::support::{Kit, encode};

async fn me(kit: &Kit, token: &str) -> crate::support::Answer {
    kit.get("/v1/me", &[("authorization", &format!("Bearer {token}"))]).await
}

#[track_caller]
fn refused(answer: &crate::support::Answer, what: &str) {
    assert_eq!(answer.status, 401, "{what}: {answer:#?}");
    answer.problem(401, "auth.token_invalid");
    assert_eq!(
        answer.header("www-authenticate"),
        r#"Bearer realm="guildhall", error="invalid_token""#
    );
}

#[tokio::test]
async fn a_valid_token_speaks_for_its_owner() {
    let kit = Kit::new();
    let answer = me(&kit, &kit.token()).await;
    assert_eq!(answer.body, json!({ "id": kit.user_id, "admin": true }));
    // The scheme's case does not matter.
    let token = format!("bEARER {}", kit.token());
    assert_eq!(kit.get("/v1/me", &[("authorization", &token)]).await.status, 200);
}

#[tokio::test]
async fn without_a_token_the_challenge_is_bare() {
    let kit = Kit::new();
    let answer = kit.get("/v1/me", &[]).await;
    answer.problem(401, "auth.required");
    assert_eq!(answer.header("www-authenticate"), r#"Bearer realm="guildhall""#);
    assert_eq!(kit.get("/v1/public", &[]).await.body["id"], Value::Null);
}

#[tokio::test]
async fn sec_17_a_token_in_the_address_counts_for_nothing() {
    let kit = Kit::new();
    for path in [
        format!("/v1/me?access_token={}", kit.token()),
        format!("/v1/me?token={}", kit.token()),
    ] {
        kit.get(&path, &[]).await.problem(401, "auth.required");
    }
}

#[tokio::test]
async fn sec_09_the_algorithm_is_pinned() {
    let kit = Kit::new();
    assert_eq!(me(&kit, &kit.token()).await.status, 200);
    let claims = encode(&kit.claims());
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = encode(&json!({ "alg": alg, "typ": "at+jwt", "kid": "k1" }));
        refused(&me(&kit, &format!("{header}.{claims}.")).await, alg);
    }
    // HS/RS confusion: the public key as the secret of a MAC.
    let public = kit.identity.key.verifying_key();
    for secret in [public.as_bytes().to_vec(), BASE64URL_NOPAD.encode(public.as_bytes()).into_bytes()] {
        let text = format!("{}.{claims}", encode(&json!({ "alg": "HS256", "typ": "at+jwt", "kid": "k1" })));
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&secret).unwrap();
        mac.update(text.as_bytes());
        let token = format!("{text}.{}", BASE64URL_NOPAD.encode(&mac.finalize().into_bytes()));
        refused(&me(&kit, &token).await, "HS256 with the public key");
    }
    // A good signature under the name of another algorithm.
    for alg in ["RS256", "ES256", "PS512", "HS512"] {
        let token = kit.sign(&json!({ "alg": alg, "typ": "at+jwt", "kid": "k1" }), &kit.claims());
        refused(&me(&kit, &token).await, alg);
    }
}

#[tokio::test]
async fn sec_09_a_token_brings_no_key_of_its_own() {
    let kit = Kit::new();
    let own = json!({ "kty": "OKP", "crv": "Ed25519", "x": BASE64URL_NOPAD.encode(kit.identity.key.verifying_key().as_bytes()) });
    let extras = [
        ("jku", json!("https://evil.example/jwks")),
        ("jwk", own),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!(["MIIB"])),
        ("crit", json!(["exp"])),
    ];
    for (name, value) in extras {
        let mut header = kit.header();
        header[name] = value;
        refused(&me(&kit, &kit.sign(&header, &kit.claims())).await, name);
    }
    // Signed with a foreign key under our kid.
    let foreign = Kit::new();
    let text = format!("{}.{}", encode(&kit.header()), encode(&kit.claims()));
    let key = ed25519_dalek::SigningKey::from_bytes(&[9; 32]);
    let signature = BASE64URL_NOPAD.encode(&ed25519_dalek::Signer::sign(&key, text.as_bytes()).to_bytes());
    refused(&me(&foreign, &format!("{text}.{signature}")).await, "foreign key");
}

#[tokio::test]
async fn sec_10_every_claim_is_checked() {
    let kit = Kit::new();
    let now = kit.claims()["iat"].as_i64().unwrap();
    let wrong = [
        ("iss", json!("https://guildhall.test/")),
        ("iss", json!("https://evil.example")),
        ("aud", json!("other")),
        ("aud", json!(["guildhall", "other"])),
        ("exp", json!(now)),
        ("exp", json!(now - 1)),
        ("exp", json!("never")),
        ("nbf", json!(now + 60)),
        ("iat", json!(now + 60)),
        ("sub", json!("admin")),
        ("sid", json!(7)),
        ("jti", json!("")),
        ("jti", json!("00000000-0000-0000-0000-000000000000")),
    ];
    for (name, value) in wrong {
        let mut claims = kit.claims();
        claims[name] = value.clone();
        refused(&me(&kit, &kit.sign(&kit.header(), &claims)).await, &format!("{name}={value}"));
    }
    for name in ["iss", "aud", "exp", "nbf", "iat", "sub", "sid", "jti"] {
        let mut claims = kit.claims();
        claims.as_object_mut().unwrap().remove(name);
        refused(&me(&kit, &kit.sign(&kit.header(), &claims)).await, &format!("no {name}"));
    }
    // The token types of other purposes.
    for typ in [json!("JWT"), json!("refresh+jwt"), json!("mfa+jwt"), json!("AT+JWT"), Value::Null] {
        let header = json!({ "alg": "EdDSA", "typ": typ, "kid": "k1" });
        refused(&me(&kit, &kit.sign(&header, &kit.claims())).await, &format!("typ {typ}"));
    }
    for rubbish in ["", "x", "..", "a.b.c", "ghl_id_secret", &"a".repeat(10_000)] {
        assert_eq!(me(&kit, rubbish).await.status, 401, "{rubbish:.20}");
    }
    // Time passes.
    let token = kit.token();
    kit.clock.advance(Duration::from_secs(899));
    assert_eq!(me(&kit, &token).await.status, 200);
    kit.clock.advance(Duration::from_secs(1));
    refused(&me(&kit, &token).await, "expired");
}

#[tokio::test]
async fn sec_11_keys_rotate_without_sign_outs_and_withdrawn_ones_are_forgotten() {
    let kit = Kit::new();
    // Right after a start every request meets an unknown key; one fetch serves them all.
    let answers = futures_util::future::join_all((0..20).map(|_| async { me(&kit, &kit.token()).await.status })).await;
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    assert_eq!(kit.identity.key_fetches.load(Ordering::SeqCst), 1);
    // Unknown keys cannot make us ask again and again.
    let unknown = kit.sign(&json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "unknown" }), &kit.claims());
    for _ in 0..20 {
        refused(&me(&kit, &unknown).await, "unknown kid");
    }
    assert_eq!(kit.identity.key_fetches.load(Ordering::SeqCst), 1);
    let old = kit.token();
    kit.clock.advance(Duration::from_secs(3));
    *kit.identity.kid.lock().unwrap() = "k2".into();
    // Still believed from the cache, then gone with it; the new one is fetched at once.
    assert_eq!(me(&kit, &old).await.status, 200);
    kit.clock.advance(Duration::from_secs(301));
    refused(&me(&kit, &old).await, "withdrawn key");
    assert_eq!(me(&kit, &kit.token()).await.status, 200);
}

#[tokio::test]
async fn sec_14_an_ended_session_is_refused_at_once_in_this_process() {
    let kit = Kit::new();
    let signals = Signals::default();
    let following = tokio::task::JoinSet::from_iter([kit.authenticator.clone().follow(signals.clone())]);
    let token = kit.token();
    for _ in 0..5 {
        assert_eq!(me(&kit, &token).await.status, 200);
    }
    // Cached: five requests, one question.
    assert_eq!(kit.identity.session_checks.load(Ordering::SeqCst), 1);
    *kit.identity.state.lock().unwrap() = Ok(SessionState {
        active: false,
        instance_admin: false,
    });
    tokio::task::yield_now().await;
    signals.publish(Signal::SessionsChanged(kit.user_id));
    tokio::time::sleep(Duration::from_millis(50)).await;
    refused(&me(&kit, &token).await, "ended");
    drop(following);
}

#[tokio::test]
async fn sec_14_the_cache_forgets_within_five_seconds() {
    let kit = Kit::new();
    let token = kit.token();
    assert_eq!(me(&kit, &token).await.status, 200);
    *kit.identity.state.lock().unwrap() = Ok(SessionState {
        active: false,
        instance_admin: false,
    });
    // Another session of the person is another entry.
    let mut claims = kit.claims();
    claims["sid"] = json!(<SessionId as kernel::ids::EntityId>::generate(&kit.clock));
    refused(&me(&kit, &kit.sign(&kit.header(), &claims)).await, "other session");
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    refused(&me(&kit, &token).await, "after five seconds");
}

#[tokio::test]
async fn a_bad_token_is_nobody_on_a_public_route() {
    let kit = Kit::new();
    let answer = kit.get("/v1/public", &[("authorization", "Bearer rubbish")]).await;
    assert_eq!((answer.status.as_u16(), &answer.body["id"]), (200, &Value::Null));
}

#[tokio::test]
async fn an_identity_that_is_away_is_503_and_no_sign_out() {
    let kit = Kit::new();
    *kit.identity.state.lock().unwrap() = Err(());
    let answer = me(&kit, &kit.token()).await;
    answer.problem(503, "service.unavailable");
    assert_eq!(answer.header("retry-after"), "2");
}
