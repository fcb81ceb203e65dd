//! Sending what is due, and hearing what became of it.

use tokio::task::JoinSet;
use uuid::Uuid;

use super::providers::{self, Parcel, twilio};
use super::rules::{Heard, Lease, Look, Sent};
use super::{Channel, Letter, Message, Status};
use crate::app::{Ctx, Moment};
use crate::audit::{Note, Noting, What, note};
use crate::error::{Error, Problem, Result};
use crate::identifiers::Identifier;
use crate::limits::{self, Postage, Sender};
use crate::money;
use crate::policy::IdentifierKind;
use crate::secret::{Token, TokenKind};
use crate::store::{Decision, Query, Seen, answer};
use crate::worker::{self, Leased};

/// How many messages of a kind are on their way to the provider at once. Twilio sends one a second from a
/// long code and up to a hundred from a short code; sixteen requests of a tenth of a second are more.
const AT_ONCE: usize = 16;

/// Sends everything of this `kind` that is due, and what falls due meanwhile; returns how many it took.
///
/// Each kind has places of its own: a mail server that is slow, or has a thousand mails waiting for it,
/// keeps no code by text waiting.
///
/// # Errors
/// The store's.
pub async fn run_due(ctx: &Ctx, kind: Channel) -> Result<usize> {
    worker::keep_up(ctx, AT_ONCE, |ctx, limit| lease(ctx, kind, limit), deliver).await
}

/// Takes up to `limit` due messages; none in place of one that is not to be sent after all.
async fn lease(ctx: Ctx, kind: Channel, limit: usize) -> Leased<Message> {
    let query = Query::along(Message::BY_DUE).equal(kind).until(ctx.now).limit(limit);
    let due = match ctx.app.store.find(query).await {
        Ok(due) => due,
        Err(error) => return (Vec::new(), Some(error.into())),
    };
    let mut leased = Vec::with_capacity(due.items.len());
    for found in due.items {
        // A lease begins when it is taken, however long the ones before it took.
        match lease_one(&Ctx::new(ctx.app.clone(), None), &found).await {
            Ok(one) => leased.push(one),
            Err(error) => return (leased, Some(error)),
        }
    }
    (leased, None)
}

async fn lease_one(ctx: &Ctx, found: &Seen<Message>) -> Result<Option<Message>> {
    let news = ctx
        .decide(async |moment| {
            let Some(seen) = ctx.app.store.get::<Message>(found.id).await? else { return Ok(answer(None)) };
            // One that was too late to be sent has failed, too.
            Ok(noted(change(seen, |message| message.lease(ctx.now) != Lease::Nothing), &moment))
        })
        .await?;
    let leased =
        news.as_ref().map(|news| news.message.clone()).filter(|message| message.status == Status::Sending);
    tell(ctx, news);
    Ok(leased)
}

async fn deliver(ctx: Ctx, message: Message) {
    let now = ctx.app.clock.now();
    let (came_to, tries) = match message.unseal(&ctx.app.keyring) {
        Some(_) if !message.is_held(now) => (Sent::NotProcessed(None), Vec::new()),
        Some((letter, callback)) => {
            let parcel = Parcel { message: &message, letter: &letter, callback: &callback, now };
            providers::carry(&ctx.app, parcel).await
        }
        None => {
            tracing::error!(message_id = %message.id, "the text is sealed under a key that is not in secrets.keys");
            (Sent::NotProcessed(None), Vec::new())
        }
    };
    let ctx = Ctx::new(ctx.app.clone(), None);
    let attempt = message.attempts;
    let recorded = settle(&ctx, message.id, |now, moment| {
        let [chance] = moment.seed.bytes("pause");
        // In this order: whether to go another way depends on all that was tried.
        let tried = now.tried(&tries);
        now.sent(attempt, &came_to, moment.now, chance) || tried
    });
    if let Err(error) = recorded.await {
        // The lease runs out; the message is then one that may have gone out.
        tracing::error!(message_id = %message.id, ?error, "what became of a message could not be recorded");
    }
}

/// Changes a message by `rule`; when it has failed by that, its code takes the next way in the same
/// commit. Whether the message is there.
async fn settle(ctx: &Ctx, id: Uuid, rule: impl Fn(&mut Message, &Moment) -> bool) -> Result<bool> {
    let Some(seen) = ctx.app.store.get::<Message>(id).await? else { return Ok(false) };
    let mut foreseen = seen.into_inner();
    let before = foreseen.clone();
    rule(&mut foreseen, &ctx.moment());
    let way = match foreseen.wants_another_way(ctx.now) {
        true => another_way(ctx, &before).await?,
        false => None,
    };
    let (rule, before, way) = (&rule, &before, way.as_ref());
    let paid = || way.iter().map(|way| &way.postage).collect();
    let news = limits::decide(ctx, paid, |moment| async move {
        let Some(seen) = ctx.app.store.get::<Message>(id).await? else { return Ok(answer(None)) };
        let decision = noted(change(seen, |message| rule(message, &moment)), &moment);
        let Ok(Some(news)) = &decision.outcome else { return Ok(decision) };
        let (before_it, is_wanted) = (news.before, news.message.wants_another_way(moment.now));
        let is_over = !before_it.is_final() && is_wanted;
        let Some(way) = way.filter(|_| is_over) else { return Ok(decision) };
        let next = before.follow(ctx, &way.postage, way.channel, &way.to, &way.letter, &moment);
        Ok(decision.insert(&next))
    })
    .await?;
    tell(ctx, news);
    Ok(true)
}

/// Another way for a code: by what, where to, and paid for.
struct Way {
    channel: Channel,
    to: String,
    letter: Letter,
    postage: Postage,
}

/// The next way that leads somewhere: a call to the same number, a mail to the user's verified address.
async fn another_way(ctx: &Ctx, message: &Message) -> Result<Option<Way>> {
    let Some((letter, _)) = message.unseal(&ctx.app.keyring) else { return Ok(None) };
    let Some(user) = message.user else { return Ok(None) };
    let own = verified(ctx, user).await?;
    // Whoever has not shown the number to be theirs pays for another way as for the first.
    let sender = Sender::User(user).to(own.iter().any(|one| one.value == message.to));
    for channel in message.fallback.0.iter().copied() {
        let config = &ctx.app.config;
        let to = match channel {
            _ if !config.delivery.serves(config, channel) => None,
            Channel::Email => {
                own.iter().find(|one| one.kind == IdentifierKind::Email).map(|one| one.value.clone())
            }
            Channel::Sms | Channel::Call => Some(message.to.clone()),
        };
        let Some(to) = to else { continue };
        // It counts like any other message: who cannot be sent one is not.
        let way = if channel == Channel::Call { money::Way::Call } else { money::Way::Text };
        match limits::postage_by(ctx, &to, way, sender).await {
            Ok(postage) => return Ok(Some(Way { channel, to, letter, postage })),
            Err(error) if error.problem.is_no_postage() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// What was shown to be the user's own.
async fn verified(ctx: &Ctx, user: Uuid) -> Result<Vec<Seen<Identifier>>> {
    let query = Query::<Identifier>::along(Identifier::BY_USER).equal(user).limit(100);
    let found = ctx.app.store.find(query).await?.items;
    Ok(found.into_iter().filter(|one| one.verified_at.is_some()).collect())
}

/// Looks after what was handed over and of which nothing final was heard; returns how much that was.
///
/// # Errors
/// The store's.
pub async fn look_after(ctx: &Ctx) -> Result<usize> {
    let query = Query::<Message>::along(Message::BY_LOOK).until(ctx.now).limit(AT_ONCE);
    let due = ctx.app.store.find(query).await?.items;
    let count = due.len();
    let mut under_way = JoinSet::new();
    for found in due {
        let ctx = ctx.clone();
        under_way.spawn(async move { look_after_one(&ctx, found.id).await });
    }
    while let Some(ended) = under_way.join_next().await {
        ended.map_err(|error| Error::internal(error.to_string()))??;
    }
    Ok(count)
}

async fn look_after_one(ctx: &Ctx, id: Uuid) -> Result<()> {
    let looked = ctx
        .decide(async |moment| {
            let Some(seen) = ctx.app.store.get::<Message>(id).await? else { return Ok(answer(None)) };
            let mut look = Look::Nothing;
            let decision = change(seen, |message| {
                look = message.look(moment.now);
                look != Look::Nothing
            });
            Ok(decision.map(|news| news.filter(|_| look == Look::Ask)))
        })
        .await?;
    let Some(News { message, .. }) = looked else { return Ok(()) };
    let heard = match message.provider.as_str() {
        twilio::NAME => twilio::ask(&ctx.app, &message).await,
        _ => None,
    };
    let Some(heard) = heard else { return Ok(()) };
    settle(ctx, id, |message, moment| message.fold(&heard, moment.now)).await?;
    Ok(())
}

/// The messages that carry the code of `challenge`.
///
/// # Errors
/// The store's.
pub async fn carrying(ctx: &Ctx, challenge: Uuid) -> Result<Vec<Seen<Message>>> {
    let query = Query::<Message>::along(Message::BY_CHALLENGE).equal(challenge).limit(100);
    Ok(ctx.app.store.find(query).await?.items)
}

/// What a provider tells by a callback whose signature was found right; grants nothing. `heard` reads it,
/// when it is about a message of this id.
///
/// # Errors
/// [`Problem::NotFound`] for a token that belongs to no message.
pub async fn callback(ctx: &Ctx, token: &str, heard: impl FnOnce(Uuid) -> Option<Heard>) -> Result<()> {
    let token = Token::parse(TokenKind::Callback, token).ok_or(Problem::NotFound)?;
    let known = ctx.app.store.get::<Message>(token.id).await?.ok_or(Problem::NotFound)?;
    if !token.matches(&known.callback) {
        return Err(Problem::NotFound.into());
    }
    let heard = heard(token.id);
    if let Some(heard) = &heard {
        // Another way is the house's doing: not counted by the provider's address, nor noted with it.
        let ctx = &Ctx::new(ctx.app.clone(), None);
        settle(ctx, token.id, |message, moment| message.fold(heard, moment.now)).await?;
    }
    match &heard {
        None => tracing::warn!(message_id = %token.id, "a callback without a status"),
        Some(heard) if heard.status.is_none() => {
            tracing::warn!(message_id = %token.id, status = heard.word, "a callback with a status that is not known");
        }
        Some(_) => {}
    }
    Ok(())
}

/// Writes what a rule made of a message, when it made something of it.
fn change(seen: Seen<Message>, rule: impl FnOnce(&mut Message) -> bool) -> Decision<Option<News>> {
    let before = seen.status;
    let mut changed = false;
    let seen = seen.with(|message| changed = rule(message));
    if changed {
        answer(Some(News { before, message: seen.clone().into_inner() })).update(&seen)
    } else {
        answer(None)
    }
}

/// The same, with the event of a failure.
fn noted(decision: Decision<Option<News>>, moment: &Moment) -> Decision<Option<News>> {
    let failure = decision.outcome.as_ref().ok().and_then(Option::as_ref).and_then(News::failed);
    failure.into_iter().fold(decision, |decision, event| decision.note(moment, event))
}

/// A message that changed, and what it was before.
struct News {
    before: Status,
    message: Message,
}

impl News {
    /// The event of its failure, when it has just failed.
    fn failed(&self) -> Option<Note> {
        let has = |status| matches!(status, Status::Failed | Status::Undelivered | Status::Expired);
        let message = &self.message;
        let detail = serde_json::json!({
            "message": message.id, "kind": message.kind, "purpose": message.purpose,
            "status": message.status, "code": message.error_code,
        });
        let event = note(What::MessageFailed).detail(detail);
        let event = message.told_to().into_iter().fold(event, Note::user);
        (has(message.status) && !has(self.before)).then_some(event)
    }
}

/// Logs and counts a new status. Never the number, never the text.
fn tell(ctx: &Ctx, news: Option<News>) {
    let Some(News { before, message }) = news else { return };
    let (id, status, attempts, code) = (message.id, message.status, message.attempts, message.error_code);
    if status == before {
        return;
    }
    ctx.app.metrics.message(message.kind.as_str(), status.as_str());
    let reason = message.error_reason.as_deref();
    match message.failure() {
        None => tracing::debug!(message_id = %id, %status, attempts, "message"),
        Some(class) if class.needs_operator() => {
            tracing::error!(message_id = %id, %status, attempts, code, reason, "messages need an operator");
        }
        Some(_) => tracing::warn!(message_id = %id, %status, attempts, code, reason, "message in trouble"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::testing;
    use crate::messages::rules::LEASE;
    use crate::messages::{Code, CodePurpose};
    use crate::words::Locale;

    fn code(challenge: u128, moment: &Moment) -> Code<'static> {
        Code {
            channel: Channel::Sms,
            to: "+12025550123",
            user: Uuid::from_u128(7),
            challenge: Uuid::from_u128(challenge),
            purpose: CodePurpose::SignIn,
            code: "123456",
            link: None,
            locale: Locale::En,
            valid_until: moment.now + Duration::from_secs(600),
        }
    }

    #[tokio::test]
    async fn mails_that_wait_keep_no_text_waiting() {
        let app = testing::app();
        let ctx = &Ctx::new(app.clone(), None);
        for (at, kind) in [Channel::Email; 40].into_iter().chain([Channel::Sms]).enumerate() {
            let made = ctx.decide(async |moment| {
                let code = Code { channel: kind, to: "somebody", ..code(at as u128, &moment) };
                let message = super::super::code(ctx, &Postage::of_a_test(), code, &moment);
                Ok(answer(()).insert(&message))
            });
            made.await.unwrap();
        }
        let (leased, _) = lease(ctx.clone(), Channel::Sms, AT_ONCE).await;
        assert_eq!(leased.into_iter().flatten().map(|one| one.kind).collect::<Vec<_>>(), [Channel::Sms]);
        let (leased, _) = lease(ctx.clone(), Channel::Email, AT_ONCE).await;
        assert!(leased.len() == AT_ONCE && leased.iter().flatten().all(|one| one.kind == Channel::Email));
    }

    #[tokio::test]
    async fn a_lease_begins_when_it_is_taken_and_what_little_is_left_of_one_is_not_used() {
        let app = testing::app();
        let ctx = &Ctx::new(app.clone(), None);
        let made = ctx.decide(async |moment| {
            let code = code(9, &moment);
            let message = super::super::code(ctx, &Postage::of_a_test(), code, &moment);
            Ok(answer(()).insert(&message))
        });
        made.await.unwrap();
        // As if those before it had taken so long.
        app.clock.advance(LEASE);
        let (leased, trouble) = lease(ctx.clone(), Channel::Sms, 1).await;
        assert!(trouble.is_none());
        let message = leased.into_iter().flatten().next().unwrap();
        assert_eq!(message.due_at, Some(app.clock.now() + LEASE));
        // Nobody carries it here, which is refused: it failed, had it been tried.
        app.clock.advance(LEASE / 2);
        let id = message.id;
        deliver(ctx.clone(), message).await;
        let left = app.store.get::<Message>(id).await.unwrap().unwrap();
        assert_eq!((left.status, left.tries.0.len()), (Status::Queued, 0));
        app.clock.advance(Duration::from_secs(1));
        run_due(&Ctx::new(app.clone(), None), Channel::Sms).await.unwrap();
        assert_eq!(app.store.get::<Message>(id).await.unwrap().unwrap().status, Status::Failed);
    }
}
