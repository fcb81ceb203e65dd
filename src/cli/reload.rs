//! A policy that changes while the server runs.
//!
//! The file is looked at once a second. What is sound takes the place of the old policy for every
//! request that begins from then on; what is broken, and what the server would not start with, changes
//! nothing and is told, once, in the log and to administrators. Settings other than the policy need a restart.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use super::settings::Given;
use crate::app::App;
use crate::config::unsafe_settings;
use crate::policy::Policy;

/// How often the file is looked at.
pub const EVERY: Duration = Duration::from_secs(1);

/// Keeps the policy of `app` true to the file `path`, which is one of those that `given` names; never ends.
pub async fn keep(app: &Arc<App>, path: &str, given: &Given<'_>, every: Duration) -> Infallible {
    let mut before = read(path);
    loop {
        tokio::time::sleep(every).await;
        let now = read(path);
        if path.is_empty() || now == before {
            continue;
        }
        before = now;
        let loaded = given.clone().load().map_err(|faults| faults.to_string());
        match loaded.and_then(|settings| sound(app, settings.policy)) {
            Ok(policy) => {
                tracing::info!(file = path, "the policy has changed");
                app.replace_policy(policy);
            }
            Err(faults) => {
                tracing::error!(file = path, faults, "the policy is broken: the old one stays in force");
                app.refuse_policy(faults);
            }
        }
    }
}

/// The policy, when it needs nothing that the settings of `app` do not have. What they lack already was judged
/// when the server started.
fn sound(app: &App, policy: Policy) -> Result<Policy, String> {
    let known = unsafe_settings(&app.config, app.policy().needs());
    let mut found = unsafe_settings(&app.config, policy.needs());
    found.retain(|one| !known.contains(one));
    if found.is_empty() { Ok(policy) } else { Err(found.join("\n")) }
}

/// The text of the file; none when it cannot be read, such as while it is being replaced. A few
/// kilobytes that the system keeps at hand: not worth a thread.
fn read(path: &str) -> Option<Vec<u8>> {
    std::fs::read(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn until(what: impl Fn() -> bool) {
        for _ in 0..1_000 {
            if what() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it did not come true");
    }

    #[tokio::test]
    async fn a_sound_policy_takes_over_and_a_broken_one_is_told() {
        let app = crate::http::testing::app();
        let file = std::env::temp_dir().join(format!("vestibule-reload-{}.toml", std::process::id()));
        let path = file.to_str().unwrap();
        std::fs::write(&file, "").unwrap();
        let given = Given { mode: vec![("policy", path.to_owned())], ..Given::default() };
        let says = async {
            let names = |name: &str| app.policy().operation.get(name).is_some();
            tokio::time::sleep(Duration::from_millis(50)).await;
            std::fs::write(&file, "[operation.\"own.act\"]").unwrap();
            until(|| names("own.act")).await;
            std::fs::write(&file, "[operation.\"own.act\"]\nnevr = true").unwrap();
            until(|| app.policy_faults().is_some_and(|faults| faults.contains("line 2"))).await;
            assert!(names("own.act"), "what is broken changes nothing");
            std::fs::write(&file, "[sign_in.second]\nfactors = [\"call\"]").unwrap();
            until(|| app.policy_faults().is_some_and(|faults| faults.starts_with("calls.from"))).await;
            assert!(names("own.act"), "nor does what the server would not start with");
            std::fs::write(&file, "# nothing of its own").unwrap();
            until(|| !names("own.act") && app.policy_faults().is_none()).await;
        };
        tokio::select! {
            () = says => {}
            never = keep(&app, path, &given, Duration::from_millis(5)) => match never {},
        }
        std::fs::remove_file(&file).unwrap();
    }
}
