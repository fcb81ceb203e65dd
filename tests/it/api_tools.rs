//! Other people's tools on our OpenAPI document and the server behind it: two linters, a fuzzer, a
//! generated client, a collection that is run. Their folder is named in `VESTIBULE_TEST_TOOLS`, the Python
//! with the fuzzer in `VESTIBULE_TEST_SCHEMATHESIS`; `scripts/test` sees to both.

use std::fs;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tokio::process::Command;
use vestibule::accounts::{Roles, User};
use vestibule::app::Moment;
use vestibule::http::{openapi, postman};
use vestibule::moving::import::take;
use vestibule::moving::{Reading, read};
use vestibule::policy::{Callers, FactorKind, PRESETS, Policy, Proofs};
use vestibule::secret::Token;
use vestibule::sessions::{Carry, Session};
use vestibule::store::{Change, Query};

use crate::place::second_round;
use crate::replaces::house;
use crate::told;
use crate::world::{Plan, World};

const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// The folder of the tools, when there is one.
fn tools() -> Option<PathBuf> {
    named("VESTIBULE_TEST_TOOLS").map(PathBuf::from)
}

fn named(variable: &str) -> Option<String> {
    let value = std::env::var(variable).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        told::left_out(format_args!("{variable} is not set; scripts/test installs what it names."));
    }
    value
}

/// A folder below the tools', where Node finds what is installed there.
struct Folder(PathBuf);

impl Folder {
    fn new(tools: &Path, name: &str) -> Self {
        let path = tools.join(format!("run-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn tool(tools: &Path, name: &str) -> Command {
    let mut command = Command::new(tools.join("node_modules/.bin").join(name));
    command.current_dir(tools).env("REDOCLY_TELEMETRY", "off").env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true");
    command
}

/// Runs a program while the house does its work.
pub async fn beside(world: Option<&World>, mut command: Command) -> (bool, String) {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut ended = pin!(command.spawn().unwrap().wait_with_output());
    loop {
        tokio::select! {
            output = &mut ended => {
                let Output { status, stdout, stderr } = output.unwrap();
                return (status.success(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned());
            }
            () = tokio::time::sleep(Duration::from_millis(20)) => {
                if let Some(world) = world {
                    world.run_due().await;
                }
            }
        }
    }
}

/// A house that counts, and never says that it was too much.
fn generous() -> Plan {
    let text = include_str!("../../policies/default.toml");
    let much = |line: &str| match line.split_once("limit = ") {
        Some((before, rest)) if !line.trim_start().starts_with('#') => {
            let rest = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
            format!("{before}limit = 1000000{rest}\n")
        }
        _ => format!("{line}\n"),
    };
    let text: String = text.lines().map(much).collect();
    World::plan().policy(move |policy| {
        *policy = Policy::from_toml(&text).unwrap();
        policy.calls.users = Callers::Anybody;
    })
}

async fn lint(tools: &Path, folder: &Folder, document: &Json) -> [(bool, String); 2] {
    let file = folder.file("openapi.json", &document.to_string());
    let mut redocly = tool(tools, "redocly");
    redocly.arg("lint").arg("--config").arg(format!("{HERE}/tests/tools/redocly.yaml")).arg(&file);
    let mut spectral = tool(tools, "spectral");
    spectral.args(["lint", "--fail-severity", "hint", "--ruleset"]);
    spectral.arg(format!("{HERE}/tests/tools/spectral.yaml")).arg(&file);
    let (redocly, spectral) = tokio::join!(beside(None, redocly), beside(None, spectral));
    [redocly, spectral]
}

#[tokio::test]
async fn two_linters_find_nothing_in_the_document() {
    if second_round() {
        return;
    }
    let Some(tools) = tools() else { return };
    let folder = Folder::new(&tools, "lint");
    let document = openapi::document();
    assert_eq!(document["openapi"], "3.1.0");
    for (good, told) in lint(&tools, &folder, &document).await {
        assert!(good, "{told}");
    }
    // They look: what is wrong is found by both.
    let mut wrong = document;
    wrong["paths"]["/api/v1/users/me"]["get"]["responses"] = json!({"200": {"content": 1}});
    for (good, told) in lint(&tools, &folder, &wrong).await {
        assert!(!good, "{told}");
    }
}

/// Tokens of so many new users, each with a session in which everything was just shown.
async fn sessions(world: &World, count: u32, roles: &[&str]) -> Vec<String> {
    let ctx = world.ctx();
    let first = world.count::<User>(User::BY_CREATED).await;
    let reading = Reading { source: "tools".into(), roles: true, keep_ids: false };
    let row = |at: usize| json!({"id": at, "username": format!("asker{at}"), "mobile": format!("+1202{}", 6_000_000 + at), "mobile_verified": true, "roles": roles});
    let newcomers: Vec<_> = (first..first + count as usize)
        .map(|at| read(row(at).as_object().unwrap(), &reading, &ctx.policy.account, ctx.now).unwrap())
        .collect();
    take(&ctx, &newcomers, "tools", None).await.unwrap();
    let open = |user: &User| {
        let moment: Moment = ctx.moment();
        let proofs = Proofs::default().and(FactorKind::Password, ctx.now).and(FactorKind::Sms, ctx.now);
        Session::open(user, proofs, Carry::Bearer, &ctx.policy.session, &moment)
    };
    let opened: Vec<(Session, Token)> = newcomers.iter().map(|newcomer| open(&newcomer.user)).collect();
    let changes = opened.iter().map(|(session, _)| Change::insert(session)).collect();
    world.app.store.commit(changes).await.unwrap();
    opened.iter().map(|(_, token)| token.reveal()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_a_fuzzer_sends_is_answered_otherwise_than_documented() {
    let Some(python) = named("VESTIBULE_TEST_SCHEMATHESIS") else { return };
    let begun = Instant::now();
    let world = generous().build().await;
    let standing = sessions(&world, 1, &["admin", "caller"]).await.remove(0);
    let mut asker = world.stranger();
    asker.token = Some(standing.clone());
    assert!(asker.is_signed_in().await);
    let ending = sessions(&world, 200, &[]).await;
    let (client, secret) = vestibule::clients::add(&world.ctx(), "fuzzer").await.unwrap();
    let folder = Folder::new(Path::new(env!("CARGO_TARGET_TMPDIR")), "fuzzer");
    let mut command = Command::new(Path::new(&python).with_file_name("schemathesis"));
    command.current_dir(&folder.0).env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("SCHEMATHESIS_HOOKS", format!("{HERE}/tests/tools/schemathesis_hooks.py"));
    command.env("VESTIBULE_TEST_TOKENS", json!({"standing": standing, "ending": ending}).to_string());
    command.env("VESTIBULE_TEST_CLIENT", format!("{}:{}", client.id, secret.reveal()));
    command.arg("run").arg(format!("http://{}/openapi.json", world.address));
    command.args([
        "--phases",
        "examples,coverage,fuzzing",
        "--max-examples",
        "10",
        "--seed",
        "1",
        "--no-shrink",
    ]);
    // One worker: CPython 3.11 counts the depth of its parser for all threads together, and gives up.
    command.args(["--workers", "1", "--continue-on-failure", "--warnings", "off", "--checks", CHECKS]);
    command.args(["--suppress-health-check", "all", "--request-timeout", "60"]);
    command.args(["--report", "json", "--report-json-path", "report.json"]);
    let (good, told) = beside(Some(&world), command).await;
    assert!(good, "{told}");
    let sum = told.lines().find(|line| line.contains("generated")).unwrap_or_default().trim().to_owned();
    let generated: u64 = sum.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default();
    assert!(generated > 1_000, "too few cases: {told}");
    // It was not nobody who asked: the administrator is signed in to the end, and most operations were done.
    assert!(asker.is_signed_in().await, "{told}");
    let answered = fs::read_to_string(folder.0.join("answered.json")).unwrap();
    let answered: Json = serde_json::from_str(&answered).unwrap();
    let all = answered.as_object().unwrap();
    let done = |statuses: &Json| statuses.as_object().unwrap().keys().any(|status| status.starts_with('2'));
    let done = all.values().filter(|statuses| done(statuses)).count();
    told::figure(format_args!(
        "schemathesis: {sum}, {} operations, {done} of them also done, in {:.0} s",
        all.len(),
        begun.elapsed().as_secs_f64()
    ));
    assert!(done > 30, "{answered:#}");
}

/// Not `unsupported_method`: clients of old send other methods to the same paths, which is told in words.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,ignored_auth";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_generated_from_the_document_compiles_and_makes_the_journey() {
    if second_round() {
        return;
    }
    let Some(tools) = tools() else { return };
    let folder = Folder::new(&tools, "typescript");
    let example = Path::new(HERE).join("examples/typescript");
    for name in ["journey.ts", "process.d.ts", "tsconfig.json", "package.json"] {
        fs::copy(example.join(name), folder.0.join(name)).unwrap();
    }
    let document = folder.file("openapi.json", &openapi::document().to_string());
    let mut generate = tool(&tools, "openapi-typescript");
    generate.current_dir(&folder.0).arg(&document);
    generate.args(["--default-non-nullable", "false", "--output", "schema.d.ts"]);
    let (good, told) = beside(None, generate).await;
    assert!(good, "{told}");
    let mut compile = tool(&tools, "tsc");
    compile.current_dir(&folder.0);
    let (good, told) = beside(None, compile).await;
    assert!(good, "{told}");
    for preset in PRESETS.iter().map(|(name, _)| *name).chain(["default"]) {
        let world = house(preset).await;
        let mut run = Command::new("node");
        run.current_dir(&folder.0)
            .arg("built/journey.js")
            .env("VESTIBULE_ORIGIN", format!("http://{}", world.address));
        let (good, told) = beside(Some(&world), run).await;
        assert!(good && told.trim_end().ends_with("signed out"), "{preset}: {told}");
    }
    // The types hold it: what is not in the document does not compile.
    let text = fs::read_to_string(example.join("journey.ts")).unwrap();
    folder.file("journey.ts", &text.replace("me.username", "me.nickname"));
    let mut compile = tool(&tools, "tsc");
    compile.current_dir(&folder.0);
    let (good, told) = beside(None, compile).await;
    assert!(!good && told.contains("nickname"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_collection_runs_as_it_is() {
    let Some(tools) = tools() else { return };
    runs_the_collection(&tools, &World::new().await, "default").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_collection_runs_under_every_preset() {
    if second_round() {
        return;
    }
    let Some(tools) = tools() else { return };
    for (preset, _) in PRESETS {
        runs_the_collection(&tools, &house(preset).await, preset).await;
    }
}

async fn runs_the_collection(tools: &Path, world: &World, preset: &str) {
    let folder = Folder::new(tools, &format!("newman-{preset}"));
    let file = folder.file("collection.json", &postman::collection(&openapi::document()).to_string());
    let mut newman = tool(tools, "newman");
    newman.current_dir(&folder.0).arg("run").arg(&file).args([
        "--reporters",
        "cli,json",
        "--reporter-json-export",
        "out.json",
    ]);
    newman.args([
        "--env-var",
        &format!("origin=http://{}", world.address),
        "--delay-request",
        "30",
        "--color",
        "off",
    ]);
    let (good, told) = beside(Some(world), newman).await;
    assert!(good, "{preset}: {told}");
    let out: Json = serde_json::from_str(&fs::read_to_string(folder.0.join("out.json")).unwrap()).unwrap();
    let stats = &out["run"]["stats"];
    let number = |what: &str, which: &str| stats[what][which].as_u64().unwrap();
    assert!(number("requests", "total") > 45 && number("assertions", "total") > 50, "{stats}");
    assert_eq!((number("requests", "failed"), number("assertions", "failed")), (0, 0), "{stats}");
    let names: Vec<_> = out["run"]["executions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["item"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names.iter().filter(|name| **name == "Oneself no more").count(),
        1,
        "the journey came to its end"
    );
    let users = Query::<User>::along(User::BY_CREATED);
    let users = world.app.store.find(users).await.unwrap().items;
    assert!(users.iter().any(|user| user.roles == Roles::default()));
    told::figure(format_args!(
        "newman ({preset}): {} requests, {} assertions",
        number("requests", "total"),
        number("assertions", "total")
    ));
}
