//! What messages may cost: an attacker with many numbers, the day's money over restarts and nodes, who
//! is still served, and what takes the place of a message that cannot be paid for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use futures_util::future::join_all;
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, PhoneNumberType};
use serde_json::json;
use uuid::Uuid;
use vestibule::app::{App, Client, Ctx};
use vestibule::audit::{Event, What};
use vestibule::clock::{Clock, Timestamp};
use vestibule::error::Problem;
use vestibule::limits::{self, Sender, Whence};
use vestibule::money::{UNIT, Way};
use vestibule::policy::Policy;
use vestibule::random::Random;
use vestibule::spending::{Day, Destination};
use vestibule::store::{Engine, Query};

use super::world::{PASSWORD, World};

use crate::told;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// With the limits that everybody has.
fn built_in(policy: &mut Policy) {
    policy.limits = Policy::from_toml("").unwrap().limits;
}

fn from(world: &World, ip: impl Into<IpAddr>) -> Ctx {
    let client = Client { address: ip.into(), user_agent: None, request_id: Uuid::nil(), actor: None };
    Ctx::new(world.app.clone(), Some(client))
}

async fn day(world: &World, day: &str) -> Day {
    Day::clone(&world.app.store.get::<Day>(day.to_owned()).await.unwrap().expect("a row for the day"))
}

/// Valid mobile numbers of each country, as an attacker finds them: the example of the numbering plan
/// with other last digits.
fn numbers(each: u32) -> BTreeMap<String, Vec<String>> {
    let util = &*PHONE_NUMBER_UTIL;
    let mut found = BTreeMap::new();
    for region in util.get_supported_regions() {
        let Ok(example) = util.get_example_number_for_type_and_region(region, PhoneNumberType::Mobile) else {
            continue;
        };
        let example = util.format(&example, PhoneNumberFormat::E164).into_owned();
        let Some(stem) = example.len().checked_sub(4).and_then(|at| example.get(..at)) else { continue };
        let all: Vec<String> = (0..each).map(|n| format!("{stem}{:04}", (n * 19) % 10_000)).collect();
        found.insert(region.to_string(), all);
    }
    found
}

/// 100,000 numbers in 200 countries and as many addresses for a whole day; meanwhile people at home sign
/// up and in.
#[tokio::test]
async fn an_attacker_with_100_000_numbers_costs_no_more_than_the_day_and_stops_nobody_at_home() {
    attack(100).await;
}

/// The same when money is no object: what the other limits leave.
#[tokio::test]
async fn what_an_attacker_with_100_000_numbers_may_send_is_bounded_by_number_block_and_country() {
    attack(1_000_000).await;
}

const HAMMERED: &str = "+17205550199";

/// Everything at once that makes one phone ring, for somebody who has shown the password and the number.
async fn hammer(world: &World, ctx: &Ctx, sent: &mut Vec<Timestamp>) {
    let user = Sender::User(Uuid::nil());
    for sender in [
        Sender::Stranger,
        Sender::Recovery(Whence::Anywhere),
        Sender::Newcomer,
        Sender::Notice("x"),
        user,
        user,
    ] {
        if limits::postage(ctx, HAMMERED, sender).await.is_ok() {
            sent.push(world.app.clock.now());
        }
    }
    if limits::postage_for_call(ctx, Uuid::nil(), HAMMERED, Sender::User(Uuid::nil())).await.is_ok() {
        sent.push(world.app.clock.now());
    }
}

async fn attack(money: u32) {
    let plan = World::plan().config(move |config| {
        config.spending.home = "US".to_owned();
        config.spending.day = money;
    });
    let world = plan.policy(built_in).build().await;
    let numbers: Vec<(String, Vec<String>)> =
        numbers(500).into_iter().filter(|(country, _)| country != "US").take(200).collect();
    assert_eq!(numbers.len(), 200);
    let budget = i64::from(world.app.config.spending.day) * UNIT;

    let mut sent: BTreeMap<String, Vec<Timestamp>> = BTreeMap::new();
    let mut cost = BTreeMap::<bool, i64>::new();
    let mut by_country = BTreeMap::<String, u32>::new();
    let mut hammered = Vec::new();
    let (mut tries, mut users, mut newcomers) = (0_u32, 0_u32, 0_u32);
    // 500 rounds in a day; in each a number of every country. The first of each country is tried in every round.
    for round in 0..500_u32 {
        let tried = numbers.iter().enumerate().map(async |(at, (_, list))| {
            let ip = Ipv4Addr::from(0x0b00_0000 + round * 65_521 + u32::try_from(at).unwrap() * 257);
            let ctx = from(&world, ip);
            let favourite = at % 10 == 0;
            let mut tried = Vec::new();
            for number in [Some(&list[round as usize]), favourite.then_some(&list[0])].into_iter().flatten() {
                tried.push((number, limits::postage(&ctx, number, Sender::Stranger).await.is_ok()));
            }
            tried
        });
        for (number, is_sent) in join_all(tried).await.into_iter().flatten() {
            tries += 1;
            if is_sent {
                let ctx = world.ctx();
                sent.entry(number.clone()).or_default().push(ctx.now);
                // Some countries share a plan: the number says which it is.
                let place = Destination::of(&ctx, number, Way::Text).unwrap().unwrap();
                assert!(place.abroad, "{number}");
                *by_country.entry(place.country.clone()).or_default() += 1;
                *cost.entry(false).or_default() += world.app.rates.of(&place.country, Way::Text);
            }
        }
        if round % 5 == 0 {
            // A user whose number is known signs in; and somebody new signs up and gives the code back.
            let home = from(&world, [198, 51, 100, 7]);
            let known = format!("+1303555{:04}", round);
            limits::postage(&home, &known, Sender::User(Uuid::nil())).await.unwrap();
            users += 1;
            hammer(&world, &from(&world, [198, 51, 100, 9]), &mut hammered).await;
            let new = format!("+1404{:03}{:04}", 200 + round % 90, round * 7);
            limits::postage(&home, &new, Sender::Stranger).await.unwrap();
            limits::came_back(&home, &new).await;
            newcomers += 1;
            *cost.entry(true).or_default() += 2 * world.app.rates.of("US", Way::Text);
        }
        world.advance(DAY / 500);
    }

    let (spent, at_home) = (cost[&false], cost[&true]);
    let messages: usize = sent.values().map(Vec::len).sum();
    told::figure(format_args!(
        "{tries} tries at {} numbers in {} countries: {messages} messages to {} numbers for {}.{:02}; at home \
         {users} users and {newcomers} newcomers were all served for {}.{:02}; the day's money is {}",
        numbers.iter().map(|(_, list)| list.len()).sum::<usize>(),
        numbers.len(),
        sent.len(),
        spent / UNIT,
        spent % UNIT / 10_000,
        at_home / UNIT,
        at_home % UNIT / 10_000,
        budget / UNIT,
    ));
    assert!(tries >= 100_000 && messages > 0);
    assert!(spent + at_home <= budget, "{spent} + {at_home}");
    // Strangers elsewhere: what is neither kept for home nor for the known.
    assert!(spent <= budget * 35 / 100, "{spent}");
    assert!(hammered.len() >= 9, "{hammered:?}");
    sent.insert(HAMMERED.to_owned(), hammered);
    for (number, times) in &sent {
        assert!(times.len() <= 10, "{number}: {} in a day", times.len());
        for (at, start) in times.iter().enumerate() {
            let within = times[at..].iter().filter(|then| then.since(*start) < MINUTE * 10).count();
            assert!(within <= 5, "{number}: {within} in ten minutes");
        }
    }
    // What a day begins with, and what comes in again within it.
    let most = 2 * world.app.policy().limits.unproven_country.limit;
    for (country, count) in &by_country {
        assert!(*count <= most, "{country}: {count}");
    }
    let row = day(&world, "2030-01-01").await;
    assert!(row.total() <= budget && row.total() >= spent + at_home, "{row:?}");
    assert_eq!(row.stopped_at.is_some(), money == 100);
    let unproven = world.app.policy().limits.unproven_country.limit;
    assert!(by_country.values().all(|sent| *sent <= 2 * unproven), "{by_country:?}");
}

#[tokio::test]
async fn whoever_has_a_block_of_numbers_is_stopped_there_until_codes_come_back() {
    let world = World::plan().policy(built_in).build().await;
    let ctx = |n: u32| from(&world, Ipv4Addr::from(0x0b00_0000 + n * 257));
    let number = |n: u32| format!("+1303555{:04}", 1_000 + n);
    let try_at = async |n: u32| limits::postage(&ctx(n), &number(n), Sender::Stranger).await;
    let limit = world.app.policy().limits.unproven_block.limit;
    let mut n = 0;
    let mut opened = 0;
    // Slowly enough for the block's own rate.
    while try_at(n).await.is_ok() {
        n += 1;
        world.advance(MINUTE * 2);
        assert!(n < 1_000, "never closed");
    }
    assert!((limit..=limit * 3).contains(&n), "{n}");
    let refused = try_at(n).await.unwrap_err();
    assert_eq!((refused.problem, refused.limit), (Problem::LimitReached, Some("unproven-block")));
    assert!(refused.retry_after.is_some());
    // Known users there go on; whoever has only made an account does not; the next block is open.
    limits::postage(&ctx(1), &number(n), Sender::User(Uuid::nil())).await.unwrap();
    limits::postage(&ctx(2), &number(n), Sender::User(Uuid::nil()).to(false)).await.unwrap_err();
    limits::postage(&ctx(3), "+13035552000", Sender::Stranger).await.unwrap();
    // One right code opens it for some more.
    limits::came_back(&ctx(4), &number(0)).await;
    while try_at(n + opened).await.is_ok() {
        opened += 1;
        assert!(opened < 10);
    }
    assert_eq!(opened, 5);
}

/// People who give their codes back, however many: what one address, one block of numbers and one country
/// may cause is bounded all the same.
#[tokio::test]
async fn codes_that_come_back_are_bounded_by_address_block_and_country_too() {
    let plan = World::plan().policy(built_in).policy(|policy| policy.limits.send_country.limit = 90);
    let plan = plan.config(|config| config.spending.home = "US".to_owned());
    let world = plan.config(|config| config.spending.day = 1_000).build().await;
    let germans = |n: u32| format!("+4915{:02}3{:06}", n % 10 + 10, n * 1_001);
    let in_block = |n: u32| format!("+1303555{:04}", 1_000 + n);
    let many = |n: u32| Ipv4Addr::from(0x0b00_0000 + n * 65_537);
    let one = |_: u32| Ipv4Addr::new(198, 51, 100, 7);
    type Number<'a> = &'a dyn Fn(u32) -> String;
    type Row<'a> = (&'a str, u32, Number<'a>, &'a dyn Fn(u32) -> Ipv4Addr);
    let rows: [Row<'_>; 3] = [
        ("send-block", 60, &in_block, &many),
        ("send-country", 90, &germans, &many),
        ("send-address", 30, &|n| format!("+1{}555{:04}", 303, 2_000 + n * 100), &one),
    ];
    for (name, most, number, address) in rows {
        let mut sent = 0;
        let refused = loop {
            let ctx = from(&world, address(sent));
            match limits::postage(&ctx, &number(sent), Sender::Stranger).await {
                Ok(_) => limits::came_back(&ctx, &number(sent)).await,
                Err(refused) => break refused,
            }
            sent += 1;
            assert!(sent < 1_000, "{name}: never closed");
        };
        assert_eq!((refused.limit, sent), (Some(name), most), "{refused:?}");
    }
}

#[tokio::test]
async fn an_address_that_begins_like_a_number_is_an_address() {
    let world = World::plan().policy(built_in).build().await;
    let ctx = |n: u32| from(&world, Ipv4Addr::from(0x0b00_0000 + n * 65_537));
    let mail = "+alice@example.com";
    assert_eq!(Destination::of(&ctx(0), mail, Way::Text).unwrap(), None, "it costs nothing");
    let recovery = Sender::Recovery(Whence::Anywhere);
    for n in 0..world.app.policy().limits.send_recovery.limit {
        limits::postage(&ctx(n), mail, recovery).await.unwrap();
    }
    limits::postage(&ctx(0), mail, Sender::Stranger).await.unwrap();
}

#[tokio::test]
async fn what_tells_of_one_kind_of_event_is_bounded_and_leaves_other_kinds_alone() {
    let world = World::plan().policy(built_in).build().await;
    let ctx = from(&world, [198, 51, 100, 7]);
    let mail = async |what| limits::postage(&ctx, "alice@example.com", Sender::Notice(what)).await;
    for _ in 0..world.app.policy().limits.send_notice.limit {
        mail("one").await.unwrap();
    }
    assert_eq!(mail("one").await.unwrap_err().limit, Some("send-notice"));
    mail("other").await.unwrap();
    limits::postage(&ctx, "alice@example.com", Sender::Once).await.unwrap();
}

/// Where nobody gives a code back, numbers abroad are closed to strangers by country, however many blocks
/// they are spread over; home is not, nor is it to known users.
#[tokio::test]
async fn a_country_abroad_from_which_no_code_comes_back_is_closed_to_strangers_and_home_is_not() {
    let plan = World::plan().policy(built_in).config(|config| config.spending.home = "US".to_owned());
    let world = plan.config(|config| config.spending.day = 1_000).build().await;
    let ctx = |n: u32| from(&world, Ipv4Addr::from(0x0b00_0000 + n * 65_537));
    let german = |n: u32| format!("+4915{:02}3{:06}", n % 10 + 10, n * 1_001);
    let try_at = async |n: u32| limits::postage(&ctx(n), &german(n), Sender::Stranger).await;
    let mut sent = 0;
    let refused = loop {
        match try_at(sent).await {
            Ok(_) => sent += 1,
            Err(refused) => break refused,
        }
        assert!(sent < 1_000, "never closed");
    };
    let limit = world.app.policy().limits.unproven_country.limit;
    assert_eq!((refused.limit, sent), (Some("unproven-country"), limit));
    limits::postage(&ctx(1), &german(sent), Sender::User(Uuid::nil())).await.unwrap();
    limits::postage(&ctx(2), "+447400123456", Sender::Stranger).await.unwrap();
    limits::came_back(&ctx(3), &german(0)).await;
    for n in 0..5 {
        try_at(sent + n).await.unwrap();
    }
    try_at(sent + 5).await.unwrap_err();
    for n in 0..2 * limit {
        let at_home = format!("+1404{:03}{:04}", 200 + n % 18 * 5, n * 7);
        limits::postage(&ctx(n), &at_home, Sender::Stranger).await.unwrap();
    }
}

/// Whoever goes on asking where it is closed keeps it closed no longer, and closes nothing else with it.
#[tokio::test]
async fn what_a_block_s_or_a_country_s_limit_refuses_uses_up_no_other() {
    let plan = World::plan().policy(built_in).config(|config| config.spending.home = "US".to_owned());
    let world = plan.config(|config| config.spending.day = 1_000).build().await;
    let ctx = |n: u32| from(&world, Ipv4Addr::from(0x0b00_0000 + n * 65_537));
    let german = |n: u32| format!("+4915{:02}3{:06}", n % 10 + 10, n * 1_001);
    let in_block = |n: u32| format!("+4915123456{:03}", n % 1_000);
    let try_at = async |n: u32, number: &str| limits::postage(&ctx(n), number, Sender::Stranger).await;
    let mut n = 0;
    while try_at(n, &german(n)).await.is_ok() {
        n += 1;
        assert!(n < 1_000, "never closed");
    }
    let limits = &world.app.policy().limits;
    for asked in 0..2 * limits.send_country.limit.max(limits.send_block.limit) {
        let refused = try_at(n + asked, &in_block(asked)).await.unwrap_err();
        assert_eq!(refused.limit, Some("unproven-country"));
    }
    limits::came_back(&ctx(1), &german(0)).await;
    for asked in 0..5 {
        try_at(asked, &in_block(asked)).await.unwrap();
    }
}

/// Who asks for one number all the time neither spends the day's money nor closes the number's block.
#[tokio::test]
async fn what_a_number_s_limit_refuses_costs_nothing_and_closes_nothing() {
    let world = World::plan().policy(built_in).build().await;
    let ctx = |n: u32| from(&world, Ipv4Addr::from(0x0b00_0000 + n * 65_537));
    let number = "+13035550100";
    for n in 0..3 {
        limits::postage(&ctx(n), number, Sender::Stranger).await.unwrap();
    }
    let spent = async || {
        let purse = world.app.purse.lock().await;
        day(&world, "2030-01-01").await.total() - purse.left("2030-01-01", "home_stranger")
    };
    let before = spent().await;
    for n in 3..500 {
        let refused = limits::postage(&ctx(n), number, Sender::Stranger).await.unwrap_err();
        assert_eq!(refused.limit, Some("send-stranger-short"));
    }
    assert_eq!((before, spent().await), (60_000, 60_000));
    limits::postage(&ctx(500), "+13035550101", Sender::Stranger).await.unwrap();
}

#[tokio::test]
async fn a_number_s_limits_are_one_for_messages_calls_and_nodes_and_outlive_a_restart() {
    let place = super::place::Place::new().await;
    let start: Timestamp = "2030-01-01T08:00:00Z".parse().unwrap();
    let node = async |seed: u64| node(&place, start, seed, 100).await;
    let number = "+13035550100";
    let user = Sender::User(Uuid::nil());
    let mut nodes = [node(1).await, node(2).await];
    limits::postage_by(&Ctx::new(nodes[0].clone(), None), number, Way::Call, user).await.unwrap();
    limits::postage(&Ctx::new(nodes[1].clone(), None), number, Sender::Notice("x")).await.unwrap();
    limits::postage_for_call(
        &Ctx::new(nodes[0].clone(), None),
        Uuid::nil(),
        number,
        Sender::User(Uuid::nil()),
    )
    .await
    .unwrap();
    nodes[0] = node(3).await;
    // The last two, of forty at once.
    let tries: Vec<_> = (0..40)
        .map(|n| {
            let ctx = Ctx::new(nodes[n % 2].clone(), None);
            tokio::spawn(async move { limits::postage(&ctx, number, user).await })
        })
        .collect();
    let mut sent = 0;
    for tried in tries {
        match tried.await.unwrap() {
            Ok(_) => sent += 1,
            Err(refused) => assert_eq!(refused.limit, Some("send-number-short")),
        }
    }
    assert_eq!(sent, 2);
    let ctx = Ctx::new(nodes[1].clone(), None);
    let refused =
        limits::postage_for_call(&ctx, Uuid::nil(), number, Sender::User(Uuid::nil())).await.unwrap_err();
    assert_eq!((refused.limit, refused.retry_after), (Some("send-number-short"), Some(600)));
    let refused = limits::postage(&ctx, number, Sender::Notice("y")).await.unwrap_err();
    assert_eq!((refused.limit, refused.retry_after), (Some("send-number-short"), Some(600)));
    // A recovery is refused without a word of why.
    let refused = limits::postage(&ctx, number, Sender::Recovery(Whence::Anywhere)).await.unwrap_err();
    assert_eq!(refused.limit, Some("send-recovery"));
}

async fn node(place: &super::place::Place, start: Timestamp, seed: u64, money: u32) -> Arc<App> {
    let mut config = vestibule::config::Config::from_toml("").unwrap();
    config.develop_at("127.0.0.1:4000".parse().unwrap(), &Random::seeded(2));
    config.hashing.memory_kib = 64;
    config.hashing.passes = 1;
    config.hashing.permits = 1;
    config.spending.day = money;
    config.spending.known_reserve = 0;
    config.secrets.keys = vec![vestibule::secret::Keyring::generate("test", &Random::seeded(1))];
    let engine = Engine::open(&place.url, 2).unwrap();
    vestibule::store::migrations::apply(&engine).await.unwrap();
    let policy = Policy::from_toml("").unwrap();
    App::build(config, policy, engine, Clock::manual(start), Random::seeded(seed)).unwrap()
}

#[tokio::test]
async fn numbers_of_countries_that_are_not_served_and_of_no_country_are_refused() {
    let plan = World::plan().config(|config| {
        config.spending.home = "US".to_owned();
        config.spending.countries = vec!["DE".to_owned()];
    });
    let world = plan.build().await;
    let ctx = from(&world, [198, 51, 100, 7]);
    for number in ["+12025550123", "+4915123456789"] {
        limits::postage(&ctx, number, Sender::Stranger).await.unwrap();
    }
    for number in ["+447400123456", "+18765550123", "+881612345678", "+19002345678", "+4990091234567"] {
        for sender in [
            Sender::Stranger,
            Sender::User(Uuid::nil()),
            Sender::Recovery(Whence::Anywhere),
            Sender::Notice("x"),
        ] {
            let refused = limits::postage(&ctx, number, sender).await.unwrap_err();
            assert_eq!(refused.problem, Problem::NumberNotServed, "{number} {sender:?}");
        }
        let refused =
            limits::postage_for_call(&ctx, Uuid::nil(), number, Sender::User(Uuid::nil())).await.unwrap_err();
        assert_eq!(refused.problem, Problem::NumberNotServed, "{number}");
    }
    limits::postage(&ctx, "nobody@example.com", Sender::Stranger).await.unwrap();
    let mut stranger = world.stranger();
    stranger.mobile = "+447400123456".to_owned();
    stranger.signs_up().await.problem(422, "number-not-served");
}

/// Two nodes, and one that is started again: one day's money.
#[tokio::test]
async fn the_day_s_money_is_one_for_all_nodes_and_restarts() {
    let place = super::place::Place::new().await;
    let start: Timestamp = "2030-01-01T08:00:00Z".parse().unwrap();
    let node = async |seed: u64| node(&place, start, seed, 1).await;
    let mut nodes = [node(1).await, node(2).await];
    let mut sent = 0;
    for n in 0..200_u32 {
        if n % 20 == 0 {
            nodes[0] = node(100 + u64::from(n)).await;
        }
        let ctx = Ctx::new(nodes[(n % 2) as usize].clone(), None);
        let number = format!("+1303555{n:04}");
        match limits::postage(&ctx, &number, Sender::User(Uuid::nil())).await {
            Ok(_) => sent += 1,
            Err(error) => assert_eq!(error.problem, Problem::MessagesPaused),
        }
    }
    // 1.00 at 0.02 each; a restart may lose what was drawn and not spent.
    assert!((40..=50).contains(&sent), "{sent}");
    // At once, from both: no more than there is.
    for node in &nodes {
        node.clock.advance(DAY);
    }
    let tasks: Vec<_> = (0..100_u32)
        .map(|n| {
            let ctx = Ctx::new(nodes[(n % 2) as usize].clone(), None);
            tokio::spawn(async move {
                limits::postage(&ctx, &format!("+1404555{n:04}"), Sender::User(Uuid::nil())).await.is_ok()
            })
        })
        .collect();
    let mut sent = 0;
    for task in tasks {
        sent += usize::from(task.await.unwrap());
    }
    assert!((45..=50).contains(&sent), "{sent}");
}

#[tokio::test]
async fn the_operator_is_warned_once_and_told_when_it_is_spent() {
    let world = World::plan().config(|config| config.spending.day = 1).build().await;
    let send = async |n: u32| {
        let ctx = world.ctx();
        limits::postage(&ctx, &format!("+1303555{n:04}"), Sender::User(Uuid::nil())).await
    };
    let events = async || {
        let page = world.app.store.find(Query::<Event>::along(Event::BY_TIME).limit(100)).await.unwrap();
        let money = |what: &What| matches!(what, What::SpendingWarned | What::SpendingStopped);
        page.items.iter().map(|event| event.what).filter(money).collect::<Vec<_>>()
    };
    for n in 0..39 {
        send(n).await.unwrap();
    }
    assert_eq!(events().await, []);
    send(39).await.unwrap();
    assert_eq!(events().await, [What::SpendingWarned]);
    for n in 40..60 {
        assert_eq!(send(n).await.is_ok(), n < 50, "{n}");
    }
    let told = events().await;
    assert_eq!(told.len(), 2, "{told:?}");
    let refused = send(70).await.unwrap_err();
    assert_eq!(refused.problem, Problem::MessagesPaused);
    assert_eq!(refused.retry_after, Some(24 * 60 * 60), "until the next day");
    let figures = world.app.metrics.render();
    assert!(figures.contains(r#"vestibule_spending{what="drawn"} 1000000"#), "{figures}");
    world.advance(DAY);
    // Nobody has drawn anything of the new day: that is told, too, and also by a node that never drew.
    vestibule::spending::show(&world.ctx()).await.unwrap();
    let figures = world.app.metrics.render();
    assert!(figures.contains(r#"vestibule_spending{what="drawn"} 0"#), "{figures}");
    send(70).await.unwrap();
}

#[tokio::test]
async fn who_has_another_factor_signs_in_with_it_when_the_money_is_spent() {
    let plan = World::plan().policy(|policy| {
        let text = "[sign_in.second]\nfactors = [\"sms\", \"email\", \"totp\"]";
        policy.sign_in = Policy::from_toml(text).unwrap().sign_in;
    });
    let world = plan.config(|config| config.spending.day = 1).build().await;
    let user = world.alice().await;
    let asked = user.gives_password().await.expect(StatusCode::OK).body;
    assert_eq!(asked["challenge"]["factor"], "sms", "{asked}");
    for n in 0..60 {
        let _ = limits::postage(&world.ctx(), &format!("+1303555{n:04}"), Sender::User(Uuid::nil())).await;
    }
    let asked = user.gives_password().await.expect(StatusCode::OK).body;
    assert_eq!(asked["challenge"]["factor"], "email", "{asked}");
    // Where there is no other, it is said, and until when.
    let body = json!({"identifier": user.username, "password": PASSWORD, "factor": "sms"});
    let refused = user.post("/api/v1/auth/login", body).await.problem(503, "messages-paused");
    assert!(refused.headers.contains_key("retry-after"));
    world.stranger().signs_up().await.problem(503, "messages-paused");
    // Nobody learns from a recovery that there is such a number.
    let known = user.post("/api/v1/auth/recover", json!({"identifier": user.mobile})).await;
    let unknown = user.post("/api/v1/auth/recover", json!({"identifier": "+12025559999"})).await;
    assert_eq!(known.status, unknown.status, "{known:?}");
    let kinds: BTreeSet<_> = [known, unknown].iter().map(|one| one.body["factor"].to_string()).collect();
    assert_eq!(kinds.len(), 1);
}
