//! What has gone wrong elsewhere, tried here. `docs/incidents.md` says which test stands for which incident.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use axum::http::{StatusCode, header};
use serde_json::json;
use vestibule::accounts::{Status, User};
use vestibule::policy::{FactorKind, IdentifierKind, When};
use vestibule::store::Change;

use crate::architecture::{blank, root, rust_files};
use crate::factors::shows;
use crate::matrix::{Takes, browser, made, plan, rewrite, table};
use crate::recovery::NEW;
use crate::world::{PASSWORD, Person, World};

const LOGIN: &str = "/api/v1/auth/login";
const VERIFY_CODE: &str = "/api/v1/auth/verify-code";
const STEP_UP: &str = "/api/v1/auth/step-up";

/// Binds an authenticator app: its key.
pub async fn binds_app(person: &Person<'_>) -> String {
    let begun = person.post("/api/v1/factors/totp", json!({})).await.expect(StatusCode::CREATED).body;
    let secret = begun["secret"].as_str().unwrap().to_owned();
    let body = json!({"id": begun["id"], "code": shown(person.world, &secret)});
    person.post("/api/v1/factors/totp/confirm", body).await.expect(StatusCode::OK);
    person.world.advance(Duration::from_secs(30));
    secret
}

pub fn shown(world: &World, secret: &str) -> String {
    shows(secret, world.app.clock.now().as_millis() / 30_000)
}

/// T-12: a page whose origin is nearly ours changes nothing with our cookie.
#[tokio::test]
async fn t12_an_origin_that_is_nearly_ours_is_another() {
    let world = plan()
        .config(|config| config.server.allowed_origins = vec!["https://app.example.com".into()])
        .build()
        .await;
    let alice = browser(&world.alice().await).await;
    let own = world.app.origin.as_str().to_owned();
    let (scheme, rest) = own.split_once("://").unwrap();
    let (host, port) = rest.rsplit_once(':').unwrap();
    let wrong = [
        "null".to_owned(),
        String::new(),
        format!("{own}/"),
        format!("{own}.evil.example"),
        format!("{scheme}://evil.example#{rest}"),
        format!("{scheme}://{rest}@evil.example"),
        format!("{scheme}://evil{rest}"),
        format!("{scheme}://{host}"),
        format!("{scheme}://{host}:{port}0"),
        format!("{scheme}://{host}.:{port}"),
        format!("https://{rest}"),
        format!("{scheme}x://{rest}"),
        rest.to_owned(),
        format!("{own}, {own}"),
        format!(" {own}x"),
        "https://badapp.example.com".into(),
        "https://app.example.com.evil.example".into(),
        "https://app.example.com:8443".into(),
        "http://app.example.com".into(),
        "https://example.com".into(),
        "https://xapp.example.com".into(),
        "https://app-example.com".into(),
        "https://app.example.com@evil.example".into(),
        "https://xn--app-example-com.example".into(),
        "https://\u{430}pp.example.com".into(),
        "file://".into(),
    ];
    for origin in wrong {
        let mut page = alice.clone();
        page.headers.insert(header::ORIGIN, axum::http::HeaderValue::from_bytes(origin.as_bytes()).unwrap());
        page.post("/api/v1/auth/logout", json!({})).await.problem(403, "cross-site");
        let read = page.get("/api/v1/users/me").await;
        let shared = read.headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        assert!(shared.is_none(), "{origin} may read: {shared:?}");
    }
    assert!(alice.is_signed_in().await);
    let mut page = alice.clone();
    page.headers.insert(header::ORIGIN, "https://app.example.com".parse().unwrap());
    page.post("/api/v1/auth/logout", json!({})).await.expect(StatusCode::NO_CONTENT);
}

/// Comparisons of something secret that are none: both sides are what is stored.
const STORED: &[(&str, &str)] = &[
    ("src/sign_in/actions.rs", "password.phc == verified.phc"),
    ("src/challenges/rules.rs", "self.factor.codes.get(*slot) == Some(phc.as_str())"),
    // Verdicts and kinds of failure, beside what they are about.
    ("src/challenges/actions.rs", "verdict != hashing::Verdict::Wrong"),
    // An id, and how a session is carried.
    ("src/clients/mod.rs", "id.parse() == Ok(secret.id)"),
    ("src/sessions/refresh.rs", "session.carry == Carry::Jwt"),
    // The known answer with which the machine's vectors are tried.
    ("src/hashing/engine.rs", "!= KNOWN"),
];

/// T-13: secrets are compared by `secret::same` and nothing else.
#[test]
fn t13_nothing_compares_secrets_but_the_one_comparison() {
    let words = [
        "expose()",
        "reveal()",
        "digest",
        "tag(",
        ".tag",
        "phc",
        "callback",
        "secret",
        "mac",
        "signature",
        "given.as_bytes()",
        "code.as_bytes()",
    ];
    let mut wrong = Vec::new();
    let mut excused = BTreeSet::new();
    for (path, text) in rust_files("src") {
        if path == "src/secret.rs" || path.ends_with("tests.rs") {
            continue;
        }
        let text = text.split("#[cfg(test)]").next().unwrap();
        for line in blank(text).lines() {
            let compares = [" == ", " != ", ".eq(", ".ne("].iter().any(|sign| line.contains(sign));
            let named = ["constant_time", "verify_slices", "ct_eq"].iter().any(|name| line.contains(name));
            if !(named || compares && words.iter().any(|word| line.contains(word))) {
                continue;
            }
            match STORED.iter().find(|(file, part)| path == *file && line.contains(part)) {
                Some(known) => drop(excused.insert(known)),
                None => wrong.push(format!("{path}: {}", line.trim())),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(excused.len(), STORED.len(), "an excuse that nothing needs");
    let secret = &rust_files("src").into_iter().find(|(path, _)| path == "src/secret.rs").unwrap().1;
    for kind in ["Secret", "Token", "Keyring"] {
        assert!(!secret.contains(&format!("PartialEq for {kind}")), "{kind} can be compared");
    }
}

/// T-20, T-43: an account that is locked out is so in every flow, also in those that were begun before.
#[tokio::test]
async fn t20_t43_whoever_is_locked_out_gets_in_by_no_flow() {
    for (status, locked) in [(Status::Suspended, false), (Status::Deleted, false), (Status::Active, true)] {
        let world = plan().policy(|policy| policy.devices.trust = true).build().await;
        let alice = crate::recovery::owner(&world).await;
        let store = &world.app.store;
        let me = alice.get("/api/v1/users/me").await.expect(StatusCode::OK).body;
        let id: uuid::Uuid = serde_json::from_value(me["id"].clone()).unwrap();
        // A device that does without the second factor.
        let asked = alice.gives_password().await.expect(StatusCode::OK).body;
        world.run_due().await;
        let code = world.last_code(&alice.mobile).await;
        let body = json!({"challenge": asked["challenge"]["id"], "code": code, "trust_device": true});
        let device = alice.post(VERIFY_CODE, body).await.expect(StatusCode::OK).body["device"].clone();
        let trusted = json!({"identifier": alice.username, "password": PASSWORD, "device": device});
        let opened = alice.post(LOGIN, trusted.clone()).await.expect(StatusCode::OK).body;
        assert_eq!(opened["status"], "signed_in", "{opened}");
        // What was begun: a sign-in, a step-up, a recovery, a recovery that is proved but for the second factor.
        world.advance(Duration::from_secs(301));
        let mut begun = Vec::new();
        let pending = alice.gives_password().await.expect(StatusCode::OK).body;
        world.run_due().await;
        begun.push((VERIFY_CODE, pending["challenge"]["id"].clone(), world.last_code(&alice.mobile).await));
        let stepping =
            alice.post(STEP_UP, json!({"operation": "user.delete"})).await.expect(StatusCode::OK).body;
        world.advance(Duration::from_millis(1));
        world.run_due().await;
        begun.push((VERIFY_CODE, stepping["id"].clone(), world.last_code(&alice.mobile).await));
        let recovery = crate::recovery::begins(&alice, &alice.email()).await;
        begun.push(("/api/v1/auth/recover/verify", json!(recovery), crate::recovery::mailed(&alice).await));
        if locked {
            let password = store.get::<vestibule::passwords::Password>(id).await.unwrap().unwrap();
            let password = password.with(|password| password.failures = 100);
            store.commit(vec![Change::update(&password)]).await.unwrap();
        } else {
            let user = store.get::<User>(id).await.unwrap().unwrap().with(|user| user.status = status);
            store.commit(vec![Change::update(&user)]).await.unwrap();
        }
        // Whatever the door, the password opens nothing.
        let mobile = alice.mobile.clone();
        for identifier in [alice.username.clone(), alice.email(), mobile] {
            for path in [LOGIN, "/api/v1/login", "/api/login"] {
                let body = json!({"identifier": identifier, "password": PASSWORD});
                let answer = world.stranger().post(path, body).await;
                assert!(answer.body["status"].is_number(), "{status:?} {path}: {}", answer.body);
            }
        }
        let answer = world.stranger().post(LOGIN, trusted).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{status:?}: {}", answer.body);
        if locked {
            // It is the password that is locked; other proofs of the same person are not.
            continue;
        }
        for (path, challenge, code) in begun {
            let answer = alice.post(path, json!({"challenge": challenge, "code": code})).await;
            let opened = ["token", "recovery_token"].iter().any(|name| answer.body[*name].is_string());
            assert!(!opened && answer.status.is_client_error(), "{status:?} {path}: {}", answer.body);
            let again = alice.post("/api/v1/auth/resend-code", json!({"challenge": challenge})).await;
            assert!(again.status.is_client_error(), "{status:?} {path}: {}", again.body);
        }
        world.run_due().await;
        let before = world.messages(&alice.mobile).await;
        let mails = world.messages(&alice.email()).await;
        world.advance(Duration::from_secs(600));
        for identifier in [alice.email(), alice.mobile.clone(), alice.username.clone()] {
            let body = json!({"identifier": identifier});
            alice.post("/api/v1/auth/recover", body).await.expect(StatusCode::ACCEPTED);
        }
        world.run_due().await;
        assert_eq!(world.messages(&alice.mobile).await, before, "{status:?}: nothing is sent");
        assert_eq!(world.messages(&alice.email()).await, mails, "{status:?}: nothing is sent");
    }
}

/// T-26: lists tell what is in them and not how much there is.
#[tokio::test]
async fn t26_no_answer_counts_what_it_does_not_show() {
    let world = World::new().await;
    let alice = world.alice().await;
    let document = alice.get("/openapi.json").await.expect(StatusCode::OK).body;
    let text = document["components"]["schemas"].to_string().to_lowercase();
    for name in ["total", "count", "total_count", "pages", "size"] {
        assert!(!text.contains(&format!("\"{name}\":")), "an answer tells a {name}");
    }
    for path in ["sessions", "devices", "calls", "activity"] {
        let list = alice.get(&format!("/api/v1/{path}?limit=1")).await.expect(StatusCode::OK);
        let names: BTreeSet<_> = list.body.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, BTreeSet::from(["items", "next"]), "{path}");
        for header in ["link", "x-total-count", "content-range"] {
            assert!(!list.headers.contains_key(header), "{path}");
        }
    }
}

/// T-29: no switch turns another guard off.
#[tokio::test]
async fn t29_whatever_else_is_set_the_guards_stand() {
    for when in [When::Always, When::WhenEnrolled, When::ByRole] {
        for bits in 0_u8..16 {
            let on = move |bit: u8| bits & (1 << bit) != 0;
            let world = plan()
                .policy(move |policy| {
                    policy.sign_in.second.when = when;
                    policy.sign_in.second.roles = vec!["admin".into()];
                    policy.devices.trust = on(0);
                    policy.sign_up.tell_taken = if on(1) {
                        vec![IdentifierKind::Username, IdentifierKind::Email]
                    } else {
                        Vec::new()
                    };
                    policy.password.min_length = 15;
                    policy.password.refuse_common = on(2);
                    policy.sign_in.second.factors = if on(3) {
                        vec![FactorKind::Totp, FactorKind::Sms, FactorKind::Email, FactorKind::RecoveryCode]
                    } else {
                        vec![FactorKind::Totp, FactorKind::Sms]
                    };
                })
                .build()
                .await;
            let shown_by = format!("{when:?} {bits:04b}");
            let mut alice = world.member().await;
            if when == When::Always {
                alice.signs_in().await;
            } else {
                let done = alice.gives_password().await.expect(StatusCode::OK).body;
                alice.token =
                    Some(done["token"].as_str().unwrap_or_else(|| panic!("{shown_by}: {done}")).to_owned());
            }
            let secret = binds_app(&alice).await;
            // Whoever has a second factor is asked for it.
            let asked = alice.gives_password().await.expect(StatusCode::OK).body;
            assert_eq!(asked["status"], "second_factor_required", "{shown_by}");
            let body = json!({"challenge": asked["challenge"]["id"], "code": shown(&world, &secret)});
            let done = alice.post(VERIFY_CODE, body).await.expect(StatusCode::OK).body;
            alice.token = Some(done["token"].as_str().unwrap().to_owned());
            // An address takes the place of another only by the code that goes there, and by a fresh proof.
            let change = json!({"email": "new@example.org"}).to_string().into_bytes();
            let kind = "application/json";
            let changed = alice.send("PATCH", "/api/v1/users/me", Some((kind, change.clone()))).await;
            let changed = changed.expect(StatusCode::OK).body;
            assert_eq!(changed["user"]["email"], json!(alice.email()), "{shown_by}");
            assert!(changed["verification"]["id"].is_string(), "{shown_by}");
            let known = changed["user"]["identifiers"].as_array().unwrap();
            let new = known.iter().find(|one| one["value"] == "new@example.org");
            assert!(new.is_none_or(|one| one["verified"] == false), "{shown_by}");
            world.advance(Duration::from_secs(59 * 60));
            for (method, path, body) in [
                ("DELETE", "/api/v1/users/me", Vec::new()),
                ("POST", "/api/v1/factors/recovery-codes", Vec::new()),
                ("PUT", "/api/v1/users/me/password", json!({"new_password": NEW}).to_string().into_bytes()),
                ("PATCH", "/api/v1/users/me", json!({"email": "b@example.org"}).to_string().into_bytes()),
            ] {
                let sent = if body.is_empty() { ("", body) } else { (kind, body) };
                let answer = alice.send(method, path, Some(sent)).await;
                assert_eq!(answer.body["type"], "/problems/step-up-required", "{shown_by} {method} {path}");
            }
        }
    }
}

/// T-33: for every field of every route that may hold a token or a code, nothing is not something.
#[tokio::test]
async fn t33_nothing_matches_what_is_not_there_in_any_field_of_any_route() {
    let world = plan().build().await;
    let alice = world.alice().await;
    binds_app(&alice).await;
    // Challenges of every kind: one with a code, one of an app, whose record has none, and a decoy.
    let app = alice.gives_password().await.expect(StatusCode::OK).body["challenge"]["id"].clone();
    let body = json!({"identifier": alice.username, "password": PASSWORD, "factor": "sms"});
    let sms = alice.post(LOGIN, body).await.expect(StatusCode::OK).body["challenge"]["id"].clone();
    let decoy = alice.post("/api/v1/auth/recover", json!({"identifier": "x@example.com"})).await;
    let decoy = decoy.expect(StatusCode::ACCEPTED).body["challenge"]["id"].clone();
    let real = [("challenge", vec![app, sms, decoy]), ("identifier", vec![json!(alice.username)])];
    let junk = [
        json!(""),
        json!(null),
        json!(0),
        json!(false),
        json!([]),
        json!({}),
        json!("null"),
        json!(" "),
        json!("\0"),
    ];
    let mut cells = 0;
    for row in table() {
        let Takes::Sent(fields) = row.takes else { continue };
        let hidden = [
            "challenge",
            "code",
            "token",
            "recovery_token",
            "refresh_token",
            "device",
            "id",
            "password",
            "current_password",
        ];
        for field in fields.iter().filter(|field| hidden.contains(field)) {
            // Beside what is right, where there is something; absent last.
            for value in junk.iter().map(Some).chain([None]) {
                let anchors = real.iter().find(|(name, _)| name != field && fields.contains(name));
                for anchor in anchors.map_or(vec![json!(null)], |(_, values)| values.clone()) {
                    let mut body = json!({});
                    if let Some((name, _)) = anchors {
                        body[*name] = anchor;
                    }
                    if fields.contains(&"new_password") {
                        body["new_password"] = json!(NEW);
                    }
                    if let Some(value) = value {
                        body[*field] = value.clone();
                    }
                    for path in row.paths("x") {
                        let mut asker = world.stranger();
                        if row.needs_session() {
                            asker.token.clone_from(&alice.token);
                        }
                        if row.path.contains("password") {
                            asker.token = None;
                        }
                        let sent = Some(("application/json", body.to_string().into_bytes()));
                        let answer = asker.send(row.method, &path, sent).await;
                        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
                        // Whoever shows no password is asked for something else, a weak one is told to be,
                        // where nothing is left to end, signing out is a success, and anybody begins a recovery.
                        let may = [
                            "/auth/step-up",
                            "/auth/password-strength",
                            "/auth/logout",
                            "/logout",
                            "/auth/recover",
                        ]
                        .contains(&row.path);
                        assert!(
                            answer.status.is_client_error() || may,
                            "{} {path} {body}: {text}",
                            row.method
                        );
                        assert!(!text.contains("token\":"), "{} {path} {body}: {text}", row.method);
                        cells += 1;
                    }
                }
            }
        }
    }
    assert!(cells > 400, "{cells}");
    assert!(alice.is_signed_in().await);
    alice.gives_password().await.expect(StatusCode::OK);
}

/// T-42: of what must fit together, each misfit alone is enough.
#[tokio::test]
async fn t42_each_single_mismatch_is_refused() {
    let world = plan().build().await;
    let alice = world.alice().await;
    let mut elsewhere = alice.clone();
    elsewhere.signs_in().await;
    let bob = world.alice().await;
    world.advance(Duration::from_secs(301));
    let asks = async |person: &Person<'_>| {
        world.advance(Duration::from_secs(1));
        let asked =
            person.post(STEP_UP, json!({"operation": "user.export"})).await.expect(StatusCode::OK).body;
        world.run_due().await;
        (asked["id"].as_str().unwrap().to_owned(), world.last_code(&person.mobile).await)
    };
    let (other, other_code) = asks(&alice).await;
    let (challenge, code) = asks(&alice).await;
    let (of_bob, code_of_bob) = asks(&bob).await;
    assert!(code != other_code && code != code_of_bob);
    let last = if challenge.ends_with('A') { 'Q' } else { 'A' };
    let altered = format!("{}{last}", &challenge[..challenge.len() - 1]);
    let gone = |challenge: &str, code: &str| json!({"challenge": challenge, "code": code});
    for (person, body, why) in [
        (&elsewhere, gone(&challenge, &code), "another session"),
        (&bob, gone(&challenge, &code), "another user"),
        (&alice, gone(&challenge, &other_code), "the code of another challenge"),
        (&alice, gone(&challenge, &code_of_bob), "the code of another user"),
        (&alice, gone(&of_bob, &code_of_bob), "the challenge of another user"),
        (&alice, gone(&altered, &code), "another token of this challenge"),
        (&alice, gone(&challenge.replacen("vc_", "vs_", 1), &code), "another kind of token"),
    ] {
        let answer = person.post(VERIFY_CODE, body).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{why}: {}", answer.body);
    }
    world.stranger().post(VERIFY_CODE, gone(&challenge, &code)).await.problem(401, "code-gone");
    alice.get("/api/v1/users/me/export").await.problem(403, "step-up-required");
    alice.post(VERIFY_CODE, gone(&challenge, &code)).await.expect(StatusCode::OK);
    for person in [&elsewhere, &bob] {
        person.get("/api/v1/users/me/export").await.problem(403, "step-up-required");
    }
    alice.get("/api/v1/users/me/export").await.expect(StatusCode::OK);
    // Nor does the proof of one operation count for another.
    alice.delete("/api/v1/users/me").await.problem(403, "step-up-required");
    // Time alone.
    world.advance(Duration::from_secs(300));
    alice.post(VERIFY_CODE, gone(&other, &other_code)).await.problem(401, "code-gone");
}

/// T-49: nothing on the way keeps an answer that is somebody's.
#[tokio::test]
async fn t49_no_answer_that_is_somebodys_may_be_kept() {
    let world = plan().build().await;
    let (mut set, mut looked) = (0, 0);
    for person in [browser(&world.alice().await).await, world.alice().await, world.stranger()] {
        let ends = |path: &str| path.contains("logout") || path.contains("password") || path == "/users/me";
        for last in [false, true] {
            for row in table().iter().filter(|row| ends(row.path) == last) {
                for path in row.paths("x") {
                    let answer = row.asked_by(&person, &path, &made("x")).await;
                    let cookie = answer.headers.contains_key(header::SET_COOKIE);
                    set += u32::from(cookie);
                    looked += 1;
                    let page =
                        ["/.well-known", "/docs", "/api-docs", "/problems", "/openapi.json", "/assets"];
                    if cookie || !page.iter().any(|start| path.starts_with(start)) {
                        assert_eq!(
                            answer.headers[header::CACHE_CONTROL],
                            "no-store",
                            "{} {path}",
                            row.method
                        );
                    }
                    assert!(!cookie || row.method != "GET", "{path} sets a cookie");
                }
            }
        }
    }
    let mut person = world.member().await;
    let body = json!({"identifier": person.username, "password": PASSWORD, "session": "cookie"});
    let asked = person.post(LOGIN, body).await.expect(StatusCode::OK);
    person.keeps_cookies(&asked);
    person.headers.insert(header::ORIGIN, world.app.origin.as_str().parse().unwrap());
    world.run_due().await;
    let code = json!({"code": world.last_code(&person.mobile).await});
    let done = person.post(VERIFY_CODE, code).await.expect(StatusCode::OK);
    for answer in [asked, done] {
        assert!(answer.headers.contains_key(header::SET_COOKIE));
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    }
    assert!(looked > 200 && set > 0, "{looked} {set}");
}

/// T-50: nobody's browser is signed in to another's account, and what began in one browser ends in it.
#[tokio::test]
async fn t50_a_sign_in_that_began_in_one_browser_is_not_finished_in_another() {
    let world = plan().build().await;
    let cookie = |person: &Person<'_>| json!({"identifier": person.username, "password": PASSWORD, "session": "cookie"});
    let ours: axum::http::HeaderValue = world.app.origin.as_str().parse().unwrap();
    let (mut thief, mut victim) = (world.member().await, world.member().await);
    for browser in [&mut thief, &mut victim] {
        browser.headers.insert(header::ORIGIN, ours.clone());
        let asked = browser.post(LOGIN, cookie(browser)).await.expect(StatusCode::OK);
        browser.keeps_cookies(&asked);
    }
    world.run_due().await;
    let code = json!({"code": world.last_code(&thief.mobile).await});
    // The victim's own pending sign-in is not finished by the thief's code, nor an empty browser's by anything.
    victim.post(VERIFY_CODE, code.clone()).await.problem(401, "code-wrong");
    let mut empty = world.stranger();
    empty.headers.insert(header::ORIGIN, ours);
    let answer = empty.post(VERIFY_CODE, code.clone()).await;
    assert!(
        answer.status.is_client_error() && !answer.headers.contains_key(header::SET_COOKIE),
        "{}",
        answer.body
    );
    // A page of the thief makes the victim's browser send: by script, and by form.
    let mut lured = world.stranger();
    lured.headers.insert(header::ORIGIN, "https://evil.example".parse().unwrap());
    let bodies = [(LOGIN, cookie(&thief)), (VERIFY_CODE, code)];
    for (path, body) in bodies {
        let answer = lured.post(path, body.clone()).await.problem(403, "cross-site");
        assert!(!answer.headers.contains_key(header::SET_COOKIE));
        for kind in ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", ""]
        {
            let mut form = world.stranger();
            form.cookies.clone_from(&victim.cookies);
            form.headers.insert("sec-fetch-site", "cross-site".parse().unwrap());
            let sent = Some((kind, body.to_string().into_bytes()));
            let answer = form.send("POST", path, sent.clone()).await.problem(403, "cross-site");
            assert!(!answer.headers.contains_key(header::SET_COOKIE));
            // Nor by a browser that says nothing about where it comes from.
            let answer = world.stranger().send("POST", path, sent).await;
            assert!(answer.status.is_client_error() && !answer.headers.contains_key(header::SET_COOKIE));
        }
    }
    assert!(!victim.is_signed_in().await && !lured.is_signed_in().await);
}

/// T-58: a cursor is a place that this server has named; altered it is none, and it is a place, not a right.
#[tokio::test]
async fn t58_a_cursor_is_a_place_and_no_right() {
    let world = plan().build().await;
    let mut alice = world.alice().await;
    let bob = world.alice().await;
    for _ in 0..2 {
        alice.signs_in().await;
    }
    for _ in 0..2 {
        crate::matrix::make_call(&alice).await;
    }
    let lists = ["sessions", "devices", "activity", "calls"];
    let mut cursors = BTreeMap::new();
    for list in lists {
        let page = alice.get(&format!("/api/v1/{list}?limit=1")).await.expect(StatusCode::OK).body;
        cursors.insert(list, page["next"].as_str().unwrap_or_else(|| panic!("{list}: {page}")).to_owned());
    }
    let mine = async |person: &Person<'_>, list: &str| -> BTreeSet<String> {
        let all = person.get(&format!("/api/v1/{list}?limit=200")).await.expect(StatusCode::OK).body;
        all["items"].as_array().unwrap().iter().map(|one| one["id"].to_string()).collect()
    };
    for list in lists {
        let (of_alice, of_bob) = (mine(&alice, list).await, mine(&bob, list).await);
        for cursor in cursors.values() {
            for (person, own) in [(&alice, &of_alice), (&bob, &of_bob)] {
                let page = person.get(&format!("/api/v1/{list}?after={cursor}")).await;
                assert!(page.status == 200 || page.status == 400, "{list}: {}", page.body);
                for item in page.body["items"].as_array().into_iter().flatten() {
                    assert!(own.contains(&item["id"].to_string()), "{list} shows {item}");
                }
            }
        }
        let cursor = &cursors[list];
        for at in 0..cursor.len() {
            for letter in ['A', 'z', '-', '=', '%', '\''] {
                let altered: String = cursor
                    .char_indices()
                    .map(|(place, old)| if place == at { letter } else { old })
                    .collect();
                if altered != *cursor {
                    let altered = altered.replace('%', "%25");
                    let path = format!("/api/v1/{list}?after={altered}");
                    alice.get(&path).await.problem(400, "malformed-request");
                }
            }
            alice
                .get(&format!("/api/v1/{list}?after={}", &cursor[..at]))
                .await
                .problem(400, "malformed-request");
        }
    }
}

/// T-59: what is too long to be a password is refused before it costs anything.
#[tokio::test]
async fn t59_a_password_that_is_too_long_is_not_hashed() {
    let world = plan()
        .config(|config| {
            // A hash that nobody fails to notice.
            config.hashing.memory_kib = 128 * 1024;
            config.hashing.passes = 3;
        })
        .build()
        .await;
    let alice = world.stranger();
    alice.signs_up().await.expect(StatusCode::CREATED);
    let begun = Instant::now();
    alice.gives_password().await.expect(StatusCode::OK);
    let hash = begun.elapsed();
    for length in [1_025, 8_192, 30_000, 1_000_000, 10_000_000] {
        let long = "p".repeat(length);
        let mut account = world.stranger().account();
        account["password"] = json!(long);
        for (method, path, body) in [
            ("POST", "/api/v1/users", account),
            ("POST", LOGIN, json!({"identifier": alice.username, "password": long})),
            ("POST", LOGIN, json!({"identifier": "nobody-at-all", "password": long})),
            ("PUT", "/api/v1/users/me/password", json!({"recovery_token": "vp_", "new_password": long})),
            ("POST", "/api/v1/auth/password-strength", json!({"password": long})),
        ] {
            let begun = Instant::now();
            let sent = Some(("application/json", body.to_string().into_bytes()));
            let answer = alice.send(method, path, sent).await;
            let took = begun.elapsed();
            let strength = path.ends_with("strength") && answer.status == 200;
            assert!(answer.status.is_client_error() || strength, "{path} {length}: {}", answer.status);
            assert!(took < hash / 2, "{path} {length}: {took:?}, and a hash takes {hash:?}");
        }
    }
}

/// T-61: what is large, deep or much is refused by every route that reads a body.
#[tokio::test]
async fn t61_no_route_reads_what_is_too_large_too_deep_or_too_much() {
    let world = plan().build().await;
    let alice = world.alice().await;
    let fill = |name: &str, value: String| format!("{{\"{name}\":{value}}}");
    for row in table() {
        let Takes::Sent(fields) = row.takes else { continue };
        let field = fields[0];
        let many: Vec<_> = (0..3_000).map(|at| format!("\"k{at}\":0")).collect();
        let bodies = [
            fill(field, format!("\"{}\"", "x".repeat(10_000_000))),
            fill(field, format!("{}{}", "[".repeat(20_000), "]".repeat(20_000))),
            fill(field, "{\"a\":".repeat(5_000)),
            fill(field, format!("[{}0]", "0,".repeat(10_000))),
            fill(field, "1".repeat(20_000)),
            fill(field, "1e999999999".into()),
            format!("{{{}}}", many.join(",")),
            "{".repeat(30_000),
        ];
        for body in bodies {
            let begun = Instant::now();
            let start: String = body.chars().take(40).collect();
            let path = row.paths("x").remove(0);
            let answer = alice.send(row.method, &path, Some(("application/json", body.into_bytes()))).await;
            let answered = answer.status.is_client_error();
            assert!(answered, "{} {path} {start}: {}", row.method, answer.status);
            assert!(begun.elapsed() < Duration::from_secs(2), "{path} {start}: {:?}", begun.elapsed());
        }
    }
    for path in ["users/me", "sessions", "calls"] {
        let long = format!("/api/v1/{path}?after={}", "x".repeat(50_000));
        assert!(alice.get(&long).await.status.is_client_error(), "{path}");
    }
    assert!(alice.is_signed_in().await);
}

/// T-57, T-52: what one may do by a role ends with the role, in a session that goes on.
#[tokio::test]
async fn t57_a_role_that_is_taken_away_does_nothing_more() {
    let world = plan().build().await;
    let alice = world.alice().await;
    rewrite(&alice, |user| user.roles.0 = vec!["admin".into()]).await;
    alice.get("/api/v1/admin/policy").await.expect(StatusCode::OK);
    rewrite(&alice, |user| user.roles.0.clear()).await;
    alice.get("/api/v1/admin/policy").await.problem(404, "not-found");
    alice.get("/api/v1/users/me").await.expect(StatusCode::OK);
}

/// T-69, T-70: crates whose known faults are not ours.
#[test]
fn t69_t70_crates_with_known_faults_are_not_in_the_tree() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let versions = |name: &str| -> Vec<String> {
        let start = format!("name = \"{name}\"\nversion = \"");
        lock.split(&start).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    };
    assert!(versions("rsa").is_empty(), "RUSTSEC-2023-0071: private keys leak through time");
    assert!(!versions("idna").is_empty());
    for version in versions("idna") {
        let parts: Vec<u32> = version.split('.').map(|part| part.parse().unwrap()).collect();
        assert!(parts >= vec![1, 0, 3], "idna {version}: RUSTSEC-2024-0421");
    }
    let deny = std::fs::read_to_string(root().join("deny.toml")).unwrap();
    assert!(deny.contains("crate = \"rsa\""));
}

/// The table in `docs/incidents.md`: by number, the names of tests, or why there is none.
fn rows() -> BTreeMap<u32, (BTreeSet<String>, String)> {
    let text = std::fs::read_to_string(root().join("docs/incidents.md")).unwrap();
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| T-")) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [number, _, what] = cells[..] else { panic!("three cells: {line}") };
        let names = what.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        let number = number.trim_start_matches("T-").parse().unwrap();
        assert!(rows.insert(number, (names, what.to_owned())).is_none(), "T-{number} twice");
    }
    rows
}

/// The names of the tests in these sources.
pub fn tests_in(sources: &[(String, String)]) -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for (_, text) in sources {
        for part in text.split("#[test]").skip(1).chain(text.split("#[tokio::test").skip(1)) {
            if let Some(name) = part.split("fn ").nth(1).and_then(|rest| rest.split('(').next()) {
                tests.insert(name.to_owned());
            }
        }
    }
    tests
}

#[test]
fn every_incident_has_a_test_that_is_there_or_says_why_not() {
    let tests = tests_in(&[rust_files("src"), rust_files("tests")].concat());
    let rows = rows();
    assert_eq!(rows.keys().copied().collect::<Vec<_>>(), (1..=70).collect::<Vec<_>>());
    for (number, (names, what)) in &rows {
        let excused = what.starts_with("Not applicable") || what.starts_with("Not here");
        assert!(!names.is_empty() || excused, "T-{number:02} has neither a test nor a reason");
        for name in names {
            assert!(tests.contains(name), "T-{number:02}: there is no test `{name}`");
        }
    }
    for test in &tests {
        let numbers = test.split('_').map_while(|part| part.strip_prefix('t')?.parse::<u32>().ok());
        for number in numbers {
            assert!(rows[&number].0.contains(test), "T-{number:02} does not name `{test}`");
        }
    }
}
