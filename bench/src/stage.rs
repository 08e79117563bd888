//! What the requests meet: people, a workspace, a project with many tasks. Made through the API.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::cases::{refresh, request};
use crate::engine::Place;
use crate::json;
use crate::load::Connection;
use crate::{Options, Outcome, fail};

pub const PASSWORD: &str = "seventeen wet herons in the fog";
/// People of the workspace; the others only sign in.
const MEMBERS: usize = 10;
/// Of one import.
const ROWS: usize = 5_000;
/// Tasks that are read in turn.
const READ: usize = 1_000;

pub struct Person {
    pub id: String,
    pub email: String,
    pub access: String,
    pub refresh: String,
}

pub struct Stage {
    pub people: Vec<Person>,
    pub workspace: String,
    /// The one with many tasks.
    pub project: String,
    /// Only recorded in, so that what the yardstick writes collides with nothing.
    pub recorded: String,
    pub tasks: Vec<String>,
}

/// Asks one thing after another.
pub struct Client {
    connection: Connection,
}

impl Client {
    pub async fn new(address: SocketAddr) -> Outcome<Self> {
        Ok(Self {
            connection: Connection::open(address).await?,
        })
    }

    pub async fn ask(&mut self, method: Method, path: &str, token: Option<&str>, body: Option<&Value>) -> Outcome<Value> {
        self.send(request(method, path, token, body), path).await
    }

    async fn send(&mut self, request: http::Request<http_body_util::Full<bytes::Bytes>>, path: &str) -> Outcome<Value> {
        let (status, body) = self.connection.send(request).await?;
        if !status.is_success() {
            return fail(format!("{path}: {status}: {}", String::from_utf8_lossy(&body)));
        }
        if status == StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_slice(&body)?)
    }
}

impl Stage {
    pub async fn build(options: &Options, place: &Place, address: SocketAddr) -> Outcome<Self> {
        let mut client = Client::new(address).await?;
        let workers = options.connections.iter().copied().max().unwrap_or(1);
        let mut people = Vec::new();
        for index in 0..workers.max(MEMBERS) {
            people.push(register(&mut client, index).await?);
        }
        let owner = Some(people[0].access.as_str());
        let body = json!({ "name": "Benchmark" });
        let workspace = json::text(&client.ask(Method::POST, "/v1/workspaces", owner, Some(&body)).await?, "id")?;
        for guest in &people[1..MEMBERS] {
            join(&mut client, &people[0], guest, &workspace).await?;
        }
        for member in &people[..MEMBERS] {
            // The mail server is not what is measured.
            let body = json!({ "task.assigned": { "email": false } });
            client
                .ask(Method::PATCH, "/v1/notifications/preferences", Some(&member.access), Some(&body))
                .await?;
        }
        let mut projects = Vec::new();
        for key in ["MANY", "REC"] {
            let body = json!({ "workspace_id": workspace, "key": key, "name": key });
            projects.push(json::text(
                &client.ask(Method::POST, "/v1/projects", owner, Some(&body)).await?,
                "id",
            )?);
        }
        let (Some(recorded), Some(project)) = (projects.pop(), projects.pop()) else {
            return fail("no projects");
        };
        let mut made = 0;
        while made < options.tasks {
            let rows = ROWS.min(options.tasks - made);
            import(&mut client, &project, owner, made, rows).await?;
            made += rows;
        }
        let tasks = list(&mut client, &project, owner).await?;
        settle(place).await?;
        Ok(Self {
            people,
            workspace,
            project,
            recorded,
            tasks,
        })
    }

    pub fn members(&self) -> &[Person] {
        &self.people[..MEMBERS.min(self.people.len())]
    }

    /// Fresh tokens for everybody: access tokens live 15 minutes.
    pub async fn renew(&mut self, address: SocketAddr) -> Outcome<()> {
        let mut client = Client::new(address).await?;
        for person in &mut self.people {
            let answer = client.send(refresh(&person.refresh), "refresh").await?;
            person.access = json::text(&answer, "access_token")?;
            person.refresh = json::text(&answer, "refresh_token")?;
        }
        Ok(())
    }

    pub fn keep_chains(&mut self, chains: Vec<String>) {
        for (person, chain) in self.people.iter_mut().zip(chains) {
            person.refresh = chain;
        }
    }
}

async fn register(client: &mut Client, index: usize) -> Outcome<Person> {
    let email = format!("person{index}@bench.example");
    let body = json!({ "email": email, "password": PASSWORD, "name": format!("Person {index}") });
    let answer = client.ask(Method::POST, "/v1/auth/register", None, Some(&body)).await?;
    Ok(Person {
        id: json::text(&answer["user"], "id")?,
        access: json::text(&answer, "access_token")?,
        refresh: json::text(&answer, "refresh_token")?,
        email,
    })
}

async fn join(client: &mut Client, owner: &Person, guest: &Person, workspace: &str) -> Outcome<()> {
    let path = format!("/v1/workspaces/{workspace}/invitations");
    let body = json!({ "email": guest.email, "role": "collaborator" });
    client.ask(Method::POST, &path, Some(&owner.access), Some(&body)).await?;
    let begun = Instant::now();
    let token = loop {
        let mails = client.ask(Method::GET, "/dev/mailbox.json", None, None).await?;
        let items = mails["items"].as_array().cloned().unwrap_or_default();
        let found = items.iter().find_map(|mail| {
            let text = mail.to_string();
            let link = text
                .contains(&guest.email)
                .then(|| text.split("/invitations/").nth(1).map(str::to_owned));
            link.flatten()
        });
        if let Some(text) = found {
            break text
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
                .collect::<String>();
        }
        if begun.elapsed() > Duration::from_secs(20) {
            return fail("the mail with the invitation did not come");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let path = format!("/v1/invitations/{token}/acceptance");
    client.ask(Method::POST, &path, Some(&guest.access), None).await?;
    Ok(())
}

async fn import(client: &mut Client, project: &str, owner: Option<&str>, from: usize, rows: usize) -> Outcome<()> {
    const PRIORITIES: [&str; 5] = ["none", "low", "medium", "high", "urgent"];
    const STATUSES: [&str; 4] = ["open", "open", "in_progress", "done"];
    let mut content = "title,priority,status,due_date\n".to_owned();
    for number in from..from + rows {
        let (day, month) = (1 + number % 28, 1 + number % 12);
        writeln!(
            content,
            "Prepare report {} of team {},{},{},2031-{month:02}-{day:02}",
            number % 97,
            number % 41,
            PRIORITIES[number % 5],
            STATUSES[number / 5 % 4],
        )?;
    }
    let body = json!({ "format": "csv", "content": content, "atomic": true });
    let path = format!("/v1/projects/{project}/tasks/import");
    client.ask(Method::POST, &path, owner, Some(&body)).await?;
    Ok(())
}

/// Ids of some tasks.
async fn list(client: &mut Client, project: &str, owner: Option<&str>) -> Outcome<Vec<String>> {
    let mut ids = Vec::new();
    let mut cursor = String::new();
    while ids.len() < READ {
        let path = format!("/v1/projects/{project}/tasks?limit=200&fields=id{cursor}");
        let page = client.ask(Method::GET, &path, owner, None).await?;
        for item in page["items"].as_array().into_iter().flatten() {
            ids.push(json::text(item, "id")?);
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    Ok(ids)
}

/// Waits until every event has reached its consumers; tells how long that took.
pub async fn settle(place: &Place) -> Outcome<Duration> {
    let begun = Instant::now();
    while place.waiting().await? > 0 {
        if begun.elapsed() > Duration::from_secs(600) {
            return fail("events still wait after ten minutes");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(begun.elapsed())
}
