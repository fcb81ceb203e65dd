//! `vestibule policy`: check, explain and try out what each operation asks for.

use std::str::FromStr;

use clap::{Args, Subcommand};

use super::{Outcome, Settings, say};
use crate::clock::Timestamp;
use crate::config::Period;
use crate::policy::{FactorKind, Holder, Operation, PRESETS, Policy, Proofs, explain};

/// What to do with the policy.
#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say what is wrong or unwise, and nothing else.
    Check(Settings),
    /// Say what an operation asks for, or all of them.
    Explain {
        /// Its name, such as user.email.change.
        operation: Option<String>,
        #[command(flatten)]
        settings: Settings,
    },
    /// Say what would become of an operation, and why.
    Simulate(Simulate),
    /// Print what each operation asks for under each shipped policy, as Markdown.
    Table,
}

#[derive(Args)]
struct Simulate {
    /// The operation, such as user.email.change.
    operation: String,
    /// Factors of the account, such as password,sms,totp.
    #[arg(long, value_delimiter = ',', value_name = "FACTORS", default_value = "password")]
    has: Vec<String>,
    /// Those among them that are locked.
    #[arg(long, value_delimiter = ',', value_name = "FACTORS")]
    locked: Vec<String>,
    /// What the session has shown, and how long ago, such as password@30s,sms@10m.
    #[arg(long, value_delimiter = ',', value_name = "FACTOR@AGE")]
    shown: Vec<String>,
    /// A role of the user.
    #[arg(long)]
    role: Vec<String>,
    #[command(flatten)]
    settings: Settings,
}

/// Does what was asked.
pub fn run(options: &Options) -> Outcome {
    match &options.command {
        Command::Check(settings) => {
            let loaded = settings.given().load().map_err(|faults| faults.to_string())?;
            for warning in &loaded.warnings {
                say(&format!("warning: {warning}"))?;
            }
            say(&format!(
                "The policy is sound; it names {} operations.",
                loaded.policy.operation.iter().count()
            ))
        }
        Command::Explain { operation, settings } => {
            let policy = load(settings)?;
            match operation {
                Some(name) => describe(name, find(&policy, name)?),
                None => {
                    say(&format!("After a right password: {}.", explain::second(&policy)))?;
                    policy.operation.iter().try_for_each(|(name, rule)| describe(name, rule))
                }
            }
        }
        Command::Simulate(simulate) => simulate.run(),
        Command::Table => say(&table()?),
    }
}

fn load(settings: &Settings) -> Result<Policy, String> {
    Ok(settings.given().load().map_err(|faults| faults.to_string())?.policy)
}

fn find<'a>(policy: &'a Policy, name: &str) -> Result<&'a Operation, String> {
    policy.operation.get(name).ok_or_else(|| {
        let near = policy.operation.iter().map(|(known, _)| known);
        let near = near.min_by_key(|known| strsim::osa_distance(known, name)).unwrap_or_default();
        format!("The policy names no operation `{name}`; did you mean {near}?")
    })
}

fn describe(name: &str, rule: &Operation) -> Outcome {
    let told = explain::tells(rule);
    let told = if told.is_empty() { String::new() } else { format!(" Told: {told}.") };
    say(&format!("{name}: {}.{told}", explain::asks(rule)))
}

fn factor(text: &str) -> Result<FactorKind, String> {
    FactorKind::of_word(text).ok_or_else(|| {
        let known: Vec<&str> = FactorKind::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("`{text}` is not a factor; there are {}.", known.join(", "))
    })
}

fn factors(texts: &[String]) -> Result<Vec<FactorKind>, String> {
    texts.iter().map(|text| factor(text)).collect()
}

impl Simulate {
    fn run(&self) -> Outcome {
        let policy = load(&self.settings)?;
        let rule = find(&policy, &self.operation)?;
        let (enrolled, locked) = (factors(&self.has)?, factors(&self.locked)?);
        let able: Vec<FactorKind> = enrolled.iter().copied().filter(|kind| !locked.contains(kind)).collect();
        let holder = Holder { enrolled: &enrolled, able: &able, roles: &self.role };
        // Any instant will do, as long as every age fits before it.
        let now = Timestamp::from_millis(4_102_444_800_000);
        let mut proofs = Proofs::default();
        for shown in &self.shown {
            let (kind, age) = shown.split_once('@').unwrap_or((shown, "0s"));
            proofs = proofs.and(factor(kind)?, now.before(*Period::from_str(age)?));
        }
        let (_, told) = explain::why(&self.operation, rule, &proofs, &holder, now);
        told.iter().try_for_each(|sentence| say(sentence))
    }
}

/// What each operation asks for under each shipped policy, as a Markdown table.
pub fn table() -> Result<String, String> {
    let mut policies = vec![("default", Policy::default_policy())];
    for (name, text) in PRESETS {
        policies.push((name, Policy::from_toml(text).map_err(|faults| faults.to_string())?));
    }
    let row = |name: &str, cell: &dyn Fn(&Policy) -> String| {
        let cells: Vec<String> = policies.iter().map(|(_, policy)| cell(policy)).collect();
        format!("| {name} | {} |", cells.join(" | "))
    };
    let names: Vec<&str> = policies.iter().map(|(name, _)| *name).collect();
    let mut lines = vec![
        format!("| operation | {} |", names.join(" | ")),
        format!("|---{}|", "|---".repeat(names.len())),
        row("sign-in, after the password", &explain::second),
    ];
    for name in crate::policy::operation::OWN {
        lines.push(row(&format!("`{name}`"), &|policy: &Policy| {
            policy.operation.get(name).map(explain::asks).unwrap_or_default()
        }));
    }
    Ok(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_about_policies_shows_the_table_as_it_is() {
        let page = include_str!("../../docs/policy.md");
        assert!(
            page.contains(&table().unwrap()),
            "put the output of `vestibule policy table` into docs/policy.md"
        );
    }

    #[test]
    fn a_name_that_is_not_there_is_told_with_the_nearest() {
        let policy = Policy::default_policy();
        let told = find(&policy, "user.emial.change").unwrap_err();
        assert!(told.contains("did you mean user.email.change?"), "{told}");
        assert!(factor("otp").unwrap_err().contains("there are password, sms"));
    }
}
