//! The OpenAPI document as a Postman collection (format 2.1): every operation with an example of what it
//! takes, and before them a journey that can be run against development mode as it is, whatever the preset.

use serde_json::{Map, Value, json};

const SCHEMA: &str = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";

/// How deep an example goes: no schema of ours nests deeper, and one that names itself would not end.
const DEEPEST: u32 = 6;

/// After every request, whatever it was.
const ALWAYS: &[&str] = &["pm.test('no server error', () => pm.expect(pm.response.code).to.be.below(500));"];

/// One step of the journey: the operation, what is sent, what is looked at before and after.
struct Step {
    name: &'static str,
    operation: &'static str,
    body: Option<fn() -> Value>,
    before: &'static [&'static str],
    after: &'static [&'static str],
}

/// The codes arrive at the phone of development mode: this looks until there are as many as are wanted at `to`.
const LOOK: Step = Step {
    name: "",
    operation: "GET /dev/messages?to={{to}}",
    body: None,
    before: &[],
    after: &[
        "const codes = pm.response.json().items.filter((one) => one.code);",
        "const looks = Number(pm.collectionVariables.get('looks')) + 1;",
        "pm.collectionVariables.set('looks', looks);",
        "if (codes.length < pm.collectionVariables.get('wanted') && looks < 200) {",
        "    pm.execution.setNextRequest(pm.info.requestName);",
        "} else {",
        "    pm.test('a code has come', () => pm.expect(codes).to.not.be.empty);",
        "    pm.collectionVariables.set('code', codes[0].code);",
        "}",
    ],
};

const JOURNEY: &[Step] = &[
    Step {
        name: "Sign up",
        operation: "postUsers",
        body: Some(|| {
            json!({
                "username": "{{username}}", "email": "{{username}}@example.com", "mobile": "{{mobile}}",
                "password": "{{password}}", "is_2fa_enabled": true,
            })
        }),
        before: &[
            "const digits = (count) => String(Math.floor(Math.random() * 10 ** count)).padStart(count, '0');",
            "pm.collectionVariables.set('username', 'postman' + digits(9));",
            "pm.collectionVariables.set('mobile', '+1201555' + digits(4));",
            "pm.collectionVariables.set('email', pm.collectionVariables.get('username') + '@example.com');",
        ],
        after: &[
            "pm.test('the account is made', () => pm.response.to.have.status(201));",
            "const [number, address] = pm.response.json().verifications;",
            "pm.test('the number and the address are asked about', () => pm.expect([number.factor, address.factor]).to.eql(['sms', 'email']));",
            "pm.collectionVariables.set('challenge', number.id);",
            "pm.collectionVariables.set('next', address.id);",
            "pm.collectionVariables.set('to', encodeURIComponent(pm.collectionVariables.get('mobile')));",
            "pm.collectionVariables.set('wanted', 1);",
            "pm.collectionVariables.set('looks', 0);",
        ],
    },
    Step { name: "Look at the phone", ..LOOK },
    Step {
        name: "Verify the number",
        operation: "postAuthVerifyCode",
        body: Some(|| json!({"challenge": "{{challenge}}", "code": "{{code}}"})),
        before: &[],
        after: &[
            "pm.test('verified', () => pm.expect(pm.response.json().status).to.equal('verified'));",
            "pm.collectionVariables.set('challenge', pm.collectionVariables.get('next'));",
            "pm.collectionVariables.set('to', encodeURIComponent(pm.collectionVariables.get('email')));",
            "pm.collectionVariables.set('looks', 0);",
        ],
    },
    Step { name: "Look at the mails", ..LOOK },
    Step {
        name: "Verify the address",
        operation: "postAuthVerifyCode",
        body: Some(|| json!({"challenge": "{{challenge}}", "code": "{{code}}"})),
        before: &[],
        after: &["pm.test('verified', () => pm.expect(pm.response.json().status).to.equal('verified'));"],
    },
    Step {
        name: "Sign in",
        operation: "postAuthLogin",
        body: Some(|| json!({"identifier": "{{username}}", "password": "{{password}}", "session": "bearer"})),
        before: &[],
        after: &[
            "const asked = pm.response.json();",
            "pm.test('a second factor is asked for', () => pm.expect(asked.status).to.equal('second_factor_required'));",
            "pm.collectionVariables.set('challenge', asked.challenge.id);",
            "const way = asked.challenge.factor === 'email' ? 'email' : 'mobile';",
            "pm.collectionVariables.set('to', encodeURIComponent(pm.collectionVariables.get(way)));",
            "pm.collectionVariables.set('wanted', 2);",
            "pm.collectionVariables.set('looks', 0);",
        ],
    },
    Step { name: "Look for the code", ..LOOK },
    Step {
        name: "Give the code",
        operation: "postAuthVerifyCode",
        body: Some(|| json!({"challenge": "{{challenge}}", "code": "{{code}}"})),
        before: &[],
        after: &[
            "const done = pm.response.json();",
            "pm.test('signed in', () => pm.expect(done.status).to.equal('signed_in'));",
            "pm.collectionVariables.set('token', done.token);",
        ],
    },
    Step {
        name: "Oneself",
        operation: "getUsersMe",
        body: None,
        before: &[],
        after: &[
            "pm.test('it is oneself', () => pm.expect(pm.response.json().username).to.equal(pm.collectionVariables.get('username')));",
        ],
    },
    Step {
        name: "Sign out",
        operation: "postAuthLogout",
        body: Some(|| json!({})),
        before: &[],
        after: &["pm.test('signed out', () => pm.response.to.have.status(204));"],
    },
    Step {
        name: "Oneself no more",
        operation: "getUsersMe",
        body: None,
        before: &[],
        after: &["pm.test('the token counts no more', () => pm.response.to.have.status(401));"],
    },
];

/// The collection that belongs to `document`, which is ours.
pub fn collection(document: &Value) -> Value {
    let operations = operations(document);
    let journey: Vec<Value> = JOURNEY.iter().map(|step| step.item(&operations)).collect();
    let mut folders: Vec<(String, Vec<Value>)> = Vec::new();
    for operation in &operations {
        let item = json!({"name": operation.name, "request": operation.request(operation.example(document))});
        match folders.iter_mut().find(|(group, _)| *group == operation.group) {
            Some((_, items)) => items.push(item),
            None => folders.push((operation.group.clone(), vec![item])),
        }
    }
    let mut items = vec![json!({
        "name": "Journey",
        "description": "From nobody to signed out. Run it in this order against development mode.",
        "item": journey,
    })];
    items.extend(folders.into_iter().map(|(group, item)| json!({"name": group, "item": item})));
    let variable = |(key, value): (&str, &str)| json!({"key": key, "value": value});
    let variables = [
        ("origin", "http://127.0.0.1:8080"),
        ("password", "violet kettle forty moons"),
        ("token", ""),
        ("client_id", ""),
        ("client_secret", ""),
    ];
    json!({
        "info": {
            "name": document.pointer("/info/title"),
            "description": document.pointer("/info/description"),
            "version": document.pointer("/info/version"),
            "schema": SCHEMA,
        },
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}]},
        "event": [script("test", ALWAYS)],
        "variable": variables.map(variable),
        "item": items,
    })
}

struct Operation {
    id: String,
    name: String,
    group: String,
    method: String,
    path: String,
    /// What it takes another credential by than the session's.
    auth: Option<Value>,
    /// Media type and schema of what it takes.
    body: Option<(String, Value)>,
    parameters: Vec<Value>,
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, item) in document.get("paths").and_then(Value::as_object).into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let text = |key: &str| operation.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let content = operation.pointer("/requestBody/content").and_then(Value::as_object);
            let body = content.and_then(|content| content.iter().next());
            all.push(Operation {
                id: text("operationId"),
                name: text("summary"),
                group: operation.pointer("/tags/0").and_then(Value::as_str).unwrap_or_default().to_owned(),
                method: method.to_uppercase(),
                path: path.clone(),
                auth: auth(operation),
                body: body.map(|(media, content)| {
                    (media.clone(), content.get("schema").cloned().unwrap_or_default())
                }),
                parameters: operation
                    .get("parameters")
                    .and_then(Value::as_array)
                    .cloned()
                    .unwrap_or_default(),
            });
        }
    }
    all
}

/// How the credential of an operation is sent that is not the collection's own: none, or a client's.
fn auth(operation: &Value) -> Option<Value> {
    let ways = operation.get("security").and_then(Value::as_array)?;
    if ways.is_empty() {
        return Some(json!({"type": "noauth"}));
    }
    let pair = |key: &str, value: &str| json!({"key": key, "value": value, "type": "string"});
    let basic = [pair("username", "{{client_id}}"), pair("password", "{{client_secret}}")];
    let is_for_clients = ways.iter().any(|way| way.get("client").is_some());
    is_for_clients.then(|| json!({"type": "basic", "basic": basic}))
}

impl Operation {
    fn example(&self, document: &Value) -> Option<Value> {
        self.body.as_ref().map(|(_, schema)| example(document, schema, DEEPEST))
    }

    fn request(&self, body: Option<Value>) -> Value {
        let mut path = self.path.clone();
        let (mut query, mut variables, mut headers) = (Vec::new(), Vec::new(), Vec::new());
        for parameter in &self.parameters {
            let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default();
            let required = parameter.get("required").and_then(Value::as_bool).unwrap_or_default();
            let given = json!({"key": name, "value": "", "disabled": !required});
            match parameter.get("in").and_then(Value::as_str) {
                Some("path") => {
                    path = path.replace(&format!("{{{name}}}"), &format!(":{name}"));
                    variables.push(json!({"key": name, "value": ""}));
                }
                Some("header") => headers.push(given),
                _ => query.push(given),
            }
        }
        let mut request = request(&self.method, &path);
        if let Some(url) = request.get_mut("url").and_then(Value::as_object_mut) {
            url.extend([("query".to_owned(), query.into()), ("variable".to_owned(), variables.into())]);
        }
        let Some(object) = request.as_object_mut() else { return request };
        if let Some(auth) = &self.auth {
            object.insert("auth".to_owned(), auth.clone());
        }
        if let (Some((media, _)), Some(body)) = (&self.body, body) {
            headers.push(json!({"key": "Content-Type", "value": media}));
            let body = if media == "application/json" {
                let raw = serde_json::to_string_pretty(&body).unwrap_or_default();
                json!({"mode": "raw", "raw": raw, "options": {"raw": {"language": "json"}}})
            } else {
                let pair = |(key, value): (&String, &Value)| json!({"key": key, "value": value.as_str().unwrap_or_default()});
                let pairs: Vec<Value> = body.as_object().into_iter().flatten().map(pair).collect();
                json!({"mode": "urlencoded", "urlencoded": pairs})
            };
            object.insert("body".to_owned(), body);
        }
        object.insert("header".to_owned(), headers.into());
        request
    }
}

fn request(method: &str, path: &str) -> Value {
    let raw = format!("{{{{origin}}}}{path}");
    let (before, query) = path.split_once('?').unwrap_or((path, ""));
    let parts: Vec<&str> = before.split('/').filter(|part| !part.is_empty()).collect();
    let query: Vec<Value> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect();
    json!({"method": method, "header": [], "url": {"raw": raw, "host": ["{{origin}}"], "path": parts, "query": query}})
}

impl Step {
    fn item(&self, operations: &[Operation]) -> Value {
        let body = self.body.map(|body| body());
        let known = operations.iter().find(|operation| operation.id == self.operation);
        let request = match (known, self.operation.split_once(' ')) {
            (Some(operation), _) => operation.request(body),
            (None, Some((method, path))) => request(method, path),
            (None, None) => Value::Null,
        };
        let events: Vec<Value> = [("prerequest", self.before), ("test", self.after)]
            .into_iter()
            .filter(|(_, lines)| !lines.is_empty())
            .map(|(when, lines)| script(when, lines))
            .collect();
        json!({"name": self.name, "event": events, "request": request})
    }
}

fn script(listen: &str, lines: &[&str]) -> Value {
    json!({"listen": listen, "script": {"type": "text/javascript", "exec": lines}})
}

/// Something that fits `schema`: its own example where it has one, and what it requires.
fn example(document: &Value, schema: &Value, depth: u32) -> Value {
    if let Some(known) =
        schema.pointer("/examples/0").or_else(|| schema.get("default")).or_else(|| schema.get("const"))
    {
        return known.clone();
    }
    if depth == 0 {
        return Value::Null;
    }
    let deeper = |schema: &Value| example(document, schema, depth - 1);
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        return document.pointer(target.trim_start_matches('#')).map_or(Value::Null, deeper);
    }
    if let Some(one) = schema.pointer("/enum/0") {
        return one.clone();
    }
    if let Some(one) = ["oneOf", "anyOf", "allOf"].iter().find_map(|key| schema.get(*key)?.get(0)) {
        return deeper(one);
    }
    let kind = schema.get("type");
    let kind = kind.and_then(|kind| kind.as_str().or_else(|| kind.get(0)?.as_str())).unwrap_or_default();
    match kind {
        "object" => {
            let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
            let fields = required.filter_map(|name| {
                let name = name.as_str()?;
                Some((name.to_owned(), deeper(schema.get("properties")?.get(name)?)))
            });
            Value::Object(fields.collect::<Map<_, _>>())
        }
        "array" => json!([]),
        "boolean" => json!(false),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        "string" => match schema.get("format").and_then(Value::as_str) {
            Some("uuid") => json!("00000000-0000-7000-8000-000000000000"),
            Some("date-time") => json!("2030-01-01T00:00:00Z"),
            _ => json!("text"),
        },
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::openapi;

    #[test]
    fn every_operation_is_there_and_the_journey_comes_first() {
        let document = openapi::document();
        let collection = collection(&document);
        let folders = collection["item"].as_array().unwrap();
        let count: usize =
            folders.iter().skip(1).map(|folder| folder["item"].as_array().unwrap().len()).sum();
        assert_eq!(count, operations(&document).len());
        assert!(count > 40, "{count}");
        assert_eq!(folders[0]["name"], "Journey");
        for step in folders[0]["item"].as_array().unwrap() {
            assert!(step["request"]["url"]["raw"].as_str().unwrap().starts_with("{{origin}}/"), "{step}");
        }
    }

    #[test]
    fn an_example_fits_what_is_required() {
        let document = openapi::document();
        let all = operations(&document);
        let by_id = |id: &str| all.iter().find(|one| one.id == id).unwrap();
        let sign_up = by_id("postUsers").example(&document).unwrap();
        assert_eq!(sign_up["username"], "ada");
        let login = by_id("postAuthLogin").example(&document).unwrap();
        assert!(login["identifier"].is_string() && login["password"].is_string(), "{login}");
        let one = by_id("deleteSessionsById");
        let request = one.request(None);
        assert_eq!(request["url"]["raw"], "{{origin}}/api/v1/sessions/:id");
        assert_eq!(request["url"]["variable"][0]["key"], "id");
        assert!(request.get("auth").is_none());
        let sign_up = by_id("postUsers").request(None);
        assert_eq!(
            (&sign_up["auth"]["type"], &sign_up["header"][0]["key"]),
            (&json!("noauth"), &json!("Idempotency-Key"))
        );
        assert_eq!(by_id("postOauth2Revoke").request(None)["auth"]["type"], "basic");
    }
}
