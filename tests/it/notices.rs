//! `notify` in a policy: whoever it names is told, or the policy is refused.

use axum::http::StatusCode;
use futures_util::future::join_all;
use serde_json::{Value as Json, json};
use uuid::Uuid;
use vestibule::messages::Message;
use vestibule::policy::{Notify, Operation, Policy, ProofRule, operation};
use vestibule::store::Query;

use crate::administration::{id_of, put, with_roles};
use crate::factors::binds;
use crate::organizations::{founded, joins};
use crate::recovery::owner;
use crate::world::{Answer, PASSWORD, Person, World, unlimited};

/// The operations of which a policy may have users told.
fn telling() -> Vec<&'static str> {
    let mut all = Vec::new();
    for name in operation::OWN.iter().copied().chain(["payments.transfer"]) {
        match Policy::from_toml(&format!("operation.\"{name}\".notify = [\"user\"]")) {
            Ok(_) => all.push(name),
            Err(faults) => {
                let said = format!("policy line 1: operation.{name}.notify must be empty: ");
                assert!(faults.to_string().starts_with(&said), "{faults}");
            }
        }
    }
    all
}

/// What was sent to this user, by what it was for.
async fn told(world: &World, user: Uuid) -> Vec<String> {
    let all = world.app.store.find(Query::<Message>::along(Message::BY_USER).equal(user)).await.unwrap();
    all.items.into_iter().map(|one| one.into_inner().purpose).collect()
}

async fn patch(person: &Person<'_>, path: &str, body: Json) -> Answer {
    person.send("PATCH", path, Some(("application/json", body.to_string().into_bytes()))).await
}

/// Does the operation `name`: what its user is told then, and who that is.
async fn does<'w>(world: &'w World, admin: &Person<'w>, name: &str) -> (&'static str, Uuid) {
    const ME: &str = "/api/v1/users/me";
    let alice = owner(world).await;
    let id = id_of(&alice).await;
    let of = |rest: &str| format!("/api/v1/admin/users/{id}{rest}");
    let (ok, nothing) = (StatusCode::OK, StatusCode::NO_CONTENT);
    let what = match name {
        operation::USERNAME_CHANGE => {
            patch(&alice, ME, json!({"username": format!("{}-x", alice.username)})).await.expect(ok);
            "username_changed"
        }
        operation::EMAIL_CHANGE => {
            patch(&alice, ME, json!({"email": "other@example.org"})).await.expect(ok);
            "email_change_asked"
        }
        operation::MOBILE_CHANGE => {
            let asked = patch(&alice, ME, json!({"mobile": "+12025559901"})).await.expect(ok).body;
            world.run_due().await;
            let code = world.last_code("+12025559901").await;
            let body = json!({"challenge": asked["verification"]["id"], "code": code});
            alice.post("/api/v1/auth/verify-code", body).await.expect(ok);
            "mobile_changed"
        }
        operation::DELETE => {
            alice.delete(ME).await.expect(nothing);
            "account_deleted"
        }
        operation::EXPORT => {
            alice.get("/api/v1/users/me/export").await.expect(ok);
            "data_exported"
        }
        operation::PASSWORD_CHANGE => {
            let body = json!({"current_password": PASSWORD, "new_password": "nine slow barges at the weir"});
            put(&alice, "/api/v1/users/me/password", body).await.expect(nothing);
            "password_changed"
        }
        operation::FACTOR_ADD => {
            binds(&alice).await;
            "factor_added"
        }
        operation::FACTOR_REMOVE => {
            binds(&alice).await;
            let all = alice.get("/api/v1/factors").await.expect(ok).body;
            let app = all["items"].as_array().unwrap().iter().find(|one| one["kind"] == "totp").unwrap();
            let app = format!("/api/v1/factors/{}", app["id"].as_str().unwrap());
            alice.delete(&app).await.expect(nothing);
            "factor_removed"
        }
        operation::RECOVERY_CODES_MAKE => {
            alice.post("/api/v1/factors/recovery-codes", json!({})).await.expect(StatusCode::CREATED);
            "recovery_codes_made"
        }
        operation::ORGANIZATION_ACT => {
            let founder = owner(world).await;
            let acme = founded(&founder, "Acme").await;
            joins(&founder, acme, &alice, "member").await;
            let act = format!("/api/v1/organizations/{acme}/members/{id}/act");
            founder
                .post(&act, json!({"reason": "Ticket 4711", "minutes": 15}))
                .await
                .expect(StatusCode::CREATED);
            "acted_on_behalf"
        }
        operation::ADMIN_USERS_CHANGE => {
            patch(admin, &of(""), json!({"name": "Ada"})).await.expect(ok);
            "account_changed"
        }
        operation::ADMIN_USERS_ROLES => {
            put(admin, &of("/roles"), json!({"roles": ["caller"]})).await.expect(nothing);
            "roles_changed"
        }
        operation::ADMIN_USERS_SUSPEND => {
            admin.post(&of("/suspend"), json!({"reason": "spam"})).await.expect(nothing);
            "suspended"
        }
        operation::ADMIN_USERS_DELETE => {
            admin.delete(&of("")).await.expect(nothing);
            "account_removed"
        }
        operation::ADMIN_USERS_END_SESSIONS => {
            admin.post(&of("/end-sessions"), json!({})).await.expect(nothing);
            "sessions_ended"
        }
        operation::ADMIN_USERS_RESET_FACTORS => {
            admin.post(&of("/reset-factors"), json!({})).await.expect(ok);
            "factors_reset"
        }
        operation::ADMIN_USERS_ACT => {
            let ask = json!({"reason": "Ticket 4711", "minutes": 15});
            admin.post(&of("/act"), ask).await.expect(StatusCode::CREATED);
            "acted_on_behalf"
        }
        other => panic!("a policy may have users told of {other}: do it here"),
    };
    (what, id)
}

#[tokio::test]
async fn whoever_a_policy_names_is_told_or_the_policy_is_refused() {
    let all = telling();
    assert!(all.len() > 15 && !all.contains(&"payments.transfer"), "{all:?}");
    let named = all.clone();
    let plan = World::plan().policy(unlimited).policy(move |policy| {
        for name in operation::OWN {
            let max_age = policy.operation.get(name).unwrap().proof.max_age;
            let proof = ProofRule { any: Vec::new(), highest: false, max_age };
            let notify = if named.contains(name) { vec![Notify::User] } else { Vec::new() };
            policy.operation.set(name, Operation { never: false, proof, notify });
        }
    });
    let world = plan.build().await;
    let admin = with_roles(&world, &["admin"]).await;
    for name in all {
        let (what, user) = does(&world, &admin, name).await;
        let told = told(&world, user).await;
        assert!(told.iter().any(|one| one == what), "{name}: {told:?}");
    }
}

#[tokio::test]
async fn nobody_is_told_of_what_the_policy_does_not_name() {
    let world = World::plan().policy(unlimited).build().await;
    let admin = with_roles(&world, &["admin"]).await;
    for name in [operation::EXPORT, operation::ADMIN_USERS_CHANGE] {
        let (what, user) = does(&world, &admin, name).await;
        assert!(!told(&world, user).await.iter().any(|one| one == what), "{name}");
    }
}

/// A right code, however often it is given at once, opens one session, of which its user is told; and of the next one
/// of the same day as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_haste_keeps_a_user_from_being_told_of_a_sign_in() {
    let told_of = |policy: &mut Policy| policy.limits.send_notice.limit = 10;
    let world = World::plan().policy(unlimited).policy(told_of).build().await;
    let alice = owner(&world).await;
    let id = id_of(&alice).await;
    for round in 1..=2 {
        world.advance(std::time::Duration::from_secs(60));
        let mut elsewhere = alice.clone();
        (elsewhere.ip, elsewhere.token) = ([198, 51, 100, round].into(), None);
        let asked = elsewhere.gives_password().await.expect(StatusCode::OK).body;
        world.run_due().await;
        let code = world.last_code(&alice.mobile).await;
        let body = json!({"challenge": asked["challenge"]["id"], "code": code});
        let gives = || elsewhere.post("/api/v1/auth/verify-code", body.clone());
        let answers = join_all((0..64).map(|_| gives())).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == StatusCode::OK).count(), 1);
        let told = told(&world, id).await;
        assert_eq!(told.iter().filter(|one| *one == "new_device").count(), usize::from(round), "{told:?}");
    }
}
