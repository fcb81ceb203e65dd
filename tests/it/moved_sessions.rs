//! Sessions that another system opened, during the change-over: what they are here, and until when.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use serde_json::{Value as Json, json};
use vestibule::accounts::{Status, User};
use vestibule::clock::Clock;
use vestibule::moving::import::Outcome;
use vestibule::moving::{sessions, user_id};
use vestibule::policy::{Carry, IdentifierKind, When};
use vestibule::sessions::Session;
use vestibule::sessions::moved::OldDigest;
use vestibule::store::Change;

use crate::moving::{Program, moves_in, reading, refused};
use crate::world::{PASSWORD, Person, Plan, World};

const DAY: Duration = Duration::from_secs(86_400);
const OLD: &str = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
const OTHER: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
const THIRD: &str = "9f86d081884c7d659a2feaa0c55ad015";
const WHO: &str = "/api/v1/auth/authenticated";

/// A house in the middle of a change-over that ends in twenty days.
fn plan() -> Plan {
    let lasts = |days: u32| vestibule::config::Period(days * DAY);
    let rules = move |policy: &mut vestibule::policy::Policy| {
        policy.sign_in.second.when = When::WhenEnrolled;
        (policy.session.lifetime, policy.session.idle) = (lasts(60), lasts(10));
    };
    World::plan().policy(rules).config(|config| {
        config.change_over.until = Some("2030-01-21T00:00:00Z".parse().unwrap());
        config.change_over.cookie = "sid".into();
    })
}

/// Users 1 and 2 of the old system, who have moved in.
async fn house(plan: Plan) -> World {
    let world = plan.build().await;
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    let row = |id: u32| json!({"id": id, "username": format!("moved{id}"), "password": hash, "created_at": "2029-01-01"});
    let key = json!({"id": 3, "username": "moved3", "password": hash, "created_at": "2029-01-01", "totp_secret": vestibule::moving::seed::TOTP_KEY});
    assert_eq!(moves_in(&world, &[row(1), row(2), key]).await, [const { Outcome::Stored }; 3]);
    world
}

fn session(more: Json) -> Json {
    let mut row = json!({"user": "1", "token": OLD, "created_at": "2029-12-30T00:00:00Z"});
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    row.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    row
}

/// What comes of these rows, as the command takes them in.
async fn take(world: &World, rows: &[Json]) -> Vec<Outcome> {
    let ctx = world.ctx();
    let carry = sessions::begin(&ctx).unwrap();
    let read = |row: &Json| sessions::read(row.as_object().unwrap(), &reading(), carry, &ctx);
    let arriving: Vec<_> = rows.iter().map(|row| read(row).unwrap()).collect();
    sessions::take(&ctx, &arriving, "old", None).await.unwrap()
}

fn browser<'w>(world: &'w World, cookie: &str) -> Person<'w> {
    let mut person = world.stranger();
    person.cookies.push(("sid".into(), cookie.to_owned()));
    person.headers.insert(header::ORIGIN, world.app.origin.as_str().parse().unwrap());
    person
}

fn app<'w>(world: &'w World, token: &str) -> Person<'w> {
    Person { token: Some(token.to_owned()), ..world.stranger() }
}

#[tokio::test]
async fn a_session_of_before_is_an_ordinary_one_and_its_cookie_becomes_ours() {
    let world = house(plan()).await;
    let mut person = browser(&world, OLD);
    assert!(!person.is_signed_in().await, "nobody has said whose it is");
    assert_eq!(take(&world, &[session(json!({}))]).await, [Outcome::Stored]);
    // An answer that holds a session is nobody's to keep, also where anybody may keep the same without one.
    let style = "/.well-known/jwks.json";
    let public = world.stranger().get(style).await.expect(StatusCode::OK);
    assert!(public.headers[header::CACHE_CONTROL].to_str().unwrap().contains("public"));
    let given = person.get(style).await.expect(StatusCode::OK);
    assert!(given.headers.contains_key(header::SET_COOKIE));
    assert_eq!(given.headers[header::CACHE_CONTROL], "no-store");
    let asked = person.get(WHO).await.expect(StatusCode::OK);
    assert_eq!(asked.body["user"]["id"], json!(user_id("old", "1")));
    assert_eq!((&asked.body["session"]["aal"], &asked.body["session"]["amr"]), (&json!(1), &json!(["pwd"])));
    // Ours for the old one, which goes. What was under way meanwhile is still understood.
    let late = person.clone();
    person.keeps_cookies(&asked);
    let [(name, ours)] = &person.cookies[..] else { panic!("{:?}", person.cookies) };
    assert!(name == "vestibule" && ours.starts_with("vs_"), "{name}");
    assert!(person.is_signed_in().await && late.is_signed_in().await);
    let again = person.get(WHO).await;
    assert!(!again.headers.contains_key(header::SET_COOKIE), "once is enough");
    // It is no other kind of credential.
    assert!(!app(&world, OLD).is_signed_in().await);
    assert!(!browser(&world, &OLD.to_uppercase()).is_signed_in().await);
    // Whoever shows something of ours, or another token, is judged by that alone.
    let mut ours_too = browser(&world, OLD);
    ours_too.cookies.push(("vestibule".into(), "vs_gone".into()));
    let told = ours_too.get(WHO).await.expect(StatusCode::OK);
    assert!(told.body["authenticated"] == json!(false) && !told.headers.contains_key(header::SET_COOKIE));
    assert!(!Person { token: Some(OTHER.into()), ..browser(&world, OLD) }.is_signed_in().await);
    // A page of another site cannot use the old cookie either.
    let mut lured = browser(&world, OLD);
    lured.headers.insert(header::ORIGIN, HeaderValue::from_static("https://evil.example"));
    lured.post("/api/v1/auth/logout", json!({})).await.problem(403, "cross-site");
    lured.headers.remove(header::ORIGIN);
    lured.post("/api/v1/auth/logout", json!({})).await.problem(403, "cross-site");
    // Listed, and ended like any other; and not opened again by doing the import again.
    let mut own = world.stranger();
    let body = json!({"identifier": "moved1", "password": PASSWORD});
    own.token = Some(own.post("/api/v1/auth/login", body).await.body["token"].as_str().unwrap().to_owned());
    let listed = own.get("/api/v1/sessions").await.expect(StatusCode::OK).body;
    assert_eq!(listed["items"].as_array().unwrap().len(), 2, "{listed}");
    let left = late.post("/api/v1/auth/logout", json!({})).await.expect(StatusCode::NO_CONTENT);
    let set = left
        .headers
        .get_all(header::SET_COOKIE)
        .iter()
        .any(|set| set.as_bytes().starts_with(b"vestibule=vs_"));
    assert!(!set, "whoever leaves is given nothing");
    assert!(!person.is_signed_in().await && !late.is_signed_in().await && own.is_signed_in().await);
    assert_eq!(take(&world, &[session(json!({}))]).await, [Outcome::Already]);
    assert!(!late.is_signed_in().await, "what was ended is not opened again");
}

#[tokio::test]
async fn a_sign_in_ends_the_session_whose_cookie_it_takes() {
    let world = house(plan()).await;
    take(&world, &[session(json!({}))]).await;
    let person = browser(&world, OLD);
    let body = json!({"identifier": "moved1", "password": PASSWORD, "session": "cookie"});
    person.post("/api/v1/auth/login", body).await.expect(StatusCode::OK);
    assert!(!browser(&world, OLD).is_signed_in().await);
}

#[tokio::test]
async fn after_the_change_over_the_old_form_is_not_read() {
    let world = house(plan()).await;
    let rows = [session(json!({})), session(json!({"user": 2, "token": OTHER, "carry": "bearer"}))];
    assert_eq!(take(&world, &rows).await, [Outcome::Stored, Outcome::Stored]);
    let (old, api) = (browser(&world, OLD), app(&world, OTHER));
    let mut renewed = old.clone();
    renewed.keeps_cookies(&old.get(WHO).await);
    for day in 1..=20 {
        assert!(
            old.is_signed_in().await && api.is_signed_in().await && renewed.is_signed_in().await,
            "{day}"
        );
        world.advance(DAY);
    }
    assert!(!old.is_signed_in().await && !api.is_signed_in().await);
    assert!(renewed.is_signed_in().await, "what has become ours is ours");
    let told = sessions::begin(&world.ctx()).unwrap_err();
    assert!(told.contains("not honoured"), "{told}");
}

#[tokio::test]
async fn an_old_form_is_not_read_where_no_end_is_in_sight() {
    let world = house(plan()).await;
    let now = world.ctx().now;
    let is_on = |until| vestibule::config::ChangeOver { until, cookie: "sid".into() }.is_on(now);
    assert!(is_on(Some(now + 90 * DAY)) && !is_on(Some(now + 91 * DAY)) && !is_on(Some(now)) && !is_on(None));
    for until in [None, Some(now + 91 * DAY)] {
        let world = house(plan().config(move |config| config.change_over.until = until)).await;
        assert!(sessions::begin(&world.ctx()).is_err(), "{until:?}");
    }
}

#[tokio::test]
async fn a_bearer_token_of_before_is_a_bearer_token_and_services_are_told_of_it() {
    let world = house(plan()).await;
    assert_eq!(take(&world, &[session(json!({"token": OTHER, "carry": "bearer"}))]).await, [Outcome::Stored]);
    let kept = world.app.store.get::<Session>(OldDigest::of(OTHER).id()).await.unwrap().unwrap();
    assert_eq!(Some(kept.expires_at), world.app.config.change_over.until, "no longer than it can be used");
    let api = app(&world, OTHER);
    api.get("/api/v1/users/me").await.expect(StatusCode::OK);
    assert!(!browser(&world, OTHER).is_signed_in().await);
    let basic = crate::tokens::service(&world).await;
    let form = format!("token={OTHER}");
    let told = crate::tokens::asks(&world, &basic, "/oauth2/introspect", &form).await;
    assert_eq!(told.body["active"], json!(true), "{}", told.body);
    crate::tokens::asks(&world, &basic, "/oauth2/revoke", &form).await.expect(StatusCode::OK);
    assert!(!api.is_signed_in().await);
}

#[tokio::test]
async fn what_was_ended_is_not_opened_again_when_the_change_over_is_put_off() {
    let mut world = house(plan()).await;
    let row = session(json!({"token": OTHER, "carry": "bearer"}));
    assert_eq!(take(&world, std::slice::from_ref(&row)).await, [Outcome::Stored]);
    app(&world, OTHER).post("/api/v1/auth/logout", json!({})).await.expect(StatusCode::NO_CONTENT);
    world.advance(25 * DAY);
    vestibule::tasks::sweep(&world.ctx()).await.unwrap();
    world.restart(|config| config.change_over.until = Some("2030-02-20T00:00:00Z".parse().unwrap()));
    assert_eq!(take(&world, &[row]).await, [Outcome::Already]);
    assert!(!app(&world, OTHER).is_signed_in().await);
}

#[tokio::test]
async fn what_ends_a_users_sessions_ends_those_of_before() {
    let world = house(plan()).await;
    let store = &world.app.store;
    let user = async || store.get::<User>(user_id("old", "1")).await.unwrap().unwrap();
    take(&world, &[session(json!({}))]).await;
    let person = browser(&world, OLD);
    let suspend = async |status| {
        let changed = user().await.with(|user| user.status = status);
        store.commit(vec![Change::update(&changed)]).await.unwrap();
    };
    suspend(Status::Suspended).await;
    assert!(!person.is_signed_in().await);
    let another = session(json!({"token": OTHER}));
    assert_eq!(refused(&take(&world, std::slice::from_ref(&another)).await[0]), ["user: suspended"]);
    suspend(Status::Active).await;
    assert!(person.is_signed_in().await);
    // Idle, and older than a session may be.
    world.advance(*world.ctx().policy.session.idle);
    assert!(!person.is_signed_in().await);
    // A new password, in a session of the user's own: all others of before end, also those that come later.
    let mut own = world.stranger();
    let body = json!({"identifier": "moved1", "password": PASSWORD});
    own.token = Some(own.post("/api/v1/auth/login", body).await.body["token"].as_str().unwrap().to_owned());
    take(&world, &[session(json!({"token": THIRD, "carry": "bearer"}))]).await;
    assert!(app(&world, THIRD).is_signed_in().await);
    let body = json!({"new_password": "another battery staple 9"});
    own.send("PUT", "/api/v1/users/me/password", Some(("application/json", body.to_string().into_bytes())))
        .await
        .expect(StatusCode::NO_CONTENT);
    assert!(!app(&world, THIRD).is_signed_in().await && own.is_signed_in().await);
    assert_eq!(refused(&take(&world, &[another]).await[0]), ["created_at: ended"]);
}

#[tokio::test]
async fn a_row_that_breaks_a_rule_makes_no_session() {
    let world = house(plan()).await;
    let ctx = world.ctx();
    let read = |row: Json| -> Vec<String> {
        match sessions::read(row.as_object().unwrap(), &reading(), Carry::Cookie, &ctx) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.iter().map(|fault| format!("{}: {}", fault.field, fault.code)).collect(),
        }
    };
    for (more, told) in [
        (json!({"user": null}), "user: missing"),
        (json!({"token": null}), "token: missing"),
        (json!({"token_sha256": "ab".repeat(32)}), "token: duplicate"),
        (json!({"token": "12345678"}), "token: weak"),
        (json!({"token": "00000000-0000-0000-0000-000000000001"}), "token: weak"),
        (json!({"token": "x1Y".repeat(2_000)}), "token: too-long"),
        (json!({"token": null, "token_sha256": "abc"}), "token_sha256: invalid"),
        (json!({"created_at": null}), "created_at: missing"),
        (json!({"created_at": "2031-01-01"}), "created_at: invalid"),
        (json!({"expires_at": "soon"}), "expires_at: invalid"),
        (json!({"carry": "jwt"}), "carry: invalid"),
        (json!({"amr": "mfa"}), "amr: invalid"),
        (json!({"amr": [1]}), "amr: invalid"),
    ] {
        assert_eq!(read(session(more.clone())), [told], "{more}");
    }
    // What cannot be seen in a digest is seen when it is shown.
    let digest =
        OldDigest::of("12345678").0.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    assert_eq!(
        take(&world, &[session(json!({"token": null, "token_sha256": digest}))]).await,
        [Outcome::Stored]
    );
    assert!(!browser(&world, "12345678").is_signed_in().await);
    world
        .app
        .store
        .commit(vec![Change::delete(
            &world.app.store.get::<Session>(OldDigest::of("12345678").id()).await.unwrap().unwrap(),
        )])
        .await
        .unwrap();
    for (more, told) in [
        (json!({"user": "9"}), "user: unknown"),
        (json!({"user": null, "identifier": "nobody.here"}), "identifier: unknown"),
        (json!({"identifier": "moved2"}), "identifier: conflict"),
        (json!({"expires_at": "2029-12-31"}), "expires_at: expired"),
        (json!({"created_at": "2029-02-01"}), "expires_at: expired"),
        (json!({"created_at": "2028-12-31"}), "created_at: ended"),
        (json!({"amr": "pwd,sms"}), "amr: factor"),
        // Who has a second factor here has to have shown one.
        (json!({"user": "3"}), "amr: missing"),
    ] {
        assert_eq!(refused(&take(&world, &[session(more.clone())]).await[0]), [told], "{more}");
    }
    assert_eq!(world.count::<Session>(Session::BY_USER).await, 0);
    let good = [
        session(json!({"user": "3", "amr": ["pwd", "otp"]})),
        // Somebody else's by now, and the same again.
        session(json!({"user": "1"})),
        session(json!({"user": "3", "amr": "pwd otp"})),
        session(json!({"user": null, "identifier": "moved2", "token": OTHER})),
    ];
    let outcomes = take(&world, &good).await;
    assert_eq!(
        (&outcomes[0], &outcomes[2], &outcomes[3]),
        (&Outcome::Stored, &Outcome::Already, &Outcome::Stored)
    );
    assert_eq!(refused(&outcomes[1]), ["token: taken"]);
    assert_eq!(refused(&take(&world, &good[1..2]).await[0]), ["token: taken"], "nor later");
    let shown = browser(&world, OLD).get(WHO).await.body;
    assert_eq!((&shown["session"]["aal"], &shown["user"]["username"]), (&json!(2), &json!("moved3")));
}

#[tokio::test]
async fn whoever_may_do_more_signs_in_here_and_nobody_has_more_sessions_than_the_policy_allows() {
    let world = house(plan().policy(|policy| policy.session.at_most = 2)).await;
    let row = |user: u32, digit: &str| {
        session(json!({"user": user, "token": null, "token_sha256": digit.repeat(64)}))
    };
    let outcomes = take(&world, &[row(1, "a"), row(1, "b"), row(1, "c")]).await;
    assert_eq!(outcomes[..2], [Outcome::Stored, Outcome::Stored]);
    assert_eq!(refused(&outcomes[2]), ["user: too-many"]);
    assert_eq!(refused(&take(&world, &[row(1, "d")]).await[0]), ["user: too-many"]);
    let store = &world.app.store;
    let user = store.get::<User>(user_id("old", "2")).await.unwrap().unwrap();
    let admin = user.with(|user| user.set_roles(vestibule::accounts::Roles(vec!["support".into()])));
    store.commit(vec![Change::update(&admin)]).await.unwrap();
    assert_eq!(refused(&take(&world, &[row(2, "e")]).await[0]), ["user: rank"]);
}

#[tokio::test]
async fn what_the_settings_and_the_policy_ask_for_first_is_asked_for_here_too() {
    let bearers = house(plan().config(|config| config.change_over.cookie.clear())).await;
    let ctx = bearers.ctx();
    assert_eq!(sessions::begin(&ctx), Ok(Carry::Bearer));
    let cookie = session(json!({"carry": "cookie"}));
    let faults = sessions::read(cookie.as_object().unwrap(), &reading(), Carry::Bearer, &ctx).unwrap_err();
    assert_eq!(faults[0].code, "cookie");
    assert_eq!(take(&bearers, &[session(json!({}))]).await, [Outcome::Stored]);
    assert!(app(&bearers, OLD).is_signed_in().await);

    let careful = plan().policy(|policy| policy.sign_up.verified = vec![IdentifierKind::Email]).build().await;
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    let user = |id: u32, ok: bool| json!({"id": id, "password": hash, "email": format!("a{id}@example.com"), "email_verified": ok, "created_at": "2029-01-01"});
    moves_in(
        &careful,
        &[user(1, false), user(2, true), json!({"id": 3, "email": "a3@example.com", "email_verified": true})],
    )
    .await;
    // Nobody shows a password who has none here.
    assert_eq!(refused(&take(&careful, &[session(json!({"user": 3}))]).await[0]), ["amr: factor"]);
    assert_eq!(refused(&take(&careful, &[session(json!({}))]).await[0]), ["user: unverified"]);
    assert_eq!(take(&careful, &[session(json!({"user": 2}))]).await, [Outcome::Stored]);
}

const POLICY: &str =
    "[sign_in.second]\nwhen = \"when_enrolled\"\n[session]\nlifetime = \"30d\"\nidle = \"10d\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_takes_sessions_in_tells_each_bad_row_and_may_be_run_again() {
    let world = plan().build().await;
    let program = Program::over(&world);
    let now = Clock::System.now();
    let settings =
        std::fs::read_to_string(program.file("policy.toml", POLICY).with_file_name("v.toml")).unwrap();
    let settings = format!("policy = \"policy.toml\"\n{settings}[change_over]\ncookie = \"sid\"\n");
    program.file("v.toml", format!("{settings}until = \"{}\"\n", now + 30 * DAY));
    let with = |more: &[&str]| {
        program.run(&[&["import"], more, &["--config", "v.toml", "--source", "old"]].concat())
    };
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    program.file(
        "users.csv",
        (0..300).fold("id,username,password,created_at\n".to_owned(), |text, at| {
            format!("{text}{at},person{at},{hash},2024-01-01\n")
        }),
    );
    let (done, told) = with(&["--csv", "users.csv"]);
    assert!(done, "{told}");
    let opened = now.before(DAY);
    let row = |at: u32| {
        format!(
            "{at},{:032x},{opened}\n",
            u128::from(at)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
                .wrapping_add(0x1357_9bdf_0246_8ace_dead_beef_cafe_f00d)
        )
    };
    let head = "uid,sid,at\n".to_owned();
    let text = (0..300).fold(head, |text, at| match at {
        7 => text + &format!("7,1234,{opened}\n"),
        207 => text + &format!("999,{OLD},{opened}\n"),
        208 => text + "208\n",
        _ => text + &row(at),
    });
    program.file("sessions.csv", text);
    let columns = ["--map", "user=uid", "--map", "token=sid", "--map", "created_at=at"];
    let arguments = [["sessions", "--csv", "sessions.csv"].as_slice(), &columns].concat();
    let (done, told) = with(&[arguments.as_slice(), &["--dry-run"]].concat());
    assert!(!done && told.contains("300 rows: 297 would be taken in, 0 there already, 3 refused"), "{told}");
    assert_eq!(world.count::<Session>(Session::BY_USER).await, 0);
    let dry = program.report();
    let (done, told) = with(&arguments);
    assert!(!done && told.contains("300 rows: 297 taken in, 0 there already, 3 refused"), "{told}");
    let report = program.report();
    assert_eq!(report, dry);
    let lines: Vec<_> = report
        .iter()
        .map(|line| (line["line"].as_u64().unwrap(), line["refused"][0]["code"].as_str().unwrap()))
        .collect();
    assert_eq!(lines, [(9, "weak"), (209, "unknown"), (210, "columns")]);
    assert!(!serde_json::to_string(&report).unwrap().contains("f47ac10b"), "a token is in the report");
    assert_eq!(world.count::<Session>(Session::BY_USER).await, 297);
    let (done, told) = with(&arguments);
    assert!(!done && told.contains("0 taken in, 297 there already, 3 refused"), "{told}");
    // Nothing without an end.
    program.file("v.toml", settings);
    let (done, told) = with(&arguments);
    assert!(!done && told.contains("change_over.until"), "{told}");
    assert_eq!(world.count::<Session>(Session::BY_USER).await, 297);
}

/// What is written is written of the user as they were looked at.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_session_is_taken_in_of_who_is_suspended_meanwhile() {
    let world = house(plan()).await;
    let suspended = format!(
        "UPDATE users SET status = 'suspended', revision = revision + 1 WHERE id = '{}'",
        user_id("old", "1")
    );
    let rows = [session(json!({}))];
    let mut taking = std::pin::pin!(take(&world, &rows));
    let held = tokio::time::timeout(Duration::from_millis(500), taking.as_mut());
    let held = async { assert!(held.await.is_err(), "its commit waits") };
    world.place.by_hand_around(&suspended, held).await;
    assert!(matches!(&taking.await[..], [Outcome::Refused(_)]));
}
