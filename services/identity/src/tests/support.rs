//! A service on a fresh database, its mails, and people to act.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kernel::cursor::CursorCodec;
use kernel::ids::EntityId;
use kernel::{Actor, Clock, Result};
use platform::due::{DueConfig, DueRunner};
use platform::mail::{Mail, Mailer};
use platform::signals::Signals;
use platform::{Caller, Service, Toolkit};
use secrecy::SecretString;
use testkit::fakes::FakeWorkspaces;
use testkit::oidc::{CLIENT_ID, CLIENT_SECRET, FakeNetwork, FakeProvider, Redirect};
use testkit::{FixedClock, TestDb};

use crate::model::user::User;
use crate::service::{Answer, Begin, Begun, Finished, IdentityService, Installation, Register, Registered, SignInStep, SignedIn};
use crate::{Config, SCHEMA, store};

pub(super) const PASSWORD: &str = "seventeen wet herons";

#[derive(Default)]
pub(super) struct Outgoing {
    mails: Mutex<Vec<Mail>>,
    pub(super) broken: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl Mailer for Outgoing {
    async fn send(&self, mail: &Mail) -> Result<()> {
        if self.broken.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(kernel::Error::unavailable(Duration::from_secs(1)));
        }
        self.mails.lock().unwrap().push(mail.clone());
        Ok(())
    }
}

pub(super) struct World {
    pub(super) db: TestDb,
    pub(super) clock: FixedClock,
    pub(super) outgoing: Arc<Outgoing>,
    pub(super) service: Arc<IdentityService>,
    pub(super) workspaces: Arc<FakeWorkspaces>,
    /// Sign-in providers, configured by [`with_providers`].
    pub(super) corp: Arc<FakeProvider>,
    pub(super) evil: Arc<FakeProvider>,
}

/// The two providers of the world.
pub(super) fn with_providers() -> Config {
    let provider = |name: &str| crate::OidcProvider {
        name: name.to_owned(),
        issuer: format!("https://{name}.example.org"),
        client_id: CLIENT_ID.to_owned(),
        client_secret: platform::config::Secret::new(CLIENT_SECRET),
        ..crate::OidcProvider::default()
    };
    let mut config = cheap();
    config.oidc.providers = ["corp", "evil"].map(|name| (name.to_owned(), provider(name))).into();
    config
}

pub(super) fn cheap() -> Config {
    let mut config = Config::default();
    config.password.argon2_memory_kib = 64;
    config.password.argon2_iterations = 1;
    config.throttle.global_per_minute = 1_000_000;
    config
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(cheap()).await
    }

    pub(super) async fn with(config: Config) -> Self {
        let db = TestDb::new(SCHEMA).await;
        let clock = FixedClock::default();
        let outgoing = Arc::new(Outgoing::default());
        let workspaces = Arc::new(FakeWorkspaces::default());
        let provider = |name: &str| FakeProvider::new(&format!("https://{name}.example.org"), Arc::new(clock.clone()));
        let (corp, evil) = (provider("corp"), provider("evil"));
        let network = [Arc::clone(&corp), Arc::clone(&evil)];
        let service = build(&db, &clock, &outgoing, &workspaces, network, config, [7; 32]);
        Self {
            db,
            clock,
            outgoing,
            service,
            workspaces,
            corp,
            evil,
        }
    }

    fn build(&self, config: Config, secret: [u8; 32]) -> Arc<IdentityService> {
        let network = [Arc::clone(&self.corp), Arc::clone(&self.evil)];
        build(&self.db, &self.clock, &self.outgoing, &self.workspaces, network, config, secret)
    }

    pub(super) async fn begin_at(&self, provider: &str) -> Result<Begun> {
        self.service.begin_sign_in(&self.visitor(), begin(provider)).await
    }

    /// What the browser brings back, to where it is sent back.
    pub(super) async fn come_back(&self, provider: &str, begun: &Begun, redirect: &Redirect) -> Result<Finished> {
        let flow = self
            .service
            .open_flow(&self.visitor(), provider, &begun.flow, &redirect.state)
            .await?;
        self.service.finish_flow(&self.visitor(), &flow, &answer(redirect)).await
    }

    /// A sign-in at corp by the person of these claims.
    pub(super) async fn enter(&self, claims: serde_json::Value) -> Result<SignInStep> {
        let begun = self.begin_at("corp").await?;
        let redirect = self.corp.authorize(&begun.authorization_url, claims);
        match self.come_back("corp", &begun, &redirect).await? {
            Finished::SignIn(step) => Ok(step),
            Finished::Linked(_) => panic!("nothing was to be linked"),
        }
    }

    /// Another replica on the same database.
    pub(super) fn node(&self, config: Config) -> Arc<IdentityService> {
        self.build(config, [7; 32])
    }

    pub(super) fn node_with_secret(&self, secret: [u8; 32]) -> Arc<IdentityService> {
        self.build(cheap(), secret)
    }

    pub(super) fn visitor(&self) -> Caller {
        self.visitor_from("192.0.2.1")
    }

    pub(super) fn visitor_from(&self, ip: &str) -> Caller {
        Caller {
            actor: Actor::Anonymous,
            client_ip: ip.parse::<IpAddr>().unwrap(),
            user_agent: Some("test/1".into()),
            ..Caller::system(&self.clock, "test")
        }
    }

    pub(super) fn caller(&self, signed_in: &SignedIn) -> Caller {
        Caller {
            actor: Actor::User {
                user_id: signed_in.user.id,
                session_id: signed_in.session.id,
            },
            instance_admin: signed_in.user.instance_admin,
            ..self.visitor()
        }
    }

    pub(super) async fn register(&self, email: &str) -> SignedIn {
        match self.service.register(&self.visitor(), registration(email)).await.unwrap() {
            Registered::SignedIn(signed_in) => *signed_in,
            Registered::MailSent => panic!("verification is optional here"),
        }
    }

    pub(super) async fn admin(&self, email: &str) -> SignedIn {
        let command = crate::CreateUser {
            email: email.to_owned(),
            name: "Root".to_owned(),
            password: Some(PASSWORD.into()),
            instance_admin: true,
        };
        self.service.create_user(command).await.unwrap();
        self.sign_in(email, PASSWORD).await.unwrap()
    }

    pub(super) async fn sign_in(&self, email: &str, password: &str) -> Result<SignedIn> {
        let step = self.service.sign_in(&self.visitor(), email, &password.into()).await?;
        Ok(step.session())
    }

    /// By the link of a mail, as somebody does who forgot it.
    pub(super) async fn reset_password(&self, email: &str, password: &str) {
        self.mails().await;
        self.service.forgot_password(&self.visitor(), email).await.unwrap();
        let token = self.mailed_token(email).await;
        self.service
            .reset_password_by_mail(&self.visitor(), &token, &password.into())
            .await
            .unwrap();
    }

    pub(super) async fn user(&self, signed_in: &SignedIn) -> User {
        store::users::find(&self.db, signed_in.user.id).await.unwrap().unwrap()
    }

    /// Whether access tokens of the session are still accepted.
    pub(super) async fn is_live(&self, signed_in: &SignedIn) -> bool {
        let request = contracts::identity::CheckSession {
            user_id: signed_in.user.id,
            session_id: signed_in.session.id,
        };
        self.service.session_state(&request).await.unwrap().active
    }

    /// Runs due work and gives the mails sent since the last time.
    pub(super) async fn mails(&self) -> Vec<Mail> {
        let handlers = Arc::clone(&self.service).due_handlers();
        let runner = DueRunner::new(self.db.db(), Arc::new(self.clock.clone()), handlers, DueConfig::default());
        while runner.run_ready().await.unwrap() > 0 {}
        std::mem::take(&mut *self.outgoing.mails.lock().unwrap())
    }

    /// The token in the one mail to `to`.
    pub(super) async fn mailed_token(&self, to: &str) -> SecretString {
        let mails: Vec<Mail> = self.mails().await.into_iter().filter(|mail| mail.to == to).collect();
        assert_eq!(mails.len(), 1, "one mail to {to}");
        token_of(&mails[0])
    }
}

pub(super) fn token_of(mail: &Mail) -> SecretString {
    let (_, rest) = mail.text.split_once("token=").expect("a link with a token");
    SecretString::from(rest.split_whitespace().next().unwrap())
}

pub(super) fn registration(email: &str) -> Register {
    Register {
        email: email.to_owned(),
        password: PASSWORD.into(),
        name: "Ada".to_owned(),
        time_zone: None,
        locale: None,
        invitation_token: None,
    }
}

pub(super) fn code<T>(result: Result<T>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => error.code.into_owned(),
    }
}

pub(super) fn begin(provider: &str) -> Begin {
    Begin {
        provider: provider.to_owned(),
        redirect_uri: None,
        return_to: None,
        invitation: None,
    }
}

pub(super) fn answer(redirect: &Redirect) -> Answer {
    Answer {
        code: Some(redirect.code.as_str().into()),
        error: None,
        issuer: Some(redirect.iss.clone()),
    }
}

fn build(
    db: &TestDb,
    clock: &FixedClock,
    outgoing: &Arc<Outgoing>,
    workspaces: &Arc<FakeWorkspaces>,
    network: [Arc<FakeProvider>; 2],
    config: Config,
    secret: [u8; 32],
) -> Arc<IdentityService> {
    assert_eq!(config.validate(), Vec::<String>::new());
    let toolkit = Toolkit {
        clock: Arc::new(clock.clone()),
        cursors: CursorCodec::new([1; 32]),
        signals: Signals::default(),
    };
    let installation = Installation {
        secret,
        public_url: "https://guildhall.example.org".to_owned(),
    };
    let mailer: Arc<dyn Mailer> = outgoing.clone();
    let network = Arc::new(FakeNetwork(network.into()));
    IdentityService::new(db.db(), config, installation, toolkit, workspaces.clone(), mailer, network)
}

pub(super) fn unknown_id<T: EntityId>() -> T {
    T::generate(&FixedClock::at(FixedClock::START.plus(Duration::from_secs(1))) as &dyn Clock)
}

/// The one column a query asks for.
pub(super) struct Column<T>(pub(super) T);

impl<T: platform::db::FromColumn + Send + 'static> platform::db::FromRow for Column<T> {
    fn from_row(row: &platform::db::Row<'_>) -> std::result::Result<Self, platform::db::DbError> {
        row.get(0).map(Self)
    }
}
