//! Passwords that come from elsewhere: imported hashes, stolen lists, and what is said of one before it is
//! chosen.

use std::path::PathBuf;

use axum::http::StatusCode;
use serde_json::{Value as Json, json};
use vestibule::breached;
use vestibule::hashing::imported;
use vestibule::passwords::Password;
use vestibule::random::Random;
use vestibule::secret::Keyring;
use vestibule::store::Change;

use crate::world::{PASSWORD, Person, World};

/// Of `Schöne Grüße 2030`, by Django, passlib, bcrypt and Supabase.
const FOREIGN: [&str; 5] = [
    "pbkdf2_sha256$1000$seasalt$HuY4OVT+fGBcNLQlOdRnaUUGHhIXOae2cz337oRedXo=",
    "$scrypt$ln=4,r=8,p=1$c2FsdHNhbHRzYWx0$CIniORsIz+4DNNHCDNPeA65aFsE+KkClqApYOGP30q0",
    "$2b$04$bxRvLzE76cJgOidBl0zaueLUFekObD7MGWuEFtttolCE9Z0tuZIfW",
    "$argon2d$v=16$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$BCB0ZKL2Fc1VKIXGsqBiYdtScfInz2Y+Iti11Y/mwZk",
    "$fbscrypt$v=1,n=4,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$BtLZm7C7ad4oRqdGf4HhvFYFmCTBy1x7XVWCmKVAsHFKuZUdvjftLQgDXZB6C82acBejvTRV+QyxdBWUE0UYHQ==",
];

async fn member<'w>(world: &'w World, hash: &str) -> (Person<'w>, uuid::Uuid) {
    let person = world.stranger();
    let made = person.signs_up().await.expect(StatusCode::CREATED).body;
    let id = serde_json::from_value(made["user"]["id"].clone()).unwrap();
    let seen = world.app.store.get::<Password>(id).await.unwrap().unwrap();
    let hash = imported(hash).unwrap();
    let seen = seen.with(|password| password.phc = hash);
    world.app.store.commit(vec![Change::update(&seen)]).await.unwrap();
    (person, id)
}

async fn stored(world: &World, id: uuid::Uuid) -> String {
    world.app.store.get::<Password>(id).await.unwrap().unwrap().phc.clone()
}

async fn tries(person: &Person<'_>, password: &str) -> StatusCode {
    let body = json!({"identifier": person.username, "password": password});
    person.post("/api/v1/auth/login", body).await.status
}

#[tokio::test]
async fn an_imported_hash_signs_in_and_becomes_one_of_today() {
    let world = World::new().await;
    for hash in FOREIGN {
        let (person, id) = member(&world, hash).await;
        let before = stored(&world, id).await;
        assert!(!before.starts_with("$argon2id$v=19$"), "{before}");
        assert_eq!(tries(&person, "Schöne Grüße 2031").await, StatusCode::UNAUTHORIZED, "{hash}");
        assert_eq!(stored(&world, id).await, before, "a wrong password changes nothing");
        assert_eq!(tries(&person, "Schöne Grüße 2030").await, StatusCode::OK, "{hash}");
        let after = stored(&world, id).await;
        assert!(after.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{after}");
        assert_eq!(tries(&person, "Schöne Grüße 2030").await, StatusCode::OK, "{hash}");
        assert_eq!(stored(&world, id).await, after, "once");
    }
}

#[tokio::test]
async fn what_bcrypt_cut_off_signs_in_and_stays_as_it_is() {
    let world = World::new().await;
    let hash = "$2b$04$hx5Tw9u6p5743cSeYK28Hu0kSe6cNiDd10Sl6wJjczpahd5GV6JgS";
    let (person, id) = member(&world, hash).await;
    let longer = "a".repeat(73);
    assert_eq!(tries(&person, &longer).await, StatusCode::OK);
    assert_eq!(stored(&world, id).await, hash, "nobody knows whether its end was right");
    assert_eq!(tries(&person, &longer[..71]).await, StatusCode::UNAUTHORIZED);
    assert_eq!(tries(&person, &longer[..72]).await, StatusCode::OK);
    assert!(stored(&world, id).await.starts_with("$argon2id$"));
    assert_eq!(tries(&person, &longer).await, StatusCode::UNAUTHORIZED, "all of it counts from now on");
}

#[tokio::test]
async fn a_hash_that_cannot_be_read_or_costs_too_much_is_nobodys() {
    let world = World::new().await;
    let person = world.stranger();
    let made = person.signs_up().await.expect(StatusCode::CREATED).body;
    let id = serde_json::from_value(made["user"]["id"].clone()).unwrap();
    for hash in [
        "",
        "rubbish",
        "$2b$31$bxRvLzE76cJgOidBl0zaueLUFekObD7MGWuEFtttolCE9Z0tuZIfW",
        "$scrypt$ln=30,r=8,p=1$c2FsdHNhbHRzYWx0$CIniORsIz+4DNNHCDNPeA65aFsE+KkClqApYOGP30q0",
        "$firebase-scrypt$ln=4,r=8,p=1$42xEC+ixf3L2lw$BtLZm7C7ad4oRqdGf4HhvFYFmCTBy1x7XVWCmKVAsHFKuZUdvjftLQgDXZB6C82acBejvTRV+QyxdBWUE0UYHQ",
    ] {
        let seen = world.app.store.get::<Password>(id).await.unwrap().unwrap();
        let seen = seen.with(|password| password.phc = hash.to_owned());
        world.app.store.commit(vec![Change::update(&seen)]).await.unwrap();
        let began = std::time::Instant::now();
        assert_eq!(tries(&person, PASSWORD).await, StatusCode::UNAUTHORIZED, "{hash}");
        assert!(began.elapsed() < std::time::Duration::from_secs(5), "{hash}");
    }
}

#[tokio::test]
async fn a_pepper_is_mixed_in_at_the_next_sign_in() {
    let pepper = Keyring::generate("one", &Random::seeded(3));
    let world = World::plan().config(move |config| config.secrets.peppers = vec![pepper]).build().await;
    let (person, id) = member(&world, FOREIGN[2]).await;
    assert_eq!(tries(&person, "Schöne Grüße 2030").await, StatusCode::OK);
    assert!(stored(&world, id).await.contains(",keyid=b25l$"));
    assert_eq!(tries(&person, "Schöne Grüße 2030").await, StatusCode::OK);
}

/// A filter of one password, gone when it is dropped.
struct Filter(PathBuf);

impl Filter {
    fn of(name: &str, list: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vestibule-it-{name}-{}", std::process::id()));
        breached::build(list.as_bytes(), &path, &mut |_| {}).unwrap();
        Self(path)
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn told(answer: &Json) -> Vec<String> {
    let errors = answer["errors"].as_array().cloned().unwrap_or_default();
    errors.iter().map(|one| format!("{}:{}", one["field"], one["code"]).replace('"', "")).collect()
}

#[tokio::test]
async fn a_stolen_password_cannot_be_chosen_and_still_signs_in() {
    let filter = Filter::of("stolen", "violet kettle forty moons\n");
    let path = filter.0.to_str().unwrap().to_owned();
    let world = World::plan().config(|config| config.password.breached = path).build().await;
    let person = world.stranger();
    let mut body = person.account();
    body["password"] = json!("violet kettle forty moons");
    let answer = person.post("/api/v1/users", body.clone()).await.problem(422, "invalid");
    assert_eq!(told(&answer.body), ["password:breached"]);
    let sentence = answer.body["errors"][0]["message"].as_str().unwrap();
    assert!(sentence.contains("stolen") && sentence.contains("Choose one"), "{sentence}");
    body["password"] = json!("violet kettle forty suns");
    person.post("/api/v1/users", body).await.expect(StatusCode::CREATED);

    // Whoever had it before the list came is let in: it is asked for when it is chosen, not when it is used.
    let ctx = world.ctx();
    let (other, id) = member(&world, FOREIGN[0]).await;
    let phc =
        ctx.app.hashing.hash(vestibule::secret::Secret::new("violet kettle forty moons"), [1; 16]).await;
    let seen = world.app.store.get::<Password>(id).await.unwrap().unwrap();
    let seen = seen.with(|password| password.phc = phc.unwrap());
    world.app.store.commit(vec![Change::update(&seen)]).await.unwrap();
    assert_eq!(tries(&other, "violet kettle forty moons").await, StatusCode::OK);

    let strength = json!({"password": "violet kettle forty moons"});
    let answer = other.post("/api/auth/password-strength", strength).await.expect(StatusCode::OK).body;
    assert_eq!((&answer["acceptable"], &answer["score"]), (&json!(false), &json!(0)));
    assert_eq!(told(&answer), ["password:breached"]);
}

#[tokio::test]
async fn what_is_said_of_a_password_before_it_is_chosen() {
    let world = World::new().await;
    let person = world.stranger();
    for mount in ["/api/v1", "/api"] {
        let path = format!("{mount}/auth/password-strength");
        let ask = async |body: Json| person.post(&path, body).await.expect(StatusCode::OK).body;
        let good = ask(json!({"password": PASSWORD, "username": "ada"})).await;
        assert_eq!(
            (&good["acceptable"], &good["score"], &good["errors"]),
            (&json!(true), &json!(4), &json!([]))
        );
        for (body, code) in [
            (json!({"password": "password"}), "common"),
            (json!({"password": "short"}), "too-short"),
            (json!({"password": "lovelace-1815", "name": "Ada Lovelace"}), "context"),
            (json!({"password": "l0vel@ce", "email": "ada@lovelace.example"}), "context"),
            (json!({"password": "x".repeat(50_000)}), "too-long"),
            (json!({"password": "nul\u{0}nul\u{0}nul"}), "invalid"),
        ] {
            let said = ask(body).await;
            assert_eq!(said["acceptable"], false, "{said}");
            assert_eq!(told(&said), [format!("password:{code}")]);
        }
        let weak = ask(json!({"password": "monkey"})).await;
        assert!(
            weak["warning"].is_string()
                && weak["suggestions"].as_array().is_some_and(|some| !some.is_empty())
        );
        let said = person.post(&path, json!({"password": "kq8#vL2xnW5z"})).await;
        assert!(!String::from_utf8_lossy(&said.bytes).contains("kq8#"), "it is never repeated");
        let answer = person.post(&path, json!({})).await.problem(422, "invalid");
        assert_eq!(told(&answer.body), ["password:missing"]);
        person.post(&path, json!({"password": "a", "pasword": "a"})).await.problem(422, "invalid");
    }
}

#[tokio::test]
async fn asking_for_strength_is_limited_by_address() {
    let world =
        World::plan().policy(|policy| policy.limits.password_strength_address.limit = 3).build().await;
    let (one, other) = (world.stranger(), world.stranger());
    let path = "/api/v1/auth/password-strength";
    for _ in 0..3 {
        one.post(path, json!({"password": "x"})).await.expect(StatusCode::OK);
    }
    let answer = one.post(path, json!({"password": "x"})).await.problem(429, "limit-reached");
    assert_eq!(answer.body["limit"], "password-strength-address");
    other.post(path, json!({"password": "x"})).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn ones_own_name_is_no_password_and_may_be_part_of_one() {
    let world = World::new().await;
    let person = world.stranger();
    let mut body = person.account();
    body["name"] = json!("Grace Brewster Hopper");
    for password in ["Brewster1906", "gracehopper!", "h0pp3r-grac3", &format!("{}2030", person.username)] {
        body["password"] = json!(password);
        let answer = person.post("/api/v1/users", body.clone()).await.problem(422, "invalid");
        assert_eq!(told(&answer.body), ["password:context"], "{password}");
    }
    body["password"] = json!("a hopper of seven lanterns");
    person.post("/api/v1/users", body).await.expect(StatusCode::CREATED);
}
