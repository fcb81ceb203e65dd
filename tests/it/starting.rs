//! What stands in the way of a start is told before anybody is served, and what asks a running server leaves it alone.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use tokio::process::Command;
use vestibule::random::Random;
use vestibule::secret::Keyring;

use crate::kill::server::{POLICY, Process, Scratch, Second, bare_vestibule, free_address};
use crate::place::second_round;

fn vestibule(home: &Path) -> Command {
    let mut command = Command::from(bare_vestibule(home));
    command.kill_on_drop(true);
    command
}

/// Everything that the command said, and whether it was content. One that does not end is ended.
async fn said(command: &mut Command) -> (bool, String) {
    let ended = tokio::time::timeout(Duration::from_secs(20), command.output()).await;
    let Ok(output) = ended else { return (false, "It did not end.".to_owned()) };
    let Output { status, stdout, stderr } = output.unwrap();
    (status.success(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

/// A production server of its own, whose policy needs nothing sent; `home` holds what it keeps.
fn serve(home: &Path) -> Command {
    fs::write(
        home.join("policy.toml"),
        "sign_up.required = [\"username\"]\nsign_in.second.when = \"never\"\n\
         recovery.channels = []\noperation.\"user.email.change\" = { never = true }\n",
    )
    .unwrap();
    let mut command = vestibule(home);
    command.args(["serve", "--listen", &free_address().unwrap().to_string()]);
    command.env("VESTIBULE_ORIGIN", "http://127.0.0.1:1").env(POLICY, home.join("policy.toml"));
    command.env("VESTIBULE_SECRETS_KEYS", Keyring::generate("test", &Random::System).expose());
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_well_although_its_next_settings_are_not() {
    if second_round() {
        return;
    }
    let home = Scratch::new().unwrap();
    let mut server = Process::vestibule(home.path(), Second::Never, &[]).await.unwrap();
    let listen = server.address.to_string();
    let policy = home.path().join("policy.toml");
    fs::write(&policy, "sign_up.opn = true\n").unwrap();
    let health = async |more: &[&str], settings: &[(&str, &str)]| {
        let mut command = vestibule(home.path());
        said(command.arg("health").args(more).env(POLICY, &policy).envs(settings.iter().copied())).await
    };
    let named = [("VESTIBULE_LISTEN", listen.as_str())];
    let (good, told) = health(&[], &named).await;
    assert!(good, "{told}");
    let (good, told) =
        health(&[], &[named[0], ("VESTIBULE_SERVER_BODY_LIMIT", "1"), ("VESTIBULE_LISEN", "x")]).await;
    assert!(good, "{told}");
    fs::write(home.path().join("wrong.toml"), "this is no TOML").unwrap();
    let (good, told) = health(&["--config", "wrong.toml", "--listen", &listen], &[]).await;
    assert!(good, "{told}");
    // Where it cannot be told, what is wrong with the settings may be why.
    server.kill().unwrap();
    let (good, told) = health(&["--config", "wrong.toml"], &named).await;
    assert!(!good && told.contains(&listen) && told.contains("wrong.toml line 1"), "{told}");
    let (good, told) = health(&["--listen", "here"], &[]).await;
    assert!(!good && told.contains("`here` is not an address and port"), "{told}");
}

#[tokio::test]
async fn what_a_start_refuses_is_bad_for_the_doctor() {
    if second_round() {
        return;
    }
    let home = Scratch::new().unwrap();
    fs::create_dir(home.path().join("own")).unwrap();
    fs::write(home.path().join("own/say.html"), "{% if %}").unwrap();
    for (setting, value, what) in [
        ("VESTIBULE_PAGES_LOGO", "nowhere.svg", "pages.logo: `nowhere.svg`"),
        ("VESTIBULE_PAGES_TEMPLATES", "own", "pages.templates: `say.html`, line 1"),
    ] {
        let (good, told) = said(serve(home.path()).env(setting, value)).await;
        assert!(!good && told.contains(what), "{told}");
        let mut doctor = vestibule(home.path());
        doctor
            .arg("doctor")
            .envs(serve(home.path()).as_std().get_envs().filter_map(|(name, value)| Some((name, value?))));
        let (good, told) = said(doctor.env(setting, value)).await;
        let is_told = told.lines().any(|line| line.starts_with("bad ") && line.contains(what));
        assert!(!good && is_told, "{told}");
    }
}

#[tokio::test]
async fn a_taken_address_of_the_figures_is_told_under_its_name_before_anybody_is_served() {
    if second_round() {
        return;
    }
    let home = Scratch::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (good, told) = said(serve(home.path()).env("VESTIBULE_SERVER_METRICS", &address)).await;
    let sentence = format!("server.metrics: {address} cannot be listened on");
    assert!(!good && told.contains(&sentence) && !told.contains("--listen"), "{told}");
    assert!(!told.contains("serving") && !home.path().join("vestibule.db").exists(), "{told}");
}

/// Its limits are counted in memory. Commands work beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_to_a_file() {
    if second_round() {
        return;
    }
    let home = Scratch::new().unwrap();
    let mut server = Process::vestibule(home.path(), Second::Never, &[]).await.unwrap();
    let data = home.path().join("data");
    let store = format!("sqlite:{}", data.join("vestibule.db").display());
    let linked = home.path().join("linked");
    std::os::unix::fs::symlink(&data, &linked).unwrap();
    for path in [&data, &linked] {
        let store = format!("sqlite:{}", path.join("vestibule.db").display());
        let (good, told) = said(serve(home.path()).env("VESTIBULE_STORE", &store)).await;
        assert!(!good && told.contains("served by another process"), "{told}");
    }
    let mut develop = vestibule(home.path());
    let (good, told) = said(develop.args(["--listen", "127.0.0.1:0", "--data"]).arg(&data)).await;
    assert!(!good && told.contains("served by another process"), "{told}");
    let mut admin = vestibule(home.path());
    admin.env("VESTIBULE_STORE", &store).env("VESTIBULE_SECRETS_KEYS_FILE", data.join("secret.key"));
    let (good, told) = said(admin.args(["admin", "list"])).await;
    assert!(good, "{told}");
    server.kill().unwrap();
    Process::vestibule(home.path(), Second::Never, &[]).await.unwrap();
}
