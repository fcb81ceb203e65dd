//! What those who develop rely on: the server that starts anew, the hook before a commit, and that
//! `CONTRIBUTING.md` names only what is there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::architecture::root;
use crate::place::second_round;

/// A folder that is gone when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vestibule-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn copy(&self, path: &str) {
        self.write(path, &fs::read_to_string(root().join(path)).unwrap());
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.0.join(path)).unwrap_or_default()
    }

    /// A command in here that finds our own `cargo` before any other.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let path = format!("{}/bin:{}", self.0.display(), std::env::var("PATH").unwrap());
        command.current_dir(&self.0).env("PATH", path).env("HOME", &self.0).stdin(Stdio::null());
        command
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Ends with the test, however that ends.
struct Running(std::process::Child);

impl Running {
    fn end(mut self) {
        let id = i32::try_from(self.0.id()).unwrap();
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(id).unwrap(),
            rustix::process::Signal::TERM,
        )
        .unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
    }
}

/// Waits, by the real clock, until the log has these lines.
fn comes_to(scratch: &Scratch, lines: &[&str]) {
    for _ in 0..500 {
        if scratch.read("log").lines().eq(lines.iter().copied()) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{lines:?} was expected: {}", scratch.read("log"));
}

#[test]
fn what_compiles_starts_anew_and_what_does_not_leaves_the_server_of_before() {
    if second_round() {
        return;
    }
    let scratch = Scratch::new("dev");
    scratch.copy("scripts/dev");
    scratch.write("src/main.rs", "one");
    scratch.write("policies/default.toml", "");
    // A compiler that makes a server of the source, unless the source is wrong.
    scratch.write(
        "bin/cargo",
        r#"#!/bin/sh
source=$(cat src/main.rs)
[ "$source" = wrong ] && { echo "refused" >> log; exit 1; }
mkdir -p target/debug
cat > target/debug/vestibule.new <<END
#!/bin/sh
# What is no setting is refused.
env | grep -q '^VESTIBULE_DEV_' && exit 1
trap 'echo "ended $source" >> log; exit 0' TERM
echo "began $source \$*" >> log
while [ -e src ]; do sleep 0.02; done
END
chmod +x target/debug/vestibule.new
mv target/debug/vestibule.new target/debug/vestibule
"#,
    );
    let mut command = scratch.command("scripts/dev");
    command.args(["--preset", "bearer"]).env("VESTIBULE_DEV_PAUSE", "0.05").stderr(Stdio::null());
    let running = Running(command.spawn().unwrap());
    let began = "began one --preset bearer";
    comes_to(&scratch, &[began]);
    // Files are dated by the tick of the system's clock.
    let change = |text: &str| {
        std::thread::sleep(Duration::from_millis(50));
        scratch.write("src/main.rs", text);
    };
    change("wrong");
    comes_to(&scratch, &[began, "refused"]);
    change("two");
    let anew = [began, "refused", "ended one", "began two --preset bearer"];
    comes_to(&scratch, &anew);
    running.end();
    comes_to(&scratch, &[&anew[..], &["ended two"]].concat());
}

#[test]
fn the_hook_lets_pass_what_has_form_and_nothing_else() {
    if second_round() {
        return;
    }
    let scratch = Scratch::new("hook");
    let git = |arguments: &[&str]| -> Output {
        let identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"];
        scratch.command("git").args(identity).args(arguments).output().unwrap()
    };
    assert!(git(&["init", "--quiet"]).status.success());
    git(&["config", "core.hooksPath", ".githooks"]);
    scratch.copy(".githooks/pre-commit");
    scratch.copy("scripts/dev");
    // `fmt` and `clippy` are right unless the source says that they are wrong.
    scratch.write("bin/cargo", "#!/bin/sh\n! grep -q \"no $1\" src/main.rs\n");
    for (source, passes) in
        [("fn main() {}", true), ("no fmt", false), ("no clippy", false), ("mended", true)]
    {
        scratch.write("src/main.rs", source);
        git(&["add", "--all"]);
        let commit = git(&["commit", "--quiet", "-m", source]);
        assert_eq!(commit.status.success(), passes, "{source}: {}", String::from_utf8_lossy(&commit.stderr));
    }
    scratch.write("src/main.rs", "no fmt");
    scratch.write("README.md", "words");
    git(&["add", "README.md"]);
    assert!(git(&["commit", "--quiet", "-m", "Words"]).status.success(), "words have no form to look at");
}

#[test]
fn what_contributing_names_is_there_or_made_by_it() {
    let text = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let made: Vec<&str> =
        text.split(" file=").skip(1).map(|rest| rest.split_whitespace().next().unwrap()).collect();
    assert!(made.len() >= 8, "{made:?}");
    let mut named = 0;
    for word in text.split(['`', '(', ')', ' ', '\n']) {
        let word = word.trim_start_matches("./").trim_end_matches([',', '.', ':', ';']);
        let starts =
            ["src/", "tests/", "docs/", "policies/", "migrations/", "scripts/", ".githooks", ".vscode"];
        if starts.iter().any(|start| word.starts_with(start)) && !word.contains(['{', '*']) {
            let is_made = made.iter().any(|file| *file == word || Path::new(file).starts_with(word));
            assert!(is_made || root().join(word).exists(), "there is no {word}");
            named += 1;
        }
    }
    assert!(named >= 30, "{named}");
}
