//! `/sessions`: one's own devices.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value as Json, json};

use vestibule::sessions::Session;

use crate::administration::{id_of, with_roles};
use crate::world::{Plan, World};

#[tokio::test]
async fn one_sees_and_ends_ones_own_sessions_and_nobody_elses() {
    let world = World::new().await;
    let alice = world.alice().await;
    let mut phone = alice.clone();
    phone.signs_in().await;
    let mallory = world.alice().await;

    let list = alice.get("/api/v1/sessions").await.expect(StatusCode::OK).body;
    let items = list["items"].as_array().unwrap().clone();
    assert_eq!(items.len(), 2);
    assert_eq!(items.iter().filter(|one| one["current"] == true).count(), 1);
    let other = items.iter().find(|one| one["current"] == false).unwrap()["id"].as_str().unwrap().to_owned();

    mallory.delete(&format!("/api/v1/sessions/{other}")).await.problem(404, "not-found");
    assert!(phone.is_signed_in().await);
    alice.delete(&format!("/api/v1/sessions/{other}")).await.expect(StatusCode::NO_CONTENT);
    assert!(!phone.is_signed_in().await);
    assert!(alice.is_signed_in().await);
    alice.delete(&format!("/api/v1/sessions/{other}")).await.problem(404, "not-found");
    alice.delete("/api/v1/sessions/not-an-id").await.problem(404, "not-found");
}

#[tokio::test]
async fn signing_out_of_the_others_and_of_all() {
    let world = World::new().await;
    let first = world.alice().await;
    let (mut second, mut third) = (first.clone(), first.clone());
    second.signs_in().await;
    third.signs_in().await;
    first.post("/api/v1/auth/logout", json!({"scope": "others"})).await.expect(StatusCode::NO_CONTENT);
    assert!(first.is_signed_in().await);
    assert!(!second.is_signed_in().await && !third.is_signed_in().await);
    world.advance(Duration::from_secs(3_600 - 60));
    second.signs_in().await;
    first.post("/api/v1/auth/logout", json!({"scope": "all"})).await.expect(StatusCode::NO_CONTENT);
    assert!(!first.is_signed_in().await && !second.is_signed_in().await);
    first.post("/api/v1/auth/logout", json!({"scope": "everything"})).await.problem(422, "invalid");
}

#[tokio::test]
async fn signing_out_of_all_also_ends_what_was_only_begun() {
    let world = World::new().await;
    let alice = world.alice().await;
    let begun = alice.gives_password().await.expect(StatusCode::OK).body["challenge"]["id"].clone();
    world.run_due().await;
    let code = world.last_code(&alice.mobile).await;
    world.advance(Duration::from_millis(1));
    alice.post("/api/v1/auth/logout", json!({"scope": "all"})).await.expect(StatusCode::NO_CONTENT);
    alice.post("/api/v1/auth/resend-code", json!({"challenge": begun})).await.problem(401, "code-gone");
    let answer = json!({"challenge": begun, "code": code});
    alice.post("/api/v1/auth/verify-code", answer).await.problem(401, "code-gone");
}

#[tokio::test]
async fn lists_are_read_page_by_page_with_cursors_that_cannot_be_made_up() {
    let world = World::plan()
        .policy(|policy| {
            policy.limits.send_number_short.limit = 100;
            policy.limits.sign_in_identifier.limit = 100;
        })
        .build()
        .await;
    let mut alice = world.alice().await;
    for _ in 0..6 {
        alice.signs_in().await;
    }
    let mut seen = Vec::new();
    let mut path = "/api/v1/sessions?limit=3".to_owned();
    loop {
        let page = alice.get(&path).await.expect(StatusCode::OK).body;
        seen.extend(page["items"].as_array().unwrap().iter().map(|one| one["id"].to_string()));
        match page["next"].as_str() {
            Some(next) => path = format!("/api/v1/sessions?limit=3&after={next}"),
            None => break,
        }
    }
    let all = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!((all, seen.len()), (7, 7));

    let page = alice.get("/api/v1/sessions?limit=3").await.body;
    let next = page["next"].as_str().unwrap();
    let mallory = world.alice().await;
    for made_up in ["", "x", "W10", &next[..next.len() - 2], &format!("{next}AA"), &next.to_lowercase()] {
        alice.get(&format!("/api/v1/sessions?after={made_up}")).await.problem(400, "malformed-request");
    }
    let theirs = mallory.get(&format!("/api/v1/sessions?after={next}")).await;
    assert!(theirs.body["items"].as_array().is_none_or(|items| items.len() <= 1), "never somebody else's");
    for bad in ["limit=0", "limit=201", "limit=x", "limit=-1", "nonsense=1"] {
        let answer = alice.get(&format!("/api/v1/sessions?{bad}")).await;
        assert!(answer.status.is_client_error(), "{bad}: {}", answer.status);
    }
}

#[tokio::test]
async fn one_more_than_the_policy_allows_ends_the_one_that_was_used_longest_ago() {
    let plan = Plan::default().policy(crate::world::unlimited);
    let world = plan.policy(|policy| policy.session.at_most = 3).build().await;
    let first = world.alice().await;
    let mut others = vec![first.clone(), first.clone(), first.clone()];
    for other in &mut others {
        world.advance(Duration::from_secs(120));
        // Used again and again, so that it is not the one used longest ago, although it is the oldest.
        assert!(first.is_signed_in().await);
        other.signs_in().await;
    }
    assert!(first.is_signed_in().await && others[1].is_signed_in().await && others[2].is_signed_in().await);
    assert!(!others[0].is_signed_in().await, "the fourth ended it");
    let ended = first.get("/api/v1/activity").await.expect(StatusCode::OK).body;
    assert!(ended["items"].as_array().unwrap().iter().any(|one| one["event"] == "signed_out"), "{ended}");

    // Fewer than there are: one sign-in sets it right.
    let mut policy = (*world.app.policy()).clone();
    policy.session.at_most = 1;
    world.app.replace_policy(policy);
    let mut only = first.clone();
    only.signs_in().await;
    assert!(only.is_signed_in().await && !first.is_signed_in().await);
    assert!(!others[1].is_signed_in().await && !others[2].is_signed_in().await);
}

#[tokio::test]
async fn the_last_use_is_written_down_once_a_minute_and_not_with_each_request() {
    let world = World::new().await;
    let alice = world.alice().await;
    let list = alice.get("/api/v1/sessions").await.body;
    let id = list["items"][0]["id"].as_str().unwrap().parse().unwrap();
    let written = async || format!("{:?}", world.app.store.get::<Session>(id).await.unwrap().unwrap());
    let before = written().await;
    for _ in 0..30 {
        world.advance(Duration::from_millis(1_900));
        assert!(alice.is_signed_in().await);
        alice.get("/api/v1/users/me").await.expect(StatusCode::OK);
    }
    assert_eq!(written().await, before, "not one write, revision included");
    world.advance(Duration::from_secs(3));
    assert!(alice.is_signed_in().await);
    assert_ne!(written().await, before);
}

#[tokio::test]
async fn a_session_of_who_acts_no_more_is_not_shown() {
    let world = crate::matrix::plan().build().await;
    let (admin, other) = (with_roles(&world, &["admin"]).await, with_roles(&world, &["admin"]).await);
    let alice = world.alice().await;
    let path = format!("/api/v1/admin/users/{}", id_of(&alice).await);
    let ask = json!({"reason": "Ticket 4711", "minutes": 15});
    admin.post(&format!("{path}/act"), ask).await.expect(StatusCode::CREATED);
    let shown = async || {
        let acting = |body: Json| {
            let items = body["items"].as_array().unwrap().clone();
            (items.iter().filter(|one| one.get("acting").is_some()).count(), items.len())
        };
        let own = alice.get("/api/v1/sessions").await.expect(StatusCode::OK).body;
        let staffs = other.get(&format!("{path}/sessions")).await.expect(StatusCode::OK).body;
        (acting(own), acting(staffs))
    };
    assert_eq!(shown().await, ((1, 2), (1, 2)));
    admin.post("/api/v1/auth/logout", json!({})).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(shown().await, ((0, 1), (0, 1)), "it went with the session that it rested on");
}
