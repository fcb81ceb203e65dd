//! Letters: what a message says, before it is known by which way it goes.
//!
//! A letter is what is kept (sealed) of a message until it is sent; each channel puts it into words
//! of its own. So a code that goes out a second time, by another provider or another way, is the
//! same code, and says the same.

use serde::{Deserialize, Serialize};

use super::mail::{Block, Page};
use super::rules::segments;
use crate::app::{Moment, Origin};
use crate::clock::Timestamp;
use crate::store::text_enum;
use crate::words::{self, Locale, has, known_as, say};

text_enum! {
    /// What a code is good for.
    pub enum CodePurpose {
        /// To finish a sign-in.
        SignIn = "sign_in",
        /// To show that an address or a number is one's own.
        Verify = "verify",
        /// To confirm a change or another step that asks for proof.
        Confirm = "confirm",
        /// To get back into an account.
        Recover = "recover",
    }
}

text_enum! {
    /// What has happened that somebody is told of.
    pub enum Notice {
        /// A sign-in from a device that was not seen before.
        NewDevice = "new_device",
        /// The password was changed.
        PasswordChanged = "password_changed",
        /// Somebody asked for another e-mail address; told at the old one. The link takes it back.
        EmailChangeAsked = "email_change_asked",
        /// The username was changed.
        UsernameChanged = "username_changed",
        /// The e-mail address was changed.
        EmailChanged = "email_changed",
        /// The phone number was changed.
        MobileChanged = "mobile_changed",
        /// A factor was added.
        FactorAdded = "factor_added",
        /// A factor was removed.
        FactorRemoved = "factor_removed",
        /// A factor takes no more codes: too many were wrong.
        FactorLocked = "factor_locked",
        /// A factor cannot be shown in a recovery any more: too many codes were wrong in some.
        RecoveryLocked = "recovery_locked",
        /// Recovery codes were made; older ones are void.
        RecoveryCodesMade = "recovery_codes_made",
        /// Somebody asked to get back into the account.
        RecoveryStarted = "recovery_started",
        /// Somebody tried to sign up with an address or number that has an account. The link signs in.
        SignUpAttempt = "sign_up_attempt",
        /// The account was deleted. The link takes it back while that is possible.
        AccountDeleted = "account_deleted",
        /// Everything that is held about the user was taken out.
        DataExported = "data_exported",
        /// A refresh token was used twice: one of two holders is a thief, and the session was ended.
        RefreshReused = "refresh_reused",
        /// Somebody acted for the user, such as an administrator.
        ActedOnBehalf = "acted_on_behalf",
        /// The account was suspended.
        Suspended = "suspended",
        /// A suspended or deleted account was opened again.
        Restored = "restored",
        /// An administrator deleted the account.
        AccountRemoved = "account_removed",
        /// An administrator ended every session.
        SessionsEnded = "sessions_ended",
        /// An administrator took sign-in methods away.
        FactorsReset = "factors_reset",
        /// What the user may do beyond their own account was changed.
        RolesChanged = "roles_changed",
        /// An administrator changed the name, the language or what the application keeps.
        AccountChanged = "account_changed",
        /// An administrator made the account. The link sets its password.
        AccountMade = "account_made",
        /// Somebody is asked to join an organisation. The link accepts.
        Invited = "invited",
    }
}

impl CodePurpose {
    /// Its key among the words.
    fn key(self) -> &'static str {
        match self {
            Self::SignIn => "code-sign-in",
            Self::Verify => "code-verify",
            Self::Confirm => "code-confirm",
            Self::Recover => "code-recover",
        }
    }
}

impl Notice {
    /// Its key among the words.
    fn key(self) -> &'static str {
        match self {
            Self::NewDevice => "notice-new-device",
            Self::PasswordChanged => "notice-password-changed",
            Self::EmailChangeAsked => "notice-email-change-asked",
            Self::UsernameChanged => "notice-username-changed",
            Self::EmailChanged => "notice-email-changed",
            Self::MobileChanged => "notice-mobile-changed",
            Self::FactorAdded => "notice-factor-added",
            Self::FactorRemoved => "notice-factor-removed",
            Self::FactorLocked => "notice-factor-locked",
            Self::RecoveryLocked => "notice-recovery-locked",
            Self::RecoveryCodesMade => "notice-recovery-codes-made",
            Self::RecoveryStarted => "notice-recovery-started",
            Self::SignUpAttempt => "notice-sign-up-attempt",
            Self::AccountDeleted => "notice-account-deleted",
            Self::DataExported => "notice-data-exported",
            Self::RefreshReused => "notice-refresh-reused",
            Self::ActedOnBehalf => "notice-acted-on-behalf",
            Self::Suspended => "notice-suspended",
            Self::Restored => "notice-restored",
            Self::AccountRemoved => "notice-account-removed",
            Self::SessionsEnded => "notice-sessions-ended",
            Self::FactorsReset => "notice-factors-reset",
            Self::RolesChanged => "notice-roles-changed",
            Self::AccountChanged => "notice-account-changed",
            Self::AccountMade => "notice-account-made",
            Self::Invited => "notice-invited",
        }
    }
}

impl Notice {
    /// Whether its link is what it is for: without one that is still good it says nothing.
    pub(super) fn is_a_way_in(self) -> bool {
        matches!(self, Self::AccountMade | Self::Invited)
    }

    /// Whether somebody else did it than the user or a stranger.
    fn is_by_staff(self) -> bool {
        matches!(
            self,
            Self::ActedOnBehalf
                | Self::Suspended
                | Self::Restored
                | Self::AccountRemoved
                | Self::SessionsEnded
                | Self::FactorsReset
                | Self::RolesChanged
                | Self::AccountChanged
                | Self::AccountMade
                | Self::Invited
        )
    }
}

/// What a message says, and in which language.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Letter {
    /// The language.
    pub locale: Locale,
    /// What it says.
    pub content: Content,
}

/// What a letter is about. Links are paths: the origin is put before them when they are shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum Content {
    /// A code.
    Code {
        /// What it is good for.
        purpose: CodePurpose,
        /// The code.
        code: String,
        /// Where it can be answered with one press, beside typing it.
        link: Option<String>,
        /// For how many minutes it is good, at least one.
        minutes: u64,
    },
    /// Something that happened.
    Notice {
        /// What.
        what: Notice,
        /// When.
        at: Timestamp,
        /// From which address, when somebody asked for it.
        address: Option<String>,
        /// With what, as it calls itself.
        user_agent: Option<String>,
        /// Where to say "that was not me", or to undo it.
        link: Option<String>,
        /// Until when it can be undone.
        until: Option<Timestamp>,
    },
}

impl Letter {
    /// A letter with a code that is good until `valid_until`.
    pub fn code(code: &super::Code<'_>, moment: &Moment) -> Self {
        let minutes = (code.valid_until.since(moment.now).as_secs() / 60).max(1);
        let content = Content::Code {
            purpose: code.purpose,
            code: code.code.to_owned(),
            link: path(code.link),
            minutes,
        };
        Self { locale: code.locale, content }
    }

    /// A letter about something that happens at this moment, and from where.
    pub fn notice(notify: &super::Notify<'_>, moment: &Moment) -> Self {
        let client = moment.client.as_deref();
        let content = Content::Notice {
            what: notify.what,
            at: moment.now,
            address: client.map(|client| client.address.to_string()),
            user_agent: client.and_then(|client| client.user_agent.clone()),
            link: path(notify.link),
            until: notify.until,
        };
        Self { locale: notify.locale, content }
    }
}

/// Only a path can follow an origin: `@evil.example` after it would be another host.
fn path(link: Option<&str>) -> Option<String> {
    let is_path = |link: &&str| {
        link.starts_with('/') && !link.chars().any(|letter| letter.is_control() || letter.is_whitespace())
    };
    link.filter(is_path).map(str::to_owned)
}

/// A letter as a text message.
pub fn text(letter: &Letter, origin: &Origin) -> String {
    let (locale, host) = (letter.locale, origin.host());
    match &letter.content {
        Content::Code { code, minutes, .. } => code_text(locale, host, code, *minutes),
        Content::Notice { what, link, .. } => {
            let key = what.key();
            let said = say(locale, &format!("{key}.subject"), &[("host", host.into())]);
            let places = [("host", host.into()), ("what", said.into())];
            match link {
                None => say(locale, "sms-notice-plain", &places),
                Some(path) => {
                    let [one, two] = places;
                    let action = say(locale, &either(key, "action"), &[]);
                    let link = ("link", origin.link(path).into());
                    say(locale, "sms-notice", &[one, two, ("action", action.into()), link])
                }
            }
        }
    }
}

/// The text message that carries a code, for `minutes` from now.
///
/// The last line is exactly what phones read to fill the code in, and to fill it in on this host
/// only (WICG, "Origin-bound one-time codes delivered via SMS").
pub(super) fn code_text(locale: Locale, host: &str, code: &str, minutes: u64) -> String {
    let compose = |key: &str| {
        let said =
            say(locale, key, &[("code", code.into()), ("host", host.into()), ("minutes", minutes.into())]);
        format!("{said}\n\n@{host} #{code}")
    };
    let full = compose("sms-code");
    // A second segment costs twice; a host named once, in the last line, is enough then.
    if segments(&full) == 1 { full } else { compose("sms-code-short") }
}

/// The notice's own words for `part` where it has some, else those of every notice.
fn either(key: &str, part: &str) -> String {
    let own = format!("{key}.{part}");
    if has(&own) { own } else { format!("notice-{part}") }
}

/// A letter as a mail.
pub fn mail(letter: &Letter, origin: &Origin) -> Page {
    let (locale, host) = (letter.locale, origin.host());
    let tell = |key: &str| say(locale, key, &[("host", host.into())]);
    match &letter.content {
        Content::Code { purpose, code, link, minutes } => {
            let key = purpose.key();
            let mut blocks = vec![
                Block::Text(tell(key)),
                Block::Code(code.clone()),
                Block::Text(say(locale, "code-life", &[("minutes", (*minutes).into())])),
            ];
            if let Some(path) = link {
                blocks.push(Block::Text(tell("code-link")));
                blocks.push(Block::Link { label: tell("code-link-label"), url: origin.link(path) });
            }
            blocks.push(Block::Small(tell("code-never-share")));
            blocks.push(Block::Small(tell("code-not-asked")));
            Page { subject: tell(&format!("{key}.subject")), blocks }
        }
        Content::Notice { what, at, address, user_agent, link, until } => {
            let key = what.key();
            let mut facts = vec![(tell("notice-when"), when(*at))];
            facts.extend(address.clone().map(|address| (tell("notice-address"), address)));
            // What somebody calls themselves who has proved nothing has no place in a mail of ours.
            let by_a_stranger = matches!(what, Notice::SignUpAttempt | Notice::RecoveryStarted);
            if what.is_by_staff() {
                // Where an administrator sits is nothing to the user.
                facts.retain(|(name, _)| *name != tell("notice-address"));
            }
            let by_a_stranger = by_a_stranger || what.is_by_staff();
            let device = known_as(user_agent.as_deref()).filter(|_| !by_a_stranger);
            facts.extend(device.map(|device| (tell("notice-device"), device)));
            facts.extend(until.map(|until| (tell("notice-until"), when(until))));
            let mut blocks = vec![Block::Text(tell(key)), Block::Facts(facts)];
            // Whoever is only asked to join has no account that it could be about.
            let is_of_account = *what != Notice::Invited;
            if is_of_account {
                blocks.insert(0, Block::Text(tell("notice-intro")));
            }
            if let Some(path) = link {
                blocks.push(Block::Text(tell(&either(key, "not-you"))));
                blocks.push(Block::Link { label: tell(&either(key, "action")), url: origin.link(path) });
            }
            if is_of_account {
                blocks.push(Block::Small(tell("notice-no-reply")));
            }
            Page { subject: tell(&format!("{key}.subject")), blocks }
        }
    }
}

/// A letter as a voice says it: a code digit by digit, and once more.
pub fn spoken(letter: &Letter, origin: &Origin) -> String {
    let (locale, host) = (letter.locale, origin.host());
    match &letter.content {
        Content::Code { code, .. } => {
            // A pause between the digits, or a voice makes one number of them.
            let digits: Vec<String> = code.chars().map(String::from).collect();
            say(locale, "call-code", &[("code", digits.join(", ").into()), ("host", host.into())])
        }
        Content::Notice { what, .. } => {
            let said = say(locale, &format!("{}.subject", what.key()), &[("host", host.into())]);
            say(locale, "sms-notice-plain", &[("host", host.into()), ("what", said.into())])
        }
    }
}

fn when(at: Timestamp) -> String {
    words::when(&at.to_string())
}
