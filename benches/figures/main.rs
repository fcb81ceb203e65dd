//! The figures of the house, each beside a limit that is measured in the same run, or what was aimed for.
//!
//! `cargo bench --bench figures -- [sign-in|authenticated|commits|overload|start|foreign|enumeration|tokens|provider|nodes|revocations|search|all|build] [--seconds N]`
//!
//! A rate alone says more of the machine than of the program. So every figure stands beside what
//! the same machine can do at all – bare hashing, a bare route, one fsync each – measured in turns
//! with it, and what counts is the ratio. Nothing here fails when an aim is missed; it is printed.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "figures are printed")]
#![expect(
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a measurement that meets what it does not expect should end there"
)]

mod authenticated;
mod bare;
#[expect(dead_code, reason = "shared with the tests, which also make it hang")]
mod beside;
mod build;
#[expect(dead_code, reason = "shared with the tests, which also ask the doctor")]
mod cluster;
mod commits;
mod enumeration;
mod foreign;
mod load;
mod nodes;
mod overload;
mod provider;
mod revocations;
mod search;
mod server;
mod sign_in;
mod start;
mod table;
mod tokens;

use std::process::ExitCode;
use std::time::Duration;

use server::Res;
use table::Table;

// As in the server, so that the bare route is not slowed down by its allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How much to measure.
#[derive(Clone, Copy)]
struct Extent {
    /// How long the longest part, the overload, lasts.
    whole: Duration,
    /// How long one of the stretches lasts that take turns.
    stretch: Duration,
}

impl Extent {
    fn seconds(seconds: u64) -> Self {
        let whole = Duration::from_secs(seconds.clamp(1, 600));
        Self { whole, stretch: (whole / 12).clamp(Duration::from_millis(500), Duration::from_secs(5)) }
    }
}

/// How often measured and limit take turns; odd, so that the median is one of them.
const TURNS: usize = 5;

/// What is measured when nothing is named.
const PARTS: [&str; 12] = [
    "sign-in",
    "authenticated",
    "commits",
    "overload",
    "start",
    "foreign",
    "enumeration",
    "tokens",
    "provider",
    "nodes",
    "revocations",
    "search",
];

/// Takes minutes, and all cores: only when it is named.
const BUILD: &str = "build";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    // The other side of the bare route: this program, started by itself.
    if let [word, address] = words.as_slice()
        && *word == bare::WORD
    {
        return match runtime.block_on(bare::serve(address)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error),
        };
    }
    let (mut parts, mut extent) = (Vec::new(), Extent::seconds(60));
    let mut rest = words.into_iter();
    while let Some(word) = rest.next() {
        match word {
            // What cargo adds by itself.
            "--bench" => {}
            "all" => parts.extend(PARTS),
            "--seconds" => match rest.next().map(str::parse) {
                Some(Ok(seconds)) => extent = Extent::seconds(seconds),
                _ => return usage(),
            },
            part if PARTS.contains(&part) || part == BUILD => parts.push(part),
            _ => return usage(),
        }
    }
    if parts.is_empty() {
        parts.extend(PARTS);
    }
    let mut table = Table::default();
    let outcome = runtime.block_on(run(&parts, extent, &mut table));
    // What was measured before a failure is worth printing too.
    print!("{table}");
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

async fn run(parts: &[&str], extent: Extent, table: &mut Table) -> Res<()> {
    server::many_files()?;
    if cfg!(debug_assertions) {
        table.note("Built without optimisation: these figures say nothing of what is shipped.");
    }
    for part in parts {
        eprintln!("measuring {part} …");
        let outcome = match *part {
            "sign-in" => sign_in::measure(extent, table).await,
            "authenticated" => authenticated::measure(extent, table).await,
            "commits" => commits::measure(extent, table).await,
            "overload" => overload::measure(extent, table).await,
            "foreign" => foreign::measure(table).await,
            "enumeration" => enumeration::measure(extent, table).await,
            "tokens" => tokens::measure(extent, table).await,
            "provider" => provider::measure(extent, table).await,
            "nodes" => nodes::measure(extent, table).await,
            "revocations" => revocations::measure(table).await,
            "search" => search::measure(table).await,
            BUILD => build::measure(table),
            _ => start::measure(table).await,
        };
        outcome.map_err(|error| format!("{part}: {error}"))?;
    }
    Ok(())
}

fn usage() -> ExitCode {
    eprintln!("cargo bench --bench figures -- [{}|all|{BUILD}] [--seconds N]", PARTS.join("|"));
    ExitCode::FAILURE
}

fn failed(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}

/// Cores that this program may use.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
