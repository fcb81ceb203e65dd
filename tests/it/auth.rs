//! `/auth/…`: the main job from sign-up to sign-out, and every way in which it must fail.

use std::time::Duration;

use axum::http::{StatusCode, header};
use futures_util::future::join_all;
use serde_json::json;
use vestibule::accounts::{Status, User};
use vestibule::audit::Event;
use vestibule::challenges::Challenge;
use vestibule::factors::Factor;
use vestibule::policy::When;
use vestibule::sessions::Session;
use vestibule::store::Change;

use crate::world::{PASSWORD, Person, World, unlimited};

const MINUTE: Duration = Duration::from_secs(60);

async fn asked(person: &Person<'_>) -> String {
    let answer = person.gives_password().await.expect(StatusCode::OK).body;
    assert_eq!(answer["status"], "second_factor_required", "{answer}");
    answer["challenge"]["id"].as_str().unwrap().to_owned()
}

fn wrong(code: &str) -> String {
    let last = code.bytes().last().unwrap();
    format!("{}{}", &code[..code.len() - 1], (last - b'0' + 1) % 10)
}

async fn suspend(world: &World, user: &serde_json::Value) {
    let id = serde_json::from_value(user["id"].clone()).unwrap();
    let seen = world.app.store.get::<User>(id).await.unwrap().unwrap();
    let seen = seen.with(|user| user.status = Status::Suspended);
    world.app.store.commit(vec![Change::update(&seen)]).await.unwrap();
}

#[tokio::test]
async fn a_person_signs_up_signs_in_by_sms_and_signs_out() {
    let world = World::new().await;
    let mut person = world.stranger();
    let made = person.signs_up().await.expect(StatusCode::CREATED).body;
    assert_eq!(made["user"]["username"], json!(person.username));
    assert_eq!(made["verification"]["purpose"], "verify");
    assert!(!person.is_signed_in().await);
    // Its code rings first: both are written at the same instant.
    world.run_due().await;

    let done = person.signs_in().await;
    assert!(done["token"].as_str().unwrap().starts_with("vs_"));
    assert_eq!(done["session"]["aal"], 2);
    assert_eq!(done["session"]["amr"], json!(["pwd", "sms"]));
    let told = person.get("/api/v1/auth/authenticated").await.body;
    assert_eq!(told["authenticated"], true);
    assert_eq!(told["user"]["id"], made["user"]["id"]);
    let mobile =
        &told["user"]["identifiers"].as_array().unwrap().iter().find(|one| one["kind"] == "mobile").unwrap()
            ["verified"];
    assert_eq!(*mobile, true, "the code proved the number");

    person.post("/api/v1/auth/logout", json!({})).await.expect(StatusCode::NO_CONTENT);
    assert!(!person.is_signed_in().await);
    person.get("/api/v1/users/me").await.problem(401, "unauthenticated");
    person.post("/api/v1/auth/logout", json!({})).await.expect(StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn the_same_routes_answer_without_a_version() {
    let world = World::new().await;
    let person = world.member().await;
    let login = json!({"username": person.username, "password": PASSWORD});
    for path in ["/api/auth/login", "/api/login", "/api/v1/login"] {
        let answer = person.post(path, login.clone()).await.expect(StatusCode::OK);
        assert_eq!(answer.body["status"], "second_factor_required", "{path}");
    }
}

#[tokio::test]
async fn every_identifier_signs_in_however_it_is_spelt() {
    let world = World::plan().policy(unlimited).build().await;
    let mut person = world.member().await;
    person.signs_in().await;
    for identifier in [
        person.username.to_uppercase(),
        person.mobile.clone(),
        format!("{} {}", &person.mobile[..2], &person.mobile[2..]),
    ] {
        let body = json!({"identifier": identifier, "password": PASSWORD});
        let answer = person.post("/api/v1/auth/login", body).await.expect(StatusCode::OK);
        assert_eq!(answer.body["status"], "second_factor_required", "{identifier}");
    }
    let body = json!({"email": person.email().to_uppercase(), "password": PASSWORD});
    person.post("/api/v1/auth/login", body).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_browser_signs_in_by_cookie_and_the_challenge_may_stay_unsaid() {
    let world = World::new().await;
    let mut person = world.member().await;
    let body = json!({"identifier": person.username, "password": PASSWORD, "session": "cookie"});
    let answer = person.post("/api/v1/auth/login", body).await.expect(StatusCode::OK);
    person.keeps_cookies(&answer);
    let alone = person.post("/api/v1/auth/verify-code", json!({"code": "123456"})).await;
    alone.problem(403, "cross-site");
    // As every browser does for an unsafe method.
    person.headers.insert("origin", world.app.origin.as_str().parse().unwrap());
    world.run_due().await;
    let code = world.last_code(&person.mobile).await;
    let answer = person.post("/api/v1/auth/verify-code", json!({"code": code})).await.expect(StatusCode::OK);
    assert!(answer.body.get("token").is_none(), "a cookie's token is not in the body");
    for cookie in answer.headers.get_all(header::SET_COOKIE) {
        let cookie = cookie.to_str().unwrap();
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && cookie.contains("Path=/"),
            "{cookie}"
        );
    }
    person.keeps_cookies(&answer);
    let names: Vec<_> = person.cookies.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["vestibule", "vestibule-device"], "the pending sign-in's cookie is gone");
    assert!(person.is_signed_in().await);

    // A cookie is not a bearer token, nor the other way round.
    let mut thief = world.stranger();
    thief.token = Some(person.cookies[0].1.clone());
    assert!(!thief.is_signed_in().await);

    // Another site makes the browser send the cookie: refused.
    let mut elsewhere = person.clone();
    elsewhere.headers.insert("origin", "https://evil.example".parse().unwrap());
    elsewhere.post("/api/v1/auth/logout", json!({})).await.problem(403, "cross-site");
    assert!(person.is_signed_in().await);

    // A cookie of somebody else's may hold any bytes: ours is seen beside it, and ends.
    let signed_in = person.clone();
    person.cookies.insert(0, ("name".to_owned(), "Zoë".to_owned()));
    assert!(person.is_signed_in().await);
    let answer = person.post("/api/v1/auth/logout", json!({})).await.expect(StatusCode::NO_CONTENT);
    assert!(!signed_in.is_signed_in().await);
    person.keeps_cookies(&answer);
    let names: Vec<_> = person.cookies.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["name", "vestibule-device"], "which opens nothing");
}

/// A page that said nothing of a session keeps the challenge as a cookie, and then its session, too: no script is given
/// a token that it did not ask for.
#[tokio::test]
async fn whoever_names_the_challenge_by_its_cookie_gets_no_token() {
    let by_token =
        |policy: &mut vestibule::policy::Policy| policy.session.carry = vestibule::policy::Carry::Bearer;
    let world = World::plan().policy(by_token).build().await;
    let mut page = world.member().await;
    page.headers.insert(header::ORIGIN, world.app.origin.as_str().parse().unwrap());
    let asked = page.gives_password().await.expect(StatusCode::OK);
    page.keeps_cookies(&asked);
    world.run_due().await;
    let code = world.last_code(&page.mobile).await;
    let done = page.post("/api/v1/auth/verify-code", json!({"code": code})).await.expect(StatusCode::OK);
    assert!(done.body["status"] == "signed_in" && done.body.get("token").is_none(), "{}", done.body);
    page.keeps_cookies(&done);
    assert!(page.is_signed_in().await);
}

#[tokio::test]
async fn secure_origins_get_host_cookies() {
    let world = World::plan()
        .config(|config| config.server.origin = "https://accounts.example.com".into())
        .build()
        .await;
    let person = world.member().await;
    let body = json!({"identifier": person.username, "password": PASSWORD, "session": "cookie"});
    let answer = person.post("/api/v1/auth/login", body).await.expect(StatusCode::OK);
    let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("__Host-vestibule-pending="), "{cookie}");
    assert!(cookie.contains("; Secure"), "{cookie}");
}

#[tokio::test]
async fn nothing_is_open_until_the_second_factor_is_shown() {
    let world = World::new().await;
    let mut person = world.member().await;
    let challenge = asked(&person).await;
    assert_eq!(world.count::<Session>(Session::BY_USER).await, 0);
    for pretended in [challenge.clone(), challenge.replacen("vc_", "vs_", 1)] {
        person.token = Some(pretended);
        assert!(!person.is_signed_in().await);
        person.get("/api/v1/users/me").await.problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn unknown_wrong_and_suspended_are_the_same_to_the_byte() {
    let world = World::new().await;
    let person = world.member().await;
    let suspended = world.stranger();
    let user = suspended.signs_up().await.body["user"].clone();
    suspend(&world, &user).await;
    let nobody = world.stranger();
    let mut answers = Vec::new();
    for (who, password) in
        [(&nobody, PASSWORD), (&person, "something else"), (&suspended, PASSWORD), (&suspended, "wrong")]
    {
        let before = world.count::<Event>(Event::BY_TIME).await;
        let body = json!({"identifier": who.username, "password": password});
        let mut answer = who.post("/api/v1/auth/login", body).await.problem(401, "credentials-wrong");
        assert_eq!(world.count::<Event>(Event::BY_TIME).await, before + 1, "each writes one event");
        let id = answer.headers["x-request-id"].to_str().unwrap().to_owned();
        answer.headers.remove("x-request-id");
        answer.headers.remove("date");
        let text = String::from_utf8(answer.bytes).unwrap().replace(&id, "ID");
        answers.push((text, format!("{:?}", answer.headers)));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:#?}");
}

#[tokio::test]
async fn a_wrong_code_is_counted_and_the_last_try_ends_the_challenge() {
    let world = World::new().await;
    let person = world.member().await;
    let challenge = asked(&person).await;
    world.run_due().await;
    let code = world.last_code(&person.mobile).await;
    for left in (0..5).rev() {
        let body = json!({"challenge": challenge, "code": wrong(&code)});
        person.post("/api/v1/auth/verify-code", body).await.problem(401, "code-wrong");
        let kept = world
            .app
            .store
            .find(vestibule::store::Query::<Challenge>::along(Challenge::BY_USER))
            .await
            .unwrap();
        assert!(kept.items.iter().any(|one| one.attempts == 5 - left), "durable before the answer");
    }
    let body = json!({"challenge": challenge, "code": code});
    person.post("/api/v1/auth/verify-code", body).await.problem(401, "code-gone");
}

#[tokio::test]
async fn a_code_is_good_until_its_last_millisecond_and_not_after() {
    let world = World::new().await;
    for (wait, good) in [(5 * MINUTE - Duration::from_millis(1), true), (5 * MINUTE, false)] {
        let person = world.member().await;
        let challenge = asked(&person).await;
        world.run_due().await;
        let code = world.last_code(&person.mobile).await;
        world.advance(wait);
        let answer =
            person.post("/api/v1/auth/verify-code", json!({"challenge": challenge, "code": code})).await;
        if good {
            answer.expect(StatusCode::OK);
        } else {
            answer.problem(401, "code-gone");
        }
    }
}

#[tokio::test]
async fn a_code_belongs_to_one_challenge() {
    let world = World::new().await;
    let (one, two) = (world.member().await, world.member().await);
    let (first, second) = (asked(&one).await, asked(&two).await);
    world.run_due().await;
    let code = world.last_code(&one.mobile).await;
    two.post("/api/v1/auth/verify-code", json!({"challenge": second, "code": code}))
        .await
        .problem(401, "code-wrong");
    for broken in ["", "vc_", &first[..first.len() - 1], &format!("{first}A"), &first.to_uppercase()] {
        one.post("/api/v1/auth/verify-code", json!({"challenge": broken, "code": code}))
            .await
            .problem(401, "code-gone");
    }
    // The right id and code with another secret: only the whole token names a challenge.
    let middle = first.len() - 20;
    let other = if first[middle..].starts_with('A') { 'B' } else { 'A' };
    let forged = format!("{}{other}{}", &first[..middle], &first[middle + 1..]);
    let body = json!({"challenge": forged, "code": code});
    one.post("/api/v1/auth/verify-code", body).await.problem(401, "code-gone");
    one.post("/api/v1/auth/verify-code", json!({"challenge": first, "code": code}))
        .await
        .expect(StatusCode::OK);
    one.post("/api/v1/auth/verify-code", json!({"challenge": first, "code": code}))
        .await
        .problem(401, "code-gone");
}

#[tokio::test]
async fn a_resend_carries_the_same_code_after_a_pause_and_not_too_often() {
    let world = World::new().await;
    let person = world.alice().await;
    world.advance(Duration::from_secs(86_400));
    let challenge = asked(&person).await;
    world.run_due().await;
    let code = world.last_code(&person.mobile).await;
    let resend = json!({"challenge": challenge});
    let soon = person.post("/api/v1/auth/resend-code", resend.clone()).await.problem(429, "limit-reached");
    assert_eq!(soon.headers["retry-after"], "30");
    for _ in 0..4 {
        world.advance(Duration::from_secs(30));
        person.post("/api/v1/auth/resend-code", resend.clone()).await.expect(StatusCode::OK);
        world.run_due().await;
        assert_eq!(world.last_code(&person.mobile).await, code);
    }
    world.advance(Duration::from_secs(30));
    person.post("/api/v1/auth/resend-code", resend).await.problem(429, "limit-reached");
}

/// Impatience costs nothing: of several who ask at once for the code again one has it sent, and the others use up
/// neither what may be sent to the number nor money.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_resends_at_once_one_is_sent_and_one_is_paid_for() {
    // Enough that no other lot of it is drawn meanwhile.
    let world = World::plan().config(|config| config.spending.day = 1_000).build().await;
    let person = world.alice().await;
    world.advance(Duration::from_secs(86_400));
    let resend = json!({"challenge": asked(&person).await});
    let again = || person.post("/api/v1/auth/resend-code", resend.clone());
    let purse = async || {
        let (today, purse) = (&world.ctx().now.to_string()[..10], world.app.purse.lock().await);
        purse.left(today, "home_known") + purse.left(today, "abroad_known")
    };
    world.advance(Duration::from_secs(30));
    let before = purse().await;
    let at_once = join_all((0..4).map(|_| again())).await;
    assert_eq!(at_once.iter().filter(|answer| answer.status == StatusCode::OK).count(), 1, "{at_once:?}");
    let paid = before - purse().await;
    assert!(paid > 0);
    for _ in 0..3 {
        world.advance(Duration::from_secs(30));
        let before = purse().await;
        again().await.expect(StatusCode::OK);
        assert_eq!(before - purse().await, paid, "as much as for one");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_right_codes_at_once_open_one_session() {
    let rounds = 100;
    let world = World::plan().policy(unlimited).build().await;
    for round in 0..rounds {
        let person = world.member().await;
        let challenge = asked(&person).await;
        world.run_due().await;
        let code = world.last_code(&person.mobile).await;
        let body = json!({"challenge": challenge, "code": code});
        let tries = (0..64).map(|_| person.post("/api/v1/auth/verify-code", body.clone()));
        let answers = futures_util::future::join_all(tries).await;
        let won = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
        assert_eq!(won, 1, "round {round}");
        for lost in answers.into_iter().filter(|answer| answer.status != StatusCode::OK) {
            lost.problem(401, "code-gone");
        }
    }
    assert_eq!(world.count::<Session>(Session::BY_USER).await, rounds);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_parallel_sign_ins_share_one_factors_guesses() {
    let world = World::plan().policy(unlimited).build().await;
    let person = world.member().await;
    let mut challenges = Vec::new();
    for _ in 0..100 {
        challenges.push(asked(&person).await);
    }
    world.run_due().await;
    // None of a hundred six-digit codes is seven digits long: every guess is wrong.
    let guesses = challenges.iter().map(|challenge| {
        person.post("/api/v1/auth/verify-code", json!({"challenge": challenge, "code": "1234567"}))
    });
    let answers = futures_util::future::join_all(guesses).await;
    let judged = answers.iter().filter(|answer| answer.body["type"] == "/problems/code-wrong").count();
    assert_eq!(judged, 20, "exactly as many as the policy allows one factor");
    for answer in answers.into_iter().filter(|answer| answer.body["type"] != "/problems/code-wrong") {
        answer.problem(403, "factor-locked");
    }
    let factors =
        world.app.store.find(vestibule::store::Query::<Factor>::along(Factor::BY_USER)).await.unwrap();
    assert_eq!(factors.items.iter().map(|factor| factor.failures).max(), Some(20));
    let code = world.last_code(&person.mobile).await;
    let body = json!({"challenge": challenges[99], "code": code});
    person.post("/api/v1/auth/verify-code", body).await.problem(403, "factor-locked");
}

#[tokio::test]
async fn guessing_one_identifier_is_limited_from_everywhere_and_in_every_spelling() {
    let world = World::new().await;
    let person = world.member().await;
    for n in 0..10 {
        let attacker = world.stranger();
        let spelling = if n % 2 == 0 { person.username.clone() } else { person.username.to_uppercase() };
        let body = json!({"identifier": spelling, "password": "a guess"});
        attacker.post("/api/v1/auth/login", body).await.problem(401, "credentials-wrong");
    }
    let attacker = world.stranger();
    let body = json!({"identifier": person.username, "password": "a guess"});
    let answer = attacker.post("/api/v1/auth/login", body).await.problem(429, "limit-reached");
    assert_eq!(answer.body["limit"], "sign-in-identifier");
    assert!(answer.headers.contains_key("retry-after"));
    world.advance(10 * MINUTE);
    asked(&person).await;
}

#[tokio::test]
async fn t14_addresses_of_one_v6_network_share_a_budget() {
    let world = World::plan().policy(|policy| policy.limits.sign_in_address.limit = 3).build().await;
    for n in 0..4_u16 {
        let mut person = world.stranger();
        person.ip = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 7, n, 2, 3, 4).into();
        let body = json!({"identifier": person.username, "password": "a guess"});
        let answer = person.post("/api/v1/auth/login", body).await;
        if n < 3 {
            answer.problem(401, "credentials-wrong");
        } else {
            answer.problem(429, "limit-reached");
        }
    }
}

#[tokio::test]
async fn a_number_gets_five_messages_in_ten_minutes() {
    let world = World::new().await;
    // One to show the number at sign-up, and one at the first sign-in.
    let person = world.alice().await;
    for _ in 0..3 {
        asked(&person).await;
    }
    for _ in 0..2 {
        let answer = person.gives_password().await.problem(429, "limit-reached");
        assert_eq!(answer.body["limit"], "send-number-short");
        assert_eq!(answer.headers["retry-after"], "600", "until the first is ten minutes old");
    }
    world.run_due().await;
    assert_eq!(world.messages(&person.mobile).await["items"].as_array().unwrap().len(), 5);
    // Not one comes back sooner than the oldest is out of the window.
    world.advance(10 * MINUTE - Duration::from_secs(1));
    person.gives_password().await.problem(429, "limit-reached");
    world.advance(Duration::from_secs(1));
    asked(&person).await;
}

#[tokio::test]
async fn whoever_only_claims_a_number_has_a_stranger_s_share_of_it_and_learns_nothing() {
    let world = World::new().await;
    let owner = world.alice().await;
    world.advance(10 * MINUTE);
    let mut heard = Vec::new();
    for number in [owner.mobile.clone(), "+12025559999".to_owned()] {
        // An account of one's own, with somebody else's number, or with nobody's.
        let mut claimant = world.stranger();
        claimant.mobile = number;
        claimant.signs_up().await.expect(StatusCode::CREATED);
        for _ in 0..3 {
            asked(&claimant).await;
        }
        heard.push(claimant.gives_password().await.problem(429, "limit-reached"));
    }
    let told = |answer: &super::world::Answer| {
        let names = ["ratelimit", "ratelimit-policy", "retry-after"];
        let said = names.map(|name| answer.headers.get(name).cloned());
        (answer.body["limit"].clone(), answer.body["detail"].clone(), said)
    };
    assert_eq!(told(&heard[0]), told(&heard[1]));
    assert_eq!(heard[0].body["limit"], "send-stranger-short");
    asked(&owner).await;
}

#[tokio::test]
async fn strangers_cannot_use_up_what_a_number_needs_to_sign_in() {
    let world = World::new().await;
    let victim = world.member().await;
    for n in 0..4 {
        let mut stranger = world.stranger();
        stranger.mobile = victim.mobile.clone();
        let answer = stranger.signs_up().await;
        if n < 2 {
            answer.expect(StatusCode::CREATED);
        } else {
            assert_eq!(answer.problem(429, "limit-reached").body["limit"], "send-stranger-short");
        }
    }
    asked(&victim).await;
}

#[tokio::test]
async fn sessions_end_by_idleness_by_age_and_by_suspension() {
    let world = World::new().await;
    let (hour, second) = (60 * MINUTE, Duration::from_secs(1));

    let idle = world.alice().await;
    world.advance(hour - second);
    assert!(idle.is_signed_in().await, "used in time, which starts the hour anew");
    world.advance(hour - second);
    assert!(idle.is_signed_in().await);
    world.advance(hour + MINUTE);
    assert!(!idle.is_signed_in().await);

    let old = world.alice().await;
    for _ in 0..47 {
        world.advance(30 * MINUTE);
        assert!(old.is_signed_in().await);
    }
    world.advance(30 * MINUTE);
    assert!(!old.is_signed_in().await, "a day is the end, however busy");

    let mut bad = world.member().await;
    let done = bad.signs_in().await;
    suspend(&world, &done["user"]).await;
    assert!(!bad.is_signed_in().await, "at once");
    bad.get("/api/v1/users/me").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn without_a_second_factor_the_password_opens_the_session() {
    let world = World::plan().policy(|policy| policy.sign_in.second.when = When::Never).build().await;
    let person = world.member().await;
    let answer = person.gives_password().await.expect(StatusCode::OK).body;
    assert_eq!(answer["status"], "signed_in");
    assert_eq!(answer["session"]["aal"], 1);
}

#[tokio::test]
async fn where_it_is_left_to_them_only_those_who_asked_are_asked() {
    let world = World::plan().policy(|policy| policy.sign_in.second.when = When::WhenEnrolled).build().await;
    let without = world.member().await;
    assert_eq!(without.gives_password().await.body["status"], "signed_in");
    let with = world.stranger();
    let mut account = with.account();
    account["is_2fa_enabled"] = json!(true);
    with.post("/api/v1/users", account).await.expect(StatusCode::CREATED);
    assert_eq!(with.gives_password().await.body["status"], "second_factor_required");
}

/// Whoever has shown a password is looked at before; what of that changes meanwhile counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_or_a_user_that_changes_while_a_sign_in_is_written_opens_nothing() {
    for when in [When::Never, When::Always] {
        let plan = World::plan().policy(unlimited);
        let world = plan.policy(move |policy| policy.sign_in.second.when = when).build().await;
        let status = if when == When::Never { "signed_in" } else { "second_factor_required" };
        let signed_up = async || {
            world.advance(MINUTE);
            let person = world.stranger();
            let made = person.signs_up().await.expect(StatusCode::CREATED).body;
            (person, made["user"]["id"].as_str().unwrap().to_owned())
        };
        let ((_, other), (person, id)) = (signed_up().await, signed_up().await);
        let touched = format!("UPDATE users SET revision = revision + 1 WHERE id = '{id}'");
        assert_eq!(person.gives_password_while(&touched).await.body["status"], status);
        let suspended =
            format!("UPDATE users SET status = 'suspended', revision = revision + 1 WHERE id = '{id}'");
        let back = suspended.replace("suspended", "active");
        person.gives_password_while(&suspended).await.problem(401, "credentials-wrong");
        world.place.by_hand(&back).await;
        let changed = format!(
            "UPDATE passwords SET revision = revision + 1, \
             changed_at = (SELECT changed_at FROM passwords WHERE user_id = '{other}') WHERE user_id = '{id}'"
        );
        person.gives_password_while(&changed).await.problem(401, "credentials-wrong");
        assert_eq!(person.gives_password().await.body["status"], status);
    }
}

#[tokio::test]
async fn a_password_hashed_with_old_parameters_is_hashed_anew() {
    use vestibule::passwords::Password;
    let world = World::new().await;
    let person = world.stranger();
    let id = person.signs_up().await.body["user"]["id"].clone();
    let id: uuid::Uuid = serde_json::from_value(id).unwrap();
    let old = "$argon2id$v=19$m=32,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$".to_owned();
    let cheap = vestibule::hashing::Cost { memory_kib: 32, passes: 1, lanes: 1 };
    let pool = vestibule::hashing::Hashing::start(cheap, 1, MINUTE, true, Default::default()).unwrap();
    let phc = pool.hash(vestibule::secret::Secret::new(PASSWORD), [7; 16]).await.unwrap();
    assert!(phc.starts_with(&old[..28]), "{phc}");
    let seen = world.app.store.get::<Password>(id).await.unwrap().unwrap();
    let seen = seen.with(|password| password.phc = phc.clone());
    world.app.store.commit(vec![Change::update(&seen)]).await.unwrap();
    asked(&person).await;
    let now = world.app.store.get::<Password>(id).await.unwrap().unwrap();
    assert_ne!(now.phc, phc);
    assert!(now.phc.contains("m=64,t=1,p=1"), "{}", now.phc);
    world.advance(10 * MINUTE);
    asked(&person).await;
}
