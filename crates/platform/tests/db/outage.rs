//! Servers that go and come back, and the line to them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use kernel::ErrorKind;
use platform::db::{Db, DbConfig, DbError, Engine, SslMode};
use sea_query::{Expr, Query};
use testkit::{TestDb, TestServer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::support::*;

/// A line to the server that can be cut.
struct Line {
    address: SocketAddr,
    upstream: SocketAddr,
    listener: JoinSet<()>,
}

async fn forward(listener: TcpListener, upstream: SocketAddr) {
    let mut open = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        open.spawn(async move {
            let mut server = TcpStream::connect(upstream).await.expect("the server answers");
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        });
    }
}

impl Line {
    async fn new(ip: Ipv4Addr, upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind((IpAddr::V4(ip), 0)).await.expect("a free port");
        let mut line = Self {
            address: listener.local_addr().expect("an address"),
            upstream,
            listener: JoinSet::new(),
        };
        line.listener.spawn(forward(listener, upstream));
        line
    }
    /// Ends every connection, and refuses new ones.
    async fn cut(&mut self) {
        self.listener.shutdown().await;
    }
    async fn restore(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("the port is still free");
        self.listener.spawn(forward(listener, self.upstream));
    }
    /// The configuration of `server`, through this line.
    fn config(&self, server: &TestServer) -> DbConfig {
        let url = server.config().url.as_deref().expect("a URL");
        let mut url = url::Url::parse(url).expect("a URL");
        url.set_host(Some(&self.address.ip().to_string())).expect("a host");
        url.set_port(Some(self.address.port())).expect("a port");
        DbConfig {
            url: Some(url.into()),
            acquire_timeout_ms: 2_000,
            ..server.config().clone()
        }
    }
}

fn upstream(server: &TestServer) -> SocketAddr {
    let url = url::Url::parse(server.config().url.as_deref().expect("a URL")).expect("a URL");
    let default = if server.config().engine() == Ok(Engine::Postgres) {
        5_432
    } else {
        3_306
    };
    let ip = url
        .host_str()
        .and_then(|host| host.parse().ok())
        .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    SocketAddr::new(ip, url.port().unwrap_or(default))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_outage_is_503_and_heals_without_a_restart() {
    if testkit::engine() == Engine::Sqlite {
        return; // Nothing to be cut off from.
    }
    let server = TestServer::new(&[SCHEMA]).await;
    let mut line = Line::new(Ipv4Addr::LOCALHOST, upstream(&server)).await;
    line.cut().await;
    // Absent at start: the program starts all the same.
    let db = Db::connect(&line.config(&server), server.folder(), SCHEMA)
        .await
        .expect("does not connect yet");
    for round in 0..3 {
        let error = db.ping().await.expect_err("cut off");
        assert!(matches!(error, DbError::Down(_)), "round {round}: {error:?}");
        let error = db.apply(pair()).await.expect_err("cut off");
        assert!(matches!(error, DbError::Down(_)), "round {round}: {error:?}");
        let error = kernel::Error::from(error);
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert!(error.retry_after.is_some());

        line.restore().await;
        db.ping().await.expect("heals at once");
        for result in join_all((0..16).map(|_| db.apply(pair()))).await {
            result.expect("units work again");
        }
        // A short cut while the connections are idle: nobody is to notice.
        line.cut().await;
        line.restore().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        for result in join_all((0..16).map(|_| db.apply(pair()))).await {
            result.expect("stale connections are replaced");
        }
        for result in join_all((0..16).map(|_| db.ping())).await {
            result.expect("stale connections are replaced");
        }
        line.cut().await;
    }
    line.restore().await;
    assert_eq!(count(&db, Probe::Table).await, count(&db, Child::Table).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_line_cut_under_load_leaves_whole_units() {
    if testkit::engine() == Engine::Sqlite {
        return; // Nothing to be cut off from.
    }
    let server = TestServer::new(&[SCHEMA]).await;
    let mut line = Line::new(Ipv4Addr::LOCALHOST, upstream(&server)).await;
    let db = Db::connect(&line.config(&server), server.folder(), SCHEMA).await.expect("opens");
    let (mut done, mut lost) = (0, 0);
    for round in 0..12 {
        let load = async {
            let results = join_all((0..60).map(|_| db.apply(pair()))).await;
            let failed = results.iter().filter(|result| result.is_err()).count();
            (results.len() - failed, failed)
        };
        let cut = async {
            tokio::time::sleep(Duration::from_millis(1 + round * 2)).await;
            line.cut().await;
        };
        let ((ok, failed), ()) = tokio::join!(load, cut);
        done += ok;
        lost += failed;
        line.restore().await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (parents, children) = (count(&db, Probe::Table).await, count(&db, Child::Table).await);
    assert_eq!(parents, children);
    // What was acknowledged is there; what was lost may be, once.
    let parents = usize::try_from(parents).expect("a count");
    assert!(
        parents >= done && parents <= done + lost,
        "{done} acknowledged, {lost} lost, {parents} stored"
    );
    assert!(lost > 0, "nothing was cut: the test proves nothing");
}

#[tokio::test]
async fn the_server_proves_who_it_is() {
    if testkit::engine() == Engine::Sqlite {
        return; // No server.
    }
    #[expect(clippy::disallowed_methods, reason = "tests are configured by the environment of `cargo test`")]
    let authority = std::env::var("GUILDHALL_TEST_CA_FILE").expect("GUILDHALL_TEST_CA_FILE is set by scripts/backends.sh");
    let db = TestDb::new(SCHEMA).await;
    let base = DbConfig {
        ssl_mode: SslMode::VerifyFull,
        ca_file: Some(PathBuf::from(authority)),
        ..db.server().config().clone()
    };
    let open = async |config: &DbConfig| Db::connect(config, db.server().folder(), SCHEMA).await.expect("opens");
    let encrypted = match db.engine() {
        Engine::Postgres => "SELECT ssl::int FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
        _ => "SELECT count(*) FROM information_schema.session_status WHERE variable_name = 'Ssl_cipher' AND variable_value <> ''",
    };
    let encrypted = Query::select().expr(Expr::cust(format!("({encrypted})"))).to_owned();
    assert_eq!(open(&base).await.one::<i64>(encrypted.clone()).await.expect("verified"), 1);

    let plain = DbConfig {
        ssl_mode: SslMode::Disable,
        ca_file: None,
        ..base.clone()
    };
    assert_eq!(open(&plain).await.one::<i64>(encrypted.clone()).await.expect("plain"), 0);
    for ssl_mode in [SslMode::Prefer, SslMode::Require] {
        let unchecked = DbConfig { ssl_mode, ..plain.clone() };
        assert_eq!(open(&unchecked).await.one::<i64>(encrypted.clone()).await.expect("unchecked"), 1);
    }
    // The system does not know this authority.
    let stranger = DbConfig {
        ca_file: None,
        ..base.clone()
    };
    let error = open(&stranger).await.ping().await.expect_err("an unknown authority");
    assert!(matches!(error, DbError::Down(_) | DbError::Other(_)), "{error:?}");
    // The certificate names 127.0.0.1 and localhost.
    let line = Line::new(Ipv4Addr::new(127, 0, 0, 2), upstream(db.server())).await;
    let elsewhere = DbConfig {
        url: line.config(db.server()).url,
        ..base
    };
    let error = open(&elsewhere).await.ping().await.expect_err("another name");
    assert!(matches!(error, DbError::Down(_) | DbError::Other(_)), "{error:?}");
}
