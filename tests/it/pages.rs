//! The pages that links in mails lead to: they ask, and only a form does something. And what the page for signing
//! up tells nobody.

use std::time::Duration;

use axum::http::{StatusCode, header};
use serde_json::json;
use vestibule::audit::{Event, What};
use vestibule::config::Period;
use vestibule::factors::Factor;
use vestibule::identifiers::Identifier;
use vestibule::messages::Message;
use vestibule::policy::{FactorKind, IdentifierKind, Operation, Policy, When, operation, preset};
use vestibule::store::{Change, Query};
use vestibule::undo::Undo;

use crate::factors::{binds, makes_codes};
use crate::organizations::{founded, invites, joins};
use crate::recovery::{
    NEW, begins, linked, logs_in, mailed, owner, seen, sets, steps_up, stored_password, world,
};
use crate::world::{Answer, PASSWORD, Person, World, unlimited};

fn encoded(fields: &[(&str, &str)]) -> Vec<u8> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let part = |text: &str| -> String {
        text.bytes()
            .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
            .collect()
    };
    let pairs: Vec<_> =
        fields.iter().map(|(name, value)| format!("{}={}", part(name), part(value))).collect();
    pairs.join("&").into_bytes()
}

async fn submits(person: &Person<'_>, path: &str, fields: &[(&str, &str)]) -> Answer {
    person.send("POST", path, Some(("application/x-www-form-urlencoded", encoded(fields)))).await
}

/// The value of the hidden field `name`.
fn hidden(answer: &Answer, name: &str) -> String {
    let html = text(answer);
    let start = format!("name=\"{name}\" value=\"");
    let (_, rest) = html.split_once(&start).unwrap_or_else(|| panic!("no {name}: {html}"));
    rest.split('"').next().unwrap().to_owned()
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.bytes.clone()).unwrap()
}

#[tokio::test]
async fn a_person_gets_back_in_page_by_page() {
    let world = world().await;
    let person = owner(&world).await;
    let visitor = world.stranger();
    let page = visitor.get("/recover").await.expect(StatusCode::OK);
    assert!(text(&page).contains("action=\"/recover\""));
    let page = submits(&visitor, "/recover", &[("identifier", &person.email())]).await.expect(StatusCode::OK);
    let challenge = hidden(&page, "challenge");
    let wrong = submits(&visitor, "/recover/verify", &[("challenge", &challenge), ("code", "1")]).await;
    assert!(text(&wrong.expect(StatusCode::UNAUTHORIZED)).contains("role=\"alert\""));
    let code = mailed(&person).await;
    // By the link in the mail, as a page that asks once more.
    let page =
        visitor.get(&format!("/recover?challenge={challenge}&code={code}")).await.expect(StatusCode::OK);
    assert_eq!(hidden(&page, "code"), code);
    let page = submits(&visitor, "/recover/verify", &[("challenge", &challenge), ("code", &code)]).await;
    let page = page.expect(StatusCode::OK);
    let (token, second) = (hidden(&page, "token"), hidden(&page, "challenge"));
    world.run_due().await;
    let code = world.last_code(&person.mobile).await;
    let fields = [("token", token.as_str()), ("challenge", &second), ("code", &code)];
    let page = submits(&visitor, "/recover/second", &fields).await.expect(StatusCode::OK);
    let token = hidden(&page, "token");
    let short = submits(&visitor, "/recover/password", &[("token", &token), ("new_password", "short")]).await;
    let token = hidden(&short.expect(StatusCode::UNPROCESSABLE_ENTITY), "token");
    let done = submits(&visitor, "/recover/password", &[("token", &token), ("new_password", NEW)]).await;
    // A device that is known from now on, and no session.
    let done = done.expect(StatusCode::OK);
    let set: Vec<_> =
        done.headers.get_all(header::SET_COOKIE).iter().map(|one| one.to_str().unwrap()).collect();
    assert!(set.len() == 1 && set[0].starts_with("vestibule-device=vd_"), "{set:?}");
    logs_in(&person, NEW).await.expect(StatusCode::OK);
}

/// Whoever has lost the phone shows something else, and whoever has lost the message asks for it again.
#[tokio::test]
async fn a_recovery_says_what_it_asks_for_and_takes_another_way() {
    let world = world().await;
    let person = owner(&world).await;
    binds(&person).await;
    let codes = makes_codes(&person).await;
    let visitor = world.stranger();
    let page = submits(&visitor, "/recover", &[("identifier", &person.email())]).await.expect(StatusCode::OK);
    let challenge = hidden(&page, "challenge");
    let asked = [("challenge", challenge.as_str())];
    let resends = || submits(&visitor, "/recover/resend", &asked);
    let early = resends().await.expect(StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(hidden(&early, "challenge"), challenge);
    world.advance(Duration::from_secs(31));
    assert_eq!(hidden(&resends().await.expect(StatusCode::OK), "challenge"), challenge);
    let code = mailed(&person).await;
    let page = submits(&visitor, "/recover/verify", &[("challenge", &challenge), ("code", &code)]).await;
    let page = page.expect(StatusCode::OK);
    let (token, challenge) = (hidden(&page, "token"), hidden(&page, "challenge"));
    assert!(text(&page).contains("your authenticator app shows"), "{}", text(&page));
    for way in ["sms", "recovery_code"] {
        assert!(text(&page).contains(&format!("name=\"factor\" value=\"{way}\"")), "{}", text(&page));
    }
    let sends = |path, name, value| {
        let fields = [("token", token.clone()), ("challenge", challenge.clone()), (name, value)];
        let visitor = &visitor;
        async move {
            let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            submits(visitor, path, &fields).await
        }
    };
    let page = sends("/recover/resend", "factor", "sms".to_owned()).await.expect(StatusCode::OK);
    assert!(text(&page).contains("by text message") && text(&page).contains("data-wait"), "{}", text(&page));
    let page = sends("/recover/resend", "factor", "recovery_code".to_owned()).await.expect(StatusCode::OK);
    assert!(text(&page).contains("recovery codes that you saved"), "{}", text(&page));
    let wrong = sends("/recover/second", "code", "no-such-code".to_owned()).await;
    let wrong = text(&wrong.expect(StatusCode::UNAUTHORIZED));
    assert!(
        wrong.contains("none of your recovery codes") && wrong.contains("recovery codes that you saved"),
        "{wrong}"
    );
    let done = sends("/recover/second", "code", codes[0].clone()).await.expect(StatusCode::OK);
    assert!(text(&done).contains("name=\"new_password\""), "{}", text(&done));
}

/// Which limit it was shows in the words, and for how long in units that people count in.
#[tokio::test]
async fn a_limit_says_what_it_is_of_and_when_to_come_back() {
    let world = World::new().await;
    let person = world.member().await;
    let mut visitor = browser(&world);
    let (mut said, fields) =
        (Vec::new(), |password| [("identifier", person.username.as_str()), ("password", password)]);
    for (password, sentence) in [(PASSWORD, "cannot send another message yet"), ("wrong", "Too many tries.")]
    {
        let mut answer = submits(&visitor, "/sign-in", &fields(password)).await;
        for _ in 0..200 {
            if answer.status == StatusCode::TOO_MANY_REQUESTS {
                break;
            }
            answer = submits(&visitor, "/sign-in", &fields(password)).await;
        }
        let answer = answer.expect(StatusCode::TOO_MANY_REQUESTS);
        let seconds: u64 = answer.headers[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
        let (count, unit) = match seconds {
            0..=90 => (seconds, "second"),
            91..=5400 => (seconds.div_ceil(60), "minute"),
            _ => (seconds.div_ceil(3600), "hour"),
        };
        let page = text(&answer);
        assert!(page.contains(sentence), "{page}");
        assert!(page.contains(&format!("Please try again in {count} {unit}")), "{seconds}: {page}");
        said.push(unit);
        visitor.headers.insert("x-forwarded-for", "203.0.113.77".parse().unwrap());
    }
    assert!(said.iter().any(|unit| *unit != "second"), "{said:?}");
}

/// Programs and clocks are told of in the words of people, also where no script helps.
#[tokio::test]
async fn a_browser_has_a_name_and_a_time_is_read() {
    const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0";
    let world = world().await;
    let mut alice = owner(&world).await;
    alice.headers.insert("user-agent", FIREFOX.parse().unwrap());
    steps_up(&alice).await;
    sets(&alice, json!({"new_password": NEW})).await.expect(StatusCode::NO_CONTENT);
    world.run_due().await;
    let mails = world.messages(&alice.email()).await.to_string();
    assert!(mails.contains("Firefox · Linux") && !mails.contains("Mozilla"), "{mails}");
    let page = text(&alice.get("/account/activity").await.expect(StatusCode::OK));
    assert!(page.contains(" UTC</time>") && !page.contains("Z</time>"), "{page}");
}

/// "For a while" helps nobody who has to decide.
#[tokio::test]
async fn who_deletes_an_account_reads_until_when_that_can_be_undone() {
    let grace = Duration::from_secs(3 * 24 * 60 * 60);
    let plan = crate::matrix::plan().policy(move |policy| policy.account.grace = Period(grace));
    let world = plan.build().await;
    let (alice, admin) = (world.alice().await, crate::administration::with_roles(&world, &["admin"]).await);
    let until = vestibule::words::when(&(world.app.clock.now() + grace).to_string());
    let id = crate::administration::id_of(&alice).await;
    let theirs = format!("/console/users/{id}/delete");
    for (who, path) in [(&alice, "/account/data"), (&alice, "/account/delete"), (&admin, theirs.as_str())] {
        let page = text(&who.get(path).await.expect(StatusCode::OK));
        assert!(page.contains(&until), "{path}: {page}");
    }
}

/// Who was never in has nothing to get back into.
#[tokio::test]
async fn an_account_that_was_made_for_somebody_is_welcomed_and_its_form_says_what_it_needs() {
    let world = crate::matrix::plan().policy(|policy| policy.sign_up.required = vec![IdentifierKind::Email]);
    let world = world.build().await;
    let admin = crate::administration::with_roles(&world, &["admin"]).await;
    let form = text(&admin.get("/console/users/new").await.expect(StatusCode::OK));
    let field =
        |name: &str| form.lines().find(|line| line.contains(&format!("<label for=\"{name}\""))).unwrap();
    assert!(!field("email").contains("(optional)") && field("mobile").contains("(optional)"), "{form}");
    let guest = world.stranger();
    let made = admin.post("/api/v1/admin/users", json!({"email": guest.email()})).await;
    made.expect(StatusCode::CREATED);
    let token = linked(&world, &guest.email(), "/recover/password").await;
    let page = text(&guest.get(&format!("/recover/password?token={token}")).await.expect(StatusCode::OK));
    assert!(page.contains("Choose your password") && !page.contains("Get back into"), "{page}");
    let fields = [("token", token.as_str()), ("first", "true"), ("new_password", NEW)];
    let done = text(&submits(&guest, "/recover/password", &fields).await.expect(StatusCode::OK));
    assert!(done.contains("Your password is set.") && !done.contains("session"), "{done}");
}

#[tokio::test]
async fn where_recovery_is_off_no_page_leads_to_it() {
    let world = World::plan().policy(|policy| policy.recovery.channels.clear()).build().await;
    let person = world.stranger();
    let sign_in = text(&person.get("/sign-in").await.expect(StatusCode::OK));
    assert!(!sign_in.contains("/recover"), "{sign_in}");
    let off = person.get("/recover").await.expect(StatusCode::OK);
    let sent = submits(&person, "/recover", &[("identifier", "ada")]).await.expect(StatusCode::OK);
    for path in ["/undo", "/not-me"] {
        let asked = text(&person.get(&format!("{path}?token=vu_")).await.expect(StatusCode::OK));
        let gone = submits(&person, path, &[("token", "vu_")]).await.expect(StatusCode::UNAUTHORIZED);
        for page in [asked, text(&gone)] {
            assert!(page.contains("Ask whoever looks after this site"), "{path}: {page}");
        }
    }
    let fields = [("token", "vp_"), ("first", "true"), ("new_password", NEW)];
    let gone = submits(&person, "/recover/password", &fields).await.expect(StatusCode::UNAUTHORIZED);
    assert!(text(&gone).contains("no longer works"), "{}", text(&gone));
    for page in [text(&off), text(&sent), text(&gone)] {
        assert!(page.contains("There is no way back in without help here."), "{page}");
        assert!(!page.contains("name=\"identifier\""), "{page}");
    }
}

#[tokio::test]
async fn where_recovery_is_off_whoever_says_it_was_not_them_is_told_whom_to_ask() {
    let world = world().await;
    let alice = owner(&world).await;
    steps_up(&alice).await;
    sets(&alice, json!({"new_password": NEW})).await.expect(StatusCode::NO_CONTENT);
    let token = linked(&world, &alice.email(), "/not-me").await;
    let mut policy = (*world.app.policy()).clone();
    policy.recovery.channels.clear();
    world.app.replace_policy(policy);
    let done = submits(&alice, "/not-me", &[("token", &token)]).await.expect(StatusCode::OK);
    let page = text(&done);
    assert!(page.contains("the password no longer works") && page.contains("Ask whoever looks"), "{page}");
    assert!(!page.contains("/recover"), "{page}");
}

#[tokio::test]
async fn whoever_is_to_wait_before_a_password_is_set_keeps_the_right_to_set_it() {
    for is_off in [false, true] {
        let plan =
            crate::matrix::plan().policy(|policy| policy.sign_up.required = vec![IdentifierKind::Email]);
        let world = plan.build().await;
        let admin = crate::administration::with_roles(&world, &["admin"]).await;
        let mut policy = (*world.app.policy()).clone();
        policy.limits.code_try_address.limit = 2;
        if is_off {
            policy.recovery.channels.clear();
        }
        world.app.replace_policy(policy);
        let guest = world.stranger();
        let made = admin.post("/api/v1/admin/users", json!({"email": guest.email()})).await;
        made.expect(StatusCode::CREATED);
        let token = linked(&world, &guest.email(), "/recover/password").await;
        let sets = async |token: &str| {
            let fields = [("token", token), ("first", "true"), ("new_password", NEW)];
            submits(&guest, "/recover/password", &fields).await
        };
        for _ in 0..2 {
            sets("vp_").await.expect(StatusCode::UNAUTHORIZED);
        }
        let early = sets(&token).await.expect(StatusCode::TOO_MANY_REQUESTS);
        assert!(text(&early).contains("Please try again in"), "{}", text(&early));
        assert_eq!((hidden(&early, "token"), hidden(&early, "first")), (token.clone(), "true".to_owned()));
        world.advance(Duration::from_secs(600));
        let done = sets(&token).await.expect(StatusCode::OK);
        assert!(text(&done).contains("Your password is set."), "{}", text(&done));
    }
}

#[tokio::test]
async fn no_page_leads_to_what_is_never_done() {
    let never = |policy: &mut Policy| {
        for name in [
            operation::DELETE,
            operation::EXPORT,
            operation::PASSWORD_CHANGE,
            operation::FACTOR_ADD,
            operation::RECOVERY_CODES_MAKE,
            operation::ORGANIZATION_CREATE,
            operation::NAME_CHANGE,
        ] {
            let rule = policy.operation.get(name).unwrap().clone();
            policy.operation.set(name, Operation { never: true, ..rule });
        }
    };
    for (is_done, plan) in [(true, crate::matrix::plan()), (false, crate::matrix::plan().policy(never))] {
        let world = plan.build().await;
        let alice = crate::matrix::browser(&world.alice().await).await;
        for (page, ways) in [
            ("/account", &["name=\"name\""][..]),
            ("/account/data", &["/account/delete", "/account/export", "id=\"delete\"", "id=\"export\""]),
            ("/account/security", &["/account/password", "/account/totp", "/account/recovery-codes"]),
            ("/account/organizations", &["name=\"name\""]),
        ] {
            let shown = text(&alice.get(page).await.expect(StatusCode::OK));
            for way in ways {
                assert_eq!(shown.contains(way), is_done, "{page} {way}: {shown}");
            }
        }
        let data = text(&alice.get("/account/data").await.expect(StatusCode::OK));
        assert_eq!(data.contains("neither get a copy nor delete"), !is_done, "{data}");
        let fields = [("name", "Ada"), ("locale", "de")];
        submits(&alice, "/account", &fields[1..]).await.expect(StatusCode::SEE_OTHER);
        let both = submits(&alice, "/account", &fields).await;
        assert_eq!(both.status == StatusCode::SEE_OTHER, is_done, "{:?}", both.status);
    }
}

#[tokio::test]
async fn no_page_of_an_organisation_leads_to_what_is_never_done() {
    let world = crate::matrix::plan().build().await;
    let owner = owner(&world).await;
    let reader = crate::matrix::browser(&owner).await;
    let grace = crate::recovery::owner(&world).await;
    let id = founded(&owner, "Harbour").await;
    joins(&owner, id, &grace, "member").await;
    invites(&owner, id, "guest@example.com", "member").await.expect(StatusCode::CREATED);
    let shown = async || {
        let page = text(&reader.get(&format!("/account/organizations/{id}")).await.expect(StatusCode::OK));
        assert!(page.contains("guest@example.com"), "{page}");
        let deeds = ["rename", "end", "invite", "uninvite", "role", "remove"];
        deeds.map(|deed| page.matches(&format!("value=\"{deed}\"")).count())
    };
    assert_eq!(shown().await, [1, 1, 1, 1, 1, 2], "they remove another, and leave");
    let policy = (*world.app.policy()).clone();
    for (name, left) in [
        (operation::ORGANIZATION_CHANGE, [0, 0, 1, 1, 1, 2]),
        (operation::ORGANIZATION_MEMBERS, [1, 1, 0, 0, 0, 0]),
    ] {
        let mut policy = policy.clone();
        let rule = policy.operation.get(name).unwrap().clone();
        policy.operation.set(name, Operation { never: true, ..rule });
        world.app.replace_policy(policy);
        assert_eq!(shown().await, left, "{name}");
    }
}

/// Nobody is sent, at every sign-in, to where they are refused.
#[tokio::test]
async fn whoever_looks_after_nobody_since_it_is_never_done_begins_with_their_own_account() {
    for is_done in [true, false] {
        let never = move |policy: &mut Policy| {
            let rule = policy.operation.get(operation::ADMIN_READ).unwrap().clone();
            policy.operation.set(operation::ADMIN_READ, Operation { never: !is_done, ..rule });
        };
        let world = crate::matrix::plan().policy(never).build().await;
        let admin = crate::administration::with_roles(&world, &["admin"]).await;
        let reader = crate::matrix::browser(&admin).await;
        let arrives = reader.get("/sign-in").await.expect(StatusCode::SEE_OTHER);
        let home = if is_done { "/console" } else { "/account" };
        assert_eq!(arrives.headers[header::LOCATION], home);
        let page = text(&reader.get("/account").await.expect(StatusCode::OK));
        assert_eq!(page.contains("href=\"/console\""), is_done, "{page}");
    }
}

/// What is locked is bound anew by being added once more.
#[tokio::test]
async fn a_number_that_is_locked_is_offered_anew() {
    let world = crate::matrix::plan().build().await;
    let alice = crate::matrix::browser(&world.alice().await).await;
    let offers = async || {
        let page = text(&alice.get("/account/security").await.expect(StatusCode::OK));
        page.contains("/account/factors/add/mobile")
    };
    assert!(!offers().await);
    let locked = world.app.store.find_all(Query::<Factor>::along(Factor::BY_USER).limit(100)).await.unwrap();
    let locked = locked.into_iter().find(|factor| factor.kind == FactorKind::Sms).unwrap();
    let now = world.app.clock.now();
    let locked = locked.with(|factor| factor.locked_at = Some(now));
    world.app.store.commit(vec![Change::update(&locked)]).await.unwrap();
    assert!(offers().await);
}

#[tokio::test]
async fn a_deletion_promises_the_link_that_is_sent_and_no_other() {
    for is_told in [true, false] {
        let quiet = move |policy: &mut Policy| {
            let mut rule = policy.operation.get(operation::DELETE).unwrap().clone();
            if !is_told {
                rule.notify.clear();
            }
            policy.operation.set(operation::DELETE, rule);
        };
        let world = World::plan().policy(unlimited).policy(quiet).build().await;
        let alice = crate::matrix::browser(&owner(&world).await).await;
        let asked = alice.get("/account/delete").await.expect(StatusCode::OK);
        let done = submits(&alice, "/account/delete", &[]).await.expect(StatusCode::OK);
        assert_eq!(text(&asked).contains("with the link in the message"), is_told, "{}", text(&asked));
        assert_eq!(text(&done).contains("use the link in the message"), is_told, "{}", text(&done));
    }
}

#[test]
fn whatever_happens_is_told_in_every_language() {
    for what in What::ALL {
        assert!(vestibule::words::has(&format!("event-{what}")), "{what}");
    }
}

#[tokio::test]
async fn nobodys_pages_look_like_somebodys() {
    let world = world().await;
    let person = owner(&world).await;
    let mut pages = Vec::new();
    for known in [person.email(), world.stranger().email()] {
        let page =
            submits(&world.stranger(), "/recover", &[("identifier", &known)]).await.expect(StatusCode::OK);
        let challenge = hidden(&page, "challenge");
        let wrong =
            submits(&world.stranger(), "/recover/verify", &[("challenge", &challenge), ("code", "1")]).await;
        pages.push([&page, &wrong].map(|page| text(page).replace(&challenge, "CHALLENGE")));
    }
    assert_eq!(pages[0], pages[1]);
}

/// Programs that look into mails open every link, with every reading method.
#[tokio::test]
async fn reading_a_page_changes_nothing_and_the_form_does_it_once() {
    let world = world().await;
    let mut alice = owner(&world).await;
    steps_up(&alice).await;
    sets(&alice, json!({"new_password": NEW})).await.expect(StatusCode::NO_CONTENT);
    let not_me = linked(&world, &alice.email(), "/not-me").await;
    let challenge = begins(&world.stranger(), &alice.email()).await;
    let code = mailed(&alice).await;
    let rows = || async {
        [
            world.count::<Event>(Event::BY_TIME).await,
            world.count::<Undo>(Undo::BY_USER).await,
            world.count::<Message>(Message::BY_USER).await,
            world.count::<Identifier>(Identifier::BY_USER).await,
        ]
    };
    let before = (rows().await, stored_password(&alice).await);
    let scanner = world.stranger();
    for path in [
        format!("/not-me?token={not_me}"),
        format!("/undo?token={not_me}"),
        format!("/recover?challenge={challenge}&code={code}"),
        format!("/verify?challenge={challenge}&code={code}"),
    ] {
        for method in ["GET", "HEAD", "OPTIONS", "GET"] {
            let answer = scanner.send(method, &path, None).await;
            assert!(
                answer.status == StatusCode::OK || method == "OPTIONS",
                "{method} {path}: {}",
                answer.status
            );
            assert!(
                answer.headers[header::CONTENT_SECURITY_POLICY]
                    .to_str()
                    .unwrap()
                    .contains("default-src 'none'")
            );
            // Not none at all: then a browser that says no more than `Origin` could send no form.
            let referrers = if method == "OPTIONS" { "no-referrer" } else { "same-origin" };
            assert_eq!(answer.headers[header::REFERRER_POLICY], referrers);
        }
    }
    assert_eq!((rows().await, stored_password(&alice).await), before);
    assert!(alice.is_signed_in().await);
    // Another site cannot send the form for somebody.
    let mut lured = world.stranger();
    lured.headers.insert("origin", "https://evil.example".parse().unwrap());
    submits(&lured, "/not-me", &[("token", &not_me)]).await.expect(StatusCode::FORBIDDEN);
    assert!(alice.is_signed_in().await);
    // A page for one thing does not do another: a recovery is not verified, nor a sign-in finished.
    submits(&scanner, "/verify", &[("challenge", &challenge), ("code", &code)])
        .await
        .expect(StatusCode::UNAUTHORIZED);
    alice.token = None;
    let pending = logs_in(&alice, NEW).await.expect(StatusCode::OK).body["challenge"]["id"].clone();
    world.run_due().await;
    let number = world.last_code(&alice.mobile).await;
    for path in ["/verify", "/recover/second"] {
        let fields = [("token", "vp_"), ("challenge", pending.as_str().unwrap()), ("code", &number)];
        submits(&scanner, path, &fields).await.expect(StatusCode::UNAUTHORIZED);
    }
    // Its page can, in a browser that tells no more than where it was sent.
    let mut reader = world.stranger();
    reader.headers.insert("origin", world.app.origin.as_str().parse().unwrap());
    reader.cookies.push(("vestibule".to_owned(), "vs_x".to_owned()));
    let done = submits(&reader, "/not-me", &[("token", &not_me)]).await.expect(StatusCode::OK);
    assert!(text(&done).contains("href=\"/recover\""));
    // Once more there is nothing to do, but a way on.
    for (path, fields, ways) in [
        ("/not-me", [("token", not_me.as_str()), ("", "")], ["/sign-in", "/recover"]),
        ("/undo", [("token", "vu_"), ("", "")], ["/sign-in", "/recover"]),
        ("/verify", [("challenge", "vc_"), ("code", "1")], ["/account", "/account"]),
    ] {
        let again = text(&submits(&scanner, path, &fields).await.expect(StatusCode::UNAUTHORIZED));
        assert!(again.contains("Perhaps"), "{path}: {again}");
        for way in ways {
            assert!(again.contains(&format!("href=\"{way}\"")), "{path} does not lead to {way}: {again}");
        }
    }
    assert_eq!(stored_password(&alice).await, None);
    logs_in(&alice, PASSWORD).await.problem(401, "credentials-wrong");
}

#[tokio::test]
async fn an_address_is_confirmed_by_pressing_the_button() {
    let world = World::new().await;
    let person = world.stranger();
    let made = person.signs_up().await.expect(StatusCode::CREATED).body;
    world.run_due().await;
    let code = world.last_code(&person.mobile).await;
    let challenge = made["verification"]["id"].as_str().unwrap();
    let page = person.get(&format!("/verify?challenge={challenge}&code={code}")).await.expect(StatusCode::OK);
    let fields = [("challenge", hidden(&page, "challenge")), ("code", hidden(&page, "code"))];
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    submits(&person, "/verify", &fields).await.expect(StatusCode::OK);
    submits(&person, "/verify", &fields).await.expect(StatusCode::UNAUTHORIZED);
}

/// The languages that a page leads to.
fn languages(answer: &Answer) -> Vec<String> {
    let html = text(answer);
    let of_line = |line: &str| Some(line.split_once("hreflang=")?.0.split_once("href=\"")?.1.to_owned());
    let hrefs = html.lines().filter_map(|line| Some(of_line(line)?.split('"').next()?.to_owned()));
    hrefs.map(|href| href.replace("&amp;", "&")).collect()
}

#[tokio::test]
async fn another_language_is_a_link_to_the_same_page_with_all_that_it_was_asked() {
    let world = World::new().await;
    let mut person = world.stranger();
    person.headers.insert("accept", "text/html".parse().unwrap());
    for path in ["/not-me", "/undo", "/verify", "/recover", "/invitation", "/sign-in"] {
        let page = person.get(&format!("{path}?token=a%26b&ui_locales=de+fr&code=7")).await;
        let links = languages(&page.expect(StatusCode::OK));
        assert_eq!(links.len(), 7, "{path}");
        assert!(links.contains(&"?token=a%26b&code=7&ui_locales=es".to_owned()), "{path}: {links:?}");
    }
    // Some paths read like another host.
    for path in ["//evil.example/sign-in", "/nothing"] {
        let page = person.get(path).await.expect(StatusCode::NOT_FOUND);
        assert!(languages(&page).contains(&"?ui_locales=es".to_owned()), "{path}");
        assert!(!text(&page).contains("evil.example"), "{}", text(&page));
    }
    // What answers a form is at an address that cannot always be asked for, and never says the same.
    for path in ["/not-me?ui_locales=de", "/recover/password", "/sign-in", "/nothing"] {
        let page = submits(&person, path, &[("token", "x")]).await;
        assert!(page.status.is_client_error(), "{path}: {}", page.status);
        assert_eq!(languages(&page), [""; 0], "{path}");
    }
}

#[tokio::test]
async fn a_failure_is_a_page_for_whoever_likes_pages_best_and_its_headers_say_the_same() {
    let world = World::new().await;
    let mut person = world.stranger();
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for (accept, is_page) in [
        ("application/json;q=1, text/html;q=0.1", false),
        ("application/problem+json, text/html;q=0", false),
        ("text/html;q=0", false),
        ("*/*", false),
        ("application/json;q=0.4, text/html;level=1;q=0.5", true),
        (browser, true),
    ] {
        person.headers.insert("accept", accept.parse().unwrap());
        let answer = person.get("/api/v1/users/me").await.expect(StatusCode::UNAUTHORIZED);
        let kind = answer.headers[header::CONTENT_TYPE].to_str().unwrap();
        assert_eq!(kind.starts_with("text/html"), is_page, "{accept}: {kind}");
        assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer", "{accept}");
    }
    // So do those of a form that did not work.
    let page =
        submits(&person, "/sign-in", &[("identifier", "nobody"), ("password", "seven lanterns")]).await;
    assert_eq!(page.expect(StatusCode::UNAUTHORIZED).headers[header::WWW_AUTHENTICATE], "Bearer");
}

#[tokio::test]
async fn what_a_link_says_is_text_and_pages_speak_the_readers_language() {
    let world = World::new().await;
    let mut person = world.stranger();
    let evil = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E";
    for page in ["/undo?token=", "/not-me?token=", "/verify?code=", "/recover?challenge="] {
        let answer = person.get(&format!("{page}{evil}")).await.expect(StatusCode::OK);
        let html = text(&answer);
        assert!(!html.contains("<script>") && html.contains("&lt;script"), "{html}");
    }
    person.headers.insert("accept-language", "tlh, de-AT".parse().unwrap());
    let html = text(&person.get("/recover").await);
    assert!(html.contains("lang=\"de\"") && html.contains("Zur\u{fc}ck in Ihr Konto"), "{html}");
    // What is no form of ours is refused, never served.
    for (kind, body) in
        [("application/json", "{}"), ("text/plain", "token=x"), ("application/x-www-form-urlencoded", "%ff")]
    {
        for path in [
            "/recover",
            "/recover/verify",
            "/recover/second",
            "/recover/resend",
            "/recover/password",
            "/undo",
            "/not-me",
            "/verify",
        ] {
            let answer = person.send("POST", path, Some((kind, body.as_bytes().to_vec()))).await;
            assert!(answer.status.is_client_error(), "{path} {kind}: {}", answer.status);
        }
    }
}

/// Somebody's browser, which tells which page a form is of.
fn browser<'w>(world: &'w World) -> Person<'w> {
    let mut person = world.stranger();
    person.headers.insert("origin", world.app.origin.as_str().parse().unwrap());
    person
}

/// T-25, on the page for signing up: at once, on the page that it leads to, and after a wrong code.
#[tokio::test]
async fn t25_the_page_for_signing_up_tells_nobody_whose_an_address_or_a_number_is() {
    let requires = |kinds: &[IdentifierKind], when| {
        let mut policy = Policy::from_toml("").unwrap();
        (policy.sign_up.required, policy.sign_in.second.when) = (kinds.to_vec(), when);
        policy
    };
    let sessions = || Policy::from_toml(preset("sessions").unwrap()).unwrap();
    let (email, mobile) = (IdentifierKind::Email, IdentifierKind::Mobile);
    let world = world().await;
    let usual = world.app.policy();
    for (mut policy, kinds, arrives) in [
        (requires(&[], When::Always), &["username", "email", "mobile"] as &[_], "/code"),
        (sessions(), &["email"], "/code"),
        (sessions(), &["email", "mobile"], "/code"),
        (requires(&[email, mobile], When::Always), &["email", "mobile"], "/code"),
        (requires(&[email], When::Never), &["email"], "/account"),
        (requires(&[mobile], When::Always), &["mobile"], "/code"),
    ] {
        world.app.replace_policy((*usual).clone());
        let owner = owner(&world).await;
        unlimited(&mut policy);
        world.app.replace_policy(policy);
        let ends = &owner.mobile[owner.mobile.len() - 4..];
        let free = (world.stranger().email(), format!("+1202666{ends}"));
        let mut told = Vec::new();
        for (email, mobile) in [(owner.email(), owner.mobile.clone()), free] {
            let mut visitor = browser(&world);
            let username = visitor.username.clone();
            let all = [("username", &username), ("email", &email), ("mobile", &mobile)];
            let given = all.into_iter().filter(|(kind, _)| kinds.contains(kind));
            let given = given.map(|(kind, text)| (kind, text.as_str()));
            let fields: Vec<_> = given.chain([("password", NEW)]).collect();
            let before = world.count::<Event>(Event::BY_TIME).await;
            let made = submits(&visitor, "/sign-up", &fields).await;
            visitor.keeps_cookies(&made);
            let code = visitor.get("/code").await;
            let wrong = submits(&visitor, "/code", &[("code", "1")]).await;
            let said = [&made, &code, &wrong].map(|answer| seen(&visitor, answer));
            told.push((said, world.count::<Event>(Event::BY_TIME).await - before));
        }
        let [made, ..] = &told[0].0;
        assert!(made.contains(&format!("\nlocation: {arrives}\n")), "{kinds:?}: {made}");
        assert_eq!(told[0], told[1], "{kinds:?}");
    }
}

/// Two codes would go to one address, and only the second would count.
#[tokio::test]
async fn whoever_signs_up_where_the_address_must_be_verified_gets_one_code_and_it_counts() {
    let world = world().await;
    let mut policy = Policy::from_toml(preset("sessions").unwrap()).unwrap();
    unlimited(&mut policy);
    world.app.replace_policy(policy);
    let mut person = browser(&world);
    let email = person.email();
    let fields = [("email", email.as_str()), ("password", NEW)];
    let asked = submits(&person, "/sign-up", &fields).await.expect(StatusCode::SEE_OTHER);
    assert_eq!(asked.headers[header::LOCATION], "/code");
    person.keeps_cookies(&asked);
    world.run_due().await;
    let sent = world.messages(&email).await["items"].as_array().unwrap().clone();
    assert_eq!(sent.len(), 1, "{sent:?}");
    let code = sent[0]["code"].as_str().unwrap();
    let done = submits(&person, "/code", &[("code", code)]).await.expect(StatusCode::SEE_OTHER);
    assert_eq!(done.headers[header::LOCATION], "/sign-in?said=verified");
    let fields = [("identifier", email.as_str()), ("password", NEW)];
    let signed_in = submits(&person, "/sign-in", &fields).await.expect(StatusCode::SEE_OTHER);
    assert_eq!(signed_in.headers[header::LOCATION], "/account");
}

/// T-25: nor does what may still be sent to it.
#[tokio::test]
async fn t25_the_page_for_signing_up_answers_the_same_when_nothing_more_is_sent() {
    let world = World::plan().policy(|policy| policy.limits.sign_up_address.limit = 1_000).build().await;
    let owner = owner(&world).await;
    world.advance(Duration::from_secs(24 * 3_600));
    let mut told = Vec::new();
    for number in [owner.mobile.as_str(), "+12025559999"] {
        let mut said = Vec::new();
        for _ in 0..8 {
            let visitor = browser(&world);
            let (username, email) = (visitor.username.clone(), visitor.email());
            let fields = [
                ("username", username.as_str()),
                ("email", &email),
                ("mobile", number),
                ("password", PASSWORD),
            ];
            let made = submits(&visitor, "/sign-up", &fields).await.expect(StatusCode::SEE_OTHER);
            said.push(seen(&visitor, &made));
        }
        world.run_due().await;
        let sent = world.messages(number).await["items"].as_array().unwrap().len();
        told.push((said, sent));
    }
    told[0].1 -= 2;
    assert_eq!(told[0], told[1], "but for the two of the owner's own");
    assert!(told[0].1 < 8);
}

/// Nobody is left with an account that no name leads into.
#[tokio::test]
async fn whoever_gives_a_number_alone_is_asked_for_its_code_and_then_signs_in_by_it() {
    let numbers = |policy: &mut Policy| policy.sign_up.required = vec![IdentifierKind::Mobile];
    let world = World::plan().policy(numbers).build().await;
    let mut person = browser(&world);
    let mobile = person.mobile.clone();
    let fields = [("mobile", mobile.as_str()), ("password", PASSWORD)];
    for (path, fields, arrives) in [
        ("/sign-up", fields, "/sign-in?said=verified"),
        ("/sign-in", [("identifier", mobile.as_str()), ("password", PASSWORD)], "/account"),
    ] {
        let asked = submits(&person, path, &fields).await.expect(StatusCode::SEE_OTHER);
        assert_eq!(asked.headers[header::LOCATION], "/code");
        person.keeps_cookies(&asked);
        world.run_due().await;
        let code = world.last_code(&mobile).await;
        let done = submits(&person, "/code", &[("code", &code)]).await.expect(StatusCode::SEE_OTHER);
        assert_eq!(done.headers[header::LOCATION], arrives);
        person.keeps_cookies(&done);
    }
    assert!(person.is_signed_in().await);
}

/// What is asked of one session, and where the code went, is not shown in another.
#[tokio::test]
async fn the_page_for_the_code_is_that_of_the_session_which_was_asked() {
    let world = world().await;
    let (alice, other) = (world.alice().await, world.alice().await);
    let (alice, other) = (crate::matrix::browser(&alice).await, crate::matrix::browser(&other).await);
    world.advance(Duration::from_secs(600));
    let ask = json!({"operation": operation::PASSWORD_CHANGE, "factor": "sms"});
    let asked = alice.post("/api/v1/auth/step-up", ask).await.expect(StatusCode::OK).body;
    let challenge = asked["id"].as_str().unwrap();
    let to = asked["sent_to"].as_str().unwrap().replace(' ', "\u{a0}");
    for (mut person, is_theirs) in [(alice, true), (other, false)] {
        person.headers.insert(header::ACCEPT, "text/html".parse().unwrap());
        person.cookies.retain(|(name, _)| name != "vestibule-pending");
        person.cookies.push(("vestibule-pending".to_owned(), challenge.to_owned()));
        let page = person.get("/code").await;
        assert_eq!(text(&page).contains(&to), is_theirs, "{} {}", page.status, text(&page));
    }
}

/// What is sent again on the page of a recovery is what a recovery asked for: a sign-in has its own page, and its own
/// session to look at.
#[tokio::test]
async fn the_page_of_a_recovery_sends_nothing_else_again() {
    let world = world().await;
    let alice = world.alice().await;
    world.advance(Duration::from_secs(60));
    let asked = alice.gives_password().await.expect(StatusCode::OK).body["challenge"].clone();
    world.run_due().await;
    world.advance(Duration::from_secs(60));
    let sent = async || {
        world.run_due().await;
        world.messages(&alice.mobile).await["items"].as_array().unwrap().len()
    };
    let before = sent().await;
    let challenge = asked["id"].as_str().unwrap();
    let page = submits(&world.stranger(), "/recover/resend", &[("challenge", challenge)]).await;
    assert_eq!((page.status, sent().await), (StatusCode::UNAUTHORIZED, before));
    alice.post("/api/v1/auth/resend-code", json!({"challenge": challenge})).await.expect(StatusCode::OK);
    assert_eq!(sent().await, before + 1);
}

/// A link to the sign-in may say where one goes on to: to what the settings name, letter by letter, or to a page of
/// one's own here.
#[tokio::test]
async fn nobody_is_sent_on_to_what_a_link_makes_up() {
    const APP: &str = "https://app.example/in";
    let plan = World::plan().policy(unlimited).policy(|policy| policy.sign_in.second.when = When::Never);
    let world = plan.config(|config| config.pages.return_to = vec![APP.to_owned()]).build().await;
    let alice = world.member().await;
    let mut browser = alice.clone();
    browser.headers.insert(header::ORIGIN, world.app.origin.as_str().parse().unwrap());
    browser.headers.insert(header::ACCEPT, "text/html".parse().unwrap());
    let form = [("identifier", alice.username.as_str()), ("password", PASSWORD)];
    for (name, place, leads) in [
        ("return_to", APP, APP),
        ("return_to", "https://app.example/in/", "/account"),
        ("return_to", "https://app.example/in?next=x", "/account"),
        ("return_to", "https://app.example", "/account"),
        ("return_to", "https://evil.example/in", "/account"),
        ("return_to", "//app.example/in", "/account"),
        ("return_to", "javascript:alert(1)", "/account"),
        ("then", "/account/security", "/account/security"),
        ("then", "/invitation", "/invitation"),
        ("then", "/accounts", "/account"),
        ("then", "/account//evil.example", "/account"),
        ("then", "/account/../sign-out", "/account"),
        ("then", "//evil.example", "/account"),
        ("then", "https://evil.example/account", "/account"),
        ("then", "/sign-out", "/account"),
    ] {
        let query = String::from_utf8(encoded(&[(name, place)])).unwrap();
        let answer = submits(&browser, &format!("/sign-in?{query}"), &form).await;
        let location = answer.expect(StatusCode::SEE_OTHER).headers[header::LOCATION].clone();
        assert_eq!(location, leads, "{name} {place}");
    }
}
