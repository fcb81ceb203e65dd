//! What is done for others, and the chain over what happened.

use std::time::Duration;

use axum::http::{StatusCode, header};
use serde_json::{Value as Json, json};
use uuid::Uuid;
use vestibule::accounts::{Roles, Status, User};
use vestibule::administration::actions::{self, Deed};
use vestibule::audit::{Event, chain};
use vestibule::error::Problem;
use vestibule::policy::{Carry, Operation, Policy, Rank};
use vestibule::profile::is_gone;
use vestibule::service_accounts::{Scope, ServiceAccount};
use vestibule::sessions::Session;
use vestibule::sign_up::Wanted;
use vestibule::step_up::By;
use vestibule::store::{Change, Query};
use vestibule::undo::Undo;

use crate::matrix::plan;
use crate::step_up::promote;
use crate::world::{Answer, PASSWORD, Person, World};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub async fn id_of(person: &Person<'_>) -> Uuid {
    let me = person.get("/api/v1/users/me").await.expect(StatusCode::OK).body;
    serde_json::from_value(me["id"].clone()).unwrap()
}

pub async fn with_roles<'w>(world: &'w World, roles: &[&str]) -> Person<'w> {
    let person = world.alice().await;
    promote(world, &person, roles).await;
    person
}

async fn patch(person: &Person<'_>, path: &str, body: Json) -> Answer {
    person.send("PATCH", path, Some(("application/json", body.to_string().into_bytes()))).await
}

pub async fn put(person: &Person<'_>, path: &str, body: Json) -> Answer {
    person.send("PUT", path, Some(("application/json", body.to_string().into_bytes()))).await
}

async fn record(world: &World, id: Uuid) -> User {
    (*world.app.store.get::<User>(id).await.unwrap().unwrap()).clone()
}

#[tokio::test]
async fn a_user_is_found_by_the_beginning_of_whatever_they_are_known_by() {
    let world = plan().build().await;
    let admin = with_roles(&world, &["admin"]).await;
    let mut people = Vec::new();
    for n in 0..7 {
        let mut person = world.stranger();
        person.username = format!("zoe-{n}");
        person.mobile = format!("+1202556{:04}", 100 + n);
        person.signs_up().await.expect(StatusCode::CREATED);
        people.push(person);
    }
    let found = async |query: &str| {
        let (mut names, mut after, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let page =
                admin.get(&format!("/api/v1/admin/users?{query}{after}")).await.expect(StatusCode::OK).body;
            let items = page["items"].as_array().unwrap().clone();
            names.extend(items.iter().map(|one| one["username"].as_str().unwrap().to_owned()));
            pages += 1;
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return (names, pages),
            }
        }
    };
    let all: Vec<_> = (0..7).map(|n| format!("zoe-{n}")).collect();
    // Each is known by a name and an address that begin alike, and is listed once, on whatever page.
    for limit in [1, 2, 3, 7, 50] {
        let (names, _) = found(&format!("q=ZOE-&limit={limit}")).await;
        assert_eq!(names, all, "{limit}");
    }
    assert_eq!(found("q=zoe-3%40example").await.0, ["zoe-3"]);
    assert_eq!(found("q=%2B1202556010&limit=2").await.0, all);
    assert_eq!(found("q=1202556").await.0.len(), 7);
    assert_eq!(found("q=zoe-x").await.0, Vec::<String>::new());
    assert_eq!(found("role=admin").await.0, std::slice::from_ref(&admin.username));
    assert_eq!(found("role=admin&q=zoe").await.0, Vec::<String>::new());
    assert_eq!(found("status=active&limit=3").await.0.len(), 8);
    assert_eq!(found("status=suspended").await.0, Vec::<String>::new());
    assert_eq!(found("from=2030-01-01T00:00:00Z&until=2030-01-02T00:00:00Z").await.0.len(), 8);
    assert_eq!(found("until=2029-01-01T00:00:00Z").await.0, Vec::<String>::new());
    admin.get("/api/v1/admin/users?q=%20").await.problem(422, "invalid");
    admin.get("/api/v1/admin/users?q=a&after=AAAA").await.problem(400, "malformed-request");
    let next = admin.get("/api/v1/admin/users?limit=1").await.body["next"].as_str().unwrap().to_owned();
    admin.get(&format!("/api/v1/admin/users?q=zoe&after={next}")).await.problem(400, "malformed-request");
    admin.get("/api/v1/admin/users?role=root").await.problem(422, "invalid");
}

#[tokio::test]
async fn an_account_that_was_made_for_somebody_is_opened_by_the_link_that_was_sent() {
    let quiet = |policy: &mut Policy| {
        for (name, rule) in policy.clone().operation.iter() {
            policy.operation.set(name, Operation { notify: Vec::new(), ..rule.clone() });
        }
    };
    // The link is how they get in, and no news: it is sent whoever is told of what.
    let world = plan().policy(quiet).build().await;
    let admin = with_roles(&world, &["admin"]).await;
    let body =
        json!({"username": "grace", "email": "grace@example.com", "mobile": "+12025559001", "name": "Grace"});
    let made = admin.post("/api/v1/admin/users", body.clone()).await.expect(StatusCode::CREATED);
    assert!(!String::from_utf8_lossy(&made.bytes).contains("vp_"), "the link is nobody's but hers");
    admin.post("/api/v1/admin/users", body).await.problem(409, "identifier-taken");
    admin.post("/api/v1/admin/users", json!({"username": "nomail"})).await.problem(422, "invalid");
    world.run_due().await;
    let mail = world.last_mail("grace@example.com").await;
    let text = mail["body"].as_str().unwrap();
    let token = text.split("token=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let page = world.stranger().get(&format!("/recover/password?token={token}")).await.expect(StatusCode::OK);
    assert!(String::from_utf8_lossy(&page.bytes).contains(&token));
    let mut grace = world.stranger();
    (grace.username, grace.mobile) = ("grace".to_owned(), "+12025559001".to_owned());
    let actor = id_of(&admin).await;
    world.advance(2 * DAY);
    let set = json!({"recovery_token": token, "new_password": PASSWORD});
    put(&grace, "/api/v1/users/me/password", set.clone()).await.expect(StatusCode::OK);
    put(&grace, "/api/v1/users/me/password", set).await.problem(401, "code-gone");
    grace.signs_in().await;
    let me = grace.get("/api/v1/users/me").await.expect(StatusCode::OK).body;
    let email = me["identifiers"].as_array().unwrap().iter().find(|one| one["kind"] == "email").unwrap();
    assert_eq!(email["verified"], true, "whoever used the link reads what comes there");
    let activity = grace.get("/api/v1/activity").await.expect(StatusCode::OK).body;
    let made =
        activity["items"].as_array().unwrap().iter().find(|one| one["event"] == "account_made").unwrap();
    assert_eq!(made["actor"], json!(actor));
}

/// Every credential of a suspended user is dead at once, and none comes back to life.
#[tokio::test]
async fn a_suspension_kills_every_credential_and_ends_by_itself() {
    let world = plan().build().await;
    let admin = with_roles(&world, &["admin"]).await;
    let alice = world.alice().await;
    let id = id_of(&alice).await;
    let browser = crate::matrix::browser(&alice).await;
    let pending = alice.gives_password().await.expect(StatusCode::OK).body;
    world.run_due().await;
    let code = world.last_code(&alice.mobile).await;
    let path = format!("/api/v1/admin/users/{id}/suspend");
    for bad in [
        json!({"reason": ""}),
        json!({"reason": "x\ny"}),
        json!({"reason": " ok "}),
        json!({"reason": "Ticket 4711", "until": "2029-01-01T00:00:00Z"}),
    ] {
        admin.post(&path, bad).await.problem(422, "invalid");
    }
    // Nor does the operator, who comes by another door.
    for bad in ["", "x\ny", " ok ", &"x".repeat(201)] {
        let deed = Deed::Suspend(None, bad);
        let refused = actions::act(&world.ctx(), &By::Operator, id, deed).await.unwrap_err();
        assert_eq!(&*refused.fields[0].field, "reason", "{bad:?}");
    }
    let until = world.app.clock.now() + 10 * MINUTE;
    admin.post(&path, json!({"reason": "Ticket 4711", "until": until})).await.expect(StatusCode::NO_CONTENT);
    assert!(!alice.is_signed_in().await && !browser.is_signed_in().await);
    alice.get("/api/v1/users/me").await.problem(401, "unauthenticated");
    let body = json!({"challenge": pending["challenge"]["id"], "code": code});
    alice.post("/api/v1/auth/verify-code", body).await.problem(401, "code-gone");
    alice.gives_password().await.problem(401, "credentials-wrong");
    let seen = admin.get(&format!("/api/v1/admin/users/{id}")).await.expect(StatusCode::OK).body;
    assert_eq!((&seen["status"], &seen["suspended_for"]), (&json!("suspended"), &json!("Ticket 4711")));
    let listed = admin.get("/api/v1/admin/users?status=suspended").await.expect(StatusCode::OK).body;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    world.run_due().await;
    let told = world.messages(&alice.mobile).await;
    assert!(told["items"][0]["body"].as_str().unwrap().contains("suspended"), "{told}");

    world.advance(10 * MINUTE - Duration::from_millis(1));
    alice.gives_password().await.problem(401, "credentials-wrong");
    world.advance(Duration::from_millis(1));
    assert!(admin.is_signed_in().await, "one as old as hers lives");
    assert!(
        !alice.is_signed_in().await && !browser.is_signed_in().await,
        "what was opened before stays dead"
    );
    let mut back = alice.clone();
    back.signs_in().await;
    // The lists catch up a little later.
    assert_eq!(record(&world, id).await.status, Status::Suspended);
    vestibule::administration::tend(&world.ctx()).await.unwrap();
    let user = record(&world, id).await;
    assert_eq!((user.status, user.suspended_until, user.suspended_for), (Status::Active, None, None));
    assert!(back.is_signed_in().await);
}

#[tokio::test]
async fn what_an_administrator_does_is_done_noted_and_told() {
    let world = plan().build().await;
    let mut admin = with_roles(&world, &["admin"]).await;
    let alice = crate::recovery::owner(&world).await;
    let id = id_of(&alice).await;
    let path = |rest: &str| format!("/api/v1/admin/users/{id}{rest}");
    let changed =
        patch(&admin, &path(""), json!({"name": "Ada", "locale": "en"})).await.expect(StatusCode::OK).body;
    assert_eq!((&changed["name"], &changed["locale"]), (&json!("Ada"), &json!("en")));
    patch(&admin, &path(""), json!({"name": null})).await.expect(StatusCode::OK);
    patch(&admin, &path(""), json!({"email": "x@example.com"})).await.problem(422, "invalid");
    patch(&admin, &path(""), json!({"metadata": {"a": {"b": {"c": {"d": {}}}}}}))
        .await
        .problem(422, "invalid");
    assert_eq!(
        admin.get(&path("/sessions")).await.expect(StatusCode::OK).body["items"].as_array().unwrap().len(),
        1
    );
    assert!(
        !admin.get(&path("/devices")).await.expect(StatusCode::OK).body["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    admin.post(&path("/reset-factors"), json!({})).await.expect(StatusCode::OK);
    assert!(!alice.is_signed_in().await);
    let mut alice = alice;
    alice.signs_in().await;
    admin.post(&path("/end-sessions"), json!({})).await.expect(StatusCode::NO_CONTENT);
    assert!(!alice.is_signed_in().await);
    admin.delete(&path("")).await.expect(StatusCode::NO_CONTENT);
    admin.delete(&path("")).await.expect(StatusCode::NO_CONTENT);
    alice.gives_password().await.problem(401, "credentials-wrong");
    admin.post(&path("/restore"), json!({})).await.expect(StatusCode::NO_CONTENT);
    alice.signs_in().await;
    // The proof that it asks for is worth minutes.
    world.advance(20 * MINUTE);
    admin.delete(&path("")).await.problem(403, "step-up-required");
    put(&admin, &path("/roles"), json!({"roles": []})).await.problem(403, "step-up-required");
    admin.get(&path("")).await.expect(StatusCode::OK);
    admin.signs_in().await;
    admin.delete(&path("")).await.expect(StatusCode::NO_CONTENT);

    let actor = id_of(&admin).await;
    let audit = admin.get(&format!("/api/v1/admin/audit?actor={actor}")).await.expect(StatusCode::OK).body;
    let mut kinds: Vec<_> =
        audit["items"].as_array().unwrap().iter().map(|one| one["type"].as_str().unwrap()).collect();
    assert_eq!(kinds[0], "account_removed", "the newest first");
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [
            "account_changed",
            "account_changed",
            "account_removed",
            "account_removed",
            "factors_reset",
            "restored",
            "sessions_ended"
        ]
    );
    assert!(
        audit["items"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["user"] == json!(id) && one["actor"] == json!(actor))
    );
    let one = admin.get(&format!("/api/v1/admin/audit?what=factors_reset&user={id}")).await.body;
    assert_eq!(one["items"].as_array().unwrap().len(), 1);
    let none = admin.get("/api/v1/admin/audit?until=2029-01-01T00:00:00Z").await.body;
    assert_eq!(none["items"].as_array().unwrap().len(), 0);
    world.run_due().await;
    let mails = world.messages(&alice.email()).await;
    let subjects: Vec<_> = mails["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["subject"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert!(subjects.iter().any(|one| one.contains("deleted by an administrator")), "{subjects:?}");
    let deleted = mails["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["subject"].as_str().is_some_and(|one| one.contains("deleted by")))
        .unwrap();
    assert!(!deleted["body"].as_str().unwrap().contains("/undo"), "only an administrator takes it back");
    assert!(!deleted["source"].as_str().unwrap_or_default().contains(&admin.ip.to_string()), "{deleted}");
}

/// No link that was sent to the owner of an account, for whatever, brings it back; nor does the one for their own
/// deletion of it, once an administrator has deleted it as well.
#[tokio::test]
async fn what_an_administrator_deletes_its_owner_does_not_bring_back() {
    let world = plan().build().await;
    let admin = with_roles(&world, &["admin"]).await;
    let link = async |person: &Person<'_>, page| crate::recovery::linked(&world, &person.email(), page).await;
    let undo =
        async |token: String| world.stranger().post("/api/v1/auth/undo", json!({"token": token})).await;
    for deletes_herself in [false, true] {
        let alice = crate::recovery::owner(&world).await;
        let id = id_of(&alice).await;
        let path = format!("/api/v1/admin/users/{id}");
        patch(&alice, "/api/v1/users/me", json!({"email": format!("new-{}", alice.email())}))
            .await
            .expect(StatusCode::OK);
        let mut tokens = vec![link(&alice, "/undo").await];
        if deletes_herself {
            world.advance(MINUTE);
            alice.delete("/api/v1/users/me").await.expect(StatusCode::NO_CONTENT);
            tokens.push(link(&alice, "/undo").await);
        }
        let until = record(&world, id).await.purge_at;
        admin.delete(&path).await.expect(StatusCode::NO_CONTENT);
        let events = async || {
            let all = admin.get(&format!("/api/v1/admin/audit?what=account_removed&user={id}")).await;
            all.body["items"].as_array().unwrap().len()
        };
        assert_eq!(events().await, 1);
        admin.delete(&path).await.expect(StatusCode::NO_CONTENT);
        assert_eq!(events().await, 1, "there was nothing left to do");
        for token in tokens {
            undo(token).await.problem(401, "code-gone");
        }
        let user = record(&world, id).await;
        assert_eq!(user.status, Status::Deleted);
        assert!(until.is_none_or(|until| user.purge_at == Some(until)), "it lasts no longer by that");
    }
}

/// Nor does the link of what its owner confirms while an administrator deletes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_confirmed_while_an_administrator_deletes_brings_nothing_back() {
    let world = plan().build().await;
    let admin = with_roles(&world, &["admin"]).await;
    let alice = crate::recovery::owner(&world).await;
    let (id, old, new) = (id_of(&alice).await, alice.email(), format!("new-{}", alice.email()));
    let asked = patch(&alice, "/api/v1/users/me", json!({"email": new})).await.expect(StatusCode::OK).body;
    world.run_due().await;
    let code = world.last_code(&new).await;
    world.advance(MINUTE);
    // That the session is used is noted before, and not in between.
    assert!(admin.is_signed_in().await);
    let stranger = world.stranger();
    let body = json!({"challenge": asked["verification"]["id"], "code": code});
    let path = format!("/api/v1/admin/users/{id}");
    let touched = format!("UPDATE users SET name = name WHERE id = '{id}'");
    let confirms = stranger.post("/api/v1/auth/verify-code", body);
    let (_, deleted) = world.both_wait(confirms, admin.delete(&path), &touched).await;
    deleted.expect(StatusCode::NO_CONTENT);
    let link = crate::recovery::linked(&world, &old, "/undo").await;
    world.stranger().post("/api/v1/auth/undo", json!({"token": link})).await.problem(401, "code-gone");
    assert_eq!(record(&world, id).await.status, Status::Deleted);
    assert_eq!(world.count::<Undo>(Undo::BY_USER).await, 0);
}

/// Nobody raises themselves, touches somebody of the same or a higher rank, or leaves a house without an
/// administrator.
#[tokio::test]
async fn ranks_hold_and_somebody_always_administers() {
    let world = plan().build().await;
    let admin = with_roles(&world, &["admin"]).await;
    let support = with_roles(&world, &["support"]).await;
    let other = with_roles(&world, &["support"]).await;
    let user = world.alice().await;
    let ids = [id_of(&admin).await, id_of(&support).await, id_of(&other).await, id_of(&user).await];
    let [admin_id, support_id, other_id, user_id] = ids;
    // Support has what the policy names, for users alone; the rest is not there.
    for id in ids {
        for (method, rest, body) in [
            ("PUT", "/roles", json!({"roles": ["admin"]})),
            ("POST", "/suspend", json!({"reason": "spam"})),
            ("POST", "/restore", json!({})),
            ("DELETE", "", json!({})),
            ("PATCH", "", json!({"name": "x"})),
            ("POST", "/act", json!({"reason": "spam", "minutes": 1})),
        ] {
            let path = format!("/api/v1/admin/users/{id}{rest}");
            let body = Some(("application/json", body.to_string().into_bytes()));
            support.send(method, &path, body).await.problem(404, "not-found");
        }
        for rest in ["/end-sessions", "/reset-factors"] {
            let answer = support.post(&format!("/api/v1/admin/users/{id}{rest}"), json!({})).await;
            if id == user_id {
                assert!(answer.status.is_success());
            } else {
                answer.problem(403, "not-allowed");
            }
        }
    }
    support.post("/api/v1/admin/users", json!({"username": "x"})).await.problem(404, "not-found");
    for id in ids {
        assert!(record(&world, id).await.status == Status::Active);
    }
    assert_eq!(record(&world, support_id).await.rank(), Rank::Support);
    // An administrator does nothing to themselves here, and everything to others.
    let mine = format!("/api/v1/admin/users/{admin_id}");
    put(&admin, &format!("{mine}/roles"), json!({"roles": []})).await.problem(403, "not-allowed");
    admin.post(&format!("{mine}/suspend"), json!({"reason": "spam"})).await.problem(403, "not-allowed");
    admin.delete(&mine).await.problem(403, "not-allowed");
    admin.delete("/api/v1/users/me").await.problem(409, "last-administrator");
    let roles = format!("/api/v1/admin/users/{other_id}/roles");
    for bad in [json!(["a b"]), json!(["a", "a"]), json!([""])] {
        put(&admin, &roles, json!({"roles": bad})).await.problem(422, "invalid");
    }
    put(&admin, &roles, json!({"roles": ["admin", "billing"]})).await.expect(StatusCode::NO_CONTENT);
    assert!(!other.is_signed_in().await, "who has another role signs in anew");
    assert_eq!(record(&world, other_id).await.rank, Rank::Admin);
    // The operator cannot lose the last one either, whichever way.
    let ctx = &world.ctx();
    let none = Roles::default();
    actions::act(ctx, &By::Operator, other_id, Deed::SetRoles(&none)).await.unwrap();
    for deed in [Deed::SetRoles(&none), Deed::Suspend(None, "spam"), Deed::Delete] {
        let error = actions::act(ctx, &By::Operator, admin_id, deed).await.unwrap_err();
        assert_eq!(error.problem, Problem::LastAdministrator, "{deed:?}");
    }
    assert!(admin.is_signed_in().await);
    admin.get("/api/v1/admin/users").await.expect(StatusCode::OK);
    // A suspended one is nobody who could step in.
    let roles = Roles(vec!["admin".to_owned()]);
    actions::act(ctx, &By::Operator, other_id, Deed::SetRoles(&roles)).await.unwrap();
    actions::act(ctx, &By::Operator, other_id, Deed::Suspend(None, "spam")).await.unwrap();
    let error = actions::act(ctx, &By::Operator, admin_id, Deed::Delete).await.unwrap_err();
    assert_eq!(error.problem, Problem::LastAdministrator);
}

/// Two administrators who remove each other at once: one stays.
#[tokio::test]
async fn of_two_administrators_who_remove_each_other_one_stays() {
    let world = plan().build().await;
    for _ in 0..8 {
        let (one, other) = (with_roles(&world, &["admin"]).await, with_roles(&world, &["admin"]).await);
        let (a, b) = (id_of(&one).await, id_of(&other).await);
        let ctx = &world.ctx();
        // Whoever is left of the rounds before.
        let found = Query::<User>::along(User::BY_RANK).equal(Rank::Admin).limit(100);
        for user in world.app.store.find(found).await.unwrap().items {
            if user.id != a && user.id != b {
                let _ = actions::act(ctx, &By::Operator, user.id, Deed::SetRoles(&Roles::default())).await;
            }
        }
        let (first, second) =
            (format!("/api/v1/admin/users/{b}/roles"), format!("/api/v1/admin/users/{a}/roles"));
        let body = json!({"roles": []});
        let (first, second) =
            tokio::join!(put(&one, &first, body.clone()), put(&other, &second, body.clone()));
        let left = [record(&world, a).await, record(&world, b).await];
        assert_eq!(
            left.iter().filter(|user| user.rank() == Rank::Admin).count(),
            1,
            "{} {}",
            first.status,
            second.status
        );
    }
}

/// Acting for somebody: bounded, told, seen, and never the user.
#[tokio::test]
async fn whoever_acts_for_a_user_reads_and_is_seen_and_never_is_the_user() {
    let world = plan().build().await;
    let admin = with_roles(&world, &["admin"]).await;
    let mut alice = crate::recovery::owner(&world).await;
    let (actor, id) = (id_of(&admin).await, id_of(&alice).await);
    let path = format!("/api/v1/admin/users/{id}/act");
    for bad in [
        json!({"reason": "x", "minutes": 5}),
        json!({"reason": "Ticket 1", "minutes": 0}),
        json!({"reason": "Ticket 1", "minutes": 61}),
    ] {
        admin.post(&path, bad).await.problem(422, "invalid");
    }
    let ask = |read_only: bool| json!({"reason": "Ticket 4711", "minutes": 15, "read_only": read_only});
    let begin = async |body: Json| {
        let begun = admin.post(&path, body).await.expect(StatusCode::CREATED).body;
        let mut acting = admin.clone();
        acting.token = Some(begun["token"].as_str().unwrap().to_owned());
        (acting, begun)
    };
    let (reader, begun) = begin(json!({"reason": "Ticket 4711", "minutes": 15})).await;
    assert_eq!(begun["session"]["acting"], json!({"by": actor, "reason": "Ticket 4711", "read_only": true}));
    assert_eq!(begun["expires_in"], 15 * 60);
    let (writer, _) = begin(ask(false)).await;
    // The user is told, and sees both among their sessions and in what happened.
    world.run_due().await;
    let mail = world.last_mail(&alice.email()).await;
    assert!(mail["subject"].as_str().unwrap().contains("acted in your account"), "{mail}");
    let sessions = alice.get("/api/v1/sessions").await.expect(StatusCode::OK).body;
    let acted = sessions["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["acting"]["by"] == json!(actor))
        .count();
    assert_eq!(acted, 2);

    assert_eq!(reader.get("/api/v1/users/me").await.expect(StatusCode::OK).body["id"], json!(id));
    patch(&reader, "/api/v1/users/me", json!({"name": "Ada"})).await.problem(403, "acting-never");
    patch(&writer, "/api/v1/users/me", json!({"name": "Ada"})).await.expect(StatusCode::OK);
    let activity = alice.get("/api/v1/activity").await.expect(StatusCode::OK).body;
    let of = |kind: &str| {
        activity["items"].as_array().unwrap().iter().find(|one| one["event"] == kind).cloned().unwrap()
    };
    assert_eq!(of("profile_changed")["actor"], json!(actor), "both are on every row");
    assert_eq!(
        (&of("acting_began")["actor"], &of("acting_began")["detail"]["reason"]),
        (&json!(actor), &json!("Ticket 4711"))
    );
    // Never what would make them the user, whatever is asked and by whichever door.
    let factor = alice.get("/api/v1/factors").await.body["items"][0]["id"].as_str().unwrap().to_owned();
    let own = sessions["items"].as_array().unwrap().iter().find(|one| one["current"] == true).unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut cells = 0;
    for acting in [&reader, &writer] {
        for (method, route, body) in [
            (
                "PUT",
                "/users/me/password".to_owned(),
                json!({"new_password": "eight quiet herons on the pier", "current_password": PASSWORD}),
            ),
            (
                "PATCH",
                "/users/update-password".to_owned(),
                json!({"new_password": "eight quiet herons on the pier"}),
            ),
            ("PATCH", "/users/me".to_owned(), json!({"username": "thief"})),
            ("PATCH", "/users/me".to_owned(), json!({"email": "thief@example.com"})),
            ("PUT", "/users/update".to_owned(), json!({"email": "thief@example.com"})),
            ("PATCH", "/users/me".to_owned(), json!({"name": "x", "mobile": "+12025550000"})),
            ("DELETE", "/users/me".to_owned(), json!({})),
            ("GET", "/users/me/export".to_owned(), json!({})),
            ("POST", "/users/me/verify".to_owned(), json!({"kind": "email"})),
            ("POST", "/factors".to_owned(), json!({"kind": "email"})),
            ("POST", "/factors/totp".to_owned(), json!({})),
            ("POST", "/factors/recovery-codes".to_owned(), json!({})),
            ("PATCH", format!("/factors/{factor}"), json!({"name": "x"})),
            ("DELETE", format!("/factors/{factor}"), json!({})),
            ("DELETE", format!("/sessions/{own}"), json!({})),
            (
                "POST",
                "/auth/step-up".to_owned(),
                json!({"operation": "password.change", "password": PASSWORD}),
            ),
            ("POST", "/auth/authorize".to_owned(), json!({"operation": "user.delete"})),
            ("POST", "/calls".to_owned(), json!({"to": alice.mobile, "say": "Hello"})),
            ("POST", "/organizations".to_owned(), json!({"name": "Harbour"})),
        ] {
            let path = format!("/api/v1{route}");
            let answer =
                acting.send(method, &path, Some(("application/json", body.to_string().into_bytes()))).await;
            let slug = answer.body["type"].as_str().unwrap_or_default().to_owned();
            assert!(
                ["/problems/acting-never", "/problems/immutable-field"].contains(&slug.as_str()),
                "{method} {path} {body}: {} {}",
                answer.status,
                answer.body
            );
            cells += 1;
        }
        for path in ["/api/v1/admin/users", "/api/v1/admin/policy", "/api/v1/admin/data"] {
            acting.get(path).await.problem(404, "not-found");
        }
        acting.post(&format!("/api/v1/admin/users/{id}/act"), ask(false)).await.problem(404, "not-found");
    }
    assert_eq!(cells, 38);
    assert!(alice.is_signed_in().await);
    // Signing out ends that, and nothing of the user's own.
    writer.post("/api/v1/auth/logout", json!({"scope": "all"})).await.expect(StatusCode::NO_CONTENT);
    assert!(!writer.is_signed_in().await && reader.is_signed_in().await && alice.is_signed_in().await);
    // The user may end it.
    let sessions = alice.get("/api/v1/sessions").await.body;
    let acted =
        sessions["items"].as_array().unwrap().iter().find(|one| !one["acting"].is_null()).unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned();
    alice.delete(&format!("/api/v1/sessions/{acted}")).await.expect(StatusCode::NO_CONTENT);
    assert!(!reader.is_signed_in().await);
    // Nobody acts for themselves, for staff, or for somebody who could not sign in.
    admin.post(&format!("/api/v1/admin/users/{actor}/act"), ask(true)).await.problem(403, "not-allowed");
    let support = with_roles(&world, &["support"]).await;
    admin
        .post(&format!("/api/v1/admin/users/{}/act", id_of(&support).await), ask(true))
        .await
        .problem(403, "not-allowed");
    alice.signs_in().await;
}

#[tokio::test]
async fn acting_ends_with_whatever_it_rests_on() {
    for end in ["time", "sign-out", "role", "suspended actor", "suspended user", "rank of the user", "policy"]
    {
        let world = plan().build().await;
        let admin = with_roles(&world, &["admin"]).await;
        let spare = with_roles(&world, &["admin"]).await;
        let alice = world.alice().await;
        let id = id_of(&alice).await;
        let mut acting = admin.clone();
        let ask = json!({"reason": "Ticket 4711", "minutes": 15, "session": "bearer"});
        let begun =
            admin.post(&format!("/api/v1/admin/users/{id}/act"), ask).await.expect(StatusCode::CREATED).body;
        acting.token = Some(begun["token"].as_str().unwrap().to_owned());
        assert!(acting.is_signed_in().await);
        match end {
            "time" => world.advance(15 * MINUTE),
            "sign-out" => {
                drop(admin.post("/api/v1/auth/logout", json!({})).await.expect(StatusCode::NO_CONTENT))
            }
            "role" => promote(&world, &admin, &[]).await,
            "suspended actor" | "suspended user" => {
                let whom = if end == "suspended user" { id } else { id_of(&admin).await };
                let path = format!("/api/v1/admin/users/{whom}/suspend");
                spare.post(&path, json!({"reason": "spam"})).await.expect(StatusCode::NO_CONTENT);
            }
            "rank of the user" => promote(&world, &alice, &["support"]).await,
            _ => {
                let mut policy = (*world.app.policy()).clone();
                let mut rule = policy.operation.get("admin.users.act").unwrap().clone();
                rule.never = true;
                policy.operation.set("admin.users.act", rule);
                world.app.replace_policy(policy);
            }
        }
        assert!(!acting.is_signed_in().await, "{end}");
        acting.get("/api/v1/users/me").await.problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn whoever_acts_gets_nothing_that_others_take_without_asking() {
    let world = plan().build().await;
    let admin = with_roles(&world, &["admin"]).await;
    let alice = world.alice().await;
    let (id, actor) = (id_of(&alice).await, id_of(&admin).await);
    let path = format!("/api/v1/admin/users/{id}/act");
    let ask = |carry: &str| json!({"reason": "Ticket 4711", "minutes": 15, "session": carry});
    let refused = admin.post(&path, ask("jwt")).await.problem(422, "invalid").body;
    assert_eq!(
        (&refused["errors"][0]["field"], &refused["errors"][0]["code"]),
        (&json!("session"), &json!("wrong-value"))
    );
    assert_eq!(refused["errors"][0]["message"], "Expected `bearer` or `cookie`.");
    // Nor where the policy carries sessions as JWT.
    let mut policy = (*world.app.policy()).clone();
    policy.session.carry = Carry::Jwt;
    world.app.replace_policy(policy);
    let silent = json!({"reason": "Ticket 4711", "minutes": 15});
    let begun = admin.post(&path, silent).await.expect(StatusCode::CREATED).body;
    assert!(begun.get("access_token").is_none() && begun.get("refresh_token").is_none(), "{begun}");
    let token = begun["token"].as_str().unwrap();
    // Who asks is told who acts, and hears of the end at once.
    let (_, key) = crate::service_accounts::key(&world, &[Scope::Introspect]).await;
    let service = crate::service_accounts::shows(&world, &key);
    let told = async || {
        let form = Some(("application/x-www-form-urlencoded", format!("token={token}").into_bytes()));
        service.send("POST", "/oauth2/introspect", form).await.expect(StatusCode::OK).body
    };
    assert_eq!((&told().await["sub"], &told().await["act"]), (&json!(id), &json!({"sub": actor})));
    admin.post("/api/v1/auth/logout", json!({})).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(told().await, json!({"active": false}));
}

// The chain.

async fn report(world: &World) -> chain::Report {
    let ctx = &world.ctx();
    chain::verify(ctx, None, async |user| is_gone(ctx, user).await).await.unwrap()
}

/// A house in which something happened on three days, sealed in at least three blocks.
async fn sealed() -> World {
    let world = plan().build().await;
    for _ in 0..3 {
        world.alice().await;
        chain::seal_all(&world.ctx()).await.unwrap();
        world.advance(DAY);
    }
    world
}

#[tokio::test]
async fn what_happened_is_sealed_once_by_whoever_is_first() {
    let world = plan().build().await;
    world.alice().await;
    assert_eq!(chain::seal(&world.ctx()).await.unwrap(), 0, "it waits for others");
    world.advance(chain::PATIENCE);
    let events = world.count::<Event>(Event::BY_TIME).await;
    let ctxs: Vec<_> = (0..16).map(|_| world.ctx()).collect();
    let sealing: Vec<_> =
        ctxs.into_iter().map(|ctx| tokio::spawn(async move { chain::seal(&ctx).await.unwrap() })).collect();
    let mut sealed = 0;
    for task in sealing {
        sealed += task.await.unwrap();
    }
    assert_eq!(sealed, events, "each once");
    // What is committed late, with whatever id and time, is sealed later.
    let late = Event {
        id: Uuid::from_u128(2_000),
        at: world.app.clock.now(),
        block: 0,
        what: vestibule::audit::What::CodeSent,
        ..any_event(&world).await
    };
    world.app.store.commit(vec![Change::insert(&late)]).await.unwrap();
    world.advance(chain::PATIENCE);
    assert_eq!(chain::seal(&world.ctx()).await.unwrap(), 1);
    let seen = report(&world).await;
    assert_eq!(
        (seen.faults.clone(), seen.events, seen.waiting, seen.late),
        (vec![], events as u64 + 1, 0, 0)
    );
    // Those are counted as they are sealed, each once.
    let admin = with_roles(&world, &["admin"]).await;
    let shown = admin.get("/api/v1/admin/overview?by=hour").await.expect(StatusCode::OK).body;
    assert_eq!(shown["spans"][0]["sign_ups"], 1, "{shown}");
    assert_eq!(shown["spans"][0]["sign_ins"], 1);
}

/// What happened before the step seems to come yet, and what happens after it comes before that.
#[tokio::test]
async fn a_clock_that_is_set_back_puts_no_seal_off() {
    let world = plan().build().await;
    world.alice().await;
    let events = world.count::<Event>(Event::BY_TIME).await;
    let mut back = world.ctx();
    back.now = back.now - DAY;
    let fresh = Event {
        id: Uuid::from_u128(2_000),
        at: back.now,
        block: 0,
        what: vestibule::audit::What::CodeSent,
        ..any_event(&world).await
    };
    world.app.store.commit(vec![Change::insert(&fresh)]).await.unwrap();
    back.now = back.now + chain::PATIENCE;
    assert_eq!(chain::seal(&back).await.unwrap(), events);
    assert_eq!(chain::seal(&back).await.unwrap(), 1);
    let seen = report(&world).await;
    assert_eq!((seen.faults.clone(), seen.blocks, seen.waiting), (vec![], 2, 0));
}

async fn any_event(world: &World) -> Event {
    let found = world.app.store.find(Query::<Event>::along(Event::BY_TIME).limit(1)).await.unwrap();
    (*found.items[0]).clone()
}

#[tokio::test]
async fn an_altered_removed_or_inserted_event_is_found_and_its_block_named() {
    let whole = sealed().await;
    let sound = report(&whole).await;
    assert!(sound.faults.is_empty() && sound.blocks >= 3 && sound.events > 10, "{sound:?}");
    let events = async |world: &World| {
        world.app.store.find(Query::<Event>::along(Event::BY_TIME).limit(200)).await.unwrap().items
    };
    type Tamper = fn(&mut Event);
    let alterations: [(&str, Tamper); 9] = [
        ("when", |event| event.at = event.at + Duration::from_millis(1)),
        ("what", |event| event.what = vestibule::audit::What::SignedOut),
        ("whom", |event| event.user_id = None),
        ("who", |event| event.actor_id = Some(Uuid::from_u128(7))),
        ("session", |event| event.session_id = Some(Uuid::from_u128(7))),
        ("address", |event| event.address = Some("192.0.2.1".to_owned())),
        ("detail", |event| event.detail = json!({"x": 1})),
        ("forgotten although the user is there", |event| {
            event.address = None;
            event.user_agent = None;
            event.detail = Json::Null;
        }),
        ("taken out of its block", |event| event.block = 0),
    ];
    for (name, tamper) in alterations {
        let world = sealed().await;
        let all = events(&world).await;
        let victim = all.into_iter().find(|event| event.block == 2 && event.address.is_some()).unwrap();
        world.app.store.commit(vec![Change::update(&victim.with(tamper))]).await.unwrap();
        let seen = report(&world).await;
        assert!(
            !seen.faults.is_empty() && seen.faults.iter().all(|fault| fault.block == 2),
            "{name}: {seen:?}"
        );
    }
    let removed = sealed().await;
    let victim = events(&removed).await.into_iter().find(|event| event.block == 2).unwrap();
    removed.app.store.commit(vec![Change::delete(&victim)]).await.unwrap();
    let seen = report(&removed).await;
    assert_eq!(seen.faults.iter().map(|fault| fault.block).collect::<Vec<_>>(), [2], "{seen:?}");
    for (block, expected) in [(2, 2), (99, 99), (-1, -1), (-7, -7)] {
        let world = sealed().await;
        let forged = Event { id: Uuid::from_u128(5_000), block, ..any_event(&world).await };
        world.app.store.commit(vec![Change::insert(&forged)]).await.unwrap();
        let seen = report(&world).await;
        assert!(seen.faults.iter().any(|fault| fault.block == expected), "{block}: {seen:?}");
    }
    // Put in as if it had been waiting, with a time of long ago: it is told of.
    let forged = Event { id: Uuid::from_u128(5_000), block: 0, ..any_event(&removed).await };
    removed.app.store.commit(vec![Change::insert(&forged)]).await.unwrap();
    chain::seal_all(&removed.ctx()).await.unwrap();
    assert_eq!(report(&removed).await.late, 1);
}

#[tokio::test]
async fn what_a_removed_user_did_says_no_more_where_they_were_and_the_chain_is_whole() {
    let world = plan().build().await;
    let mut founder = crate::organizations::verified(&world).await;
    let member = crate::organizations::verified(&world).await;
    let mut staff = with_roles(&world, &["admin"]).await;
    with_roles(&world, &["admin"]).await;
    let member_id = id_of(&member).await;
    for person in [&mut founder, &mut staff] {
        person.headers.insert(header::USER_AGENT, "A browser".parse().unwrap());
    }
    let organization = crate::organizations::founded(&founder, "Analytical Engines").await;
    crate::organizations::joins(&founder, organization, &member, "member").await;
    let path = format!("/api/v1/organizations/{organization}");
    patch(&founder, &path, json!({"name": "Difference Engines"})).await.expect(StatusCode::OK);
    let role = put(&founder, &format!("{path}/members/{member_id}"), json!({"role": "owner"})).await;
    role.expect(StatusCode::NO_CONTENT);
    let path = format!("/api/v1/admin/users/{}/suspend", id_of(&world.alice().await).await);
    staff.post(&path, json!({"reason": "Ticket 4711"})).await.expect(StatusCode::NO_CONTENT);
    chain::seal_all(&world.ctx()).await.unwrap();
    let acted = async |who: Uuid| {
        let query = Query::<Event>::along(Event::BY_ACTOR).equal(Some(who)).limit(100);
        world.app.store.find(query).await.unwrap().items
    };
    let gone = [id_of(&founder).await, id_of(&staff).await];
    for (person, id) in [(&founder, gone[0]), (&staff, gone[1])] {
        let events = acted(id).await;
        assert!(!events.is_empty() && events.iter().all(|event| event.user_agent.is_some()), "{events:?}");
        person.delete("/api/v1/users/me").await.expect(StatusCode::NO_CONTENT);
    }
    let is_whole = async || {
        let seen = report(&world).await;
        assert!(seen.faults.is_empty() && seen.waiting == 0, "{seen:?}");
    };
    chain::seal_all(&world.ctx()).await.unwrap();
    is_whole().await;
    world.advance(DAY * 31);
    assert_eq!(vestibule::profile::purge_due(&world.ctx()).await.unwrap(), 2);
    chain::seal_all(&world.ctx()).await.unwrap();
    for id in gone {
        for event in acted(id).await {
            assert!(event.address.is_none() && event.user_agent.is_none(), "{event:?}");
            let own = event.user_id == Some(id);
            assert_eq!(event.detail.is_null(), own, "what was done to others is theirs: {event:?}");
        }
    }
    is_whole().await;
    // What is kept of it is still held to its seal.
    let victim = acted(gone[1]).await.remove(0);
    let block = victim.block;
    world
        .app
        .store
        .commit(vec![Change::update(&victim.with(|event| event.detail = Json::Null))])
        .await
        .unwrap();
    let faults = report(&world).await.faults;
    assert_eq!(faults.iter().map(|fault| fault.block).collect::<Vec<_>>(), [block], "{faults:?}");
}

#[tokio::test]
async fn an_altered_or_missing_block_is_found() {
    let blocks = async |world: &World| {
        world
            .app
            .store
            .find(Query::<chain::Block>::along(chain::Block::BY_NUMBER).limit(100))
            .await
            .unwrap()
            .items
    };
    type Tamper = fn(&mut chain::Block);
    let alterations: [Tamper; 7] = [
        |block| block.events += 1,
        |block| block.previous = vec![1; 32],
        |block| block.root = vec![1; 32],
        |block| block.sealed_at = block.sealed_at + Duration::from_millis(1),
        |block| block.seal = vec![1; 32],
        |block| block.digest = vec![1; 32],
        |block| block.purged_at = Some(block.sealed_at),
    ];
    for tamper in alterations {
        let world = sealed().await;
        let victim = blocks(&world).await.remove(1);
        world.app.store.commit(vec![Change::update(&victim.with(tamper))]).await.unwrap();
        let seen = report(&world).await;
        assert!(seen.faults.iter().any(|fault| fault.block == 2), "{seen:?}");
    }
    let world = sealed().await;
    let victim = blocks(&world).await.remove(1);
    world.app.store.commit(vec![Change::delete(&victim)]).await.unwrap();
    let seen = report(&world).await;
    assert!(seen.faults.iter().any(|fault| fault.block == 2), "{seen:?}");
    let events = async |world: &World, block: i64| {
        let query = Query::<Event>::along(Event::BY_BLOCK).equal(block).limit(300);
        world.app.store.find(query).await.unwrap().items
    };
    // That its events had been kept long enough is only believed of the server.
    let world = sealed().await;
    let victim = blocks(&world).await.remove(1).with(|block| {
        block.purged_at = Some(block.sealed_at);
        block.purge = Some(vec![1; 32]);
    });
    let gone = events(&world, victim.number).await;
    let changes = gone.iter().map(Change::delete).chain([Change::update(&victim)]).collect();
    world.app.store.commit(changes).await.unwrap();
    let seen = report(&world).await;
    assert_eq!(seen.faults.iter().map(|fault| fault.block).collect::<Vec<_>>(), [2], "{seen:?}");
    // The newest can only be missed by whoever has kept its digest.
    let world = sealed().await;
    let (number, digest) = report(&world).await.head.unwrap();
    let head = blocks(&world).await.pop().unwrap();
    let gone = events(&world, number).await;
    let changes = gone.iter().map(Change::delete).chain([Change::delete(&head)]).collect();
    world.app.store.commit(changes).await.unwrap();
    assert!(report(&world).await.faults.is_empty());
    let ctx = &world.ctx();
    let is_gone = async |_| Ok(false);
    let seen = chain::verify(ctx, Some((number, &digest)), is_gone).await.unwrap();
    assert_eq!(seen.faults.len(), 1);
    let (number, digest) = seen.head.unwrap();
    assert!(chain::verify(ctx, Some((number, &digest)), is_gone).await.unwrap().faults.is_empty());
}

#[tokio::test]
async fn the_chain_holds_after_what_is_old_and_who_is_gone_are_removed() {
    let world = sealed().await;
    let before = report(&world).await;
    let gone = chain::purge(&world.ctx(), world.app.clock.now() - 2 * DAY + MINUTE).await.unwrap();
    assert!(gone > 0);
    let seen = report(&world).await;
    assert!(seen.faults.is_empty() && seen.purged >= 1 && seen.purged < seen.blocks, "{seen:?}");
    assert_eq!(seen.events, before.events - gone as u64);
    // Somebody deletes their account, and is removed: what told of them is gone, the seals hold.
    let alice = world.alice().await;
    let id = id_of(&alice).await;
    chain::seal_all(&world.ctx()).await.unwrap();
    alice.delete("/api/v1/users/me").await.expect(StatusCode::NO_CONTENT);
    chain::seal_all(&world.ctx()).await.unwrap();
    world.advance(31 * DAY);
    vestibule::profile::purge_due(&world.ctx()).await.unwrap();
    assert!(world.app.store.get::<User>(id).await.unwrap().is_none());
    let events =
        world.app.store.find(Query::<Event>::along(Event::BY_USER).equal(Some(id)).limit(100)).await.unwrap();
    assert!(!events.items.is_empty() && events.items.iter().all(|event| event.address.is_none()));
    let seen = report(&world).await;
    assert!(seen.faults.is_empty(), "{seen:?}");
    // Events that were put into a block after its own were removed are found.
    let forged = Event { id: Uuid::from_u128(5_000), block: 1, ..any_event(&world).await };
    world.app.store.commit(vec![Change::insert(&forged)]).await.unwrap();
    assert_eq!(report(&world).await.faults[0].block, 1);
}

#[tokio::test]
async fn whatever_goes_on_while_the_chain_is_looked_at_is_no_fault() {
    let world = plan().build().await;
    let alice = world.alice().await;
    let id = id_of(&alice).await;
    chain::seal_all(&world.ctx()).await.unwrap();
    alice.delete("/api/v1/users/me").await.expect(StatusCode::NO_CONTENT);
    world.advance(31 * DAY);
    world.member().await;
    chain::seal_all(&world.ctx()).await.unwrap();
    // The server was cut when it had emptied the events, and the account is still there.
    let forgotten = Query::<Event>::along(Event::BY_USER).equal(Some(id)).limit(100);
    for event in world.app.store.find(forgotten).await.unwrap().items {
        let emptied =
            event.with(|event| (event.address, event.user_agent, event.detail) = (None, None, Json::Null));
        world.app.store.commit(vec![Change::update(&emptied)]).await.unwrap();
    }
    let before = report(&world).await;
    assert!(before.faults.is_empty() && before.purged == 0, "{before:?}");
    // All blocks were read when the first of these is asked after.
    let ctx = &world.ctx();
    let meanwhile = async |user| {
        world.alice().await;
        chain::seal_all(&world.ctx()).await?;
        chain::purge(&world.ctx(), world.app.clock.now()).await?;
        world.alice().await;
        world.advance(MINUTE);
        chain::seal_all(&world.ctx()).await?;
        is_gone(ctx, user).await
    };
    let seen = chain::verify(ctx, None, meanwhile).await.unwrap();
    assert!(seen.faults.is_empty(), "{seen:?}");
    assert!(seen.purged > 0 && seen.blocks == before.blocks, "{seen:?}");
    let after = report(&world).await;
    assert!(after.faults.is_empty() && after.blocks > before.blocks, "{after:?}");
}

// What is seen.

#[tokio::test]
async fn the_tables_are_shown_without_what_is_secret() {
    let world = plan().build().await;
    let admin = with_roles(&world, &["admin"]).await;
    let alice = crate::recovery::owner(&world).await;
    let id = id_of(&alice).await;
    let tables = admin.get("/api/v1/admin/data").await.expect(StatusCode::OK).body;
    let secrets = [
        "digest",
        "phc",
        "secret",
        "codes",
        "body",
        "say",
        "callback",
        "callback_sealed",
        "canonical",
        "owned",
        "private",
        "answer",
        "proofs",
        "seal",
        "root",
    ];
    let mut seen = 0;
    for table in tables["items"].as_array().unwrap() {
        let name = table["name"].as_str().unwrap();
        let rows =
            admin.get(&format!("/api/v1/admin/data/{name}?limit=200")).await.expect(StatusCode::OK).body;
        for row in rows["items"].as_array().unwrap() {
            seen += 1;
            for field in row.as_object().unwrap().keys() {
                assert!(!secrets.contains(&field.as_str()), "{name}.{field}");
            }
        }
        // Each column that says so can be asked for, and no other.
        for column in table["columns"].as_array().unwrap() {
            let path = format!("/api/v1/admin/data/{name}?by={}&is=1", column["name"].as_str().unwrap());
            let answer = admin.get(&path).await;
            assert!(!answer.status.is_server_error(), "{path}: {}", answer.body);
            let refused = answer.body["errors"][0]["field"] == "by";
            assert_eq!(refused, column["indexed"] == false, "{path}: {}", answer.body);
            assert!(column["hidden"] == false || column["indexed"] == false);
        }
    }
    assert!(seen > 20);
    let rows = admin
        .get(&format!("/api/v1/admin/data/sessions?by=user_id&is={id}"))
        .await
        .expect(StatusCode::OK)
        .body;
    assert_eq!(rows["items"].as_array().unwrap().len(), 1);
    let page = admin.get("/api/v1/admin/data/events?limit=2").await.expect(StatusCode::OK).body;
    let next = page["next"].as_str().unwrap();
    let more = admin
        .get(&format!("/api/v1/admin/data/events?limit=2&after={next}"))
        .await
        .expect(StatusCode::OK)
        .body;
    assert!(page["items"][1]["id"].as_str().unwrap() > more["items"][0]["id"].as_str().unwrap());
    admin
        .get(&format!("/api/v1/admin/data/sessions?by=user_id&is={id}&after={next}"))
        .await
        .problem(400, "malformed-request");
    admin.get("/api/v1/admin/data/nothing").await.problem(404, "not-found");
    admin.get("/api/v1/admin/data/users?by=id").await.problem(422, "invalid");
    admin.get("/api/v1/admin/data/users?by=id&is=x").await.problem(422, "invalid");
    admin.send("POST", "/api/v1/admin/data/users", None).await.problem(405, "method-not-allowed");
}

#[tokio::test]
async fn what_was_sent_what_waits_and_the_figures_are_shown() {
    let world = plan().build().await;
    let mut admin = with_roles(&world, &["admin"]).await;
    let alice = world.alice().await;
    let id = id_of(&alice).await;
    alice.gives_password().await.expect(StatusCode::OK);
    let queues = admin.get("/api/v1/admin/queues").await.expect(StatusCode::OK).body;
    assert_eq!(
        (&queues["items"][0]["name"], &queues["items"][0]["waiting"]),
        (&json!("messages"), &json!(1))
    );
    // For whoever is to be woken by it.
    world.advance(Duration::from_secs(7));
    let figures = async || {
        vestibule::administration::overview::show(&world.ctx()).await.unwrap();
        world.app.metrics.render()
    };
    let waits = figures().await;
    assert!(waits.contains(r#"vestibule_queue_waiting{queue="messages"} 1"#), "{waits}");
    assert!(waits.contains(r#"vestibule_queue_waiting_seconds{queue="messages"} 7"#), "{waits}");
    world.run_due().await;
    assert!(figures().await.contains(r#"vestibule_queue_waiting{queue="messages"} 0"#));
    let code = world.last_code(&alice.mobile).await;
    let sent = format!("/api/v1/admin/messages?user={id}");
    // The provider's last word comes by itself.
    let mut messages = admin.get(&sent).await.expect(StatusCode::OK);
    for _ in 0..500 {
        let all = messages.body["items"].as_array().unwrap();
        if all.iter().all(|one| one["to"] != json!(alice.mobile) || one["status"] == "delivered") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        messages = admin.get(&sent).await.expect(StatusCode::OK);
    }
    assert!(!String::from_utf8_lossy(&messages.bytes).contains(&code));
    let all = messages.body["items"].as_array().unwrap();
    assert!(all.iter().all(|one| one["user"] == json!(id)));
    // All of them were asked for at the same instant.
    let newest = all.iter().find(|one| one["to"] == json!(alice.mobile)).unwrap().clone();
    assert_eq!(newest["tries"].as_array().unwrap().len(), 1, "{newest}");
    let one = admin.get(&format!("/api/v1/admin/messages/{}", newest["id"].as_str().unwrap())).await;
    assert_eq!(one.expect(StatusCode::OK).body, newest);
    crate::matrix::make_call(&alice).await;
    let calls = admin.get("/api/v1/admin/calls").await.expect(StatusCode::OK).body;
    assert_eq!(calls["items"][0]["user"], json!(id));
    let call = calls["items"][0]["id"].as_str().unwrap();
    assert_eq!(
        admin.get(&format!("/api/v1/admin/calls/{call}")).await.expect(StatusCode::OK).body,
        calls["items"][0]
    );
    admin.get("/api/v1/admin/keys").await.expect(StatusCode::OK);
    let limits = admin.get("/api/v1/admin/limits").await.expect(StatusCode::OK).body;
    assert!(limits["items"].as_array().unwrap().len() > 20);
    // Figures: events as they are sealed, messages an hour later, each once.
    chain::seal_all(&world.ctx()).await.unwrap();
    world.advance(Duration::from_secs(3_600));
    let sent = world.count::<vestibule::messages::Message>(vestibule::messages::Message::BY_CREATED).await;
    let mut counted = 0;
    loop {
        match vestibule::administration::tend(&world.ctx()).await.unwrap() {
            0 => break,
            more => counted += more,
        }
    }
    assert_eq!(counted, sent);
    admin.signs_in().await;
    let shown = admin.get("/api/v1/admin/overview").await.expect(StatusCode::OK).body;
    let day = &shown["spans"][0];
    assert_eq!(
        (&shown["by"], &day["sign_ups"], &day["sign_ins"]),
        (&json!("day"), &json!(2), &json!(2)),
        "{shown}"
    );
    let messages: i64 =
        day["messages"].as_object().unwrap().values().map(|count| count.as_i64().unwrap()).sum();
    assert_eq!(usize::try_from(messages).unwrap(), sent);
    assert!(day["spent"].as_i64().unwrap() > 0, "{shown}");
}

/// The first administrator comes from the command line's own action: there is no account before.
/// What is given by name goes to whoever has shown that the name is theirs, not to whoever said so first.
#[tokio::test]
async fn an_address_that_nobody_has_shown_to_be_theirs_names_nobody() {
    let world = plan().build().await;
    let mallory = world.alice().await;
    let named = async |name: &str| actions::named(&world.ctx(), name).await.map_err(|error| error.problem);
    assert_eq!(named(&mallory.email()).await, Err(Problem::NotFound));
    let id = id_of(&mallory).await;
    for name in [mallory.username.as_str(), mallory.mobile.as_str(), &id.to_string()] {
        assert_eq!(named(name).await, Ok(id), "{name}");
    }
    let admin = with_roles(&world, &["admin"]).await;
    let mut own = crate::matrix::browser(&admin).await;
    own.headers.insert(header::ACCEPT, "text/html".parse().unwrap());
    let form = format!("name=Harbour&owner={}", mallory.email().replace('@', "%40"));
    let body = Some(("application/x-www-form-urlencoded", form.into_bytes()));
    let refused = own.send("POST", "/console/organizations", body).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        world
            .count::<vestibule::organizations::Organization>(
                vestibule::organizations::Organization::BY_CREATED
            )
            .await,
        0
    );
    crate::recovery::shows_email(&mallory).await;
    assert_eq!(named(&mallory.email()).await, Ok(id));
}

/// A role is given to what somebody is at that moment, whoever else changes them.
#[tokio::test]
async fn roles_are_given_and_taken_one_by_one_and_nothing_is_lost() {
    let world = plan().build().await;
    let alice = world.alice().await;
    let id = id_of(&alice).await;
    let ctx = world.ctx();
    let deeds = ["a", "b", "c", "d", "e", "f"].map(|role| {
        let ctx = &ctx;
        async move { actions::act(ctx, &By::Operator, id, Deed::Grant(role)).await.unwrap() }
    });
    futures_util::future::join_all(deeds).await;
    let mut roles = record(&world, id).await.roles.0;
    roles.sort();
    assert_eq!(roles, ["a", "b", "c", "d", "e", "f"]);
    actions::act(&ctx, &By::Operator, id, Deed::Revoke("c")).await.unwrap();
    assert!(!record(&world, id).await.roles.0.contains(&"c".to_owned()));
    let refused = actions::act(&ctx, &By::Operator, id, Deed::Grant("no such word")).await;
    assert_eq!(refused.unwrap_err().problem, Problem::Invalid);
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_list() {
    let world = plan().build().await;
    let admin = with_roles(&world, &["admin"]).await;
    for _ in 0..3 {
        world.alice().await;
    }
    let next = async |path: &str| {
        let listed = admin.get(&format!("{path}limit=1")).await.expect(StatusCode::OK).body;
        listed["next"].as_str().unwrap_or_else(|| panic!("{path}: {listed}")).to_owned()
    };
    let lists = ["/api/v1/admin/users?q=p&", "/api/v1/admin/users?", "/api/v1/admin/data/identifiers?"];
    let mut cursors = Vec::new();
    for path in lists {
        cursors.push(next(path).await);
    }
    for path in ["/api/v1/admin/messages?", "/api/v1/sessions?", "/api/v1/admin/calls?"].iter().chain(&lists)
    {
        for (at, cursor) in cursors.iter().enumerate() {
            let answer = admin.get(&format!("{path}after={cursor}")).await;
            let own = lists.get(at) == Some(path);
            assert!(
                answer.status == StatusCode::OK || !own && answer.status == StatusCode::BAD_REQUEST,
                "{path} {at} {}",
                answer.status
            );
        }
    }
}

/// Whoever may suspend lets in again who was suspended, and not who was deleted.
#[tokio::test]
async fn only_who_may_delete_restores_what_was_deleted() {
    let world =
        plan().policy(|policy| policy.staff.support.push("admin.users.suspend".to_owned())).build().await;
    let (admin, support) = (with_roles(&world, &["admin"]).await, with_roles(&world, &["support"]).await);
    let alice = world.alice().await;
    let id = id_of(&alice).await;
    let path = format!("/api/v1/admin/users/{id}");
    let restore = format!("{path}/restore");
    support
        .post(&format!("{path}/suspend"), json!({"reason": "Ticket"}))
        .await
        .expect(StatusCode::NO_CONTENT);
    support.post(&restore, json!({})).await.expect(StatusCode::NO_CONTENT);
    admin.delete(&path).await.expect(StatusCode::NO_CONTENT);
    support.post(&restore, json!({})).await.problem(404, "not-found");
    assert_eq!(record(&world, id).await.status, Status::Deleted);
    // Nor when it was deleted while they restored who was suspended.
    admin.post(&restore, json!({})).await.expect(StatusCode::NO_CONTENT);
    support
        .post(&format!("{path}/suspend"), json!({"reason": "Ticket"}))
        .await
        .expect(StatusCode::NO_CONTENT);
    let deleted = format!("UPDATE users SET status = 'deleted', revision = revision + 1 WHERE id = '{id}'");
    let refused = support.waits_while(support.post(&restore, json!({})), &deleted).await;
    // Where it was slow it has only come to ask afterwards.
    assert!(
        [StatusCode::SERVICE_UNAVAILABLE, StatusCode::NOT_FOUND].contains(&refused.status),
        "{refused:?}"
    );
    assert_eq!(record(&world, id).await.status, Status::Deleted);
    admin.post(&restore, json!({})).await.expect(StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn devices_that_have_ended_are_not_shown_to_the_staff_either() {
    let world = plan().build().await;
    let admin = with_roles(&world, &["admin"]).await;
    let alice = world.alice().await;
    let path = format!("/api/v1/admin/users/{}", id_of(&alice).await);
    let shown = async || {
        let devices = admin.get(&format!("{path}/devices")).await.expect(StatusCode::OK).body;
        devices["items"].as_array().unwrap().len()
    };
    assert_eq!(shown().await, 1);
    admin.post(&format!("{path}/end-sessions"), json!({})).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(shown().await, 0);
}

/// A role that goes while something is done by it: what is read again is asked again whether it may.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_loses_a_role_meanwhile_does_nothing_more_by_it() {
    let world = plan().build().await;
    let owner = world.alice().await;
    let id = crate::organizations::founded(&owner, "Harbour").await;
    for (method, path, body) in [
        ("PATCH", format!("/api/v1/admin/organizations/{id}"), json!({"name": "Pier"})),
        (
            "POST",
            "/api/v1/admin/users".to_owned(),
            json!({"username": "eve", "email": "eve@example.com", "mobile": "+12025559901"}),
        ),
        ("POST", "/api/v1/admin/service-accounts".to_owned(), json!({"name": "orders"})),
    ] {
        let admin = with_roles(&world, &["admin"]).await;
        let taken = format!(
            "UPDATE users SET roles = '[]', rank = 'user', revision = revision + 1 WHERE id = '{}'",
            id_of(&admin).await
        );
        let body = Some(("application/json", body.to_string().into_bytes()));
        let asked = admin.send(method, &path, body);
        admin.waits_while(asked, &taken).await.problem(404, "not-found");
    }
    let found = owner.get(&format!("/api/v1/organizations/{id}")).await.expect(StatusCode::OK);
    assert_eq!(found.body["name"], "Harbour");
    assert_eq!(world.count::<ServiceAccount>(ServiceAccount::BY_CREATED).await, 0);
    let eve = world.stranger();
    eve.post(
        "/api/v1/users",
        json!({"username": "eve", "email": "eve@example.org", "mobile": eve.mobile, "password": PASSWORD}),
    )
    .await
    .expect(StatusCode::CREATED);
}

/// What users read of what was done to them says that it was, and not where the administrator sits.
#[tokio::test]
async fn users_do_not_read_where_administrators_are_nor_what_they_note() {
    let world = plan().build().await;
    let mut admin = with_roles(&world, &["admin"]).await;
    let mut alice = world.alice().await;
    admin.ip = "203.0.113.200".parse().unwrap();
    let id = id_of(&alice).await;
    let suspend = json!({"reason": "fraud unit, do not tell"});
    admin.post(&format!("/api/v1/admin/users/{id}/suspend"), suspend).await.expect(StatusCode::NO_CONTENT);
    admin.post(&format!("/api/v1/admin/users/{id}/restore"), json!({})).await.expect(StatusCode::NO_CONTENT);
    alice.signs_in().await;
    let ask = json!({"reason": "Ticket 4711", "minutes": 5});
    admin.post(&format!("/api/v1/admin/users/{id}/act"), ask).await.expect(StatusCode::CREATED);
    for path in ["/api/v1/activity", "/api/v1/sessions", "/api/v1/users/me/export"] {
        let told = alice.get(path).await.expect(StatusCode::OK).body.to_string();
        assert!(!told.contains("203.0.113.200") && !told.contains("fraud unit"), "{path}: {told}");
        assert!(told.contains(&alice.ip.to_string()), "{path}: {told}");
    }
    let activity = alice.get("/api/v1/activity").await.body.to_string();
    assert!(activity.contains("suspended") && activity.contains("Ticket 4711"), "{activity}");
    let audit = admin.get(&format!("/api/v1/admin/audit?user={id}")).await.expect(StatusCode::OK).body;
    assert!(audit.to_string().contains("203.0.113.200") && audit.to_string().contains("fraud unit"));
}

/// The link of an account that was made for somebody ends with their sessions: it is made anew while it is needed.
#[tokio::test]
async fn a_link_that_has_ended_is_sent_anew_until_there_is_a_password() {
    let world = plan().build().await;
    let (admin, support) = (with_roles(&world, &["admin"]).await, with_roles(&world, &["support"]).await);
    let mut ada = world.stranger();
    let body = json!({"username": ada.username, "email": ada.email(), "mobile": ada.mobile});
    let made = admin.post("/api/v1/admin/users", body).await.expect(StatusCode::CREATED).body;
    let path = format!("/api/v1/admin/users/{}", made["id"].as_str().unwrap());
    let token = async || {
        crate::recovery::linked(
            &world,
            &format!("{}@example.com", made["username"].as_str().unwrap()),
            "/recover/password",
        )
        .await
    };
    let sets = async |person: &Person<'_>, token: &str| {
        let body = json!({"recovery_token": token, "new_password": PASSWORD});
        put(person, "/api/v1/users/me/password", body).await
    };
    let first = token().await;
    put(&admin, &format!("{path}/roles"), json!({"roles": ["editor"]})).await.expect(StatusCode::NO_CONTENT);
    sets(&ada, &first).await.problem(401, "code-gone");
    let link = format!("{path}/link");
    support.post(&link, json!({})).await.problem(404, "not-found");
    world.advance(MINUTE);
    admin.post(&link, json!({})).await.expect(StatusCode::NO_CONTENT);
    let second = token().await;
    world.advance(MINUTE);
    admin.post(&link, json!({})).await.expect(StatusCode::NO_CONTENT);
    let third = token().await;
    assert!(first != second && second != third);
    sets(&ada, &second).await.problem(401, "code-gone");
    admin.post(&format!("{path}/suspend"), json!({"reason": "Ticket"})).await.expect(StatusCode::NO_CONTENT);
    admin.post(&link, json!({})).await.problem(403, "not-allowed");
    admin.post(&format!("{path}/restore"), json!({})).await.expect(StatusCode::NO_CONTENT);
    sets(&ada, &third).await.problem(401, "code-gone");
    world.advance(MINUTE);
    admin.post(&link, json!({})).await.expect(StatusCode::NO_CONTENT);
    sets(&ada, &token().await).await.expect(StatusCode::OK);
    ada.signs_in().await;
    admin.post(&link, json!({})).await.problem(403, "not-allowed");
    assert!(ada.is_signed_in().await, "nothing was ended by that");
    admin
        .post(&format!("/api/v1/admin/users/{}/link", id_of(&admin).await), json!({}))
        .await
        .problem(403, "not-allowed");
}

/// Who is past their grace is being removed: half of them would come back.
#[tokio::test]
async fn what_is_being_removed_is_not_brought_back() {
    let world = plan().build().await;
    let alice = world.alice().await;
    let id = id_of(&alice).await;
    alice.delete("/api/v1/users/me").await.expect(StatusCode::NO_CONTENT);
    world.advance(*world.app.policy().account.grace);
    let restored = actions::act(&world.ctx(), &By::Operator, id, Deed::Restore).await;
    assert_eq!(restored.unwrap_err().problem, Problem::NotFound);
}

#[tokio::test]
async fn the_operator_makes_the_first_administrator() {
    let world = plan().build().await;
    assert_eq!(world.count::<User>(User::BY_CREATED).await, 0, "there is no account to begin with");
    let names = |email: &str| {
        use vestibule::identifiers::Name;
        use vestibule::policy::IdentifierKind::{Email, Mobile, Username};
        [(Username, "root-ada"), (Email, email), (Mobile, "+12025559100")]
            .map(|(kind, text)| Name::parse(kind, text).unwrap())
            .to_vec()
    };
    let wanted = Wanted {
        names: names("ada@example.com"),
        name: None,
        locale: None,
        wants_second_factor: false,
        signs_in: false,
    };
    let roles = Roles(vec!["admin".to_owned()]);
    let made = actions::create(&world.ctx(), &By::Operator, &wanted, &roles).await.unwrap();
    let token = made.link.split("token=").nth(1).unwrap().to_owned();
    let mut ada = world.stranger();
    (ada.username, ada.mobile) = ("root-ada".to_owned(), "+12025559100".to_owned());
    let set = json!({"recovery_token": token, "new_password": PASSWORD});
    put(&ada, "/api/v1/users/me/password", set).await.expect(StatusCode::OK);
    ada.signs_in().await;
    ada.get("/api/v1/admin/users").await.expect(StatusCode::OK);
    let named = actions::named(&world.ctx(), "ADA@example.com").await.unwrap();
    assert_eq!(named, id_of(&ada).await);
    assert_eq!(actions::named(&world.ctx(), &named.to_string()).await.unwrap(), named);
    assert_eq!(actions::named(&world.ctx(), "nobody").await.unwrap_err().problem, Problem::NotFound);
    let _ = world.count::<Session>(Session::BY_USER).await;
}

/// T-56: however many set the house up at once, one becomes its administrator; and nobody does by being there first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t56_of_many_at_once_one_becomes_the_first_administrator() {
    use vestibule::identifiers::Name;
    use vestibule::policy::IdentifierKind::{Email, Mobile, Username};
    let world = plan().build().await;
    let names = [(Username, "root"), (Email, "root@example.com"), (Mobile, "+12025559100")];
    let names: Vec<_> = names.into_iter().map(|(kind, text)| Name::parse(kind, text).unwrap()).collect();
    let setting_up: Vec<_> = (0..64)
        .map(|_| {
            let (ctx, names) = (world.ctx(), names.clone());
            tokio::spawn(async move {
                let (name, locale, wants_second_factor, signs_in) = (None, None, false, false);
                let wanted = Wanted { names, name, locale, wants_second_factor, signs_in };
                actions::create(&ctx, &By::Operator, &wanted, &Roles(vec!["admin".to_owned()])).await
            })
        })
        .collect();
    let strangers: Vec<_> = (0..64).map(|_| world.stranger()).collect();
    let coming = strangers.iter().map(async |stranger| {
        let mut account = stranger.account();
        stranger.signs_up().await.expect(StatusCode::CREATED);
        account["roles"] = json!(["admin"]);
        stranger.post("/api/v1/users", account).await.problem(422, "invalid");
    });
    futures_util::future::join_all(coming).await;
    let mut made = 0;
    for one in setting_up {
        match one.await.unwrap() {
            Ok(_) => made += 1,
            Err(error) => assert!(matches!(error.problem, Problem::IdentifierTaken), "{error}"),
        }
    }
    assert_eq!(made, 1);
    let users =
        world.app.store.find(Query::<User>::along(User::BY_CREATED).limit(1_000)).await.unwrap().items;
    let staff = users.iter().filter(|user| !user.roles.0.is_empty()).count();
    assert_eq!((users.len(), staff), (65, 1));
}
