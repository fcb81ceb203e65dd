//! The console in a real browser: how each page looks, and a day of an operator who has no mouse.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use tower::ServiceExt;
use uuid::Uuid;
use vestibule::app::Ctx;
use vestibule::audit::{Event, Grain, Outgoing, State, Tally};
use vestibule::messages::{Message, Status};
use vestibule::secret::Secret;
use vestibule::store::{Change, Query};

use crate::browser::Tab;
use crate::browser_journeys::{gives_code, signs_in};
use crate::browser_look::{looks, looks_at_refusals};
use crate::matrix::plan;
use crate::step_up::promote;
use crate::told;
use crate::world::{Person, World};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The pages of how the house runs.
const HOUSE: [&str; 11] = [
    "/console",
    "/console?by=hour",
    "/console/messages",
    "/console/calls",
    "/console/events",
    "/console/policy",
    "/console/policy?explain=password.change&try=user.delete&has-sms=on&shown-sms=9000&roles=admin",
    "/console/limits",
    "/console/keys",
    "/console/audit?what=signed_in&from=2030-01-01",
    "/console/data",
];

/// A house in which something has happened, and an administrator of it.
async fn house() -> World {
    let world = plan()
        .config(|config| {
            config.events.url = "https://application.example.com/events".to_owned();
            config.events.secret = Secret::new("a secret of thirty-two letters, at least");
        })
        .build()
        .await;
    world.advance(29 * DAY);
    world
}

/// What a month leaves behind: counts with gaps, a message that failed, an event that was not taken.
async fn month(world: &World, person: &Person<'_>) {
    promote(world, person, &["admin"]).await;
    let store = &world.app.store;
    let now = world.app.clock.now();
    let mut changes = Vec::new();
    for day in [1_u32, 2, 3, 4, 8, 9, 10, 15, 16, 17, 18, 19, 22, 23, 24, 25, 27, 28] {
        let names = [
            ("signed_up", 3),
            ("signed_in", 40),
            ("sign_in_failed", 5),
            ("message.sms.delivered", 30),
            ("message.sms.sent", 6),
            ("message.email.failed", 4),
        ];
        for (name, many) in names {
            let many = many + i64::from(day * 7 % 11) * many / 4;
            changes.push(Change::insert(&Tally::new(name, Grain::Day, now - DAY * day, many)));
        }
    }
    for hour in [2_u32, 3, 5, 9, 14, 20] {
        let at = now - Duration::from_secs(3_600) * hour;
        changes.push(Change::insert(&Tally::new("signed_in", Grain::Hour, at, i64::from(hour))));
    }
    store.commit(changes).await.unwrap();
    // One of its own: of those that were sent there may still be news.
    let sent = store.first(Query::<Message>::along(Message::BY_CREATED)).await.unwrap().unwrap();
    let mut failed = Message {
        id: Uuid::from_u128(u128::MAX),
        provider_ref: None,
        status: Status::Undelivered,
        error_code: Some(30_003),
        error_reason: Some("The phone is switched off or out of reach.".to_owned()),
        look_at: None,
        due_at: None,
        finished_at: Some(now),
        ..sent.into_inner()
    };
    failed.history.0.push(vestibule::messages::Step { at: now, status: "undelivered".to_owned() });
    store.commit(vec![Change::insert(&failed)]).await.unwrap();
    let events = store.find(Query::<Event>::along(Event::BY_TIME).limit(2)).await.unwrap().items;
    let mut changes = Vec::new();
    for event in &events {
        let seen = store.get::<Outgoing>(event.id).await.unwrap().unwrap();
        changes.push(Change::update(&seen.with(|row| {
            (row.state, row.due_at, row.attempts) = (State::Dead, None, 22);
            row.trouble = Some("it answered 500".to_owned());
        })));
    }
    store.commit(changes).await.unwrap();
}

/// An administrator who has just signed in, a month later.
async fn operator(world: &World) -> Option<(Tab, Person<'_>)> {
    let mut tab = Tab::open(world).await?;
    let person = world.alice().await;
    month(world, &person).await;
    world.advance(Duration::from_secs(120));
    signs_in(&mut tab, &person).await;
    Some((tab, person))
}

/// Everything that waits is sealed.
async fn sealed(world: &World) {
    vestibule::audit::chain::seal_all(&Ctx::new(world.app.clone(), None)).await.unwrap();
}

#[tokio::test]
async fn the_pages_of_how_the_house_runs_fit_when_a_month_has_left_its_marks() {
    let started = Instant::now();
    let world = house().await;
    let Some((mut tab, person)) = operator(&world).await else { return };
    assert_eq!(tab.path().await, "/console", "whoever looks after others begins there");
    sealed(&world).await;
    tab.goes_to("/console/messages").await;
    let one = tab.evaluates("document.querySelector('tbody a').getAttribute('href')").await;
    let mut paths: Vec<String> = HOUSE.iter().map(|path| (*path).to_owned()).collect();
    paths.push(one.as_str().unwrap().to_owned());
    paths.push(format!("/console/data/users?by=id&is={}", crate::administration::id_of(&person).await));
    paths.extend(["/console/data/messages", "/console/data/sends", "/account"].map(str::to_owned));
    let looked =
        looks(&mut tab, "month", &paths, &[(1200, false, "en"), (320, true, "ar"), (768, true, "de")]).await;
    let wrong = ["/console/messages?user=nobody", "/console/data/users?by=id&is=1"].map(str::to_owned);
    let looked = looked
        + looks_at_refusals(&mut tab, "month", &wrong, &[(1200, false, "en"), (320, true, "ar")]).await;
    told::figure(format_args!("the console: {looked} looks in {:.1} s", started.elapsed().as_secs_f64()));
}

/// Goes on to what `css` names, by keys alone.
async fn enters(tab: &mut Tab, css: &str) {
    tab.tabs_to(css).await;
    tab.presses("Enter").await;
    tab.arrives().await;
}

#[tokio::test]
async fn an_operator_without_a_mouse_finds_what_went_wrong() {
    let world = house().await;
    let Some((mut tab, person)) = operator(&world).await else { return };
    tab.sees("New accounts").await;
    let drawn = "document.querySelectorAll('section[aria-labelledby=sign-ups] rect').length";
    assert_eq!(tab.evaluates(drawn).await, 18, "a day on which nothing happened has no bar");
    let width = "document.querySelector('section[aria-labelledby=sign-ups] svg').viewBox.baseVal.width";
    assert_eq!(tab.evaluates(width).await, 3_100, "and its place all the same");
    enters(&mut tab, ".switch a[href*=hour]").await;
    let drawn = "document.querySelectorAll('section[aria-labelledby=sign-ins] rect').length";
    assert_eq!(tab.evaluates(drawn).await, 6);

    // The message that failed, and why.
    enters(&mut tab, ".side a[href='/console/messages']").await;
    tab.sees("Not delivered").await;
    let failed = "[...document.querySelectorAll('tr')].find(e => e.innerText.includes('switched off')).querySelector('a').href";
    let failed = tab.evaluates(failed).await;
    let path = failed.as_str().unwrap().split('/').next_back().unwrap().to_owned();
    enters(&mut tab, &format!("tbody a[href$='{path}']")).await;
    tab.sees("What went wrong").await;
    tab.sees("The phone is switched off").await;
    let code = world.last_code(&person.mobile).await;
    assert!(!tab.shows().await.contains(&code), "a code is never shown");

    // An event that was not taken is told again.
    enters(&mut tab, ".side a[href='/console/events']").await;
    tab.sees("it answered 500").await;
    enters(&mut tab, "button[name=id]").await;
    tab.sees("told again soon").await;
    let dead = Query::<Outgoing>::along(Outgoing::BY_STATE).equal(State::Dead).limit(10);
    assert_eq!(world.app.store.find(dead).await.unwrap().items.len(), 1, "one was told, one is left");

    // What would become of an operation.
    enters(&mut tab, ".side a[href='/console/policy']").await;
    tab.tabs_to("#operation").await;
    for _ in 0..80 {
        if tab.evaluates("document.querySelector('#operation').value").await == "user.delete" {
            break;
        }
        tab.presses("ArrowDown").await;
    }
    tab.tabs_to("[name=has-sms]").await;
    tab.presses(" ").await;
    enters(&mut tab, "form:has(#operation) button").await;
    tab.sees("user.delete would ask for more first").await;
    tab.sees("Text message").await;

    // What is waiting and what was refused, as it changes.
    enters(&mut tab, ".side a[href='/console/limits']").await;
    tab.sees("Kept up to date").await;
    let waits = "[...document.querySelectorAll('.tile')].find(e => e.innerText.includes('Events to seal')).querySelector('strong').innerText";
    let before = tab.evaluates(waits).await;
    sealed(&world).await;
    tab.evaluates("document.dispatchEvent(new Event('visibilitychange'))").await;
    tab.evaluates(&format!(
        "new Promise(done => {{ const look = () => {waits} === {before} ? requestAnimationFrame(look) : done(); look(); }})"
    ))
    .await;
    assert_eq!(tab.evaluates(waits).await, "0");
    tab.tabs_to("[data-pause]").await;
    tab.presses("Enter").await;
    tab.sees("Go on").await;

    // What happened, and that it is sealed.
    enters(&mut tab, ".side a[href='/console/audit']").await;
    tab.sees("vestibule audit verify").await;
    tab.tabs_to("tbody summary").await;
    tab.presses("Enter").await;
    tab.sees("\"type\": ").await;

    // A table, page by page, as far as an hour's proof reaches.
    enters(&mut tab, ".side a[href='/console/data']").await;
    enters(&mut tab, "tbody a[href$='/tallies']").await;
    tab.sees("signed_up").await;
    let first = tab.text("tbody td").await;
    enters(&mut tab, "a[rel=next]").await;
    assert_ne!(tab.text("tbody td").await, first, "the next page");
    enters(&mut tab, "a[href$='/console/data']").await;
    enters(&mut tab, "tbody a[href$='/factors']").await;
    tab.sees("hidden").await;
}

#[tokio::test]
async fn a_form_of_the_console_leads_through_a_step_up_and_back() {
    let world = house().await;
    let Some((mut tab, person)) = operator(&world).await else { return };
    for _ in 0..3 {
        tab.goes_to("/console").await;
        world.advance(Duration::from_secs(25 * 60));
    }
    tab.goes_to("/console/data").await;
    assert!(tab.path().await.starts_with("/step-up"), "{}", tab.path().await);
    tab.follows("Text message").await;
    gives_code(&mut tab, &person).await;
    assert_eq!(tab.path().await, "/console/data");
}

#[tokio::test]
async fn the_root_leads_on_to_the_page_that_is_theirs() {
    let world = World::new().await;
    let production = vestibule::http::router::production(&world.app).unwrap();
    let leads = async |person: &Person<'_>| {
        let mut request = Request::get("/").header(header::HOST, world.address.to_string());
        if let Some(token) = &person.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let from = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
        let request = request.extension(axum::extract::ConnectInfo(from)).body(Body::empty()).unwrap();
        let answer = production.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        answer.headers()[header::LOCATION].to_str().unwrap().to_owned()
    };
    let alice = world.alice().await;
    assert_eq!(leads(&world.stranger()).await, "/sign-in");
    assert_eq!(leads(&alice).await, "/account");
    promote(&world, &alice, &["support"]).await;
    assert_eq!(leads(&alice).await, "/console");
    // Support is shown what it may do, and not the way to anything else.
    let page = alice.get("/console").await.expect(StatusCode::OK);
    let html = String::from_utf8_lossy(&page.bytes).into_owned();
    assert!(html.contains("href=\"/console/audit\"") && !html.contains("href=\"/console/data\""), "{html}");
    alice.get("/console/data").await.problem(404, "not-found");
}

#[tokio::test]
async fn whoever_signs_up_without_scripts_is_told_how_strong_a_password_is() {
    let world = World::new().await;
    let Some(mut tab) = Tab::open(&world).await else { return };
    tab.goes_to("/sign-up").await;
    assert!(!tab.shows().await.contains("How strong is it?"), "with scripts it is told while one types");
    tab.without_scripts().await;
    tab.goes_to("/sign-up").await;
    let ask = async |tab: &mut Tab, password: &str| {
        tab.fills("username", "herons").await;
        tab.fills("password", password).await;
        tab.follows("How strong is it?").await;
    };
    ask(&mut tab, "eight quiet herons on the pier").await;
    tab.sees("Strong").await;
    let kept = "document.querySelector('[name=username]').value";
    assert_eq!(tab.evaluates(kept).await, "herons");
    ask(&mut tab, "password1").await;
    tab.sees("Many people use this password").await;
    let users = world.count::<vestibule::accounts::User>(vestibule::accounts::User::BY_CREATED).await;
    assert_eq!(users, 0, "nobody has signed up by asking");
}
