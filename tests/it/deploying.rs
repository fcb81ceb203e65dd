//! The scripts that put a server into service on a machine and take it out again, without containers.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::kill::server::{Scratch, free_address};
use crate::place::second_round;
use crate::told;

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

/// An account that codes are sent by.
fn settings() -> String {
    let account = format!("AC{}", "0".repeat(32));
    let token = "1".repeat(32);
    format!(
        "# codes\nVESTIBULE_TWILIO_ACCOUNT_SID={account}\nVESTIBULE_TWILIO_AUTH_TOKEN={token}\nVESTIBULE_TWILIO_FROM=+15005550006\n"
    )
}

#[test]
fn a_server_is_deployed_replaced_stopped_and_removed() {
    if second_round() {
        return;
    }
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
    fs::write(home.join("settings.env"), settings()).unwrap();
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

/// Where PostgreSQL's programs are, as the scripts find them.
fn postgres() -> Option<PathBuf> {
    let versions =
        fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|version| version.path().join("bin"));
    versions.filter(|bin| bin.join("pg_ctl").exists()).max()
}

/// With a PostgreSQL of its own, as somebody who is not root, in a folder whose name is an odd one.
#[test]
fn a_postgres_of_its_own_is_deployed_and_survives_a_loss_of_power() {
    if second_round() {
        return;
    }
    let Some(bin) = postgres() else {
        told::left_out("PostgreSQL's programs are not here.");
        return;
    };
    let scratch = Scratch::new().unwrap();
    let free = scratch.path().join("free");
    fs::create_dir(&free).unwrap();
    let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    open(scratch.path(), 0o755);
    open(&free, 0o777);
    // What somebody else may not be able to reach where it is.
    for name in ["deploy", "clean"] {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name);
        fs::copy(script, scratch.path().join(name)).unwrap();
    }
    let program = scratch.path().join("program");
    fs::copy(env!("CARGO_BIN_EXE_vestibule"), &program).unwrap();
    let home = free.join("a'b %c");
    let is_root = rustix::process::getuid().is_root();
    let run = |program: &Path, more: &[&OsStr]| {
        let mut command = Command::new("env");
        if is_root {
            command = Command::new("runuser");
            command.args(["-u", "nobody", "--", "env"]);
        }
        command.args(["-i", "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"]);
        command.arg(program).args(more).current_dir(&free);
        let Output { status, stdout, stderr } = command.output().unwrap();
        (status.success(), String::from_utf8([stdout, stderr].concat()).unwrap())
    };
    let script = |name: &str, more: &[&str]| {
        let given: Vec<&OsStr> = more.iter().map(OsStr::new).collect();
        run(
            &scratch.path().join(name),
            &[&[OsStr::new("--home"), home.as_os_str()], given.as_slice()].concat(),
        )
    };
    let listen = free_address().unwrap().to_string();
    let deploy = |more: &[&str]| {
        let fixed = ["--listen", &listen, "--program", program.to_str().unwrap()];
        script("deploy", &[fixed.as_slice(), more].concat())
    };
    let (good, told) = deploy(&["--postgres", "--origin", "https://accounts.example.com"]);
    assert!(!good && told.contains("VESTIBULE_TWILIO_ACCOUNT_SID"), "{told}");
    fs::write(home.join("settings.env"), settings()).unwrap();
    let (good, told) = deploy(&[]);
    assert!(good && told.contains("It serves on") && home.join("postgres/base").exists(), "{told}");
    let (good, told) = deploy(&[]);
    assert!(good, "again, over the one that runs: {told}");
    // All at once gone, and the file that names a process left behind.
    let file = home.join("postgres/postmaster.pid");
    let left = fs::read_to_string(&file).unwrap();
    let data = home.join("postgres");
    let stop = ["-m", "immediate", "-w", "stop"].map(OsStr::new);
    let cut = || {
        let pid = fs::read_to_string(home.join("pid")).unwrap();
        run(Path::new("kill"), &[OsStr::new("-KILL"), OsStr::new(pid.trim())]);
        let (good, told) =
            run(&bin.join("pg_ctl"), &[&[OsStr::new("-D"), data.as_os_str()], stop.as_slice()].concat());
        assert!(good, "{told}");
        let (_, rest) = left.split_once('\n').unwrap();
        fs::write(&file, format!("{}\n{rest}", i32::MAX)).unwrap();
    };
    cut();
    let (good, told) = deploy(&[]);
    assert!(good && told.contains("It serves on"), "{told}");
    cut();
    let (good, told) = script("clean", &[]);
    assert!(good && data.join("base").exists(), "{told}");
    let (good, told) = deploy(&[]);
    assert!(good, "{told}");
    let (good, told) = script("clean", &["--data"]);
    assert!(good && !home.exists(), "{told}");
    let long = free.join("x".repeat(100));
    let arguments = ["--postgres", "--origin", "https://a.example.com", "--program"].map(OsStr::new);
    let arguments =
        [&[OsStr::new("--home"), long.as_os_str()], arguments.as_slice(), &[program.as_os_str()]].concat();
    let (good, told) = run(&scratch.path().join("deploy"), &arguments);
    assert!(!good && told.contains("too long for a socket"), "{told}");
}
