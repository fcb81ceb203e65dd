//! Acting for somebody in a browser: one's own session is laid aside, and comes back.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::{StatusCode, header};
use vestibule::accounts::User;
use vestibule::sessions::Session;

use crate::administration::{id_of, with_roles};
use crate::matrix::{browser, plan};
use crate::organizations;
use crate::world::{Answer, PASSWORD, Person, World};

const OWN: [&str; 8] = [
    "/account",
    "/account/security",
    "/account/devices",
    "/account/activity",
    "/account/organizations",
    "/account/data",
    "/account/factors/add/email",
    "/account/factors/add/mobile",
];

async fn sends(person: &Person<'_>, path: &str, form: &str) -> Answer {
    person.send("POST", path, Some(("application/x-www-form-urlencoded", form.as_bytes().to_vec()))).await
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.bytes.clone()).unwrap()
}

fn leads(answer: &Answer) -> &str {
    answer.headers.get(header::LOCATION).map_or("", |place| place.to_str().unwrap())
}

/// A browser of somebody of the staff who reads pages.
async fn reader<'w>(person: &Person<'w>) -> Person<'w> {
    let mut browser = browser(person).await;
    browser.headers.insert(header::ACCEPT, "text/html".parse().unwrap());
    browser
}

/// An administrator whose browser acts for `user`, and as it was before.
async fn acts<'w>(admin: &Person<'w>, user: &Person<'w>, mode: &str) -> (Person<'w>, Person<'w>, Answer) {
    let own = reader(admin).await;
    let form = format!("reason=Ticket+4711&minutes=15&mode={mode}");
    let begun = sends(&own, &format!("/console/users/{}/act", id_of(user).await), &form).await;
    assert_eq!((begun.status, leads(&begun)), (StatusCode::SEE_OTHER, "/account"), "{}", text(&begun));
    let mut acting = own.clone();
    acting.keeps_cookies(&begun);
    (own, acting, begun)
}

fn cookie<'a>(person: &'a Person<'_>, name: &str) -> Option<&'a str> {
    person.cookies.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn whoever_acts_sees_the_users_pages_under_a_banner_and_goes_back_to_their_own() {
    let world = plan().build().await;
    let admin = with_roles(&world, &["admin"]).await;
    let grace = world.alice().await;
    let (own, mut acting, begun) = acts(&admin, &grace, "").await;
    let set: Vec<_> = begun
        .headers
        .get_all(header::SET_COOKIE)
        .iter()
        .map(|one| one.to_str().unwrap().to_owned())
        .collect();
    assert_eq!(set.len(), 3, "{set:?}");
    for (name, least) in [("vestibule=", 15 * 60), ("vestibule-own=", 60 * 60)] {
        let one = set.iter().find(|one| one.starts_with(name)).unwrap();
        assert!(
            one.contains("; Path=/; HttpOnly; SameSite=Lax; Max-Age=") && !one.contains("Domain"),
            "{one}"
        );
        let seconds: u64 = one.rsplit_once("Max-Age=").unwrap().1.parse().unwrap();
        assert!(seconds <= least || name == "vestibule-own=", "{one}");
    }
    assert_eq!(cookie(&acting, "vestibule-own"), cookie(&own, "vestibule"));
    assert_ne!(cookie(&acting, "vestibule"), cookie(&own, "vestibule"));
    // The banner is on every page: one's own, those for everybody, and those of failures.
    for path in OWN.iter().chain(&["/sign-up", "/recover", "/undo?token=x", "/sign-out", "/acting"]) {
        let page = acting.get(path).await;
        assert!(
            page.status == StatusCode::OK || page.status == StatusCode::FORBIDDEN,
            "{path} {}",
            page.status
        );
        let page = text(&page);
        for told in ["class=\"acting\"", "Ticket 4711", &admin.username, &grace.username, "Only reading"] {
            assert!(page.contains(told), "{path} does not say {told}: {page}");
        }
    }
    for path in ["/console/users", "/console/keys", "/nothing-here"] {
        let page = acting.get(path).await.expect(StatusCode::NOT_FOUND);
        assert!(text(&page).contains("class=\"acting\""), "{path}: {}", text(&page));
    }
    assert!(!text(&own.get("/account").await).contains("class=\"acting\""));
    // What cannot be done is not to be pressed, and whoever may change things presses it.
    let (_, changing, _) = acts(&admin, &grace, "change").await;
    for path in OWN.iter().filter(|path| !path.contains("/add/")) {
        let frame = "<fieldset class=\"still\" disabled>";
        assert!(text(&acting.get(path).await).contains(frame), "{path}");
        assert!(!text(&changing.get(path).await).contains(frame), "{path}");
    }
    // Nor is anybody led to what they will be refused.
    let own_page = reader(&grace).await;
    let ways = ["/change/", "/account/password", "/remove\"", "/account/totp", "/account/delete"];
    for path in ["/account", "/account/security", "/account/data"] {
        let led = async |who: &Person<'_>| {
            let page = text(&who.get(path).await);
            ways.iter().filter(|way| page.contains(**way)).count()
        };
        assert!(led(&own_page).await > 0, "{path}");
        assert_eq!((led(&acting).await, led(&changing).await), (0, 0), "{path}");
    }
    // Of what may be sent where changes are allowed, nothing is refused.
    let id = organizations::founded(&grace, "Harbour").await;
    for path in ["/account", "/account/devices", "/account/data", &format!("/account/organizations/{id}")] {
        let sent = |page: &str| -> BTreeSet<String> {
            let starts = page.split(" action=\"").skip(1);
            starts.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
        };
        let page = text(&changing.get(path).await.expect(StatusCode::OK));
        let mut ways = sent(&page);
        for way in ["/account", "/acting", "/sign-out"] {
            ways.remove(way);
        }
        assert!(ways.is_empty(), "{path} {ways:?}: {page}");
    }
    // Read-only changes nothing.
    let refused = sends(&acting, "/account", "name=Eve").await.expect(StatusCode::FORBIDDEN);
    assert!(text(&refused).contains("on behalf") && text(&refused).contains("class=\"acting\""));
    assert!(grace.get("/api/v1/users/me").await.body["name"].is_null());
    // The user reads of it, by a message and on their own page.
    let mut theirs = reader(&grace).await;
    assert!(text(&theirs.get("/account/activity").await).contains("began to act in your account"));
    world.run_due().await;
    let told = world.messages(&grace.mobile).await.to_string();
    assert!(told.contains("acted in your account"), "{told}");
    // What is laid aside opens nothing while it is.
    let mut aside = acting.clone();
    aside.cookies.retain(|(name, _)| name != "vestibule");
    assert_eq!(leads(&aside.get("/account").await), "/acting");
    assert_eq!(leads(&aside.get("/console/users").await), "/acting");
    // Another site cannot end it.
    let mut forged = acting.clone();
    forged.headers.insert(header::ORIGIN, "https://evil.example".parse().unwrap());
    assert_eq!(sends(&forged, "/acting", "").await.status, StatusCode::FORBIDDEN);
    let before = acting.clone();
    let stopped = sends(&acting, "/acting", "").await;
    assert_eq!(leads(&stopped), format!("/console/users/{}?said=stopped", id_of(&grace).await));
    acting.keeps_cookies(&stopped);
    assert_eq!(cookie(&acting, "vestibule"), cookie(&own, "vestibule"));
    assert_eq!(cookie(&acting, "vestibule-own"), None);
    assert!(text(&acting.get(leads(&stopped)).await.expect(StatusCode::OK)).contains("back in your own"));
    let mut dead = before.clone();
    dead.cookies.retain(|(name, _)| name == "vestibule");
    assert!(!dead.is_signed_in().await, "the session in which they acted has ended");
    theirs.headers.remove(header::ACCEPT);
    assert!(theirs.is_signed_in().await);
}

#[tokio::test]
async fn whoever_may_change_things_changes_what_the_policy_names() {
    let world = plan().build().await;
    let admin = with_roles(&world, &["admin"]).await;
    let grace = world.alice().await;
    let (_, acting, _) = acts(&admin, &grace, "change").await;
    assert!(text(&acting.get("/account").await).contains("Changes allowed"));
    sends(&acting, "/account", "name=Grace").await.expect(StatusCode::SEE_OTHER);
    assert_eq!(grace.get("/api/v1/users/me").await.body["name"], "Grace");
    for (path, form) in [
        ("/account/delete", ""),
        ("/account/password", "new_password=eight+quiet+herons+on+the+pier"),
        ("/account/sessions", "scope=all"),
        ("/account/recovery-codes", ""),
        ("/account/change/email", "value=eve%40example.com"),
        ("/account/organizations", "name=Harbour"),
    ] {
        let answer = sends(&acting, path, form).await.expect(StatusCode::FORBIDDEN);
        assert!(text(&answer).contains("on behalf"), "{path}: {}", text(&answer));
    }
    let activity = grace.get("/api/v1/activity").await.body;
    let changed = activity["items"].as_array().unwrap().iter().find(|one| one["event"] == "profile_changed");
    assert_eq!(changed.unwrap()["actor"], serde_json::json!(id_of(&admin).await), "both are on the row");
}

#[tokio::test]
async fn when_acting_has_ended_by_itself_there_is_a_way_back() {
    let world = plan().build().await;
    let admin = with_roles(&world, &["admin"]).await;
    let grace = world.alice().await;
    let (own, mut acting, _) = acts(&admin, &grace, "").await;
    world.advance(Duration::from_secs(15 * 60));
    assert_eq!(leads(&acting.get("/account/devices").await), "/acting");
    let page = text(&acting.get("/acting").await.expect(StatusCode::OK));
    assert!(page.contains("no longer act") && !page.contains("class=\"acting\""), "{page}");
    let back = sends(&acting, "/acting", "").await;
    assert_eq!(leads(&back), "/console/users?said=stopped");
    acting.keeps_cookies(&back);
    assert_eq!(cookie(&acting, "vestibule"), cookie(&own, "vestibule"));
    acting.get("/console/users").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn there_is_no_way_back_into_a_session_that_has_ended() {
    let world = plan().build().await;
    let admin = with_roles(&world, &["admin"]).await;
    let grace = world.alice().await;
    let (_, mut acting, _) = acts(&admin, &grace, "").await;
    admin
        .post("/api/v1/auth/logout", serde_json::json!({"scope": "others"}))
        .await
        .expect(StatusCode::NO_CONTENT);
    assert_eq!(leads(&acting.get("/account").await), "/acting", "it ended with what it rests on");
    let back = sends(&acting, "/acting", "").await;
    assert_eq!(leads(&back), "/sign-in?said=stopped");
    acting.keeps_cookies(&back);
    assert_eq!((cookie(&acting, "vestibule"), cookie(&acting, "vestibule-own")), (None, None));
}

#[tokio::test]
async fn signing_out_while_acting_ends_both() {
    for path in ["/sign-out", "/api/v1/auth/logout"] {
        let world = plan().build().await;
        let admin = with_roles(&world, &["admin"]).await;
        let grace = world.alice().await;
        let (own, mut acting, _) = acts(&admin, &grace, "").await;
        let before = acting.clone();
        let out = match path {
            "/sign-out" => sends(&acting, path, "").await,
            _ => acting.post(path, serde_json::json!({})).await,
        };
        acting.keeps_cookies(&out);
        assert_eq!((cookie(&acting, "vestibule"), cookie(&acting, "vestibule-own")), (None, None));
        assert!(!before.is_signed_in().await && !own.is_signed_in().await, "{path}");
        assert!(grace.is_signed_in().await && admin.is_signed_in().await, "{path} ends no other");
    }
}

#[tokio::test]
async fn only_the_session_that_was_laid_aside_is_taken_up_again() {
    let world = plan().build().await;
    let admin = with_roles(&world, &["admin"]).await;
    let other = reader(&with_roles(&world, &["admin"]).await).await;
    let grace = world.alice().await;
    let (_, mut acting, _) = acts(&admin, &grace, "").await;
    let theirs = cookie(&other, "vestibule").unwrap().to_owned();
    acting.cookies.retain(|(name, _)| name != "vestibule-own");
    acting.cookies.push(("vestibule-own".to_owned(), theirs));
    let back = sends(&acting, "/acting", "").await;
    assert_eq!(leads(&back), "/sign-in?said=stopped");
    assert!(other.is_signed_in().await);
    // One that acts is none to lay aside, and whoever acts for nobody keeps what they have.
    let (_, mut acting, _) = acts(&admin, &grace, "").await;
    let token = cookie(&acting, "vestibule").unwrap().to_owned();
    acting.cookies = vec![("vestibule-own".to_owned(), token)];
    assert_eq!(leads(&sends(&acting, "/acting", "").await), "/sign-in?said=stopped");
    assert_eq!(leads(&sends(&other, "/acting", "").await), "/console/users?said=stopped");
    assert!(other.is_signed_in().await);
    // Signing in anew takes the place of both: what was laid aside ends as well (ASVS 5.0, 7.2.4).
    let (own, acting, _) = acts(&admin, &grace, "").await;
    let login = serde_json::json!({"identifier": grace.username, "password": PASSWORD, "session": "cookie"});
    let asked = acting.post("/api/v1/auth/login", login).await.expect(StatusCode::OK);
    let mut signed = acting.clone();
    signed.keeps_cookies(&asked);
    world.run_due().await;
    let code = serde_json::json!({"code": world.last_code(&grace.mobile).await});
    assert!(own.is_signed_in().await && acting.is_signed_in().await);
    let done = signed.post("/api/v1/auth/verify-code", code).await.expect(StatusCode::OK);
    signed.keeps_cookies(&done);
    assert!(signed.is_signed_in().await && !own.is_signed_in().await && !acting.is_signed_in().await);
    assert_eq!(cookie(&signed, "vestibule-own"), None);
    let said = world
        .app
        .store
        .first::<Session>(vestibule::store::Query::along(Session::BY_USER).equal(id_of(&grace).await));
    assert!(said.await.unwrap().is_some());
}

/// T-52: of what the console shows, each is for whoever may do it.
#[tokio::test]
async fn what_somebody_may_not_do_is_not_shown_and_not_done() {
    let world = plan().build().await;
    let admin = with_roles(&world, &["admin"]).await;
    let support = reader(&with_roles(&world, &["support"]).await).await;
    let grace = world.alice().await;
    let id = id_of(&grace).await;
    let page = text(&support.get(&format!("/console/users/{id}")).await.expect(StatusCode::OK));
    let shown = |deed: &str| page.contains(&format!("/console/users/{id}/{deed}\""));
    assert!(shown("end-sessions") && shown("reset-factors"));
    for deed in ["act", "profile", "roles", "suspend", "restore", "delete"] {
        assert!(!shown(deed), "{deed}");
        for method in ["GET", "POST"] {
            let answer = support.send(method, &format!("/console/users/{id}/{deed}"), None).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {deed}");
        }
    }
    assert!(!page.contains("/console/keys"));
    let list = text(&support.get("/console/users").await.expect(StatusCode::OK));
    assert!(!list.contains("/console/users/new"));
    // Nobody does anything to themselves here, nor is it shown.
    let own = reader(&admin).await;
    let me = id_of(&admin).await;
    assert!(!text(&own.get(&format!("/console/users/{me}")).await).contains(&format!("{me}/suspend")));
    let refused = sends(&own, &format!("/console/users/{me}/suspend"), "reason=spam").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(text(&refused).contains("may not do this"), "{}", text(&refused));
    // What was typed wrong is said, and kept.
    let short = sends(&own, &format!("/console/users/{id}/act"), "reason=t&minutes=15").await;
    assert_eq!(short.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text(&short).contains("one line of 3 to 200 characters"), "{}", text(&short));
    let wrong = sends(&own, &format!("/console/users/{id}/suspend"), "reason=%3Cb%3E&until=never").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text(&wrong).contains("&lt;b&gt;") && text(&wrong).contains("aria-invalid"), "{}", text(&wrong));
    let bad = own.get("/console/users?status=x&from=yesterday&q=a").await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(text(&bad).matches("class=\"wrong\"").count(), 2, "{}", text(&bad));
    assert_eq!(own.get("/console/users?after=x").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(own.get("/console/users?q=a&q=b").await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn an_administrator_does_everything_by_forms() {
    let world: World = plan().build().await;
    let admin = with_roles(&world, &["admin"]).await;
    let own = reader(&admin).await;
    let grace = world.alice().await;
    let id = id_of(&grace).await;
    let user = async || (*world.app.store.get::<User>(id).await.unwrap().unwrap()).clone();
    let at = |deed: &str| format!("/console/users/{id}/{deed}");
    let does = async |deed: &str, form: &str| {
        own.get(&at(deed)).await.expect(StatusCode::OK);
        let done = sends(&own, &at(deed), form).await;
        assert_eq!(leads(&done), format!("/console/users/{id}?said=done"), "{deed}: {}", text(&done));
        text(&own.get(leads(&done)).await.expect(StatusCode::OK))
    };
    does("profile", "name=Grace&locale=pt-BR").await;
    assert_eq!(
        (user().await.name.as_deref(), user().await.locale.as_deref()),
        (Some("Grace"), Some("pt-BR"))
    );
    does("roles", "roles=support++editor").await;
    assert_eq!(user().await.roles.0, ["support", "editor"]);
    does("roles", "roles=").await;
    assert!(user().await.roles.0.is_empty());
    does("end-sessions", "").await;
    assert!(!grace.is_signed_in().await);
    does("reset-factors", "").await;
    let page = does("suspend", "reason=spam+in+calls&until=2031-01-01T10%3A30").await;
    assert!(page.contains("spam in calls") && page.contains("2031-01-01T10:30:00.000Z"), "{page}");
    does("restore", "").await;
    does("delete", "").await;
    let page = does("restore", "").await;
    assert!(page.contains(&grace.username));
    let made = sends(
        &own,
        "/console/users/new",
        "username=made-here&email=made%40example.com&mobile=%2B12025550177",
    )
    .await;
    assert!(
        leads(&made).starts_with("/console/users/") && leads(&made).ends_with("?said=done"),
        "{}",
        text(&made)
    );
    let found = text(&own.get("/console/users?q=made-h&status=&role=&from=&until=").await);
    assert!(found.contains("made-here") && !found.contains(&grace.username), "{found}");
    // Organisations, as staff.
    let made = sends(&own, "/console/organizations", &format!("name=Harbour&owner={}", grace.username)).await;
    let place = leads(&made).split('?').next().unwrap().to_owned();
    assert!(place.starts_with("/console/organizations/"), "{}", text(&made));
    assert!(text(&own.get(&place).await).contains(&grace.username));
    sends(&own, &place, "do=rename&name=Pier").await.expect(StatusCode::SEE_OTHER);
    sends(&own, &place, "do=invite&email=guest%40example.com&role=admin").await.expect(StatusCode::SEE_OTHER);
    let page = text(&own.get(&place).await);
    let (_, rest) = page.split_once("name=\"invitation\" value=\"").unwrap();
    let invitation = rest.split('"').next().unwrap();
    sends(&own, &place, &format!("do=uninvite&invitation={invitation}")).await.expect(StatusCode::SEE_OTHER);
    assert!(!text(&own.get(&place).await).contains("guest@example.com"));
    for (form, status) in [
        ("do=role&user=x&role=admin", StatusCode::NOT_FOUND),
        ("do=role&role=king", StatusCode::NOT_FOUND),
        ("do=invite&email=x&role=king", StatusCode::UNPROCESSABLE_ENTITY),
        ("do=x", StatusCode::BAD_REQUEST),
        ("", StatusCode::BAD_REQUEST),
        ("do=rename&name=", StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let answer = sends(&own, &place, form).await;
        assert_eq!(answer.status, status, "{form}: {}", text(&answer));
    }
    sends(&own, &place, "do=end").await.expect(StatusCode::SEE_OTHER);
    own.get(&place).await.expect(StatusCode::NOT_FOUND);
}

#[test]
fn what_is_laid_aside_is_tied_to_the_host() {
    let origin = vestibule::app::Origin::parse("https://accounts.example.com").unwrap();
    let cookie = vestibule::sessions::clear_aside(&origin);
    assert_eq!(
        cookie.to_str().unwrap(),
        "__Host-vestibule-own=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0; Secure"
    );
}

/// The page is for everybody, so nothing at its door looks at who is there.
#[tokio::test]
async fn whoever_acts_joins_nothing_for_the_user() {
    let world = plan().build().await;
    let admin = with_roles(&world, &["admin"]).await;
    let (owner, grace) = (organizations::verified(&world).await, organizations::verified(&world).await);
    let id = organizations::founded(&owner, "Harbour").await;
    organizations::invites(&owner, id, &grace.email(), "member").await.expect(StatusCode::CREATED);
    let code = organizations::code_at(&world, &grace.email()).await;
    let form = format!("token={code}");
    for mode in ["", "change"] {
        let (_, acting, _) = acts(&admin, &grace, mode).await;
        sends(&acting, "/invitation", &form).await.expect(StatusCode::FORBIDDEN);
        grace.get(&format!("/api/v1/organizations/{id}")).await.problem(404, "not-found");
    }
    sends(&reader(&grace).await, "/invitation", &form).await.expect(StatusCode::OK);
    grace.get(&format!("/api/v1/organizations/{id}")).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn what_is_laid_aside_is_what_it_is_acted_by() {
    let world = plan().build().await;
    let admin = with_roles(&world, &["admin"]).await;
    let (grace, other) = (world.alice().await, world.alice().await);
    let path = format!("/api/v1/admin/users/{}/act", id_of(&grace).await);
    let ask = serde_json::json!({"reason": "Ticket 4711", "minutes": 15, "session": "cookie"});
    let set = |answer: &Answer| {
        let all = answer.headers.get_all(header::SET_COOKIE).iter();
        let all: Vec<_> = all.map(|one| one.to_str().unwrap().to_owned()).collect();
        all.into_iter().filter(|one| one.starts_with("vestibule-own=vs_")).count()
    };
    let own = browser(&admin).await;
    assert_eq!(set(&own.post(&path, ask.clone()).await.expect(StatusCode::CREATED)), 1);
    // A token beside a cookie: somebody else's is in the browser, and would be gone back to.
    let beside = Person { token: admin.token.clone(), ..browser(&other).await };
    assert_eq!(set(&beside.post(&path, ask).await.expect(StatusCode::CREATED)), 0);
}

/// Who is suspended is not looked after by being them, and is told of nothing.
#[tokio::test]
async fn nobody_begins_to_act_for_who_is_suspended() {
    let world = plan().build().await;
    let admin = with_roles(&world, &["admin"]).await;
    let grace = world.alice().await;
    let path = format!("/api/v1/admin/users/{}", id_of(&grace).await);
    let why = serde_json::json!({"reason": "Ticket 4711"});
    admin.post(&format!("{path}/suspend"), why).await.expect(StatusCode::NO_CONTENT);
    let ask = serde_json::json!({"reason": "Ticket 4711", "minutes": 15});
    admin.post(&format!("{path}/act"), ask).await.problem(404, "not-found");
    world.run_due().await;
    assert!(!world.messages(&grace.mobile).await.to_string().contains("acted in your account"));
}
