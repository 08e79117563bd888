//! Flows as people write them: requests with `###` between them, in the shape that editors know as `.http` files.
//!
//! ```text
//! # Title of the flow
//! What it shows.
//!
//! ### Name of a request
//! # Why it is there.
//! POST /v1/projects
//! Idempotency-Key: once
//!
//! {"name": "Apollo"}
//!
//! < {% script before %}
//! > {% script that judges the answer %}
//! ```
//!
//! Scripts are Postman's own JavaScript, `{{name}}` is a Postman variable.

/// One file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Flow {
    pub title: String,
    pub description: String,
    pub requests: Vec<Request>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub name: String,
    pub description: String,
    pub method: String,
    /// With its query, from the leading `/` on.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub before: Vec<String>,
    pub after: Vec<String>,
}

/// What the next lines are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Start,
    Headers,
    Body,
    Before,
    After,
}

pub fn parse(text: &str) -> Result<Flow, String> {
    let mut flow = Flow::default();
    let mut part = Part::Start;
    for (index, line) in text.lines().enumerate() {
        let fail = |what: &str| format!("line {}: {what}", index + 1);
        if let Some(name) = line.strip_prefix("### ") {
            if matches!(part, Part::Before | Part::After) {
                return Err(fail("the script above is not closed with %}"));
            }
            flow.requests.push(Request {
                name: name.trim().to_owned(),
                ..Request::default()
            });
            part = Part::Start;
            continue;
        }
        let Some(request) = flow.requests.last_mut() else {
            match line.strip_prefix("# ") {
                Some(title) if flow.title.is_empty() => title.clone_into(&mut flow.title),
                _ => append(&mut flow.description, line.trim(), " "),
            }
            continue;
        };
        match (part, line) {
            (Part::Before | Part::After, "%}") => part = Part::Start,
            (Part::Before, _) => request.before.push(line.to_owned()),
            (Part::After, _) => request.after.push(line.to_owned()),
            (_, "< {%") => part = Part::Before,
            (_, "> {%") => part = Part::After,
            (Part::Headers, "") => part = Part::Body,
            (Part::Headers, _) => {
                let (name, value) = line.split_once(": ").ok_or_else(|| fail("neither a header nor an empty line"))?;
                request.headers.push((name.to_owned(), value.trim().to_owned()));
            }
            (Part::Body, _) => append(&mut request.body, line, "\n"),
            (Part::Start, "") => {}
            (Part::Start, _) if request.method.is_empty() => match (line.strip_prefix("# "), line.split_once(' ')) {
                (Some(why), _) => append(&mut request.description, why.trim(), " "),
                (None, Some((method, target))) if target.starts_with('/') => {
                    method.clone_into(&mut request.method);
                    target.trim().clone_into(&mut request.target);
                    part = Part::Headers;
                }
                _ => return Err(fail("expected `METHOD /path`")),
            },
            (Part::Start, _) => return Err(fail("expected a script or the next request")),
        }
    }
    for request in &mut flow.requests {
        request.body.truncate(request.body.trim_end().len());
        if request.method.is_empty() {
            return Err(format!("{}: no `METHOD /path`", request.name));
        }
    }
    match (flow.title.is_empty(), matches!(part, Part::Before | Part::After)) {
        (true, _) => Err("no `# Title`".to_owned()),
        (_, true) => Err("the last script is not closed with %}".to_owned()),
        _ => Ok(flow),
    }
}

fn append(text: &mut String, more: &str, between: &str) {
    if !text.is_empty() && (between == "\n" || !more.is_empty()) {
        text.push_str(between);
    }
    text.push_str(more);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_is_read() {
        let flow = parse(
            "# Newcomer\nFrom nothing\nto a task.\n\n### Sign up\n# Once.\nPOST /v1/auth/register?x=1\nAuthorization: none\n\n{\n  \"a\": 1\n}\n\n\
             < {%\nlet a;\n%}\n> {%\npm.test('x', () => {});\n%}\n\n### Me\nGET /v1/me\n",
        )
        .unwrap();
        assert_eq!(
            (flow.title.as_str(), flow.description.as_str()),
            ("Newcomer", "From nothing to a task.")
        );
        assert_eq!(flow.requests.len(), 2);
        let first = &flow.requests[0];
        assert_eq!((first.method.as_str(), first.target.as_str()), ("POST", "/v1/auth/register?x=1"));
        assert_eq!(first.headers, [("Authorization".to_owned(), "none".to_owned())]);
        assert_eq!(first.body, "{\n  \"a\": 1\n}");
        assert_eq!(first.before, ["let a;"]);
        assert_eq!(first.after, ["pm.test('x', () => {});"]);
        assert_eq!(first.description, "Once.");
    }

    #[test]
    fn what_is_no_flow_is_refused_with_its_line() {
        for (text, reason) in [
            ("### A\nGET /v1/me\n", "no `# Title`"),
            ("# T\n### A\nnonsense\n", "line 3: expected `METHOD /path`"),
            ("# T\n### A\n", "A: no `METHOD /path`"),
            ("# T\n### A\nGET /\nnonsense\n", "line 4: neither a header nor an empty line"),
            ("# T\n### A\nGET /\n> {%\nlet a;\n", "the last script is not closed with %}"),
            (
                "# T\n### A\nGET /\n> {%\n### B\nGET /\n",
                "line 5: the script above is not closed with %}",
            ),
        ] {
            assert_eq!(parse(text), Err(reason.to_owned()), "{text}");
        }
    }
}
