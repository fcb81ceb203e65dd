//! Who carries a message: order, failover, breakers, doubt, other ways – and what must never happen.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::http::StatusCode;
use serde_json::{Value as Json, json};
use uuid::Uuid;
use vestibule::accounts::Roles;
use vestibule::administration::actions::{self, Deed};
use vestibule::audit::{Event, What};
use vestibule::challenges::Challenge;
use vestibule::config::{Config, Route};
use vestibule::error::Problem;
use vestibule::identifiers::{Identifier, Name};
use vestibule::limits::{self, Sender};
use vestibule::messages::rules::Heard;
use vestibule::messages::{self, Channel, Code, CodePurpose, Message, Notice, Notify, Status};
use vestibule::policy::{FactorKind, IdentifierKind, Policy, When};
use vestibule::secret::Secret;
use vestibule::sign_up::Wanted;
use vestibule::step_up::By;
use vestibule::store::{Change, Query, answer as decided};
use vestibule::twilio::errors::Class;
use vestibule::words::Locale;

use crate::administration::{id_of, put, with_roles};
use crate::matrix::plan;
use crate::organizations::founded;
use crate::recovery::{linked, owner};
use crate::scripted::{Reply, Scripted, Told, answer, taken};
use crate::spoken::call_at;
use crate::world::{PASSWORD, Person, World};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const USER: Uuid = Uuid::from_u128(7);

fn to(number: usize) -> String {
    format!("+1202555{number:04}")
}

fn routes(config: &mut Config, routes: &[&str]) {
    config.delivery.routes = routes.iter().map(|text| Route::try_from((*text).to_owned()).unwrap()).collect();
}

/// A house whose webhook is `webhook` and whose Twilio is `twilio`, with these routes.
async fn house(
    twilio: Option<&Scripted>,
    webhook: Option<&Scripted>,
    text: &'static [&'static str],
) -> World {
    house_with(twilio, webhook, text, |_| {}).await
}

async fn house_with(
    twilio: Option<&Scripted>,
    webhook: Option<&Scripted>,
    text: &'static [&'static str],
    change: impl FnOnce(&mut Config) + 'static,
) -> World {
    let (twilio, webhook) = (twilio.map(Scripted::url), webhook.map(Scripted::url));
    World::plan()
        .config(move |config| {
            routes(config, text);
            for url in [&twilio, &webhook].into_iter().flatten() {
                config.server.outbound_allow.push(url.trim_start_matches("http://").to_owned());
            }
            if let Some(url) = twilio {
                config.twilio.base_url = url;
            }
            if let Some(url) = webhook {
                config.webhook.url = url;
                config.webhook.secret = Secret::new(SECRET);
                config.webhook.from = "Example".to_owned();
            }
            change(config);
        })
        .build()
        .await
}

async fn send_code(world: &World, to: &str, code: &str, purpose: CodePurpose, life: Duration) -> Uuid {
    let ctx = &world.ctx();
    let channel = if to.contains('@') { Channel::Email } else { Channel::Sms };
    let postage = &limits::postage(ctx, to, Sender::Stranger).await.unwrap();
    let made = ctx.decide(move |moment| async move {
        let code = Code {
            channel,
            to,
            user: USER,
            challenge: Uuid::from_u128(9),
            purpose,
            code,
            link: Some("/sign-in/code"),
            locale: Locale::En,
            valid_until: moment.now + life,
        };
        let message = messages::code(ctx, postage, code, &moment);
        Ok(decided(message.id).insert(&message))
    });
    made.await.unwrap()
}

async fn sent(world: &World, number: usize) -> Uuid {
    send_code(world, &to(number), "123456", CodePurpose::SignIn, Duration::from_secs(600)).await
}

async fn message(world: &World, id: Uuid) -> Message {
    world.app.store.get::<Message>(id).await.unwrap().unwrap().into_inner()
}

fn tries(message: &Message) -> Vec<(String, String)> {
    message.tries.0.iter().map(|one| (one.provider.clone(), one.came_to.clone())).collect()
}

/// The worker runs on every node.
#[tokio::test]
async fn of_many_workers_one_has_a_message() {
    let webhook = Scripted::new([taken()]).await;
    let world = house(None, Some(&webhook), &["sms: webhook"]).await;
    for number in 0..10 {
        sent(&world, number).await;
    }
    let workers: Vec<_> = (0..4).map(|_| world.ctx()).collect();
    for ran in futures_util::future::join_all(
        workers.iter().map(|ctx| messages::actions::run_due(ctx, Channel::Sms)),
    )
    .await
    {
        ran.unwrap();
    }
    let read = |body: &str| serde_json::from_str::<Json>(body).unwrap()["to"].as_str().unwrap().to_owned();
    let mut told: Vec<_> = webhook.requests().iter().map(|request| read(&request.body)).collect();
    told.sort();
    assert_eq!(told, (0..10).map(to).collect::<Vec<_>>(), "each once");
}

#[tokio::test]
async fn the_webhook_gets_a_signed_request_that_can_be_told_from_a_copy() {
    let webhook = Scripted::new([taken()]).await;
    let world = house(None, Some(&webhook), &["sms: webhook"]).await;
    let id = sent(&world, 101).await;
    world.run_due().await;
    let request = webhook.requests().pop().unwrap();
    let body: Json = serde_json::from_str(&request.body).unwrap();
    assert_eq!(body["id"], id.to_string());
    assert_eq!((&body["kind"], &body["to"]), (&"sms".into(), &to(101).into()));
    assert_eq!(
        (&body["from"], &body["valid_until"]),
        (&"Example".into(), &"2030-01-01T00:10:00.000Z".into())
    );
    assert!(body["text"].as_str().unwrap().ends_with("#123456"), "{body}");
    assert!(request.head.contains(&format!("idempotency-key: {id}")), "{}", request.head);
    let signature = request.head.lines().find_map(|line| line.strip_prefix("vestibule-signature: ")).unwrap();
    let (time, given) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let wanted = hmac::sign(&key, format!("{time}.{}", request.body).as_bytes());
    let wanted: String = wanted.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((time, given), ("1893456000", wanted.as_str()));
    let message = message(&world, id).await;
    assert_eq!((message.status, message.provider_ref.as_deref()), (Status::Accepted, Some("r1")));
    assert!(message.body.is_none(), "the text is wiped");
}

#[tokio::test]
async fn the_next_provider_is_asked_only_when_nothing_was_done() {
    // What the first one answers; whether the second one is asked; what becomes of the message.
    for (first, asked, status) in [
        (answer(429, "{}"), true, Status::Accepted),
        (answer(401, r#"{"code":20003}"#), true, Status::Accepted),
        (answer(400, r#"{"code":21606}"#), true, Status::Accepted),
        (answer(400, r#"{"code":99999}"#), true, Status::Accepted),
        (answer(400, r#"{"code":21211}"#), false, Status::Failed),
        (answer(400, r#"{"code":30450}"#), false, Status::Failed),
        (answer(500, "{}"), false, Status::Queued),
        (Reply::Silence, false, Status::Queued),
    ] {
        let (twilio, webhook) = (Scripted::new([first.clone()]).await, Scripted::new([taken()]).await);
        let world = house(Some(&twilio), Some(&webhook), &["sms: twilio webhook"]).await;
        let id = sent(&world, 102).await;
        messages::actions::run_due(&world.ctx(), Channel::Sms).await.unwrap();
        let message = message(&world, id).await;
        assert_eq!(message.status, status, "{first:?} {:?}", message.tries);
        assert_eq!((twilio.requests().len(), webhook.requests().len()), (1, usize::from(asked)), "{first:?}");
        let provider = if asked { "webhook" } else { "twilio" };
        assert_eq!(message.provider, provider);
        assert_eq!(tries(&message).len(), 1 + usize::from(asked));
    }
}

#[tokio::test]
async fn a_code_that_ran_out_while_one_provider_was_asked_goes_to_no_other() {
    let told = Told::default();
    let twilio = Scripted::new([Reply::WhenTold(told.clone(), 429)]).await;
    let webhook = Scripted::new([taken()]).await;
    let world = house(Some(&twilio), Some(&webhook), &["sms: twilio webhook"]).await;
    let id = sent(&world, 106).await;
    let ctx = world.ctx();
    let time_passes = async {
        while twilio.requests().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.advance(Duration::from_secs(601));
        told.0.notify_one();
    };
    let (ran, ()) = tokio::join!(messages::actions::run_due(&ctx, Channel::Sms), time_passes);
    ran.unwrap();
    world.advance(Duration::from_secs(60));
    world.run_due().await;
    assert_eq!((twilio.requests().len(), webhook.requests().len()), (1, 0));
    assert_eq!(message(&world, id).await.status, Status::Expired);
}

#[tokio::test]
async fn a_country_has_its_own_providers() {
    let (twilio, webhook) = (Scripted::new([answer(429, "")]).await, Scripted::new([taken()]).await);
    let world =
        house(Some(&twilio), Some(&webhook), &["sms US: webhook", "sms 44: twilio", "sms: twilio"]).await;
    sent(&world, 103).await;
    world.run_due().await;
    assert_eq!((twilio.requests().len(), webhook.requests().len()), (0, 1));
    let british = "+447400123456";
    send_code(&world, british, "123456", CodePurpose::SignIn, Duration::from_secs(60)).await;
    messages::actions::run_due(&world.ctx(), Channel::Sms).await.unwrap();
    assert_eq!((twilio.requests().len(), webhook.requests().len()), (1, 1));
}

#[tokio::test]
async fn a_provider_that_fails_again_and_again_is_left_alone_and_tried_again() {
    let (twilio, webhook) = (Scripted::new([answer(429, "")]).await, Scripted::new([taken()]).await);
    let world = house(Some(&twilio), Some(&webhook), &["sms: twilio webhook"]).await;
    for number in 0..20 {
        let id = sent(&world, 200 + number).await;
        world.run_due().await;
        assert_eq!(message(&world, id).await.status, Status::Accepted);
    }
    assert_eq!(
        (twilio.requests().len(), webhook.requests().len()),
        (5, 20),
        "after five nobody waits for it"
    );
    let figures = world.app.metrics.render();
    assert!(figures.contains(r#"vestibule_provider_circuit{provider="twilio",state="open"} 1"#), "{figures}");

    twilio.now_does(answer(201, r#"{"sid":"SM1","status":"queued"}"#));
    world.advance(Duration::from_secs(30));
    for number in 0..3 {
        sent(&world, 300 + number).await;
        world.run_due().await;
    }
    assert_eq!((twilio.requests().len(), webhook.requests().len()), (8, 20), "one probe, and it is back");
    assert!(world.app.metrics.render().contains(r#"provider="twilio",state="closed"} 1"#));
}

#[tokio::test]
async fn a_message_waits_for_the_only_provider_while_its_breaker_is_open() {
    let webhook = Scripted::new([answer(503, "")]).await;
    let world = house(None, Some(&webhook), &["sms: webhook"]).await;
    let id = sent(&world, 104).await;
    for _ in 0..20 {
        messages::actions::run_due(&world.ctx(), Channel::Sms).await.unwrap();
        world.advance(Duration::from_secs(1));
    }
    let asked = webhook.requests().len();
    assert_eq!(asked, 5);
    webhook.now_does(taken());
    world.advance(Duration::from_secs(60));
    world.run_due().await;
    assert_eq!(message(&world, id).await.status, Status::Accepted);
    assert_eq!(webhook.requests().len(), asked + 1);
}

#[tokio::test]
async fn an_hour_of_a_bad_provider_loses_nothing_repeats_once_and_sends_nothing_late() {
    let bad = [
        taken(),
        answer(429, ""),
        Reply::Silence,
        Reply::Reset,
        answer(500, ""),
        taken(),
        answer(503, ""),
        answer(422, r#"{"error":"number"}"#),
        Reply::Silence,
        Reply::Hang,
        taken(),
        answer(400, ""),
        answer(502, ""),
        answer(429, ""),
        taken(),
        answer(422, r#"{"error":"fraud"}"#),
        taken(),
        taken(),
    ];
    // 300 replies, the same in every run, in an order that fits no pattern of the messages.
    let script: Vec<Reply> =
        (0..300_usize).map(|turn| bad[(turn * turn + turn / 7) % bad.len()].clone()).collect();
    let mut webhook = Scripted::new(script).await;
    let world = house_with(None, Some(&webhook), &["sms: webhook"], |config| {
        config.server.outbound_timeout = "300ms".parse().unwrap();
    });
    let world = world.await;
    let mut ids = Vec::new();
    let mut seen = 0;
    for minute in 0..60 {
        // For three minutes nobody is there at all.
        match minute {
            20 => webhook.goes().await,
            23 => webhook.is_back().await,
            _ => {}
        }
        if minute < 50 {
            for turn in 0..3_usize {
                let number = minute * 3 + turn;
                let code = format!("{:06}", 100_000 + number);
                let life = Duration::from_secs(300);
                ids.push(send_code(&world, &to(number), &code, CodePurpose::SignIn, life).await);
            }
        }
        for _ in 0..12 {
            world.run_due().await;
            let requests = webhook.requests();
            for request in &requests[seen..] {
                let body: Json = serde_json::from_str(&request.body).unwrap();
                let until: vestibule::clock::Timestamp =
                    body["valid_until"].as_str().unwrap().parse().unwrap();
                assert!(until > world.app.clock.now(), "a code was sent when it was no longer good");
            }
            seen = requests.len();
            world.advance(Duration::from_secs(5));
        }
    }
    // What came, and whether it may have been delivered: all but what was refused.
    let mut copies: BTreeMap<String, Vec<(String, bool)>> = BTreeMap::new();
    for request in webhook.requests() {
        let body: Json = serde_json::from_str(&request.body).unwrap();
        let id = body["id"].as_str().unwrap().to_owned();
        let refused = matches!(request.reply, Some(Reply::Answer(400..=499 | 503, _)));
        copies.entry(id).or_default().push((body["text"].as_str().unwrap().to_owned(), !refused));
    }
    for bad in [Reply::Silence, Reply::Reset, Reply::Hang, answer(500, "")] {
        let met = webhook.requests().iter().filter(|request| request.reply.as_ref() == Some(&bad)).count();
        assert!(met >= 5, "{bad:?} was met {met} times");
    }
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for id in &ids {
        let message = message(&world, *id).await;
        *ends.entry(message.status.to_string()).or_default() += 1;
        assert!(message.body.is_none() && message.due_at.is_none(), "{message:?}");
        let of = |word: &str| message.tries.0.iter().filter(|one| one.came_to == word).count();
        // What may have arrived: taken, or in doubt.
        assert!(of("doubtful") <= 2 && of("accepted") <= 1, "{:?}", message.tries);
        let arrived = of("doubtful") + of("accepted");
        assert!(arrived <= 2, "{:?}", message.tries);
        let told = match message.status {
            Status::Accepted => of("accepted") == 1,
            Status::Unknown => of("doubtful") >= 1 && of("accepted") == 0,
            Status::Failed => arrived == 0,
            Status::Expired => arrived == 0,
            _ => false,
        };
        assert!(told, "{} {:?}", message.status, message.tries);
        let came = copies.remove(&id.to_string()).unwrap_or_default();
        assert!(came.windows(2).all(|pair| pair[0].0 == pair[1].0), "{came:?}");
        // As the provider has it: one, and one more for each time that it was left open.
        let delivered = came.iter().filter(|(_, may_be)| *may_be).count();
        assert!(delivered <= (1 + of("doubtful")).min(2), "{delivered} {:?}", message.tries);
    }
    assert!(copies.is_empty(), "nothing came that nobody asked for");
    crate::told::figure(format_args!("an hour of a bad provider: {} messages came to {ends:?}", ids.len()));
    assert!(ends.get("accepted").is_some_and(|count| *count > 60), "{ends:?}");
}

async fn verified_email(world: &World, verified: bool) {
    let now = world.app.clock.now();
    let identifier = Identifier {
        id: Uuid::from_u128(70),
        user_id: USER,
        kind: IdentifierKind::Email,
        value: "ada@example.com".to_owned(),
        canonical: "email:ada@example.com".to_owned(),
        owned: verified.then(|| "email:ada@example.com".to_owned()),
        verified_at: verified.then_some(now),
        created_at: now,
    };
    world.app.store.commit(vec![Change::insert(&identifier)]).await.unwrap();
}

async fn falls_back(
    reply: Reply,
    purpose: CodePurpose,
    verified: bool,
    ways: &'static [Channel],
) -> Option<String> {
    let webhook = Scripted::new([reply]).await;
    let routes = &["sms: webhook", "email: smtp"];
    let world =
        house_with(None, Some(&webhook), routes, move |config| config.delivery.fallback = ways.to_vec())
            .await;
    verified_email(&world, verified).await;
    let id = send_code(&world, &to(105), "123456", purpose, Duration::from_secs(600)).await;
    world.run_due().await;
    world.run_due().await;
    let answer = world.messages("ada@example.com").await;
    world.advance(Duration::from_secs(600));
    world.run_due().await;
    assert!(message(&world, id).await.body.is_none(), "whatever became of it, its text is wiped in the end");
    answer["items"][0]["code"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn a_code_takes_another_way_only_where_that_is_safe() {
    let refused = || answer(422, r#"{"error":"number"}"#);
    let all = &[Channel::Call, Channel::Email];
    let code = Some("123456".to_owned());
    assert_eq!(falls_back(refused(), CodePurpose::SignIn, true, all).await, code);
    assert_eq!(falls_back(refused(), CodePurpose::SignIn, true, &[]).await, None, "not allowed");
    assert_eq!(falls_back(refused(), CodePurpose::SignIn, false, all).await, None, "not verified");
    assert_eq!(falls_back(refused(), CodePurpose::Verify, true, all).await, None, "proves the number");
    let fraud = answer(422, r#"{"error":"fraud"}"#);
    assert_eq!(falls_back(fraud, CodePurpose::SignIn, true, all).await, None, "a sign of fraud");
    assert_eq!(falls_back(Reply::Silence, CodePurpose::SignIn, true, all).await, None, "it may have arrived");
    assert_eq!(falls_back(taken(), CodePurpose::SignIn, true, all).await, None, "it was taken");
}

#[tokio::test]
async fn a_message_that_the_network_lost_takes_another_way_too() {
    let world = World::plan().config(|config| config.delivery.fallback = vec![Channel::Email]).build().await;
    verified_email(&world, true).await;
    // Twilio's look-alike takes it, and then calls back: undelivered.
    let id = send_code(&world, "+15005550030", "123456", CodePurpose::SignIn, Duration::from_secs(600)).await;
    world.run_due().await;
    for _ in 0..200 {
        if message(&world, id).await.status == Status::Undelivered {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.run_due().await;
    let lost = message(&world, id).await;
    assert_eq!((lost.status, lost.failure()), (Status::Undelivered, Some(Class::Temporary)));
    assert!(lost.body.is_none());
    assert_eq!(world.last_mail("ada@example.com").await["code"], "123456");
}

/// A number whose text messages the look-alike takes and does not deliver.
const LOST: &str = "+15005550030";

/// A house whose codes go by text, then by voice, then by mail, and a code to a number that texts do not reach.
async fn three_ways(life: Duration, habit: &str) -> World {
    let plan = World::plan().config(|config| config.delivery.fallback = vec![Channel::Call, Channel::Email]);
    let world = plan.build().await;
    verified_email(&world, true).await;
    crate::calls::set_rule(&world, LOST, habit).await;
    send_code(&world, LOST, "123456", CodePurpose::SignIn, life).await;
    world
}

/// Every way that the code has taken, and what became of it there.
async fn ways(world: &World) -> BTreeMap<&'static str, Status> {
    let query = Query::<Message>::along(Message::BY_CHALLENGE).equal(Uuid::from_u128(9)).limit(100);
    let found = world.app.store.find(query).await.unwrap().items;
    let ways: BTreeMap<_, _> = found.iter().map(|message| (message.kind.as_str(), message.status)).collect();
    assert_eq!(ways.len(), found.len(), "each way once");
    ways
}

/// Works until a way has come so far; callbacks travel by themselves.
async fn comes_to(world: &World, kind: &str, status: Status) {
    for _ in 0..500 {
        world.run_due().await;
        if ways(world).await.get(kind) == Some(&status) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{kind} is not {status}: {:?}", ways(world).await);
}

async fn mails(world: &World) -> usize {
    world.messages("ada@example.com").await["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_code_goes_by_text_then_by_voice_then_by_mail_and_is_the_same() {
    let world = three_ways(Duration::from_secs(600), "busy").await;
    comes_to(&world, "sms", Status::Undelivered).await;
    comes_to(&world, "call", Status::Undelivered).await;
    comes_to(&world, "email", Status::Sent).await;
    assert_eq!(ways(&world).await.len(), 3);
    let rang = crate::spoken::call_at(&world, LOST).await;
    let mail = world.last_mail("ada@example.com").await;
    assert_eq!((&rang["code"], &mail["code"], mails(&world).await), (&mail["code"], &"123456".into(), 1));
    let text = &world.messages(LOST).await["items"];
    let text = text.as_array().unwrap().iter().find(|item| item["kind"] == "sms");
    assert_eq!(text.unwrap()["code"], "123456");
    world.advance(Duration::from_secs(600));
    world.run_due().await;
    let query = Query::<Message>::along(Message::BY_CHALLENGE).equal(Uuid::from_u128(9)).limit(100);
    let all = world.app.store.find(query).await.unwrap().items;
    assert!(all.iter().all(|message| message.body.is_none()), "no text is kept");
}

#[tokio::test]
async fn a_code_that_arrived_by_voice_does_not_go_by_mail() {
    let world = three_ways(Duration::from_secs(600), "answer").await;
    comes_to(&world, "call", Status::Delivered).await;
    world.run_due().await;
    assert_eq!((ways(&world).await.len(), mails(&world).await), (2, 0));
}

#[tokio::test]
async fn a_code_that_is_dead_or_nearly_goes_no_further() {
    // It rings for so long that the code would be dead before a mail is read.
    let world = three_ways(Duration::from_secs(100), "normal").await;
    comes_to(&world, "call", Status::Sent).await;
    crate::spoken::call_at(&world, LOST).await;
    world.advance(Duration::from_secs(50));
    comes_to(&world, "call", Status::Undelivered).await;
    world.run_due().await;
    assert_eq!((ways(&world).await.len(), mails(&world).await), (2, 0));

    // It dies while nobody takes the call.
    let webhook = Scripted::new([answer(422, r#"{"error":"number"}"#)]).await;
    let twilio = Scripted::new([answer(429, "")]).await;
    let routes = &["sms: webhook", "call: twilio", "email: smtp"];
    let world = house_with(Some(&twilio), Some(&webhook), routes, |config| {
        config.delivery.fallback = vec![Channel::Call, Channel::Email];
    });
    let world = world.await;
    verified_email(&world, true).await;
    send_code(&world, &to(105), "123456", CodePurpose::SignIn, Duration::from_secs(120)).await;
    world.run_due().await;
    assert_eq!((ways(&world).await["call"], twilio.requests().len()), (Status::Queued, 1));
    twilio.now_does(answer(201, r#"{"sid":"CA1","status":"queued"}"#));
    world.advance(Duration::from_secs(120));
    world.run_due().await;
    assert_eq!((ways(&world).await["call"], twilio.requests().len()), (Status::Expired, 1));
    assert_eq!((ways(&world).await.len(), mails(&world).await), (2, 0));
}

#[tokio::test]
async fn a_sign_of_fraud_on_any_way_ends_them_all() {
    let number = || answer(400, r#"{"code":21614}"#);
    let fraud = || answer(400, r#"{"code":60605}"#);
    // What Twilio says of the text, then of the call; how many ways are taken.
    for (replies, taken) in [(vec![number(), number()], 3), (vec![number(), fraud()], 2), (vec![fraud()], 1)]
    {
        let twilio = Scripted::new(replies.clone()).await;
        let routes = &["sms: twilio", "call: twilio", "email: smtp"];
        let world = house_with(Some(&twilio), None, routes, |config| {
            config.delivery.fallback = vec![Channel::Call, Channel::Email];
        });
        let world = world.await;
        verified_email(&world, true).await;
        sent(&world, 105).await;
        for _ in 0..5 {
            world.run_due().await;
        }
        assert_eq!(ways(&world).await.len(), taken, "{replies:?} {:?}", ways(&world).await);
        assert_eq!(mails(&world).await, usize::from(taken == 3), "{replies:?}");
        assert_eq!(twilio.requests().len(), taken.min(2));
    }
}

#[tokio::test]
async fn a_text_kept_for_another_way_is_wiped_when_its_time_is_over() {
    let webhook = Scripted::new([taken()]).await;
    let world = house_with(None, Some(&webhook), &["sms: webhook", "email: smtp"], |config| {
        config.delivery.fallback = vec![Channel::Email];
    })
    .await;
    let id = sent(&world, 106).await;
    world.run_due().await;
    assert!(message(&world, id).await.body.is_some());
    world.advance(Duration::from_secs(600));
    world.run_due().await;
    let over = message(&world, id).await;
    assert!(over.body.is_none() && over.callback_sealed.is_none(), "{over:?}");
}

#[tokio::test]
async fn twilio_is_asked_what_became_of_a_message_and_not_for_ever() {
    let twilio = Scripted::new([
        answer(201, r#"{"sid":"SM1","status":"queued"}"#),
        answer(200, r#"{"sid":"SM1","status":"sent","error_code":null}"#),
        answer(500, ""),
        answer(200, r#"{"sid":"SM1","status":"queued"}"#),
    ])
    .await;
    let world = house(Some(&twilio), None, &["sms: twilio"]).await;
    let id = sent(&world, 107).await;
    world.run_due().await;
    assert_eq!(message(&world, id).await.status, Status::Accepted);
    world.advance(Duration::from_secs(119));
    world.run_due().await;
    assert_eq!(twilio.requests().len(), 1, "it is given time");
    world.advance(Duration::from_secs(1));
    world.run_due().await;
    assert!(
        twilio.requests()[1].head.starts_with("GET /2010-04-01/Accounts/AC"),
        "{:?}",
        twilio.requests()[1]
    );
    assert!(twilio.requests()[1].head.contains("/Messages/SM1.json "));
    assert_eq!(message(&world, id).await.status, Status::Sent);
    for _ in 0..10 {
        world.advance(Duration::from_secs(3600));
        world.run_due().await;
    }
    assert_eq!(twilio.requests().len(), 4, "three times");
    let message = message(&world, id).await;
    assert_eq!((message.status, message.look_at), (Status::Sent, None), "and it never steps back");
}

#[tokio::test]
async fn what_is_still_ours_can_be_called_back() {
    let webhook = Scripted::new([taken()]).await;
    let world = house(None, Some(&webhook), &["sms: webhook"]).await;
    let id = sent(&world, 108).await;
    let ctx = &world.ctx();
    ctx.decide(|moment| async move {
        let sent = messages::actions::carrying(ctx, Uuid::from_u128(9)).await?;
        Ok(decided(()).and(messages::rules::withdrawn(sent, moment.now)))
    })
    .await
    .unwrap();
    world.run_due().await;
    let message = message(&world, id).await;
    assert_eq!((message.status, webhook.requests().len()), (Status::Canceled, 0));
    assert!(message.body.is_none());
}

#[tokio::test]
async fn nobody_keeps_a_user_from_being_told() {
    let world = World::new().await;
    let ctx = world.ctx();
    let address = "ada@example.com";
    while limits::postage(&ctx, address, Sender::Stranger).await.is_ok() {}
    while limits::postage(&ctx, address, Sender::Notice("sign_up_attempt")).await.is_ok() {}
    let budget = world.app.policy().limits.send_notice.limit;
    for turn in 0..=budget {
        let got = limits::postage(&ctx, address, Sender::Notice("password_changed")).await;
        assert_eq!(got.is_ok(), turn < budget, "{turn}: a budget of its own, and still a budget");
    }
}

#[tokio::test]
async fn a_notice_by_text_message_is_short_and_leads_to_a_page() {
    let world = World::new().await;
    let ctx = &world.ctx();
    let number = &to(109);
    let postage = &limits::postage(ctx, number, Sender::Notice("password_changed")).await.unwrap();
    let notify = Notify {
        what: Notice::PasswordChanged,
        channel: Channel::Sms,
        to: number,
        user: Some(USER),
        locale: Locale::En,
        link: Some("/not-me/1"),
        until: None,
    };
    ctx.decide(move |moment| async move {
        Ok(decided(()).insert(&messages::notice(ctx, postage, notify, &moment)))
    })
    .await
    .unwrap();
    world.run_due().await;
    let text = world.messages(number).await["items"][0]["body"].as_str().unwrap().to_owned();
    let link = world.app.origin.link("/not-me/1");
    assert_eq!(text, format!("127.0.0.1: Your password was changed. This was not me: {link}"));
}

/// A callback of the provider of one's own, signed at `at` for what is in it.
async fn told(world: &World, path: &str, body: &Json, secret: &str, at: i64) -> crate::world::Answer {
    let body = body.to_string();
    let now = world.app.clock.now().as_millis() + at * 1_000;
    let now = vestibule::clock::Timestamp::from_millis(now);
    let mut provider = world.stranger();
    let signature = vestibule::outbound::sign(&Secret::new(secret), now, body.as_bytes());
    provider.headers.insert("vestibule-signature", signature.parse().unwrap());
    provider.send("POST", path, Some(("application/json", body.into_bytes()))).await
}

#[tokio::test]
async fn what_a_provider_of_one_s_own_tells_is_signed_and_only_ever_raises_a_status() {
    let webhook = Scripted::new([taken()]).await;
    let world = house(None, Some(&webhook), &["sms: webhook"]).await;
    let (id, other) = (sent(&world, 300).await, sent(&world, 301).await);
    world.run_due().await;
    let path = || {
        let bodies =
            webhook.requests().into_iter().map(|one| serde_json::from_str::<Json>(&one.body).unwrap());
        let body = bodies.into_iter().find(|body| body["id"] == id.to_string()).unwrap();
        let link = body["callback"].as_str().unwrap().to_owned();
        link.strip_prefix(world.app.origin.as_str()).unwrap().to_owned()
    };
    let status = async || message(&world, id).await.status;
    assert_eq!(status().await, Status::Accepted);
    let news = |id: Uuid, status: &str| serde_json::json!({"id": id, "status": status});
    let (delivered, path) = (news(id, "delivered"), path());
    for (secret, at) in [("another secret of thirty-two letters", 0), ("", 0), (SECRET, -301), (SECRET, 301)]
    {
        told(&world, &path, &delivered, secret, at).await.problem(403, "signature-wrong");
    }
    // Well signed, and for another message; for another token; not as it should be.
    told(&world, &path, &news(other, "delivered"), SECRET, 0).await.expect(StatusCode::NO_CONTENT);
    told(&world, &format!("{path}x"), &delivered, SECRET, 0).await.problem(404, "not-found");
    for wrong in [news(id, "read"), serde_json::json!({"id": id}), serde_json::json!([]), {
        serde_json::json!({"id": id, "status": "sent", "more": 1})
    }] {
        told(&world, &path, &wrong, SECRET, 0).await.problem(400, "malformed-body");
    }
    let long = serde_json::json!({"id": id, "status": "sent", "reference": "x".repeat(17 * 1024)});
    told(&world, &path, &long, SECRET, 0).await.problem(413, "body-too-large");
    assert_eq!(status().await, Status::Accepted, "nothing of that was heard");
    // In any order, as often as it comes.
    for (word, then) in
        [("sent", Status::Sent), ("delivered", Status::Delivered), ("sent", Status::Delivered)]
    {
        for _ in 0..2 {
            told(&world, &path, &news(id, word), SECRET, -200).await.expect(StatusCode::NO_CONTENT);
            assert_eq!(status().await, then);
        }
    }
    let failed = serde_json::json!({"id": id, "status": "failed", "error": "number", "reference": "x"});
    told(&world, &path, &failed, SECRET, 0).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(status().await, Status::Delivered);
}

#[tokio::test]
async fn a_failure_that_is_told_later_lets_a_code_take_its_next_way() {
    let webhook = Scripted::new([taken()]).await;
    let world = house_with(None, Some(&webhook), &["sms: webhook", "call: webhook"], |config| {
        config.delivery.fallback = vec![Channel::Call];
    });
    let world = world.await;
    let id = sent(&world, 302).await;
    world.run_due().await;
    let first: Json = serde_json::from_str(&webhook.requests()[0].body).unwrap();
    let path =
        first["callback"].as_str().unwrap().strip_prefix(world.app.origin.as_str()).unwrap().to_owned();
    let failed = serde_json::json!({"id": id, "status": "undelivered", "error": "number"});
    told(&world, &path, &failed, SECRET, 0).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(message(&world, id).await.failure(), Some(Class::Number));
    world.run_due().await;
    let second: Json = serde_json::from_str(&webhook.requests()[1].body).unwrap();
    assert_eq!((&second["kind"], &second["to"]), (&Json::from("call"), &first["to"]));
}

/// Whoever tells of a failure is not who asked for the code, nor are they where its user is.
#[tokio::test]
async fn another_way_is_not_counted_by_the_provider_s_address_nor_noted_with_it() {
    let webhook = Scripted::new([taken()]).await;
    let url = webhook.url();
    let plan = World::plan().config(move |config| {
        routes(config, &["sms: webhook", "call: webhook"]);
        config.delivery.fallback = vec![Channel::Call];
        config.server.outbound_allow.push(url.trim_start_matches("http://").to_owned());
        config.webhook.url = url;
        config.webhook.secret = Secret::new(SECRET);
    });
    let plan = plan.policy(|policy| {
        policy.limits.send_address.limit = 1;
        policy.limits.wider.ipv4_24 = 1;
    });
    let world = plan.build().await;
    for number in 0..3 {
        let id = sent(&world, 310 + number).await;
        world.run_due().await;
        let body: Json = serde_json::from_str(&webhook.requests().pop().unwrap().body).unwrap();
        let path = body["callback"].as_str().unwrap().strip_prefix(world.app.origin.as_str()).unwrap();
        let failed = serde_json::json!({"id": id, "status": "undelivered", "error": "number"});
        told(&world, path, &failed, SECRET, 0).await.expect(StatusCode::NO_CONTENT);
        world.run_due().await;
        let last: Json = serde_json::from_str(&webhook.requests().pop().unwrap().body).unwrap();
        assert_eq!((&last["kind"], &last["to"]), (&Json::from("call"), &body["to"]), "{number}");
    }
    let events = world.app.store.find(Query::<Event>::along(Event::BY_TIME).limit(100)).await.unwrap().items;
    let noted: Vec<_> = events.iter().filter(|event| event.what == What::MessageFailed).collect();
    assert_eq!(noted.len(), 3);
    assert!(noted.iter().all(|event| event.address.is_none() && event.request_id.is_none()), "{noted:?}");
}

/// The adapter of the document, run by Python, between us and a company.
#[tokio::test]
async fn the_adapter_of_the_document_sends_and_tells_what_became_of_it() {
    let document = include_str!("../../docs/providers.md");
    let adapter = document.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let company = Scripted::new([answer(200, r#"{"id":"c1"}"#)]).await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let plan = World::plan().config(move |config| {
        routes(config, &["sms: webhook"]);
        config.server.outbound_allow.push(url.trim_start_matches("http://").to_owned());
        config.webhook.url = url;
        config.webhook.secret = Secret::new(SECRET);
    });
    let world = plan.build().await;
    // Its clock is the house's.
    let now = world.app.clock.now().as_millis() / 1_000;
    let program = format!("import time\ntime.time = lambda: {now}\n{adapter}");
    let mut python = std::process::Command::new("python3");
    python.args(["-c", &program]).env("SECRET", SECRET).env("PORT", port.to_string());
    python.env("COMPANY", company.url()).stderr(std::process::Stdio::null());
    let mut child = python.spawn().unwrap();
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        assert!(child.try_wait().unwrap().is_none(), "the adapter ended");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let id = sent(&world, 303).await;
    world.run_due().await;
    for _ in 0..500 {
        if message(&world, id).await.status == Status::Sent {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let message = message(&world, id).await;
    assert_eq!((message.status, message.provider_ref.as_deref()), (Status::Sent, Some("c1")));
    let order: Json = serde_json::from_str(&company.requests()[0].body).unwrap();
    assert_eq!(order["number"], to(303));
}

#[tokio::test]
async fn a_message_that_came_too_late_is_told_as_a_failure() {
    let world = World::new().await;
    let id = send_code(&world, &to(304), "123456", CodePurpose::SignIn, Duration::from_secs(60)).await;
    world.advance(Duration::from_secs(61));
    world.run_due().await;
    assert_eq!(message(&world, id).await.status, Status::Expired);
    let query = vestibule::store::Query::<vestibule::audit::Event>::along(vestibule::audit::Event::BY_TIME);
    let events = world.app.store.find(query.limit(100)).await.unwrap().items;
    let failed: Vec<_> =
        events.iter().filter(|event| event.what == vestibule::audit::What::MessageFailed).collect();
    assert_eq!(failed.len(), 1, "{events:?}");
    assert_eq!(failed[0].detail["status"], "expired");
}

/// A house where a code that no text message brings is mailed, and `factors` are the second ones.
async fn who_can_be_mailed(factors: &'static str) -> World {
    let plan = World::plan().config(|config| config.delivery.fallback = vec![Channel::Email]);
    let plan = plan.policy(move |policy| {
        let text = format!("[sign_in.second]\nfactors = {factors}");
        policy.sign_in = vestibule::policy::Policy::from_toml(&text).unwrap().sign_in;
    });
    plan.build().await
}

async fn verifies_email(world: &World) {
    let query = Query::<Identifier>::along(Identifier::BY_USER).limit(100);
    let own = world.app.store.find(query).await.unwrap().items;
    let email = &own.into_iter().find(|one| one.kind == IdentifierKind::Email).unwrap();
    let ctx = &world.ctx();
    let verified = ctx.decide(move |moment| async move {
        let email = email.clone().with(|email| email.verified_at = Some(moment.now));
        Ok(decided(()).update(&email))
    });
    verified.await.unwrap();
}

const VERIFY: &str = "/api/v1/auth/verify-code";
const RESEND: &str = "/api/v1/auth/resend-code";

/// Alice signs in: what she is asked, and the text message that the provider has.
async fn asks(world: &World, alice: &Person<'_>) -> (Json, Message) {
    verifies_email(world).await;
    world.advance(Duration::from_secs(60));
    let asked = alice.gives_password().await.expect(StatusCode::OK).body;
    let query = Query::<Message>::along(Message::BY_CREATED).descending().limit(1);
    let text = world.app.store.find(query).await.unwrap().items.remove(0).into_inner();
    assert_eq!(text.kind, Channel::Sms);
    hears(world, &text, Status::Accepted).await;
    (asked["challenge"]["id"].clone(), text)
}

/// Where the code went after `text`, and by which way.
async fn went(world: &World, text: &Message) -> Vec<(Channel, String)> {
    let query = Query::<Message>::along(Message::BY_CREATED).from(text.created_at).limit(100);
    let found = world.app.store.find(query).await.unwrap().items;
    let codes = found.into_iter().filter(|one| one.purpose == "code" && one.id != text.id);
    codes.map(|one| (one.kind, one.to.clone())).collect()
}

/// The provider says what became of `message`, sooner or later.
async fn hears(world: &World, message: &Message, status: Status) {
    let (id, keyring) = (message.id.to_string(), &world.app.keyring);
    let sealed = message.callback_sealed.as_ref().unwrap();
    let token = keyring.open(&["message.callback", &id], sealed).unwrap();
    let heard = Heard { reference: None, word: status.to_string(), status: Some(status), error: None };
    let token = std::str::from_utf8(&token).unwrap();
    messages::actions::callback(&world.ctx(), token, |_| Some(heard)).await.unwrap();
}

/// The code that counts now, of what `text` was sent for.
async fn code(world: &World, text: &Message) -> String {
    let asked = world.app.store.get::<Challenge>(text.challenge.unwrap()).await.unwrap().unwrap();
    let code = world.app.keyring.open(&Challenge::context(asked.id), asked.code.as_ref().unwrap()).unwrap();
    String::from_utf8(code.to_vec()).unwrap()
}

/// A code that a later one has replaced takes no other way; and what it had taken before says nothing of how
/// the later one came.
#[tokio::test]
async fn only_the_code_that_counts_takes_another_way() {
    for lost_before in [true, false] {
        let world = who_can_be_mailed(r#"["sms", "call", "email"]"#).await;
        let alice = world.alice().await;
        let (challenge, text) = asks(&world, &alice).await;
        let (mail, call) = ((Channel::Email, alice.email()), (Channel::Call, alice.mobile.clone()));
        if lost_before {
            hears(&world, &text, Status::Undelivered).await;
            assert_eq!(went(&world, &text).await, std::slice::from_ref(&mail));
        }
        world.advance(Duration::from_secs(60));
        let body = json!({"challenge": challenge, "factor": "call"});
        assert_eq!(alice.post(RESEND, body).await.expect(StatusCode::OK).body["factor"], "call");
        if lost_before {
            assert_eq!(went(&world, &text).await, [mail, call]);
        } else {
            hears(&world, &text, Status::Undelivered).await;
            assert_eq!(went(&world, &text).await, [call], "it was replaced");
        }
        let body = json!({"challenge": challenge, "code": code(&world, &text).await});
        let done = alice.post(VERIFY, body).await.expect(StatusCode::OK).body;
        assert_eq!(done["session"]["amr"], json!(["pwd", "tel"]), "lost before: {lost_before}");
    }
}

/// Another way to a number that nobody has shown to be theirs is paid for as the first one is: of what strangers have.
#[tokio::test]
async fn another_way_to_a_number_that_is_only_claimed_counts_as_a_stranger_s() {
    for is_proven in [false, true] {
        let plan = World::plan().config(|config| config.delivery.fallback = vec![Channel::Call]);
        // For signing up and for the first sign-in.
        let plan = plan.policy(|policy| {
            policy.limits.send_block.limit = 2;
            policy.limits.unproven_block.limit = 2;
        });
        let world = plan.build().await;
        let alice = if is_proven { world.alice().await } else { world.member().await };
        let (_, text) = asks(&world, &alice).await;
        hears(&world, &text, Status::Undelivered).await;
        let expected = if is_proven { vec![(Channel::Call, alice.mobile.clone())] } else { Vec::new() };
        assert_eq!(went(&world, &text).await, expected);
    }
}

/// The way by which a recovery was begun is written down as shown: its code goes that way or not at all.
#[tokio::test]
async fn the_code_of_a_recovery_takes_no_other_way() {
    let ways = || vec![Channel::Call, Channel::Email];
    let plan = World::plan().config(move |config| config.delivery.fallback = ways());
    let by_text = |policy: &mut vestibule::policy::Policy| {
        policy.recovery.channels = vec![vestibule::policy::FactorKind::Sms];
    };
    let world = plan.policy(by_text).build().await;
    let alice = world.alice().await;
    verifies_email(&world).await;
    world.advance(Duration::from_secs(60));
    crate::recovery::begins(&alice, &alice.username).await;
    let query = Query::<Message>::along(Message::BY_CREATED).descending().limit(1);
    let text = world.app.store.find(query).await.unwrap().items.remove(0).into_inner();
    assert_eq!((text.kind, &text.to), (Channel::Sms, &alice.mobile));
    hears(&world, &text, Status::Accepted).await;
    hears(&world, &text, Status::Undelivered).await;
    assert_eq!(went(&world, &text).await, []);
}

#[tokio::test]
async fn a_code_that_was_used_takes_no_other_way() {
    let world = who_can_be_mailed(r#"["sms", "email"]"#).await;
    let alice = world.alice().await;
    let (challenge, text) = asks(&world, &alice).await;
    let body = json!({"challenge": challenge, "code": code(&world, &text).await});
    alice.post(VERIFY, body).await.expect(StatusCode::OK);
    hears(&world, &text, Status::Undelivered).await;
    assert_eq!(went(&world, &text).await, []);
}

/// What a code proves when it was mailed is no trait of what is asked.
#[tokio::test]
async fn after_another_way_and_a_wrong_guess_the_next_text_message_goes_to_the_phone() {
    let world = who_can_be_mailed(r#"["sms", "email"]"#).await;
    let alice = world.alice().await;
    let (challenge, text) = asks(&world, &alice).await;
    hears(&world, &text, Status::Undelivered).await;
    let body = json!({"challenge": challenge, "code": "1"});
    alice.post(VERIFY, body).await.problem(401, "code-wrong");
    world.advance(Duration::from_secs(60));
    let again = alice.post(RESEND, json!({"challenge": challenge})).await.expect(StatusCode::OK).body;
    assert_eq!(again["factor"], "sms");
    let ways = [(Channel::Email, alice.email()), (Channel::Sms, alice.mobile.clone())];
    assert_eq!(went(&world, &text).await, ways);
}

/// Whoever reads somebody's mails has not shown a number to be theirs.
#[tokio::test]
async fn a_code_that_was_mailed_verifies_no_number() {
    for is_mailed in [true, false] {
        let world = who_can_be_mailed(r#"["sms", "email"]"#).await;
        let alice = world.member().await;
        let (challenge, text) = asks(&world, &alice).await;
        if is_mailed {
            hears(&world, &text, Status::Undelivered).await;
        }
        let body = json!({"challenge": challenge, "code": code(&world, &text).await});
        alice.post(VERIFY, body).await.expect(StatusCode::OK);
        let query = Query::<Identifier>::along(Identifier::BY_USER).limit(100);
        let own = world.app.store.find(query).await.unwrap().items;
        let number = own.into_iter().find(|one| one.kind == IdentifierKind::Mobile).unwrap();
        assert_eq!(number.verified_at.is_none(), is_mailed);
    }
}

/// A code that went by mail proves that a mail was read, and goes there only where that would do.
#[tokio::test]
async fn a_code_that_went_another_way_proves_that_way() {
    for (factors, goes) in [(r#"["sms", "email"]"#, true), (r#"["sms"]"#, false)] {
        let world = who_can_be_mailed(factors).await;
        let alice = world.alice().await;
        verifies_email(&world).await;
        crate::calls::set_rule(&world, &alice.mobile, "fail").await;
        world.advance(Duration::from_secs(60));
        let asked = alice.gives_password().await.expect(StatusCode::OK).body;
        assert_eq!(asked["challenge"]["factor"], "sms", "{asked}");
        world.run_due().await;
        let mut mail = Json::Null;
        for _ in 0..if goes { 500 } else { 50 } {
            // The failure is told by a callback, which travels by itself.
            world.run_due().await;
            mail = world.messages(&alice.email()).await["items"][0].clone();
            if mail["body"].as_str().is_some_and(|text| text.contains("sign")) && mail["code"].is_string() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let body = serde_json::json!({"challenge": asked["challenge"]["id"], "code": mail["code"]});
        if !goes {
            alice.post("/api/v1/auth/verify-code", body).await.problem(401, "code-wrong");
            continue;
        }
        let done = alice.post("/api/v1/auth/verify-code", body).await.expect(StatusCode::OK).body;
        let amr = done["session"]["amr"].as_array().unwrap();
        assert!(amr.len() == 2 && !amr.contains(&Json::from("sms")), "{done}");
    }
}

/// Without this channel.
fn without(channel: Channel) -> impl FnOnce(&mut Config) {
    move |config| config.delivery.routes.retain(|route| route.channel != channel)
}

/// Where nobody carries mails none is promised: what can do without goes on without, all else is refused.
#[tokio::test]
async fn no_mail_is_promised_where_nobody_carries_mails() {
    let world = plan().config(without(Channel::Email)).build().await;
    let alice = world.stranger();
    let made = alice.signs_up().await.expect(StatusCode::CREATED).body;
    let asked = made["verifications"].as_array().unwrap();
    assert!(asked.len() == 1 && asked[0]["factor"] == "sms", "{made}");

    let admin = with_roles(&world, &["admin"]).await;
    let verify = admin.post("/api/v1/users/me/verify", json!({"kind": "email"})).await;
    verify.problem(422, "not-carried");
    let organization = founded(&admin, "Harbour Lights").await;
    for mount in ["organizations", "admin/organizations"] {
        let path = format!("/api/v1/{mount}/{organization}/invitations");
        let body = json!({"email": "guest@example.org", "role": "member"});
        admin.post(&path, body).await.problem(422, "not-carried");
    }
    // By text message where there is a number.
    let (path, mobile) = ("/api/v1/admin/users", "+12025559001");
    let body = json!({"username": "grace", "email": "grace@example.com", "mobile": mobile});
    let grace = admin.post(path, body).await.expect(StatusCode::CREATED).body;
    linked(&world, mobile, "/recover/password").await;
    admin
        .post(&format!("{path}/{}/link", grace["id"].as_str().unwrap()), json!({}))
        .await
        .expect(StatusCode::NO_CONTENT);
    let mails = Query::<Message>::along(Message::BY_CREATED).limit(1_000);
    let sent = world.app.store.find(mails).await.unwrap().items;
    assert!(sent.iter().all(|message| message.kind == Channel::Sms), "{}", sent.len());
}

/// A recovery that no code could ever come for is not begun, whoever asks.
#[tokio::test]
async fn no_way_back_is_promised_where_nobody_carries_it() {
    let by_text = |policy: &mut Policy| policy.recovery.channels = vec![FactorKind::Sms];
    let off = |policy: &mut Policy| policy.recovery.channels.clear();
    let uncarried = plan().policy(by_text).config(without(Channel::Sms));
    for world in [uncarried.build().await, plan().policy(off).build().await] {
        let alice = world.member().await;
        for name in [alice.username.as_str(), "nobody"] {
            let asked = alice.post("/api/v1/auth/recover", json!({"identifier": name})).await;
            asked.problem(422, "not-carried");
        }
        let page = String::from_utf8(world.stranger().get("/recover").await.bytes).unwrap();
        assert!(!page.contains("name=\"identifier\""), "{page}");
    }
}

/// What is carried to some countries is promised nowhere else, and costs nothing there.
#[tokio::test]
async fn no_text_message_is_promised_where_no_route_leads() {
    let here = |config: &mut Config| {
        config.delivery.routes.retain(|route| route.channel != Channel::Sms);
        config.delivery.routes.push(Route::try_from("sms DE: twilio".to_owned()).unwrap());
    };
    let world = plan().config(here).build().await;
    for (mobile, is_reached) in [("+12025559002", false), ("+4915112345678", true)] {
        let alice = Person { mobile: mobile.to_owned(), ..world.stranger() };
        let made = alice.signs_up().await.expect(StatusCode::CREATED).body;
        let asked = made["verifications"].as_array().unwrap();
        assert_eq!(asked.iter().any(|one| one["factor"] == "sms"), is_reached, "{made}");
    }
}

/// A link that was not sent shows nobody's address to be theirs.
#[tokio::test]
async fn only_the_operator_makes_an_account_whose_link_nobody_carries() {
    let by_mail = |policy: &mut Policy| policy.sign_up.required = vec![IdentifierKind::Email];
    let world = plan().policy(by_mail).config(without(Channel::Email)).build().await;
    let admin = with_roles(&world, &["admin"]).await;
    let refused = admin.post("/api/v1/admin/users", json!({"email": "grace@example.com"})).await;
    refused.problem(422, "not-carried");
    let names = vec![Name::parse(IdentifierKind::Email, "ada@example.com").unwrap()];
    let wanted = Wanted { names, name: None, locale: None, wants_second_factor: false, signs_in: false };
    let made = actions::create(&world.ctx(), &By::Operator, &wanted, &Roles::default()).await.unwrap();
    let token = made.link.split("token=").nth(1).unwrap();
    let set = json!({"recovery_token": token, "new_password": PASSWORD});
    put(&world.stranger(), "/api/v1/users/me/password", set).await.expect(StatusCode::OK);
    let named = actions::named(&world.ctx(), "ada@example.com").await;
    assert_eq!(named.unwrap_err().problem, Problem::NotFound, "nobody has shown it to be theirs");
}

#[tokio::test]
async fn a_number_is_shown_by_call_where_nobody_carries_text_messages() {
    let by_call = |policy: &mut Policy| {
        policy.sign_in.second.factors = vec![FactorKind::Call];
        policy.sign_in.second.when = When::WhenEnrolled;
    };
    let world = plan().policy(by_call).config(without(Channel::Sms)).build().await;
    let alice = world.stranger();
    let made = alice.signs_up().await.expect(StatusCode::CREATED).body;
    assert_eq!(made["verification"]["factor"], "call", "{made}");
    let code = call_at(&world, &alice.mobile).await["code"].clone();
    let body = json!({"challenge": made["verification"]["id"], "code": code});
    alice.post(VERIFY, body).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn users_are_told_by_the_way_that_is_left() {
    let mut world = plan().build().await;
    let id = {
        let alice = owner(&world).await;
        id_of(&alice).await
    };
    world.restart(without(Channel::Email));
    let by = By::Operator;
    actions::act(&world.ctx(), &by, id, Deed::EndSessions).await.unwrap();
    let sent = world.app.store.find(Query::<Message>::along(Message::BY_USER).equal(id)).await.unwrap();
    let told: Vec<_> = sent.items.iter().filter(|one| one.purpose == "sessions_ended").collect();
    assert!(told.len() == 1 && told[0].kind == Channel::Sms, "{}", told.len());
}
