//! Proof on demand: what an operation asks for, and who may answer.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value as Json, json};
use vestibule::accounts::{Roles, User};
use vestibule::config::Period;
use vestibule::http::{openapi, postman};
use vestibule::policy::{Budget, FactorKind, Operation, Policy, ProofRule};
use vestibule::store::answer;

use crate::tokens::{carries_jwt, next};
use crate::world::{PASSWORD, Person, World};

const MINUTE: Duration = Duration::from_secs(60);

fn asks(policy: &mut Policy, name: &str, any: &[FactorKind], max_age: Duration) {
    let max_age = vestibule::config::Period(max_age);
    let proof = ProofRule { any: any.to_vec(), highest: false, max_age };
    policy.operation.set(name, Operation { never: false, proof, notify: vec![] });
}

async fn house() -> World {
    let plan = World::plan().policy(|policy| {
        asks(policy, "own.transfer", &[FactorKind::Sms], MINUTE * 5);
        asks(policy, "own.other", &[FactorKind::Sms], MINUTE * 5);
        asks(policy, "own.secret", &[FactorKind::Password], MINUTE * 5);
        asks(policy, "own.app", &[FactorKind::Totp], MINUTE * 5);
        policy.limits.send_address.limit = 1_000;
        policy.limits.send_number_short.limit = 1_000;
        policy.limits.send_number_day.limit = 1_000;
    });
    plan.build().await
}

impl Person<'_> {
    async fn authorizes(&self, operation: &str) -> crate::world::Answer {
        self.post("/api/v1/auth/authorize", json!({"operation": operation})).await
    }

    async fn steps_up(&self, operation: &str) -> Json {
        let body = json!({"operation": operation});
        self.post("/api/v1/auth/step-up", body).await.expect(StatusCode::OK).body
    }

    /// The right answer to a challenge that went to one's phone.
    async fn right(&self, challenge: &Json) -> Json {
        self.world.run_due().await;
        json!({"challenge": challenge["id"], "code": self.world.last_code(&self.mobile).await})
    }
}

#[tokio::test]
async fn a_stale_proof_is_asked_for_anew_and_then_the_operation_is_called_again() {
    let world = house().await;
    let alice = world.alice().await;
    // What was shown to sign in is fresh enough for as long as the rule says.
    alice.authorizes("own.transfer").await.expect(StatusCode::OK);
    world.advance(MINUTE * 5);
    alice.authorizes("own.transfer").await.expect(StatusCode::OK);
    world.advance(Duration::from_millis(1));
    let refused = alice.authorizes("own.transfer").await.problem(403, "step-up-required").body;
    assert_eq!(refused["operation"], "own.transfer");
    assert_eq!(refused["need"], json!({"factors": ["sms"], "max_age": 300}));
    assert_eq!(refused["start"], "/api/v1/auth/step-up");

    let challenge = alice.steps_up("own.transfer").await;
    assert_eq!((&challenge["purpose"], &challenge["factor"]), (&json!("step_up"), &json!("sms")));
    let right = alice.right(&challenge).await;
    let done = alice.post("/api/v1/auth/verify-code", right.clone()).await.expect(StatusCode::OK).body;
    assert_eq!(done, json!({"status": "verified", "operation": "own.transfer", "factor": "sms"}));
    let allowed = alice.authorizes("own.transfer").await.expect(StatusCode::OK).body;
    assert_eq!(allowed["allowed"], true);
    assert_eq!(allowed["proofs"].as_array().unwrap().len(), 1);
    // The answer is used up, and the proof grows old again.
    alice.post("/api/v1/auth/verify-code", right).await.problem(401, "code-gone");
    world.advance(MINUTE * 5 + Duration::from_millis(1));
    alice.authorizes("own.transfer").await.problem(403, "step-up-required");
}

/// What it asked for is still there once the session is shown again.
#[tokio::test]
async fn an_access_token_that_expires_meanwhile_is_told_as_that() {
    let world = house().await;
    let mut alice = world.alice().await;
    let refresh = carries_jwt(&mut alice).await;
    world.advance(MINUTE * 6);
    let refresh = next(&mut alice, &refresh).await;
    world.advance(MINUTE);
    let challenge = alice.steps_up("own.transfer").await;
    let right = alice.right(&challenge).await;
    world.advance(MINUTE * 4);
    alice.post("/api/v1/auth/verify-code", right.clone()).await.problem(401, "unauthenticated");
    let again = json!({"challenge": challenge["id"]});
    alice.post("/api/v1/auth/resend-code", again).await.problem(401, "unauthenticated");
    let none = json!({"challenge": "vc_no", "code": "123456"});
    alice.post("/api/v1/auth/verify-code", none).await.problem(401, "code-gone");
    next(&mut alice, &refresh).await;
    alice.post("/api/v1/auth/verify-code", right).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_proof_counts_for_its_own_operation_and_its_own_session_only() {
    let world = house().await;
    let mut alice = world.alice().await;
    let mut elsewhere = alice.clone();
    elsewhere.signs_in().await;
    world.advance(MINUTE * 6);
    let challenge = alice.steps_up("own.transfer").await;
    let right = alice.right(&challenge).await;
    // The code is right, and neither another session of the same user nor a stranger may show it.
    elsewhere.post("/api/v1/auth/verify-code", right.clone()).await.problem(401, "code-gone");
    world.stranger().post("/api/v1/auth/verify-code", right.clone()).await.problem(401, "code-gone");
    elsewhere
        .post("/api/v1/auth/resend-code", json!({"challenge": challenge["id"]}))
        .await
        .problem(401, "code-gone");
    alice.post("/api/v1/auth/verify-code", right).await.expect(StatusCode::OK);
    alice.authorizes("own.transfer").await.expect(StatusCode::OK);
    alice.authorizes("own.other").await.problem(403, "step-up-required");
    elsewhere.authorizes("own.transfer").await.problem(403, "step-up-required");
    // It raises nothing else.
    let me = alice.get("/api/v1/auth/authenticated").await.body;
    assert_eq!(me["session"]["amr"], json!(["pwd", "sms"]));
    // A new sign-in starts with what was shown for it.
    alice.signs_in().await;
    world.advance(MINUTE * 6);
    alice.authorizes("own.transfer").await.problem(403, "step-up-required");
}

#[tokio::test]
async fn the_kind_of_proof_counts_and_not_that_there_is_one() {
    let world = house().await;
    let alice = world.alice().await;
    let refused = alice.authorizes("own.app").await.problem(403, "factor-missing").body;
    assert_eq!(refused["need"]["factors"], json!(["totp"]));
    alice.post("/api/v1/auth/step-up", json!({"operation": "own.app"})).await.problem(403, "factor-missing");
    world.advance(MINUTE * 6);
    let body = json!({"operation": "own.transfer", "factor": "totp"});
    alice.post("/api/v1/auth/step-up", body).await.problem(403, "step-up-required");
    // A password where a code is asked for.
    let body = json!({"operation": "own.transfer", "password": PASSWORD});
    alice.post("/api/v1/auth/step-up", body).await.problem(403, "step-up-required");
    alice.authorizes("own.transfer").await.problem(403, "step-up-required");
}

#[tokio::test]
async fn a_password_is_shown_at_once_and_a_wrong_one_is_counted() {
    let world = house().await;
    let alice = world.alice().await;
    world.advance(MINUTE * 6);
    alice.authorizes("own.secret").await.problem(403, "step-up-required");
    let give = |password: &str| json!({"operation": "own.secret", "password": password});
    alice.post("/api/v1/auth/step-up", give("wrong")).await.problem(401, "credentials-wrong");
    alice
        .post("/api/v1/auth/step-up", json!({"operation": "own.secret"}))
        .await
        .problem(403, "step-up-required");
    let done = alice.post("/api/v1/auth/step-up", give(PASSWORD)).await.expect(StatusCode::OK).body;
    assert_eq!(done, json!({"status": "verified", "operation": "own.secret"}));
    alice.authorizes("own.secret").await.expect(StatusCode::OK);
    world.advance(MINUTE * 6);
    for _ in 0..10 {
        let answer = alice.post("/api/v1/auth/step-up", give("wrong")).await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            return;
        }
        answer.problem(401, "credentials-wrong");
    }
    alice.post("/api/v1/auth/step-up", give(PASSWORD)).await.problem(429, "limit-reached");
}

/// Two looks at the password a day, and what asks for it.
async fn house_of_two_looks() -> World {
    let plan = World::plan().policy(|policy| {
        asks(policy, "own.secret", &[FactorKind::Password], MINUTE);
        asks(policy, "password.change", &[], Duration::ZERO);
        policy.limits.sign_in_device = Budget { limit: 2, window: Period(MINUTE * 60 * 24) };
    });
    plan.build().await
}

#[tokio::test]
async fn the_right_password_uses_up_nothing_of_what_is_there_for_wrong_ones() {
    let world = house_of_two_looks().await;
    let alice = world.alice().await;
    let give = |password: &str| json!({"operation": "own.secret", "password": password});
    for _ in 0..3 {
        world.advance(MINUTE * 2);
        alice.post("/api/v1/auth/step-up", give(PASSWORD)).await.expect(StatusCode::OK);
    }
    world.advance(MINUTE * 2);
    for _ in 0..2 {
        alice.post("/api/v1/auth/step-up", give("wrong")).await.problem(401, "credentials-wrong");
    }
    alice.post("/api/v1/auth/step-up", give(PASSWORD)).await.problem(429, "limit-reached");
}

#[tokio::test]
async fn a_password_may_be_set_by_the_one_before_as_often_as_that_is_right() {
    let world = house_of_two_looks().await;
    let alice = world.alice().await;
    let change = |current: &str, new: &str| {
        let body = json!({"current_password": current, "new_password": new}).to_string().into_bytes();
        alice.send("PUT", "/api/v1/users/me/password", Some(("application/json", body)))
    };
    let one = |at: usize| format!("eight herons on pier {at}");
    change(PASSWORD, &one(0)).await.expect(StatusCode::NO_CONTENT);
    for at in 1..4 {
        change(&one(at - 1), &one(at)).await.expect(StatusCode::NO_CONTENT);
    }
    for _ in 0..2 {
        change("wrong", &one(4)).await.problem(401, "credentials-wrong");
    }
    change(&one(3), &one(4)).await.problem(429, "limit-reached");
}

#[tokio::test]
async fn what_is_never_done_and_what_nobody_named() {
    let world = house().await;
    let alice = world.alice().await;
    alice.authorizes("user.mobile.change").await.problem(403, "operation-never");
    for path in ["/api/v1/auth/step-up", "/api/v1/auth/authorize"] {
        let answer = alice.post(path, json!({"operation": "own.nothing"})).await.problem(422, "invalid");
        assert_eq!(answer.body["errors"][0]["field"], "operation");
    }
}

/// Tools send a credential where the document names a way for one, and nowhere else.
#[tokio::test]
async fn a_tool_that_goes_by_the_document_steps_up_sets_a_password_and_signs_out() {
    let world = house().await;
    let alice = world.alice().await;
    let document = openapi::document();
    let tool = |method: &str, path: &str| {
        let security = document["paths"][path][method]["security"].as_array().unwrap();
        let shows = security.iter().any(|way| way.get("bearer").is_some());
        let mut tool = alice.clone();
        tool.token = tool.token.filter(|_| shows);
        tool
    };
    world.advance(MINUTE * 6);
    let challenge = tool("post", "/api/v1/auth/step-up").steps_up("password.change").await;
    world.run_due().await;
    world.advance(MINUTE);
    let again = ("/api/v1/auth/resend-code", json!({"challenge": challenge["id"]}));
    tool("post", again.0).post(again.0, again.1).await.expect(StatusCode::OK);
    let answers = ("/api/v1/auth/verify-code", alice.right(&challenge).await);
    tool("post", answers.0).post(answers.0, answers.1).await.expect(StatusCode::OK);
    let asks = "/api/v1/auth/authenticated";
    assert_eq!(tool("get", asks).get(asks).await.body["authenticated"], true);
    let sets = "/api/v1/users/me/password";
    let body = json!({"current_password": PASSWORD, "new_password": "eight herons on the pier"});
    let body = Some(("application/json", body.to_string().into_bytes()));
    tool("put", sets).send("PUT", sets, body).await.expect(StatusCode::NO_CONTENT);
    assert!(alice.is_signed_in().await);
    let ends = "/api/v1/auth/logout";
    tool("post", ends).post(ends, json!({})).await.expect(StatusCode::NO_CONTENT);
    assert!(!alice.is_signed_in().await);
    // The collection is made of the document.
    let collection = postman::collection(&document);
    let items = collection["item"].as_array().unwrap().iter().flat_map(|one| one["item"].as_array().unwrap());
    let requests: Vec<_> = items.map(|item| &item["request"]).collect();
    for (path, shows) in [again.0, answers.0, asks, sets, ends]
        .map(|path| (path, true))
        .into_iter()
        .chain([("/api/v1/auth/login", false)])
    {
        let raw = format!("{{{{origin}}}}{path}");
        let mut found = requests.iter().filter(|request| request["url"]["raw"] == raw.as_str()).peekable();
        assert!(found.peek().is_some(), "{path}");
        assert!(found.all(|request| request.get("auth").is_none() == shows), "{path}");
    }
}

#[tokio::test]
async fn a_challenge_of_a_session_that_ended_asks_for_a_sign_in() {
    let world = house().await;
    let alice = world.alice().await;
    world.advance(MINUTE * 6);
    let challenge = alice.steps_up("own.transfer").await;
    let right = alice.right(&challenge).await;
    alice.post("/api/v1/auth/logout", json!({})).await.expect(StatusCode::NO_CONTENT);
    alice.post("/api/v1/auth/verify-code", right).await.problem(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_right_answers_at_once_are_one() {
    let world = house().await;
    let alice = world.alice().await;
    world.advance(MINUTE * 6);
    let challenge = alice.steps_up("own.transfer").await;
    let right = alice.right(&challenge).await;
    let tries = (0..64).map(|_| alice.post("/api/v1/auth/verify-code", right.clone()));
    let answers = futures_util::future::join_all(tries).await;
    let won = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_policy_takes_the_place_of_another_between_two_requests() {
    let world = house().await;
    let alice = world.alice().await;
    alice.authorizes("own.new").await.problem(422, "invalid");
    let policy = Policy::from_toml("operation.\"own.new\".never = false").unwrap();
    world.app.replace_policy(policy);
    alice.authorizes("own.new").await.expect(StatusCode::OK);
    alice.authorizes("own.transfer").await.problem(422, "invalid");
}

/// Gives `person` roles, as an operator would.
pub async fn promote(world: &World, person: &Person<'_>, roles: &[&str]) {
    let me = person.get("/api/v1/users/me").await.expect(StatusCode::OK).body;
    let id: uuid::Uuid = serde_json::from_value(me["id"].clone()).unwrap();
    let (ctx, roles) = (&world.ctx(), Roles(roles.iter().map(|role| (*role).to_owned()).collect()));
    let roles = &roles;
    ctx.decide(move |_| async move {
        let user = ctx.app.store.get::<User>(id).await?.unwrap();
        Ok(answer(()).update(&user.with(|user| user.set_roles(roles.clone()))))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn administrators_see_the_policy_and_others_do_not() {
    let world = house().await;
    let alice = world.alice().await;
    alice.get("/api/v1/admin/policy").await.problem(404, "not-found");
    promote(&world, &alice, &["support"]).await;
    alice.get("/api/v1/admin/policy").await.problem(404, "not-found");
    promote(&world, &alice, &["admin"]).await;
    let policy = alice.get("/api/v1/admin/policy").await.expect(StatusCode::OK).body;
    let named = |name: &str| {
        policy["operations"].as_array().unwrap().iter().find(|one| one["name"] == name).cloned().unwrap()
    };
    assert_eq!(named("own.transfer")["asks"], "sms, within 5m");
    assert_eq!(policy["faults"], Json::Null);
    world.app.refuse_policy("policy.toml line 1: not TOML.".to_owned());
    let policy = alice.get("/api/v1/admin/policy").await.expect(StatusCode::OK).body;
    assert_eq!(policy["faults"], "policy.toml line 1: not TOML.");

    let ask = json!({
        "operation": "own.transfer", "has": ["password", "sms"],
        "shown": [{"factor": "sms", "seconds_ago": 301}],
    });
    let told = alice.post("/api/v1/admin/policy/simulate", ask).await.expect(StatusCode::OK).body;
    assert_eq!((&told["verdict"], &told["need"]), (&json!("need"), &json!(["sms"])));
    let me = alice.get("/api/v1/users/me").await.body["id"].clone();
    let ask = json!({"operation": "own.app", "user": me});
    let told = alice.post("/api/v1/admin/policy/simulate", ask).await.expect(StatusCode::OK).body;
    assert_eq!(told["verdict"], "unable");
    let ask = json!({"operation": "own.app", "user": "00000000-0000-7000-8000-000000000000"});
    alice.post("/api/v1/admin/policy/simulate", ask).await.problem(404, "not-found");
}
