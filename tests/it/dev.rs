//! `/dev`: the phone in the browser, and what else development mode offers.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::json;
use tower::ServiceExt;
use vestibule::config::Config;
use vestibule::random::Random;

use crate::world::{Person, World};

const FORM: &str = "application/x-www-form-urlencoded";

/// Somebody at this machine.
fn here(world: &World) -> Person<'_> {
    let mut here = world.stranger();
    here.ip = [127, 0, 0, 1].into();
    here
}

#[tokio::test]
async fn the_clock_can_be_moved_in_development_and_is_not_there_in_production() {
    let world = World::new().await;
    let me = here(&world);
    let before = world.app.clock.now();
    let answer = me.post("/dev/clock", json!({"advance": "10m"})).await.expect(StatusCode::OK);
    assert_eq!(answer.body["now"], (before + Duration::from_secs(600)).to_string());
    let form = Some((FORM, b"advance=1h".to_vec()));
    me.send("POST", "/dev/clock", form).await.expect(StatusCode::SEE_OTHER);
    assert_eq!(world.app.clock.now().since(before), Duration::from_secs(4_200));
    assert_eq!(
        me.get("/dev/clock").await.expect(StatusCode::OK).body["now"],
        world.app.clock.now().to_string()
    );
    me.post("/dev/clock", json!({"advance": "soon"})).await.problem(422, "invalid");
    me.post("/dev/clock", json!({"advance": "-10m"})).await.problem(422, "invalid");
    me.post("/dev/clock", json!({})).await.problem(422, "invalid");
    world.stranger().post("/dev/clock", json!({"advance": "10m"})).await.problem(403, "cross-site");

    let production = vestibule::http::router::production(&world.app).unwrap();
    for path in ["/dev/clock", "/dev/phone", "/dev/messages", "/dev/phone/rules"] {
        let peer = axum::extract::ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 9)));
        let request = Request::post(path).header(header::HOST, world.address.to_string()).extension(peer);
        let request =
            request.header(header::CONTENT_TYPE, "application/json").body(Body::from("{}")).unwrap();
        let answer = production.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_code_dies_when_the_clock_is_moved_past_it() {
    let world = World::new().await;
    let member = world.member().await;
    let asked = member.gives_password().await.expect(StatusCode::OK).body;
    world.run_due().await;
    let code = world.last_code(&member.mobile).await;
    here(&world).post("/dev/clock", json!({"advance": "5m"})).await.expect(StatusCode::OK);
    let body = json!({"challenge": asked["challenge"]["id"], "code": code});
    member.post("/api/v1/auth/verify-code", body).await.problem(401, "code-gone");
}

#[tokio::test]
async fn another_site_changes_nothing_on_the_phone() {
    let world = World::new().await;
    let mut evil = here(&world);
    evil.headers.insert("sec-fetch-site", "cross-site".parse().unwrap());
    evil.post("/dev/clock", json!({"advance": "10m"})).await.problem(403, "cross-site");
    let form = Some((FORM, b"to=%2B12025550143&does=lose".to_vec()));
    evil.send("POST", "/dev/phone/rules", form).await.problem(403, "cross-site");
}

#[tokio::test]
async fn a_test_identity_has_its_code_and_no_limit_of_numbers_and_production_has_neither() {
    let identity = "+12025550100";
    let given = format!("development.identities = [\"{identity}=424242\"]");
    let settings = Config::from_toml(&given).unwrap();
    let world = World::plan()
        .config(move |config| {
            let (address, mut development) = (config.server.listen, settings);
            development.develop_at(address, &Random::seeded(1));
            config.development = development.development;
        })
        .build()
        .await;
    let mut person = world.stranger();
    person.mobile = identity.to_owned();
    person.signs_up().await.expect(StatusCode::CREATED);
    // More than any budget of a number.
    for _ in 0..12 {
        let asked = person.gives_password().await.expect(StatusCode::OK).body;
        let body = json!({"challenge": asked["challenge"]["id"], "code": "424242"});
        let done = person.post("/api/v1/auth/verify-code", body).await.expect(StatusCode::OK).body;
        assert_eq!(done["status"], "signed_in");
        world.advance(Duration::from_secs(61));
    }
    let other = world.member().await;
    let asked = other.gives_password().await.expect(StatusCode::OK).body;
    let body = json!({"challenge": asked["challenge"]["id"], "code": "424242"});
    other.post("/api/v1/auth/verify-code", body).await.problem(401, "code-wrong");
}

#[tokio::test]
async fn a_number_loses_delays_and_fails_on_request() {
    let world = World::new().await;
    let me = here(&world);
    let set = |number: &str, rule: &str| {
        let form = format!("to={}&{rule}", number.replace('+', "%2B")).into_bytes();
        let me = me.clone();
        async move { me.send("POST", "/dev/phone/rules", Some((FORM, form))).await }
    };
    let lost = world.stranger();
    set(&lost.mobile, "does=lose").await.expect(StatusCode::SEE_OTHER);
    lost.signs_up().await.expect(StatusCode::CREATED);
    let late = world.stranger();
    set(&late.mobile, "does=normal&delay=1").await.expect(StatusCode::SEE_OTHER);
    late.signs_up().await.expect(StatusCode::CREATED);
    let failed = world.stranger();
    set(&failed.mobile, "does=fail").await.expect(StatusCode::SEE_OTHER);
    failed.signs_up().await.expect(StatusCode::CREATED);
    world.run_due().await;
    assert_eq!(world.messages(&late.mobile).await["items"], json!([]));
    let page = me.get("/dev/phone").await.expect(StatusCode::OK);
    assert!(String::from_utf8_lossy(&page.bytes).contains("lose messages and calls"));
    for _ in 0..300 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        if world.messages(&late.mobile).await["items"] != json!([]) {
            break;
        }
    }
    assert_eq!(world.messages(&late.mobile).await["items"].as_array().unwrap().len(), 1);
    assert_eq!(world.messages(&lost.mobile).await["items"], json!([]));
    for wrong in ["does=explode", "does=lose&delay=601", "does=lose&delay=x", "does=lose&more=1", ""] {
        let answer = set("+12025550143", wrong).await;
        assert!(answer.status.is_client_error(), "{wrong}: {}", answer.status);
    }
    let answer = set("12025550143", "does=lose").await;
    answer.problem(422, "invalid");
}

#[tokio::test]
async fn the_page_works_by_forms_alone_and_holds_nothing_inline() {
    let world = World::new().await;
    let alice = world.alice().await;
    let call = alice.post("/api/v1/calls", json!({"to": alice.mobile, "say": "Dinner is ready."})).await;
    call.expect(StatusCode::ACCEPTED);
    world.run_due().await;
    let me = here(&world);
    let page = || async {
        let page = me.get("/dev/phone").await.expect(StatusCode::OK);
        let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
        String::from_utf8(page.bytes).unwrap()
    };
    let mut html = page().await;
    for _ in 0..300 {
        if html.contains("Incoming call") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        html = page().await;
    }
    assert!(!html.contains("Dinner is ready"), "not before somebody answers");
    let action =
        html.split("action=\"").find_map(|rest| rest.split('"').next().filter(|to| to.contains("/calls/")));
    let action = action.unwrap().to_owned();
    let answer = me.send("POST", &action, Some((FORM, b"does=answer".to_vec()))).await;
    let answer = answer.expect(StatusCode::SEE_OTHER);
    assert_eq!(answer.headers[header::LOCATION], "/dev/phone");
    assert!(page().await.contains("Dinner is ready"));
    me.send("POST", &action, Some((FORM, b"does=hang_up".to_vec()))).await.expect(StatusCode::SEE_OTHER);
    assert!(!page().await.contains("In the call"));
    me.send("POST", &action, Some((FORM, b"does=answer".to_vec()))).await.problem(404, "not-found");
    me.send("POST", &action, Some((FORM, b"does=dance".to_vec()))).await.problem(422, "invalid");
    let listed = me.get("/dev/messages?kind=call").await.expect(StatusCode::OK).body;
    assert_eq!(listed["items"][0]["body"], "Dinner is ready.");
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}
