//! Twilio's own library (Python) as a client of the look-alike, and as a judge of signatures. Needs a
//! Python that has it, named in `VESTIBULE_TEST_TWILIO_PYTHON`; `scripts/test` sees to both.

use std::process::Stdio;

use axum::http::StatusCode;
use serde_json::{Value as Json, json};
use tokio::io::AsyncWriteExt;
use vestibule::random::Random;
use vestibule::secret::Secret;
use vestibule::twilio::signature::{sign, verify, verify_body};

use crate::told;
use crate::world::World;

fn python() -> Option<String> {
    let python = std::env::var("VESTIBULE_TEST_TWILIO_PYTHON").ok().filter(|python| !python.is_empty());
    if python.is_none() {
        told::left_out("VESTIBULE_TEST_TWILIO_PYTHON names no Python with Twilio's library.");
    }
    python
}

async fn run(python: &str, arguments: &[String], input: &[u8]) -> Json {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/twilio/client.py");
    let mut command = tokio::process::Command::new(python);
    command.arg(script).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let (written, output) = tokio::join!(
        async move {
            let written = stdin.write_all(input).await;
            drop(stdin);
            written
        },
        child.wait_with_output()
    );
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    written.unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twilios_own_library_sends_and_calls_and_reads_back() {
    let Some(python) = python() else { return };
    let world = World::new().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    world.app.outbound.allow(free);
    let twilio = &world.app.config.twilio;
    let arguments = [
        "look-alike".to_owned(),
        world.app.origin.as_str().to_owned(),
        twilio.account_sid.clone(),
        twilio.auth_token.expose().to_owned(),
        free.port().to_string(),
        "+12025550190".to_owned(),
    ];
    let found = run(&python, &arguments, b"").await;
    assert_eq!(found["message"], json!(["queued", "delivered", "naïve  code ✓", true]), "{found}");
    assert_eq!(found["call"], json!(["queued", "in-progress", "completed", "outbound-api", true]), "{found}");
    assert_eq!(found["listed"], json!([true]), "{found}");
    assert_eq!(found["words"]["message"], json!(["queued", "sent", "delivered"]), "{found}");
    assert_eq!(
        found["words"]["call"],
        json!(["initiated", "ringing", "in-progress", "completed"]),
        "{found}"
    );
    assert_eq!(found["sequence"], json!(["0", "1", "2", "3"]), "{found}");
    assert_eq!((&found["valid"], &found["altered"]), (&json!(true), &json!(false)), "{found}");
    let refusals =
        json!([[400, 21211], [400, 21217], [400, 21205], [400, 21220], [404, 20404], [401, 20003]]);
    assert_eq!(found["refusals"], refusals, "{found}");
    let seen = world.messages("+12025550190").await;
    assert_eq!(seen["items"].as_array().unwrap().len(), 2, "{seen}");
    world.stranger().get("/health").await.expect(StatusCode::OK);
}

/// A token, an address, and the parameters of a form.
type Case = (Secret, String, Vec<(String, String)>);

/// URLs, parameters and tokens as they come and as they hardly come.
fn cases() -> Vec<Case> {
    let random = Random::seeded(11);
    let urls = [
        "https://a.example/webhooks/twilio/calls/vm_x",
        "https://a.example:443/x?b=2&a=1",
        "https://a.example:8443/x",
        "http://a.example/x",
        "http://a.example:80/x?y=",
        "https://a.example/x?q=a+b%20c",
        "https://a.example",
        "https://bücher.example/ü",
    ];
    let names = ["CallStatus", "To", "ErrorCode", "Body", "Digits", "a", "A", ""];
    let values = ["", "completed", "+15005550006", "naïve  code ✓", "a=b&c", " x ", "0", "مرحبا"];
    let mut cases = Vec::new();
    for number in 0..400_usize {
        let [token, pairs @ ..] = random.bytes::<17>();
        let count = usize::from(token) % 8;
        let pick = |list: &[&str], byte: u8| list[usize::from(byte) % list.len()].to_owned();
        let params = pairs.chunks(2).take(count).map(|pair| (pick(&names, pair[0]), pick(&values, pair[1])));
        let token = Secret::new(format!("token{}", token % 3));
        cases.push((token, urls[number % urls.len()].to_owned(), params.collect()));
    }
    cases
}

#[tokio::test]
async fn its_validator_and_ours_agree() {
    let Some(python) = python() else { return };
    let tokens = [Secret::new("token0"), Secret::new("token1")];
    let during_rotation = [&tokens[0], &tokens[1]];
    let mut asked = Vec::new();
    for (number, (token, url, params)) in cases().into_iter().enumerate() {
        let mut signature = sign(&token, &url, &params);
        if number % 5 == 0 {
            signature = signature.chars().rev().collect();
        }
        asked.push((token, url, params, signature));
    }
    let mut input: Vec<Json> = asked
        .iter()
        .map(|(token, url, params, signature)| {
            json!({"token": token.expose(), "url": url, "params": params, "signature": signature})
        })
        .collect();
    let body = r#"{"property": "value", "boolean": true}"#;
    let hash = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
    let url = format!("https://a.example/x?bodySHA256={hash}");
    let bodies = [(body, true), ("{}", false)];
    for (body, _) in bodies {
        let signature = sign(&tokens[0], &url, &[]);
        input.push(json!({"token": "token0", "url": url, "body": body, "signature": signature}));
    }
    let found = run(&python, &["corpus".to_owned()], Json::from(input).to_string().as_bytes()).await;
    let found = found.as_array().unwrap();
    let (mut right, mut wrong) = (0, 0);
    for ((token, url, params, signature), theirs) in asked.iter().zip(found) {
        let what = format!("{url} {params:?}");
        let ours = verify(&[token], url, params, signature);
        assert_eq!(ours, theirs["valid"].as_bool().unwrap(), "{what}");
        let their_signature = theirs["signature"].as_str().unwrap();
        assert!(verify(&[token], url, params, their_signature), "{what}");
        let known = token.expose() != "token2";
        assert_eq!(verify(&during_rotation, url, params, their_signature), known, "{what}");
        (right, wrong) = (right + usize::from(ours), wrong + usize::from(!ours));
    }
    assert!(right > 100 && wrong > 50, "{right} {wrong}");
    for ((body, valid), theirs) in bodies.iter().zip(&found[asked.len()..]) {
        let ours = verify_body(&[&tokens[0]], &url, body.as_bytes(), &sign(&tokens[0], &url, &[]));
        assert_eq!((ours, theirs["valid"].as_bool()), (*valid, Some(*valid)), "{body}");
    }
}
