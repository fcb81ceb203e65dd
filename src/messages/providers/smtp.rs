//! A mail server: how a letter becomes a mail, and what the server's answers mean.

use super::super::rules::{Heard, Sent};
use super::super::{Status, letters, trouble};
use super::Parcel;
use crate::app::App;
use crate::mailer::{Mail, Posted};

/// Hands it to the mail server.
pub(super) async fn send(app: &App, parcel: Parcel<'_>) -> Sent {
    let Some(mailer) = &app.mailer else { return Sent::Refused(Some(trouble::NOBODY)) };
    let message = parcel.message;
    let page = letters::mail(parcel.letter, &app.origin);
    let (text, html) = (page.text(), page.html(parcel.letter.locale));
    let id = message.id.to_string();
    let mail = Mail {
        to: &message.to,
        subject: &page.subject,
        text: &text,
        html: &html,
        id: &id,
        at: message.created_at,
    };
    let posted = mailer.send(mail).await;
    match &posted {
        Posted::Taken(_) => {}
        Posted::Later(_, why) | Posted::Away(_, why) | Posted::Refused(_, why) | Posted::Unknown(why) => {
            tracing::warn!(message_id = %message.id, why, "the mail server did not take a mail");
        }
        Posted::NotLetIn(why) => {
            tracing::error!(message_id = %message.id, why, "the mail server does not let us in");
        }
    }
    read(&posted)
}

/// What an answer means. Delivered is never heard of: a mail server's word is the last.
fn read(posted: &Posted) -> Sent {
    match posted {
        Posted::Taken(_) => Sent::Accepted(Heard {
            reference: None,
            word: Status::Sent.to_string(),
            status: Some(Status::Sent),
            error: None,
        }),
        Posted::Later(code, _) => Sent::NotProcessed(Some(i64::from(*code))),
        // Not its own code, which would be of one mail: the server works for nobody.
        Posted::Away(code, _) => Sent::NotProcessed(code.map(|_| trouble::LATER)),
        Posted::NotLetIn(_) => Sent::NotProcessed(Some(trouble::NOT_LET_IN)),
        Posted::Refused(code, _) => Sent::Refused(Some(i64::from(*code))),
        Posted::Unknown(_) => Sent::Doubtful,
    }
}
