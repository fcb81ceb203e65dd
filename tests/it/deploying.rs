//! The scripts that put a server into service on a machine and take it out again, without containers.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::kill::server::{Scratch, free_address};

fn run(script: &str, home: &Path, more: &[&str]) -> (bool, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(script);
    let mut command = Command::new(script);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("VESTIBULE_"))
    {
        command.env_remove(name);
    }
    let Output { status, stdout, stderr } = command.arg("--home").arg(home).args(more).output().unwrap();
    (status.success(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

#[test]
fn a_server_is_deployed_replaced_stopped_and_removed() {
    let scratch = Scratch::new().unwrap();
    let home = scratch.path().join("deployed");
    let listen = free_address().unwrap().to_string();
    let deploy = |more: &[&str]| {
        let fixed = ["--listen", &listen, "--program", env!("CARGO_BIN_EXE_vestibule")];
        run("deploy", &home, &[fixed.as_slice(), more].concat())
    };
    let pid = || fs::read_to_string(home.join("pid")).ok();
    let runs = |pid: &str| Path::new("/proc").join(pid.trim()).join("cwd").exists();
    // Without what sends codes it does not start, and says what is missing.
    let (good, told) = deploy(&["--origin", "https://accounts.example.com"]);
    assert!(!good && told.contains("VESTIBULE_TWILIO_ACCOUNT_SID") && pid().is_none(), "{told}");
    let account = format!("AC{}", "0".repeat(32));
    let settings = format!(
        "# codes\nVESTIBULE_TWILIO_ACCOUNT_SID={account}\nVESTIBULE_TWILIO_AUTH_TOKEN={}\nVESTIBULE_TWILIO_FROM=+15005550006\n",
        "1".repeat(32)
    );
    fs::write(home.join("settings.env"), settings).unwrap();
    let (good, told) = deploy(&[]);
    let first = pid().unwrap();
    assert!(good && told.contains("It serves on") && runs(&first), "{told}");
    let key = fs::read_to_string(home.join("keys")).unwrap();
    // Again: another process, the same key.
    let (good, told) = deploy(&[]);
    let second = pid().unwrap();
    assert!(good && second != first && runs(&second) && !runs(&first), "{told}");
    assert_eq!(fs::read_to_string(home.join("keys")).unwrap(), key);
    let (good, told) = run("clean", &home, &[]);
    assert!(good && !runs(&second) && home.join("vestibule.db").exists(), "{told}");
    let (good, told) = run("clean", &home, &["--data"]);
    assert!(good && !home.exists(), "{told}");
    let (good, told) = run("clean", scratch.path(), &["--data"]);
    assert!(!good && scratch.path().exists(), "only what was deployed is removed: {told}");
}
