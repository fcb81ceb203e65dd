//! Looking after people in a real browser: found among many, acted for, suspended; and how those pages look.

use std::time::Instant;

use axum::http::StatusCode;
use serde_json::json;
use vestibule::moving::seed;

use crate::administration::{id_of, with_roles};
use crate::browser::Tab;
use crate::browser_journeys::signs_in;
use crate::told;
use crate::world::World;

#[tokio::test]
async fn an_administrator_finds_somebody_among_many_acts_for_them_and_suspends_them() {
    for scripts in [true, false] {
        let world = World::plan().policy(crate::world::unlimited).build().await;
        seed::fill(&world.ctx(), 3_000, 7).await.unwrap();
        let admin = with_roles(&world, &["admin"]).await;
        let grace = world.alice().await;
        let Some(mut theirs) = Tab::open(&world).await else { return };
        signs_in(&mut theirs, &grace).await;
        let mut tab = Tab::open(&world).await.unwrap();
        if !scripts {
            tab.without_scripts().await;
        }
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
        tab.pictured(&format!("console-user-{scripts}")).await;
        tab.follows("Act for them").await;
        tab.fills("reason", "Ticket 4711: cannot see her calls").await;
        tab.follows("Act for them").await;
        tab.sees("You act for").await;
        tab.sees("Ticket 4711").await;
        tab.sees(&grace.email()).await;
        tab.pictured(&format!("console-acting-{scripts}")).await;
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
async fn the_pages_for_people_fit_and_axe_finds_nothing() {
    let started = Instant::now();
    let world = World::plan().policy(|policy| {
        crate::world::unlimited(policy);
        let mut rule = policy.operation.get("organization.act").unwrap().clone();
        rule.never = false;
        policy.operation.set("organization.act", rule);
    });
    let world = world.build().await;
    let Some(mut tab) = Tab::open(&world).await else { return };
    seed::fill(&world.ctx(), 60, 7).await.unwrap();
    let admin = with_roles(&world, &["admin"]).await;
    let grace = world.alice().await;
    let (id, me) = (id_of(&grace).await, id_of(&admin).await);
    let made = json!({"name": "Harbour Lights", "owner": id});
    let made = admin.post("/api/v1/admin/organizations", made).await.expect(StatusCode::CREATED).body;
    let theirs = format!("/api/v1/admin/organizations/{}", made["id"].as_str().unwrap());
    let guest =
        json!({"email": "somebody.with.a.long.address@some-department.example.com", "role": "member"});
    admin.post(&format!("{theirs}/invitations"), guest).await.expect(StatusCode::CREATED);
    let own = admin.post("/api/v1/organizations", json!({"name": "Pier"})).await.body;
    let own = own["id"].as_str().unwrap();
    for other in [&grace] {
        let store = &world.app.store;
        let now = world.app.clock.now();
        let member = vestibule::organizations::Member {
            id: uuid::Uuid::from_u128(7),
            organization_id: own.parse().unwrap(),
            user_id: id_of(other).await,
            role: vestibule::organizations::Role::Member,
            created_at: now,
        };
        store.commit(vec![vestibule::store::Change::insert(&member)]).await.unwrap();
    }
    let suspended = world.alice().await;
    let sus = id_of(&suspended).await;
    let reason = json!({"reason": "A reason of several words", "until": "2031-01-01T00:00:00Z"});
    admin.post(&format!("/api/v1/admin/users/{sus}/suspend"), reason).await.expect(StatusCode::NO_CONTENT);
    signs_in(&mut tab, &admin).await;
    let mut pages = vec![
        ("users".to_owned(), "/console/users".to_owned()),
        ("users-wrong".to_owned(), "/console/users?status=x&from=y&q=a".to_owned()),
        ("users-none".to_owned(), "/console/users?q=nobody-is-called-so".to_owned()),
        ("new".to_owned(), "/console/users/new".to_owned()),
        ("user".to_owned(), format!("/console/users/{id}")),
        ("user-suspended".to_owned(), format!("/console/users/{sus}")),
        ("user-self".to_owned(), format!("/console/users/{me}")),
        ("organizations".to_owned(), "/console/organizations".to_owned()),
        ("organization".to_owned(), format!("/console/organizations/{}", made["id"].as_str().unwrap())),
        ("own-organizations".to_owned(), "/account/organizations".to_owned()),
        ("own-organization".to_owned(), format!("/account/organizations/{own}")),
        ("own-act".to_owned(), format!("/account/organizations/{own}/members/{id}/act")),
    ];
    for deed in ["act", "profile", "roles", "end-sessions", "suspend"] {
        pages.push((format!("deed-{deed}"), format!("/console/users/{id}/{deed}")));
    }
    let mut looked = 0;
    looks(&mut tab, &pages, &mut looked).await;
    tab.goes_to(&format!("/console/users/{id}/act")).await;
    tab.fills("reason", "Ticket 4711: a reason that is long enough to be broken into lines").await;
    tab.follows("Act for them").await;
    let acting = ["/account", "/account/devices", "/console/users"];
    let acting: Vec<_> =
        acting.iter().map(|path| (format!("acting{}", path.replace('/', "-")), (*path).to_owned())).collect();
    looks(&mut tab, &acting, &mut looked).await;
    world.advance(std::time::Duration::from_secs(3600));
    looks(&mut tab, &[("acting-ended".to_owned(), "/acting".to_owned())], &mut looked).await;
    told::figure(format_args!(
        "the console, people and acting: {looked} looks in {:.1} s",
        started.elapsed().as_secs_f64()
    ));
}

async fn looks(tab: &mut Tab, pages: &[(String, String)], looked: &mut usize) {
    for (name, path) in pages {
        for (width, dark, language) in [(1200, false, "en"), (320, true, "ar"), (390, false, "de")] {
            tab.sized(width, 800).await;
            tab.dark(dark).await;
            let mark = if path.contains('?') { '&' } else { '?' };
            tab.goes_to(&format!("{path}{mark}ui_locales={language}")).await;
            tab.pictured(&format!("people-{name}-{width}-{language}")).await;
            tab.fits().await;
            tab.is_accessible().await;
            *looked += 1;
        }
    }
    tab.sized(1200, 800).await;
    tab.dark(false).await;
}
