//! A provider that lies, browsers that are not the one, and a provider that is away.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use testkit::oidc::{CLIENT_ID, Redirect, Signing};

use super::support::{Column, World, answer, code, with_providers};
use crate::service::{Answer, Begun, SignInStep};

fn ada() -> Value {
    json!({ "sub": "ada-1", "email": "ada@example.org", "email_verified": true, "name": "Ada Lovelace" })
}

const DISTRUSTED: &str = "identity.oidc.answer_invalid";
const NO_FLOW: &str = "identity.oidc.flow_invalid";

async fn count(world: &World, table: &'static str) -> i64 {
    let query = sea_query::Query::select()
        .expr(sea_query::Expr::cust("COUNT(*)"))
        .from(table)
        .take();
    world.db.one::<Column<i64>>(query).await.unwrap().0
}

async fn begun(world: &World) -> (Begun, Redirect) {
    let begun = world.begin_at("corp").await.unwrap();
    let redirect = world.corp.authorize(&begun.authorization_url, ada());
    (begun, redirect)
}

#[tokio::test]
async fn sec_20_no_token_that_lies_opens_anything() {
    let world = World::with(with_providers()).await;
    let now = testkit::FixedClock::START.as_seconds();
    for (claim, lie) in [
        ("nonce", json!("another")),
        ("nonce", Value::Null),
        ("iss", json!("https://evil.example.org")),
        ("iss", json!("https://corp.example.org/")),
        ("aud", json!("another")),
        ("aud", json!(["another"])),
        ("aud", json!([CLIENT_ID, "another"])),
        ("azp", json!("another")),
        ("exp", json!(now - 61)),
        ("exp", Value::Null),
        ("iat", json!(now - 3_600)),
        ("iat", json!(now + 3_600)),
        ("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA")),
        ("sub", json!("")),
        ("sub", json!({ "a": 1 })),
    ] {
        let told = lie.clone();
        world.corp.alter(move |claims| claims[claim] = told.clone());
        assert_eq!(code(world.enter(ada()).await), DISTRUSTED, "{claim} {lie}");
    }
    world.corp.behave();
    for signing in [Signing::None, Signing::Confused, Signing::Forged, Signing::Unpublished] {
        world.corp.sign(signing);
        assert_eq!(code(world.enter(ada()).await), DISTRUSTED, "{signing:?}");
    }
    assert_eq!((count(&world, "users").await, count(&world, "external_identities").await), (0, 0));
    world.corp.behave();
    world.enter(ada()).await.unwrap();
}

#[tokio::test]
async fn sec_20_a_flow_is_finished_once_by_whom_it_was_begun() {
    let world = World::with(with_providers()).await;
    let (mine, my_redirect) = begun(&world).await;
    let (other, others_redirect) = begun(&world).await;
    // Login CSRF: the attacker's answer in the victim's browser, and the victim's in the attacker's.
    assert_eq!(code(world.come_back("corp", &mine, &others_redirect).await), NO_FLOW);
    assert_eq!(code(world.come_back("corp", &other, &my_redirect).await), NO_FLOW);
    // Mix-up: an answer for another provider's redirect URI.
    assert_eq!(code(world.come_back("evil", &mine, &my_redirect).await), NO_FLOW);
    // Nothing that was not sealed here.
    for text in ["", "v1.AAAA", &format!("{}A", mine.flow.expose_secret()), &"A".repeat(5_000)] {
        let forged = Begun {
            flow: SecretString::from(text),
            ..begun(&world).await.0
        };
        assert_eq!(code(world.come_back("corp", &forged, &my_redirect).await), NO_FLOW, "{text}");
    }
    world.come_back("corp", &mine, &my_redirect).await.unwrap();
    assert_eq!(code(world.come_back("corp", &mine, &my_redirect).await), NO_FLOW, "replayed");
    // Even before the ten minutes are over, and on another node.
    let node = world.node(with_providers());
    let replayed = node.open_flow(&world.visitor(), "corp", &mine.flow, &my_redirect.state).await;
    assert_eq!(code(replayed), NO_FLOW);
    world.clock.advance(Duration::from_secs(601));
    assert_eq!(code(world.come_back("corp", &other, &others_redirect).await), NO_FLOW, "too late");
    world.service.clean_up().await.unwrap();
    assert_eq!(count(&world, "finished_flows").await, 0);
}

#[tokio::test]
async fn sec_20_parallel_use_of_one_answer_opens_one_session() {
    let world = World::with(with_providers()).await;
    let (mine, redirect) = begun(&world).await;
    let mut set = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let (service, visitor, flow, state) = (world.service.clone(), world.visitor(), mine.flow.clone(), redirect.state.clone());
        set.spawn(async move { service.open_flow(&visitor, "corp", &flow, &state).await.is_ok() });
    }
    let opened = set.join_all().await.into_iter().filter(|opened| *opened).count();
    assert_eq!(opened, 1);
}

#[tokio::test]
async fn sec_20_a_swapped_code_and_a_swapped_issuer_are_refused() {
    let world = World::with(with_providers()).await;
    let (mine, my_redirect) = begun(&world).await;
    let (_, others_redirect) = begun(&world).await;
    let swapped = Redirect {
        code: others_redirect.code.clone(),
        ..my_redirect
    };
    assert_eq!(
        code(world.come_back("corp", &mine, &swapped).await),
        "identity.oidc.refused",
        "PKCE"
    );

    // RFC 9207: an answer that another provider made, and one that does not say whose it is.
    for issuer in [Some("https://evil.example.org"), Some("https://corp.example.org/"), None] {
        let (mine, redirect) = begun(&world).await;
        let flow = world
            .service
            .open_flow(&world.visitor(), "corp", &mine.flow, &redirect.state)
            .await
            .unwrap();
        let asked = world.corp.asked("/token");
        let answer = Answer {
            issuer: issuer.map(str::to_owned),
            ..answer(&redirect)
        };
        assert_eq!(code(world.service.finish_flow(&world.visitor(), &flow, &answer).await), DISTRUSTED);
        assert_eq!(world.corp.asked("/token"), asked, "the code went nowhere");
    }
}

#[tokio::test]
async fn a_provider_may_keep_silent_about_its_issuer_where_it_promised_nothing() {
    let world = World::with(with_providers()).await;
    world.corp.declare("authorization_response_iss_parameter_supported", Value::Null);
    let (mine, redirect) = begun(&world).await;
    let flow = world
        .service
        .open_flow(&world.visitor(), "corp", &mine.flow, &redirect.state)
        .await
        .unwrap();
    let answer = Answer {
        issuer: None,
        ..answer(&redirect)
    };
    world.service.finish_flow(&world.visitor(), &flow, &answer).await.unwrap();
}

#[tokio::test]
async fn what_the_provider_refuses_ends_the_flow() {
    let world = World::with(with_providers()).await;
    let (mine, redirect) = begun(&world).await;
    let flow = world
        .service
        .open_flow(&world.visitor(), "corp", &mine.flow, &redirect.state)
        .await
        .unwrap();
    for (code_given, error) in [(None, Some("access_denied")), (None, None), (Some("c"), Some("x\n\u{1b}[31m"))] {
        let answer = Answer {
            code: code_given.map(SecretString::from),
            error: error.map(str::to_owned),
            ..answer(&redirect)
        };
        assert_eq!(
            code(world.service.finish_flow(&world.visitor(), &flow, &answer).await),
            "identity.oidc.refused"
        );
    }
}

#[tokio::test]
async fn keys_are_kept_fetched_anew_when_one_is_unknown_and_not_more_often_than_that() {
    let world = World::with(with_providers()).await;
    for _ in 0..3 {
        world.enter(ada()).await.unwrap();
    }
    assert_eq!((world.corp.asked("/jwks"), world.corp.asked("/openid-configuration")), (1, 1));
    world.corp.rotate();
    assert_eq!(code(world.enter(ada()).await), DISTRUSTED, "fetched a moment ago");
    world.clock.advance(Duration::from_secs(30));
    world.enter(ada()).await.unwrap();
    assert_eq!(world.corp.asked("/jwks"), 2);
    world.corp.sign(Signing::Unpublished);
    for _ in 0..4 {
        assert_eq!(code(world.enter(ada()).await), DISTRUSTED);
    }
    assert_eq!(world.corp.asked("/jwks"), 2);
    world.corp.behave();
    world.clock.advance(Duration::from_secs(3_600));
    world.enter(ada()).await.unwrap();
    assert_eq!((world.corp.asked("/jwks"), world.corp.asked("/openid-configuration")), (3, 2));
}

#[tokio::test]
async fn a_provider_that_is_away_or_not_itself_is_left_alone_for_a_while() {
    let world = World::with(with_providers()).await;
    world.corp.go_down(true);
    for _ in 0..3 {
        assert_eq!(code(world.begin_at("corp").await), "identity.oidc.provider_unavailable");
    }
    assert_eq!(world.corp.asked("/openid-configuration"), 1);
    world.begin_at("evil").await.unwrap();
    world.corp.go_down(false);
    world.clock.advance(Duration::from_secs(5));
    world.corp.declare("issuer", json!("https://evil.example.org"));
    assert_eq!(code(world.begin_at("corp").await), "identity.oidc.provider_unavailable");
    world.corp.declare("issuer", json!("https://corp.example.org"));
    world.corp.declare("token_endpoint", json!("http://127.0.0.1/token"));
    world.clock.advance(Duration::from_secs(5));
    assert_eq!(code(world.begin_at("corp").await), "identity.oidc.provider_unavailable");
    world.corp.declare("token_endpoint", json!("https://corp.example.org/token"));
    world.clock.advance(Duration::from_secs(5));
    let (mine, redirect) = begun(&world).await;
    world.corp.go_down(true);
    let lost = world.come_back("corp", &mine, &redirect).await;
    assert_eq!(code(lost), "identity.oidc.provider_unavailable");
    assert_eq!(code(world.begin_at("nobody").await), "identity.oidc.provider_not_found");
}

#[tokio::test]
async fn sec_20_people_are_sent_back_to_us_and_to_nobody_else() {
    let mut config = with_providers();
    config.allowed_origins = vec!["https://app.example.org".to_owned()];
    config.oidc.providers.get_mut("corp").unwrap().redirect_uris = vec!["http://127.0.0.1:7000/done".to_owned()];
    let world = World::with(config).await;
    let begin = |return_to: &str, redirect_uri: Option<&str>| crate::service::Begin {
        return_to: Some(return_to.to_owned()),
        redirect_uri: redirect_uri.map(str::to_owned),
        ..super::support::begin("corp")
    };
    let visitor = world.visitor();
    for (return_to, redirect_uri) in [
        ("https://evil.example.org/", None),
        ("//evil.example.org", None),
        ("/ok", Some("https://evil.example.org/cb")),
        ("/ok", Some("http://127.0.0.1:7000/done/")),
        ("/ok", Some("http://127.0.0.1:7001/done")),
    ] {
        let refused = world.service.begin_sign_in(&visitor, begin(return_to, redirect_uri)).await;
        assert_eq!(code(refused), "request.invalid", "{return_to} {redirect_uri:?}");
    }
    let chosen = begin("https://app.example.org/x", Some("http://127.0.0.1:7000/done"));
    let begun = world.service.begin_sign_in(&visitor, chosen).await.unwrap();
    assert!(
        begun
            .authorization_url
            .contains("redirect_uri=http%3A%2F%2F127.0.0.1%3A7000%2Fdone&"),
        "{}",
        begun.authorization_url
    );
    let redirect = world.corp.authorize(&begun.authorization_url, ada());
    world.come_back("corp", &begun, &redirect).await.unwrap();
    let own = world.begin_at("corp").await.unwrap().authorization_url;
    let ours = "redirect_uri=https%3A%2F%2Fguildhall.example.org%2Fv1%2Fauth%2Foidc%2Fcorp%2Fcallback&";
    assert!(own.contains(ours), "{own}");
}

#[tokio::test]
async fn sec_20_what_a_browser_holds_says_nothing_and_a_provider_that_was_replaced_gets_no_code() {
    let world = World::with(with_providers()).await;
    let (mine, redirect) = begun(&world).await;
    let sealed = mine.flow.expose_secret();
    assert!(sealed.len() < 2_000 && !sealed.contains(&redirect.state));
    let mut moved = with_providers();
    moved.oidc.providers.get_mut("corp").unwrap().issuer = "https://elsewhere.example.org".to_owned();
    let node = world.node(moved);
    assert_eq!(
        code(node.open_flow(&world.visitor(), "corp", &mine.flow, &redirect.state).await),
        NO_FLOW
    );
    let stranger = world.node_with_secret([9; 32]);
    assert_eq!(
        code(stranger.open_flow(&world.visitor(), "corp", &mine.flow, &redirect.state).await),
        "identity.oidc.provider_not_found"
    );
    let SignInStep::SignedIn(signed_in) = world.enter(ada()).await.unwrap() else {
        panic!("no second factor here");
    };
    assert!(world.is_live(&signed_in).await);
}
