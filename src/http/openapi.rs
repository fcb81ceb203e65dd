//! The description of the API, OpenAPI 3.1, printed from the lines of the router.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use axum::response::IntoResponse;
use http::{Method, header};
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::access::Access;
use super::route::{Answer, Route};
use super::{aliases, problem, router};
use crate::error::Problem;
use crate::limits::Limit;
use crate::policy::{Budget, Policy};

/// `GET /openapi.json`
pub async fn serve() -> impl IntoResponse {
    static TEXT: OnceLock<bytes::Bytes> = OnceLock::new();
    let text = TEXT.get_or_init(|| document().to_string().into()).clone();
    ([(header::CONTENT_TYPE, "application/json")], text)
}

/// The document: the API at `/api/v1`, and the operations.
pub fn document() -> Value {
    describe(&router::routes(), &router::operations())
}

/// The document of these lines.
pub(super) fn describe(routes: &[Route], operations: &[Route]) -> Value {
    let mut print = Printer::new();
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let lines =
        routes.iter().map(|route| ("/api/v1", route)).chain(operations.iter().map(|route| ("", route)));
    for (mount, route) in lines.filter(|(_, route)| !route.doc.hidden) {
        let operation = print.operation(mount, route);
        paths
            .entry(format!("{mount}{}", route.path))
            .or_default()
            .insert(route.method.as_str().to_lowercase(), operation);
    }
    let problem = print.answers.subschema_for::<problem::Report<'_>>();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Vestibule",
            "summary": env!("CARGO_PKG_DESCRIPTION"),
            "description": "The same routes answer below `/api` without a version. Failures are RFC 9457 problems; each has a page below `/problems`. `x-limits` names what a route is counted by, as the built-in policy has it.",
            "version": env!("CARGO_PKG_VERSION"),
            // No `identifier`: Swagger UI makes a link of it, which leads nowhere for two licenses.
            "license": {"name": env!("CARGO_PKG_LICENSE")},
        },
        "servers": [{"url": "/"}],
        "tags": tags(routes, operations),
        "paths": paths,
        "components": {
            "schemas": print.schemas(),
            "responses": {"Problem": {
                "description": "Something else went wrong.",
                "content": {problem::MEDIA_TYPE: {"schema": problem}},
            }},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A session's token, opaque or signed."},
                "client": {"type": "http", "scheme": "basic", "description": "Id and secret of a registered client."},
                "key": {"type": "http", "scheme": "bearer", "description": "An API key, `vk_…`, with the scope that is named."},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "__Host-vestibule", "description": "A session's cookie; `vestibule` on a server without TLS."},
            },
        },
    })
}

fn security(route: &Route) -> Value {
    let session = [json!({"bearer": []}), json!({"cookie": []})];
    let mut ways = match route.access {
        Access::Session | Access::Admin | Access::Staff(_) => session.to_vec(),
        Access::Client => vec![json!({"client": []})],
        // Nothing does as well; but what no way is named for, tools send no credential to.
        Access::Public if route.recognises => [&[json!({})], &session[..]].concat(),
        Access::Public | Access::Webhook => Vec::new(),
    };
    ways.extend(route.scope.map(|scope| json!({"key": [scope]})));
    ways.into()
}

fn tag(mount: &str, route: &Route) -> String {
    let first = route.path.split('/').find(|part| !part.is_empty()).unwrap_or_default();
    if mount.is_empty() { "operations".to_owned() } else { first.to_owned() }
}

/// What the groups are about; one that is not told here has no description.
const TAGS: &[(&str, &str)] = &[
    ("users", "Signing up, and one's own account."),
    ("auth", "Signing in and out, proving who one is, getting back in."),
    ("activity", "What happened in one's account."),
    ("factors", "What one can show besides a password."),
    ("sessions", "Where one is signed in."),
    ("devices", "Where one has signed in before."),
    ("admin", "For administrators."),
    ("organizations", "Groups of users, with administrators of their own."),
    ("events", "What happened, for the application."),
    ("revocations", "Which sessions have ended, for services that check tokens by themselves."),
    ("calls", "Calling people."),
    ("operations", "Health, figures, keys and documents, for operators, services and tools."),
];

fn tags(routes: &[Route], operations: &[Route]) -> Value {
    let shown = |routes: &[Route], mount: &str| {
        let shown = routes.iter().filter(|route| !route.doc.hidden);
        shown.map(|route| tag(mount, route)).collect::<Vec<_>>()
    };
    let names = [shown(routes, "/api/v1"), shown(operations, "")].concat();
    let mut seen = std::collections::BTreeSet::new();
    let described = |name: String| match TAGS.iter().find(|(known, _)| *known == name) {
        Some((_, about)) => json!({"name": name, "description": about}),
        None => json!({"name": name}),
    };
    names.into_iter().filter(|name| seen.insert(name.clone())).map(described).collect()
}

/// `POST /auth/login` is `postAuthLogin`, `DELETE /sessions/{id}` is `deleteSessionsById`.
fn operation_id(route: &Route) -> String {
    let mut id = route.method.as_str().to_lowercase();
    for part in route.path.split('/') {
        let (before, part) = part.strip_prefix('{').map_or(("", part), |part| ("By", part));
        id.push_str(before);
        for word in part.split(|c: char| !c.is_ascii_alphanumeric()) {
            let mut letters = word.chars();
            id.extend(letters.next().map(|first| first.to_ascii_uppercase()));
            id.push_str(letters.as_str());
        }
    }
    id
}

/// `null` takes a field's value away, and a field that is left out stays as it is: a tool that fills in defaults
/// must find none of the one for the other.
fn leave_out(schema: &mut Schema) {
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
}

/// Two generators, since what may be left out differs between asking and answering.
struct Printer {
    asks: SchemaGenerator,
    answers: SchemaGenerator,
}

impl Printer {
    fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
                settings.transforms.push(Box::new(RecursiveTransform(leave_out)));
            })
        };
        Self {
            asks: settings().for_deserialize().into_generator(),
            answers: settings().for_serialize().into_generator(),
        }
    }

    fn schemas(mut self) -> Map<String, Value> {
        let mut schemas = self.asks.take_definitions(true);
        schemas.extend(self.answers.take_definitions(true));
        schemas
    }

    fn operation(&mut self, mount: &str, route: &Route) -> Value {
        let mut operation = json!({
            "operationId": operation_id(route),
            "summary": route.doc.about,
            "tags": [tag(mount, route)],
            "responses": self.responses(route),
            "security": security(route),
        });
        let parameters = self.parameters(route);
        let also: Vec<String> = aliases::of(route)
            .filter(|_| !mount.is_empty())
            .map(|alias| format!("`{} {}`", alias.method, alias.below(mount)))
            .collect();
        if let Some(object) = operation.as_object_mut() {
            if !also.is_empty() {
                object.insert("description".to_owned(), format!("Also {}.", also.join(", ")).into());
            }
            if !parameters.is_empty() {
                object.insert("parameters".to_owned(), parameters.into());
            }
            let counted = route.limits();
            if !counted.is_empty() {
                object.insert("x-limits".to_owned(), limits(&counted));
            }
            if let Some((body, required)) = route.doc.body {
                let form = "application/x-www-form-urlencoded";
                let media_type = if route.doc.form { form } else { "application/json" };
                let content = json!({media_type: {"schema": body(&mut self.asks)}});
                object.insert("requestBody".to_owned(), json!({"required": required, "content": content}));
            }
        }
        operation
    }

    fn parameters(&mut self, route: &Route) -> Vec<Value> {
        let names = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let mut all: Vec<Value> = names
            .map(|name| {
                let about = if name == "id" { "Which one, by its id." } else { "Which one, by its name." };
                json!({"name": name, "in": "path", "description": about, "required": true, "schema": {"type": "string"}})
            })
            .collect();
        if route.is_once() {
            let about = "Names the request: asked again within a day it is answered the same, and done once.";
            let schema = json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"});
            all.push(json!({"name": "Idempotency-Key", "in": "header", "description": about, "required": false, "schema": schema}));
        }
        let Some(search) = route.doc.search else { return all };
        let schema = search(&mut self.asks);
        let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        for (name, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let required = required.iter().any(|other| other == name);
            let (mut schema, mut parameter) =
                (schema.clone(), json!({"name": name, "in": "query", "required": required}));
            let about = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            if let Some(parameter) = parameter.as_object_mut() {
                parameter.extend(about.map(|about| ("description".to_owned(), about)));
                parameter.insert("schema".to_owned(), schema);
            }
            all.push(parameter);
        }
        all
    }

    fn responses(&mut self, route: &Route) -> Map<String, Value> {
        let mut responses = Map::new();
        for Answer { status, body, meaning } in &route.doc.answers {
            let mut response = json!({"description": meaning, "headers": {"x-request-id": {"description": "The request's id.", "schema": {"type": "string"}}}});
            if let (Some((media_type, schema)), Some(object)) = (body, response.as_object_mut()) {
                let schema = schema.map_or(json!({}), |schema| schema(&mut self.answers).to_value());
                object.insert("content".to_owned(), json!({*media_type: {"schema": schema}}));
            }
            responses.insert(status.to_string(), response);
        }
        let schema = self.answers.subschema_for::<problem::Report<'_>>();
        for (status, problems) in problems(route) {
            let lines: Vec<_> =
                problems.iter().map(|problem| format!("`{}`: {}", problem.slug(), problem.title())).collect();
            let failure = json!({"description": lines.join("\n\n"), "content": {problem::MEDIA_TYPE: {"schema": schema}}});
            responses.entry(status.to_string()).or_insert(failure);
        }
        responses.insert("default".to_owned(), json!({"$ref": "#/components/responses/Problem"}));
        responses
    }
}

/// What a route is counted by, with the numbers of the built-in policy: an operator's own may differ.
fn limits(limits: &[Limit]) -> Value {
    let numbers = Policy::default_policy().limits;
    let one = |limit: &Limit| {
        let Budget { limit: number, window } = limit.budget(&numbers);
        json!({"name": limit, "limit": number, "window": window.to_string()})
    };
    limits.iter().map(one).collect()
}

/// The failures of a route by status: its own, and those that every route of its kind has.
fn problems(route: &Route) -> BTreeMap<u16, Vec<Problem>> {
    let mut all = route.doc.problems.clone();
    if !route.limits().is_empty() {
        all.push(Problem::LimitReached);
    }
    if route.doc.body.is_some() {
        all.extend([
            Problem::MalformedBody,
            Problem::RequestTimeout,
            Problem::BodyTooLarge,
            Problem::UnsupportedMediaType,
            Problem::Invalid,
        ]);
    }
    if route.doc.search.is_some() {
        all.extend([Problem::Invalid, Problem::MalformedRequest]);
    }
    if route.is_once() {
        all.push(Problem::MalformedRequest);
    }
    if route.path.contains('{') || route.access == Access::Admin {
        all.push(Problem::NotFound);
    }
    if route.access.needs_session() {
        all.push(Problem::Unauthenticated);
    }
    if route.access == Access::Session && route.method != Method::GET {
        all.push(Problem::ActingNever);
    }
    if let Access::Staff(_) = route.access {
        all.extend([
            Problem::NotFound,
            Problem::StepUpRequired,
            Problem::FactorMissing,
            Problem::OperationNever,
        ]);
    }
    if route.access == Access::Client {
        all.push(Problem::ClientUnknown);
    }
    if !matches!(route.access, Access::Webhook | Access::Client) && route.method != Method::GET {
        all.push(Problem::CrossSite);
    }
    all.extend([Problem::Internal, Problem::Unavailable]);
    let mut by_status: BTreeMap<u16, Vec<Problem>> = BTreeMap::new();
    for problem in all {
        let same = by_status.entry(problem.status()).or_default();
        if !same.contains(&problem) {
            same.push(problem);
        }
    }
    by_status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing;

    fn document() -> Value {
        describe(&testing::routes(), &router::operations())
    }

    fn walk<'a>(value: &'a Value, seen: &mut impl FnMut(&'a str, &'a Value)) {
        match value {
            Value::Object(map) => map.iter().for_each(|(key, value)| {
                seen(key, value);
                walk(value, seen);
            }),
            Value::Array(list) => list.iter().for_each(|value| walk(value, seen)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let mut count = 0;
        walk(&document, &mut |key, value| {
            if key == "$ref" {
                let pointer = value.as_str().unwrap().strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{pointer}");
                count += 1;
            }
            assert!(key != "$schema" && key != "$defs" && key != "definitions", "{key}");
        });
        assert!(count > 20);
    }

    #[test]
    fn nothing_is_removed_by_what_was_left_out() {
        let document = super::document();
        walk(&document["components"], &mut |key, value| assert!(key != "default" || !value.is_null()));
        walk(&document["paths"], &mut |key, value| assert!(key != "default" || !value.is_null()));
        let name = &document["components"]["schemas"]["Change"]["properties"]["name"];
        assert!(name["type"].as_array().unwrap().contains(&json!("null")), "{name}");
    }

    #[test]
    fn operations_are_whole_and_named_once() {
        let document = document();
        let mut ids = std::collections::BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let at = format!("{method} {path}");
                assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{at}");
                assert!(!operation["summary"].as_str().unwrap().is_empty(), "{at}");
                let responses = operation["responses"].as_object().unwrap();
                assert!(responses.keys().any(|status| status.starts_with('2')), "{at}");
                assert!(
                    responses.values().all(|response| response["$ref"].is_string()
                        || !response["description"].as_str().unwrap().is_empty()),
                    "{at}"
                );
                let asked: Vec<_> =
                    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
                let told: Vec<_> = operation["parameters"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter(|one| one["in"] == "path")
                    .map(|one| one["name"].as_str().unwrap())
                    .collect();
                assert_eq!(asked, told, "{at}");
            }
        }
    }

    #[test]
    fn a_line_says_what_it_takes_answers_and_may_fail_with() {
        let document = document();
        let echo = &document["paths"]["/api/v1/things"]["post"];
        assert_eq!(echo["operationId"], "postThings");
        assert_eq!(
            echo["requestBody"]["content"]["application/json"]["schema"]["$ref"],
            "#/components/schemas/Thing"
        );
        assert_eq!(
            echo["responses"]["201"]["content"]["application/json"]["schema"]["$ref"],
            "#/components/schemas/Thing"
        );
        assert_eq!(echo["requestBody"]["required"], true);
        assert_eq!(document["paths"]["/api/v1/perhaps"]["post"]["requestBody"]["required"], false);
        assert_eq!(echo["security"], json!([]));
        for status in ["400", "403", "408", "409", "413", "415", "422", "500", "503"] {
            assert!(
                echo["responses"][status]["content"][problem::MEDIA_TYPE]["schema"]["$ref"].is_string(),
                "{status}"
            );
        }
        let one = &document["paths"]["/api/v1/things/{id}"]["get"];
        assert_eq!(one["operationId"], "getThingsById");
        assert_eq!(one["security"], json!([{"bearer": []}, {"cookie": []}]));
        assert!(one["responses"]["401"]["description"].as_str().unwrap().contains("`unauthenticated`"));
        assert!(
            one["parameters"]
                .as_array()
                .unwrap()
                .iter()
                .any(|one| one["in"] == "query" && one["name"] == "limit")
        );
        let problem = &document["components"]["schemas"]["Problem"];
        assert_eq!(problem["properties"]["type"]["type"], "string");
        assert!(document["paths"]["/docs"].is_null());
    }

    /// One name has one schema: a type that is asked and answered must look the same both ways.
    #[test]
    fn a_schema_means_the_same_asked_and_answered() {
        let mut print = Printer::new();
        for route in testing::routes().iter().chain(&router::routes()).chain(&router::operations()) {
            print.operation("", route);
        }
        let answers = print.answers.take_definitions(true);
        for (name, schema) in print.asks.take_definitions(true) {
            assert!(answers.get(&name).is_none_or(|other| *other == schema), "{name}");
        }
    }

    #[test]
    fn a_route_that_is_counted_says_by_what_and_the_other_way_round() {
        let document = super::document();
        let mut counted = 0;
        for route in router::routes() {
            let limited = problems(&route).get(&429).is_some_and(|all| all.contains(&Problem::LimitReached));
            assert_eq!(limited, !route.limits().is_empty(), "{} {}", route.method, route.path);
            counted += usize::from(limited);
        }
        assert!(counted >= 4);
        let login = &document["paths"]["/api/v1/auth/login"]["post"]["x-limits"];
        assert_eq!(login[0], json!({"name": "sign-in-identifier", "limit": 10, "window": "10m"}));
    }

    #[test]
    fn a_line_says_what_is_refused_before_anything_is_looked_up() {
        let document = super::document();
        let says = |method: &str, path: &str, status: &str, slug: &str| {
            let told = document["paths"][path][method]["responses"][status]["description"].as_str();
            assert!(
                told.is_some_and(|told| told.contains(&format!("`{slug}`"))),
                "{method} {path}: {told:?}"
            );
        };
        says("get", "/api/v1/sessions", "400", "malformed-request");
        says("post", "/api/v1/calls", "400", "malformed-request");
        says("get", "/api/v1/admin/service-accounts", "404", "not-found");
        says("post", "/api/v1/admin/service-accounts", "404", "not-found");
        says("get", "/api/v1/users/me/export", "403", "acting-never");
        says("put", "/api/v1/users/me/password", "403", "acting-never");
        let parameter = |method: &str, path: &str, name: &str| {
            let all = document["paths"][path][method]["parameters"].as_array().cloned().unwrap_or_default();
            all.into_iter().find(|one| one["name"] == name).unwrap_or_default()
        };
        for route in router::routes().iter().filter(|route| route.doc.search.is_some()) {
            let method = route.method.as_str().to_lowercase();
            let limit = parameter(&method, &format!("/api/v1{}", route.path), "limit");
            let bounds = (limit["schema"]["minimum"].as_u64(), limit["schema"]["maximum"].as_u64());
            assert!(limit.is_null() || bounds == (Some(1), Some(200)), "{}: {limit}", route.path);
        }
        assert_eq!(parameter("get", "/api/v1/revocations", "wait")["schema"]["maximum"], 25);
        assert_eq!(parameter("post", "/api/v1/users", "Idempotency-Key")["in"], "header");
        assert_eq!(document["components"]["schemas"]["ActFor"]["properties"]["minutes"]["minimum"], 1);
        let figures = &document["paths"]["/metrics"]["get"]["responses"]["200"]["content"];
        assert!(figures.as_object().unwrap().keys().all(|kind| !kind.contains(';')), "{figures}");
    }

    #[test]
    fn every_line_of_the_router_is_described() {
        for route in router::routes().iter().chain(&router::operations()).filter(|route| !route.doc.hidden) {
            assert!(
                !route.doc.about.is_empty() && !route.doc.answers.is_empty(),
                "{} {}",
                route.method,
                route.path
            );
        }
    }
}
