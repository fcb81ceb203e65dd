//! Providers: who carries a message, in which order they are asked, and what their answers mean.
//!
//! Each provider puts a letter into a request of its own and reads the answer as one of four
//! ([`Sent`]). Only what was surely not processed goes to the next one; what may have been processed
//! is left to the rules, so that there are never more copies than they allow.

pub mod smtp;
pub mod twilio;
pub mod webhook;

use super::rules::{Sent, Try};
use super::trouble::{self, Class};
use super::{Letter, Message};
use crate::app::App;
use crate::clock::Timestamp;
use crate::config::Carrier;
use crate::identifiers::Mobile;

/// A message that is ready to go.
#[derive(Clone, Copy)]
pub struct Parcel<'a> {
    /// Its record.
    pub message: &'a Message,
    /// What it says.
    pub letter: &'a Letter,
    /// The token for the path of callbacks.
    pub callback: &'a str,
    /// The instant.
    pub now: Timestamp,
}

/// Asks one provider after the other until one has it, refuses it for a reason that another would
/// share, or leaves us in doubt. What it came to, and every request that was made.
pub async fn carry(app: &App, parcel: Parcel<'_>) -> (Sent, Vec<Try>) {
    let mut tries = Vec::new();
    let mut hope = None;
    let mut last = None;
    let carriers = carriers(app, parcel.message);
    for carrier in carriers {
        let name = carrier.as_str();
        // The one before it may have taken its time.
        let parcel = Parcel { now: app.clock.now(), ..parcel };
        if !parcel.message.is_worth_sending(parcel.now) {
            hope.get_or_insert(Sent::NotProcessed(None));
            break;
        }
        if !app.circuits.admits(name, parcel.now) {
            // It may work again before the message's time is over.
            hope.get_or_insert(Sent::NotProcessed(Some(trouble::LATER)));
            continue;
        }
        let came_to = match carrier {
            Carrier::Twilio => twilio::send(app, parcel).await,
            Carrier::Smtp => smtp::send(app, parcel).await,
            Carrier::Webhook => webhook::send(app, parcel).await,
        };
        let now = app.clock.now();
        app.circuits.report(name, works(&came_to), now);
        app.metrics.provider(name, came_to.as_str(), app.circuits.state(name, now));
        tries.push(Try {
            at: now,
            provider: name.to_owned(),
            came_to: came_to.as_str().to_owned(),
            code: came_to.code(),
        });
        if !may_go_on(&came_to) {
            return (came_to, tries);
        }
        if matches!(came_to, Sent::NotProcessed(_)) {
            hope.get_or_insert(came_to.clone());
        }
        last = Some(came_to);
    }
    let nobody = Sent::Refused(Some(trouble::NOBODY));
    (hope.or(last).unwrap_or(nobody), tries)
}

/// Whether the provider, as far as this tells, works.
fn works(came_to: &Sent) -> bool {
    match came_to {
        Sent::Accepted(_) => true,
        Sent::NotProcessed(code) => trouble::is_about_one_mail(*code),
        Sent::Doubtful => false,
        Sent::Refused(code) => trouble::class(*code) != Class::Account,
    }
}

/// Whether another provider may be asked: when this one surely did nothing, for a reason of its own.
/// A number that does not exist exists nowhere, and fraud is fraud.
fn may_go_on(came_to: &Sent) -> bool {
    match came_to {
        Sent::Accepted(_) | Sent::Doubtful => false,
        Sent::NotProcessed(_) => true,
        Sent::Refused(code) => !matches!(trouble::class(*code), Class::Number | Class::Fraud),
    }
}

/// Who may carry it, the first one first.
fn carriers(app: &App, message: &Message) -> Vec<Carrier> {
    let config = &app.config;
    let country = Mobile::parse(&message.to).ok().and_then(|mobile| mobile.country());
    config.delivery.carriers(config, message.kind, &message.to, country.as_deref())
}
