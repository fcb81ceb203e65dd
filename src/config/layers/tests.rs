//! Settings in layers, tried.

use super::*;
use crate::config::{Assignment, Variable, assignments};

const DEFAULTS: &str = "name = \"x\"\n[a]\nnumber = 1\nflag = true\nlist = []\n[a.deep]\nwait = \"5s\"\n";

#[derive(serde::Deserialize, Debug)]
struct Read {
    name: String,
    a: A,
}
#[derive(serde::Deserialize, Debug)]
struct A {
    number: u8,
    flag: bool,
    list: Vec<String>,
    deep: Deep,
}
#[derive(serde::Deserialize, Debug)]
struct Deep {
    wait: crate::config::Period,
}

fn layers() -> Layers {
    Layers::new(DEFAULTS, "VESTIBULE_", &[("VESTIBULE_WAIT", "a.deep.wait")])
}

fn lay_variables(layers: &mut Layers, variables: Vec<Variable>) {
    let (found, mut faults) = assignments(&[layers], variables);
    layers.faults.append(&mut faults);
    for Assignment { path, text, source, .. } in found {
        layers.set(&path, &text, source);
    }
}

fn variable(name: &str, value: &str) -> Variable {
    Variable { name: name.into(), value: Some(value.into()), source: Source::Named(name.into()) }
}

#[test]
fn each_layer_covers_the_one_below() {
    let mut layers = layers();
    layers.lay_file("f.toml", "name = \"file\"\na.number = 2\n[a.deep]\nwait = \"1m\"\n");
    lay_variables(
        &mut layers,
        vec![
            variable("VESTIBULE_A_NUMBER", "3"),
            variable("VESTIBULE_A_LIST", "one, two\nthree\n"),
            variable("VESTIBULE_TEST_DATABASE", "ignored"),
            variable("HOME", "ignored"),
        ],
    );
    layers.set("a.flag", "false", Source::Named("--flag".into()));
    let read: Read = layers.read().unwrap();
    assert_eq!(layers.faults, Vec::<String>::new());
    assert_eq!((read.name.as_str(), read.a.number, read.a.flag), ("file", 3, false));
    assert_eq!(read.a.list, ["one", "two", "three"]);
    assert_eq!(read.a.deep.wait.as_secs(), 60);
}

#[test]
fn all_mistakes_are_told_at_once_and_where_they_are() {
    let mut layers = layers();
    layers.lay_file(
        "f.toml",
        "nam = 1\nwait = \"1s\"\na.number = 300\n[a.deep]\nwait = \"five\"\n[b]\nx = 1\n",
    );
    lay_variables(
        &mut layers,
        vec![
            variable("VESTIBULE_A_FLAG", "maybe"),
            variable("VESTIBULE_A_FLAGG", "true"),
            variable("VESTIBULE_A_LIST", "1"),
            variable("VESTIBULE_A_LIST_FILE", "/nowhere"),
            variable("VESTIBULE_NAME_FILE", "/nowhere/at/all"),
        ],
    );
    let _: Read = layers.read().unwrap();
    assert_eq!(
        layers.faults,
        [
            "f.toml line 6: b is not a setting; did you mean a?",
            "f.toml line 1: nam is not a setting; did you mean name?",
            "f.toml line 2: wait is not a setting; did you mean a.deep.wait?",
            "VESTIBULE_A_FLAGG is not a setting; did you mean VESTIBULE_A_FLAG?",
            "VESTIBULE_A_LIST_FILE: a.list is set twice, by VESTIBULE_A_LIST and by VESTIBULE_A_LIST_FILE; keep one.",
            "VESTIBULE_NAME_FILE: name cannot be read from the file that is named there: No such file or directory (os error 2).",
            "VESTIBULE_A_FLAG: a.flag must be true or false, not text.",
            "f.toml line 5: a.deep.wait: `five` is not a period such as 250ms, 30s, 5m, 24h or 30d.",
            "f.toml line 3: a.number: invalid value: integer `300`, expected u8.",
        ]
    );
}

#[test]
fn a_value_of_the_wrong_type_is_refused_without_being_shown() {
    let mut layers = layers();
    layers.lay_file("f.toml", "name = 8237\na = 5\n");
    layers.lay_file("g.toml", "[a]\nnumber = -1\nlist = [5551]\nflag = \"hush\"\ndeep = 2\n");
    let _: Read = layers.read().unwrap();
    let told = layers.faults.join("\n");
    assert_eq!(layers.faults.len(), 6, "{told}");
    assert!(!told.contains("8237") && !told.contains("hush") && !told.contains("5551"), "{told}");
    assert!(told.contains("f.toml line 1: name must be text such as \"x\", not a whole number."), "{told}");
    assert!(
        told.contains("g.toml line 2: a.number must be a whole number, not below 0, not a number below 0."),
        "{told}"
    );
}

#[test]
fn what_is_not_toml_is_told_with_its_line_and_not_repeated() {
    let mut layers = layers();
    layers.lay_file("f.toml", "name = \"ok\"\n[a]\nnumber = hush hush\n");
    assert_eq!(layers.faults.len(), 1, "{:?}", layers.faults);
    let told = layers.faults.join("\n");
    assert!(told.starts_with("f.toml line 3: this is not TOML: "), "{told}");
    assert!(!told.contains("hush"), "{told}");
}
