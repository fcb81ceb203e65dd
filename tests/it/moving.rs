//! Moving in and out: by the real program, killed in the middle; by every kind of hash; out of a house and
//! into an empty one.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::{Value as Json, json};
use vestibule::accounts::{Metadata, User};
use vestibule::audit::{Event, What, chain};
use vestibule::clock::{Clock, Timestamp};
use vestibule::factors::Factor;
use vestibule::identifiers::Identifier;
use vestibule::moving::import::{BATCH, Outcome, Tried, take};
use vestibule::moving::native::{Native, announces};
use vestibule::moving::rows::JsonLines;
use vestibule::moving::{Reading, export, read, seed, user_id};
use vestibule::passwords::Password;
use vestibule::policy::{FactorKind, When};
use vestibule::random::Random;
use vestibule::secret::Keyring;
use vestibule::store::{Change, Entity, Query};

use crate::kill::server::Scratch;
use crate::told;
use crate::world::{PASSWORD, World};

pub fn reading() -> Reading {
    Reading { source: "old".into(), roles: false, keep_ids: false }
}

/// A house in which a password is enough.
pub async fn house() -> World {
    World::plan().policy(|policy| policy.sign_in.second.when = When::WhenEnrolled).build().await
}

/// Takes rows in as the command does.
pub async fn moves_in(world: &World, rows: &[Json]) -> Vec<Outcome> {
    let ctx = world.ctx();
    let read = |row: &Json| read(row.as_object().unwrap(), &reading(), &ctx.policy.account, ctx.now).unwrap();
    let newcomers: Vec<_> = rows.iter().map(read).collect();
    take(&ctx, &newcomers, "old", None).await.unwrap()
}

pub fn refused(outcome: &Outcome) -> Vec<String> {
    let Outcome::Refused(faults) = outcome else { panic!("{outcome:?}") };
    faults.iter().map(|fault| format!("{}: {}", fault.field, fault.code)).collect()
}

// ---- The program

/// The program over the house's database, in a folder of its own.
pub struct Program {
    folder: Scratch,
}

impl Program {
    pub fn over(world: &World) -> Self {
        let folder = Scratch::new().unwrap();
        let key = Keyring::generate("test", &Random::seeded(1));
        let settings = format!(
            "[server]\norigin = \"https://a.example.com\"\n[store]\nurl = \"{}\"\n[secrets]\nkeys = [\"{}\"]\n",
            world.place.url,
            key.expose()
        );
        fs::write(folder.path().join("v.toml"), settings).unwrap();
        Self { folder }
    }

    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    pub fn start(&self, arguments: &[&str]) -> Child {
        self.start_with(arguments, Stdio::null())
    }

    fn start_with(&self, arguments: &[&str], input: Stdio) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vestibule"));
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("VESTIBULE_"))
        {
            command.env_remove(name);
        }
        command.current_dir(self.folder.path()).args(arguments);
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub fn run(&self, arguments: &[&str]) -> (bool, String) {
        let Output { status, stdout, stderr } = self.start(arguments).wait_with_output().unwrap();
        (status.success(), String::from_utf8([stdout, stderr].concat()).unwrap())
    }

    pub fn report(&self) -> Vec<Json> {
        let text = fs::read_to_string(self.folder.path().join("vestibule-import.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

pub const IMPORT: [&str; 5] = ["import", "--config", "v.toml", "--source", "old"];

fn import<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [IMPORT.as_slice(), more].concat()
}

/// The peak of a process's memory so far, in KiB: what `/proc` says, or what the program says of itself at its end.
fn peak(told: &str) -> u64 {
    let peak = told.split_once("VmHWM:").or_else(|| told.split_once("peak memory ")).expect(told).1;
    peak.split_whitespace().next().unwrap().parse().expect(told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_is_killed_loses_nobody_and_doubles_nobody() {
    const USERS: usize = 100_000;
    /// How many are stored when it is killed, as a power cut would.
    const KILLED: [usize; 2] = [10_000, 50_000];
    /// By how many KiB the peak may grow after the first ten thousand.
    const FLAT: u64 = 32 * 1_024;
    let world = house().await;
    let program = Program::over(&world);
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    let row = |at: usize| format!("{at},person{at},person{at}@example.com,t,{hash}\n");
    let head = "id,username,email,email_verified,password\n".to_owned();
    program.file("users.csv", (0..USERS).fold(head, |text, at| text + &row(at)));
    let arguments = import(&["--csv", "users.csv"]);
    let stored = async || {
        let users = Query::<User>::along(User::BY_CREATED).limit(2 * USERS);
        world.app.store.find(users).await.unwrap().items.len()
    };
    let start = Instant::now();
    let (mut first, mut already) = (0, 0);
    for at in KILLED {
        let mut child = program.start(&arguments);
        let id = user_id("old", &at.to_string());
        while world.app.store.get::<User>(id).await.unwrap().is_none() {
            assert!(child.try_wait().unwrap().is_none(), "it ended before {at} were stored");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if first == 0 {
            first = peak(&fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        already = stored().await;
        assert!(already > at && already < USERS, "it was never killed in the middle: {already}");
    }
    let (done, told) = program.run(&arguments);
    assert!(done, "{told}");
    assert!(
        told.contains(&format!("{} taken in, {already} there already, 0 refused", USERS - already)),
        "{told}"
    );
    let (took, last) = (start.elapsed(), peak(&told));
    assert!(last <= first + FLAT, "{first} KiB at {}, {last} KiB at the end", KILLED[0]);
    assert_eq!(stored().await, USERS);
    let claims = Query::<Identifier>::along(Identifier::BY_USER).limit(3 * USERS);
    let claims = world.app.store.find(claims).await.unwrap().items;
    let mut claims: Vec<_> = claims.iter().map(|one| (one.user_id, one.value.clone())).collect();
    let expected = |at: usize| {
        let id = user_id("old", &at.to_string());
        [(id, format!("person{at}")), (id, format!("person{at}@example.com"))]
    };
    let mut expected: Vec<_> = (0..USERS).flat_map(expected).collect();
    claims.sort();
    expected.sort();
    assert!(claims == expected, "{} names, not {}", claims.len(), expected.len());
    let factors = Query::<Factor>::along(Factor::BY_USER).limit(3 * USERS);
    assert_eq!(world.app.store.find(factors).await.unwrap().items.len(), USERS);
    let phc = async |at: usize| {
        let id = user_id("old", &at.to_string());
        world.app.store.get::<Password>(id).await.unwrap().map(|one| one.phc.clone())
    };
    for at in (0..USERS).step_by(10) {
        assert_eq!(phc(at).await.as_deref(), Some(hash.as_str()), "{at}");
    }
    for at in [17, KILLED[0] + 1, KILLED[1], USERS - 1] {
        let body = json!({"identifier": format!("person{at}"), "password": PASSWORD});
        let answer = world.stranger().post("/api/v1/auth/login", body).await.expect(StatusCode::OK);
        assert_eq!(answer.body["status"], "signed_in", "{}", answer.body);
        assert!(phc(at).await.unwrap().starts_with("$argon2id$"), "the first sign-in hashes anew");
    }
    told::figure(format_args!(
        "an import of {USERS} users, killed at {KILLED:?} and resumed: {:.0} s; peak memory {} MiB at {}, {} MiB at the end",
        took.as_secs_f64(),
        first / 1_024,
        KILLED[0],
        last / 1_024
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_batch_is_told_of_as_of_when_it_was_stored() {
    let world = house().await;
    let program = Program::over(&world);
    let mut child = program.start_with(&import(&["--json", "-"]), Stdio::piped());
    let mut rows = child.stdin.take().unwrap();
    let mut between = Timestamp::from_millis(0);
    for batch in 0..2 {
        between = Clock::System.now();
        for at in 0..BATCH {
            writeln!(rows, "{}", json!({"id": batch * BATCH + at, "username": format!("u{batch}n{at}")}))
                .unwrap();
        }
        rows.flush().unwrap();
        let last = user_id("old", &(batch * BATCH + BATCH - 1).to_string());
        while world.app.store.get::<User>(last).await.unwrap().is_none() {
            assert!(child.try_wait().unwrap().is_none(), "it ended before all were stored");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    drop(rows);
    assert!(child.wait().unwrap().success());
    let told = Query::<Event>::along(Event::BY_WHAT).equal(What::UsersImported);
    let told = world.app.store.find(told).await.unwrap().items;
    assert_eq!(told.len(), 2);
    assert!(told[0].at <= between && between <= told[1].at, "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_row_is_told_and_a_dry_run_stores_nothing() {
    let world = house().await;
    let member = world.member().await;
    let program = Program::over(&world);
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    let text = [
        b"\xef\xbb\xbfnr;login;mail;ok;pw;groups;city\r\n".to_vec(),
        format!("1;ada;ada@example.com;1;{hash};;London\r\n").into_bytes(),
        format!("2;\u{0430}da;other@example.com;1;{hash};;\r\n").into_bytes(),
        format!("3;eve;ADA@example.com;0;{hash};;\r\n").into_bytes(),
        b"4;bob;bob@example.com;1;5f4dcc3b5aa765d61d8327deb882cf99;;\r\n".to_vec(),
        b"5;\xff;c@example.com;1;;;\r\n".to_vec(),
        format!("6;{};d@example.com;1;{hash};;\r\n", member.username).into_bytes(),
        format!("7;dan;dan@example.com;1;{hash};admin;\r\n").into_bytes(),
        b"8;only;four;columns\r\n".to_vec(),
        format!("1;else;else@example.com;1;{hash};;\r\n").into_bytes(),
        b"10;gus;;;;;\r\n".to_vec(),
    ];
    program.file("users.csv", text.concat());
    let arguments = import(&[
        "--csv",
        "users.csv",
        "--separator",
        ";",
        "--map",
        "id=nr",
        "--map",
        "username=login",
        "--map",
        "email=mail",
        "--map",
        "email_verified=ok",
        "--map",
        "password=pw",
        "--map",
        "roles=groups",
    ]);
    let (done, told) = program.run(&[arguments.as_slice(), &["--dry-run"]].concat());
    assert!(!done && told.contains("10 rows: 2 would be taken in, 0 there already, 8 refused"), "{told}");
    assert!(told.contains("Columns that are not used: city"), "{told}");
    assert_eq!(world.count::<User>(User::BY_CREATED).await, 1);
    let dry = program.report();
    let (done, told) = program.run(&arguments);
    assert!(!done && told.contains("10 rows: 2 taken in, 0 there already, 8 refused"), "{told}");
    assert_eq!(world.count::<User>(User::BY_CREATED).await, 3);
    let report = program.report();
    assert_eq!(report, dry, "a dry run tells what will be");
    let lines: Vec<_> = report
        .iter()
        .map(|line| {
            let refused = line["refused"].as_array().map(|all| {
                all.iter()
                    .map(|one| {
                        format!("{}:{}", one["field"].as_str().unwrap(), one["code"].as_str().unwrap())
                    })
                    .collect::<Vec<_>>()
                    .join(" ")
            });
            (line["line"].as_u64().unwrap(), refused.unwrap_or_else(|| "warning".to_owned()))
        })
        .collect();
    let expected = [
        (2, "warning"),
        (3, "username:invalid"),
        (4, "email:taken"),
        (5, "password:hash"),
        (6, ":encoding"),
        (7, "username:taken"),
        (8, "roles:roles"),
        (9, ":columns"),
        (10, "id:conflict"),
        (11, "warning"),
    ];
    let lines: Vec<_> = lines.iter().map(|(line, told)| (*line, told.as_str())).collect();
    assert_eq!(lines, expected);
    let whole = serde_json::to_string(&report).unwrap();
    assert!(!whole.contains("5f4dcc3b") && !whole.contains("$2b$"), "a hash is in the report");
    let (done, told) = program.run(&import(&["--csv", "users.csv", "--map", "email=post"]));
    assert!(!done && told.contains("There is no column post"), "{told}");
}

#[tokio::test]
async fn hashes_of_all_kinds_sign_in_and_are_replaced() {
    let world = house().await;
    let pbkdf2 =
        {
            use base64::Engine;
            let tag =
                base64::engine::general_purpose::STANDARD.encode(
                    pbkdf2::pbkdf2_hmac_array::<sha2::Sha256, 32>(PASSWORD.as_bytes(), b"salt", 1_000),
                );
            format!("pbkdf2_sha256$1000$salt${tag}")
        };
    let salt = "c2FsdHNhbHRzYWx0";
    // Made once by Python's hashlib.scrypt (n=1024, r=8, p=1) and by argon2-cffi.
    let bcrypt = bcrypt::hash(PASSWORD, 4).unwrap();
    let as_version = |version: &str| bcrypt.replace("$2b$", version);
    let hashes = [
        ("bcrypt", bcrypt.clone()),
        ("bcrypt.a", as_version("$2a$")),
        ("bcrypt.y", as_version("$2y$")),
        ("pbkdf2", pbkdf2),
    ];
    let made = [("scrypt", SCRYPT), ("argon2", ARGON2)].map(|(name, hash)| (name, hash.to_owned()));
    assert!(made.iter().all(|(_, hash)| hash.contains(salt)));
    let all: Vec<_> = hashes.into_iter().chain(made).collect();
    let rows: Vec<_> = all
        .iter()
        .map(|(name, hash)| json!({"id": name, "username": format!("{name}.user"), "password": hash}))
        .collect();
    assert!(moves_in(&world, &rows).await.iter().all(|outcome| *outcome == Outcome::Stored));
    for (name, hash) in all {
        let id = user_id("old", name);
        let login = json!({"identifier": format!("{name}.user"), "password": PASSWORD});
        let wrong = json!({"identifier": format!("{name}.user"), "password": "wrong battery staple"});
        world.stranger().post("/api/v1/auth/login", wrong).await.problem(401, "credentials-wrong");
        for _ in 0..2 {
            let answer =
                world.stranger().post("/api/v1/auth/login", login.clone()).await.expect(StatusCode::OK);
            assert_eq!(answer.body["status"], "signed_in", "{name}: {}", answer.body);
            let phc = world.app.store.get::<Password>(id).await.unwrap().unwrap().phc.clone();
            assert!(phc.starts_with("$argon2id$v=19$m=64,") && phc != hash, "{name}: {phc}");
        }
    }
}

/// What a hash costs stands in it, and whoever wrote the row chose it.
#[tokio::test]
async fn a_hash_that_costs_too_much_is_neither_taken_in_nor_computed() {
    let world = house().await;
    let ctx = world.ctx();
    let bcrypt = bcrypt::hash(PASSWORD, 4).unwrap();
    let member = world.member().await;
    let named =
        Query::<Identifier>::along(Identifier::BY_CANONICAL).equal(format!("username:{}", member.username));
    let id = world.app.store.first(named).await.unwrap().unwrap().user_id;
    for (kind, hash) in [
        ("bcrypt", bcrypt.replacen("$04$", "$31$", 1)),
        ("argon2", ARGON2.replace("m=1024,t=2", "m=4194304,t=4000000")),
        ("scrypt", SCRYPT.replace("ln=10", "ln=40")),
        ("pbkdf2", format!("pbkdf2_sha256$4294967295$salt${}", "A".repeat(43) + "=")),
    ] {
        let row = json!({"id": 1, "username": "some.body", "password": hash});
        let faults = read(row.as_object().unwrap(), &reading(), &ctx.policy.account, ctx.now).unwrap_err();
        assert_eq!((&*faults[0].field, &*faults[0].code), ("password", "hash"), "{kind}");
        assert!(faults[0].message.contains("more time or memory"), "{kind}: {}", faults[0].message);
        // By whatever way it came into the database: it is nobody's password.
        let stored =
            world.app.store.get::<Password>(id).await.unwrap().unwrap().with(|stored| stored.phc = hash);
        world.app.store.commit(vec![Change::update(&stored)]).await.unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(30), member.gives_password()).await;
        answer.unwrap_or_else(|_| panic!("{kind}: it is being computed")).problem(401, "credentials-wrong");
    }
}

const SCRYPT: &str = "$scrypt$ln=10,r=8,p=1$c2FsdHNhbHRzYWx0$uXgc3wJzN9n7Dd/ojxZBVCLFZQnD8CB2TYq0kY0xMKo";
const ARGON2: &str =
    "$argon2i$v=19$m=1024,t=2,p=1$c2FsdHNhbHRzYWx0$Syn85NakItookcwAQFNZ3AKnuJwywmI12CZT4/clYKY";

#[tokio::test]
async fn who_moves_in_meets_the_rules_of_whoever_signs_up() {
    let world = house().await;
    let member = world.member().await;
    let pending = json!({"id": 1, "username": "someone.else", "email": member.email()});
    let outcomes = moves_in(
        &world,
        &[
            pending,
            json!({"id": 2, "username": member.username.to_uppercase()}),
            json!({"id": 3, "mobile": member.mobile, "mobile_verified": true}),
            json!({"id": 4, "username": "paypa1"}),
            json!({"id": 5, "username": "paypal"}),
            json!({"id": 6, "email": "a@example.com"}),
            json!({"id": 7, "email": "A@example.com", "email_verified": true}),
        ],
    )
    .await;
    assert_eq!(refused(&outcomes[0]), ["email: taken"]);
    assert_eq!(refused(&outcomes[1]), ["username: taken"]);
    assert_eq!(refused(&outcomes[2]), ["mobile: taken"]);
    assert_eq!(outcomes[3], Outcome::Stored);
    assert_eq!(refused(&outcomes[4]), ["username: taken"], "it looks like the one before");
    assert_eq!(outcomes[5], Outcome::Stored);
    assert_eq!(refused(&outcomes[6]), ["email: taken"], "nobody is merged");
    // The same again, and a user of the same id and another name.
    assert_eq!(moves_in(&world, &[json!({"id": 6, "email": "a@example.com"})]).await, [Outcome::Already]);
    let other = moves_in(&world, &[json!({"id": 6, "email": "b@example.com"})]).await;
    assert_eq!(refused(&other[0]), ["id: conflict"]);
    // Who has moved in is not let in by an address that was not verified there.
    let signed_in = world.app.store.get::<User>(user_id("old", "6")).await.unwrap().unwrap();
    assert_eq!(
        signed_in.metadata,
        Metadata(json!({"imported": {"source": "old", "id": "6"}}).as_object().unwrap().clone())
    );
}

#[tokio::test]
async fn an_authenticator_app_moves_in_with_its_user() {
    let world = World::new().await;
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    let row = json!({"id": 1, "username": "ada.l", "password": hash, "totp_secret": "jbsw y3dp ehpk 3pxp jbsw y3dp ehpk 3pxp"});
    assert_eq!(moves_in(&world, &[row]).await, [Outcome::Stored]);
    let factor = Query::<Factor>::along(Factor::BY_USER).equal(user_id("old", "1"));
    let factor = world.app.store.first(factor).await.unwrap().unwrap();
    assert_eq!((factor.kind, factor.bound_at.is_some()), (FactorKind::Totp, true));
    let key = world.app.keyring.open(&Factor::context(factor.id), factor.secret.as_ref().unwrap()).unwrap();
    assert_eq!(vestibule::factors::totp::base32(&key), seed::TOTP_KEY);
}

// ---- Out, and in again

/// The lines of an export.
async fn lines(world: &World, open: Option<&Keyring>) -> Vec<Json> {
    handed_out(world, export::Asked { hashes: true, open }).await
}

async fn handed_out(world: &World, asked: export::Asked<'_>) -> Vec<Json> {
    let mut lines = Vec::new();
    let mut put = |line: &Json| {
        lines.push(line.clone());
        Ok(())
    };
    export::export(&world.ctx(), asked, &mut put).await.unwrap();
    lines
}

/// Those of them that make users up, in an order, without what is sealed anew each time.
fn users(lines: &[Json]) -> Vec<String> {
    let ours = ["users", "identifiers", "passwords", "factors"];
    let mut users: Vec<_> = lines
        .iter()
        .filter(|line| ours.iter().any(|table| line["table"] == *table))
        .map(|line| {
            let mut line = line.clone();
            if line["record"]["secret"].is_string() {
                line["record"]["secret"] = "sealed".into();
            }
            line.to_string()
        })
        .collect();
    users.sort();
    users
}

fn text(lines: &[Json]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

async fn moves_over(world: &World, text: &str, roles: bool) -> (Vec<Outcome>, bool) {
    let mut rows = JsonLines::new(text.as_bytes());
    let first = rows.read().unwrap().unwrap();
    assert!(announces(&first));
    let mut native = Native::new(rows, &first).unwrap();
    let mut outcomes = Vec::new();
    while let Some(person) = native.read().unwrap() {
        let reading = Reading { roles, ..reading() };
        outcomes.push(match person.read(&world.app, &reading) {
            Err(faults) => Outcome::Refused(faults),
            Ok(newcomer) => take(&world.ctx(), &[newcomer], "old", None).await.unwrap().remove(0),
        });
    }
    (outcomes, native.whole)
}

#[tokio::test]
async fn what_is_handed_out_makes_the_same_users_in_an_empty_house() {
    const USERS: usize = 60;
    let old = house().await;
    seed::fill(&old.ctx(), USERS as u64, 7, seed::Lives::Whole).await.unwrap();
    let out = lines(&old, None).await;
    let whole = text(&out);
    assert!(out.len() > 5 * USERS && out[0]["format"] == 1, "{}", out[0]);
    assert_eq!(out.last().unwrap()["records"], out.len() - 2);

    let new = house().await;
    let (outcomes, is_whole) = moves_over(&new, &whole, true).await;
    assert!(is_whole && outcomes.len() == USERS, "{}", outcomes.len());
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Stored), "{outcomes:?}");
    assert_eq!(users(&lines(&new, None).await), users(&out));
    let again = moves_over(&new, &whole, true).await.0;
    assert!(again.iter().all(|outcome| *outcome == Outcome::Already), "{again:?}");

    // One of them comes in, with the app's code.
    let person =
        out.iter().find(|line| line["table"] == "factors" && line["record"]["kind"] == "totp").unwrap();
    let claim = out.iter().find(|line| {
        line["record"]["user_id"] == person["record"]["user_id"] && line["record"]["kind"] == "username"
    });
    let body = json!({"identifier": claim.unwrap()["record"]["value"], "password": seed::PASSWORD});
    let asked = new.stranger().post("/api/v1/auth/login", body).await.expect(StatusCode::OK).body;
    assert_eq!(asked["status"], "second_factor_required", "{asked}");
}

#[tokio::test]
async fn keys_of_apps_are_in_the_clear_only_for_whoever_brings_the_key() {
    let old = house().await;
    seed::fill(&old.ctx(), 9, 7, seed::Lives::Whole).await.unwrap();
    let sealed = text(&lines(&old, None).await);
    assert!(!sealed.contains(seed::TOTP_KEY));
    let other = Keyring::parse(&[Keyring::generate("test", &Random::seeded(9))]).unwrap();
    assert!(!text(&lines(&old, Some(&other)).await).contains(seed::TOTP_KEY), "another key opens nothing");
    let clear = text(&lines(&old, Some(&old.app.keyring)).await);
    assert!(clear.contains(seed::TOTP_KEY));

    // A house with other keys takes what is in the clear, and says what it cannot open.
    let stranger = |plan: crate::world::Plan| {
        plan.config(|config| config.secrets.keys = vec![Keyring::generate("test", &Random::seeded(9))])
    };
    let new = stranger(World::plan()).build().await;
    let (outcomes, _) = moves_over(&new, &sealed, true).await;
    let told: Vec<_> =
        outcomes.iter().filter(|one| matches!(one, Outcome::Refused(_))).flat_map(refused).collect();
    assert_eq!(told, ["secret: sealed"; 3]);
    let (outcomes, _) = moves_over(&new, &clear, true).await;
    assert!(outcomes.iter().all(|one| matches!(one, Outcome::Stored | Outcome::Already)), "{outcomes:?}");
    assert!(text(&lines(&new, Some(&new.app.keyring)).await).contains(seed::TOTP_KEY));
}

#[tokio::test]
async fn hashes_are_handed_out_only_to_whoever_asks_for_them() {
    let old = house().await;
    seed::fill(&old.ctx(), 60, 7, seed::Lives::Whole).await.unwrap();
    let few = handed_out(&old, export::Asked::default()).await;
    let all = lines(&old, None).await;
    let codes = |lines: &[Json]| {
        let codes =
            lines.iter().filter(|line| line["table"] == "factors").map(|line| &line["record"]["codes"]);
        codes.filter(|codes| codes.as_array().is_some_and(|codes| !codes.is_empty())).count()
    };
    assert!(codes(&all) > 0 && text(&all).contains("$argon2id$"));
    assert_eq!(codes(&few), 0);
    assert!(!text(&few).contains("$argon2"), "a hash was handed out");
    assert_eq!(few.last().unwrap()["records"], few.len() - 2);
    // Such people come in by recovery.
    let new = house().await;
    let (outcomes, is_whole) = moves_over(&new, &text(&few), true).await;
    assert!(is_whole && outcomes.iter().all(|outcome| *outcome == Outcome::Stored), "{outcomes:?}");
}

/// With an empty key every code would be right, without one none; and a hash whose pepper is not here fits nothing.
#[tokio::test]
async fn a_factor_that_nobody_or_everybody_could_show_is_not_taken() {
    let old = house().await;
    seed::fill(&old.ctx(), 60, 7, seed::Lives::Whole).await.unwrap();
    let out = lines(&old, Some(&old.app.keyring)).await;
    let told = async |kind: &str, change: fn(&mut Json)| {
        let mut forged = out.clone();
        let of_kind = |line: &&mut Json| line["table"] == "factors" && line["record"]["kind"] == kind;
        forged.iter_mut().filter(of_kind).for_each(|line| change(&mut line["record"]));
        let outcomes = moves_over(&house().await, &text(&forged), true).await.0;
        let told = outcomes.iter().filter(|one| matches!(one, Outcome::Refused(_))).flat_map(refused);
        told.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    assert!(told("totp", |_| {}).await.is_empty());
    assert_eq!(told("totp", |app| app["secret_base32"] = "".into()).await, ["secret: invalid"]);
    assert_eq!(told("totp", |app| app["secret_base32"] = "JBSWY3DP".into()).await, ["secret: invalid"]);
    assert_eq!(told("totp", |app| app["secret_base32"] = Json::Null).await, ["secret: missing"]);
    let peppered = |codes: &mut Json| {
        let hash = codes["codes"][0].as_str().unwrap().replacen(",p=1$", ",p=1,keyid=Z29uZQ$", 1);
        codes["codes"][0] = hash.into();
    };
    assert_eq!(told("recovery_code", peppered).await, ["codes: hash"]);
}

#[tokio::test]
async fn an_export_that_was_changed_grants_nothing() {
    let old = house().await;
    seed::fill(&old.ctx(), 3, 7, seed::Lives::Whole).await.unwrap();
    let out = lines(&old, None).await;
    let new = house().await;
    let outcomes = moves_over(&new, &text(&out), false).await.0;
    assert_eq!(outcomes.iter().filter(|one| **one == Outcome::Stored).count(), 2);
    assert!(
        outcomes.iter().any(|one| matches!(one, Outcome::Refused(_)) && refused(one) == ["roles: roles"])
    );
    // Cut short.
    let (_, is_whole) = moves_over(&new, &text(&out[..out.len() - 1]), false).await;
    assert!(!is_whole);
    // What is not verified owns nothing, whatever the line says.
    let mut forged = out.clone();
    for line in &mut forged {
        if line["table"] == "identifiers" && line["record"]["kind"] == "email" {
            line["record"]["verified_at"] = Json::Null;
            line["record"]["owned"] = "email:boss@example.com".into();
        }
    }
    let empty = house().await;
    moves_over(&empty, &text(&forged), true).await;
    let owned = Query::<Identifier>::along(Identifier::BY_OWNED).equal("email:boss@example.com".to_owned());
    assert!(empty.app.store.first(owned).await.unwrap().is_none());
    // A factor that reaches somebody else's number.
    let mut forged = out.clone();
    let factor =
        forged.iter_mut().find(|line| line["table"] == "factors" && line["record"]["kind"] == "sms").unwrap();
    factor["record"]["identifier_id"] = "00000000-0000-7000-8000-000000000001".into();
    let empty = house().await;
    let outcomes = moves_over(&empty, &text(&forged), true).await.0;
    assert!(outcomes.iter().any(|one| matches!(one, Outcome::Refused(_)) && refused(one) == [": malformed"]));
    // A record whose id is somebody else's here.
    let mut forged = out.clone();
    let mut claims = forged.iter_mut().filter(|line| line["record"]["kind"] == "username");
    let (first, last) = (claims.next().unwrap()["record"]["id"].clone(), claims.next_back().unwrap());
    last["record"]["id"] = first;
    let empty = house().await;
    let outcomes = moves_over(&empty, &text(&forged), true).await.0;
    assert_eq!((&outcomes[0], refused(&outcomes[2])), (&Outcome::Stored, vec!["id: conflict".to_owned()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_hands_out_and_takes_in() {
    let old = house().await;
    seed::fill(&old.ctx(), 5, 7, seed::Lives::Whole).await.unwrap();
    let program = Program::over(&old);
    let (done, told) = program.run(&["export", "--config", "v.toml", "--with-hashes", "--out", "all.jsonl"]);
    assert!(done && told.contains("records."), "{told}");
    let (done, told) = program.run(&["export", "--config", "v.toml", "--with-hashes", "--out", "all.jsonl"]);
    assert!(!done && told.contains("cannot be made"), "{told}");
    let path = program.folder.path().join("all.jsonl");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let (done, told) = program.run(&["export", "--config", "v.toml", "--out", "few.jsonl"]);
    assert!(done, "{told}");
    let few = fs::read_to_string(program.folder.path().join("few.jsonl")).unwrap();
    assert!(!few.contains("$argon2") && fs::read_to_string(&path).unwrap().contains("$argon2"));
    let new = house().await;
    let other = Program::over(&new);
    let (done, told) = other.run(&import(&["--json", path.to_str().unwrap(), "--with-roles"]));
    assert!(done && told.contains("5 taken in") && told.contains("passed over"), "{told}");
    assert_eq!(users(&lines(&new, None).await), users(&lines(&old, None).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_come_out_of_a_postgres() {
    let Ok(server) = std::env::var("VESTIBULE_TEST_POSTGRES") else {
        told::left_out("VESTIBULE_TEST_POSTGRES names no server to read from.");
        return;
    };
    let world = house().await;
    let program = Program::over(&world);
    let table = format!("old_users_{}", std::process::id());
    let (client, connection) = tokio_postgres::connect(&server, tokio_postgres::NoTls).await.unwrap();
    let pump = tokio::spawn(connection);
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    let make = format!(
        "DROP TABLE IF EXISTS {table}; CREATE TABLE {table} (id bigserial PRIMARY KEY, mail text, confirmed boolean, hash text, joined timestamp, plan int); \
         INSERT INTO {table} (mail, confirmed, hash, joined, plan) SELECT 'p' || n || '@example.com', n % 2 = 0, '{hash}', '2024-05-01 12:00', n FROM generate_series(1, 450) n"
    );
    client.batch_execute(&make).await.unwrap();
    program.file("url", &server);
    let columns = [
        "--map",
        "email=mail",
        "--map",
        "email_verified=confirmed",
        "--map",
        "password=hash",
        "--map",
        "created_at=joined",
        "--map",
        "metadata.plan=plan",
    ];
    let with = |query: &str| {
        let arguments = import(&["--from-postgres", "@url", "--query", query]);
        program.run(&[arguments.as_slice(), &columns].concat())
    };
    let all = format!("SELECT * FROM {table} ORDER BY id;");
    let (done, told) = with(&all);
    let user = world.app.store.get::<User>(user_id("old", "7")).await.unwrap();
    let writes = with(&format!("WITH gone AS (DELETE FROM {table} RETURNING *) SELECT * FROM gone"));
    let two = with(&format!("SELECT 1) q; DROP TABLE {table}; --"));
    let nonsense = with("SELEKT 1");
    let left =
        client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap().get::<_, i64>(0);
    client.batch_execute(&format!("DROP TABLE {table}")).await.unwrap();
    drop(client);
    pump.await.unwrap().unwrap();
    assert!(done && told.contains("450 rows: 450 taken in, 0 there already, 0 refused"), "{told}");
    let user = user.unwrap();
    assert_eq!(
        (user.created_at.to_string().as_str(), &user.metadata.0["plan"]),
        ("2024-05-01T12:00:00.000Z", &json!(7))
    );
    for (done, told) in [writes, two, nonsense] {
        assert!(!done && told.contains("The query cannot be read"), "{told}");
    }
    assert_eq!(left, 450);
}

// ---- People who never were

#[tokio::test]
async fn a_seed_makes_the_same_people_in_every_state() {
    let (one, two, other) = (house().await, house().await, house().await);
    let made = seed::fill(&one.ctx(), 120, 5, seed::Lives::Whole).await.unwrap().unwrap();
    assert_eq!(seed::fill(&two.ctx(), 120, 5, seed::Lives::Whole).await.unwrap(), Some(made));
    seed::fill(&other.ctx(), 120, 6, seed::Lives::Whole).await.unwrap();
    let (first, second, third) =
        (lines(&one, None).await, lines(&two, None).await, lines(&other, None).await);
    assert_eq!(users(&first), users(&second));
    assert_ne!(users(&first), users(&third));
    let of = |table: &str, field: &str| {
        let records = first.iter().filter(|line| line["table"] == table).map(|line| &line["record"]);
        records.map(|record| record[field].to_string()).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(of("calls", "status").len(), vestibule::calls::Status::ALL.len());
    assert_eq!(of("messages", "status").len(), vestibule::messages::Status::ALL.len());
    assert_eq!(of("factors", "kind").len(), 4, "{:?}", of("factors", "kind"));
    assert_eq!(of("sessions", "carry").len(), 3);
    assert_eq!(of("users", "status").len(), 2);
    assert_eq!(of("calls", "due_at").union(&of("messages", "due_at")).count(), 1, "nothing is due");
    the_organizations_are_believable(&first);
    // The same people without what they did.
    let bare = house().await;
    let alone = seed::Made { users: made.users, ..seed::Made::default() };
    assert_eq!(seed::fill(&bare.ctx(), 120, 5, seed::Lives::Bare).await.unwrap(), Some(alone));
    let bare = lines(&bare, None).await;
    assert_eq!(users(&bare), users(&first));
    for (table, left) in [("identifiers", true), ("factors", true), ("sessions", false), ("devices", false)] {
        assert_eq!(bare.iter().any(|line| line["table"] == table), left, "{table}");
    }
    let told = |lines: &[Json]| -> Vec<String> {
        let ours = ["organizations", "members", "invitations"];
        lines
            .iter()
            .filter(|line| ours.contains(&line["table"].as_str().unwrap_or_default()))
            .map(Json::to_string)
            .collect()
    };
    assert_eq!(told(&first), told(&second));
    assert_ne!(told(&first), told(&third));
    // The first one is an administrator and comes in.
    let body = json!({"identifier": seed::admin(5), "password": seed::PASSWORD});
    let answer = one.stranger().post("/api/v1/auth/login", body).await.expect(StatusCode::OK);
    assert_eq!(answer.body["status"], "signed_in", "{}", answer.body);
    let mut admin = one.stranger();
    admin.token = Some(answer.body["token"].as_str().unwrap().to_owned());
    let own = admin.get("/api/v1/organizations").await.expect(StatusCode::OK).body;
    assert_eq!(
        (own["items"].as_array().unwrap().len(), &own["items"][0]["role"]),
        (1, &json!("owner")),
        "{own}"
    );
    let path = format!("/api/v1/organizations/{}", own["items"][0]["id"].as_str().unwrap());
    let members = admin.get(&format!("{path}/members")).await.expect(StatusCode::OK).body;
    assert!(members["items"].as_array().unwrap().len() >= 3, "{members}");
    assert!(of("users", "roles").contains("[\"admin\"]"));
    assert!(User::table().name == "users" && made.users == 120);
}

/// What whoever walks through the doors would find to be so as well.
fn the_organizations_are_believable(lines: &[Json]) {
    let of = |table: &str| -> Vec<&Json> {
        lines.iter().filter(|line| line["table"] == table).map(|line| &line["record"]).collect()
    };
    let (users, organizations, members, invitations) =
        (of("users"), of("organizations"), of("members"), of("invitations"));
    let text = |record: &Json, field: &str| record[field].as_str().unwrap().to_owned();
    assert!(organizations.len() >= 8, "{}", organizations.len());
    let inside: std::collections::BTreeSet<_> =
        members.iter().map(|member| text(member, "user_id")).collect();
    assert!(inside.len() < users.len(), "not everybody belongs to somebody");
    assert!(inside.len() < members.len(), "nobody belongs to two");
    for organization in &organizations {
        let of_this = |record: &&&Json| record["organization_id"] == organization["id"];
        let own: Vec<_> = members.iter().filter(of_this).collect();
        let role = |role: &str| own.iter().filter(|member| member["role"] == role).count();
        assert_eq!((role("owner"), role("admin")), (1, 1), "{organization}");
        assert!((3..=10).contains(&own.len()), "{organization}");
        for member in own {
            let user = users.iter().find(|user| user["id"] == member["user_id"]).unwrap();
            assert!(text(member, "created_at") >= text(user, "created_at"), "a member before the account");
            assert!(text(member, "created_at") >= text(organization, "created_at"));
            assert!(member["role"] == "member" || user["status"] == "active", "{user}");
        }
        let open: Vec<_> = invitations.iter().filter(of_this).collect();
        assert!((1..=2).contains(&open.len()));
        for invitation in open {
            assert!(text(invitation, "expires_at").as_str() > "2030-01-01T00:00:00.000Z", "{invitation}");
            assert!(text(invitation, "created_at") >= text(organization, "created_at"), "{invitation}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seed_belongs_into_an_empty_house_for_development() {
    let world = house().await;
    let program = Program::over(&world);
    let (done, told) = program.run(&["seed", "--users", "5"]);
    assert!(done && told.contains("5 users") && told.contains(seed::PASSWORD), "{told}");
    let (done, told) = program.run(&["seed", "--users", "5", "--seed", "2"]);
    assert!(!done && told.contains("--add"), "{told}");
    for (seed, first) in [("2", "admin2"), ("7", "admin7")] {
        let (done, told) = program.run(&["seed", "--users", "600", "--add", "--seed", seed]);
        assert!(done && told.contains(&format!("The first one is {first},")), "{told}");
    }
    let (done, told) = program.run(&["seed", "--users", "5", "--add", "--seed", "7"]);
    assert!(!done && told.contains("another --seed"), "{told}");
    let (done, told) = program.run(&["seed", "--config", "v.toml"]);
    assert!(!done && told.contains("--anywhere"), "{told}");
    assert_eq!(world.count::<User>(User::BY_CREATED).await, 0);
    let (done, told) = program.run(&["seed", "--config", "v.toml", "--anywhere", "--users", "3"]);
    assert!(done, "{told}");
    assert_eq!(world.count::<User>(User::BY_CREATED).await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_is_not_written_over() {
    let world = house().await;
    let program = Program::over(&world);
    let row = json!({"id": 1, "username": "ada"}).to_string();
    let path = program.file("vestibule-import.jsonl", &row);
    fs::hard_link(&path, path.with_file_name("same.jsonl")).unwrap();
    for name in ["vestibule-import.jsonl", "same.jsonl", "./same.jsonl"] {
        let (done, told) = program.run(&import(&["--json", name]));
        assert!(!done && told.contains("--report"), "{told}");
        assert_eq!(fs::read_to_string(&path).unwrap(), row, "{name}");
    }
    let input = fs::File::open(&path).unwrap();
    let child = program.start_with(&import(&["--json", "-"]), input.into());
    assert!(!child.wait_with_output().unwrap().status.success());
    // What an earlier run told stays as well, until there is something to tell.
    program.file("empty.jsonl", "\n");
    for name in ["nowhere.jsonl", "empty.jsonl"] {
        let (done, told) = program.run(&import(&["--json", name]));
        assert!(!done && told.contains("file"), "{told}");
        assert_eq!(fs::read_to_string(&path).unwrap(), row, "{name}");
    }
    program.file("users.jsonl", &row);
    let (done, told) = program.run(&import(&["--json", "users.jsonl"]));
    assert!(done && told.contains("1 taken in"), "{told}");
    assert_eq!(program.report().len(), 1, "and goes then");
    let (done, told) = program.run(&import(&["--json", "users.jsonl", "--report", "/dev/null"]));
    assert!(done, "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_that_no_row_has_is_refused_before_anybody_is_taken_in() {
    let world = house().await;
    let program = Program::over(&world);
    // Not every row has it, and the first one cannot be read.
    let row = |at: usize| match at {
        0 => "{".to_owned(),
        5 => json!({"nr": at, "login": format!("person{at}"), "pw": ARGON2}).to_string(),
        _ => json!({"nr": at, "login": format!("person{at}")}).to_string(),
    };
    program.file("users.jsonl", (0..=BATCH).map(|at| row(at) + "\n").collect::<String>());
    let columns = ["--json", "users.jsonl", "--map", "id=nr", "--map", "username=login", "--map"];
    for mistaken in ["password=hash", "password=$argon2${hash}"] {
        for dry in [true, false] {
            let arguments = import(&[columns.as_slice(), &[mistaken]].concat());
            let (done, told) =
                program.run(&[arguments.as_slice(), if dry { &["--dry-run"] } else { &[] }].concat());
            assert!(!done && told.contains("There is no column hash in the first 200 rows"), "{told}");
            assert!(told.contains("there are login, nr, pw."), "{told}");
        }
    }
    assert_eq!(world.count::<User>(User::BY_CREATED).await, 0);
    let (_, told) = program.run(&import(&[columns.as_slice(), &["password=pw"]].concat()));
    assert!(told.contains(&format!("{BATCH} taken in, 0 there already, 1 refused")), "{told}");
    assert!(world.app.store.get::<Password>(user_id("old", "5")).await.unwrap().is_some());
}

#[tokio::test]
async fn whoever_was_removed_stays_removed() {
    let world = house().await;
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    let row = json!({"id": 1, "username": "ada", "email": "ada@example.com", "password": hash});
    let stays = json!({"id": 2, "username": "grace", "password": hash});
    assert_eq!(moves_in(&world, &[row.clone(), stays.clone()]).await, [Outcome::Stored, Outcome::Stored]);
    let exported = text(&lines(&world, None).await);
    let mut ada = world.stranger();
    let body = json!({"identifier": "ada", "password": PASSWORD});
    ada.token = Some(ada.post("/api/v1/auth/login", body).await.body["token"].as_str().unwrap().to_owned());
    chain::seal_all(&world.ctx()).await.unwrap();
    ada.delete("/api/v1/users/me").await.expect(StatusCode::NO_CONTENT);
    chain::seal_all(&world.ctx()).await.unwrap();
    world.advance(Duration::from_secs(31 * 86_400));
    assert_eq!(vestibule::profile::purge_due(&world.ctx()).await.unwrap(), 1);
    for tried in [true, false] {
        let ctx = world.ctx();
        let read =
            |row: &Json| read(row.as_object().unwrap(), &reading(), &ctx.policy.account, ctx.now).unwrap();
        let mut without = Tried::default();
        let outcomes =
            take(&ctx, &[read(&row), read(&stays)], "old", tried.then_some(&mut without)).await.unwrap();
        assert_eq!(
            (refused(&outcomes[0]), &outcomes[1]),
            (vec!["id: removed".to_owned()], &Outcome::Already)
        );
    }
    let again = moves_over(&world, &exported, true).await.0;
    assert!(again.iter().any(|one| matches!(one, Outcome::Refused(_)) && refused(one) == ["id: removed"]));
    assert_eq!(world.count::<User>(User::BY_CREATED).await, 1);
    // What happened to them was emptied by the server, whoever has their id by now.
    let forged = User::new(user_id("old", "1"), world.app.clock.now());
    world.app.store.commit(vec![Change::insert(&forged)]).await.unwrap();
    let ctx = &world.ctx();
    let seen =
        chain::verify(ctx, None, async |user| vestibule::profile::is_gone(ctx, user).await).await.unwrap();
    assert!(seen.blocks > 0 && seen.faults.is_empty(), "{seen:?}");
}

/// Ten who are not deleted and would be looked at first, for ever, hold up nobody's removal.
#[tokio::test]
async fn whoever_moves_in_is_removed_when_they_were_deleted_and_not_otherwise() {
    let old = house().await;
    seed::fill(&old.ctx(), 12, 7, seed::Lives::Bare).await.unwrap();
    let mut out = lines(&old, None).await;
    let users = out.iter_mut().filter(|line| line["table"] == "users");
    let mut ids = Vec::new();
    for (at, line) in users.enumerate() {
        let record = &mut line["record"];
        let (status, purge_at) = match at {
            0..10 => ("active", json!("2029-01-01T00:00:00.000Z")),
            10 => ("deleted", json!("2029-06-01T00:00:00.000Z")),
            _ => ("deleted", Json::Null),
        };
        record["status"] = status.into();
        record["purge_at"] = purge_at;
        ids.push(record["id"].as_str().unwrap().parse::<uuid::Uuid>().unwrap());
    }
    let new = house().await;
    let outcomes = moves_over(&new, &text(&out), true).await.0;
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Stored), "{outcomes:?}");
    let is_there = async |at: usize| new.app.store.get::<User>(ids[at]).await.unwrap().is_some();
    assert_eq!(vestibule::profile::purge_due(&new.ctx()).await.unwrap(), 1, "the one whose time has come");
    assert!(!is_there(10).await && is_there(11).await && is_there(0).await);
    new.advance(Duration::from_secs(31 * 86_400));
    assert_eq!(
        vestibule::profile::purge_due(&new.ctx()).await.unwrap(),
        1,
        "the one whose time was not said"
    );
    assert!(!is_there(11).await && is_there(0).await);
}

#[tokio::test]
async fn somebody_malformed_in_an_export_keeps_nobody_else_out() {
    let old = house().await;
    seed::fill(&old.ctx(), 4, 7, seed::Lives::Bare).await.unwrap();
    let out = lines(&old, None).await;
    // All of them in one commit, first tried and then taken in: what is refused on reading, and what came of the others.
    let together = async |lines: &[Json]| {
        let new = house().await;
        let text = text(lines);
        let mut rows = JsonLines::new(text.as_bytes());
        let first = rows.read().unwrap().unwrap();
        let mut native = Native::new(rows, &first).unwrap();
        let (mut newcomers, mut told) = (Vec::new(), Vec::new());
        while let Some(person) = native.read().unwrap() {
            match person.read(&new.app, &Reading { roles: true, ..reading() }) {
                Ok(newcomer) => newcomers.push(newcomer),
                Err(faults) => told.extend(refused(&Outcome::Refused(faults))),
            }
        }
        let tried = take(&new.ctx(), &newcomers, "old", Some(&mut Tried::default())).await.unwrap();
        let taken = take(&new.ctx(), &newcomers, "old", None).await.unwrap();
        assert_eq!(tried, taken, "a dry run tells what will be");
        (told, taken)
    };
    let place = |table: &str, nth: usize| {
        let is = |line: &Json| {
            line["table"] == table && (table != "identifiers" || line["record"]["kind"] == "username")
        };
        out.iter().enumerate().filter(|(_, line)| is(line)).nth(nth).unwrap().0
    };
    for (table, other_id) in
        [("identifiers", false), ("identifiers", true), ("factors", false), ("passwords", false)]
    {
        let mut forged = out.clone();
        let mut again = forged[place(table, 0)].clone();
        if other_id {
            again["record"]["id"] = "00000000-0000-7000-8000-000000000001".into();
        }
        forged.insert(place(table, 0), again);
        let (told, taken) = together(&forged).await;
        assert_eq!(
            (told, taken),
            (vec![": duplicate".to_owned()], vec![Outcome::Stored; 3]),
            "{table} {other_id}"
        );
    }
    for table in ["identifiers", "factors"] {
        let mut forged = out.clone();
        let (first, second) = (
            place(table, 0),
            out.len() - 1 - out.iter().rev().position(|line| line["table"] == table).unwrap(),
        );
        let (theirs, own) = (out[first]["record"]["id"].clone(), out[second]["record"]["id"].clone());
        for line in &mut forged[second - 10..] {
            for field in ["id", "identifier_id"] {
                if line["record"][field] == own {
                    line["record"][field] = theirs.clone();
                }
            }
        }
        let (told, taken) = together(&forged).await;
        assert!(told.is_empty() && taken[..3] == [const { Outcome::Stored }; 3], "{told:?} {taken:?}");
        assert_eq!(refused(&taken[3]), ["id: conflict"], "{table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_roles_somebody_moved_in_with_can_be_added_to_and_taken_away() {
    let world = house().await;
    let program = Program::over(&world);
    let rows = text(&[
        json!({"id": 1, "username": "ada", "roles": ["admin"]}),
        json!({"id": 2, "username": "grace", "roles": "Editor,admin,billing/read,Editor"}),
    ]);
    program.file("users.jsonl", &rows);
    let (done, told) = program.run(&import(&["--json", "users.jsonl", "--with-roles"]));
    assert!(done, "{told}");
    let of =
        async || world.app.store.get::<User>(user_id("old", "2")).await.unwrap().unwrap().roles.0.clone();
    assert_eq!(of().await, ["Editor", "admin", "billing/read"]);
    for (change, role) in
        [("grant", "support"), ("revoke", "admin"), ("revoke", "Editor"), ("grant", "Author")]
    {
        let (done, told) = program.run(&["admin", change, "grace", role, "--config", "v.toml"]);
        assert!(done, "{change} {role}: {told}");
    }
    assert_eq!(of().await, ["billing/read", "support", "Author"]);
    // Whom the policy asks for a second factor whatever their roles are, no other role lets in.
    let settings = fs::read_to_string(program.folder.path().join("v.toml")).unwrap();
    program.file("v.toml", format!("policy = \"policy.toml\"\n{settings}"));
    let by_role = "[sign_in.second]\nwhen = \"by_role\"\nroles = [\"Pilot\"]\n";
    for (policy, change, (is_out, is_by_role)) in [
        ("", "grant", (true, false)),
        ("", "revoke", (true, false)),
        (by_role, "grant", (true, true)),
        (by_role, "revoke", (false, false)),
    ] {
        program.file("policy.toml", policy);
        let (done, told) = program.run(&["admin", change, "grace", "Pilot", "--config", "v.toml"]);
        let says = |words: &str| told.contains(words);
        assert!(done, "{told}");
        assert_eq!((says("cannot sign in"), says("by their role")), (is_out, is_by_role), "{change}: {told}");
    }
    // One rule for what comes out of an export, too.
    let mut exported = lines(&world, None).await;
    for line in exported.iter_mut().filter(|line| line["table"] == "users") {
        line["record"]["roles"] = json!(["a b"]);
    }
    let outcomes = moves_over(&house().await, &text(&exported), true).await.0;
    assert!(outcomes.iter().all(|one| refused(one) == ["roles: invalid"]), "{outcomes:?}");
}
