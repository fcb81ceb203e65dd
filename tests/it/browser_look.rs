//! How every page looks: wide and narrow, light and dark, from right to left, to axe-core, and on the wire.

use std::time::{Duration, Instant};

use crate::browser::Tab;
use crate::browser_journeys::signs_up;
use crate::place::second_round;
use crate::told;
use crate::world::World;

/// Pages for everybody, and those of an account.
const PUBLIC: [&str; 9] = [
    "/sign-in",
    "/sign-in?said=signed-out",
    "/sign-up",
    "/sign-out",
    "/recover",
    "/verify?challenge=x&code=1",
    "/undo?token=x",
    "/not-me?token=x",
    "/nothing-here",
];
const OWN: [&str; 9] = [
    "/account",
    "/account/security",
    "/account/devices",
    "/account/activity",
    "/account/data",
    "/account/password",
    "/account/totp",
    "/account/recovery-codes",
    "/account/delete",
];

fn name(path: &str) -> String {
    let path = path.split('?').next().unwrap().trim_start_matches('/');
    path.replace('/', "-")
}

#[tokio::test]
async fn every_page_fits_and_axe_finds_nothing() {
    if second_round() {
        return;
    }
    let started = Instant::now();
    let world = World::new().await;
    let Some(mut tab) = Tab::open(&world).await else { return };
    let person = world.stranger();
    let mut looked = 0;
    let mut paths: Vec<&str> = PUBLIC.to_vec();
    for signed_in in [false, true] {
        if signed_in {
            signs_up(&mut tab, &person).await;
            paths = OWN.to_vec();
        }
        for path in &paths {
            for (width, dark, language) in
                [(1200, false, "en"), (320, true, "ar"), (390, false, "ja"), (768, true, "de")]
            {
                tab.sized(width, 800).await;
                tab.dark(dark).await;
                let mark = if path.contains('?') { '&' } else { '?' };
                tab.goes_to(&format!("{path}{mark}ui_locales={language}")).await;
                tab.pictured(&format!("{}-{width}-{language}", name(path))).await;
                tab.fits().await;
                tab.is_accessible().await;
                assert_eq!(tab.evaluates("document.documentElement.lang").await, language, "{path}");
                looked += 1;
            }
        }
    }
    told::figure(format_args!("pages: {looked} looks in {:.1} s", started.elapsed().as_secs_f64()));
}

#[tokio::test]
async fn pages_that_come_of_forms_are_as_good() {
    if second_round() {
        return;
    }
    let world = World::new().await;
    let Some(mut tab) = Tab::open(&world).await else { return };
    let person = world.member().await;
    let looks = async |tab: &mut Tab, name: &str| {
        for (width, dark) in [(1200, false), (320, true)] {
            tab.sized(width, 800).await;
            tab.dark(dark).await;
            tab.pictured(&format!("{name}-{width}")).await;
            tab.fits().await;
            tab.is_accessible().await;
        }
        tab.sized(1200, 800).await;
    };
    tab.goes_to("/sign-in").await;
    tab.fills("identifier", "nobody").await;
    tab.fills("password", "wrong").await;
    tab.follows("Sign in").await;
    tab.sees("name or the password is wrong").await;
    looks(&mut tab, "sign-in-wrong").await;
    tab.goes_to("/sign-up").await;
    tab.fills("username", &person.username).await;
    tab.fills("email", "ada@example.com").await;
    tab.fills("mobile", "12").await;
    tab.fills("password", "password1").await;
    tab.follows("Create account").await;
    tab.sees("with the country code").await;
    looks(&mut tab, "sign-up-wrong").await;
    world.advance(Duration::from_secs(120));
    crate::browser_journeys::gives_password(&mut tab, &person, crate::world::PASSWORD).await;
    looks(&mut tab, "code").await;
    tab.fills("code", "000000").await;
    tab.follows("Continue").await;
    tab.sees("That is not the code").await;
    looks(&mut tab, "code-wrong").await;
    crate::browser_journeys::gives_code(&mut tab, &person).await;
    tab.goes_to("/account/totp").await;
    tab.follows("Go on").await;
    tab.clicks("You cannot scan it? Type this key into the app.").await;
    looks(&mut tab, "totp-picture").await;
    tab.goes_to("/account/password").await;
    tab.fills("new_password", "eight quiet herons").await;
    looks(&mut tab, "password-typed").await;
    tab.follows("How strong is it?").await;
    tab.sees("Strong").await;
    world.advance(Duration::from_secs(30 * 60));
    tab.goes_to("/account/delete").await;
    assert!(tab.path().await.starts_with("/step-up"), "{}", tab.path().await);
    looks(&mut tab, "step-up").await;
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
