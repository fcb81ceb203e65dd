//! `/calls`: people call people, and what became of it.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value as Json, json};
use vestibule::administration::actions::Deed;
use vestibule::audit::{Event, What};
use vestibule::calls::{Call, Next};
use vestibule::secret::{Token, TokenKind};
use vestibule::step_up::By;
use vestibule::store::Query;
use vestibule::twilio::signature::sign;

use crate::world::{Answer, Person, World};

const CALLS: &str = "/api/v1/calls";

/// Waits, by the real clock, until the call has come to `status`: callbacks travel by themselves.
pub async fn comes_to(person: &Person<'_>, id: &str, status: &str) -> Json {
    let mut call = Json::Null;
    for _ in 0..500 {
        call = person.get(&format!("{CALLS}/{id}")).await.expect(StatusCode::OK).body;
        if call["status"] == status {
            return call;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the call does not come to {status}: {call}");
}

fn words(call: &Json) -> Vec<String> {
    let history = call["history"].as_array().unwrap();
    history.iter().map(|step| step["status"].as_str().unwrap().to_owned()).collect()
}

impl Person<'_> {
    /// Calls their own number.
    pub async fn calls(&self, say: &str) -> Json {
        let body = json!({"to": self.mobile, "say": say});
        self.post(CALLS, body).await.expect(StatusCode::ACCEPTED).body
    }
}

/// Does something with the call that rings at `number`, on the phone.
async fn on_the_phone(world: &World, number: &str, deed: &str) {
    let id = rings_at(world, number).await["id"].as_str().unwrap().to_owned();
    let form = deed.as_bytes().to_vec();
    let kind = "application/x-www-form-urlencoded";
    let mut here = world.stranger();
    here.ip = [127, 0, 0, 1].into();
    let answer = here.send("POST", &format!("/dev/phone/calls/{id}"), Some((kind, form))).await;
    answer.expect(StatusCode::SEE_OTHER);
}

/// The newest call on the phone of `number`, once it is there.
async fn rings_at(world: &World, number: &str) -> Json {
    for _ in 0..500 {
        let found = world.messages(number).await;
        if let Some(call) = found["items"].as_array().unwrap().iter().find(|item| item["kind"] == "call") {
            return call.clone();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing rings at {number}");
}

/// Waits until the call at `number` shows `status` on the phone.
async fn shows_at(world: &World, number: &str, status: &str) {
    for _ in 0..500 {
        if rings_at(world, number).await["status"] == status {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the call at {number} never shows {status}");
}

pub async fn set_rule(world: &World, number: &str, does: &str) {
    let mut here = world.stranger();
    here.ip = [127, 0, 0, 1].into();
    let form = format!("to={}&does={does}", number.replace('+', "%2B")).into_bytes();
    let kind = "application/x-www-form-urlencoded";
    here.send("POST", "/dev/phone/rules", Some((kind, form))).await.expect(StatusCode::SEE_OTHER);
}

async fn record(world: &World, id: &Json) -> Call {
    let id = id.as_str().unwrap().parse().unwrap();
    world.app.store.get::<Call>(id).await.unwrap().unwrap().into_inner()
}

#[tokio::test]
async fn a_call_is_recorded_placed_answered_and_ended() {
    let world = World::new().await;
    let alice = world.alice().await;
    let call = alice.calls("Your table <is> ready & waiting.").await;
    assert_eq!((call["status"].as_str(), call["attempts"].as_u64()), (Some("queued"), Some(0)));
    let id = call["id"].as_str().unwrap();
    world.run_due().await;
    comes_to(&alice, id, "ringing").await;
    assert_eq!(rings_at(&world, &alice.mobile).await["body"], "Your table <is> ready & waiting.");
    on_the_phone(&world, &alice.mobile, "does=answer").await;
    comes_to(&alice, id, "in_progress").await;
    world.advance(Duration::from_secs(7));
    on_the_phone(&world, &alice.mobile, "does=hang_up").await;
    let call = comes_to(&alice, id, "completed").await;
    assert_eq!(words(&call), ["queued", "initiated", "ringing", "in_progress", "completed"]);
    assert_eq!((call["duration"].as_u64(), call["attempts"].as_u64()), (Some(7), Some(1)));
    assert_eq!((&call["error"], call["provider"].as_str()), (&Json::Null, Some("twilio")));
    assert!(call["provider_ref"].as_str().unwrap().starts_with("CA"));
    let kept = record(&world, &call["id"]).await;
    assert!(kept.say.is_none() && kept.callback_sealed.is_none(), "wiped");
}

#[tokio::test]
async fn what_the_other_end_does_is_told() {
    let world = World::plan().policy(|policy| policy.limits.send_number_short.limit = 100).build().await;
    let alice = world.alice().await;
    for (rule, status) in [("busy", "busy"), ("no-answer", "no_answer"), ("fail", "failed")] {
        set_rule(&world, &alice.mobile, rule).await;
        let call = alice.calls("Hello").await;
        world.run_due().await;
        comes_to(&alice, call["id"].as_str().unwrap(), status).await;
    }
    set_rule(&world, &alice.mobile, "normal").await;
    let call = alice.calls("Hello").await;
    world.run_due().await;
    comes_to(&alice, call["id"].as_str().unwrap(), "ringing").await;
    on_the_phone(&world, &alice.mobile, "does=decline").await;
    comes_to(&alice, call["id"].as_str().unwrap(), "busy").await;
    let events = world.app.store.find(Query::<Event>::along(Event::BY_TIME).limit(200)).await.unwrap().items;
    let ended: Vec<_> = events.iter().filter(|event| event.what == What::CallEnded).collect();
    assert_eq!(ended.len(), 4);
    assert!(ended.iter().all(|event| event.address.is_none()), "nobody is where the provider is: {ended:?}");
}

#[tokio::test]
async fn a_call_of_which_nothing_is_told_is_asked_after() {
    let world = World::new().await;
    let alice = world.alice().await;
    set_rule(&world, &alice.mobile, "lose").await;
    let call = alice.calls("Hello").await;
    let id = call["id"].as_str().unwrap();
    world.run_due().await;
    rings_at(&world, &alice.mobile).await;
    on_the_phone(&world, &alice.mobile, "does=answer").await;
    shows_at(&world, &alice.mobile, "in-progress").await;
    world.advance(Duration::from_secs(61));
    world.run_due().await;
    comes_to(&alice, id, "in_progress").await;
    on_the_phone(&world, &alice.mobile, "does=hang_up").await;
    world.advance(Duration::from_secs(121));
    world.run_due().await;
    let call = comes_to(&alice, id, "completed").await;
    assert_eq!(words(&call), ["queued", "in_progress", "completed"]);
}

#[tokio::test]
async fn what_may_have_been_placed_is_found_and_not_placed_again() {
    let world = World::new().await;
    let alice = world.alice().await;
    let call = alice.calls("Hello").await;
    let id: uuid::Uuid = call["id"].as_str().unwrap().parse().unwrap();
    world.run_due().await;
    comes_to(&alice, call["id"].as_str().unwrap(), "ringing").await;
    // As if the answer and every callback had been lost.
    let seen = world.app.store.get::<Call>(id).await.unwrap().unwrap();
    let name = seen.provider_ref.clone();
    let forgotten = seen.with(|call| {
        call.status = vestibule::calls::Status::Queued;
        call.next = Next::Placing;
        call.provider_ref = None;
        call.due_at = call.tried_at;
    });
    let change = vestibule::store::Change::update(&forgotten);
    world.app.store.commit(vec![change]).await.unwrap();
    world.run_due().await;
    let found = comes_to(&alice, call["id"].as_str().unwrap(), "ringing").await;
    assert_eq!((found["provider_ref"].as_str(), found["attempts"].as_u64()), (name.as_deref(), Some(1)));
    let calls = world.messages(&alice.mobile).await;
    let rang = calls["items"].as_array().unwrap().iter().filter(|item| item["kind"] == "call").count();
    assert_eq!(rang, 1, "it rang once");
}

/// Of two calls to one number, the one that is looked for is the one that nobody has.
#[tokio::test]
async fn a_call_that_is_another_ones_is_not_found() {
    let world = World::new().await;
    let alice = world.alice().await;
    let mut both = Vec::new();
    for _ in 0..2 {
        let call = alice.calls("Hello").await;
        world.run_due().await;
        comes_to(&alice, call["id"].as_str().unwrap(), "ringing").await;
        both.push(record(&world, &call["id"]).await);
    }
    let id = both[1].id;
    let seen = world.app.store.get::<Call>(id).await.unwrap().unwrap();
    let forgotten = seen.with(|call| {
        call.status = vestibule::calls::Status::Queued;
        call.next = Next::Placing;
        call.provider_ref = None;
        call.due_at = call.tried_at;
    });
    world.app.store.commit(vec![vestibule::store::Change::update(&forgotten)]).await.unwrap();
    world.run_due().await;
    let found = record(&world, &json!(id)).await;
    assert_eq!((found.next, found.provider_ref), (Next::Follow, both[1].provider_ref.clone()));
    assert_ne!(both[0].provider_ref, both[1].provider_ref);
}

/// Whoever has not shown a number to be theirs would have somebody else called.
#[tokio::test]
async fn a_number_that_is_only_claimed_is_not_called() {
    let alone = |policy: &mut vestibule::policy::Policy| {
        policy.sign_in.second.when = vestibule::policy::When::Never;
    };
    let world = World::plan().policy(alone).build().await;
    let mut alice = world.member().await;
    let done = alice.gives_password().await.expect(StatusCode::OK).body;
    alice.token = Some(done["token"].as_str().unwrap().to_owned());
    let body = json!({"to": alice.mobile, "say": "Hello"});
    alice.post(CALLS, body.clone()).await.problem(403, "call-not-allowed");
    let asked = alice.post("/api/v1/users/me/verify", json!({"kind": "mobile"})).await;
    let asked = asked.expect(StatusCode::OK).body;
    world.run_due().await;
    let code = world.last_code(&alice.mobile).await;
    let answer = json!({"challenge": asked["id"], "code": code});
    alice.post("/api/v1/auth/verify-code", answer).await.expect(StatusCode::OK);
    alice.post(CALLS, body).await.expect(StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_provider_that_hangs_up_is_doubted_and_given_up_and_never_asked_twice() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let heard = asked.clone();
    let provider = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 64];
            let read = tokio::io::AsyncReadExt::read(&mut stream, &mut buffer).await.unwrap();
            let method = String::from_utf8_lossy(&buffer[..read]).split(' ').next().unwrap().to_owned();
            heard.lock().unwrap().push(method);
        }
    });
    let plan = World::plan().config(move |config| {
        config.twilio.base_url = format!("http://{address}");
        config.server.outbound_allow.push(address.to_string());
    });
    let world = plan.policy(|policy| policy.calls.users = vestibule::policy::Callers::Anybody).build().await;
    let call = ordered(&world).await;
    for _ in 0..8 {
        world.run_due().await;
        world.advance(Duration::from_secs(60));
    }
    let kept = world.app.store.get::<Call>(call.id).await.unwrap().unwrap();
    assert_eq!((kept.status, kept.attempts), (vestibule::calls::Status::Failed, 1));
    assert!(kept.error_reason.as_deref().unwrap().contains("not known"));
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.iter().filter(|method| *method == "POST").count(), 1, "{asked:?}");
    assert!(asked.iter().filter(|method| *method == "GET").count() >= 2, "{asked:?}");
    provider.abort();
}

#[tokio::test]
async fn a_call_that_is_called_back_while_it_is_placed_is_ended_at_the_provider() {
    use axum::extract::{Form, State};
    use axum::routing::post;
    use tokio::sync::Notify;
    type Told = std::sync::Arc<(Notify, Notify, std::sync::Mutex<Vec<String>>)>;
    let told = Told::default();
    let place = async |State(told): State<Told>| {
        told.0.notify_one();
        told.1.notified().await;
        (StatusCode::CREATED, axum::Json(json!({"sid": "CA1", "status": "queued"})))
    };
    let end = async |State(told): State<Told>, Form(form): Form<Vec<(String, String)>>| {
        told.2.lock().unwrap().extend(form.into_iter().map(|(name, value)| format!("{name}={value}")));
        axum::Json(json!({"sid": "CA1", "status": "canceled"}))
    };
    let provider = axum::Router::new()
        .route("/2010-04-01/Accounts/{account}/Calls.json", post(place))
        .route("/2010-04-01/Accounts/{account}/Calls/CA1.json", post(end))
        .with_state(told.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { axum::serve(listener, provider).await.unwrap() });
    let plan = World::plan().config(move |config| {
        config.twilio.base_url = format!("http://{address}");
        config.server.outbound_allow.push(address.to_string());
    });
    let world = plan.policy(|policy| policy.calls.users = vestibule::policy::Callers::Anybody).build().await;
    let call = ordered(&world).await;
    tokio::join!(world.run_due(), async {
        told.0.notified().await;
        let seen = world.app.store.get::<Call>(call.id).await.unwrap().unwrap();
        assert_eq!(seen.next, Next::Placing);
        let canceled = seen.with(|call| assert!(call.cancel(world.app.clock.now())));
        world.app.store.commit(vec![vestibule::store::Change::update(&canceled)]).await.unwrap();
        told.1.notify_one();
    });
    world.run_due().await;
    assert_eq!(*told.2.lock().unwrap(), ["Status=canceled"]);
    let kept = world.app.store.get::<Call>(call.id).await.unwrap().unwrap();
    assert_eq!((kept.status, kept.attempts), (vestibule::calls::Status::Canceled, 1));
    serving.abort();
}

/// A call by nobody in particular, recorded as the API records it.
async fn ordered(world: &World) -> Call {
    let wanted = vestibule::calls::Wanted {
        user: uuid::Uuid::from_u128(1),
        to: "+12025550143".into(),
        from: "+15005550006".into(),
        content: vestibule::calls::Content::Say("Hello".into()),
        language: "en-US",
    };
    let postage = vestibule::limits::postage_for_call(
        &world.ctx(),
        wanted.user,
        &wanted.to,
        vestibule::limits::Sender::User(wanted.user),
    )
    .await
    .unwrap();
    let call = Call::new(&world.ctx().moment(), &postage, &world.app.keyring, &world.app.random, &wanted);
    world.app.store.commit(vec![vestibule::store::Change::insert(&call)]).await.unwrap();
    call
}

#[tokio::test]
async fn calling_back_works_before_and_after_it_rings() {
    let world = World::new().await;
    let alice = world.alice().await;
    let call = alice.calls("Hello").await;
    let path = format!("{CALLS}/{}/cancel", call["id"].as_str().unwrap());
    let canceled = alice.post(&path, json!({})).await.expect(StatusCode::OK).body;
    assert_eq!((canceled["status"].as_str(), canceled["attempts"].as_u64()), (Some("canceled"), Some(0)));
    assert_eq!(alice.post(&path, json!({})).await.expect(StatusCode::OK).body["status"], "canceled");
    world.run_due().await;
    assert_eq!(record(&world, &call["id"]).await.attempts, 0, "never placed");

    let call = alice.calls("Hello").await;
    let id = call["id"].as_str().unwrap();
    world.run_due().await;
    comes_to(&alice, id, "ringing").await;
    let path = format!("{CALLS}/{id}/cancel");
    let canceling = alice.post(&path, json!({})).await.expect(StatusCode::OK).body;
    assert_eq!(
        (canceling["status"].as_str(), canceling["canceling"].as_bool()),
        (Some("ringing"), Some(true))
    );
    world.run_due().await;
    let call = comes_to(&alice, id, "canceled").await;
    assert_eq!(call["canceling"], false);

    let call = alice.calls("Hello").await;
    let id = call["id"].as_str().unwrap();
    set_rule(&world, &alice.mobile, "answer").await;
    world.run_due().await;
    comes_to(&alice, id, "in_progress").await;
    alice.post(&format!("{CALLS}/{id}/cancel"), json!({})).await.expect(StatusCode::OK);
    world.run_due().await;
    comes_to(&alice, id, "completed").await;
}

#[tokio::test]
async fn what_is_somebody_elses_is_not_there() {
    let world = World::new().await;
    let (alice, bob) = (world.alice().await, world.alice().await);
    let call = alice.calls("Hello").await;
    let id = call["id"].as_str().unwrap();
    for id in [id, "00000000-0000-7000-8000-000000000000", "nonsense", "%00"] {
        bob.get(&format!("{CALLS}/{id}")).await.problem(404, "not-found");
        bob.post(&format!("{CALLS}/{id}/cancel"), json!({})).await.problem(404, "not-found");
    }
    assert_eq!(bob.get(CALLS).await.expect(StatusCode::OK).body["items"], json!([]));
    assert_eq!(record(&world, &call["id"]).await.canceled_at, None);
    world.stranger().get(CALLS).await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn calls_are_listed_newest_first_and_by_status() {
    let plan = World::plan().policy(|policy| policy.limits.call_number.limit = 100);
    let world = plan.policy(|policy| policy.limits.send_number_short.limit = 100).build().await;
    let alice = world.alice().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        world.advance(Duration::from_secs(1));
        ids.push(alice.calls("Hello").await["id"].clone());
    }
    ids.reverse();
    let path = format!("{CALLS}/{}/cancel", ids[1].as_str().unwrap());
    alice.post(&path, json!({})).await.expect(StatusCode::OK);
    let alice = &alice;
    let list = |query: &'static str| async move { alice.get(&format!("{CALLS}{query}")).await };
    let found = |answer: Answer| -> Vec<Json> {
        let items = answer.expect(StatusCode::OK).body["items"].as_array().unwrap().clone();
        items.iter().map(|call| call["id"].clone()).collect()
    };
    assert_eq!(found(list("").await), ids);
    assert_eq!(found(list("?status=canceled").await), ids[1..2]);
    let queued = [&ids[..1], &ids[2..]].concat();
    assert_eq!(found(list("?status=queued").await), queued);
    let page = list("?status=queued&limit=2").await.expect(StatusCode::OK).body;
    let next = page["next"].as_str().unwrap();
    let rest = alice.get(&format!("{CALLS}?status=queued&limit=2&after={next}")).await;
    assert_eq!(found(rest), queued[2..]);
    list("?status=lost").await.problem(422, "invalid");
    list("?status=in-progress").await.problem(422, "invalid");
    list("?to=x").await.problem(422, "invalid");
    list("?limit=0").await.problem(400, "malformed-request");
    list("?after=x").await.problem(400, "malformed-request");
}

#[tokio::test]
async fn bad_requests_are_told_field_by_field() {
    let world = World::new().await;
    let alice = world.alice().await;
    let own = alice.mobile.clone();
    for (body, told) in [
        (json!({"to": "12345", "say": "Hi"}), "to invalid"),
        (json!({"to": own}), "say missing"),
        (json!({"to": own, "say": ""}), "say too-short"),
        (json!({"to": own, "say": "a\u{0}b"}), "say invalid"),
        (json!({"to": own, "say": "a\nb"}), "say invalid"),
        (json!({"to": own, "say": "x".repeat(1_001)}), "say too-long"),
        (json!({"to": own, "say": "Hi", "twiml_url": "https://a.example/"}), "twiml_url exclusive"),
        (json!({"to": own, "twiml_url": "https://a.example/"}), "twiml_url not-allowed"),
        (json!({"to": own, "twiml_url": "http://127.0.0.1/"}), "twiml_url not-allowed"),
        (json!({"to": own, "twiml_url": "x"}), "twiml_url invalid"),
        (json!({"to": own, "say": "Hi", "from": "+12025550199"}), "from not-allowed"),
        (json!({"to": own, "say": "Hi", "record": true}), "record unknown"),
        (json!({"to": own, "say": 1}), "say wrong-type"),
        (json!({"say": "Hi"}), "to missing"),
    ] {
        let answer = alice.post(CALLS, body.clone()).await.problem(422, "invalid");
        let error = &answer.body["errors"][0];
        let code = format!("{} {}", error["field"].as_str().unwrap(), error["code"].as_str().unwrap());
        assert_eq!(code, told, "{body}");
    }
    assert_eq!(world.count::<Call>(Call::BY_CREATED).await, 0);
}

#[tokio::test]
async fn policy_says_who_calls_whom_and_where_to() {
    let world = World::new().await;
    let (alice, bob) = (world.alice().await, world.alice().await);
    let to_bob = json!({"to": bob.mobile, "say": "Hi"});
    alice.post(CALLS, to_bob.clone()).await.problem(403, "call-not-allowed");
    // A number that is claimed and not verified is nobody's own.
    let stranger = world.stranger();
    alice.post(CALLS, json!({"to": stranger.mobile, "say": "Hi"})).await.problem(403, "call-not-allowed");

    let id = alice.get("/api/v1/users/me").await.body["id"].as_str().unwrap().parse::<uuid::Uuid>().unwrap();
    let user = world.app.store.get::<vestibule::accounts::User>(id).await.unwrap().unwrap();
    let user = user.with(|user| user.roles.0.push("caller".into()));
    world.app.store.commit(vec![vestibule::store::Change::update(&user)]).await.unwrap();
    alice.post(CALLS, to_bob).await.expect(StatusCode::ACCEPTED);
    let abroad = alice.post(CALLS, json!({"to": "+447400123456", "say": "Hi"})).await.problem(422, "invalid");
    assert_eq!(abroad.body["errors"][0]["code"], "country");

    let world = World::plan().policy(|policy| policy.calls.users = vestibule::policy::Callers::Nobody);
    let world = world.build().await;
    let carol = world.alice().await;
    let own = json!({"to": carol.mobile, "say": "Hi"});
    carol.post(CALLS, own).await.problem(403, "call-not-allowed");
}

#[tokio::test]
async fn calls_are_counted_by_user_by_number_and_by_address() {
    for which in ["call-user", "call-number", "call-address"] {
        let world = World::plan()
            .policy(move |policy| {
                let limits = &mut policy.limits;
                let budget = match which {
                    "call-user" => &mut limits.call_user,
                    "call-number" => &mut limits.call_number,
                    _ => &mut limits.call_address,
                };
                budget.limit = 2;
            })
            .build()
            .await;
        let alice = world.alice().await;
        alice.calls("One").await;
        alice.calls("Two").await;
        let answer = alice.post(CALLS, json!({"to": alice.mobile, "say": "Three"})).await;
        let answer = answer.problem(429, "limit-reached");
        assert!(answer.headers.contains_key("retry-after"), "{which}");
        assert_eq!(world.count::<Call>(Call::BY_CREATED).await, 2, "{which}");
    }
}

#[tokio::test]
async fn a_caller_is_told_which_limit_it_was_and_calls_again_when_they_were_told() {
    let world =
        World::plan().policy(|policy| policy.calls.users = vestibule::policy::Callers::Anybody).build().await;
    let alice = world.alice().await;
    let body = json!({"to": "+12025550187", "say": "Hi"});
    for _ in 0..4 {
        alice.post(CALLS, body.clone()).await.expect(StatusCode::ACCEPTED);
    }
    let refused = alice.post(CALLS, body.clone()).await.problem(429, "limit-reached");
    assert_eq!(refused.body["limit"], "send-others-short");
    assert_eq!(refused.headers["retry-after"], "600");
    world.advance(Duration::from_secs(601));
    alice.post(CALLS, body).await.expect(StatusCode::ACCEPTED);
}

#[tokio::test]
async fn calls_by_others_leave_a_number_what_its_owner_needs() {
    let world = World::plan()
        .policy(|policy| {
            policy.calls.users = vestibule::policy::Callers::Anybody;
            (policy.limits.call_user.limit, policy.limits.call_number.limit) = (100, 100);
        })
        .build()
        .await;
    let (alice, mut bob) = (world.alice().await, world.alice().await);
    let part = world.app.policy().limits.send_others_day.limit;
    let to_bob = json!({"to": bob.mobile, "say": "Hi"});
    let mut placed = 0;
    while alice.post(CALLS, to_bob.clone()).await.status == StatusCode::ACCEPTED {
        placed += 1;
        world.advance(Duration::from_secs(600));
        assert!(placed <= part, "others have only a part");
    }
    bob.signs_in().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_calls_who_is_suspended_meanwhile() {
    let world = World::new().await;
    let alice = world.alice().await;
    let me = alice.get("/api/v1/users/me").await.body["id"].clone();
    let id = me.as_str().unwrap();
    let suspended =
        format!("UPDATE users SET status = 'suspended', revision = revision + 1 WHERE id = '{id}'");
    let body = json!({"to": alice.mobile, "say": "Hello."});
    let answer = alice.waits_while(alice.post("/api/v1/calls", body), &suspended).await;
    answer.problem(401, "unauthenticated");
    assert_eq!(world.count::<Call>(Call::BY_CREATED).await, 0);
}

#[tokio::test]
async fn what_somebody_ordered_who_is_suspended_by_now_is_not_placed() {
    let world = World::new().await;
    let alice = world.alice().await;
    let call = alice.calls("Hello").await;
    let id: uuid::Uuid = alice.get("/api/v1/users/me").await.body["id"].as_str().unwrap().parse().unwrap();
    let deed = Deed::Suspend(None, "Calls strangers");
    vestibule::administration::actions::act(&world.ctx(), &By::Operator, id, deed).await.unwrap();
    world.run_due().await;
    let kept = record(&world, &call["id"]).await;
    assert_eq!((kept.status, kept.attempts), (vestibule::calls::Status::Canceled, 0));
    assert!(kept.say.is_none(), "wiped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_named_request_calls_once() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.alice().await, world.alice().await);
    alice.headers.insert("idempotency-key", "k1".parse().unwrap());
    let first = alice.calls("Hello").await;
    world.run_due().await;
    let again = alice.calls("Hello").await;
    assert_eq!(first, again, "the same answer, although it rings by now");
    let other = json!({"to": alice.mobile, "say": "Something else"});
    alice.post(CALLS, other).await.problem(422, "idempotency-key-reused");
    bob.headers.insert("idempotency-key", "k1".parse().unwrap());
    assert_ne!(bob.calls("Hello").await["id"], first["id"], "a key is one user's");
    let both = futures_util::future::join_all((0..8).map(|_| async {
        let mut alice = alice.clone();
        alice.headers.insert("idempotency-key", "k2".parse().unwrap());
        alice.post(CALLS, json!({"to": alice.mobile, "say": "Hello"})).await
    }))
    .await;
    let id = &both[0].body["id"];
    assert!(both.iter().all(|answer| answer.status == 202 && answer.body["id"] == *id), "{both:?}");
    world.advance(Duration::from_secs(24 * 3_600 - 61));
    let mut alice = alice.clone();
    alice.signs_in().await;
    assert_eq!(alice.calls("Hello").await["id"], first["id"], "for a day");
    world.advance(Duration::from_secs(120));
    assert_ne!(alice.calls("Hello").await["id"], first["id"], "and no longer");
}

#[tokio::test]
async fn a_server_without_a_number_to_show_calls_nobody() {
    let plan = World::plan().config(|config| {
        config.twilio.from = String::new();
        config.twilio.messaging_service_sid = "MG1".to_owned();
    });
    let world = plan.build().await;
    let alice = world.alice().await;
    let asked = alice.post(CALLS, json!({"to": alice.mobile, "say": "Hello"})).await;
    asked.problem(403, "call-not-allowed");
}

/// Those of a named request that come too late use up nothing of what the number may get.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_named_request_is_counted_once() {
    let world = World::new().await;
    let mut alice = world.alice().await;
    world.advance(Duration::from_secs(601));
    let body = json!({"to": alice.mobile, "say": "Hello"});
    alice.headers.insert("idempotency-key", "k1".parse().unwrap());
    let most = world.app.policy().limits.send_number_short.limit;
    let tries = futures_util::future::join_all((0..most).map(|_| alice.post(CALLS, body.clone()))).await;
    let first = tries[0].clone().expect(StatusCode::ACCEPTED).body;
    assert!(tries.iter().all(|one| one.body == first), "{tries:?}");
    alice.headers.clear();
    for n in 1..most {
        let answer = alice.post(CALLS, body.clone()).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{n}: {:?}", answer.body);
    }
    alice.post(CALLS, body).await.problem(429, "limit-reached");
}

async fn tells(world: &World, path: &str, params: &[(&str, &str)], signature: Option<&str>) -> Answer {
    let params: Vec<(String, String)> =
        params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut provider = world.stranger();
    let good = sign(&world.app.config.twilio.auth_token, &world.app.origin.link(path), &params);
    let signature = signature.unwrap_or(&good);
    provider.headers.insert("x-twilio-signature", signature.parse().unwrap());
    let body: Vec<String> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let kind = "application/x-www-form-urlencoded";
    provider.send("POST", path, Some((kind, body.join("&").into_bytes()))).await
}

#[tokio::test]
async fn only_what_the_provider_signed_is_heard_and_it_never_steps_back() {
    let world = World::new().await;
    let alice = world.alice().await;
    let call = alice.calls("Hello").await;
    let kept = record(&world, &call["id"]).await;
    let context = ["call.callback", &kept.id.to_string()];
    let token = world.app.keyring.open(&context, kept.callback_sealed.as_ref().unwrap()).unwrap();
    let path = format!("/api/v1/webhooks/twilio/calls/{}", String::from_utf8_lossy(&token));
    let completed = [("CallSid", "CA1"), ("CallStatus", "completed"), ("CallDuration", "3")];
    for wrong in ["", "x", "RSOYDt4T1cUTdK1PDd93/VVr8B8="] {
        tells(&world, &path, &completed, Some(wrong)).await.problem(403, "signature-wrong");
    }
    assert_eq!(record(&world, &call["id"]).await.history.0.len(), 1);
    for word in
        ["in-progress", "initiated", "ringing", "ringing", "tomorrow", "completed", "busy", "initiated"]
    {
        let params = [("CallSid", "CA1"), ("CallStatus", word), ("CallDuration", "3")];
        tells(&world, &path, &params, None).await.expect(StatusCode::NO_CONTENT);
    }
    let seen = comes_to(&alice, call["id"].as_str().unwrap(), "completed").await;
    let heard = ["queued", "in_progress", "initiated", "ringing", "tomorrow", "completed", "busy"];
    assert_eq!(words(&seen), heard);
    world.run_due().await;
    assert_eq!(record(&world, &call["id"]).await.attempts, 0, "the provider has it: nothing to place");

    let foreign = Token::new(TokenKind::Callback, kept.id, &world.app.random.seed()).reveal();
    for text in [foreign.as_str(), "vm_", "x"] {
        let path = format!("/api/v1/webhooks/twilio/calls/{text}");
        tells(&world, &path, &completed, None).await.problem(404, "not-found");
    }
    // A message's callback is not a call's, and the other way round.
    let messages = path.replace("/calls/", "/messages/");
    tells(&world, &messages, &completed, None).await.problem(404, "not-found");
}
