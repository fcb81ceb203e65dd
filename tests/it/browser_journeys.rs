//! Whole journeys in a real browser, from nothing to an account and out of it again.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::Value as Json;
use vestibule::policy::FactorKind;

use crate::browser::Tab;
use crate::factors::shows;
use crate::organizations::{code_at, founded, invites, verified};
use crate::world::{PASSWORD, Person, World};

/// Signs up, and arrives in the account.
pub async fn signs_up(tab: &mut Tab, person: &Person<'_>) {
    asks_for_account(tab, person).await;
    gives_code(tab, person).await;
    assert_eq!(tab.path().await, "/account");
}

/// Signs up, as far as the page that asks for the code.
async fn asks_for_account(tab: &mut Tab, person: &Person<'_>) {
    tab.goes_to("/sign-in").await;
    tab.follows("Create an account").await;
    tab.fills("username", &person.username).await;
    tab.fills("email", &person.email()).await;
    tab.fills("mobile", &person.mobile).await;
    tab.fills("password", PASSWORD).await;
    tab.follows("Create account").await;
    tab.sees("One more step").await;
}

/// How a person uses a browser.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Way {
    Mouse,
    MouseWithoutScripts,
    Keyboard,
}

impl Way {
    pub const ALL: [Self; 3] = [Self::Mouse, Self::MouseWithoutScripts, Self::Keyboard];

    /// A new window, used in this way.
    pub async fn open(self, world: &World) -> Option<Tab> {
        let mut tab = Tab::open(world).await?;
        match self {
            Self::Mouse => {}
            Self::MouseWithoutScripts => tab.without_scripts().await,
            Self::Keyboard => tab.by_keyboard(),
        }
        Some(tab)
    }
}

/// Enters the newest code on the phone.
pub async fn gives_code(tab: &mut Tab, person: &Person<'_>) {
    person.world.run_due().await;
    tab.fills("code", &person.world.last_code(&person.mobile).await).await;
    tab.follows("Continue").await;
}

pub async fn gives_password(tab: &mut Tab, person: &Person<'_>, password: &str) {
    tab.goes_to("/sign-in").await;
    tab.fills("identifier", &person.username).await;
    tab.fills("password", password).await;
    tab.follows("Sign in").await;
}

pub async fn signs_in(tab: &mut Tab, person: &Person<'_>) {
    gives_password(tab, person, PASSWORD).await;
    gives_code(tab, person).await;
}

/// What the picture on the page says to an app that looks at it.
async fn scanned(tab: &Tab) -> String {
    let look = "(async () => { const img = document.querySelector('img.qr'); await img.decode(); const c = document.createElement('canvas'); \
                c.width = c.height = 480; const g = c.getContext('2d'); g.fillStyle = '#fff'; g.fillRect(0, 0, 480, 480); \
                g.drawImage(img, 20, 20, 440, 440); const d = g.getImageData(0, 0, 480, 480).data; let s = ''; \
                for (let i = 0; i < d.length; i += 4) s += d[i] < 128 ? '1' : '0'; return s; })()";
    let dots = tab.evaluates(look).await;
    let dots = dots.as_str().unwrap().as_bytes();
    let mut image = rqrr::PreparedImage::prepare_from_bitmap(480, 480, |x, y| dots[y * 480 + x] == b'1');
    let (_, text) = image.detect_grids()[0].decode().unwrap();
    text
}

/// The code that an app shows now.
fn app_shows(world: &World, uri: &str) -> String {
    let (_, rest) = uri.split_once("secret=").unwrap();
    let secret = rest.split('&').next().unwrap();
    shows(secret, world.app.clock.now().as_millis() / 30_000)
}

/// Reads the newest code that came to `to`, on the page of the phone, in a second window.
async fn reads(phone: &mut Tab, world: &World, to: &str) -> String {
    world.run_due().await;
    let newest = format!(
        "[...document.querySelectorAll('section')].find(e => e.querySelector('h2')?.innerText === {to:?})\
         ?.querySelector('.code code')?.innerText ?? null"
    );
    // A mail is still on its way when it has been sent.
    for _ in 0..500 {
        phone.goes_to("/dev/phone").await;
        if let Some(code) = phone.evaluates(&newest).await.as_str() {
            return code.to_owned();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no code for {to} on the phone:\n{}", phone.shows().await);
}

/// Goes on from the page that asks once more who one is, by text message, when it is asked.
async fn proves(tab: &mut Tab, phone: &mut Tab, person: &Person<'_>) {
    if tab.path().await.starts_with("/step-up") {
        tab.follows("Text message").await;
        tab.fills("code", &reads(phone, person.world, &person.mobile).await).await;
        tab.follows("Continue").await;
    }
}

/// From nothing to an account with an app, out, in again, by recovery, and to the end of it and back.
async fn whole_life(way: Way) {
    let world = World::new().await;
    let Some(mut tab) = way.open(&world).await else { return };
    let mut phone = Tab::open(&world).await.unwrap();
    let person = world.stranger();
    asks_for_account(&mut tab, &person).await;
    let code = reads(&mut phone, &world, &person.mobile).await;
    phone.pictured("phone-code").await;
    tab.fills("code", &code).await;
    tab.follows("Continue").await;
    assert_eq!(tab.path().await, "/account");
    tab.sees(&person.username).await;
    tab.sees("Confirmed").await;

    // The address is confirmed by the code in the mail.
    world.run_due().await;
    world.advance(Duration::from_secs(120));
    tab.follows("Confirm: E-mail address").await;
    tab.fills("code", &reads(&mut phone, &world, &person.email()).await).await;
    tab.follows("Continue").await;
    tab.sees("that is confirmed").await;

    // An app, by its picture.
    tab.follows("Security").await;
    tab.follows("Add an authenticator app").await;
    proves(&mut tab, &mut phone, &person).await;
    assert_eq!(tab.path().await, "/account/totp");
    tab.follows("Go on").await;
    let uri = scanned(&tab).await;
    assert!(uri.starts_with("otpauth://totp/"), "{uri}");
    tab.fills("code", "000000").await;
    tab.follows("Turn it on").await;
    tab.sees("That is not the code that the app shows now").await;
    tab.sees("Start again with a new picture").await;
    tab.fills("code", &app_shows(&world, &uri)).await;
    tab.follows("Turn it on").await;
    tab.sees("It is ready to use").await;
    tab.sees("Authenticator app").await;

    // Recovery codes, to keep.
    tab.follows("Make recovery codes").await;
    proves(&mut tab, &mut phone, &person).await;
    tab.follows("Make new codes").await;
    let codes = tab.evaluates("[...document.querySelectorAll('.codes code')].map(e => e.innerText)").await;
    assert_eq!(codes.as_array().map(Vec::len), Some(10), "{codes}");
    tab.follows("I have saved them").await;
    tab.sees("10 codes left").await;

    // Out, and in again with the app.
    world.advance(Duration::from_secs(60));
    tab.follows("Sign out").await;
    tab.sees("You are signed out").await;
    gives_password(&mut tab, &person, PASSWORD).await;
    tab.sees("authenticator app shows").await;
    tab.fills("code", &app_shows(&world, &uri)).await;
    tab.follows("Continue").await;
    assert_eq!(tab.path().await, "/account");

    // Out; the password is forgotten; back by mail and app. What was told before has arrived by then.
    world.run_due().await;
    world.advance(Duration::from_secs(60));
    tab.follows("Sign out").await;
    tab.follows("Forgot your password?").await;
    tab.fills("identifier", &person.email()).await;
    tab.follows("Send me a code").await;
    tab.fills("code", &reads(&mut phone, &world, &person.email()).await).await;
    tab.follows("Continue").await;
    tab.sees("One more proof").await;
    tab.fills("code", &app_shows(&world, &uri)).await;
    tab.follows("Continue").await;
    let new = "eight quiet herons on the pier";
    tab.fills("new_password", new).await;
    tab.follows("Set the new password").await;
    tab.sees("You can sign in with it now").await;
    world.advance(Duration::from_secs(60));
    gives_password(&mut tab, &person, new).await;
    tab.fills("code", &app_shows(&world, &uri)).await;
    tab.follows("Continue").await;

    // Another name, which asks once more who one is when the last proof is old.
    world.advance(Duration::from_secs(11 * 60));
    tab.follows("Change: Username").await;
    if tab.path().await.starts_with("/step-up") {
        tab.fills("password", new).await;
        tab.follows("Continue").await;
    }
    let other = format!("{}x", person.username);
    tab.fills("value", &other).await;
    tab.follows("Save").await;
    tab.sees(&other).await;
    // What tells of it arrives before what tells of the end.
    world.run_due().await;
    world.advance(Duration::from_secs(1));

    // Everything that is held, and the end of it, taken back by the link in the mail.
    tab.follows("Your data").await;
    tab.follows("Delete your account").await;
    if tab.path().await.starts_with("/step-up") {
        let by_app = "document.querySelector('[name=factor][value=totp]') !== null";
        assert_eq!(tab.evaluates(by_app).await, true, "{}", tab.shows().await);
        tab.follows("Authenticator app").await;
        tab.fills("code", &app_shows(&world, &uri)).await;
        tab.follows("Continue").await;
    }
    assert_eq!(tab.path().await, "/account/delete");
    tab.follows("Delete my account").await;
    tab.sees("Your account is deleted").await;
    tab.goes_to("/account").await;
    assert!(tab.path().await.starts_with("/sign-in"), "{}", tab.path().await);
    let token = crate::recovery::linked(&world, &person.email(), "/undo").await;
    tab.goes_to(&format!("/undo?token={token}")).await;
    tab.follows("Undo it").await;
    tab.sees("It was undone").await;
    world.advance(Duration::from_secs(60));
    tab.goes_to("/sign-in").await;
    tab.fills("identifier", &other).await;
    tab.fills("password", new).await;
    tab.follows("Sign in").await;
    tab.fills("code", &app_shows(&world, &uri)).await;
    tab.follows("Continue").await;
    assert_eq!(tab.path().await, "/account");
}

#[tokio::test]
async fn a_whole_life_with_scripts() {
    whole_life(Way::Mouse).await;
}

#[tokio::test]
async fn a_whole_life_without_scripts() {
    whole_life(Way::MouseWithoutScripts).await;
}

#[tokio::test]
async fn a_whole_life_with_the_keyboard_alone() {
    whole_life(Way::Keyboard).await;
}

#[tokio::test]
async fn somebody_signs_in_with_the_keyboard_alone() {
    let world = World::new().await;
    let Some(mut tab) = Tab::open(&world).await else { return };
    let person = world.member().await;
    tab.goes_to("/sign-in").await;
    tab.tabs_to("[name=identifier]").await;
    tab.types(&person.username).await;
    tab.tabs_to("[name=password]").await;
    tab.types(PASSWORD).await;
    tab.presses("Enter").await;
    tab.arrives().await;
    world.run_due().await;
    assert_eq!(tab.evaluates("document.activeElement.name").await, "code", "one can type at once");
    tab.types(&world.last_code(&person.mobile).await).await;
    tab.presses("Enter").await;
    tab.arrives().await;
    tab.tabs_to("a[href='/account/devices']").await;
    tab.presses("Enter").await;
    tab.arrives().await;
    tab.sees("This device").await;
    tab.tabs_to("[name=scope][value=all]").await;
    tab.presses("Enter").await;
    tab.arrives().await;
    tab.sees("You are signed out").await;
}

/// Presses the form's first button so many times without a pause; how often the form would be sent. It is, where
/// the page shall `go`.
async fn presses_at_once(tab: &Tab, times: u32, goes: bool) -> Json {
    let press = format!(
        "(() => {{ let sent = 0; const count = e => {{ sent += e.defaultPrevented ? 0 : 1; if (!{goes}) e.preventDefault() }}; \
         addEventListener('submit', count); const button = document.querySelector('main form button:not([type])'); \
         for (let i = 0; i < {times}; i++) button.click(); removeEventListener('submit', count); return sent }})()"
    );
    tab.evaluates(&press).await
}

#[tokio::test]
async fn a_button_that_is_pressed_twice_sends_its_form_once() {
    let world = World::new().await;
    let Some(mut tab) = Tab::open(&world).await else { return };
    let person = world.stranger();
    tab.goes_to("/sign-up").await;
    tab.fills("username", &person.username).await;
    tab.fills("email", &person.email()).await;
    tab.fills("mobile", &person.mobile).await;
    tab.fills("password", PASSWORD).await;
    assert_eq!(presses_at_once(&tab, 3, true).await, 1);
    tab.arrives().await;
    tab.sees("One more step").await;
    world.run_due().await;
    tab.fills("code", &world.last_code(&person.mobile).await).await;
    assert_eq!(presses_at_once(&tab, 2, true).await, 1);
    tab.arrives().await;
    assert_eq!(tab.path().await, "/account");

    // Back on a page that the browser has kept, or after a while, it can be sent again.
    tab.goes_to("/recover").await;
    tab.fills("identifier", "nobody").await;
    assert_eq!(presses_at_once(&tab, 2, false).await, 1);
    assert_eq!(presses_at_once(&tab, 2, false).await, 0);
    tab.evaluates("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))").await;
    assert_eq!(presses_at_once(&tab, 2, false).await, 1);
    let later =
        "Object.defineProperty(Event.prototype, 'timeStamp', {get: () => performance.now() + 11000}), 1";
    tab.evaluates(later).await;
    assert_eq!(presses_at_once(&tab, 2, false).await, 1);
}

#[tokio::test]
async fn nobody_who_has_done_it_is_told_that_it_failed() {
    let world = World::new().await;
    let Some(mut tab) = Tab::open(&world).await else { return };
    let person = world.alice().await;
    world.advance(Duration::from_secs(120));
    signs_in(&mut tab, &person).await;
    // Nothing is asked for.
    tab.goes_to("/code").await;
    assert_eq!(tab.path().await, "/account");
    // The page waits for a code, and the link is pressed elsewhere.
    tab.follows("Confirm: E-mail address").await;
    world.run_due().await;
    let code = world.last_code(&person.email()).await;
    let mails = world.messages(&person.email()).await.to_string();
    let (_, link) = mails.split_once(&format!("{}/verify?", world.app.origin.as_str())).unwrap();
    let link = format!("/verify?{}", link.split([' ', '\\', '"']).next().unwrap());
    let mut elsewhere = Tab::open(&world).await.unwrap();
    signs_in(&mut elsewhere, &person).await;
    elsewhere.goes_to(&link).await;
    elsewhere.follows("Confirm my e-mail address").await;
    elsewhere.sees("is confirmed").await;
    tab.fills("code", &code).await;
    tab.follows("Continue").await;
    assert_eq!(tab.path().await, "/account?said=not-asked");
    tab.sees("That code no longer works").await;
    assert_eq!(tab.evaluates("document.querySelectorAll('.tag.good').length").await, 2);
    // What does not count any more is no good news.
    tab.follows("Sign out").await;
    world.advance(Duration::from_secs(3600));
    gives_password(&mut tab, &person, PASSWORD).await;
    world.advance(Duration::from_secs(3600));
    tab.fills("code", "000000").await;
    tab.follows("Continue").await;
    assert_eq!(tab.path().await, "/sign-in?said=gone");
    assert!(tab.text("[role=alert]").await.contains("That code no longer works"));
    assert_eq!(tab.evaluates("document.querySelector('.said')").await, Json::Null);
}

#[tokio::test]
async fn an_invitation_goes_along_through_the_sign_in_and_says_whose_it_is() {
    let world = crate::matrix::plan().build().await;
    let Some(mut tab) = Tab::open(&world).await else { return };
    let (owner, guest, other) = (verified(&world).await, verified(&world).await, world.member().await);
    let pier = founded(&owner, "Pier & Sons").await;
    invites(&owner, pier, &guest.email(), "member").await.expect(StatusCode::CREATED);
    let link = format!("/invitation?token={}", code_at(&world, &guest.email()).await);
    world.advance(Duration::from_secs(3600));
    for person in [&other, &guest] {
        tab.goes_to(&link).await;
        tab.sees("You are invited to join Pier & Sons.").await;
        tab.pictured("invitation-signed-out").await;
        tab.follows("Sign in").await;
        assert_eq!(tab.path().await, "/sign-in?then=%2Finvitation");
        tab.fills("identifier", &person.username).await;
        tab.fills("password", PASSWORD).await;
        tab.follows("Sign in").await;
        gives_code(&mut tab, person).await;
        assert_eq!(tab.path().await, "/invitation");
        tab.sees("You are invited to join Pier & Sons.").await;
        tab.follows("Accept the invitation").await;
        if person.username == other.username {
            tab.sees("went to another address").await;
            tab.pictured("invitation-other").await;
            tab.goes_to("/account").await;
            tab.follows("Sign out").await;
        }
    }
    tab.sees("You have joined Pier & Sons.").await;
    // It was good once, here and by the link.
    tab.goes_to("/invitation").await;
    tab.sees("no longer works").await;
    tab.goes_to(&link).await;
    tab.sees("Perhaps you have joined already").await;
}

#[tokio::test]
async fn what_was_typed_is_there_again_or_it_is_said_that_it_is_not() {
    let world = World::new().await;
    let Some(mut tab) = Tab::open(&world).await else { return };
    let person = world.alice().await;
    world.advance(Duration::from_secs(120));
    signs_in(&mut tab, &person).await;
    let long = "Ada ".repeat(200);
    tab.fills("name", &long).await;
    tab.evaluates("document.querySelector('#locale').value = 'fr', 1").await;
    tab.follows("Save").await;
    assert_eq!(tab.evaluates("document.querySelector('#name').value.trim()").await, long.trim());
    assert_eq!(tab.evaluates("document.querySelector('#locale').value").await, "fr");
    // The proof grows old while somebody types.
    tab.goes_to("/account/change/email").await;
    world.advance(Duration::from_secs(6 * 60));
    tab.fills("value", "new@example.com").await;
    tab.follows("Save").await;
    assert!(tab.path().await.starts_with("/step-up"), "{}", tab.path().await);
    if tab.evaluates("document.querySelector('[name=password]') !== null").await == true {
        tab.fills("password", PASSWORD).await;
        tab.follows("Continue").await;
    } else {
        tab.follows("Text message").await;
        gives_code(&mut tab, &person).await;
    }
    assert_eq!(tab.path().await, "/account/change/email?said=unsaved");
    assert!(tab.text("[role=alert]").await.contains("Nothing was changed yet"));
    tab.pictured("change-unsaved").await;
    tab.fills("value", "new@example.com").await;
    tab.follows("Save").await;
    assert_eq!(tab.path().await, "/code");
}

#[tokio::test]
async fn what_is_wrong_is_said_where_it_is_wrong() {
    let world = World::new().await;
    let Some(mut tab) = Tab::open(&world).await else { return };
    // The focus comes a moment after the page.
    let focused = "new Promise(done => { const look = () => document.activeElement.name ? done(document.activeElement.name) : setTimeout(look, 10); look() })";
    let wrong = async |tab: &Tab, name: &str| {
        let told = tab.evaluates(&format!("document.getElementById('{name}-wrong')?.innerText")).await;
        told.as_str().unwrap_or_else(|| panic!("nothing is wrong with {name}")).to_owned()
    };
    let stranger = world.stranger();
    tab.goes_to("/sign-up").await;
    assert_eq!(tab.evaluates(focused).await, "username");
    tab.fills("username", &stranger.username).await;
    tab.fills("email", &stranger.email()).await;
    tab.fills("mobile", &stranger.mobile).await;
    tab.fills("password", "short").await;
    tab.follows("Create account").await;
    assert_eq!(tab.evaluates(focused).await, "password");
    tab.fills("username", "a b").await;
    tab.fills("password", PASSWORD).await;
    tab.follows("Create account").await;
    assert_eq!(tab.evaluates(focused).await, "username");
    assert!(wrong(&tab, "username").await.contains("without spaces"));

    let person = world.alice().await;
    world.advance(Duration::from_secs(120));
    signs_in(&mut tab, &person).await;
    tab.goes_to("/account/password").await;
    tab.fills("current_password", "not the password of today").await;
    tab.fills("new_password", "eight quiet herons on the pier").await;
    tab.follows("Change password").await;
    assert_eq!(wrong(&tab, "current_password").await, "This is not your current password.");
    assert_eq!(tab.evaluates(focused).await, "current_password");
    tab.pictured("password-wrong").await;
}

#[tokio::test]
async fn a_code_comes_another_way_and_again_after_a_while() {
    let world = World::plan()
        .policy(|policy| policy.sign_in.second.factors = vec![FactorKind::Sms, FactorKind::Call])
        .build()
        .await;
    let Some(mut tab) = Tab::open(&world).await else { return };
    let person = world.member().await;
    gives_password(&mut tab, &person, PASSWORD).await;
    tab.sees("have it sent again in").await;
    assert_eq!(tab.evaluates("document.querySelector('[data-wait]').disabled").await, true);
    world.run_due().await;
    world.advance(Duration::from_secs(31));
    tab.goes_to("/code").await;
    tab.follows("Send it again").await;
    tab.sees("have it sent again in").await;
    world.advance(Duration::from_secs(31));
    tab.clicks("Try another way").await;
    tab.follows("Phone call").await;
    tab.sees("We are calling").await;
    crate::spoken::call_at(&world, &person.mobile).await;
}

#[tokio::test]
async fn one_ends_other_sessions_and_sees_what_happened() {
    let world = World::new().await;
    let Some(mut tab) = Tab::open(&world).await else { return };
    let person = world.alice().await;
    world.advance(Duration::from_secs(120));
    signs_in(&mut tab, &person).await;
    tab.follows("Devices").await;
    assert!(person.is_signed_in().await);
    tab.follows("Sign out everywhere else").await;
    tab.sees("Signed out there").await;
    assert!(!person.is_signed_in().await);
    tab.follows("Activity").await;
    tab.sees("You signed in.").await;
    tab.follows("Profile").await;
    tab.fills("name", "Ada").await;
    tab.evaluates("document.querySelector('#locale').value = 'de', 1").await;
    tab.follows("Save").await;
    tab.sees("Gespeichert").await;
}
