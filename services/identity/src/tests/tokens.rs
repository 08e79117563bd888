//! Forged and foreign tokens against the verifier every request goes through.

use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use platform::http::auth::{AuthConfig, Authenticator};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::Sha256;

use super::support::{World, cheap};
use crate::service::{IdentityService, SignedIn};

const ISSUER: &str = "https://guildhall.example.org";

fn verifier(world: &World, service: Arc<IdentityService>) -> Authenticator {
    let config = AuthConfig {
        issuer: ISSUER.to_owned(),
        audience: "guildhall".to_owned(),
    };
    Authenticator::new(service, Arc::new(world.clock.clone()), config)
}

fn encode(value: &Value) -> String {
    BASE64URL_NOPAD.encode(value.to_string().as_bytes())
}

fn decode(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
}

fn signed_by(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let signed = format!("{}.{}", encode(header), encode(claims));
    let signature = key.sign(signed.as_bytes());
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature.to_bytes()))
}

async fn accepted(verifier: &Authenticator, token: &str) -> bool {
    verifier.authenticate(token, "test").await.is_ok()
}

async fn start() -> (World, SignedIn, Authenticator) {
    let world = World::new().await;
    let ada = world.register("ada@example.org").await;
    let verifier = verifier(&world, world.service.clone());
    assert!(accepted(&verifier, &ada.access.token).await, "the genuine one is accepted");
    (world, ada, verifier)
}

#[tokio::test]
async fn sec_09_foreign_algorithms_and_keys_are_refused() {
    let (world, ada, verifier) = start().await;
    let genuine = &ada.access.token;
    let (header, claims) = (decode(genuine, 0), decode(genuine, 1));
    let with = |name: &str, value: Value| {
        let mut changed = header.clone();
        changed[name] = value;
        changed
    };
    let attacker = SigningKey::from_bytes(&[9; 32]);
    let attacker_public = BASE64URL_NOPAD.encode(attacker.verifying_key().as_bytes());
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": attacker_public, "alg": "EdDSA", "kid": header["kid"] });

    let unsigned = with("alg", json!("none"));
    let mut forged = vec![format!("{}.{}.", encode(&unsigned), encode(&claims))];
    // RS/HS confusion: the public key as an HMAC secret.
    let keys = world.service.key_document().await.unwrap().keys;
    let public = keys.iter().find(|key| key["kid"] == header["kid"]).unwrap()["x"]
        .as_str()
        .unwrap()
        .to_owned();
    for secret in [BASE64URL_NOPAD.decode(public.as_bytes()).unwrap(), public.clone().into_bytes()] {
        let signed = format!("{}.{}", encode(&with("alg", json!("HS256"))), encode(&claims));
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&secret).unwrap();
        mac.update(signed.as_bytes());
        forged.push(format!("{signed}.{}", BASE64URL_NOPAD.encode(&mac.finalize().into_bytes())));
    }
    forged.push(signed_by(&attacker, &header, &claims));
    forged.push(signed_by(&attacker, &with("jwk", jwk), &claims));
    forged.push(signed_by(&attacker, &with("jku", json!("https://evil.example/jwks.json")), &claims));
    forged.push(signed_by(&attacker, &with("x5u", json!("https://evil.example/cert.pem")), &claims));
    forged.push(signed_by(&attacker, &with("kid", json!("unknown")), &claims));
    // The genuine signature over other claims, and a cut one.
    let mut other = claims.clone();
    other["exp"] = json!(claims["exp"].as_i64().unwrap() + 1);
    let signature = genuine.rsplit('.').next().unwrap();
    forged.push(format!("{}.{}.{signature}", encode(&header), encode(&other)));
    forged.push(genuine[..genuine.len() - 2].to_owned());
    for token in forged {
        assert!(!accepted(&verifier, &token).await, "{token}");
    }
}

#[tokio::test]
async fn sec_09_even_our_own_key_signs_no_other_kind_of_token() {
    let (world, ada, verifier) = start().await;
    let (header, claims) = (decode(&ada.access.token, 0), decode(&ada.access.token, 1));
    let ours = async |header: &Value, claims: &Value| {
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = world.service.sign_for_tests(signed.as_bytes()).await;
        format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
    };
    assert!(
        accepted(&verifier, &ours(&header, &claims).await).await,
        "the test signs as the service does"
    );
    let change = |original: &Value, name: &str, value: Value| {
        let mut changed = original.clone();
        changed[name] = value;
        changed
    };
    let now = testkit::FixedClock::START.as_seconds();
    for (header, claims, why) in [
        (change(&header, "typ", json!("JWT")), claims.clone(), "typ"),
        (change(&header, "jku", json!("https://evil.example")), claims.clone(), "jku"),
        (change(&header, "crit", json!(["exp"])), claims.clone(), "crit"),
        (
            header.clone(),
            change(&claims, "iss", json!("https://guildhall.example.org/")),
            "iss",
        ),
        (header.clone(), change(&claims, "aud", json!("other")), "aud"),
        (header.clone(), change(&claims, "exp", json!(now)), "exp"),
        (header.clone(), change(&claims, "nbf", json!(now + 60)), "nbf"),
        (header.clone(), change(&claims, "iat", json!(now + 60)), "iat"),
        (header.clone(), change(&claims, "jti", Value::Null), "jti"),
        (
            header.clone(),
            change(&claims, "sid", json!("00000000-0000-7000-8000-000000000000")),
            "sid",
        ),
        (
            header.clone(),
            change(&claims, "sub", json!("00000000-0000-7000-8000-000000000000")),
            "sub",
        ),
    ] {
        assert!(!accepted(&verifier, &ours(&header, &claims).await).await, "{why}");
    }
}

#[tokio::test]
async fn sec_10_other_tokens_are_never_access_tokens() {
    let (world, ada, verifier) = start().await;
    let verify = world.mailed_token("ada@example.org").await;
    world.service.forgot_password(&world.visitor(), "ada@example.org").await.unwrap();
    let reset = world.mailed_token("ada@example.org").await;
    for token in [
        ada.refresh.expose_secret(),
        verify.expose_secret(),
        reset.expose_secret(),
        "",
        "a.b.c",
    ] {
        assert!(!accepted(&verifier, token).await, "{token}");
    }
}

#[tokio::test]
async fn sec_10_access_tokens_live_fifteen_minutes() {
    let (world, ada, verifier) = start().await;
    world.clock.advance(Duration::from_secs(899));
    assert!(accepted(&verifier, &ada.access.token).await);
    world.clock.advance(Duration::from_secs(1));
    assert!(!accepted(&verifier, &ada.access.token).await);
}

#[tokio::test]
async fn sec_11_tokens_stay_valid_across_a_rotation() {
    let (world, _, verifier) = start().await;
    world.clock.advance(Duration::from_secs(30 * 86_400));
    let bob = world.register("bob@example.org").await;
    world.service.rotate_keys().await.unwrap();
    let carol = world.register("carol@example.org").await;
    assert_ne!(decode(&bob.access.token, 0)["kid"], decode(&carol.access.token, 0)["kid"]);
    for token in [&bob.access.token, &carol.access.token] {
        assert!(accepted(&verifier, token).await);
    }
    // A verifier that starts afterwards, on another node, knows both as well.
    let fresh = self::verifier(&world, world.node(cheap()));
    for token in [&bob.access.token, &carol.access.token] {
        assert!(accepted(&fresh, token).await);
    }
}

#[tokio::test]
async fn sec_12_administration_is_asked_per_request() {
    let (world, ada, _) = start().await;
    let root = world.admin("root@example.org").await;
    let is_admin = async |verifier: &Authenticator| verifier.authenticate(&ada.access.token, "test").await.unwrap().instance_admin;
    assert!(!is_admin(&verifier(&world, world.service.clone())).await);
    world
        .service
        .set_instance_admin(&world.caller(&root), ada.user.id, true)
        .await
        .unwrap();
    assert!(
        is_admin(&verifier(&world, world.service.clone())).await,
        "the same token, a new answer"
    );
}

#[tokio::test]
async fn sec_09_es256_is_an_option_and_pinned_to_its_keys() {
    let config = crate::Config {
        signing_algorithm: crate::SigningAlgorithm::Es256,
        ..cheap()
    };
    let world = World::with(config).await;
    let ada = world.register("ada@example.org").await;
    let verifier = verifier(&world, world.service.clone());
    assert_eq!(decode(&ada.access.token, 0)["alg"], "ES256");
    assert!(accepted(&verifier, &ada.access.token).await);
    let keys = world.service.key_document().await.unwrap().keys;
    assert_eq!(keys.len(), 2);
    for key in &keys {
        assert_eq!(
            (&key["kty"], &key["crv"], &key["alg"]),
            (&json!("EC"), &json!("P-256"), &json!("ES256"))
        );
    }
    // The same bytes under another algorithm's name, and another algorithm's signature under this key's name.
    let (mut header, claims) = (decode(&ada.access.token, 0), decode(&ada.access.token, 1));
    let signature = ada.access.token.rsplit('.').next().unwrap().to_owned();
    for alg in ["EdDSA", "ES384", "RS256", "none"] {
        header["alg"] = json!(alg);
        assert!(
            !accepted(&verifier, &format!("{}.{}.{signature}", encode(&header), encode(&claims))).await,
            "{alg}"
        );
        let attacker = SigningKey::from_bytes(&[9; 32]);
        assert!(!accepted(&verifier, &signed_by(&attacker, &header, &claims)).await, "{alg}");
    }
}

#[tokio::test]
async fn sec_11_another_algorithm_comes_by_rotation_and_signs_nobody_out() {
    let (world, ada, verifier) = start().await;
    for (algorithm, name) in [(crate::SigningAlgorithm::Es256, "ES256"), (crate::SigningAlgorithm::EdDsa, "EdDSA")] {
        let node = world.node(crate::Config {
            signing_algorithm: algorithm,
            ..cheap()
        });
        let fresh = async |email: &str| {
            node.forget_keys();
            let signed_in = node
                .sign_in(&world.visitor(), email, &super::support::PASSWORD.into())
                .await
                .unwrap()
                .session();
            (decode(&signed_in.access.token, 0)["alg"].clone(), signed_in.access.token)
        };
        let (before, old_token) = fresh("ada@example.org").await;
        assert_ne!(before, name, "not before every verifier knows the new key");
        node.rotate_keys().await.unwrap();
        assert_ne!(fresh("ada@example.org").await.0, name);
        // The longest that a token lives and a verifier may keep the key set.
        world.clock.advance(Duration::from_secs(900 + 300 + 30));
        let (still, newest_old) = fresh("ada@example.org").await;
        assert_eq!(still, before);
        node.rotate_keys().await.unwrap();
        let (after, new_token) = fresh("ada@example.org").await;
        assert_eq!(after, name);
        assert!(accepted(&verifier, &newest_old).await, "signed with the old key a moment ago");
        assert!(accepted(&verifier, &new_token).await);
        assert!(!accepted(&verifier, &old_token).await, "expired");
    }
    drop(ada);
}
