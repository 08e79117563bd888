"""What a schema cannot say, told to Schemathesis (see schemathesis.sh)."""

import os
import uuid

import schemathesis

# Codes of field errors that depend on what exists or on another field: the request was well-formed and was understood.
SEMANTIC = {
    # An id of something that is not there, or that the caller may not see.
    "not_found",
    "unknown_task",
    "unknown_state",
    "unknown_parent",
    "not_a_member",
    # What hangs together with something else.
    "cycle",
    "too_deep",
    "wrong_order",
    "closed_default",
    "repeated",  # twice the same id in a batch
    "wrong_password",
    "self",  # ownership transferred to oneself
    "too_guessable",  # judged by guesses, not by a pattern
    "common_password",
    "contains_personal",
    "invalid_email",  # stricter than format: email, which lets `0@000.a` pass
    "invalid_rule",  # the grammar of RFC 5545
    "invalid_query",  # a query string of the list, saved
    "not_available",  # a channel that this kind of notification does not have
    # A webhook's URL leads somewhere, or not; and only so many names and ports may be called.
    "invalid_url",
    "https_required",
    "port_not_allowed",
    "address_not_allowed",
    "host_not_found",
    "email",  # an invitation for an address is for one person
}


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """A cursor is sealed and an Idempotency-Key belongs to one body: random ones of either only test their own refusal,
    which the suite does."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if case.query:
        case.query.pop("cursor", None)
        # Names of audited actions: a set that grows, so no pattern of the document lists it.
        case.query.pop("action", None)
    # Flags are evaluated for workspaces of the caller's alone.
    if case.path.startswith("/ofrep/") and isinstance(case.body, dict) and isinstance(case.body.get("context"), dict):
        if case.body["context"].get("workspace_id") is not None:
            case.body["context"]["workspace_id"] = os.environ["GUILDHALL_TEST_WORKSPACE"]
    if case.headers and any(name.lower() == "idempotency-key" for name in case.headers):
        for name in [name for name in case.headers if name.lower() == "idempotency-key"]:
            case.headers[name] = str(uuid.uuid4())


@schemathesis.check
def refusals_have_a_reason(ctx, response, case):
    """Good data may be refused with 422 only for what no schema can say."""
    if response.status_code != 422 or case.meta is None or not case.meta.generation.mode.is_positive:
        return
    errors = response.json().get("errors", [])
    assert errors, "422 without a field error for a request that fits the schema"
    # To JSON Schema 7.0 is an integer, to the server it is not.
    errors = [error for error in errors if "floating point" not in error["detail"]]
    # OpenAPI cannot close the variants of a tagged union without repeating the tag in each; the server does close them.
    unexpected = [
        error
        for error in errors
        if error["code"] not in SEMANTIC and not (error["code"] == "unknown_field" and error["pointer"].startswith("/operations/"))
    ]
    assert not unexpected, f"422 for a request that fits the schema: {unexpected}"
