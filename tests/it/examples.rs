//! The examples do what they show: the front end in a browser, the Python client as it is. (That in
//! TypeScript is run among the tools.)

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use axum::http::header;
use axum::routing::get;
use serde_json::Value as Json;
use tokio::process::Command;
use vestibule::policy::PRESETS;

use crate::api_tools::beside;
use crate::browser::Tab;
use crate::replaces::house;
use crate::told;
use crate::world::{PASSWORD, World};

/// Gives the files of the front end out, as any server of files would.
async fn files() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let file = |name: &str, kind: &'static str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/html").join(name);
        let text = std::fs::read_to_string(path).unwrap();
        get(move || async move { ([(header::CONTENT_TYPE, kind)], text) })
    };
    let router = axum::Router::new()
        .route("/", file("index.html", "text/html; charset=utf-8"))
        .route("/app.js", file("app.js", "text/javascript"));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// Waits until the part of the page with this id can be seen.
async fn appears(tab: &Tab, id: &str) {
    let look = format!(
        "new Promise(done => {{ const end = Date.now() + 10000; const look = () => \
         !document.getElementById({id:?}).hidden ? done('') : Date.now() > end ? done(document.body.innerText) \
         : requestAnimationFrame(look); look(); }})"
    );
    let page = tab.evaluates(&look).await;
    assert_eq!(page, Json::from(""), "{id} does not appear");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_uses_the_front_end() {
    let files = files().await;
    let origin = format!("http://{files}");
    let allowed = origin.clone();
    let world =
        World::plan().config(move |config| config.server.allowed_origins = vec![allowed]).build().await;
    let Some(mut tab) = Tab::at(&origin).await else { return };
    tab.may_leave_for(&format!("http://{}", world.address));
    tab.goes_to(&format!("/?api=http://{}", world.address)).await;
    appears(&tab, "sign-in").await;
    tab.is_accessible().await;
    tab.clicks("I have none yet").await;
    let mobile = "+12025550177";
    for (name, text) in
        [("username", "ada"), ("email", "ada@example.com"), ("mobile", mobile), ("new-password", PASSWORD)]
    {
        tab.fills(name, text).await;
    }
    tab.clicks("Sign up").await;
    for _ in 0..2 {
        appears(&tab, "code").await;
        tab.is_accessible().await;
        world.run_due().await;
        tab.fills("code", &world.last_code(mobile).await).await;
        let asked = tab.text("#sent-to").await;
        tab.clicks("Continue").await;
        // The first was for the number, the second is for the sign-in.
        let again = "new Promise(done => { const end = Date.now() + 10000; const look = () => \
            document.getElementById('digits').value === '' || !document.getElementById('inside').hidden || Date.now() > end \
            ? done(1) : requestAnimationFrame(look); look(); })";
        tab.evaluates(again).await;
        assert!(!asked.is_empty());
    }
    appears(&tab, "inside").await;
    tab.sees("Hello, ada").await;
    tab.is_accessible().await;
    assert_eq!(tab.evaluates("document.cookie").await, "", "no script reads the cookie");
    tab.clicks("Sign out").await;
    appears(&tab, "sign-in").await;
    assert_eq!(tab.takes_faults(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_signs_in_by_form() {
    if Command::new("python3").arg("--version").stdout(Stdio::null()).status().await.is_err() {
        told::left_out("there is no python3.");
        return;
    }
    for preset in PRESETS.iter().map(|(name, _)| *name).chain(["default"]) {
        let world = house(preset).await;
        let mut client = Command::new("python3");
        client.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/python/client.py"));
        client.env("VESTIBULE_ORIGIN", format!("http://{}", world.address));
        let (good, told) =
            tokio::time::timeout(Duration::from_secs(60), beside(Some(&world), client)).await.unwrap();
        assert!(good && told.trim_end().ends_with("signed out"), "{preset}: {told}");
        assert!(told.contains("a code was sent"), "{preset}: {told}");
    }
}
