//! The scripts that put a server into service on a machine and take it out again, and what a container is made of.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::architecture::root;
use crate::kill::server::{Scratch, bare_vestibule, free_address};
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

/// What codes are sent by: an account and a mail server.
fn settings() -> String {
    let account = format!("AC{}", "0".repeat(32));
    let token = "1".repeat(32);
    format!(
        "# codes\nVESTIBULE_TWILIO_ACCOUNT_SID={account}\nVESTIBULE_TWILIO_AUTH_TOKEN={token}\nVESTIBULE_TWILIO_FROM=+15005550006\n\
         VESTIBULE_SMTP_HOST=smtp.example.com\nVESTIBULE_SMTP_FROM=accounts@example.com\n"
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
    // The last line counts although nothing ends it.
    fs::write(home.join("settings.env"), settings().trim_end()).unwrap();
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
    // Anew where the settings were lost: what they said is asked for, what is there is kept.
    fs::remove_file(home.join("vestibule.toml")).unwrap();
    let (good, told) = deploy(&["--origin", "https://accounts.example.com"]);
    assert!(good && told.contains("It serves on"), "{told}");
    assert_eq!(fs::read_to_string(home.join("keys")).unwrap(), key);
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
    // Somebody else may not be able to reach where this was built.
    let scratch = Scratch::within(&std::env::temp_dir()).unwrap();
    let free = scratch.path().join("free");
    fs::create_dir(&free).unwrap();
    let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    open(scratch.path(), 0o755);
    open(&free, 0o777);
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

// Containers. Nothing here starts one: what an engine is told is written down.

/// An engine called `docker`, which says that it is `kind`, writes down what it is told, a line each, and makes keys
/// with this program.
fn engine(scratch: &Path, kind: &str) -> PathBuf {
    let folder = scratch.join("bin");
    fs::create_dir(&folder).unwrap();
    let script = format!(
        "#!/bin/sh\n\
         case \"$*\" in 'compose version') exit ;; --version) echo '{kind} version 1'; exit ;; esac\n\
         echo \"$* [${{VESTIBULE_FOLDER:-}} ${{VESTIBULE_PUBLISH:-}} ${{COMPOSE_PROJECT_NAME:-}}]\" >>'{}/told'\n\
         case \"$1 $2 $3\" in 'run --rm vestibule') shift 3; exec '{}' \"$@\" ;; esac\n",
        scratch.display(),
        env!("CARGO_BIN_EXE_vestibule"),
    );
    fs::write(folder.join("docker"), script).unwrap();
    fs::set_permissions(folder.join("docker"), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

#[test]
fn with_containers_the_engine_is_told_all_that_the_scripts_were() {
    if second_round() {
        return;
    }
    let scratch = Scratch::new().unwrap();
    let path = format!("{}:{}", engine(scratch.path(), "Docker").display(), std::env::var("PATH").unwrap());
    let home = scratch.path().join("deployed");
    let script = |name: &str, more: &[&str]| {
        let mut command = Command::new(root().join("scripts").join(name));
        command.env_clear().env("PATH", &path).args(more).current_dir(scratch.path());
        let Output { status, stdout, stderr } = command.output().unwrap();
        let told = fs::read_to_string(scratch.path().join("told")).unwrap_or_default();
        let _ = fs::remove_file(scratch.path().join("told"));
        let told: Vec<_> = told.lines().map(str::to_owned).collect();
        (status.success(), told, String::from_utf8([stdout, stderr].concat()).unwrap())
    };
    let fixed = ["--containers", "--home", home.to_str().unwrap(), "--listen", "127.0.0.1:9099"];
    let deploy = |more: &[&str]| script("deploy", &[fixed.as_slice(), more].concat());
    for refused in
        [["--origin", "https://a.example.com", "--postgres"].as_slice(), &["--program", "/bin/sh"], &[]]
    {
        let (good, told, said) = deploy(refused);
        assert!(!good && told.is_empty() && !home.join("keys").exists(), "{refused:?}: {told:?} {said}");
    }
    let (good, told, said) = deploy(&["--origin", "https://accounts.example.com"]);
    assert!(good, "{said}");
    let [build, generate, up] = told.as_slice() else { panic!("{told:?}") };
    assert!(build.starts_with(&format!("build -t vestibule {}", root().display())), "{build}");
    assert!(generate.starts_with("run --rm vestibule keys generate --id "), "{generate}");
    let file = root().join("compose.yaml");
    let of_home = format!("[{} 127.0.0.1:9099 vestibule-", home.display());
    assert!(
        up.starts_with(&format!("compose -f {} up --build --detach --wait {of_home}", file.display())),
        "{up}"
    );
    let settings = fs::read_to_string(home.join("settings.env")).unwrap();
    assert!(settings.starts_with("VESTIBULE_ORIGIN=https://accounts.example.com\n"), "{settings}");
    let keys = fs::read_to_string(home.join("keys")).unwrap();
    vestibule::secret::Keyring::parse(&[vestibule::secret::Secret::new(keys.trim())]).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let modes = (mode(&home), mode(&home.join("settings.env")), mode(&home.join("keys")));
    assert_eq!(modes, (0o700, 0o600, 0o644), "nobody else comes in, and the container reads the key");
    // Again: the same key, whatever else was set meanwhile.
    let (good, told, said) = deploy(&[]);
    assert!(good && told.as_slice() == [up.as_str()], "{told:?} {said}");
    assert_eq!(fs::read_to_string(home.join("keys")).unwrap(), keys);
    // Without containers it is another server.
    let clean = |more: &[&str]| script("clean", &[&fixed[..3], more].concat());
    let down = |told: &[String], what: &str| {
        let [line] = told else { panic!("{told:?}") };
        assert!(
            line.starts_with(&format!("compose -f {} {what} [{} ", file.display(), home.display())),
            "{line}"
        );
        assert_eq!(line.rsplit(' ').next(), up.rsplit(' ').next(), "the same project");
    };
    let (good, told, said) = clean(&[]);
    assert!(good && home.exists(), "{said}");
    down(&told, "down");
    let (good, told, said) = clean(&["--data"]);
    assert!(good && !home.exists(), "{said}");
    down(&told, "down --volumes");
    let (good, told, _) = clean(&["--data"]);
    assert!(!good && told.is_empty(), "{told:?}");
    let (good, told, said) = script("test", &["--containers", "--quick", "a name"]);
    let [_, run] = told.as_slice() else { panic!("{told:?} {said}") };
    assert!(
        good && run.starts_with("run --rm ") && run.contains(" ./scripts/test --quick a name ["),
        "{run}"
    );
    assert!(run.contains(&format!(" --volume {}:/src ", root().display())), "{run}");
}

/// Podman's, too, where it answers to the other name.
#[test]
fn a_proxy_is_trusted_that_comes_from_the_networks_of_the_engine() {
    if second_round() {
        return;
    }
    for (kind, networks) in [("Docker", "172.16.0.0/12"), ("podman", "10.88.0.0/15")] {
        let scratch = Scratch::new().unwrap();
        let path = format!("{}:{}", engine(scratch.path(), kind).display(), std::env::var("PATH").unwrap());
        let home = scratch.path().join("deployed");
        let mut deploy = Command::new(root().join("scripts/deploy"));
        deploy.env_clear().env("PATH", &path).arg("--home").arg(&home);
        let Output { status, stderr, .. } =
            deploy.args(["--containers", "--origin", "https://a.example.com"]).output().unwrap();
        assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
        let settings = fs::read_to_string(home.join("settings.env")).unwrap();
        let line = format!("VESTIBULE_SERVER_TRUSTED_PROXIES={networks}\n");
        assert!(settings.ends_with(&line), "{kind}: {settings}");
    }
}

#[test]
fn no_variable_stands_in_the_way_of_a_command_that_needs_none() {
    for name in ["compose.yaml", "compose.cluster.yaml"] {
        let text = fs::read_to_string(root().join(name)).unwrap();
        let is_free = |line: &str| line.matches("${").count() == line.matches(":-").count();
        let wrong: Vec<_> = text.lines().filter(|line| !line.starts_with('#') && !is_free(line)).collect();
        assert!(wrong.is_empty(), "{name}: {wrong:?}");
    }
}

/// What is copied into the first stage of the image from here, as far as `.dockerignore` lets it.
fn copied() -> Vec<PathBuf> {
    let read = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    let (file, ignore) = (read("Dockerfile"), read(".dockerignore"));
    assert!(ignore.starts_with("*\n"), "all that is not named stays outside");
    let let_in: BTreeSet<_> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let copies =
        file.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.starts_with("--"));
    let sources = copies.flat_map(|line| line.rsplit_once(' ').unwrap().0.split(' '));
    sources.filter(|source| let_in.contains(source)).map(|source| root().join(source)).collect()
}

#[test]
fn all_that_the_build_reads_is_copied_into_the_image() {
    // What the compiler read for the library, as it wrote it down beside it, now or before; and what cargo itself reads.
    let made = std::env::current_exe().unwrap();
    let mut read = BTreeSet::new();
    for file in fs::read_dir(made.parent().unwrap()).unwrap().flatten().map(|file| file.path()) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("vestibule-") && name.ends_with(".d") {
            let text = fs::read_to_string(file).unwrap();
            let lines = text.lines().filter_map(|line| line.split_once(".rlib: "));
            read.extend(lines.flat_map(|(_, names)| names.split(' ').map(PathBuf::from)));
        }
    }
    let own = ["Cargo.toml", "Cargo.lock", ".cargo/config.toml", "build.rs", "rust-toolchain.toml"];
    read.extend(own.map(PathBuf::from));
    let mut read: BTreeSet<_> =
        read.iter().filter_map(|path| fs::canonicalize(root().join(path)).ok()).collect();
    for known in ["src/lib.rs", "migrations/sqlite/0001_ground.sql", ".cargo/config.toml"] {
        assert!(read.contains(&root().join(known)), "{known} is read");
    }
    // Those of targets that the manifest names must be there, though nothing of them is built.
    read.insert(root().join("benches/figures/main.rs"));
    let copied = copied();
    let left: Vec<_> = read.iter().filter(|path| !copied.iter().any(|copy| path.starts_with(copy))).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// What a container of the image is told: by the image, by the file that the head of `compose` shows, and by `compose`.
fn told_to_a_container(compose: &str) -> Vec<(String, String)> {
    let dockerfile = fs::read_to_string(root().join("Dockerfile")).unwrap();
    let image =
        dockerfile.lines().filter_map(|line| line.strip_prefix("ENV ")).flat_map(|line| line.split(' '));
    let is_setting = |line: &&str| line.starts_with("VESTIBULE_");
    let shown = compose.lines().filter_map(|line| line.strip_prefix("#     ")).filter(is_setting);
    let pairs = image.chain(shown).filter_map(|line| line.split_once('='));
    let set =
        compose.lines().map(str::trim_start).filter(is_setting).filter_map(|line| line.split_once(": "));
    pairs.chain(set).map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

#[test]
fn the_settings_of_every_container_are_sound_together() {
    if second_round() {
        return;
    }
    for name in ["compose.yaml", "compose.cluster.yaml"] {
        let compose = fs::read_to_string(root().join(name)).unwrap();
        let scratch = Scratch::new().unwrap();
        let secrets = scratch.path().display().to_string();
        fs::write(scratch.path().join("store"), "postgres://vestibule@postgres/vestibule").unwrap();
        let mut generate = bare_vestibule(scratch.path());
        fs::write(scratch.path().join("keys"), generate.args(["keys", "generate"]).output().unwrap().stdout)
            .unwrap();
        let told = told_to_a_container(&compose);
        assert!(told.len() >= 10, "{name}: {told:?}");
        let mut check = bare_vestibule(scratch.path());
        for (name, value) in told {
            check.env(name, value.replace("/run/secrets", &secrets));
        }
        // What the head of the file leaves to fill in.
        check.envs(settings().lines().filter_map(|line| line.split_once('=')));
        let Output { status, stderr, .. } = check.args(["policy", "check"]).output().unwrap();
        assert!(status.success(), "{name}: {}", String::from_utf8_lossy(&stderr));
    }
}

#[test]
fn the_proxy_reaches_the_nodes_by_the_address_that_is_trusted_and_no_other() {
    let compose = fs::read_to_string(root().join("compose.cluster.yaml")).unwrap();
    let after = |text: &str, mark: &str| text.split_once(mark).unwrap().1.to_owned();
    let node = after(&after(&compose, "x-node:"), "  networks: [");
    let node: BTreeSet<&str> = node.split_once(']').unwrap().0.split(", ").collect();
    let proxy = after(&after(&compose, "\n  proxy:\n"), "    networks:\n");
    let proxy: Vec<_> =
        proxy.lines().map_while(|line| line.strip_prefix("      ")?.split_once(": ")).collect();
    let shared: Vec<_> = proxy.iter().filter(|(network, _)| node.contains(network)).collect();
    let [(_, address)] = shared.as_slice() else { panic!("{shared:?} of {proxy:?} and {node:?}") };
    let trusted = after(&compose, "VESTIBULE_SERVER_TRUSTED_PROXIES: ");
    let trusted = trusted.lines().next().unwrap().strip_suffix("/32").unwrap();
    assert_eq!(*address, format!("{{ipv4_address: {trusted}}}"));
    assert!(proxy.len() > 1, "what is published needs a network that is not internal: {proxy:?}");
}

/// Lines of `SystemCallFilter=` count one after the other.
#[test]
fn the_unit_lets_hashing_give_way_to_the_rest() {
    let unit = fs::read_to_string(root().join("deploy/vestibule.service")).unwrap();
    let filters: Vec<_> = unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")).collect();
    assert_eq!(filters, ["@system-service", "~@privileged @resources", "setpriority"]);
}
