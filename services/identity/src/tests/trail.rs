//! The log of authentication.

use std::io::Write;
use std::sync::{Arc, Mutex};

use secrecy::ExposeSecret;
use tracing_subscriber::fmt::MakeWriter;

use super::support::{PASSWORD, World};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

// One thread: the subscriber is the thread's own.
#[tokio::test(flavor = "current_thread")]
async fn sec_24_auth_events_say_who_when_where_and_no_secret() {
    let captured = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(captured.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let world = World::new().await;
    // Other tests log without a subscriber. One that meets a log statement for the first time while ours is installed
    // can switch that statement off; once it is known, asking anew switches it on for good.
    world.register("first@example.org").await;
    let _ = world.sign_in("first@example.org", "a wrong password").await;
    tracing::callsite::rebuild_interest_cache();
    let ada = world.register("ada@example.org").await;
    let _ = world.sign_in("ada@example.org", "a wrong password").await;
    let again = world.sign_in("ada@example.org", PASSWORD).await.unwrap();
    let child = world.service.refresh(&world.visitor(), &ada.refresh).await.unwrap();
    world.clock.advance(std::time::Duration::from_secs(11));
    let _ = world.service.refresh(&world.visitor(), &ada.refresh).await;
    world.service.forgot_password(&world.visitor(), "ada@example.org").await.unwrap();
    let mails = world.mails().await;
    let reset = super::support::token_of(mails.last().unwrap());
    world
        .service
        .reset_password_by_mail(&world.visitor(), &reset, &"eighteen dry herons".into())
        .await
        .unwrap();
    let setup = world.service.ensure_setup_code().await.unwrap().unwrap();
    drop(guard);

    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    let id = ada.user.id.to_string();
    let line = |event: &str, outcome: &str| {
        log.lines()
            .filter(|line| line.contains(&id) || outcome.contains("wrong"))
            .find(|line| line.contains(" auth: ") && line.contains(&format!("event=\"{event}\"")) && line.contains(outcome))
            .unwrap_or_else(|| panic!("no {event} with {outcome} in\n{log}"))
            .to_owned()
    };
    for (event, outcome) in [
        ("register", "\"ok\""),
        ("sign_in", "\"ok\""),
        ("password_reset", "\"ok\""),
        ("refresh", "replayed"),
    ] {
        let line = line(event, outcome);
        assert!(
            line.contains(&id) && line.contains("192.0.2.1") && line.contains("at=2026-03-02T09:00:"),
            "{line}"
        );
    }
    assert!(line("sign_in", "wrong address or password").contains("192.0.2.1"));
    for secret in [
        PASSWORD,
        "a wrong password",
        "eighteen dry herons",
        ada.refresh.expose_secret(),
        child.refresh.expose_secret(),
        again.refresh.expose_secret(),
        &ada.access.token,
        &again.access.token,
        reset.expose_secret(),
        &setup,
        "$argon2id$",
    ] {
        assert!(!log.contains(secret), "a secret was logged: {secret}");
    }
}
