use std::io::Write as _;

use serde::Deserialize;

use super::*;

/// A config as services write them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Sample {
    http: Http,
    mail: Mail,
    database: Database,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            http: Http::default(),
            mail: Mail::default(),
            database: Database { url: None, pool: 16 },
        }
    }
}

/// The listener.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Http {
    /// Address to listen on.
    listen: std::net::SocketAddr,
    request_timeout: HumanDuration,
    cors_origins: Vec<String>,
    ports: Vec<u16>,
    rate_limits: RateLimits,
    mode: Mode,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: ([127, 0, 0, 1], 8080).into(),
            request_timeout: HumanDuration::from_secs(30),
            cors_origins: Vec::new(),
            ports: Vec::new(),
            rate_limits: RateLimits::default(),
            mode: Mode::Optional,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Optional,
    Required,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RateLimits {
    enabled: bool,
    factor: f64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Mail {
    smtp: Smtp,
}

impl PartialEq for Mail {
    fn eq(&self, other: &Self) -> bool {
        let plain = |mail: &Self| mail.smtp.password.as_ref().map(|secret| secret.expose().to_owned());
        plain(self) == plain(other)
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Smtp {
    password: Option<Secret>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Database {
    /// Where the data lives.
    url: Option<String>,
    pool: u32,
}

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("temporary file");
    file.write_all(text.as_bytes()).expect("write");
    file
}

/// Without rules of its own.
fn valid(_: &Sample) -> Vec<String> {
    Vec::new()
}

fn problems(file: Option<&Path>, vars: &[(&str, &str)]) -> Vec<String> {
    let problems = load::<Sample>(file, env(vars), &BTreeMap::new(), valid).expect_err("must be refused");
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn each_layer_beats_the_one_below_and_says_so() {
    let file = file("[http]\nlisten = \"0.0.0.0:1\"\nrequest_timeout = \"5s\"\n[database]\npool = 4\n");
    let vars = env(&[
        ("GUILDHALL_HTTP__REQUEST_TIMEOUT", "1m"),
        ("GUILDHALL_DATABASE__POOL", "8"),
        ("PATH", "/bin"),
    ]);
    let flags = BTreeMap::from([("database.pool".to_owned(), "9".to_owned())]);
    let (config, from) = load::<Sample>(Some(file.path()), vars, &flags, valid).expect("valid");
    assert_eq!(config.http.listen.port(), 1);
    assert_eq!(config.http.request_timeout, HumanDuration::from_mins(1));
    assert_eq!(config.database.pool, 9);
    assert_eq!(from.of("http.listen"), Source::File(file.path().to_owned()));
    assert_eq!(
        from.of("http.request_timeout"),
        Source::Env("GUILDHALL_HTTP__REQUEST_TIMEOUT".into())
    );
    assert_eq!(from.of("database.pool"), Source::Flag("database.pool".into()));
    assert_eq!(from.of("http.mode"), Source::Default);
}

#[test]
fn nothing_given_means_the_defaults() {
    let (config, _) = load::<Sample>(None, env(&[]), &BTreeMap::new(), valid).expect("valid");
    assert_eq!(config, Sample::default());
}

#[test]
fn environment_values_take_the_type_of_their_key() {
    let vars = env(&[
        ("GUILDHALL_HTTP__RATE_LIMITS__ENABLED", "on"),
        ("GUILDHALL_HTTP__RATE_LIMITS__FACTOR", "2"),
        ("GUILDHALL_HTTP__CORS_ORIGINS", "https://a.test, https://b.test"),
        ("GUILDHALL_HTTP__PORTS", "1,2"),
        ("GUILDHALL_HTTP__MODE", "required"),
        // Looks like a number, is a text.
        ("GUILDHALL_MAIL__SMTP__PASSWORD", "12345"),
        ("GUILDHALL_DATABASE_URL", "postgres://x"),
        ("GUILDHALL_TEST_POSTGRES_URL", "no key, and reserved"),
        ("GUILDHALL_CONFIG", "/etc/guildhall.toml"),
    ]);
    let (config, _) = load::<Sample>(None, vars, &BTreeMap::new(), valid).expect("valid");
    assert!(config.http.rate_limits.enabled);
    assert!((config.http.rate_limits.factor - 2.0).abs() < f64::EPSILON);
    assert_eq!(config.http.cors_origins, ["https://a.test", "https://b.test"]);
    assert_eq!(config.http.ports, [1, 2]);
    assert_eq!(config.http.mode, Mode::Required);
    assert_eq!(config.mail.smtp.password.expect("set").expose(), "12345");
    assert_eq!(config.database.url.as_deref(), Some("postgres://x"));
    let (config, _) = load::<Sample>(None, env(&[("GUILDHALL_DATABASE__URL", "")]), &BTreeMap::new(), valid).expect("valid");
    assert_eq!(config.database.url, None, "empty clears an optional key");
}

#[test]
fn all_problems_come_at_once_with_their_source() {
    let file = file("[http]\nlistn = \"x\"\nmode = \"maybe\"\n[database]\npool = \"many\"\n");
    let found = problems(
        Some(file.path()),
        &[
            ("GUILDHALL_HTTP__RATE_LIMITS__ENABLED", "perhaps"),
            ("GUILDHALL_HTTP__REQUEST_TIMEOUT", "soon"),
            ("GUILDHALL_HTTP__PORTS", "1,99999"),
            ("GUILDHALL_DATABSE__URL", "x"),
        ],
    );
    let name = file.path().display();
    for expected in [
        format!("http.listn: there is no such key; did you mean http.listen? (file {name})"),
        "http.rate_limits.enabled: expected true or false (environment GUILDHALL_HTTP__RATE_LIMITS__ENABLED)".to_owned(),
        "databse.url: there is no such key; did you mean database.url? (environment GUILDHALL_DATABSE__URL)".to_owned(),
        "http.request_timeout: expected a duration such as 500ms, 30s, 15m, 1h30m or 30d (environment GUILDHALL_HTTP__REQUEST_TIMEOUT)"
            .to_owned(),
        format!("database.pool: expected u32 (file {name})"),
    ] {
        assert!(found.contains(&expected), "{expected}\nnot in\n{found:#?}");
    }
    assert!(
        found
            .iter()
            .any(|problem| problem.starts_with("http.mode: unknown variant `maybe`")),
        "{found:#?}"
    );
    assert!(found.iter().any(|problem| problem.starts_with("http.ports[1]: ")), "{found:#?}");
    assert_eq!(found.len(), 7, "{found:#?}");
}

#[test]
fn a_broken_file_is_named_with_its_line_but_not_shown() {
    let broken = file("[mail.smtp]\npassword = hunter2\n");
    let found = problems(Some(broken.path()), &[]);
    assert!(found[0].contains("not valid TOML at line 2"), "{found:?}");
    assert!(!found[0].contains("hunter2"), "{found:?}");
    let found = problems(Some(Path::new("/nowhere/guildhall.toml")), &[]);
    assert!(found[0].contains("cannot be read"), "{found:?}");
}

#[test]
fn secrets_come_from_files_and_are_never_printed() {
    let secret = file("hunter2\n");
    let path = secret.path().display().to_string();
    let (config, from) = load::<Sample>(
        None,
        env(&[("GUILDHALL_MAIL__SMTP__PASSWORD_FILE", &path)]),
        &BTreeMap::new(),
        valid,
    )
    .expect("valid");
    assert_eq!(config.mail.smtp.password.as_ref().expect("set").expose(), "hunter2");
    let printed = print(&config, &from).expect("prints");
    assert!(
        printed.contains("[mail.smtp]\npassword = \"[redacted]\"  # environment GUILDHALL_MAIL__SMTP__PASSWORD_FILE"),
        "{printed}"
    );
    assert!(!printed.contains("hunter2") && !format!("{config:?}").contains("hunter2"));

    let both = problems(
        None,
        &[
            ("GUILDHALL_MAIL__SMTP__PASSWORD_FILE", &path),
            ("GUILDHALL_MAIL__SMTP__PASSWORD", "hunter3"),
        ],
    );
    assert_eq!(both.len(), 1);
    assert!(both[0].contains("keep one of them") && !both[0].contains("hunter"), "{both:?}");
    let missing = problems(None, &[("GUILDHALL_MAIL__SMTP__PASSWORD_FILE", "/nowhere/secret")]);
    assert!(missing[0].contains("cannot be read"), "{missing:?}");
}

#[test]
fn what_is_printed_can_be_read_again() {
    let (config, from) = load::<Sample>(
        None,
        env(&[("GUILDHALL_HTTP__CORS_ORIGINS", "https://a.test")]),
        &BTreeMap::new(),
        valid,
    )
    .expect("valid");
    let printed = file(&print(&config, &from).expect("prints"));
    let (again, _) = load::<Sample>(Some(printed.path()), env(&[]), &BTreeMap::new(), valid).expect("valid");
    assert_eq!(again, config);
}

#[test]
fn the_reference_names_every_key_with_its_variable_type_and_default() {
    let reference = markdown_reference::<Sample>();
    for line in [
        "## `http`\n\nThe listener.",
        "| `http.listen` | `GUILDHALL_HTTP__LISTEN` | text | `127.0.0.1:8080` | Address to listen on. |",
        "| `http.request_timeout` | `GUILDHALL_HTTP__REQUEST_TIMEOUT` | duration | `30s` |  |",
        "| `http.mode` | `GUILDHALL_HTTP__MODE` | `optional`, `required` | `optional` |  |",
        "| `mail.smtp.password` | `GUILDHALL_MAIL__SMTP__PASSWORD` | secret |  |  |",
        "| `database.url` | `GUILDHALL_DATABASE__URL` | text |  | Where the data lives. |",
    ] {
        assert!(reference.contains(line), "{line}\nnot in\n{reference}");
    }
}

#[test]
fn rules_are_asked_even_when_keys_are_bad() {
    let rules = |sample: &Sample| {
        assert_eq!(sample.database.pool, Database::default().pool, "a bad value is taken for absent");
        vec!["database.pool: must be positive".to_owned(), "database.url: is no URL".to_owned()]
    };
    let vars = env(&[
        ("GUILDHALL_NONSENSE", "1"),
        ("GUILDHALL_DATABASE__POOL", "many"),
        ("GUILDHALL_DATABASE__URL", "here"),
    ]);
    let found = load(None, vars, &BTreeMap::new(), rules).expect_err("must be refused");
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "database.pool: expected a whole number (environment GUILDHALL_DATABASE__POOL)",
            "nonsense: there is no such key (environment GUILDHALL_NONSENSE)",
            "database.url: is no URL (environment GUILDHALL_DATABASE__URL)",
        ],
        "what is said of a default in place of a bad value is left out"
    );
}

/// Something of which the operator has several, each under a name.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Doors {
    doors: BTreeMap<String, Door>,
}

/// A door.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Door {
    /// Who lives there.
    owner: String,
    bells: Vec<String>,
    key: Secret,
}

#[test]
fn a_table_with_free_names_is_filled_from_every_source() {
    let toml = file("[doors.front]\nowner = \"Ada\"\nkey = \"brass\"\n[doors.back]\nowner = \"Bob\"\n");
    let secret = file("hunter2\n");
    let path = secret.path().display().to_string();
    let vars = env(&[
        ("GUILDHALL_DOORS__FRONT__OWNER", "Eve"),
        ("GUILDHALL_DOORS__BACK__KEY_FILE", &path),
        ("GUILDHALL_DOORS__SIDE__BELLS", "one,two"),
    ]);
    let (config, from) = load::<Doors>(Some(toml.path()), vars, &BTreeMap::new(), |_| Vec::new()).expect("valid");
    assert_eq!(config.doors["front"].owner, "Eve", "the environment wins over the file");
    assert_eq!(config.doors["front"].key.expose(), "brass");
    assert_eq!(config.doors["back"].key.expose(), "hunter2");
    assert_eq!(config.doors["side"].bells, ["one", "two"]);
    let printed = print(&config, &from).expect("prints");
    assert!(
        printed.contains("[doors.back]") && !printed.contains("hunter2") && !printed.contains("brass"),
        "{printed}"
    );
    let reference = markdown_reference::<Doors>();
    assert!(
        reference.contains("| `doors.<name>.owner` | `GUILDHALL_DOORS__<NAME>__OWNER` | text |  | Who lives there. |"),
        "{reference}"
    );
    let toml = file("[doors.front]\nowenr = \"Ada\"\n");
    let refused = load::<Doors>(
        Some(toml.path()),
        env(&[("GUILDHALL_DOORS__FRONT__BELL", "x")]),
        &BTreeMap::new(),
        |_| Vec::new(),
    );
    let refused: Vec<String> = refused.expect_err("unknown keys").iter().map(ToString::to_string).collect();
    assert!(
        refused.len() == 2 && refused.iter().all(|line| line.contains("there is no such key")),
        "{refused:?}"
    );
}
