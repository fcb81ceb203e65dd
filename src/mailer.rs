//! The one SMTP client: pooled connections, time-outs, and an answer that tells apart what was
//! surely taken, surely not taken, and unknown.
//!
//! Always holds: nothing that was put into a field can add a line to the headers or a command to the
//! conversation; with TLS asked for, nothing is said before the server's certificate was found right.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use lettre::Message;
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use tokio::time::{Instant, timeout_at};

use crate::clock::Timestamp;
use crate::config::{Smtp, SmtpTls};

/// A mail to one person.
#[derive(Clone, Copy, Debug)]
pub struct Mail<'a> {
    /// The address.
    pub to: &'a str,
    /// What it is about; one line.
    pub subject: &'a str,
    /// What it says, as text.
    pub text: &'a str,
    /// The same as HTML.
    pub html: &'a str,
    /// Its name, the same for every copy of it: what stands before the `@` of `Message-ID`.
    pub id: &'a str,
    /// When it was written.
    pub at: Timestamp,
}

/// What became of a mail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Posted {
    /// The server has it, and said this.
    Taken(String),
    /// The server, which was asked to take it, surely does not have it and may take it later: its reply code.
    Later(u16, String),
    /// No mail was begun: the server was not reached, or said, with this code, that it takes none now.
    Away(Option<u16>, String),
    /// The server refused it for good: its reply code.
    Refused(u16, String),
    /// We are not let in: no TLS that can be trusted, or no sign-in. Nothing was sent.
    NotLetIn(String),
    /// Whether the server has it is not known.
    Unknown(String),
}

/// The client.
pub struct Mailer {
    server: (String, u16),
    tls: Protection,
    credentials: Option<Credentials>,
    from: Mailbox,
    reply_to: Option<Mailbox>,
    host: String,
    timeout: Duration,
    /// Connections that wait for the next mail, and since when. One is taken out while it is used
    /// and comes back only when its conversation is at its end: after a time-out, the late answer to
    /// one mail would be taken for the answer to another.
    idle: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
    most_idle: usize,
}

enum Protection {
    Plain,
    Starttls(TlsParameters),
    Tls(TlsParameters),
}

/// How long a connection waits for the next mail; servers hang up after five minutes at the earliest
/// (RFC 5321 §4.5.3.2.7), networks in between sooner.
const IDLE: Duration = Duration::from_secs(60);

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailer")
    }
}

/// `Auto-Submitted: auto-generated` (RFC 3834 §5): no machine should answer.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }
    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }
    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

impl Mailer {
    /// A client for the configured server; none when there is none. `host` is how we name ourselves,
    /// to the server and in `Message-ID`.
    ///
    /// # Errors
    /// A sentence for the operator about a setting that cannot be used.
    pub fn new(smtp: &Smtp, host: &str) -> Result<Option<Self>, String> {
        if !smtp.is_configured() {
            return Ok(None);
        }
        let from = smtp.from.parse().map_err(|error| format!("smtp.from: {error}"))?;
        let reply_to = Some(smtp.reply_to.as_str()).filter(|text| !text.is_empty());
        let reply_to = reply_to.map(str::parse).transpose();
        let reply_to = reply_to.map_err(|error| format!("smtp.reply_to: {error}"))?;
        let tls = match smtp.tls {
            SmtpTls::None => Protection::Plain,
            SmtpTls::Starttls => Protection::Starttls(parameters(smtp)?),
            SmtpTls::Tls => Protection::Tls(parameters(smtp)?),
        };
        let credentials = (!smtp.username.is_empty())
            .then(|| Credentials::new(smtp.username.clone(), smtp.password.expose().to_owned()));
        Ok(Some(Self {
            server: (smtp.host.clone(), smtp.port),
            tls,
            credentials,
            from,
            reply_to,
            host: host.to_owned(),
            timeout: *smtp.timeout,
            idle: Mutex::default(),
            most_idle: smtp.connections as usize,
        }))
    }

    /// Sends one mail.
    pub async fn send(&self, mail: Mail<'_>) -> Posted {
        let message = match self.write(mail) {
            Ok(message) => message,
            Err(why) => return Posted::Refused(553, why),
        };
        let deadline = Instant::now() + self.timeout;
        // First only a connection that works, so that what goes wrong afterwards is all that can be
        // doubtful.
        let mut connection = match timeout_at(deadline, self.connection()).await {
            Err(_) => return Posted::Away(None, "timed out".to_owned()),
            Ok(Err(error)) => return before(&error),
            Ok(Ok(connection)) => connection,
        };
        let sent = timeout_at(deadline, connection.send(message.envelope(), &message.formatted())).await;
        match sent {
            Err(_) => Posted::Unknown("timed out".to_owned()),
            Ok(Err(error)) => after(&error),
            Ok(Ok(response)) => {
                self.keep(connection);
                Posted::Taken(response.message().collect::<Vec<_>>().join(" "))
            }
        }
    }

    /// Whether the server lets us in.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub async fn test(&self) -> Result<(), String> {
        match timeout_at(Instant::now() + self.timeout, self.connection()).await {
            Err(_) => Err("it does not answer".to_owned()),
            Ok(Err(error)) => Err(told(&error)),
            Ok(Ok(connection)) => {
                self.keep(connection);
                Ok(())
            }
        }
    }

    /// A connection that answers: one that waits, or a new one.
    async fn connection(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        loop {
            let waiting = self.idle().pop();
            let Some((mut connection, since)) = waiting else { return self.open().await };
            if since.elapsed() < IDLE && connection.test_connected().await {
                return Ok(connection);
            }
        }
    }

    async fn open(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let hello = ClientId::Domain(self.host.clone());
        let (server, port) = (self.server.0.as_str(), self.server.1);
        let from_the_start = match &self.tls {
            Protection::Tls(parameters) => Some(parameters.clone()),
            Protection::Plain | Protection::Starttls(_) => None,
        };
        let patience = Some(self.timeout);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1((server, port), patience, &hello, from_the_start, None)
                .await?;
        if let Protection::Starttls(parameters) = &self.tls {
            connection.starttls(parameters.clone(), &hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(&[Mechanism::Plain, Mechanism::Login], credentials).await?;
        }
        Ok(connection)
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle();
        if idle.len() < self.most_idle && !connection.has_broken() {
            idle.push((connection, Instant::now()));
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(AsyncSmtpConnection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, mail: Mail<'_>) -> Result<Message, String> {
        let address = mail.to.parse().map_err(|error| format!("not an address: {error}"))?;
        // Addresses and subjects never have line breaks here; if one did, it would end there.
        let subject: String = mail.subject.chars().filter(|letter| !letter.is_control()).collect();
        let since = Duration::from_millis(u64::try_from(mail.at.as_millis()).unwrap_or(0));
        let mut builder = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, address))
            .subject(subject)
            .date(SystemTime::UNIX_EPOCH + since)
            .message_id(Some(format!("<{}@{}>", mail.id, self.host)))
            .header(AutoSubmitted);
        if let Some(reply_to) = &self.reply_to {
            builder = builder.reply_to(reply_to.clone());
        }
        let parts = MultiPart::alternative_plain_html(mail.text.to_owned(), mail.html.to_owned());
        builder.multipart(parts).map_err(|error| error.to_string())
    }
}

fn parameters(smtp: &Smtp) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(smtp.host.clone());
    if !smtp.authorities.is_empty() {
        let certificate = Certificate::from_pem(smtp.authorities.as_bytes())
            .map_err(|error| format!("smtp.authorities: {error}"))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build().map_err(|error| format!("smtp.tls: {error}"))
}

fn code(error: &SmtpError) -> Option<u16> {
    error.status().map(u16::from)
}

/// What an error means before any mail was begun.
fn before(error: &SmtpError) -> Posted {
    let why = told(error);
    if error.is_tls() || error.is_client() || error.is_permanent() || is_certificate(error) {
        Posted::NotLetIn(why)
    } else {
        Posted::Away(code(error), why)
    }
}

/// What an error means once a mail was begun.
fn after(error: &SmtpError) -> Posted {
    let why = told(error);
    match code(error) {
        // Who cannot take the mail says so before it has it (RFC 5321 §4.2.5: a 4yz or 5yz reply to
        // the end of the data leaves the mail with us).
        Some(code) if error.is_transient() => Posted::Later(code, why),
        Some(code) => Posted::Refused(code, why),
        // Such as an address beyond ASCII, and a server that cannot have one: nothing was sent.
        None if error.is_client() => Posted::Refused(553, why),
        None => Posted::Unknown(why),
    }
}

/// A handshake that failed is told as a connection that failed; what is behind it tells more.
fn is_certificate(error: &SmtpError) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        let io = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if inner.is::<rustls::Error>() || io.is_some_and(|inner| inner.is::<rustls::Error>()) {
            return true;
        }
        source = inner.source();
    }
    false
}

/// The error without the server's own words, which may repeat an address.
fn told(error: &SmtpError) -> String {
    match code(error) {
        Some(code) => format!("the server answered {code}"),
        None => error.to_string(),
    }
}
