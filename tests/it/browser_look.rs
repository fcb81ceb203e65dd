//! How every page looks: wide and narrow, light and dark, from right to left, to axe-core, and on the wire.
//!
//! Which pages there are, the router says: a new one is looked at, or it is said here why not.

use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use serde_json::Value as Json;
use uuid::Uuid;
use vestibule::http::access::Access;
use vestibule::http::router;

use crate::administration::{id_of, with_roles};
use crate::browser::Tab;
use crate::browser_journeys::{gives_code, gives_password, signs_in};
use crate::matrix::{make_call, plan};
use crate::organizations::{code_at, founded, invites, joins, lets, verified};
use crate::place::second_round;
use crate::recovery::linked;
use crate::told;
use crate::world::{PASSWORD, Person, Plan, World};

/// What answers to GET and is not looked at as it stands, and why.
const NO_PAGES: [(&str, &str); 11] = [
    ("/", "leads on to another; development has a page of its own there"),
    ("/health", "is for programs"),
    ("/health/live", "is for programs"),
    ("/health/ready", "is for programs"),
    ("/metrics", "is for programs"),
    ("/.well-known/jwks.json", "is for programs"),
    ("/openapi.json", "is for programs"),
    ("/docs/assets/{file}", "is a part of pages"),
    ("/assets/{file}", "is a part of pages"),
    ("/code", "is there only while a code is asked for, and is looked at then"),
    ("/step-up", "is there only while a proof is asked for, and is looked at then"),
];

/// Whom a page is for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Room {
    /// Anybody.
    Open,
    /// Whoever writes programs: in English alone.
    Programmers,
    /// Whoever has an account.
    Own,
    /// Staff.
    Console,
}

impl Room {
    fn of(path: &str, access: Access) -> Self {
        let is_below = |start: &str| path == start || path.starts_with(&format!("{start}/"));
        if is_below("/console") {
            Self::Console
        } else if ["/docs", "/api-docs", "/problems"].into_iter().any(is_below) {
            Self::Programmers
        } else if access == Access::Public {
            Self::Open
        } else {
            Self::Own
        }
    }

    /// Its pages, as the router names them.
    fn pages(self) -> impl Iterator<Item = String> {
        let is_page =
            |path: &str| !path.starts_with("/api/") && NO_PAGES.iter().all(|(other, _)| *other != path);
        router::all()
            .into_iter()
            .filter(move |route| route.method == Method::GET && is_page(&route.path))
            .filter(move |route| Self::of(&route.path, route.access) == self)
            .map(|route| route.path)
    }
}

/// What the pages of single things show.
pub struct Things {
    user: Uuid,
    factor: String,
    organization: Uuid,
    message: String,
    call: String,
}

impl Things {
    /// Made by an administrator of the house, who looks at them: an organisation of theirs with a member, who was
    /// called and written to.
    pub async fn made(world: &World, admin: &Person<'_>) -> Self {
        let member = verified(world).await;
        let organization = founded(admin, "Harbour Lights").await;
        joins(admin, organization, &member, "member").await;
        make_call(&member).await;
        let user = id_of(&member).await;
        let first = async |path: &str| {
            let answer = admin.get(path).await.expect(StatusCode::OK).body;
            answer["items"][0]["id"].as_str().unwrap_or_else(|| panic!("{path}: {answer}")).to_owned()
        };
        Self {
            user,
            factor: first("/api/v1/factors").await,
            organization,
            message: first(&format!("/api/v1/admin/messages?user={user}")).await,
            call: first(&format!("/api/v1/admin/calls?user={user}")).await,
        }
    }

    /// Where all pages of `room` are.
    pub fn addresses(&self, room: Room) -> Vec<String> {
        room.pages().flat_map(|page| self.of(&page)).collect()
    }

    /// Where the page is that the router calls so, in each of its forms.
    fn of(&self, page: &str) -> Vec<String> {
        let (user, organization) = (self.user.to_string(), self.organization.to_string());
        let with = |endings: &[&str]| endings.iter().map(|ending| format!("{page}{ending}")).collect();
        let each =
            |name: &str, values: &[&str]| values.iter().map(|value| page.replace(name, value)).collect();
        match page {
            "/sign-in" => with(&["", "?said=signed-out"]),
            "/recover" => with(&["", "?challenge=x&code=1"]),
            "/verify" => with(&["?challenge=x&code=1"]),
            "/undo" | "/not-me" | "/invitation" | "/recover/password" => with(&["?token=x"]),
            "/problems/{slug}" => each("{slug}", &["limit-reached"]),
            "/account/change/{kind}" => each("{kind}", &["username", "email", "mobile"]),
            "/account/factors/add/{kind}" => each("{kind}", &["mobile", "email"]),
            "/account/factors/{id}/remove" => each("{id}", &[&self.factor]),
            "/console/messages/{id}" => each("{id}", &[&self.message]),
            "/console/calls/{id}" => each("{id}", &[&self.call]),
            "/console/data/{table}" => each("{table}", &["users", "messages"]),
            _ if page.contains("/organizations/{id}") => {
                vec![page.replace("{id}", &organization).replace("{user}", &user)]
            }
            _ if page.starts_with("/console/users/{id}") => each("{id}", &[&user]),
            _ => {
                assert!(!page.contains('{'), "{page}: of which thing is it to be looked at?");
                vec![page.to_owned()]
            }
        }
    }
}

/// What a picture of `address` is called: what differs from run to run is left out.
fn name(address: &str) -> String {
    let is_id = |part: &&str| part.len() == 36 && part.matches('-').count() == 4;
    let parts: Vec<_> = address.split('/').map(|part| if is_id(&part) { "id" } else { part }).collect();
    let plain = parts.join("-").replace(|letter: char| !letter.is_alphanumeric(), "-");
    plain.trim_matches('-').chars().take(50).collect()
}

/// How wide the window is, whether it is dark, and in which language.
pub type Look = (u32, bool, &'static str);

pub const LOOKS: [Look; 4] = [(1200, false, "en"), (320, true, "ar"), (390, false, "ja"), (768, true, "de")];

/// Opens each address in each of these ways, and judges what is there; how many looks that were. The pictures stand
/// together under the name of the album.
pub async fn looks(tab: &mut Tab, album: &str, addresses: &[String], looks: &[Look]) -> usize {
    judges(tab, album, addresses, looks, false).await
}

/// The same of pages that say why they show nothing else.
pub async fn looks_at_refusals(tab: &mut Tab, album: &str, addresses: &[String], looks: &[Look]) -> usize {
    judges(tab, album, addresses, looks, true).await
}

async fn judges(tab: &mut Tab, album: &str, addresses: &[String], looks: &[Look], is_refused: bool) -> usize {
    const STATUS: &str = "performance.getEntriesByType('navigation')[0].responseStatus";
    for address in addresses {
        for (width, dark, language) in looks {
            tab.sized(*width, 800).await;
            tab.dark(*dark).await;
            let mark = if address.contains('?') { '&' } else { '?' };
            let asked = format!("{address}{mark}ui_locales={language}");
            tab.goes_to(&asked).await;
            assert_eq!(tab.path().await, asked, "it leads elsewhere");
            let status = tab.evaluates(STATUS).await;
            assert_eq!(status.as_u64() >= Some(400), is_refused, "{address}: {status}");
            tab.pictured(&format!("{album}-{}-{width}-{language}", name(address))).await;
            tab.fits().await;
            tab.is_accessible().await;
            assert_eq!(tab.evaluates("document.documentElement.lang").await, *language, "{address}");
        }
    }
    tab.sized(1200, 800).await;
    tab.dark(false).await;
    addresses.len() * looks.len()
}

/// A house that never says never, so that every page is there.
pub fn open_house() -> Plan {
    plan().policy(lets("organization.act")).policy(lets("user.mobile.change"))
}

#[test]
fn what_is_not_looked_at_is_in_the_map() {
    let all = router::all();
    for (path, why) in NO_PAGES {
        assert!(all.iter().any(|route| route.path == path), "{path}, which {why}, is gone");
    }
}

async fn administered(world: &World) -> Option<(Tab, Person<'_>, Things)> {
    let mut tab = Tab::open(world).await?;
    let admin = with_roles(world, &["admin"]).await;
    let things = Things::made(world, &admin).await;
    signs_in(&mut tab, &admin).await;
    Some((tab, admin, things))
}

#[tokio::test]
async fn every_page_fits_and_axe_finds_nothing() {
    if second_round() {
        return;
    }
    let started = Instant::now();
    let world = open_house().build().await;
    let Some((mut tab, _, things)) = administered(&world).await else { return };
    let mut looked = looks(&mut tab, "pages", &things.addresses(Room::Own), &LOOKS).await;
    tab.forgets_cookies().await;
    looked += looks(&mut tab, "pages", &things.addresses(Room::Open), &LOOKS).await;
    looked += looks_at_refusals(&mut tab, "pages", &["/nothing-here".to_owned()], &LOOKS).await;
    looked += looks(
        &mut tab,
        "pages",
        &things.addresses(Room::Programmers),
        &[(1200, false, "en"), (320, true, "en")],
    )
    .await;
    told::figure(format_args!(
        "pages for everybody and of an account: {looked} looks in {:.1} s",
        started.elapsed().as_secs_f64()
    ));
}

#[tokio::test]
async fn every_page_of_the_console_fits_and_axe_finds_nothing() {
    if second_round() {
        return;
    }
    let started = Instant::now();
    let world = plan().build().await;
    let Some((mut tab, _, things)) = administered(&world).await else { return };
    let all = things.addresses(Room::Console);
    let looked =
        looks(&mut tab, "pages", &all, &[(1200, false, "en"), (320, true, "ar"), (390, false, "ja")]).await;
    told::figure(format_args!(
        "pages of those who are signed in: {looked} looks in {:.1} s",
        started.elapsed().as_secs_f64()
    ));
}

/// Judges the page that is there.
async fn is_good(tab: &mut Tab, name: &str) {
    for (width, dark) in [(1200, false), (320, true)] {
        tab.sized(width, 800).await;
        tab.dark(dark).await;
        tab.pictured(&format!("{name}-{width}")).await;
        tab.fits().await;
        tab.is_accessible().await;
    }
    tab.sized(1200, 800).await;
}

#[tokio::test]
async fn pages_that_come_of_forms_are_as_good() {
    if second_round() {
        return;
    }
    let world = World::new().await;
    let Some(mut tab) = Tab::open(&world).await else { return };
    let person = world.member().await;
    tab.goes_to("/sign-in").await;
    tab.fills("identifier", "nobody").await;
    tab.fills("password", "wrong").await;
    tab.follows("Sign in").await;
    tab.sees("name or the password is wrong").await;
    is_good(&mut tab, "sign-in-wrong").await;
    tab.goes_to("/sign-up").await;
    tab.fills("username", &person.username).await;
    tab.fills("email", "ada@example.com").await;
    tab.fills("mobile", "12").await;
    tab.fills("password", "password1").await;
    tab.follows("Create account").await;
    tab.sees("with the country code").await;
    is_good(&mut tab, "sign-up-wrong").await;
    world.advance(Duration::from_secs(120));
    gives_password(&mut tab, &person, PASSWORD).await;
    is_good(&mut tab, "code").await;
    tab.fills("code", "000000").await;
    tab.follows("Continue").await;
    tab.sees("That is not the code").await;
    is_good(&mut tab, "code-wrong").await;
    gives_code(&mut tab, &person).await;
    tab.goes_to("/account/totp").await;
    tab.follows("Go on").await;
    tab.clicks("Cannot scan it? Type this key into the app.").await;
    is_good(&mut tab, "totp-picture").await;
    tab.goes_to("/account/password").await;
    tab.fills("new_password", "eight quiet herons").await;
    is_good(&mut tab, "password-typed").await;
    tab.follows("How strong is it?").await;
    tab.sees("Strong").await;
    world.advance(Duration::from_secs(30 * 60));
    tab.goes_to("/account/delete").await;
    assert!(tab.path().await.starts_with("/step-up"), "{}", tab.path().await);
    is_good(&mut tab, "step-up").await;
}

/// Where the newest link to `page` leads that came to `address`.
async fn link(world: &World, address: &str, page: &str) -> String {
    world.run_due().await;
    let all = world.messages(address).await;
    let start = format!("{}{page}?", world.app.origin.as_str());
    let found = all["items"].as_array().into_iter().flatten().find_map(|mail: &Json| {
        let (_, rest) = mail["body"].as_str()?.split_once(&start)?;
        Some(format!("{page}?{}", rest.split_whitespace().next()?))
    });
    found.unwrap_or_else(|| panic!("no link to {page} at {address}: {all}"))
}

#[tokio::test]
async fn pages_at_the_end_of_a_way_are_as_good() {
    if second_round() {
        return;
    }
    let world = plan().build().await;
    let Some(mut tab) = Tab::open(&world).await else { return };
    let person = world.member().await;
    let owner = verified(&world).await;
    signs_in(&mut tab, &person).await;

    tab.follows("Confirm: E-mail address").await;
    let verify = link(&world, &person.email(), "/verify").await;
    tab.goes_to(&verify).await;
    tab.follows("Confirm my e-mail address").await;
    tab.sees("You can close this page").await;
    is_good(&mut tab, "verify-done").await;

    let organization = founded(&owner, "Pier").await;
    invites(&owner, organization, &person.email(), "member").await.expect(StatusCode::CREATED);
    tab.goes_to(&format!("/invitation?token={}", code_at(&world, &person.email()).await)).await;
    tab.follows("Accept the invitation").await;
    tab.sees("You have joined").await;
    is_good(&mut tab, "invitation-done").await;

    tab.goes_to("/account/recovery-codes").await;
    tab.follows("Make new codes").await;
    tab.sees("I have saved them").await;
    is_good(&mut tab, "recovery-codes-made").await;

    tab.goes_to("/account/delete").await;
    tab.follows("Delete my account").await;
    tab.sees("Your account is deleted").await;
    is_good(&mut tab, "delete-done").await;
    tab.goes_to(&format!("/undo?token={}", linked(&world, &person.email(), "/undo").await)).await;
    tab.follows("Undo it").await;
    tab.sees("It was undone").await;
    is_good(&mut tab, "undo-done").await;

    world.advance(Duration::from_secs(120));
    tab.goes_to("/recover").await;
    tab.fills("identifier", &person.email()).await;
    tab.follows("Send me a code").await;
    is_good(&mut tab, "recover-code").await;
    world.run_due().await;
    let mail = world.last_mail(&person.email()).await;
    tab.fills("code", mail["code"].as_str().unwrap()).await;
    tab.follows("Continue").await;
    tab.sees("One more proof").await;
    is_good(&mut tab, "recover-second").await;
    gives_code(&mut tab, &person).await;
    tab.sees("New password").await;
    is_good(&mut tab, "recover-password").await;
    tab.fills("new_password", "password1").await;
    tab.follows("Set the new password").await;
    tab.sees("Many people use this password").await;
    is_good(&mut tab, "recover-password-wrong").await;
    tab.fills("new_password", "eight quiet herons on the pier").await;
    tab.follows("Set the new password").await;
    tab.sees("You can sign in with it now").await;
    is_good(&mut tab, "recover-done").await;
}

#[tokio::test]
async fn the_sign_in_page_is_light() {
    if second_round() {
        return;
    }
    let world = World::new().await;
    let Some(mut tab) = Tab::open(&world).await else { return };
    tab.goes_to("/sign-in").await;
    tab.evaluates("new Promise(done => setTimeout(done, 50))").await;
    tab.takes_faults();
    told::figure(format_args!("the sign-in page: {} bytes in {} requests", tab.bytes, tab.asked.len()));
    assert!(tab.bytes <= 30 * 1024, "{} bytes", tab.bytes);
    // The page, its style and its script, which are asked for together.
    assert_eq!(tab.asked.len(), 3, "{:?}", tab.asked);
    let kept = tab.evaluates("performance.getEntriesByType('resource').map(e => e.transferSize)").await;
    tab.goes_to("/sign-up").await;
    let again = tab
        .evaluates("performance.getEntriesByType('resource').reduce((n, e) => n + e.transferSize, 0)")
        .await;
    assert_eq!(again, 0, "the style and the script are kept: {kept}");
    let times = |path: &'static str| async move {
        let person = world.stranger();
        let mut best = Duration::MAX;
        for _ in 0..20 {
            let started = Instant::now();
            person.get(path).await;
            best = best.min(started.elapsed());
        }
        (world, best)
    };
    let (world, page) = times("/sign-in").await;
    let person = world.stranger();
    let mut api = Duration::MAX;
    for _ in 0..20 {
        let started = Instant::now();
        person.get("/api/v1/auth/authenticated").await;
        api = api.min(started.elapsed());
    }
    told::figure(format_args!(
        "first byte, best of 20: the sign-in page {} µs, the API {} µs",
        page.as_micros(),
        api.as_micros()
    ));
}
