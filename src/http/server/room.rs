//! How many connections there is room for. Each takes one of the files that the process may have open, and so does
//! whatever is needed to answer them: who only opens connections must not take those, too.

use std::thread::available_parallelism;

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::config::Config;

/// Files for what is there once or a few times: the standard ones, listeners, the database's writer, what the
/// workers have to do with providers.
const HOUSE: usize = 64;
/// Files for each core: an event loop and what wakes it, the database read by that loop's thread and by another.
const CORE: usize = 8;

/// Lets the process have as many files open as it may. A sentence for the operator when that is too few.
pub fn make_room(config: &Config) -> Option<String> {
    let limit = getrlimit(Resource::Nofile);
    // Where the bound has no number it cannot be reached; then what was there before goes on.
    let _ = setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, ..limit });
    let (wanted, places) = (config.server.max_connections, places(config));
    (places < wanted).then(|| {
        format!(
            "Only {places} connections can be open at the same time, not the {wanted} of server.max_connections: the \
             process may have no more files open (LimitNOFILE of systemd, ulimit -n); {} of them are needed beside.",
            beside(config)
        )
    })
}

/// How many connections may be open.
pub(super) fn places(config: &Config) -> usize {
    let files = getrlimit(Resource::Nofile).current.and_then(|files| usize::try_from(files).ok());
    let room = files.unwrap_or(usize::MAX).saturating_sub(beside(config)).max(1);
    config.server.max_connections.min(room)
}

/// Files that are open beside the connections of people.
fn beside(config: &Config) -> usize {
    let cores = available_parallelism().map_or(1, usize::from);
    HOUSE.saturating_add(CORE.saturating_mul(cores)).saturating_add(config.store.connections)
}
