//! The one SMTP client: pooled connections, time-outs, and an answer that tells apart what was
//! surely taken, surely not taken, and unknown.
//!
//! Always holds: nothing that was put into a field can add a line to the headers or a command to the
//! conversation; with TLS asked for, nothing is said before the server's certificate was found right.

use std::fmt;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{Error as SmtpError, PoolConfig};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

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
    /// The server surely does not have it, and may take it later. Its reply code, when it gave one.
    Later(Option<u16>, String),
    /// The server refused it for good: its reply code.
    Refused(u16, String),
    /// We are not let in: no TLS that can be trusted, or no sign-in. Nothing was sent.
    NotLetIn(String),
    /// Whether the server has it is not known.
    Unknown(String),
}

/// The client.
pub struct Mailer {
    builder: lettre::transport::smtp::AsyncSmtpTransportBuilder,
    // Made when it is first used: its pool needs a runtime.
    transport: OnceLock<AsyncSmtpTransport<Tokio1Executor>>,
    from: Mailbox,
    reply_to: Option<Mailbox>,
    host: String,
    timeout: Duration,
}

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
            SmtpTls::None => Tls::None,
            SmtpTls::Starttls => Tls::Required(parameters(smtp)?),
            SmtpTls::Tls => Tls::Wrapper(parameters(smtp)?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&smtp.host)
            .port(smtp.port)
            .tls(tls)
            .timeout(Some(*smtp.timeout))
            .hello_name(ClientId::Domain(host.to_owned()))
            .pool_config(PoolConfig::new().max_size(smtp.connections));
        if !smtp.username.is_empty() {
            let credentials = Credentials::new(smtp.username.clone(), smtp.password.expose().to_owned());
            builder = builder.credentials(credentials);
        }
        Ok(Some(Self {
            builder,
            transport: OnceLock::new(),
            from,
            reply_to,
            host: host.to_owned(),
            timeout: *smtp.timeout,
        }))
    }

    /// Sends one mail.
    pub async fn send(&self, mail: Mail<'_>) -> Posted {
        let message = match self.write(mail) {
            Ok(message) => message,
            Err(why) => return Posted::Refused(553, why),
        };
        let transport = self.transport.get_or_init(|| self.builder.clone().build());
        let deadline = tokio::time::Instant::now() + self.timeout;
        // First only a connection that works, so that what goes wrong afterwards is all that can be
        // doubtful.
        match tokio::time::timeout_at(deadline, transport.test_connection()).await {
            Err(_) => return Posted::Later(None, "timed out".to_owned()),
            Ok(Ok(false)) => return Posted::Later(None, "the connection broke".to_owned()),
            Ok(Err(error)) => return before(&error),
            Ok(Ok(true)) => {}
        }
        match tokio::time::timeout_at(deadline, transport.send(message)).await {
            Err(_) => Posted::Unknown("timed out".to_owned()),
            Ok(Ok(response)) => Posted::Taken(response.message().collect::<Vec<_>>().join(" ")),
            Ok(Err(error)) => after(&error),
        }
    }

    /// Whether the server lets us in.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub async fn test(&self) -> Result<(), String> {
        let transport = self.transport.get_or_init(|| self.builder.clone().build());
        match tokio::time::timeout(self.timeout, transport.test_connection()).await {
            Err(_) => Err("it does not answer".to_owned()),
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err("it ends the connection".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
        }
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
        Posted::Later(code(error), why)
    }
}

/// What an error means once a mail was begun.
fn after(error: &SmtpError) -> Posted {
    let why = told(error);
    match code(error) {
        // Who cannot take the mail says so before it has it (RFC 5321 §4.2.5: a 4yz or 5yz reply to
        // the end of the data leaves the mail with us).
        Some(code) if error.is_transient() => Posted::Later(Some(code), why),
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
