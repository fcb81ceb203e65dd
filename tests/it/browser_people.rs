//! Looking after people in a real browser: found among many, acted for, suspended; and how those pages look.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::json;
use uuid::Uuid;
use vestibule::accounts::User;
use vestibule::identifiers::{Identifier, Name};
use vestibule::moving::seed;
use vestibule::policy::IdentifierKind;
use vestibule::store::Change;

use crate::administration::{id_of, with_roles};
use crate::browser::Tab;
use crate::browser_journeys::{Way, signs_in};
use crate::browser_look::{LOOKS, looks, looks_at_refusals};
use crate::matrix::plan;
use crate::told;
use crate::world::World;

/// So many people that nobody is found by looking through pages. At night there is time for a million.
async fn fills(world: &World) -> u128 {
    let people = if std::env::var_os("VESTIBULE_TEST_CASES").is_some() { 1_000_000 } else { 50_000 };
    let now = world.app.clock.now();
    let of = |number: u128| {
        let user = User::new(Uuid::from_u128(number), now);
        let name = Name::parse(IdentifierKind::Username, &format!("neighbour{number:06}")).unwrap();
        let claim = Identifier::new(Uuid::from_u128(number), user.id, &name, now);
        [Change::insert(&user), Change::insert(&claim)]
    };
    for start in (1..=people).step_by(1_000) {
        world.app.store.commit((start..start + 1_000).flat_map(of).collect()).await.unwrap();
    }
    people
}

#[tokio::test]
async fn an_administrator_finds_somebody_among_many_acts_for_them_and_suspends_them() {
    let world = plan().build().await;
    let filling = Instant::now();
    let people = fills(&world).await;
    told::figure(format_args!(
        "a house of {people} people is filled in {:.1} s",
        filling.elapsed().as_secs_f64()
    ));
    for way in Way::ALL {
        let admin = with_roles(&world, &["admin"]).await;
        let grace = world.alice().await;
        let Some(mut theirs) = Tab::open(&world).await else { return };
        signs_in(&mut theirs, &grace).await;
        let mut tab = way.open(&world).await.unwrap();
        signs_in(&mut tab, &admin).await;
        tab.goes_to("/console/users").await;
        tab.follows("Next page").await;
        tab.sees("Next page").await;
        tab.fills("q", "nobody-is-called-so").await;
        tab.follows("Find").await;
        tab.sees("Nobody was found").await;
        tab.fills("q", &grace.username[..grace.username.len() - 1]).await;
        tab.follows("Find").await;
        tab.sees(&grace.email()).await;
        tab.follows(&grace.username).await;
        assert_eq!(tab.path().await, format!("/console/users/{}", id_of(&grace).await));
        tab.sees(&grace.email()).await;
        tab.pictured(&format!("console-user-{way:?}")).await;
        tab.follows("Act for them").await;
        tab.fills("reason", "Ticket 4711: cannot see her calls").await;
        tab.follows("Act for them").await;
        tab.sees("You act for").await;
        tab.sees("Ticket 4711").await;
        tab.sees(&grace.email()).await;
        tab.pictured(&format!("console-acting-{way:?}")).await;
        tab.follows("Devices").await;
        tab.sees("You act for").await;
        tab.follows("Stop acting").await;
        tab.sees("You are back in your own account").await;
        tab.follows("Suspend").await;
        tab.fills("reason", "spam").await;
        tab.follows("Suspend").await;
        tab.sees("Suspended").await;
        // The page that was open is dead on the next click, and says so.
        theirs.follows("Security").await;
        assert!(theirs.path().await.starts_with("/sign-in"), "{}", theirs.path().await);
        theirs.sees("your session has ended").await;
        theirs.pictured("console-suspended").await;
    }
}

#[tokio::test]
async fn the_pages_for_people_fit_whoever_they_show() {
    let started = Instant::now();
    let world = plan().build().await;
    let Some(mut tab) = Tab::open(&world).await else { return };
    seed::fill(&world.ctx(), 60, 7, seed::Lives::Whole).await.unwrap();
    let admin = with_roles(&world, &["admin"]).await;
    let grace = world.alice().await;
    let (id, me) = (id_of(&grace).await, id_of(&admin).await);
    let made = json!({"name": "Harbour Lights", "owner": id});
    let made = admin.post("/api/v1/admin/organizations", made).await.expect(StatusCode::CREATED).body;
    let theirs = format!("/api/v1/admin/organizations/{}", made["id"].as_str().unwrap());
    let guest =
        json!({"email": "somebody.with.a.long.address@some-department.example.com", "role": "member"});
    admin.post(&format!("{theirs}/invitations"), guest).await.expect(StatusCode::CREATED);
    let suspended = world.alice().await;
    let sus = id_of(&suspended).await;
    let reason = json!({"reason": "A reason of several words", "until": "2031-01-01T00:00:00Z"});
    admin.post(&format!("/api/v1/admin/users/{sus}/suspend"), reason).await.expect(StatusCode::NO_CONTENT);
    signs_in(&mut tab, &admin).await;
    let pages = [
        "/console/users".to_owned(),
        "/console/users?q=nobody-is-called-so".to_owned(),
        format!("/console/users/{id}"),
        format!("/console/users/{sus}"),
        format!("/console/users/{me}"),
        format!("/console/organizations/{}", made["id"].as_str().unwrap()),
    ];
    let mut looked = looks(&mut tab, "people", &pages, &LOOKS).await;
    let wrong = ["/console/users?status=x&from=y&q=a".to_owned()];
    looked += looks_at_refusals(&mut tab, "people", &wrong, &LOOKS).await;
    tab.goes_to(&format!("/console/users/{id}/act")).await;
    tab.fills("reason", "Ticket 4711: a reason that is long enough to be broken into lines").await;
    tab.follows("Act for them").await;
    let acting = ["/account", "/account/devices"].map(str::to_owned);
    looked += looks(&mut tab, "people", &acting, &LOOKS).await;
    looked += looks_at_refusals(&mut tab, "people", &["/console/users".to_owned()], &LOOKS).await;
    world.advance(Duration::from_secs(3600));
    looked += looks(&mut tab, "people", &["/acting".to_owned()], &LOOKS).await;
    told::figure(format_args!(
        "people in the console: {looked} looks in {:.1} s",
        started.elapsed().as_secs_f64()
    ));
}
