//! Bodies, queries, paths, conditional requests.

use serde_json::{Value, json};

use crate::support::{Kit, request};

const MERGE: &str = "application/merge-patch+json";
const ID: &str = "0198c1f2-a7c4-7d0b-9a35-e3a1c4f0b6d2";

#[tokio::test]
async fn a_created_thing_names_its_place_and_version() {
    let answer = Kit::new().post("/v1/things", &[], r#"{"title":"a","parts":[{"label":"x"}]}"#).await;
    assert_eq!(answer.status, 201);
    assert_eq!((answer.header("location"), answer.header("etag")), ("/v1/things/1", "\"1\""));
    assert_eq!(answer.body, json!({ "title": "a", "parts": ["x"] }));
}

#[tokio::test]
async fn what_cannot_be_read_is_400_and_what_does_not_fit_422() {
    let kit = Kit::new();
    for body in [
        b"".as_slice(),
        b"{",
        b"{\"title\":\"\xff\"}",
        br#"{"title":"\ud800"}"#,
        br#"{"title":"a"}{}"#,
    ] {
        kit.post("/v1/things", &[], body).await.problem(400, "request.malformed_json");
    }
    kit.post("/v1/things", &[], r#"{"title":"a","title":"b"}"#)
        .await
        .problem(400, "request.duplicate_name")
        .field("/title", "duplicate");
    for (body, pointer, code) in [
        (r#"{"title":"a","owner":1}"#, "/owner", "unknown_field"),
        (
            r#"{"title":"a","parts":[{"label":"x","role":"owner"}]}"#,
            "/parts/0/role",
            "unknown_field",
        ),
        (r"{}", "/title", "required"),
        (r#"{"title":5}"#, "/title", "invalid"),
        (r#"{"title":"a\u0000"}"#, "/title", "control_character"),
        (r#"["a",[]]"#, "", "invalid"),
        (r#""a""#, "", "invalid"),
    ] {
        kit.post("/v1/things", &[], body)
            .await
            .problem(422, "request.invalid")
            .field(pointer, code);
    }
}

#[tokio::test]
async fn only_json_in_utf8_is_read() {
    let kit = Kit::new();
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "",
        "application/merge-patch+json",
        "application/json; charset=latin1",
    ] {
        kit.post("/v1/things", &[("content-type", kind)], r#"{"title":"a"}"#)
            .await
            .problem(415, "request.unsupported_media_type");
    }
    for kind in [
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/json;charset=\"UTF-8\"",
    ] {
        assert_eq!(
            kit.post("/v1/things", &[("content-type", kind)], r#"{"title":"a"}"#).await.status,
            201,
            "{kind}"
        );
    }
}

#[tokio::test]
async fn a_large_body_is_413_with_and_without_its_length() {
    let kit = Kit::with(|config| config.max_body_bytes = 1_000, crate::support::routes());
    let body = format!(r#"{{"title":"{}"}}"#, "a".repeat(1_000));
    kit.post("/v1/things", &[], body.clone()).await.problem(413, "request.too_large");
    let chunks = body
        .into_bytes()
        .chunks(100)
        .map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec()))
        .collect::<Vec<_>>();
    let streamed = axum::body::Body::from_stream(futures_util::stream::iter(chunks));
    kit.post("/v1/things", &[], streamed).await.problem(413, "request.too_large");
}

#[tokio::test]
async fn queries_are_strict() {
    let kit = Kit::new();
    let token = format!("Bearer {}", kit.token());
    let headers = [("authorization", token.as_str())];
    for (query, pointer, code) in [
        ("limt=5", "#query/limt", "unknown_parameter"),
        ("limit=x", "#query/limit", "invalid"),
        ("limit=-1", "#query/limit", "invalid"),
        ("limit=", "#query/limit", "invalid"),
        ("limit=%2B5", "#query/limit", "invalid"),
        ("limit=+5", "#query/limit", "invalid"),
        ("limit=5&limit=6", "#query/limit", "duplicate"),
        ("q=a%00b", "#query/q", "control_character"),
        ("q=%ff", "#query/q", "control_character"),
    ] {
        let answer = kit.get(&format!("/v1/things?{query}"), &headers).await;
        answer.problem(400, "request.query_invalid").field(pointer, code);
    }
    let answer = kit.get("/v1/things?q=%2B5", &headers).await;
    assert_eq!(answer.body, json!({ "limit": null, "q": "+5" }));
    let answer = kit.get("/v1/things?limit=5&q=a%20b%2Bc", &headers).await;
    assert_eq!(answer.body, json!({ "limit": 5, "q": "a b+c" }));
}

#[tokio::test]
async fn a_path_that_names_no_id_is_404() {
    let kit = Kit::new();
    for id in ["x", "7", "%00", "%ff", "0198c1f2a7c47d0b9a35e3a1c4f0b6d2", "..%2f..%2fetc"] {
        assert_eq!(kit.get(&format!("/v1/things/{id}"), &[]).await.status, 404, "{id}");
    }
}

#[tokio::test]
async fn a_current_copy_is_304_without_a_body() {
    let kit = Kit::new();
    let path = format!("/v1/things/{ID}");
    for tag in ["\"3\"", "W/\"3\"", "\"1\", \"3\"", "*"] {
        let answer = kit.get(&path, &[("if-none-match", tag)]).await;
        assert_eq!(
            (answer.status.as_u16(), answer.bytes.len(), answer.header("etag")),
            (304, 0, "\"3\""),
            "{tag}"
        );
        assert_eq!(answer.header("cache-control"), "private, no-cache");
    }
    for tag in ["\"4\"", "3", "\"33\""] {
        assert_eq!(kit.get(&path, &[("if-none-match", tag)]).await.status, 200, "{tag}");
    }
}

#[tokio::test]
async fn if_match_guards_a_change() {
    let kit = Kit::new();
    let path = format!("/v1/things/{ID}");
    let token = format!("Bearer {}", kit.token());
    let change = |tag: Option<&'static str>, kind: &'static str, body: &'static str| {
        let mut headers = vec![("authorization", token.as_str()), ("content-type", kind)];
        headers.extend(tag.map(|tag| ("if-match", tag)));
        kit.send(request("PATCH", &path, &headers, body))
    };
    change(None, MERGE, "{}").await.problem(428, "request.if_match_required");
    for tag in ["\"2\"", "W/\"3\"", "\"\"", "\"*\"", "\"2\", \"4\""] {
        change(Some(tag), MERGE, "{}").await.problem(412, "request.version_mismatch");
    }
    for tag in ["\"3\"", "*", "\"1\", \"3\""] {
        let answer = change(Some(tag), MERGE, "{}").await;
        assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, "\"4\""), "{tag}");
    }
    // What is no entity tag is not taken for one.
    for tag in ["3", "\"3", "3\"", "rubbish", "w/\"3\"", "*, \"3\"", "\"3\" \"4\""] {
        let answer = change(Some(tag), MERGE, "{}").await;
        let detail = answer.problem(400, "request.entity_tag_invalid").body["detail"].as_str();
        assert!(detail.is_some_and(|detail| detail.contains("If-Match")), "{answer:#?}");
    }
    // Left out, null, a value: three different things; plain JSON is taken too.
    for (body, note) in [
        ("{}", json!("left")),
        (r#"{"note":null}"#, Value::Null),
        (r#"{"note":"n"}"#, json!("n")),
    ] {
        assert_eq!(change(Some("*"), "application/json", body).await.body["note"], note);
    }
}

#[tokio::test]
async fn a_change_takes_no_if_none_match() {
    let kit = Kit::new();
    let path = format!("/v1/things/{ID}");
    let token = format!("Bearer {}", kit.token());
    let change = |authorization: &str, tag: &str| {
        let headers = [
            ("authorization", authorization),
            ("content-type", MERGE),
            ("if-match", "*"),
            ("if-none-match", tag),
        ];
        kit.send(request("PATCH", &path, &headers, "{}"))
    };
    for tag in ["*", "\"3\"", "\"4\"", "W/\"4\""] {
        change(&token, tag).await.problem(412, "request.if_none_match_refused");
    }
    change(&token, "4").await.problem(400, "request.entity_tag_invalid");
    // Who must sign in learns that first; and a question may still be conditional.
    change("", "*").await.problem(401, "auth.required");
    let headers = [("authorization", token.as_str()), ("if-none-match", "*")];
    assert_eq!(kit.get(&path, &headers).await.status, 304);
}

#[tokio::test]
async fn what_is_not_taken_comes_with_what_is() {
    let kit = Kit::new();
    let plain = kit.post("/v1/things", &[("content-type", "text/plain")], "{}").await;
    plain.problem(415, "request.unsupported_media_type");
    assert_eq!((plain.header("accept"), plain.header("accept-patch")), ("application/json", ""));
    let token = format!("Bearer {}", kit.token());
    let headers = [("authorization", token.as_str()), ("content-type", "application/json-patch+json")];
    let patch = kit.send(request("PATCH", &format!("/v1/things/{ID}"), &headers, "[]")).await;
    patch.problem(415, "request.unsupported_media_type");
    for name in ["accept", "accept-patch"] {
        assert_eq!(patch.header(name), "application/merge-patch+json, application/json", "{name}");
    }
}

#[tokio::test]
async fn who_asks_what_and_how_it_is_read_is_said_once() {
    let kit = Kit::new();
    let token = format!("Bearer {}", kit.token());
    let usual = [
        ("authorization", token.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", "k"),
    ];
    assert_eq!(
        kit.send(request("POST", "/v1/things", &usual, r#"{"title":"a"}"#)).await.status,
        201
    );
    for (again, name) in [
        (("authorization", "Bearer x"), "Authorization"),
        (("content-type", "text/plain"), "Content-Type"),
        (("idempotency-key", "k"), "Idempotency-Key"),
    ] {
        let headers = [&usual[..], &[again]].concat();
        let answer = kit.send(request("POST", "/v1/things", &headers, r#"{"title":"a"}"#)).await;
        let detail = answer.problem(400, "request.header_repeated").body["detail"].as_str();
        assert!(detail.is_some_and(|detail| detail.starts_with(name)), "{answer:#?}");
    }
}
