//! Taking back, by orders of events: an owner's link makes the account what it was, whatever was done after it, and
//! leaves nothing to whoever did that.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use vestibule::administration::actions::Deed;
use vestibule::clock::Clock;
use vestibule::factors::Factor;
use vestibule::identifiers::Identifier;
use vestibule::passwords::Password;
use vestibule::policy::{FactorKind, IdentifierKind, Policy, operation};
use vestibule::secret::{Token, TokenKind};
use vestibule::store::Seen;
use vestibule::undo::What;

use crate::factors::{binds, does};
use crate::model::Dice;
use crate::profile::{
    answers, by_password, change, chosen_by_its_owner, mailed_code, mobile_may_change, moves_to, undo,
    undo_token, verified,
};
use crate::recovery::{NEW, begins, linked, logs_in, mailed, sets};
use crate::world::{PASSWORD, Person, Plan, World, unlimited};

const SECOND: Duration = Duration::from_secs(1);
const DEEDS: [&str; 9] = ["ask", "address", "back", "number", "remove", "password", "app", "choose", "leave"];
/// How many lives are lived.
const LIVES: u64 = 24;
const OTHER: &str = "nine grey gulls at noon";

fn plan() -> Plan {
    World::plan().policy(unlimited).policy(mobile_may_change)
}

/// What was shown to be this person's own.
async fn owned(person: &Person<'_>) -> Vec<String> {
    let all =
        vestibule::identifiers::actions::of_user(&person.world.ctx(), id_of(person).await).await.unwrap();
    let own = |one: &&Seen<Identifier>| one.kind != IdentifierKind::Username && one.verified_at.is_some();
    let mut own: Vec<_> = all.iter().filter(own).map(|one| one.value.clone()).collect();
    own.sort();
    own
}

async fn id_of(person: &Person<'_>) -> uuid::Uuid {
    let found = vestibule::identifiers::actions::find_owner(&person.world.ctx(), &person.username).await;
    found.unwrap().unwrap().user_id
}

async fn factors(person: &Person<'_>) -> Vec<Seen<Factor>> {
    vestibule::factors::of_user(&person.world.ctx(), id_of(person).await).await.unwrap()
}

async fn apps(person: &Person<'_>) -> usize {
    factors(person).await.iter().filter(|factor| factor.kind == FactorKind::Totp).count()
}

/// Sets a new password by right of the one that counts.
async fn sets_password(person: &Person<'_>, old: &str, new: &str) {
    let body = json!({"current_password": old, "new_password": new});
    sets(person, body).await.expect(StatusCode::NO_CONTENT);
}

/// Shows what `operation` needs, where it needs more than was shown just now.
async fn shows(person: &Person<'_>, operation: &str) {
    let body = json!({"operation": operation, "factor": "sms"});
    let asked = person.post("/api/v1/auth/step-up", body).await.expect(StatusCode::OK).body;
    if asked.get("id").is_some() {
        let code = mailed_code(person.world, &person.mobile).await;
        answers(person, &asked, &code).await.expect(StatusCode::OK);
    }
}

/// Makes `new` the number that this person is reached at: the link that is sent to the one before.
async fn moves_number(person: &Person<'_>, new: &str) -> String {
    let world = person.world;
    shows(person, operation::MOBILE_CHANGE).await;
    let asked = change(person, json!({"mobile": new})).await.expect(StatusCode::OK).body;
    let code = mailed_code(world, new).await;
    world.advance(SECOND);
    answers(person, &asked["verification"], &code).await.expect(StatusCode::OK);
    let link = undo_token(world, &person.mobile).await;
    world.advance(SECOND);
    link
}

async fn goes(world: &World, link: &str) {
    undo(&world.stranger(), link).await.expect(StatusCode::OK);
}

async fn is_gone(world: &World, link: &str) {
    undo(&world.stranger(), link).await.problem(401, "code-gone");
}

/// Of two links that came to the number, the older one takes the thief's first address away as well.
#[tokio::test]
async fn the_first_address_goes_with_what_was_done_before_it() {
    let world = plan().build().await;
    let alice = world.alice().await;
    world.advance(SECOND);
    shows(&alice, operation::PASSWORD_CHANGE).await;
    sets(&alice, json!({"new_password": NEW})).await.expect(StatusCode::NO_CONTENT);
    let password = linked(&world, &alice.mobile, "/not-me").await;
    world.advance(SECOND);
    shows(&alice, operation::EMAIL_CHANGE).await;
    let asked = change(&alice, json!({"email": "thief@example.org"})).await.expect(StatusCode::OK).body;
    let code = mailed_code(&world, "thief@example.org").await;
    answers(&alice, &asked["verification"], &code).await.expect(StatusCode::OK);
    let address = linked(&world, &alice.mobile, "/not-me").await;
    assert_ne!(password, address);
    goes(&world, &password).await;
    is_gone(&world, &address).await;
    assert_eq!(owned(&alice).await, std::slice::from_ref(&alice.mobile));
}

/// The link to a change that was asked for twice withdraws it, whichever mail it came in.
#[tokio::test]
async fn what_was_asked_for_twice_is_withdrawn_by_either_link() {
    for newest in [true, false] {
        let world = plan().policy(chosen_by_its_owner).build().await;
        let alice = by_password(&world).await;
        let mut links = Vec::new();
        for _ in 0..2 {
            change(&alice, json!({"email": "typo@example.org"})).await.expect(StatusCode::OK);
            links.push(undo_token(&world, &alice.email()).await);
            world.advance(SECOND);
        }
        assert_ne!(links[0], links[1]);
        goes(&world, &links[usize::from(newest)]).await;
        let all = vestibule::identifiers::actions::of_user(&world.ctx(), id_of(&alice).await).await.unwrap();
        assert!(all.iter().all(|one| one.value != "typo@example.org"), "{newest}");
    }
}

/// Whoever merely reads the mails: an owner has put a number in the place of an app, and the link of the mail that
/// says so leaves nobody with one proof where two were asked for.
#[tokio::test]
async fn no_link_is_a_way_around_a_second_factor_that_took_the_place_of_another() {
    for is_first in [false, true] {
        let world = plan().policy(chosen_by_its_owner).policy(free).build().await;
        let alice = by_password(&world).await;
        let app = binds(&alice).await;
        let mut link = linked(&world, &alice.email(), "/not-me").await;
        world.advance(SECOND);
        if is_first {
            sets_password(&alice, PASSWORD, NEW).await;
            let newer = linked(&world, &alice.email(), "/not-me").await;
            assert_ne!(link, newer);
            link = newer;
        }
        // What is confirmed is the first number, or one that was there.
        let number = "+12025550188";
        let asked = change(&alice, json!({"mobile": number})).await.expect(StatusCode::OK).body;
        let code = mailed_code(&world, number).await;
        answers(&alice, &asked["verification"], &code).await.expect(StatusCode::OK);
        world.advance(SECOND);
        let older = linked(&world, &alice.email(), "/not-me").await;
        alice.post("/api/v1/factors", json!({"kind": "sms"})).await.expect(StatusCode::OK);
        if !is_first {
            link = linked(&world, &alice.email(), "/not-me").await;
            assert_ne!(link, older);
        }
        alice.delete(&format!("/api/v1/factors/{}", app.id)).await.expect(StatusCode::NO_CONTENT);
        goes(&world, &link).await;
        let body = json!({"challenge": begins(&alice, &alice.email()).await, "code": mailed(&alice).await});
        let answer = alice.post("/api/v1/auth/recover/verify", body).await;
        assert_eq!(answer.body["type"], "/problems/factor-locked", "{is_first}: {:?}", factors(&alice).await);
        // Whoever helps lets her in again.
        does(&alice, Deed::ResetFactors).await;
        let body = json!({"challenge": begins(&alice, &alice.email()).await, "code": mailed(&alice).await});
        alice.post("/api/v1/auth/recover/verify", body).await.expect(StatusCode::OK);
    }
}

/// A thief changes what there is of both kinds. Either link leads back: the older one at once, the newer one as far
/// as it goes.
#[tokio::test]
async fn what_is_of_the_other_kind_comes_back_as_well() {
    for number_first in [true, false] {
        for older_first in [true, false] {
            let world = plan().build().await;
            let alice = verified(&world).await;
            let before = owned(&alice).await;
            let (older, newer) = if number_first {
                let older = moves_number(&alice, "+12025550188").await;
                let thief = Person { mobile: "+12025550188".into(), ..alice.clone() };
                shows(&thief, operation::EMAIL_CHANGE).await;
                (older, moves_to(&thief, "thief@example.org").await)
            } else {
                shows(&alice, operation::EMAIL_CHANGE).await;
                let older = moves_to(&alice, "thief@example.org").await;
                (older, moves_number(&alice, "+12025550188").await)
            };
            if older_first {
                goes(&world, &older).await;
                is_gone(&world, &newer).await;
            } else {
                goes(&world, &newer).await;
                assert_ne!(owned(&alice).await, before);
                goes(&world, &older).await;
            }
            assert_eq!(owned(&alice).await, before, "{number_first} {older_first}");
            if older_first {
                logs_in(&alice, PASSWORD).await.problem(401, "credentials-wrong");
            }
        }
    }
}

/// A thief's first address of another kind is told at the thief's number alone.
#[tokio::test]
async fn the_first_of_another_kind_goes_with_a_change() {
    let world = plan().build().await;
    let alice = world.alice().await;
    world.advance(SECOND);
    let link = moves_number(&alice, "+12025550188").await;
    let thief = Person { mobile: "+12025550188".into(), ..alice.clone() };
    shows(&thief, operation::EMAIL_CHANGE).await;
    let asked = change(&thief, json!({"email": "thief@example.org"})).await.expect(StatusCode::OK).body;
    let code = mailed_code(&world, "thief@example.org").await;
    answers(&thief, &asked["verification"], &code).await.expect(StatusCode::OK);
    goes(&world, &link).await;
    assert_eq!(owned(&alice).await, std::slice::from_ref(&alice.mobile));
}

/// "That was not me" to a password takes back a change of address that came after it, unless the address is
/// somebody else's by now.
#[tokio::test]
async fn not_me_puts_an_address_back() {
    for is_taken in [false, true] {
        let world = plan().policy(chosen_by_its_owner).build().await;
        let alice = by_password(&world).await;
        let before = owned(&alice).await;
        sets_password(&alice, PASSWORD, NEW).await;
        let link = linked(&world, &alice.email(), "/not-me").await;
        moves_to(&alice, "thief@example.org").await;
        if is_taken {
            let bob = by_password(&world).await;
            moves_to(&bob, &alice.email()).await;
        }
        goes(&world, &link).await;
        let expected = if is_taken { vec!["thief@example.org".to_owned()] } else { before };
        assert_eq!(owned(&alice).await, expected);
        logs_in(&alice, NEW).await.problem(401, "credentials-wrong");
    }
}

/// What was asked for by mistake is withdrawn, and nothing else: all that was done since was told where it still is.
#[tokio::test]
async fn withdrawing_a_change_takes_nothing_else_away() {
    let world = plan().policy(chosen_by_its_owner).build().await;
    let alice = by_password(&world).await;
    change(&alice, json!({"email": "typo@example.org"})).await.expect(StatusCode::OK);
    let asked = undo_token(&world, &alice.email()).await;
    world.advance(SECOND);
    sets_password(&alice, PASSWORD, NEW).await;
    let password = linked(&world, &alice.email(), "/not-me").await;
    binds(&alice).await;
    goes(&world, &asked).await;
    assert_eq!(owned(&alice).await, [alice.email()]);
    assert_eq!(apps(&alice).await, 1);
    assert_eq!(logs_in(&alice, NEW).await.expect(StatusCode::OK).body["status"], "second_factor_required");
    let all = vestibule::identifiers::actions::of_user(&world.ctx(), id_of(&alice).await).await.unwrap();
    assert!(all.iter().all(|one| one.value != "typo@example.org"));
    // Had it been somebody else, the link to the password would still do its part.
    goes(&world, &password).await;
    logs_in(&alice, NEW).await.problem(401, "credentials-wrong");
}

/// Both links to one change are used, and in between the owner has set a new password.
#[tokio::test]
async fn the_link_to_what_was_asked_for_leaves_an_owner_alone_who_is_back() {
    let world = plan().policy(chosen_by_its_owner).build().await;
    let mut alice = by_password(&world).await;
    let claim = change(&alice, json!({"email": "thief@example.org"})).await.expect(StatusCode::OK).body;
    let asked = undo_token(&world, &alice.email()).await;
    world.advance(SECOND);
    let code = mailed_code(&world, "thief@example.org").await;
    answers(&alice, &claim["verification"], &code).await.expect(StatusCode::OK);
    let done = undo_token(&world, &alice.email()).await;
    assert_ne!(asked, done);
    goes(&world, &done).await;
    world.advance(SECOND);
    let signed_in = logs_in(&alice, PASSWORD).await.expect(StatusCode::OK).body;
    alice.token = signed_in["token"].as_str().map(str::to_owned);
    sets_password(&alice, PASSWORD, OTHER).await;
    binds(&alice).await;
    goes(&world, &asked).await;
    assert_eq!((owned(&alice).await, apps(&alice).await), (vec![alice.email()], 1));
    assert_eq!(logs_in(&alice, OTHER).await.expect(StatusCode::OK).body["status"], "second_factor_required");
}

/// Unless it is used first: then what came while the address was another's goes.
#[tokio::test]
async fn the_link_to_what_was_asked_for_takes_all_back_once_it_is_done() {
    let world = plan().policy(chosen_by_its_owner).build().await;
    let alice = by_password(&world).await;
    let claim = change(&alice, json!({"email": "thief@example.org"})).await.expect(StatusCode::OK).body;
    let asked = undo_token(&world, &alice.email()).await;
    world.advance(SECOND);
    let code = mailed_code(&world, "thief@example.org").await;
    answers(&alice, &claim["verification"], &code).await.expect(StatusCode::OK);
    binds(&alice).await;
    // And back, so that nothing shows.
    world.advance(SECOND);
    let claim = change(&alice, json!({"email": alice.email()})).await.expect(StatusCode::OK).body;
    let code = mailed_code(&world, &alice.email()).await;
    answers(&alice, &claim["verification"], &code).await.expect(StatusCode::OK);
    goes(&world, &asked).await;
    assert_eq!((owned(&alice).await, apps(&alice).await), (vec![alice.email()], 0));
    logs_in(&alice, PASSWORD).await.problem(401, "credentials-wrong");
}

/// An address that its owner had chosen is a second factor again, also where a thief has removed it as one.
#[tokio::test]
async fn what_was_chosen_is_chosen_again() {
    for moves in [true, false] {
        let world = plan().policy(chosen_by_its_owner).policy(free).build().await;
        let alice = by_password(&world).await;
        alice.post("/api/v1/factors", json!({"kind": "email"})).await.expect(StatusCode::OK);
        world.run_due().await;
        world.advance(SECOND);
        let link = if moves {
            moves_to(&alice, "thief@example.org").await
        } else {
            sets_password(&alice, PASSWORD, NEW).await;
            linked(&world, &alice.email(), "/not-me").await
        };
        let chosen =
            factors(&alice).await.into_iter().find(|one| one.chosen && one.kind == FactorKind::Email);
        let path = format!("/api/v1/factors/{}", chosen.unwrap().id);
        alice.delete(&path).await.expect(StatusCode::NO_CONTENT);
        goes(&world, &link).await;
        let chosen: Vec<_> = factors(&alice).await.into_iter().filter(|one| one.chosen).collect();
        assert_eq!(chosen.iter().map(|one| one.kind).collect::<Vec<_>>(), [FactorKind::Email], "{moves}");
    }
}

/// What a session asks for needs no further proof.
fn free(policy: &mut Policy) {
    use operation::{FACTOR_ADD, FACTOR_REMOVE, MOBILE_CHANGE, RECOVERY_CODES_MAKE};
    for name in [FACTOR_ADD, FACTOR_REMOVE, MOBILE_CHANGE, RECOVERY_CODES_MAKE] {
        let mut rule = policy.operation.get(name).unwrap().clone();
        (rule.never, rule.proof.any, rule.proof.highest) = (false, Vec::new(), false);
        policy.operation.set(name, rule);
    }
}

/// Where the policy demands a second factor, a number is one without being chosen, and is again.
#[tokio::test]
async fn what_was_a_factor_by_the_policy_is_one_again() {
    let world = plan().policy(free).build().await;
    let alice = verified(&world).await;
    binds(&alice).await;
    let link = linked(&world, &alice.email(), "/not-me").await;
    for sent in factors(&alice).await.into_iter().filter(|one| one.identifier_id.is_some()) {
        alice.delete(&format!("/api/v1/factors/{}", sent.id)).await;
    }
    goes(&world, &link).await;
    let left = factors(&alice).await;
    assert!(left.iter().all(|one| one.kind != FactorKind::Totp && one.locked_at.is_none()), "{left:?}");
    assert!(left.iter().any(|one| one.kind == FactorKind::Sms && one.bound_at.is_some()), "{left:?}");
}

/// A deletion that was taken back by staff left its link, which kills no other.
#[tokio::test]
async fn an_old_link_to_a_deletion_leaves_the_others_alone() {
    let world = plan().policy(chosen_by_its_owner).build().await;
    let mut alice = by_password(&world).await;
    let before = owned(&alice).await;
    alice.delete("/api/v1/users/me").await.expect(StatusCode::NO_CONTENT);
    let kept = undo_token(&world, &alice.email()).await;
    does(&alice, Deed::Restore).await;
    world.advance(SECOND);
    let signed_in = logs_in(&alice, PASSWORD).await.expect(StatusCode::OK).body;
    alice.token = signed_in["token"].as_str().map(str::to_owned);
    let moved = moves_to(&alice, "thief@example.org").await;
    alice.delete("/api/v1/users/me").await.expect(StatusCode::NO_CONTENT);
    goes(&world, &kept).await;
    goes(&world, &moved).await;
    assert_eq!(owned(&alice).await, before);
}

/// A thief binds an app, and sets a password by way of a node whose clock is behind: the app was theirs from the
/// beginning, and protects nobody.
#[tokio::test]
async fn no_clock_says_which_factor_was_there() {
    let world = plan().policy(chosen_by_its_owner).build().await;
    let alice = by_password(&world).await;
    let link = moves_to(&alice, "thief@example.org").await;
    binds(&alice).await;
    let Clock::Manual(time) = &world.app.clock else { unreachable!() };
    time.fetch_sub(60_000, Ordering::SeqCst);
    sets_password(&alice, PASSWORD, NEW).await;
    goes(&world, &link).await;
    assert_eq!(apps(&alice).await, 0);
}

/// What an account is, as far as a link leads back to it.
#[derive(Clone, PartialEq, Debug)]
struct State {
    owned: Vec<String>,
    apps: Vec<uuid::Uuid>,
    chosen: Vec<FactorKind>,
    password: Option<vestibule::clock::Timestamp>,
}

async fn state(person: &Person<'_>) -> State {
    let all = factors(person).await;
    let bound = all.iter().filter(|one| one.bound_at.is_some());
    let apps = bound.clone().filter(|one| one.kind == FactorKind::Totp).map(|one| one.id).collect();
    let chosen = bound.filter(|one| one.chosen && one.identifier_id.is_some()).map(|one| one.kind);
    let mut chosen: Vec<_> = chosen.collect();
    chosen.sort_by_key(|kind| kind.as_str());
    let password = person.world.app.store.get::<Password>(id_of(person).await).await.unwrap();
    State { owned: owned(person).await, apps, chosen, password: password.map(|password| password.changed_at) }
}

/// A thief who has a session does this or that, in any order; the owner uses the links in any order.
#[tokio::test]
async fn whatever_was_done_each_link_leads_back_to_what_there_was() {
    for seed in 0..LIVES {
        let world = plan().policy(chosen_by_its_owner).policy(free).build().await;
        let alice = by_password(&world).await;
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (seed + 1) << 20);
        let (mut said, mut before) = (Vec::new(), std::collections::BTreeMap::new());
        let mut reached = vec![alice.email(), alice.mobile.clone()];
        let mut password = PASSWORD.to_owned();
        let mut tokens: Vec<String> = Vec::new();
        for step in 0..6 {
            let now = state(&alice).await;
            let deed = DEEDS[dice.below(DEEDS.len())];
            said.push(deed);
            let (address, number) = (format!("thief{step}@example.org"), format!("+1202555019{step}"));
            match deed {
                "ask" => drop(change(&alice, json!({"email": address})).await.expect(StatusCode::OK)),
                "address" | "back" | "number" => {
                    let (field, to) = match deed {
                        "address" => ("email", address),
                        "back" => ("email", alice.email()),
                        _ => ("mobile", number),
                    };
                    if now.owned.contains(&to) {
                        continue;
                    }
                    let asked = change(&alice, json!({field: to})).await.expect(StatusCode::OK).body;
                    let code = mailed_code(&world, &to).await;
                    answers(&alice, &asked["verification"], &code).await.expect(StatusCode::OK);
                    reached.push(to);
                }
                "remove" => drop(change(&alice, json!({"email": null})).await),
                "password" => {
                    let new = format!("{step} quiet herons on the pier");
                    sets_password(&alice, &password, &new).await;
                    password = new;
                }
                "app" => drop(binds(&alice).await),
                "leave" => {
                    let all = factors(&alice).await;
                    let Some(chosen) = all.iter().find(|one| one.chosen && one.identifier_id.is_some())
                    else {
                        continue;
                    };
                    alice.delete(&format!("/api/v1/factors/{}", chosen.id)).await;
                }
                _ => drop(alice.post("/api/v1/factors", json!({"kind": "email"})).await),
            }
            world.run_due().await;
            world.advance(SECOND);
            for undo in vestibule::undo::actions::of_user(&world.ctx(), id_of(&alice).await).await.unwrap() {
                before.entry(undo.id).or_insert_with(|| (step, now.clone(), undo.what.clone()));
            }
        }
        for to in &reached {
            let mails = world.messages(to).await;
            for mail in mails["items"].as_array().unwrap() {
                let Some((_, link)) = mail["body"].as_str().unwrap_or_default().split_once("token=vu_")
                else {
                    continue;
                };
                let link = link.split(char::is_whitespace).next().unwrap();
                tokens.push(format!("vu_{link}"));
            }
        }
        tokens.sort();
        tokens.dedup();
        // Every link is tried, in some order.
        let (mut last, mut withdrawn) = (usize::MAX, Vec::new());
        while !tokens.is_empty() {
            let token = tokens.swap_remove(dice.below(tokens.len()));
            let id = Token::parse(TokenKind::Undo, &token).unwrap().id;
            let Some((step, then, what)) = before.get(&id) else { continue };
            let now = state(&alice).await;
            let replaced = |kind: &IdentifierKind| {
                let is_it = |what: &What| matches!(what, What::Change { kind: of, done: true } if of == kind);
                before.values().any(|(at, _, what)| (*step..last).contains(at) && is_it(what))
            };
            let answer = undo(&world.stranger(), &token).await;
            let told = format!("{seed}: {said:?}, the link of {step} ({what:?}) after that of {last}");
            let after = state(&alice).await;
            let locked = factors(&alice).await.into_iter().filter(|one| one.locked_at.is_some());
            let locked: Vec<_> = locked.map(|one| one.id).collect();
            let goes_back = match what {
                What::NotMe { operation } => operation::OWN.contains(&operation.as_str()),
                What::Change { done: true, .. } => true,
                What::Change { kind, done: false } => replaced(kind),
                What::Deletion => unreachable!(),
            };
            if *step >= last {
                // Of one deed there may be two links: what was asked for, and what was done.
                assert!(answer.status.as_u16() == 401 || *step == last, "{told}");
                continue;
            }
            if withdrawn.contains(&id) {
                assert_eq!(answer.status.as_u16(), 401, "{told}");
                continue;
            }
            assert_eq!(answer.status.as_u16(), 200, "{told}: {}", answer.body);
            if !goes_back {
                // What was asked for after it is withdrawn with it.
                let later = before.iter().filter(|(_, (at, _, of))| at > step && of == what);
                withdrawn.extend(later.map(|(id, _)| *id));
                assert_eq!(
                    (&after.owned, &after.apps, &after.chosen),
                    (&now.owned, &now.apps, &now.chosen),
                    "{told}"
                );
                continue;
            }
            last = *step;
            assert_eq!((&after.owned, &after.chosen), (&then.owned, &then.chosen), "{told}");
            assert!(after.apps.iter().all(|app| then.apps.contains(app) || locked.contains(app)), "{told}");
            // Nothing that was set since opens it; what a thief knows does not either.
            let is_kept = matches!(what, What::Change { .. }) && after.password == then.password;
            assert!(after.password.is_none() || is_kept, "{told}");
        }
    }
}
