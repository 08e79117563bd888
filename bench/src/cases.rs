//! The requests that are measured.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;
use serde_json::{Value, json};

use crate::json;
use crate::load::Traffic;
use crate::stage::{PASSWORD, Stage};
use crate::{Outcome, fail};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Case {
    /// `GET /v1/tasks/{id}`.
    Read,
    /// A page of 50 out of all tasks of the project: open ones of two priorities, by due moment.
    Page,
    /// With assignee, so with event, activity, search terms and a notification.
    Create,
    SignIn,
    Refresh,
}

impl Case {
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "read" => Ok(Self::Read),
            "page" => Ok(Self::Page),
            "create" => Ok(Self::Create),
            "sign-in" => Ok(Self::SignIn),
            "refresh" => Ok(Self::Refresh),
            other => Err(format!("{other:?} is no case")),
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Page => "page",
            Self::Create => "create",
            Self::SignIn => "sign-in",
            Self::Refresh => "refresh",
        }
    }

    pub const fn title(self) -> &'static str {
        match self {
            Self::Read => "Read a task",
            Self::Page => "Filtered page of 50 tasks",
            Self::Create => "Create a task",
            Self::SignIn => "Sign in",
            Self::Refresh => "Refresh a session",
        }
    }

    /// Whether the yardstick replays the statements of the request.
    pub const fn is_replayed(self) -> bool {
        matches!(self, Self::Read | Self::Page | Self::Create)
    }

    pub const fn expected(self) -> StatusCode {
        match self {
            Self::Create => StatusCode::CREATED,
            _ => StatusCode::OK,
        }
    }
}

pub fn request(method: Method, path: &str, token: Option<&str>, body: Option<&Value>) -> Request<Full<Bytes>> {
    let mut request = Request::new(body.map_or_else(Full::default, |body| Full::new(body.to_string().into())));
    *request.method_mut() = method;
    // Paths are made here, from ids.
    *request.uri_mut() = path.parse().unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert(header::HOST, header::HeaderValue::from_static("127.0.0.1"));
    headers.insert(header::USER_AGENT, header::HeaderValue::from_static("guildhall-bench"));
    if let Some(Ok(value)) = token.map(|token| format!("Bearer {token}").parse()) {
        headers.insert(header::AUTHORIZATION, value);
    }
    if body.is_some() {
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    }
    request
}

pub fn read(task_id: &str, token: &str) -> Request<Full<Bytes>> {
    request(Method::GET, &format!("/v1/tasks/{task_id}"), Some(token), None)
}

pub fn page(project_id: &str, token: &str) -> Request<Full<Bytes>> {
    let path = format!("/v1/projects/{project_id}/tasks?status=open&priority=high,urgent&sort=due_at&limit=50");
    request(Method::GET, &path, Some(token), None)
}

pub fn create(project_id: &str, assignee: &str, token: &str) -> Request<Full<Bytes>> {
    let body = json!({
        "title": "Prepare the report of the third quarter",
        "description": "Collect the figures of every team, **compare** them with the plan and write two pages about what differs.",
        "priority": "high",
        "due_date": "2031-03-31",
        "assignee_ids": [assignee],
    });
    request(Method::POST, &format!("/v1/projects/{project_id}/tasks"), Some(token), Some(&body))
}

pub fn sign_in(email: &str) -> Request<Full<Bytes>> {
    let body = json!({ "email": email, "password": PASSWORD });
    request(Method::POST, "/v1/auth/sign-in", None, Some(&body))
}

pub fn refresh(token: &str) -> Request<Full<Bytes>> {
    request(Method::POST, "/v1/auth/refresh", None, Some(&json!({ "refresh_token": token })))
}

/// Everything that the workers of one case need.
pub struct Play {
    case: Case,
    project: String,
    tasks: Vec<String>,
    tokens: Vec<String>,
    members: Vec<String>,
    emails: Vec<String>,
    /// One chain of refresh tokens per worker.
    chains: Vec<Mutex<String>>,
}

impl Play {
    pub fn new(case: Case, stage: &Stage) -> Outcome<Self> {
        let members = || stage.members().iter();
        if stage.tasks.is_empty() || stage.members().is_empty() {
            return fail("the stage is empty");
        }
        Ok(Self {
            case,
            project: stage.project.clone(),
            tasks: stage.tasks.clone(),
            tokens: members().map(|person| person.access.clone()).collect(),
            members: members().map(|person| person.id.clone()).collect(),
            emails: stage.people.iter().map(|person| person.email.clone()).collect(),
            chains: stage.people.iter().map(|person| Mutex::new(person.refresh.clone())).collect(),
        })
    }

    /// The refresh tokens as they are now, for the next round.
    pub fn chains(&self) -> Vec<String> {
        let chains = self.chains.iter();
        chains
            .map(|chain| chain.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .collect()
    }
}

impl Traffic for Play {
    fn request(&self, worker: usize, turn: u64) -> Request<Full<Bytes>> {
        let token = &self.tokens[worker % self.tokens.len()];
        match self.case {
            Case::Read => {
                let index = usize::try_from(turn).unwrap_or(0).wrapping_mul(7).wrapping_add(worker * 13);
                read(&self.tasks[index % self.tasks.len()], token)
            }
            Case::Page => page(&self.project, token),
            // Somebody else is told.
            Case::Create => create(&self.project, &self.members[(worker + 1) % self.members.len()], token),
            Case::SignIn => sign_in(&self.emails[worker % self.emails.len()]),
            Case::Refresh => {
                let chain = &self.chains[worker % self.chains.len()];
                refresh(&chain.lock().unwrap_or_else(PoisonError::into_inner))
            }
        }
    }

    fn expected(&self) -> StatusCode {
        self.case.expected()
    }

    fn answered(&self, worker: usize, body: &Bytes) -> Outcome<()> {
        if self.case == Case::Refresh {
            let answer: Value = serde_json::from_slice(body)?;
            let chain = &self.chains[worker % self.chains.len()];
            *chain.lock().unwrap_or_else(PoisonError::into_inner) = json::text(&answer, "refresh_token")?;
        }
        Ok(())
    }
}

/// The request of the yardstick: the same bytes go in.
pub struct Same {
    pub play: Play,
}

impl Traffic for Same {
    fn request(&self, worker: usize, turn: u64) -> Request<Full<Bytes>> {
        self.play.request(worker, turn)
    }
    fn expected(&self) -> StatusCode {
        self.play.expected()
    }
}
