//! The walkthroughs of `CONTRIBUTING.md`, followed word by word: every block goes into a copy of the sources, and the
//! copy compiles.
//!
//! A block with `file=` is that whole file. One with `in=` is a change to a file that is there: lines as `diff` prints
//! them, the parts of it separated by `@@`. What it takes away and the lines around it must stand there exactly once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::architecture::root;
use crate::place::second_round;
use crate::told;

/// What is no source: what was built, what was served, what git and editors keep.
const LEFT_BEHIND: &[&str] = &["target", "vestibule-data", "vestibule-deployed", "secrets", ".git"];

/// What stands in quotes: where it goes, and its lines.
struct Block {
    file: Option<String>,
    change_in: Option<String>,
    lines: Vec<String>,
}

/// The blocks of a page, without what indents them.
fn blocks(page: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut inside = None;
    for line in page.lines() {
        let indent = line.len() - line.trim_start().len();
        match (line.trim_start().strip_prefix("```"), inside) {
            (Some(words), None) => {
                let word = |key: &str| words.split(' ').find_map(|word| word.strip_prefix(key));
                let (file, change_in) = (word("file=").map(str::to_owned), word("in=").map(str::to_owned));
                assert!(words == "sh" || file.is_some() != change_in.is_some(), "where does {line:?} go?");
                found.push(Block { file, change_in, lines: Vec::new() });
                inside = Some(indent);
            }
            (Some(_), Some(_)) => inside = None,
            (None, Some(indent)) => {
                found.last_mut().unwrap().lines.push(line.get(indent..).unwrap_or("").to_owned());
            }
            (None, None) => {}
        }
    }
    found
}

fn changed(path: &str, text: &str, change: &[String]) -> String {
    let mut text = text.to_owned();
    for part in change.split(|line| line == "@@") {
        let side = |away: char| -> String {
            let lines = part.iter().filter(|line| !line.starts_with(away));
            lines.map(|line| format!("{}\n", line.get(1..).unwrap_or(""))).collect()
        };
        let (before, after) = (side('+'), side('-'));
        assert_ne!(before, after, "{path}: nothing is changed");
        assert_eq!(text.matches(&before).count(), 1, "{path} does not have this once:\n{before}");
        text = text.replace(&before, &after);
    }
    text
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

#[test]
fn what_the_walkthroughs_say_compiles() {
    if second_round() {
        return;
    }
    if std::env::var_os("VESTIBULE_TEST_WALKTHROUGHS").is_none() {
        told::left_out("the walkthroughs of CONTRIBUTING.md, which scripts/test compiles without --quick.");
        return;
    }
    // What the sources need has been checked here before, and is not again.
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let house = built.join("walkthroughs");
    let _ = fs::remove_dir_all(&house);
    fs::create_dir_all(&house).unwrap();
    for entry in fs::read_dir(root()).unwrap() {
        let entry = entry.unwrap();
        let name: PathBuf = entry.file_name().into();
        if LEFT_BEHIND.iter().any(|left| name == Path::new(left)) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &house.join(name));
        } else {
            fs::copy(entry.path(), house.join(name)).unwrap();
        }
    }
    // Another version is another package to cargo: what is built of the house itself stays what it is.
    for file in ["Cargo.toml", "Cargo.lock"] {
        let path = house.join(file);
        let text = fs::read_to_string(&path).unwrap();
        let ours = concat!("name = \"vestibule\"\nversion = \"", env!("CARGO_PKG_VERSION"), "\"\n");
        assert_eq!(text.matches(ours).count(), 1, "{file}");
        fs::write(path, text.replace(ours, "name = \"vestibule\"\nversion = \"0.0.0\"\n")).unwrap();
    }
    let page = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let (mut files, mut changes) = (0, 0);
    for Block { file, change_in, lines } in blocks(&page) {
        if let Some(path) = file {
            let at = house.join(&path);
            assert!(!at.exists(), "{path} is there already");
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            fs::write(at, lines.join("\n") + "\n").unwrap();
            files += 1;
        } else if let Some(path) = change_in {
            let at = house.join(&path);
            let text = fs::read_to_string(&at).unwrap_or_else(|_| panic!("there is no {path}"));
            fs::write(at, changed(&path, &text, &lines)).unwrap();
            changes += 1;
        }
    }
    assert!(files >= 8 && changes >= 15, "{files} files, {changes} changes");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([
        "check",
        "--tests",
        "--offline",
        "--locked",
        "--quiet",
        "--color",
        "never",
        "--target-dir",
    ]);
    let output = command.arg(built).current_dir(&house).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
