//! How long an administrator waits for users among a million, found by how something of theirs begins.

use std::time::{Duration, Instant};

use serde_json::json;
use vestibule::moving::seed;

use crate::load::Connection;
use crate::server::{Process, Res, Scratch, Second, bare_vestibule, path};
use crate::table::{Aim, Table, Unit};

/// How many people there are.
const USERS: &str = "1000000";
/// How many searches are made of each kind.
const SEARCHES: usize = 400;
/// What nobody notices as a wait.
const LIMIT: Duration = Duration::from_millis(100);

/// Measures it.
pub async fn measure(table: &mut Table) -> Res<()> {
    let home = Scratch::new()?;
    let filling = Instant::now();
    let mut command = bare_vestibule(home.path());
    command.args(["seed", "--people-only", "--users", USERS, "--data"]).arg(home.path().join("data"));
    let filled = command.output()?;
    if !filled.status.success() {
        return Err(String::from_utf8_lossy(&filled.stderr).into());
    }
    table.note(format!("{USERS} users were made in {:.0} s.", filling.elapsed().as_secs_f64()));
    let server = Process::vestibule(home.path(), Second::Never, &[]).await?;
    let body = json!({"username": "admin1", "password": seed::PASSWORD, "session": "bearer"});
    let signed_in = server.ask("POST", path::SIGN_IN, None, Some(&body)).await?.must_be(200)?;
    let token = signed_in.text("/token").ok_or("no token")?;
    let ask = async |query: &str| {
        let path = format!("/api/v1/admin/users?{query}");
        server.ask("GET", &path, Some(&token), None).await?.must_be(200)
    };
    // The same person at the console: the page that a browser shows, by its cookie.
    let body = json!({"username": "admin1", "password": seed::PASSWORD, "session": "cookie"});
    let cookies = server.ask("POST", path::SIGN_IN, None, Some(&body)).await?.must_be(200)?.cookies;
    let look = async |query: &str| {
        let page =
            format!("GET /console/users?{query} HTTP/1.1\r\nhost: localhost\r\ncookie: {cookies}\r\n\r\n");
        Connection::new(server.address).send(page.as_bytes()).await?.must_be(200)
    };
    // People from all over, by what is the same for everybody who types it.
    let mut known = Vec::new();
    let mut after = String::new();
    while known.len() < SEARCHES {
        let page = ask(&format!("limit=200{after}")).await?.json();
        let items = page["items"].as_array().cloned().unwrap_or_default();
        let text = |one: &serde_json::Value, name: &str| one[name].as_str().map(str::to_owned);
        known.extend(items.iter().filter_map(|one| Some((text(one, "username")?, text(one, "mobile")?))));
        after = page["next"].as_str().map(|next| format!("&after={next}")).ok_or("too few people")?;
    }
    let cut = |text: &str, letters: usize| text.chars().take(letters).collect::<String>();
    for letters in [1, 2, 4, 8] {
        let mut took = Vec::new();
        for (username, _) in known.iter().take(SEARCHES) {
            took.push(timed(&ask, &format!("q={}&limit=25", cut(username, letters))).await?);
        }
        told(table, &format!("search by {letters} of a name"), took);
        let mut took = Vec::new();
        for (username, _) in known.iter().take(SEARCHES) {
            took.push(timed(&look, &format!("q={}", cut(username, letters))).await?);
        }
        told(table, &format!("page of a search by {letters} of a name"), took);
    }
    let page = look(&format!("q={}", known.first().map_or("", |(username, _)| username))).await?;
    if !String::from_utf8_lossy(&page.body).contains("class=\"cards\"") {
        return Err("the page shows nobody".into());
    }
    let (mut whole, mut pages, mut numbers, mut filtered) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (username, mobile) in known.iter().take(SEARCHES) {
        pages.push(timed(&look, &format!("q={username}%40")).await?);
        whole.push(timed(&ask, &format!("q={username}%40&limit=25")).await?);
        numbers
            .push(timed(&ask, &format!("q=%2B{}&limit=25", cut(mobile.trim_start_matches('+'), 7))).await?);
        // What a filter leaves out costs too, and is bounded.
        filtered.push(timed(&ask, &format!("q={}&status=suspended&limit=25", cut(username, 2))).await?);
    }
    told(table, "search by an address", whole);
    told(table, "page of a search by an address", pages);
    told(table, "search by 7 of a number", numbers);
    told(table, "search by 2 of a name, suspended", filtered);
    Ok(())
}

async fn timed<A>(ask: &impl AsyncFn(&str) -> Res<A>, query: &str) -> Res<Duration> {
    let start = Instant::now();
    ask(query).await?;
    Ok(start.elapsed())
}

fn told(table: &mut Table, name: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |part: usize| took.get((took.len().max(1) - 1) * part / 100).map_or(0.0, Duration::as_secs_f64);
    for (word, part) in [("p50", 50), ("p99", 99)] {
        let name = format!("{name}: {word} ÷ 100 ms");
        table.figure(&name, Unit::Time, at(part), LIMIT.as_secs_f64(), Aim::AtMost(1.0));
    }
}
