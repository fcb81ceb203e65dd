//! The file `.env`, which stands in for the environment in development.

use super::{Source, Variable};

/// Reads `KEY=value` lines. Comments start with `#`; values may be quoted; `export` before the key is allowed.
///
/// Inside double quotes `\n`, `\"` and `\\` mean what they usually do; single quotes keep everything as it is.
///
/// # Errors
/// One sentence for each line that cannot be read, without its content.
pub fn parse(file: &str, text: &str) -> (Vec<Variable>, Vec<String>) {
    let (mut variables, mut faults) = (Vec::new(), Vec::new());
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let source = Source::Line { file: file.to_owned(), line: index + 1 };
        let line = line.strip_prefix("export ").unwrap_or(line);
        let read = line.split_once('=').and_then(|(name, value)| {
            let name = name.trim();
            let plain =
                !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            Some((name, unquoted(value.trim())?)).filter(|_| plain)
        });
        match read {
            Some((name, value)) => {
                variables.push(Variable { name: name.to_owned(), value: Some(value), source })
            }
            None => faults.push(format!("{source}: this is not KEY=value.")),
        }
    }
    (variables, faults)
}

fn unquoted(value: &str) -> Option<String> {
    let comment_only = |rest: &str| rest.trim_start().is_empty() || rest.trim_start().starts_with('#');
    if let Some(rest) = value.strip_prefix('\'') {
        let (inside, after) = rest.split_once('\'')?;
        return comment_only(after).then(|| inside.to_owned());
    }
    let Some(rest) = value.strip_prefix('"') else {
        // `#` starts a comment only after a space: it may stand inside a password.
        let end = value.find(" #").unwrap_or(value.len());
        let plain = if value.starts_with('#') { "" } else { value.get(..end)? };
        return Some(plain.trim_end().to_owned());
    };
    let mut inside = String::new();
    let mut letters = rest.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return comment_only(letters.as_str()).then_some(inside),
            '\\' => match letters.next()? {
                'n' => inside.push('\n'),
                other @ ('"' | '\\') => inside.push(other),
                other => inside.extend(['\\', other]),
            },
            other => inside.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_a_shell_would() {
        let text = "\u{feff}# comment\n\nA=plain # comment\nexport B = \"two \\\"words\\\"\" # c\r\nC='as # it \\n is'\nD=pass#word\nE=\nF=a=b\nG=# nothing\n";
        let (variables, faults) = parse(".env", text);
        let read: Vec<_> = variables.iter().map(|v| (v.name.as_str(), v.value.as_deref().unwrap())).collect();
        assert_eq!(
            read,
            [
                ("A", "plain"),
                ("B", "two \"words\""),
                ("C", "as # it \\n is"),
                ("D", "pass#word"),
                ("E", ""),
                ("F", "a=b"),
                ("G", ""),
            ]
        );
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(variables[0].source.to_string(), ".env line 3");
    }

    #[test]
    fn what_cannot_be_read_is_told_by_line_and_not_repeated() {
        let (variables, faults) = parse(".env", "hush\n=x\nA=\"open\nB='open\nC-D=1\nE='a' b\n");
        assert!(variables.is_empty());
        assert_eq!(faults.len(), 6);
        assert_eq!(faults[0], ".env line 1: this is not KEY=value.");
    }
}
