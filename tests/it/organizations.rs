//! Organisations: whoever is outside sees nothing, whoever is inside no more than is theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value as Json, json};
use uuid::Uuid;
use vestibule::audit::{Event, What};
use vestibule::organizations::{Invitation, Member, Organization};
use vestibule::policy::Policy;
use vestibule::store::{Change, Query};

use crate::administration::{id_of, put, with_roles};
use crate::matrix::{browser, plan};
use crate::world::{Answer, PASSWORD, Person, World};

/// An organisation of somebody's, by its id.
pub async fn founded(owner: &Person<'_>, name: &str) -> Uuid {
    let made =
        owner.post("/api/v1/organizations", json!({"name": name})).await.expect(StatusCode::CREATED).body;
    assert_eq!(made["role"], "owner");
    serde_json::from_value(made["id"].clone()).unwrap()
}

pub async fn verified(world: &World) -> Person<'_> {
    crate::recovery::owner(world).await
}

/// The code of the newest invitation that came to `address`.
pub async fn code_at(world: &World, address: &str) -> String {
    world.run_due().await;
    let mails = world.messages(address).await;
    let bodies =
        mails["items"].as_array().unwrap().iter().map(|mail| mail["body"].as_str().unwrap_or_default());
    let text =
        bodies.into_iter().find(|body| body.contains("token=vi_")).unwrap_or_else(|| panic!("{mails}"));
    text.split("token=")
        .nth(1)
        .unwrap_or_else(|| panic!("{text}"))
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned()
}

pub async fn invites(by: &Person<'_>, organization: Uuid, address: &str, role: &str) -> Answer {
    let body = json!({"email": address, "role": role});
    by.post(&format!("/api/v1/organizations/{organization}/invitations"), body).await
}

pub async fn joins(by: &Person<'_>, organization: Uuid, who: &Person<'_>, role: &str) {
    invites(by, organization, &who.email(), role).await.expect(StatusCode::CREATED);
    let code = code_at(who.world, &who.email()).await;
    let joined = who.post("/api/v1/organizations/accept", json!({"invitation": code})).await;
    assert_eq!(joined.expect(StatusCode::OK).body["role"], role);
}

#[tokio::test]
async fn an_organisation_is_founded_joined_changed_and_left() {
    let world = plan().build().await;
    let (owner, grace) = (verified(&world).await, verified(&world).await);
    let id = founded(&owner, "  Harbour Lights ").await;
    let path = format!("/api/v1/organizations/{id}");
    assert_eq!(owner.get(&path).await.expect(StatusCode::OK).body["name"], "Harbour Lights");
    for bad in ["", "a\nb"] {
        owner.post("/api/v1/organizations", json!({"name": bad})).await.problem(422, "invalid");
    }
    invites(&owner, id, "no address", "member").await.problem(422, "invalid");
    invites(&owner, id, &grace.email(), "root").await.problem(422, "invalid");
    joins(&owner, id, &grace, "member").await;
    let mine = grace.get("/api/v1/organizations").await.expect(StatusCode::OK).body;
    assert_eq!((&mine["items"][0]["id"], &mine["items"][0]["role"]), (&json!(id), &json!("member")));
    let (owner_id, grace_id) = (id_of(&owner).await, id_of(&grace).await);
    let members = owner.get(&format!("{path}/members")).await.expect(StatusCode::OK).body;
    assert_eq!(members["items"].as_array().unwrap().len(), 2);
    // Both joined at the same instant.
    let row = members["items"].as_array().unwrap().iter().find(|one| one["user"] == json!(grace_id)).unwrap();
    assert_eq!((&row["email"], &row["role"]), (&json!(grace.email()), &json!("member")));
    let seen = grace.get(&format!("{path}/members")).await.expect(StatusCode::OK).body;
    assert!(
        seen["items"].as_array().unwrap().iter().all(|one| one["email"].is_null()),
        "addresses are for administrators"
    );
    // A member changes nothing.
    grace.get(&format!("{path}/invitations")).await.problem(403, "not-allowed");
    put(&grace, &format!("{path}/members/{grace_id}"), json!({"role": "owner"}))
        .await
        .problem(403, "not-allowed");
    grace.delete(&format!("{path}/members/{owner_id}")).await.problem(403, "not-allowed");
    // An administrator changes members, and nobody of their own height.
    put(&owner, &format!("{path}/members/{grace_id}"), json!({"role": "admin"}))
        .await
        .expect(StatusCode::NO_CONTENT);
    for role in ["member", "admin", "owner"] {
        put(&grace, &format!("{path}/members/{grace_id}"), json!({"role": role}))
            .await
            .problem(403, "not-allowed");
        put(&grace, &format!("{path}/members/{owner_id}"), json!({"role": role}))
            .await
            .problem(403, "not-allowed");
    }
    invites(&grace, id, "x@example.com", "admin").await.problem(403, "not-allowed");
    invites(&grace, id, "x@example.com", "member").await.expect(StatusCode::CREATED);
    let listed = grace.get(&format!("{path}/invitations")).await.expect(StatusCode::OK);
    assert!(!String::from_utf8_lossy(&listed.bytes).contains("vi_"));
    let invitation = listed.body["items"][0]["id"].as_str().unwrap();
    grace.delete(&format!("{path}/invitations/{invitation}")).await.expect(StatusCode::NO_CONTENT);
    grace.delete(&format!("{path}/invitations/{invitation}")).await.problem(404, "not-found");
    // There is always an owner.
    owner.delete(&format!("{path}/members/{owner_id}")).await.problem(409, "last-administrator");
    put(&owner, &format!("{path}/members/{owner_id}"), json!({"role": "member"}))
        .await
        .problem(409, "last-administrator");
    put(&owner, &format!("{path}/members/{grace_id}"), json!({"role": "owner"}))
        .await
        .expect(StatusCode::NO_CONTENT);
    owner.delete(&format!("{path}/members/{owner_id}")).await.expect(StatusCode::NO_CONTENT);
    owner.get(&path).await.problem(404, "not-found");
    let body = Some(("application/json", json!({"name": "Pier"}).to_string().into_bytes()));
    grace.send("PATCH", &path, body).await.expect(StatusCode::OK);
    grace.delete(&path).await.expect(StatusCode::NO_CONTENT);
    grace.get(&path).await.problem(404, "not-found");
    assert_eq!(world.count::<Member>(Member::BY_ORGANIZATION).await, 0);
    assert_eq!(world.count::<Invitation>(Invitation::BY_ORGANIZATION).await, 0);
    let activity = grace.get("/api/v1/activity").await.body;
    let changed = activity["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["event"] == "member_changed")
        .cloned()
        .unwrap();
    assert_eq!((&changed["actor"], &changed["detail"]["organization"]), (&json!(owner_id), &json!(id)));
}

/// Two owners who leave at the same time: one stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_owners_who_leave_at_once_one_stays() {
    let world = plan().build().await;
    let (one, other) = (verified(&world).await, verified(&world).await);
    for round in 0..6 {
        let id = founded(&one, &format!("Harbour {round}")).await;
        joins(&one, id, &other, "owner").await;
        let path = |who: Uuid| format!("/api/v1/organizations/{id}/members/{who}");
        let (first, second) = (path(id_of(&one).await), path(id_of(&other).await));
        let _ = tokio::join!(one.delete(&first), other.delete(&second));
        let left =
            world.app.store.find(Query::<Member>::along(Member::BY_ORGANIZATION).equal(id)).await.unwrap();
        assert_eq!(left.items.len(), 1);
    }
}

/// An invitation is good once, for one address, for a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixty_four_who_accept_at_once_one_joins() {
    let world = plan().build().await;
    let (owner, grace, thief) = (verified(&world).await, verified(&world).await, verified(&world).await);
    let id = founded(&owner, "Harbour").await;
    invites(&owner, id, &grace.email(), "member").await.expect(StatusCode::CREATED);
    let first = code_at(&world, &grace.email()).await;
    // Asked again: the code before counts no more.
    invites(&owner, id, &grace.email().to_uppercase(), "admin").await.expect(StatusCode::CREATED);
    let code = code_at(&world, &grace.email()).await;
    assert_ne!(first, code);
    let accept = async |who: &Person<'_>, code: &str| {
        who.post("/api/v1/organizations/accept", json!({"invitation": code})).await
    };
    accept(&grace, &first).await.problem(401, "code-gone");
    accept(&thief, &code).await.problem(403, "not-allowed");
    for bad in ["", "vi_", "vs_x", &code[..code.len() - 1], &format!("{code}x")] {
        accept(&grace, bad).await.problem(401, "code-gone");
    }
    let tries: Vec<_> = (0..64).map(|_| accept(&grace, &code)).collect();
    let answers = futures_util::future::join_all(tries).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == StatusCode::OK).count(), 1);
    let lost = answers.iter().filter(|answer| answer.status != StatusCode::OK);
    for answer in lost {
        assert!(
            ["/problems/code-gone", "/problems/busy"].contains(&answer.body["type"].as_str().unwrap()),
            "{}",
            answer.body
        );
    }
    assert_eq!(world.count::<Member>(Member::BY_ORGANIZATION).await, 2);
    assert_eq!(world.count::<Invitation>(Invitation::BY_ORGANIZATION).await, 0);
    // An old one is none.
    let late = verified(&world).await;
    invites(&owner, id, &late.email(), "member").await.expect(StatusCode::CREATED);
    let code = code_at(&world, &late.email()).await;
    world.advance(Duration::from_secs(7 * 24 * 3_600));
    let mut late = late;
    late.signs_in().await;
    accept(&late, &code).await.problem(401, "code-gone");
}

/// From now on nobody signs up who is not invited.
fn closes_sign_up(world: &World) {
    let mut closed = (*world.app.policy()).clone();
    closed.sign_up.open = false;
    world.app.replace_policy(closed);
}

#[tokio::test]
async fn whoever_is_invited_signs_up_even_where_sign_up_is_closed_and_the_page_accepts() {
    let world = plan().policy(|policy| policy.sign_up.open = true).build().await;
    let owner = verified(&world).await;
    let id = founded(&owner, "Harbour").await;
    closes_sign_up(&world);
    let mut grace = world.stranger();
    grace.signs_up().await.problem(403, "sign-up-closed");
    invites(&owner, id, &grace.email(), "member").await.expect(StatusCode::CREATED);
    let code = code_at(&world, &grace.email()).await;
    let body = |email: String, code: &str| {
        let mut body = grace.account();
        body["email"] = json!(email);
        body["invitation"] = json!(code);
        body
    };
    grace.post("/api/v1/users", body("other@example.com".to_owned(), &code)).await.problem(422, "invalid");
    grace.post("/api/v1/users", body(grace.email(), "vi_x")).await.problem(401, "code-gone");
    let made = grace.post("/api/v1/users", body(grace.email(), &code)).await.expect(StatusCode::CREATED).body;
    let email =
        made["user"]["identifiers"].as_array().unwrap().iter().find(|one| one["kind"] == "email").unwrap();
    assert_eq!(email["verified"], true, "{made}");
    grace.post("/api/v1/users", body(grace.email(), &code)).await.problem(401, "code-gone");
    grace.signs_in().await;
    assert_eq!(
        grace.get(&format!("/api/v1/organizations/{id}")).await.expect(StatusCode::OK).body["role"],
        "member"
    );
    // By the page of the link, in a browser that is signed in.
    let open = vestibule::policy::Policy::from_toml("").unwrap();
    world.app.replace_policy(open);
    let late = verified(&world).await;
    invites(&owner, id, &late.email(), "admin").await.expect(StatusCode::CREATED);
    let code = code_at(&world, &late.email()).await;
    let page = late.get(&format!("/invitation?token={code}")).await.expect(StatusCode::OK);
    assert!(String::from_utf8_lossy(&page.bytes).contains(&code));
    let form = || Some(("application/x-www-form-urlencoded", format!("token={code}").into_bytes()));
    let browser = crate::matrix::browser(&late).await;
    let mut nobody = world.stranger();
    nobody.headers = browser.headers.clone();
    assert_eq!(nobody.send("POST", "/invitation", form()).await.status, StatusCode::UNAUTHORIZED);
    browser.send("POST", "/invitation", form()).await.expect(StatusCode::OK);
    assert_eq!(
        late.get(&format!("/api/v1/organizations/{id}")).await.expect(StatusCode::OK).body["role"],
        "admin"
    );
}

#[tokio::test]
async fn whoever_is_invited_and_not_signed_in_keeps_the_invitation_and_signs_up_by_the_page() {
    let world = plan().build().await;
    let owner = verified(&world).await;
    let id = founded(&owner, "Harbour").await;
    closes_sign_up(&world);
    let mut grace = world.stranger();
    grace.headers.insert("origin", world.app.origin.as_str().parse().unwrap());
    invites(&owner, id, &grace.email(), "member").await.expect(StatusCode::CREATED);
    let code = code_at(&world, &grace.email()).await;
    let form = |text: String| Some(("application/x-www-form-urlencoded", text.into_bytes()));
    let html = |answer: &Answer| String::from_utf8_lossy(&answer.bytes).into_owned();

    let page = grace.send("POST", "/invitation", form(format!("token={code}"))).await;
    let page = html(&page.expect(StatusCode::UNAUTHORIZED));
    let on = format!("/sign-up?invitation={code}");
    let leads = |path: &str| page.contains(&format!("href=\"{path}\""));
    assert!(leads(&on) && leads("/sign-in?then=%2Finvitation") && page.contains("Harbour"), "{page}");

    grace.get("/sign-up").await.problem(403, "sign-up-closed");
    grace.get("/sign-up?invitation=").await.problem(403, "sign-up-closed");
    let kept = format!("name=\"invitation\" value=\"{code}\"");
    let page = html(&grace.get(&on).await.expect(StatusCode::OK));
    assert!(page.contains(&kept), "{page}");
    let asks = |email: &str, code: &str| {
        let (name, mobile) = (&grace.username, grace.mobile.replace('+', "%2B"));
        let password = PASSWORD.replace(' ', "+");
        form(format!("username={name}&email={email}&mobile={mobile}&password={password}&invitation={code}"))
    };
    grace.send("POST", "/sign-up", asks(&grace.email(), "")).await.expect(StatusCode::FORBIDDEN);
    grace.send("POST", "/sign-up", asks(&grace.email(), "vi_x")).await.expect(StatusCode::UNAUTHORIZED);
    // What is typed again still has it.
    let page = grace.send("POST", "/sign-up", asks("other@example.com", &code)).await;
    let page = html(&page.expect(StatusCode::UNPROCESSABLE_ENTITY));
    assert!(page.contains(&kept), "{page}");
    assert!(page.contains("Sign up with the address that the invitation went to."), "{page}");
    let made = grace.send("POST", "/sign-up", asks(&grace.email(), &code)).await;
    assert_eq!(made.expect(StatusCode::SEE_OTHER).headers["location"], "/code");
    grace.headers.clear();
    grace.signs_in().await;
    let organization = grace.get(&format!("/api/v1/organizations/{id}")).await.expect(StatusCode::OK);
    assert_eq!(organization.body["role"], "member");
}

/// A policy that lets people do what the default never does.
pub fn lets(operation: &'static str) -> impl FnOnce(&mut Policy) {
    move |policy| {
        let mut rule = policy.operation.get(operation).unwrap().clone();
        rule.never = false;
        policy.operation.set(operation, rule);
    }
}

#[tokio::test]
async fn an_administrator_acts_for_a_member_only_where_the_policy_lets_them() {
    let world = plan().build().await;
    let (owner, grace) = (verified(&world).await, verified(&world).await);
    let id = founded(&owner, "Harbour").await;
    joins(&owner, id, &grace, "member").await;
    let grace_id = id_of(&grace).await;
    let path = format!("/api/v1/organizations/{id}/members/{grace_id}/act");
    let ask = json!({"reason": "Ticket 4711", "minutes": 10});
    owner.post(&path, ask.clone()).await.problem(403, "operation-never");
    let mut policy = (*world.app.policy()).clone();
    lets("organization.act")(&mut policy);
    world.app.replace_policy(policy);
    let stranger = verified(&world).await;
    stranger.post(&path, ask.clone()).await.problem(404, "not-found");
    grace
        .post(&format!("/api/v1/organizations/{id}/members/{}/act", id_of(&owner).await), ask.clone())
        .await
        .problem(403, "not-allowed");
    owner
        .post(&format!("/api/v1/organizations/{id}/members/{}/act", id_of(&stranger).await), ask.clone())
        .await
        .problem(404, "not-found");
    let begin = async || {
        let begun = owner.post(&path, ask.clone()).await.expect(StatusCode::CREATED).body;
        let mut acting = owner.clone();
        acting.token = Some(begun["token"].as_str().unwrap().to_owned());
        assert!(acting.is_signed_in().await);
        acting
    };
    let acting = begin().await;
    assert_eq!(acting.get("/api/v1/users/me").await.expect(StatusCode::OK).body["id"], json!(grace_id));
    // What the member is in elsewhere is not there.
    let elsewhere = founded(&grace, "Pier").await;
    for path in ["", "/members", "/invitations"] {
        acting.get(&format!("/api/v1/organizations/{elsewhere}{path}")).await.problem(404, "not-found");
    }
    let seen = acting.get("/api/v1/organizations").await.expect(StatusCode::OK).body;
    assert_eq!(seen["items"].as_array().unwrap().len(), 1, "{seen}");
    assert_eq!(seen["items"][0]["id"], json!(id));
    let first = acting.get("/api/v1/organizations?limit=1").await.expect(StatusCode::OK).body;
    assert_eq!((&first["items"], &first["next"]), (&seen["items"], &Json::Null), "nor that there are others");
    // Nor what happened there, also not by an empty place or a page with nothing on it.
    let happened = |body: &Json| -> Vec<String> {
        body["items"].as_array().unwrap().iter().map(|event| event["id"].to_string()).collect()
    };
    let all = grace.get("/api/v1/activity?limit=200").await.expect(StatusCode::OK).body;
    let all: Vec<_> = all["items"].as_array().unwrap().to_vec();
    let is_elsewhere = |event: &Json| event["detail"]["organization"] == json!(elsewhere);
    assert!(all.iter().any(is_elsewhere));
    let rest: Vec<_> =
        all.iter().filter(|event| !is_elsewhere(event)).map(|event| event["id"].to_string()).collect();
    assert!(rest.len() > 3);
    for limit in [1, 2, 3, rest.len() - 1, rest.len(), 200] {
        let (mut read, mut after) = (Vec::new(), String::new());
        loop {
            let path = format!("/api/v1/activity?limit={limit}{after}");
            let page = acting.get(&path).await.expect(StatusCode::OK).body;
            let ids = happened(&page);
            read.extend(ids.clone());
            match page["next"].as_str() {
                Some(next) => {
                    assert_eq!(ids.len(), limit, "{page}");
                    after = format!("&after={next}");
                }
                None => {
                    assert!(!ids.is_empty(), "{limit}");
                    break;
                }
            }
        }
        assert_eq!(read, rest, "{limit}");
    }
    // Who is a member no more is nobody's to act for.
    grace
        .delete(&format!("/api/v1/organizations/{id}/members/{grace_id}"))
        .await
        .expect(StatusCode::NO_CONTENT);
    assert!(!acting.is_signed_in().await);
    joins(&owner, id, &grace, "member").await;
    assert!(!acting.is_signed_in().await, "another membership is another right");
    let acting = begin().await;
    put(&owner, &format!("/api/v1/organizations/{id}/members/{grace_id}"), json!({"role": "owner"}))
        .await
        .expect(StatusCode::NO_CONTENT);
    put(
        &grace,
        &format!("/api/v1/organizations/{id}/members/{}", id_of(&owner).await),
        json!({"role": "member"}),
    )
    .await
    .expect(StatusCode::NO_CONTENT);
    assert!(!acting.is_signed_in().await, "who administers no more acts no more");
    let owner_id = id_of(&owner).await;
    put(&grace, &format!("/api/v1/organizations/{id}/members/{owner_id}"), json!({"role": "owner"}))
        .await
        .expect(StatusCode::NO_CONTENT);
    put(&owner, &format!("/api/v1/organizations/{id}/members/{grace_id}"), json!({"role": "member"}))
        .await
        .expect(StatusCode::NO_CONTENT);
    assert!(!acting.is_signed_in().await, "what has ended does not begin again");

    // An organisation that has ended is nobody's right, also before what belonged to it is removed.
    let id = founded(&owner, "Lighthouse").await;
    joins(&owner, id, &grace, "member").await;
    let path = format!("/api/v1/organizations/{id}/members/{grace_id}/act");
    let begun = owner.post(&path, ask.clone()).await.expect(StatusCode::CREATED).body;
    let acting = Person { token: Some(begun["token"].as_str().unwrap().to_owned()), ..owner.clone() };
    invites(&owner, id, "later@example.com", "member").await.expect(StatusCode::CREATED);
    let code = code_at(&world, "later@example.com").await;
    assert!(acting.is_signed_in().await);
    let found = world.app.store.get::<Organization>(id).await.unwrap().unwrap();
    let ended = found.with(|found| found.ended_at = Some(world.app.clock.now()));
    world.app.store.commit(vec![Change::update(&ended)]).await.unwrap();
    assert!(!acting.is_signed_in().await);
    owner.get(&format!("/api/v1/organizations/{id}")).await.problem(404, "not-found");
    assert!(!owner.get("/api/v1/organizations").await.body.to_string().contains(&id.to_string()));
    grace.post("/api/v1/organizations/accept", json!({"invitation": code})).await.problem(401, "code-gone");
    assert_eq!(vestibule::organizations::actions::remove_ended(&world.ctx()).await.unwrap(), 1);
    let store = &world.app.store;
    assert!(store.get::<Organization>(id).await.unwrap().is_none());
    let members = store.find(Query::<Member>::along(Member::BY_ORGANIZATION).equal(id)).await.unwrap();
    let offers = store.find(Query::<Invitation>::along(Invitation::BY_ORGANIZATION).equal(id)).await.unwrap();
    assert!(members.items.is_empty() && offers.items.is_empty());
}

#[tokio::test]
async fn what_somebody_higher_has_offered_stands_and_goes_with_their_height() {
    let world = plan().build().await;
    let (owner, second, admin) = (verified(&world).await, verified(&world).await, verified(&world).await);
    let id = founded(&owner, "Harbour").await;
    joins(&owner, id, &second, "owner").await;
    joins(&owner, id, &admin, "admin").await;
    let path = format!("/api/v1/organizations/{id}");
    invites(&second, id, "x@example.com", "owner").await.expect(StatusCode::CREATED);
    let code = code_at(&world, "x@example.com").await;
    invites(&admin, id, "x@example.com", "member").await.problem(403, "not-allowed");
    assert_eq!(code_at(&world, "x@example.com").await, code);
    invites(&second, id, "y@example.com", "member").await.expect(StatusCode::CREATED);
    invites(&owner, id, "z@example.com", "owner").await.expect(StatusCode::CREATED);
    let offered = async || {
        let listed = owner.get(&format!("{path}/invitations")).await.expect(StatusCode::OK).body;
        let mut open: Vec<_> =
            listed["items"].as_array().unwrap().iter().map(|one| one["email"].to_string()).collect();
        open.sort();
        open.join(" ")
    };
    assert_eq!(offered().await, r#""x@example.com" "y@example.com" "z@example.com""#);
    let second_id = id_of(&second).await;
    put(&owner, &format!("{path}/members/{second_id}"), json!({"role": "admin"}))
        .await
        .expect(StatusCode::NO_CONTENT);
    assert_eq!(offered().await, r#""y@example.com" "z@example.com""#, "an administrator offers no ownership");
    owner.delete(&format!("{path}/members/{second_id}")).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(offered().await, r#""z@example.com""#, "and who is gone nothing");
}

#[tokio::test]
async fn no_organisation_is_left_without_an_owner_who_can_sign_in() {
    let world = plan().build().await;
    let admin = with_roles(&world, &["admin"]).await;
    let (owner, other) = (verified(&world).await, verified(&world).await);
    let id = founded(&owner, "Harbour").await;
    let path = format!("/api/v1/organizations/{id}");
    joins(&owner, id, &other, "member").await;
    let refused = owner.delete("/api/v1/users/me").await.problem(409, "last-administrator");
    assert!(refused.body["detail"].as_str().unwrap().contains("You alone own"), "{:?}", refused.body);
    // Whoever cannot sign in is no owner to rely on.
    let (owner_id, other_id) = (id_of(&owner).await, id_of(&other).await);
    put(&owner, &format!("{path}/members/{other_id}"), json!({"role": "owner"}))
        .await
        .expect(StatusCode::NO_CONTENT);
    let suspend = format!("/api/v1/admin/users/{other_id}/suspend");
    admin.post(&suspend, json!({"reason": "Ticket 4711"})).await.expect(StatusCode::NO_CONTENT);
    owner.delete(&format!("{path}/members/{owner_id}")).await.problem(409, "last-administrator");
    owner.delete("/api/v1/users/me").await.problem(409, "last-administrator");
    let made = json!({"name": "Pier", "owner": other_id});
    admin.post("/api/v1/admin/organizations", made).await.problem(422, "invalid");
    let restore = format!("/api/v1/admin/users/{other_id}/restore");
    admin.post(&restore, json!({})).await.expect(StatusCode::NO_CONTENT);
    owner.delete("/api/v1/users/me").await.expect(StatusCode::NO_CONTENT);
    // What nobody else is in ends with its owner.
    let (mut other, alone) = (other, verified(&world).await);
    let shed = founded(&alone, "Shed").await;
    alone.delete("/api/v1/users/me").await.expect(StatusCode::NO_CONTENT);
    world.advance(*world.app.policy().account.grace + Duration::from_secs(1));
    vestibule::profile::purge_due(&world.ctx()).await.unwrap();
    vestibule::organizations::actions::remove_ended(&world.ctx()).await.unwrap();
    let store = &world.app.store;
    assert!(store.get::<Organization>(shed).await.unwrap().is_none());
    let ended = Query::<Event>::along(Event::BY_WHAT).equal(What::OrganizationEnded);
    let ended = store.find(ended).await.unwrap().items;
    assert_eq!(ended.iter().map(|event| &event.detail["organization"]).collect::<Vec<_>>(), [&json!(shed)]);
    assert!(store.get::<Organization>(id).await.unwrap().is_some());
    other.signs_in().await;
    assert_eq!(other.get(&path).await.expect(StatusCode::OK).body["role"], "owner");
}

#[tokio::test]
async fn of_two_owners_who_delete_their_accounts_at_once_one_stays() {
    let world = plan().build().await;
    for round in 0..4 {
        let (one, other, third) = (verified(&world).await, verified(&world).await, verified(&world).await);
        let id = founded(&one, &format!("Harbour {round}")).await;
        joins(&one, id, &other, "owner").await;
        joins(&one, id, &third, "member").await;
        let (first, second) = tokio::join!(one.delete("/api/v1/users/me"), other.delete("/api/v1/users/me"));
        assert_ne!(first.status, second.status, "{:?} {:?}", first.body, second.body);
    }
}

/// Whoever is alone in what they own deletes their account while somebody joins: one of the two does not happen.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_joins_what_its_owner_leaves_meanwhile() {
    let world = plan().build().await;
    let (owner, grace) = (verified(&world).await, verified(&world).await);
    let id = founded(&owner, "Harbour").await;
    invites(&owner, id, &grace.email(), "member").await.expect(StatusCode::CREATED);
    let code = code_at(&world, &grace.email()).await;
    let accepts = grace.post("/api/v1/organizations/accept", json!({"invitation": code}));
    let deletes = owner.delete("/api/v1/users/me");
    let (joined, deleted) = world.both_wait(accepts, deletes, "UPDATE users SET name = name").await;
    let both = (joined.status.is_success(), deleted.status.is_success());
    assert_ne!(both, (true, true), "{:?} {:?}", joined.body, deleted.body);
    assert_ne!(both, (false, false), "{:?} {:?}", joined.body, deleted.body);
}

/// What is changed while the account of its owner is removed ends at the next run, and is nobody's in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_changed_while_its_owner_is_removed_ends_all_the_same() {
    let world = plan().build().await;
    let owner = verified(&world).await;
    let id = founded(&owner, "Harbour").await;
    owner.delete("/api/v1/users/me").await.expect(StatusCode::NO_CONTENT);
    world.advance(*world.app.policy().account.grace + Duration::from_secs(1));
    let ctx = world.ctx();
    let mut purged = std::pin::pin!(vestibule::profile::purge_due(&ctx));
    let moment = Duration::from_millis(500);
    let held = async { assert!(tokio::time::timeout(moment, purged.as_mut()).await.is_err(), "it waits") };
    world.place.by_hand_around("UPDATE organizations SET revision = revision + 1", held).await;
    assert_eq!(purged.await.unwrap(), 0, "the next run goes on");
    assert_eq!(vestibule::profile::purge_due(&ctx).await.unwrap(), 1);
    let organization = world.app.store.get::<Organization>(id).await.unwrap();
    assert!(organization.is_none_or(|organization| organization.ended_at.is_some()));
}

/// Everything of both organisations, as it is stored.
async fn stored(world: &World) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    macro_rules! rows {
        ($($entity:ty, $index:expr);*) => {$(
            for row in world.app.store.find(Query::<$entity>::along($index).limit(1_000)).await.unwrap().items {
                all.insert(format!("{}", row.id), format!("{:?}", &*row));
            }
        )*};
    }
    rows! { Organization, Organization::BY_CREATED; Member, Member::BY_ORGANIZATION; Invitation, Invitation::BY_ORGANIZATION }
    all
}

/// Every route and page of organisations × {administrator, owner and member of A, administrator of B, support,
/// administrator of the house, stranger} × an object of A or B: nobody sees or changes anything of an
/// organisation that is not theirs, and what is not theirs looks like what is not there.
#[tokio::test]
async fn nobody_sees_or_changes_anything_outside_their_organisation() {
    let world = plan().policy(lets("organization.act")).build().await;
    let (owner_a, owner_b) = (verified(&world).await, verified(&world).await);
    let (a, b) = (founded(&owner_a, "Aardvark-A").await, founded(&owner_b, "Badger-B").await);
    let (admin_a, member_a, admin_b) =
        (verified(&world).await, verified(&world).await, verified(&world).await);
    joins(&owner_a, a, &admin_a, "admin").await;
    joins(&owner_a, a, &member_a, "member").await;
    joins(&owner_b, b, &admin_b, "admin").await;
    let victim = verified(&world).await;
    joins(&owner_b, b, &victim, "member").await;
    let mut invitations = BTreeMap::new();
    for (owner, id, address) in [(&owner_a, a, "guest-a@example.com"), (&owner_b, b, "guest-b@example.com")] {
        let made = invites(owner, id, address, "member").await.expect(StatusCode::CREATED).body;
        invitations.insert(id, made["id"].as_str().unwrap().to_owned());
    }
    let (support, admin, stranger) = (
        with_roles(&world, &["support"]).await,
        with_roles(&world, &["admin"]).await,
        verified(&world).await,
    );
    let of = BTreeMap::from([(a, id_of(&member_a).await), (b, id_of(&victim).await)]);
    let api = |method, rest, body: Json| (method, rest, "application/json", body.to_string());
    let form =
        |method, rest, form: &str| (method, rest, "application/x-www-form-urlencoded", form.to_owned());
    let routes = [
        ("GET", "", "", String::new()),
        api("PATCH", "", json!({"name": "Taken"})),
        ("GET", "/members", "", String::new()),
        api("PUT", "/members/{user}", json!({"role": "member"})),
        api("PUT", "/members/{user}", json!({"role": "owner"})),
        ("GET", "/invitations", "", String::new()),
        api("POST", "/invitations", json!({"email": "more@example.com", "role": "member"})),
        api("POST", "/invitations", json!({"email": "more@example.com", "role": "owner"})),
        api("POST", "/members/{user}/act", json!({"reason": "Ticket 1", "minutes": 1})),
        ("DELETE", "/invitations/{invitation}", "", String::new()),
        ("DELETE", "/members/{user}", "", String::new()),
        ("DELETE", "", "", String::new()),
    ];
    let pages = [
        ("GET", "", "", String::new()),
        form("POST", "", "do=rename&name=Taken"),
        form("POST", "", "do=role&user={user}&role=member"),
        form("POST", "", "do=role&user={user}&role=owner"),
        form("POST", "", "do=invite&email=more%40example.com&role=member"),
        form("POST", "", "do=invite&email=more%40example.com&role=owner"),
        ("GET", "/members/{user}/act", "", String::new()),
        form("POST", "/members/{user}/act", "reason=Ticket+1&minutes=1"),
        form("POST", "", "do=uninvite&invitation={invitation}"),
        form("POST", "", "do=remove&user={user}"),
        form("POST", "", "do=end"),
    ];
    let mounts = [
        ("/api/v1/organizations", &routes[..]),
        ("/api/v1/admin/organizations", &routes),
        ("/account/organizations", &pages),
        ("/console/organizations", &pages),
    ];
    // Nothing below the two doors is left out here.
    let known: BTreeSet<_> = mounts
        .iter()
        .flat_map(|(mount, routes)| {
            routes.iter().map(move |(method, rest, ..)| format!("{method} {mount}/{{id}}{rest}"))
        })
        .collect();
    for route in vestibule::http::router::all() {
        let line = format!("{} {}", route.method, route.path);
        let is_ours = mounts.iter().any(|(mount, _)| route.path.starts_with(&format!("{mount}/{{id}}")));
        assert!(!is_ours || known.contains(&line), "{line}");
    }
    // (who, is inside A, is inside B, may see all, may change all)
    let people = [
        ("admin of A", &admin_a, true, false, false, false),
        ("member of A", &member_a, true, false, false, false),
        ("admin of B", &admin_b, false, true, false, false),
        ("support", &support, false, false, true, false),
        ("administrator", &admin, false, false, true, true),
        ("stranger", &stranger, false, false, false, false),
    ];
    let (mut cells, mut outside) = (0, 0);
    for (name, person, in_a, in_b, sees, changes) in people {
        let window = browser(person).await;
        for id in [a, b] {
            // What belongs to one is asked for below the other, too.
            for of_other in [false, true] {
                let whose = if of_other { if id == a { b } else { a } } else { id };
                for (mount, routes) in mounts {
                    let is_staff = mount.contains("/admin") || mount.contains("/console");
                    let person = if mount.starts_with("/api") { person } else { &window };
                    for (method, rest, kind, body) in routes {
                        let names = [rest, body.as_str()]
                            .iter()
                            .any(|text| text.contains("{user}") || text.contains("{invitation}"));
                        if of_other && !names || is_staff && rest.ends_with("/act") {
                            continue;
                        }
                        let inside = if is_staff {
                            sees && (*method == "GET" || changes)
                        } else {
                            id == a && in_a || id == b && in_b
                        };
                        let named = |text: &str| {
                            text.replace("{user}", &of[&whose].to_string())
                                .replace("{invitation}", &invitations[&whose])
                        };
                        let (rest, body) = (named(rest), named(body));
                        let path = |id: Uuid| format!("{mount}/{id}{rest}");
                        let before = stored(&world).await;
                        let send = async |path: String| {
                            person.send(method, &path, Some((kind, body.clone().into_bytes()))).await
                        };
                        // What ends something is only asked for by those who may not.
                        let takes = ["uninvite", "remove", "end"]
                            .iter()
                            .any(|word| body.starts_with(&format!("do={word}")));
                        let ends = inside && (*method == "DELETE" || takes || changes && *method != "GET");
                        if ends && !of_other {
                            continue;
                        }
                        let answer = send(path(id)).await;
                        let shown = format!(
                            "{name} {method} {} {body} {of_other}: {} {}",
                            path(id),
                            answer.status,
                            String::from_utf8_lossy(&answer.bytes)
                        );
                        cells += 1;
                        assert!(!answer.status.is_server_error(), "{shown}");
                        if !inside {
                            outside += 1;
                            assert_eq!(answer.body["type"], "/problems/not-found", "{shown}");
                            let absent = send(path(Uuid::from_u128(77))).await;
                            let bare = |mut answer: Answer| {
                                answer.body["instance"] = Json::Null;
                                (answer.status, answer.body)
                            };
                            assert_eq!(bare(answer.clone()), bare(absent), "{shown}");
                            assert_eq!(stored(&world).await, before, "{shown}");
                        }
                        // Nothing of the other organisation is told or changed by way of this one.
                        let foreign =
                            if id == a { ["Badger-B", "guest-b@"] } else { ["Aardvark-A", "guest-a@"] };
                        let text = String::from_utf8_lossy(&answer.bytes);
                        assert!(foreign.iter().all(|word| !text.contains(word)), "{shown}");
                        let theirs = |all: BTreeMap<String, String>| -> Vec<String> {
                            let other = if id == a { b } else { a };
                            all.into_values().filter(|row| row.contains(&other.to_string())).collect()
                        };
                        assert_eq!(theirs(stored(&world).await), theirs(before), "{shown}");
                    }
                }
            }
        }
        // Lists hold one's own, and nothing else.
        for (person, list) in [(person, "/api/v1/organizations"), (&window, "/account/organizations")] {
            let own = person.get(list).await.expect(StatusCode::OK);
            let text = String::from_utf8_lossy(&own.bytes).into_owned();
            let held = (text.contains("Aardvark-A"), text.contains("Badger-B"));
            assert_eq!(held, (in_a, in_b), "{name}: {list}: {text}");
        }
        if !sees {
            window.get("/console/organizations").await.problem(404, "not-found");
        }
    }
    assert!(cells > 500 && outside > 360, "{cells} {outside}");
    // A foreign invitation or membership is not reached by way of one's own organisation.
    let path = format!("/api/v1/organizations/{a}/invitations/{}", invitations[&b]);
    owner_a.delete(&path).await.problem(404, "not-found");
    owner_a.delete(&format!("/api/v1/organizations/{a}/members/{}", of[&b])).await.problem(404, "not-found");
    let removed = Change::delete(&world.app.store.get::<Organization>(b).await.unwrap().unwrap());
    world.app.store.commit(vec![removed]).await.unwrap();
    admin_b.get(&format!("/api/v1/organizations/{b}")).await.problem(404, "not-found");
}

#[tokio::test]
async fn who_is_lower_takes_back_no_offer_of_somebody_higher() {
    let world = plan().build().await;
    let (owner, admin) = (verified(&world).await, verified(&world).await);
    let id = founded(&owner, "Harbour").await;
    joins(&owner, id, &admin, "admin").await;
    let path = format!("/api/v1/organizations/{id}/invitations");
    for (role, may) in [("owner", false), ("admin", false), ("member", true)] {
        let made = invites(&owner, id, &format!("{role}@example.com"), role).await;
        let made = made.expect(StatusCode::CREATED).body["id"].as_str().unwrap().to_owned();
        let answer = admin.delete(&format!("{path}/{made}")).await;
        match may {
            true => drop(answer.expect(StatusCode::NO_CONTENT)),
            false => drop(answer.problem(403, "not-allowed")),
        }
        let left = owner.get(&path).await.expect(StatusCode::OK).body.to_string();
        assert_eq!(left.contains(&made), !may, "{role}");
    }
}

#[tokio::test]
async fn an_address_that_nobody_has_shown_to_be_theirs_is_not_among_the_members() {
    let world = plan().build().await;
    let owner = world.alice().await;
    let id = founded(&owner, "Harbour").await;
    let shown = async || {
        let members = owner.get(&format!("/api/v1/organizations/{id}/members")).await;
        members.expect(StatusCode::OK).body["items"][0]["email"].clone()
    };
    assert_eq!(shown().await, Json::Null);
    crate::recovery::shows_email(&owner).await;
    assert_eq!(shown().await, json!(owner.email()));
}

#[tokio::test]
async fn one_founds_so_many_and_invites_so_many_and_uses_up_nobody_elses() {
    let few = |policy: &mut Policy| {
        policy.limits.organization_user.limit = 2;
        policy.limits.invitation_user.limit = 2;
    };
    let world = plan().policy(few).build().await;
    let (owner, other) = (verified(&world).await, verified(&world).await);
    let id = founded(&owner, "Harbour").await;
    founded(&owner, "Pier").await;
    let answer = owner.post("/api/v1/organizations", json!({"name": "Quay"})).await;
    assert_eq!(answer.problem(429, "limit-reached").body["limit"], "organization-user");
    founded(&other, "Quay").await;
    joins(&owner, id, &other, "admin").await;
    invites(&owner, id, "x@example.com", "member").await.expect(StatusCode::CREATED);
    let answer = invites(&owner, id, "y@example.com", "member").await;
    assert_eq!(answer.problem(429, "limit-reached").body["limit"], "invitation-user");
    let mails = world.messages("y@example.com").await;
    assert_eq!(mails["items"], json!([]), "what is not counted is not sent");
    invites(&other, id, "y@example.com", "member").await.expect(StatusCode::CREATED);
}

/// The invitation is the organisation's to give, and the address is not.
#[tokio::test]
async fn an_invitation_to_somebodys_address_makes_nobody_else_its_owner() {
    let world = plan().build().await;
    let (owner, bob, eve) = (verified(&world).await, verified(&world).await, world.stranger());
    let id = founded(&owner, "Harbour").await;
    invites(&owner, id, &bob.email(), "member").await.expect(StatusCode::CREATED);
    let code = code_at(&world, &bob.email()).await;
    let mut body = eve.account();
    body["email"] = json!(bob.email());
    body["invitation"] = json!(code);
    let made = eve.post("/api/v1/users", body).await.expect(StatusCode::CREATED).body;
    let identifiers = made["user"]["identifiers"].as_array().unwrap();
    let email = identifiers.iter().find(|one| one["kind"] == "email").unwrap();
    assert_eq!(email["verified"], false, "{made}");
    let found =
        vestibule::identifiers::actions::find_owner(&world.ctx(), &bob.email()).await.unwrap().unwrap();
    assert_eq!(found.user_id, id_of(&bob).await);
}
