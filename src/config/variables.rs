//! What the environment, or a file that stands in for it, says of settings.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Layers, Source};

/// One variable of the environment, or of a file that stands in for it.
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value; none when it is not UTF-8.
    pub value: Option<String>,
    /// Where it was said.
    pub source: Source,
}

/// Variables that tests of this project use for themselves.
const NOT_OURS: &str = "VESTIBULE_TEST_";

/// What a variable sets.
pub struct Assignment {
    /// Which of the trees.
    pub tree: usize,
    /// The setting's path in it.
    pub path: String,
    /// The value, already read when the variable named a file.
    pub text: String,
    /// Where it was said.
    pub source: Source,
}

/// Finds what `variables` set in `trees`, and what is wrong with them. Those that do not start with
/// `VESTIBULE_` are none of our business; one that does and names no setting is a fault, and so are
/// two that name the same one.
pub fn assignments(trees: &[&Layers], variables: Vec<Variable>) -> (Vec<Assignment>, Vec<String>) {
    let mut known = BTreeMap::new();
    for (tree, layers) in trees.iter().enumerate() {
        known.extend(layers.variables().into_iter().map(|(name, path)| (name, (tree, path))));
    }
    let mut said: BTreeMap<(usize, String), String> = BTreeMap::new();
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    for Variable { name, value, source } in variables {
        if !name.starts_with("VESTIBULE_") || name.starts_with(NOT_OURS) {
            continue;
        }
        let base = name.strip_suffix("_FILE").filter(|_| !known.contains_key(&name));
        let Some((tree, path)) = known.get(base.unwrap_or(&name)).cloned() else {
            let wrong = base.unwrap_or(&name);
            // A right name below the other tree's prefix is meant, however many letters that is.
            let bare = wrong.trim_start_matches("VESTIBULE_");
            let other = trees.iter().map(|tree| format!("{}{bare}", tree.prefix));
            let other = other.filter_map(|name| known.get_key_value(&name)).map(|(name, _)| name).next();
            let near = other.or_else(|| known.keys().min_by_key(|known| strsim::osa_distance(known, wrong)));
            let (near, end) = (near.map_or("", String::as_str), base.map_or("", |_| "_FILE"));
            let place =
                if source == Source::Named(name.clone()) { String::new() } else { format!("{source}: ") };
            faults.push(format!("{place}{name} is not a setting; did you mean {near}{end}?"));
            continue;
        };
        if let Some(other) = said.insert((tree, path.clone()), name.clone()) {
            faults.push(format!("{source}: {path} is set twice, by {other} and by {name}; keep one."));
            continue;
        }
        let Some(value) = value else {
            faults.push(format!("{source}: {path} must be UTF-8 text."));
            continue;
        };
        let text = match base.map(|_| std::fs::read_to_string(Path::new(&value))) {
            None => value,
            Some(Ok(content)) => content.trim_end_matches(['\r', '\n']).to_owned(),
            Some(Err(error)) => {
                // Not the value: by mistake it may be the secret itself.
                faults.push(format!(
                    "{source}: {path} cannot be read from the file that is named there: {error}."
                ));
                continue;
            }
        };
        found.push(Assignment { tree, path, text, source });
    }
    (found, faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_comes_from_a_file_without_its_last_line_end() {
        let file = std::env::temp_dir().join(format!("vestibule-layers-{}", std::process::id()));
        std::fs::write(&file, "a b \r\n").unwrap();
        let layers = Layers::new("name = \"x\"", "VESTIBULE_", &[]);
        let variable = Variable {
            name: "VESTIBULE_NAME_FILE".into(),
            value: Some(file.to_str().unwrap().into()),
            source: Source::Named("VESTIBULE_NAME_FILE".into()),
        };
        let (found, faults) = assignments(&[&layers], vec![variable]);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(faults, Vec::<String>::new());
        assert_eq!(found.iter().map(|one| one.text.as_str()).collect::<Vec<_>>(), ["a b "]);
    }
}
