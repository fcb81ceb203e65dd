//! A policy that changes while the server runs.
//!
//! The file is looked at once a second. What is sound takes the place of the old policy for every
//! request that begins from then on; what is broken changes nothing and is told, once, in the log and
//! to administrators. Settings other than the policy need a restart.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use super::settings::Given;
use crate::app::App;

/// How often the file is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Keeps the policy of `app` true to its file; never ends.
pub async fn keep(app: &Arc<App>, given: &Given<'_>) -> Infallible {
    let path = app.config.policy.clone();
    let mut before = read(&path);
    loop {
        tokio::time::sleep(EVERY).await;
        let now = read(&path);
        if path.is_empty() || now == before {
            continue;
        }
        before = now;
        match given.clone().load() {
            Ok(settings) => {
                tracing::info!(file = path, "the policy has changed");
                app.replace_policy(settings.policy);
            }
            Err(faults) => {
                tracing::error!(file = path, %faults, "the policy is broken: the old one stays in force");
                app.refuse_policy(faults.to_string());
            }
        }
    }
}

/// The text of the file; none when it cannot be read, such as while it is being replaced. A few
/// kilobytes that the system keeps at hand: not worth a thread.
fn read(path: &str) -> Option<Vec<u8>> {
    std::fs::read(path).ok()
}
