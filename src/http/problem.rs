//! How a failure looks from outside: RFC 9457 `application/problem+json`.
//!
//! A handler's [`Error`] travels in the response to the outermost layer, which alone knows the
//! request's id: there it is logged, once, and written. Its cause never leaves.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{self, HeaderValue};
use schemars::JsonSchema;
use serde::Serialize;

use super::visit::Visit;
use crate::error::{Error, FieldError, Problem};

/// The media type of a failure.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request failed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct Report<'a> {
    /// Which failure: the address of a page about it.
    #[serde(rename = "type")]
    kind: String,
    /// The failure in one sentence.
    title: &'a str,
    /// The status of the response.
    status: u16,
    /// What there is to say about this very case.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    /// The request's id.
    instance: &'a str,
    /// What is wrong, field by field.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    /// Seconds after which trying again makes sense.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    /// The failure in the words of OAuth 2.0 (RFC 6749 section 5.2), where its clients ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    /// The limit that was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'a str>,
    /// The operation that asks for a proof.
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'a str>,
    /// The proof that it asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    need: Option<NeedReport<'a>>,
    /// Where to show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<&'static str>,
}

/// A proof that is asked for.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Need")]
struct NeedReport<'a> {
    /// The factors that would do, the preferred one first.
    factors: &'a [&'static str],
    /// How many seconds ago at most; 0 for any time in this session.
    max_age: u64,
}

/// A failure on its way through the layers.
#[derive(Clone)]
struct Fault(Arc<Error>);

/// Beside a failure: whoever asked knows failures by the names of OAuth 2.0.
#[derive(Clone, Copy)]
struct InOauth;

/// Lets a failure be told by the name that OAuth 2.0 has for it as well.
pub(super) fn in_oauth(response: &mut Response) {
    response.extensions_mut().insert(InOauth);
}

/// The field of a form that says what kind of form it is.
pub(super) const GRANT_TYPE: &str = "grant_type";

/// What OAuth 2.0 calls a failure (RFC 6749 section 5.2).
fn oauth_name(error: &Error) -> &'static str {
    let is_of_another_kind = |field: &FieldError| field.field == GRANT_TYPE && field.code == "wrong-value";
    match error.problem {
        Problem::ClientUnknown | Problem::KeyUnknown => "invalid_client",
        Problem::ScopeMissing => "unauthorized_client",
        // About where the request comes from, and not about what was shown.
        Problem::CrossSite => "invalid_request",
        problem => match problem.status() {
            401 | 403 => "invalid_grant",
            500.. => "temporarily_unavailable",
            _ if error.fields.iter().any(is_of_another_kind) => "unsupported_grant_type",
            _ => "invalid_request",
        },
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = status(self.problem).into_response();
        response.extensions_mut().insert(Fault(Arc::new(self)));
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        Error::new(self).into_response()
    }
}

/// How whoever was refused could show who they are (RFC 9110 §11.6.1).
fn scheme(problem: Problem) -> HeaderValue {
    HeaderValue::from_static(if problem == Problem::ClientUnknown {
        "Basic realm=\"clients\""
    } else {
        "Bearer"
    })
}

fn status(problem: Problem) -> StatusCode {
    StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Writes the failure that `response` carries, and logs its cause; leaves any other response alone.
/// Headers that came with the failure, such as `Allow` or `Set-Cookie`, stay.
///
/// Where a browser asks for a page, the failure is one.
pub fn settle(response: Response, request_id: &str, asked: Option<&Visit>) -> Response {
    let (mut parts, body) = response.into_parts();
    let error = match parts.extensions.remove::<Fault>() {
        Some(Fault(error)) => error,
        None => match of_the_framework(&parts, &body) {
            Some(problem) => Arc::new(problem.into()),
            None => return Response::from_parts(parts, body),
        },
    };
    log(&error, request_id);
    if let Some(visit) = asked {
        let mut page = visit.failure(&error, request_id);
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.remove(header::CONTENT_TYPE);
        page.headers_mut().extend(parts.headers);
        page.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
        tell(&error, &mut page);
        return page;
    }
    parts.status = status(error.problem);
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    let report = Report {
        kind: format!("/problems/{}", error.problem.slug()),
        title: error.problem.title(),
        status: parts.status.as_u16(),
        detail: error.detail.as_deref(),
        instance: request_id,
        errors: &error.fields,
        retry_after: error.retry_after,
        error: parts.extensions.remove::<InOauth>().map(|_| oauth_name(&error)),
        limit: error.limit,
        operation: error.need.as_ref().map(|need| need.operation.as_str()),
        need: error.need.as_ref().map(|need| NeedReport { factors: &need.factors, max_age: need.max_age }),
        start: error.need.as_ref().map(|_| "/api/v1/auth/step-up"),
    };
    let body = serde_json::to_vec(&report).unwrap_or_default();
    let mut response = Response::from_parts(parts, Body::from(body));
    tell(&error, &mut response);
    response
}

/// What the headers of a response say of its failure, whether it is a page or a document.
pub(super) fn tell(error: &Error, response: &mut Response) {
    let is_refused = response.status() == StatusCode::UNAUTHORIZED;
    let headers = response.headers_mut();
    if is_refused {
        headers.insert(header::WWW_AUTHENTICATE, scheme(error.problem));
    }
    if let Some(seconds) = error.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    let Some(limit) = error.limit else { return };
    // draft-ietf-httpapi-ratelimit-headers: nothing remains, until then.
    let told = format!("\"{limit}\";r=0;t={}", error.retry_after.unwrap_or(1));
    if let Ok(told) = HeaderValue::from_str(&told) {
        headers.insert("ratelimit", told);
    }
    let policy = error.quota.as_deref();
    let policy = policy.map(|(quota, seconds)| format!("\"{limit}\";q={quota};w={seconds}"));
    if let Some(Ok(policy)) = policy.as_deref().map(HeaderValue::from_str) {
        headers.insert("ratelimit-policy", policy);
    }
}

/// The framework answers some failures itself – no such route, no such method, an answer that cannot
/// be written – with no body or a text that may tell too much. They become lines of the catalogue.
fn of_the_framework(parts: &http::response::Parts, body: &Body) -> Option<Problem> {
    // To HEAD an answer of ours has no body either: what it would be is told by its type.
    let is_theirs = match parts.headers.get(header::CONTENT_TYPE) {
        Some(kind) => kind.as_bytes().starts_with(b"text/plain"),
        None => body.is_end_stream(),
    };
    if !is_theirs {
        return None;
    }
    match parts.status {
        StatusCode::NOT_FOUND => Some(Problem::NotFound),
        StatusCode::METHOD_NOT_ALLOWED => Some(Problem::MethodNotAllowed),
        StatusCode::PAYLOAD_TOO_LARGE => Some(Problem::BodyTooLarge),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Some(Problem::UnsupportedMediaType),
        status if status.is_client_error() => Some(Problem::MalformedRequest),
        status if status.is_server_error() => Some(Problem::Internal),
        _ => None,
    }
}

fn log(error: &Error, request_id: &str) {
    let slug = error.problem.slug();
    let cause = error.cause.as_deref().map(|cause| cause as &dyn std::error::Error);
    if error.problem.status() >= 500 {
        tracing::error!(request_id, slug, cause, "a request failed");
    } else {
        tracing::debug!(request_id, slug, cause, "a request was refused");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::json;
    use serde_json::json;

    #[tokio::test]
    async fn a_failure_tells_what_may_be_told_and_no_more() {
        let quota = Some(Box::new((10, 900)));
        let error = Error { limit: Some("sign-in"), quota, ..Error::new(Problem::LimitReached) }
            .retry_after(std::time::Duration::from_millis(1500))
            .because("the secret cause");
        let response = settle(error.into_response(), "id-1", None);
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(response.headers()["ratelimit"], "\"sign-in\";r=0;t=2");
        assert_eq!(response.headers()["ratelimit-policy"], "\"sign-in\";q=10;w=900");
        assert_eq!(response.headers()["content-type"], MEDIA_TYPE);
        assert_eq!(
            json(response).await,
            json!({"type": "/problems/limit-reached", "title": "Too many tries.", "status": 429, "instance": "id-1", "retry_after": 2, "limit": "sign-in"})
        );
    }

    #[tokio::test]
    async fn every_problem_has_its_status_and_401_names_the_scheme() {
        for problem in Problem::ALL {
            let response = settle(problem.into_response(), "id", None);
            assert_eq!(response.status().as_u16(), problem.status());
            assert_eq!(
                response.headers().contains_key("www-authenticate"),
                problem.status() == 401,
                "{problem:?}"
            );
            let passes = matches!(problem.status(), 429 | 503);
            assert_eq!(response.headers().contains_key("retry-after"), passes, "{problem:?}");
            assert_eq!(json(response).await["type"], format!("/problems/{}", problem.slug()));
        }
    }

    #[tokio::test]
    async fn what_the_framework_refuses_is_a_problem_too_but_other_answers_stay() {
        let text = (StatusCode::INTERNAL_SERVER_ERROR, "the struct Hidden has no field").into_response();
        assert_eq!(json(settle(text, "id", None)).await["type"], "/problems/internal");
        let bare = (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET")]).into_response();
        let settled = settle(bare, "id", None);
        assert_eq!(settled.headers()["allow"], "GET");
        assert_eq!(json(settled).await["type"], "/problems/method-not-allowed");
        let own =
            (StatusCode::SERVICE_UNAVAILABLE, axum::Json(json!({"status": "unavailable"}))).into_response();
        assert_eq!(json(settle(own, "id", None)).await, json!({"status": "unavailable"}));
        let to_head = [(header::CONTENT_TYPE, "application/json")];
        let to_head = (StatusCode::SERVICE_UNAVAILABLE, to_head, Body::empty()).into_response();
        assert_eq!(settle(to_head, "id", None).status(), 503);
        assert_eq!(settle(StatusCode::NO_CONTENT.into_response(), "id", None).status(), 204);
    }
}
