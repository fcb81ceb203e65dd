//! Changing the sealing keys: what an old one holds is told and sealed anew, and nobody is locked out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use uuid::Uuid;
use vestibule::accounts::User;
use vestibule::audit::chain;
use vestibule::factors::Factor;
use vestibule::keys;
use vestibule::policy::FactorKind;
use vestibule::random::Random;
use vestibule::secret::{Keyring, Secret};
use vestibule::store::Change;
use vestibule::{schema, sealing};

use crate::incidents::{binds_app, shown};
use crate::kill::server::{Scratch, bare_vestibule};
use crate::world::{Answer, World};

/// What is sealed for as long as its record is there, and so must be sealed anew.
const LASTS: [&str; 2] = ["factors.secret", "signing_keys.private"];

/// What is sealed until it was sent, answered or told again, a day at most.
const RUNS_OUT: [&str; 7] = [
    "calls.callback_sealed",
    "calls.say",
    "challenges.code",
    "messages.body",
    "messages.callback_sealed",
    "replays.answer",
    "begun_sign_ins.challenge",
];

/// The keys of these names; the first seals.
fn ring(ids: &[&str]) -> Vec<Secret> {
    // `test` is the one that a house under test has.
    ids.iter().map(|id| Keyring::generate(id, &Random::seeded(if *id == "test" { 1 } else { 2 }))).collect()
}

/// What lasts, by key and table.
async fn lasting(world: &World) -> BTreeMap<(String, &'static str), i64> {
    let held = sealing::held(world.app.store.engine()).await.unwrap();
    let lasts = |table: &str| LASTS.iter().any(|column| column.starts_with(&format!("{table}.")));
    held.into_iter().filter(|one| lasts(one.table)).map(|one| ((one.key, one.table), one.count)).collect()
}

/// Somebody with an app signs in anew.
async fn signs_in(world: &World, username: &str, app: &str) -> Answer {
    let mut person = world.stranger();
    username.clone_into(&mut person.username);
    world.advance(Duration::from_secs(30));
    let asked = person.gives_password().await.expect(StatusCode::OK).body["challenge"].clone();
    assert_eq!(asked["factor"], "totp");
    let body = json!({"challenge": asked["id"], "code": shown(world, app)});
    person.post("/api/v1/auth/verify-code", body).await
}

#[tokio::test]
async fn an_old_key_may_go_once_what_it_holds_was_sealed_anew() {
    let mut world = World::new().await;
    let (username, app) = {
        let alice = world.alice().await;
        let app = binds_app(&alice).await;
        (alice.username.clone(), app)
    };
    let token = keys::sign(&world.ctx(), vestibule::jwt::Purpose::Access, b"{}").await.unwrap();
    let of =
        |key: &str| BTreeMap::from([((key.to_owned(), "factors"), 1), ((key.to_owned(), "signing_keys"), 1)]);
    assert_eq!(lasting(&world).await, of("test"));

    world.restart(|config| config.secrets.keys = ring(&["next", "test"]));
    signs_in(&world, &username, &app).await.expect(StatusCode::OK);
    assert_eq!(lasting(&world).await, of("test"), "signing in seals nothing anew");

    // Too early: what the old one holds is not opened, and it is told which one that is.
    world.restart(|config| config.secrets.keys = ring(&["next"]));
    signs_in(&world, &username, &app).await.problem(500, "internal");
    assert_eq!(lasting(&world).await, of("test"));
    assert_eq!(sealing::reseal(&world.ctx()).await.unwrap(), 0, "what does not open stays as it is");
    assert_eq!(lasting(&world).await, of("test"));

    world.restart(|config| config.secrets.keys = ring(&["next", "test"]));
    assert_eq!(sealing::reseal(&world.ctx()).await.unwrap(), 2);
    assert_eq!(sealing::reseal(&world.ctx()).await.unwrap(), 0, "once is enough");
    assert_eq!(lasting(&world).await, of("next"));

    world.restart(|config| config.secrets.keys = ring(&["next"]));
    signs_in(&world, &username, &app).await.expect(StatusCode::OK);
    assert_eq!(keys::open(&world.ctx(), &token).await.unwrap().as_deref(), Some(b"{}".as_slice()));
    let again = keys::sign(&world.ctx(), vestibule::jwt::Purpose::Access, b"{}").await.unwrap();
    assert_eq!(again.split('.').next(), token.split('.').next(), "the same key signs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_meanwhile_each_is_sealed_anew_once() {
    const MANY: u128 = 250;
    let mut world = World::new().await;
    let (username, app) = {
        let alice = world.alice().await;
        let app = binds_app(&alice).await;
        (alice.username.clone(), app)
    };
    let now = world.app.clock.now();
    let user = User::new(Uuid::from_u128(9), now);
    let made = |n| {
        let mut factor = Factor::known(Uuid::from_u128(n), user.id, FactorKind::Totp, now);
        let context = Factor::context(factor.id);
        factor.secret = Some(world.app.keyring.seal(&context, &n.to_be_bytes(), &world.app.random));
        Change::insert(&factor)
    };
    let changes = (1..=MANY).map(made).chain([Change::insert(&user)]).collect();
    world.app.store.commit(changes).await.unwrap();

    world.restart(|config| config.secrets.keys = ring(&["next", "test"]));
    let reseals: Vec<_> = (0..8)
        .map(|_| {
            let ctx = world.ctx();
            tokio::spawn(async move { sealing::reseal(&ctx).await.unwrap() })
        })
        .collect();
    for _ in 0..3 {
        signs_in(&world, &username, &app).await.expect(StatusCode::OK);
    }
    let mut count = 0;
    for reseal in reseals {
        count += reseal.await.unwrap();
    }
    assert_eq!(u128::try_from(count).unwrap(), MANY + 1);
    world.restart(|config| config.secrets.keys = ring(&["next"]));
    for n in 1..=MANY {
        let factor = world.app.store.get::<Factor>(Uuid::from_u128(n)).await.unwrap().unwrap();
        let context = Factor::context(factor.id);
        let key = world.app.keyring.open(&context, factor.secret.as_ref().unwrap()).unwrap();
        assert_eq!(key.as_slice(), n.to_be_bytes());
    }
    signs_in(&world, &username, &app).await.expect(StatusCode::OK);
}

#[test]
fn all_that_is_sealed_is_sealed_anew_or_runs_out() {
    let columns = schema::tables().into_iter().flat_map(|table| {
        let sealed = table.columns.iter().filter(|column| column.sealed);
        sealed.map(|column| format!("{}.{}", table.name, column.name))
    });
    let known = LASTS.into_iter().chain(RUNS_OUT).map(str::to_owned);
    assert_eq!(columns.collect::<BTreeSet<_>>(), known.collect());
}

#[tokio::test]
async fn a_block_of_the_chain_is_looked_at_with_the_key_that_sealed_it() {
    let mut world = World::new().await;
    let report = async |world: &World| chain::verify(&world.ctx(), None, async |_| Ok(false)).await.unwrap();
    for keys in [["test", "next"], ["next", "test"]] {
        world.restart(|config| config.secrets.keys = ring(&keys));
        world.member().await;
        chain::seal_all(&world.ctx()).await.unwrap();
    }
    let seen = report(&world).await;
    assert!(seen.faults.is_empty() && seen.keys.values().sum::<u64>() == seen.blocks, "{seen:?}");
    assert_eq!(seen.keys.keys().collect::<Vec<_>>(), ["next", "test"]);
    world.restart(|config| config.secrets.keys = ring(&["next"]));
    let without = report(&world).await;
    assert_eq!(without.keys.keys().collect::<Vec<_>>(), ["next"]);
    let known = without.blocks - without.keys["next"];
    assert!(known > 0 && without.faults.iter().all(|fault| fault.block <= known.try_into().unwrap()));
}

#[tokio::test]
async fn the_operator_is_told_what_each_key_holds_and_which_one_is_missing() {
    let world = World::new().await;
    binds_app(&world.alice().await).await;
    let home = Scratch::new().unwrap();
    let file = home.path().join("keys");
    let run = async |command: &[&str], keys: &[&str]| {
        let text: Vec<_> = ring(keys).iter().map(|key| key.expose().to_owned()).collect();
        fs::write(&file, text.join("\n")).unwrap();
        let mut program = bare_vestibule(home.path());
        program
            .args(command)
            .env("VESTIBULE_STORE", &world.place.url)
            .env("VESTIBULE_SECRETS_KEYS_FILE", &file);
        let told = tokio::process::Command::from(program).output().await.unwrap();
        String::from_utf8([told.stdout, told.stderr].concat()).unwrap()
    };
    let told = run(&["keys", "list"], &["next", "test"]).await;
    let of =
        |told: &str, id: &str| told.lines().find(|line| line.starts_with(id)).unwrap_or_default().to_owned();
    assert!(of(&told, "next").ends_with("holds nothing"), "{told}");
    assert!(of(&told, "test").contains(" 1 in factors"), "{told}");
    let told = run(&["keys", "list"], &["next"]).await;
    assert!(
        of(&told, "test").contains("is not configured") && of(&told, "test").contains(" 1 in factors"),
        "{told}"
    );
    let lost = "1 in factors can be opened only with the key test: put it back";
    let told = run(&["doctor"], &["next"]).await;
    assert!(told.contains(lost), "{told}");
    let told = run(&["doctor"], &["next", "test"]).await;
    assert!(!told.contains("can be opened only"), "{told}");
    let told = run(&["keys", "reseal"], &["next", "test"]).await;
    assert!(told.starts_with("Sealed anew: 1."), "{told}");
    let told = run(&["keys", "list"], &["next", "test"]).await;
    assert!(of(&told, "next").contains("1 in factors") && !of(&told, "test").contains("factors"), "{told}");
    assert!(!run(&["doctor"], &["next"]).await.contains("in factors"));
}

#[tokio::test]
async fn the_operator_is_told_what_can_be_right_only_with_a_pepper_that_is_missing() {
    let pepper = |id: &str| Keyring::generate(id, &Random::seeded(3));
    let one = pepper("one");
    let world = World::plan().config(move |config| config.secrets.peppers = vec![one]).build().await;
    crate::factors::makes_codes(&world.alice().await).await;
    world.member().await;
    let home = Scratch::new().unwrap();
    let run = async |peppers: &[&str]| {
        let text: Vec<_> = peppers.iter().map(|id| pepper(id).expose().to_owned()).collect();
        let mut program = bare_vestibule(home.path());
        program.arg("doctor").env("VESTIBULE_STORE", &world.place.url);
        program.env("VESTIBULE_SECRETS_PEPPERS", text.join(","));
        program.env("VESTIBULE_SECRETS_KEYS", ring(&["test"])[0].expose());
        let told = tokio::process::Command::from(program).output().await.unwrap();
        String::from_utf8([told.stdout, told.stderr].concat()).unwrap()
    };
    for peppers in [&[][..], &["two"]] {
        let told = run(peppers).await;
        for lost in ["2 in passwords", "1 in factors"] {
            let lost = format!("{lost} can be right only with the pepper one: put it back");
            assert!(told.lines().any(|line| line.starts_with("bad ") && line.contains(&lost)), "{told}");
        }
    }
    let told = run(&["two", "one"]).await;
    assert!(!told.contains("can be right only"), "{told}");
}

/// Whoever threw a key away on the word of an empty house would lose what it holds.
#[tokio::test]
async fn a_command_in_the_wrong_place_says_so_and_makes_no_database() {
    let home = Scratch::new().unwrap();
    let file = home.path().join("vestibule.db");
    let keys: Vec<_> = ring(&["next", "test"]).iter().map(|key| key.expose().to_owned()).collect();
    fs::write(home.path().join("users.jsonl"), "{\"username\": \"ada\"}\n").unwrap();
    let run = async |command: &str| {
        let mut program = bare_vestibule(home.path());
        program.args(command.split(' ')).env("VESTIBULE_SECRETS_KEYS", keys.join(","));
        program.env("VESTIBULE_LISTEN", "127.0.0.1:4321");
        let told = tokio::process::Command::from(program).output().await.unwrap();
        (told.status.success(), String::from_utf8([told.stdout, told.stderr].concat()).unwrap())
    };
    let commands = [
        "keys list",
        "keys reseal",
        "keys rotate",
        "admin list",
        "admin create --username ada --email ada@example.com --mobile +12025550143",
        "clients list",
        "service-accounts list",
        "audit verify",
        "export",
        "import --json users.jsonl",
    ];
    for command in commands {
        let (done, told) = run(command).await;
        assert!(!done && told.contains(&format!("no database at {}", file.display())), "{command}: {told}");
        assert!(!told.contains("holds nothing"), "{command}: {told}");
    }
    let (done, told) = run("migrate plan").await;
    assert!(done && told.contains("0001_ground") && told.contains("CREATE TABLE"), "{told}");
    assert!(!file.exists());
    // One that something else has made is not a house either.
    fs::write(&file, "").unwrap();
    for command in commands {
        let (done, told) = run(command).await;
        assert!(!done && told.contains("0001_ground is missing"), "{command}: {told}");
        assert!(!told.contains("holds nothing"), "{command}: {told}");
    }
    assert!(run("migrate").await.0);
    let (done, told) = run("admin create --username ada --email ada@example.com --mobile +12025550143").await;
    assert!(done && told.contains("http://127.0.0.1:4321/"), "{told}");
    let (done, told) = run("keys list").await;
    assert!(done && told.contains("holds nothing"), "{told}");
    // Nor does a program change what one after it has made.
    let newer = "INSERT INTO schema_migrations VALUES (99, '0099_later', '', '2030-01-01T00:00:00Z', 99)";
    rusqlite::Connection::open(&file).unwrap().execute_batch(newer).unwrap();
    for command in commands {
        let (done, told) = run(command).await;
        assert!(!done && told.contains("start the newer version"), "{command}: {told}");
    }
}
