//! The phone page in a real browser: what rings is answered, declined, left alone; mails are read; rules are set.

use std::time::Duration;

use axum::http::{StatusCode, header};
use vestibule::policy::Policy;

use crate::browser::Tab;
use crate::calls::comes_to;
use crate::world::World;

fn much(policy: &mut Policy) {
    let limits = &mut policy.limits;
    for budget in [&mut limits.send_number_short, &mut limits.send_number_day, &mut limits.call_number] {
        budget.limit = 1_000;
    }
}

/// Waits until the page shows `text`: news travels to it by itself.
async fn shows(tab: &Tab, text: &str) {
    for _ in 0..1_500 {
        if tab.shows().await.contains(text) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{text:?} never appears:\n{}", tab.shows().await);
}

async fn no_longer_shows(tab: &Tab, text: &str) {
    for _ in 0..1_500 {
        if !tab.shows().await.contains(text) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{text:?} stays:\n{}", tab.shows().await);
}

#[tokio::test]
async fn somebody_answers_declines_is_busy_and_lets_it_ring_with_the_mouse() {
    let world = World::plan().policy(much).build().await;
    let Some(mut tab) = Tab::open(&world).await else { return };
    tab.goes_to("/dev/phone").await;
    tab.sees("Nothing yet").await;
    let alice = world.alice().await;
    shows(&tab, &alice.mobile).await;
    tab.is_accessible().await;

    // Answered, listened to, and ended.
    let call = alice.calls("Your table is ready.").await;
    let id = call["id"].as_str().unwrap();
    world.run_due().await;
    shows(&tab, "Incoming call").await;
    assert!(!tab.shows().await.contains("Your table"), "nobody has answered yet");
    tab.pictured("phone-rings-light").await;
    tab.dark(true).await;
    tab.pictured("phone-rings-dark").await;
    tab.is_accessible().await;
    tab.dark(false).await;
    tab.clicks("Answer").await;
    comes_to(&alice, id, "in_progress").await;
    shows(&tab, "Your table is ready.").await;
    tab.clicks("Hang up").await;
    comes_to(&alice, id, "completed").await;
    no_longer_shows(&tab, "Hang up").await;

    for (button, status) in [("Decline", "busy"), ("Be busy", "busy"), ("+ 1 minute", "no_answer")] {
        let call = alice.calls("Hello").await;
        world.run_due().await;
        shows(&tab, "Or let it ring.").await;
        tab.clicks(button).await;
        comes_to(&alice, call["id"].as_str().unwrap(), status).await;
        no_longer_shows(&tab, "Or let it ring.").await;
    }
}

#[tokio::test]
async fn a_number_is_made_busy_late_or_lost_by_the_form() {
    let world = World::plan().policy(much).build().await;
    let Some(mut tab) = Tab::open(&world).await else { return };
    let alice = world.alice().await;
    tab.goes_to("/dev/phone").await;
    for (habit, told, status) in [
        ("busy", "be busy for calls", "busy"),
        ("no-answer", "let calls ring out", "no_answer"),
        ("fail", "fail messages and calls", "failed"),
    ] {
        tab.fills("to", &alice.mobile).await;
        tab.evaluates(&format!("document.querySelector('select[name=does]').value = {habit:?}")).await;
        tab.clicks("Set").await;
        shows(&tab, &format!("{} shall {told}", alice.mobile)).await;
        let call = alice.calls("Hello").await;
        world.run_due().await;
        comes_to(&alice, call["id"].as_str().unwrap(), status).await;
    }
    // Late, and said so.
    tab.fills("to", &alice.mobile).await;
    tab.evaluates("document.querySelector('select[name=does]').value = 'normal'").await;
    tab.fills("delay", "7").await;
    tab.clicks("Set").await;
    shows(&tab, "7 s late").await;
    // What is no number is not sent.
    tab.fills("to", "911").await;
    tab.clicks("Set").await;
    assert!(!tab.shows().await.contains("911 shall"));
    tab.sized(320, 640).await;
    tab.fits().await;
}

#[tokio::test]
async fn a_mail_is_shown_as_html_in_a_frame_that_can_do_nothing() {
    let world = World::new().await;
    let alice = world.alice().await;
    let mail = world.last_mail(&alice.email()).await;
    let path = format!("/dev/mails/{}", mail["id"].as_str().unwrap());
    let mut here = world.stranger();
    here.ip = [127, 0, 0, 1].into();
    let page = here.get(&path).await.expect(StatusCode::OK);
    let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("sandbox; default-src 'none';"), "{policy}");
    here.get("/dev/mails/00000000-0000-0000-0000-000000000000").await.problem(404, "not-found");
    world.stranger().get(&path).await.problem(403, "cross-site");

    let Some(mut tab) = Tab::open(&world).await else { return };
    tab.goes_to("/dev/phone").await;
    shows(&tab, &alice.email()).await;
    tab.clicks("As HTML").await;
    let frame = "document.querySelector('details[open] iframe')";
    assert_eq!(tab.evaluates(&format!("{frame}.getAttribute('sandbox')")).await, "");
    // Its page is of no origin, so that nothing of the phone can be reached from it.
    for _ in 0..500 {
        if tab.evaluates(&format!("{frame}.contentDocument === null")).await == true {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(tab.evaluates(&format!("{frame}.contentDocument === null")).await, true);
    tab.pictured("phone-mail-light").await;
    tab.dark(true).await;
    tab.pictured("phone-mail-dark").await;
    tab.is_accessible().await;
}
