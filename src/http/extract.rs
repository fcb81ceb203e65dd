//! What a handler may ask for, each with refusals from the catalogue.
//!
//! A refusal names the place and the kind of a mistake, never the content: what was typed into the
//! wrong field may be a password.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::rejection::{FormRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Path, Query, Request};
use http::header::{self, HeaderMap};
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use crate::app::{App, Ctx};
use crate::clients::RegisteredClient;
use crate::error::{Error, FieldError, Problem, Result};
use crate::service_accounts;
use crate::sessions::Caller;

/// The longest name of a field that is repeated in an answer, in characters.
const NAME_LIMIT: usize = 64;

/// A service that asks: for what outlasts a request, and has to end when the service is let in no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asker {
    /// A registered client.
    Client(Uuid),
    /// An API key.
    Key(Uuid),
}

impl Asker {
    /// Whether it is still let in.
    ///
    /// # Errors
    /// [`Problem::ClientUnknown`] or [`Problem::KeyUnknown`] when not; the store's.
    pub async fn stands(self, ctx: &Ctx) -> Result<()> {
        match self {
            Self::Client(id) => {
                let client = ctx.app.store.get::<RegisteredClient>(id).await?;
                client.map(drop).ok_or_else(|| Problem::ClientUnknown.into())
            }
            Self::Key(id) => service_accounts::stands(ctx, id).await,
        }
    }
}

impl FromRequestParts<Arc<App>> for Asker {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self> {
        parts.extensions.get::<Self>().copied().ok_or_else(|| Problem::ClientUnknown.into())
    }
}

/// A JSON body.
#[derive(Debug)]
pub struct Body<T>(pub T);

/// A form. Fields that are not known are left alone; one that is given twice is refused.
#[derive(Debug)]
pub struct Form<T>(pub T);

/// What stands for the `{…}` of the path. What cannot be read does not exist: 404.
#[derive(Debug)]
pub struct Params<T>(pub T);

/// The query of the address.
#[derive(Debug)]
pub struct Search<T>(pub T);

pub(super) fn not_entered() -> Error {
    Error::internal("the request did not come through the layers")
}

impl FromRequestParts<Arc<App>> for Ctx {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self> {
        parts.extensions.get::<Self>().cloned().ok_or_else(not_entered)
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Problem::Unauthenticated.into())
    }
}

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Body<T> {
    type Rejection = Error;
    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self> {
        if !is_json(request.headers()) {
            return Err(no_json(request.headers()));
        }
        read_json(&bytes(request, app).await?).map(Self)
    }
}

fn no_json(headers: &HeaderMap) -> Error {
    let told = "Send Content-Type: application/json.";
    plain(headers).err().unwrap_or_else(|| Error::new(Problem::UnsupportedMediaType).detail(told))
}

/// Refuses a body that is compressed or otherwise wrapped.
///
/// # Errors
/// [`Problem::UnsupportedMediaType`].
pub fn plain(headers: &HeaderMap) -> Result<()> {
    let told = "Send it as it is, without Content-Encoding.";
    if is_plain(headers) { Ok(()) } else { Err(Error::new(Problem::UnsupportedMediaType).detail(told)) }
}

impl FromRequestParts<Arc<App>> for RegisteredClient {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Problem::ClientUnknown.into())
    }
}

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Form<T> {
    type Rejection = Error;
    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self> {
        plain(request.headers())?;
        match axum::Form::from_request(request, app).await {
            Ok(axum::Form(form)) => Ok(Self(form)),
            Err(FormRejection::InvalidFormContentType(_)) => {
                let told = "Send Content-Type: application/x-www-form-urlencoded.";
                Err(Error::new(Problem::UnsupportedMediaType).detail(told))
            }
            Err(FormRejection::FailedToDeserializeFormBody(error)) => {
                let text = error.body_text();
                let text = text.rsplit_once("form body: ").map_or(text.as_str(), |(_, text)| text);
                let (path, text) =
                    text.split_once(": ").filter(|(path, _)| is_name(path)).unwrap_or(("", text));
                Err(explain(path, text).into())
            }
            Err(_) => Err(Problem::MalformedBody.into()),
        }
    }
}

/// `Option<Body<T>>`: a body that may be left out altogether.
impl<T: DeserializeOwned> OptionalFromRequest<Arc<App>> for Body<T> {
    type Rejection = Error;
    async fn from_request(request: Request, app: &Arc<App>) -> Result<Option<Self>> {
        let refusal = (!is_json(request.headers())).then(|| no_json(request.headers()));
        let bytes = bytes(request, app).await?;
        match refusal {
            _ if bytes.is_empty() => Ok(None),
            None => read_json(&bytes).map(|body| Some(Self(body))),
            Some(refusal) => Err(refusal),
        }
    }
}

/// The whole body; the layers have already taken it in, and bounded it.
async fn bytes(request: Request, app: &App) -> Result<bytes::Bytes> {
    let limit = app.config.server.body_limit;
    axum::body::to_bytes(request.into_body(), limit).await.map_err(|_| Problem::BodyTooLarge.into())
}

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<App>> for Params<T> {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
        match Path::from_request_parts(parts, app).await {
            Ok(Path(params)) => Ok(Self(params)),
            Err(PathRejection::FailedToDeserializePathParams(error)) if error.status().is_client_error() => {
                Err(Problem::NotFound.into())
            }
            Err(error) => Err(Error::internal(error)),
        }
    }
}

impl<T: DeserializeOwned> FromRequestParts<Arc<App>> for Search<T> {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(search)) => Ok(Self(search)),
            Err(QueryRejection::FailedToDeserializeQueryString(error)) => {
                let text = error.body_text();
                let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                let (path, text) =
                    text.split_once(": ").filter(|(path, _)| is_name(path)).unwrap_or(("", text));
                Err(explain(path, text).into())
            }
            Err(error) => Err(Error::internal(error)),
        }
    }
}

/// Whether the body is as it is, not compressed or otherwise wrapped (RFC 9110 §8.4).
fn is_plain(headers: &HeaderMap) -> bool {
    // Names of character sets wrap nothing; clients of old send them.
    const NONE: [&[u8]; 4] = [b"", b"identity", b"utf-8", b"utf8"];
    let named = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut wraps =
        named.flat_map(|names| names.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    wraps.all(|name| NONE.iter().any(|none| name.eq_ignore_ascii_case(none)))
}

/// `application/json`, with no parameter but `charset=utf-8`, and as it is.
fn is_json(headers: &HeaderMap) -> bool {
    if !is_plain(headers) {
        return false;
    }
    let mut kinds = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(kind), None) = (kinds.next(), kinds.next()) else { return false };
    let mut parts = kind.to_str().unwrap_or_default().split(';').map(str::trim);
    let named = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    named && parts.all(|part| part.is_empty() || part.replace('"', "").eq_ignore_ascii_case("charset=utf-8"))
}

/// Reads a body; the error says where and in what way it is wrong.
///
/// # Errors
/// [`Problem::MalformedBody`] for what is not UTF-8 JSON, [`Problem::Invalid`] for JSON of the wrong shape.
pub fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let malformed =
        |place: String| Error::new(Problem::MalformedBody).detail(format!("Reading stopped at {place}."));
    let text =
        std::str::from_utf8(bytes).map_err(|error| malformed(format!("byte {}", error.valid_up_to())))?;
    // The reader would also fill a record from a list, by position: not what anybody documents.
    if !text.trim_start().starts_with('{') {
        return Err(match serde_json::from_str::<serde::de::IgnoredAny>(text) {
            Ok(_) => Error::from(FieldError::new("", "wrong-type", "Expected an object.")),
            Err(error) => malformed(format!("line {}, column {}", error.line(), error.column())),
        });
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let read = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        (path, error.into_inner())
    });
    // An error in the shape may come before one in the writing: what is not JSON is told as such.
    let (path, error) = match read {
        Ok(value) => match json.end() {
            Ok(()) => return Ok(value),
            Err(error) => (String::new(), error),
        },
        Err(found) => found,
    };
    if error.is_data() {
        Err(explain(&path, &error.to_string()).into())
    } else {
        Err(malformed(format!("line {}, column {}", error.line(), error.column())))
    }
}

/// Turns what the reader says into a field and a reason. The reader quotes values: of its text only
/// names of fields and what was expected are kept, both of which come from our own types.
fn explain(path: &str, text: &str) -> FieldError {
    let at = |name: &str| {
        let parent =
            path.strip_suffix(name).map_or(path, |parent| parent.strip_suffix('.').unwrap_or(parent));
        let parent = if parent == "." || parent == "?" { "" } else { parent };
        let name = if is_name(name) { name } else { "?" };
        if parent.is_empty() { name.to_owned() } else { format!("{}.{name}", shorten(parent)) }
    };
    if let Some(name) = quoted(text, "unknown field `", &["`, expected ", "`, there are no fields"]) {
        FieldError::new(at(name), "unknown", "There is no such field.")
    } else if let Some(name) = quoted(text, "missing field `", &["`"]) {
        FieldError::new(at(name), "missing", "This field is needed.")
    } else if let Some(name) = quoted(text, "duplicate field `", &["`"]) {
        FieldError::new(at(name), "duplicate", "This field is given twice.")
    } else {
        let field = if path == "." { String::new() } else { shorten(path).into_owned() };
        let wrong_type = text.starts_with("invalid type") || text.starts_with("invalid length");
        let code = if wrong_type { "wrong-type" } else { "wrong-value" };
        FieldError::new(field, code, expected(text))
    }
}

/// What stands after `start` and before the last of one of `ends`.
fn quoted<'a>(text: &'a str, start: &str, ends: &[&str]) -> Option<&'a str> {
    let rest = text.strip_prefix(start)?;
    ends.iter().filter_map(|end| rest.rfind(end)).max().and_then(|end| rest.get(..end))
}

/// `Expected …`, as our type says it.
fn expected(text: &str) -> Cow<'static, str> {
    let known = ["invalid type", "invalid value", "invalid length", "unknown variant"]
        .iter()
        .any(|start| text.starts_with(start));
    let told = text.rsplit_once(", expected ").filter(|_| known).map(|(_, told)| told);
    let told = told.map(|told| told.rsplit_once(" at line ").map_or(told, |(told, _)| told));
    told.map_or(Cow::Borrowed("This value cannot be accepted."), |told| {
        Cow::Owned(format!("Expected {told}."))
    })
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.chars().count() <= NAME_LIMIT
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.[]".contains(c))
}

fn shorten(path: &str) -> Cow<'_, str> {
    if is_name(path) { Cow::Borrowed(path) } else { Cow::Borrowed("?") }
}

/// Tells what is given as `null` from what is not given: for `deserialize_with`.
///
/// # Errors
/// Those of `T`.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    field: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(field).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Ask {
        #[expect(dead_code, reason = "only reading is tested")]
        name: String,
        #[expect(dead_code, reason = "only reading is tested")]
        age: Option<u8>,
        #[expect(dead_code, reason = "only reading is tested")]
        kind: Option<Kind>,
        #[expect(dead_code, reason = "only reading is tested")]
        inner: Option<Inner>,
        #[expect(dead_code, reason = "only reading is tested")]
        list: Option<Vec<Inner>>,
    }
    #[derive(Deserialize, Debug)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Bearer,
        Cookie,
    }
    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only reading is tested")]
        x: u8,
    }

    fn refused(body: &str) -> (String, String, String) {
        let error = read_json::<Ask>(body.as_bytes()).unwrap_err();
        assert_eq!(error.problem, Problem::Invalid, "{body}");
        let [field] = &error.fields[..] else { panic!("{error:?}") };
        (field.field.to_string(), field.code.to_string(), field.message.to_string())
    }

    #[test]
    fn a_wrong_shape_names_the_field_and_the_reason() {
        let told = |body| {
            let (field, code, _) = refused(body);
            format!("{field} {code}")
        };
        assert_eq!(told(r#"{"name":"a","role":"admin"}"#), "role unknown");
        assert_eq!(told("{}"), "name missing");
        assert_eq!(told(r#"{"name":"a","name":"b"}"#), "name duplicate");
        assert_eq!(told(r#"{"name":1}"#), "name wrong-type");
        assert_eq!(told(r#"{"name":"a","age":256}"#), "age wrong-value");
        assert_eq!(told(r#"{"name":"a","kind":"jwt"}"#), "kind wrong-value");
        assert_eq!(told(r#"{"name":"a","inner":{}}"#), "inner.x missing");
        assert_eq!(told(r#"{"name":"a","inner":{"x":1,"y":2}}"#), "inner.y unknown");
        assert_eq!(told(r#"{"name":"a","list":[{"x":1},{"x":"1"}]}"#), "list[1].x wrong-type");
        assert_eq!(told(r#""hunter2""#), " wrong-type");
        assert_eq!(told("[]"), " wrong-type");
        assert_eq!(refused(r#"{"name":"a","kind":"jwt"}"#).2, "Expected `bearer` or `cookie`.");
        assert_eq!(refused(r#"{"name":"a","age":"x, expected y"}"#).2, "Expected u8.");
    }

    #[test]
    fn content_is_never_repeated() {
        let long = "hunter2".repeat(20);
        for body in [
            r#"{"name":"a","age":"hunter2"}"#.to_owned(),
            r#"{"name":"a","age":"hunter2, expected at line 1"}"#.to_owned(),
            r#"{"name":"a","kind":"hunter2"}"#.to_owned(),
            r#"{"name":"a","kind":"hunter2`, expected "}"#.to_owned(),
            r#""hunter2""#.to_owned(),
            format!(r#"{{"name":"a","{long}":1}}"#),
            r#"{"name":"a","hunter2 <script>`":1}"#.to_owned(),
            r#"{"name":"a","x`, expected hunter2 ":1}"#.to_owned(),
        ] {
            let told = format!("{:?}", refused(&body));
            assert!(!told.contains("hunter2"), "{body} {told}");
        }
    }

    #[test]
    fn what_is_not_json_says_where_reading_stopped() {
        for body in [
            &b"{"[..],
            b"",
            b"{\"name\":\"a\"}x",
            b"{\"name\":\"\xff\"}",
            b"{\"name\":\"\\ud800\"}",
            b"{'name':1}",
            b"{\"name\":\"hunter2\x00\"}",
        ] {
            let error = read_json::<Ask>(body).unwrap_err();
            assert_eq!(error.problem, Problem::MalformedBody, "{body:?}");
            let detail = error.detail.unwrap();
            assert!(detail.starts_with("Reading stopped at ") && !detail.contains("hunter2"), "{detail}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(
            read_json::<serde_json::Value>(deep.as_bytes()).unwrap_err().problem,
            Problem::MalformedBody
        );
    }

    #[test]
    fn only_json_is_json() {
        let with = |kinds: &[&'static str]| {
            let mut headers = HeaderMap::new();
            kinds.iter().for_each(|kind| {
                headers.append("content-type", http::HeaderValue::from_static(kind));
            });
            is_json(&headers)
        };
        for kind in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"",
            "application/json;",
        ] {
            assert!(with(&[kind]), "{kind}");
        }
        for kind in [
            "text/plain",
            "application/jsonp",
            "application/json; charset=latin1",
            "application/x-www-form-urlencoded",
            "",
        ] {
            assert!(!with(&[kind]), "{kind}");
        }
        assert!(!with(&[]) && !with(&["application/json", "text/plain"]));
        for (wrap, is) in [
            ("gzip", false),
            ("Identity", true),
            ("identity, BR", false),
            ("dcz", false),
            ("", true),
            ("UTF-8", true),
        ] {
            let json = [("content-type", "application/json"), ("content-encoding", wrap)];
            let json = json.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            assert_eq!(is_json(&HeaderMap::from_iter(json)), is, "{wrap}");
        }
    }

    #[tokio::test]
    async fn a_form_that_is_compressed_is_not_taken_for_an_empty_one() {
        let app = crate::http::testing::app();
        for (wrap, is) in [("gzip", false), ("identity", true)] {
            let request = Request::post("/").header("content-type", "application/x-www-form-urlencoded");
            let request = request.header("content-encoding", wrap).body("a=b".into()).unwrap();
            let form = Form::<std::collections::BTreeMap<String, String>>::from_request(request, &app).await;
            assert_eq!(
                form.map_err(|error| error.problem).map(drop),
                is.then_some(()).ok_or(Problem::UnsupportedMediaType)
            );
        }
    }

    #[tokio::test]
    async fn a_query_is_explained_like_a_body() {
        #[derive(Deserialize, Debug)]
        #[serde(deny_unknown_fields)]
        struct Find {
            #[expect(dead_code, reason = "only reading is tested")]
            limit: Option<u8>,
        }
        let app = crate::http::testing::app();
        for (query, told) in [
            ("limit=hunter2", "limit wrong-value"),
            ("x=1", "x unknown"),
            ("limit=1&limit=2", "limit duplicate"),
        ] {
            let (mut parts, ()) = http::Request::get(format!("/?{query}")).body(()).unwrap().into_parts();
            let error = Search::<Find>::from_request_parts(&mut parts, &app).await.unwrap_err();
            let [field] = &error.fields[..] else { panic!("{error:?}") };
            assert_eq!(format!("{} {}", field.field, field.code), told);
            assert!(!field.message.contains("hunter2"));
        }
    }
}
