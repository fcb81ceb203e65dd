//! The one client of a message broker (AMQP 0-9-1, such as RabbitMQ): one connection, one message at a time,
//! each confirmed.
//!
//! Always holds: what [`Broker::publish`] calls taken, the broker has confirmed, and put into a queue. What it
//! neither took nor gave back ends the connection, and the next message opens another: an answer that comes late
//! can never be taken for that of another message.

use std::sync::Arc;
use std::time::Duration;

use amqprs::callbacks::ChannelCallback;
use amqprs::channel::{BasicPublishArguments, Channel, ConfirmSelectArguments, ExchangeDeclareArguments};
use amqprs::connection::{Connection, OpenConnectionArguments};
use amqprs::error::Error;
use amqprs::tls::TlsAdaptor;
use amqprs::{Ack, BasicProperties, Cancel, CloseChannel, DELIVERY_MODE_PERSISTENT, Nack, Return};
use async_trait::async_trait;
use reqwest::Url;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

use crate::clock::Timestamp;
use crate::tls;

/// How long a connection may take to be made, and how long a confirmation.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest name that the protocol has room for, in bytes.
const LONGEST_NAME: usize = 255;

/// A message.
#[derive(Clone, Copy, Debug)]
pub struct Published<'a> {
    /// Its id.
    pub id: &'a str,
    /// What it tells of; also the routing key.
    pub kind: &'a str,
    /// When that happened.
    pub at: Timestamp,
    /// The message as JSON.
    pub body: &'a str,
}

/// Why the broker may not have a message.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Trouble {
    /// It works, and no queue wants this message.
    #[error("no queue takes it: {0}")]
    NoQueue(String),
    /// It did not take it, or nobody knows.
    #[error("{0}")]
    Failed(String),
}

impl Trouble {
    fn failed(why: impl ToString) -> Self {
        Self::Failed(why.to_string())
    }
}

/// Where the broker is.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Target {
    host: String,
    port: u16,
    user: String,
    password: String,
    virtual_host: String,
    is_tls: bool,
}

impl Target {
    /// Reads `amqp://user:password@host:port/vhost` (the AMQP URI of RabbitMQ).
    fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let is_tls = match url.scheme() {
            "amqp" => false,
            "amqps" => true,
            _ => return None,
        };
        if url.query().is_some() || url.fragment().is_some() {
            return None;
        }
        let named = |name: &str, otherwise: &str| match name {
            "" => Some(otherwise.to_owned()),
            name => decoded(name).filter(|name| name.len() <= LONGEST_NAME),
        };
        let path = url.path().strip_prefix('/').unwrap_or_default();
        Some(Self {
            host: url.host_str().filter(|host| !host.is_empty())?.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(if is_tls { 5671 } else { 5672 }),
            user: named(url.username(), "guest")?,
            password: named(url.password().unwrap_or_default(), "guest")?,
            virtual_host: if path.contains('/') { return None } else { named(path, "/")? },
            is_tls,
        })
    }
}

/// Undoes percent-encoding (RFC 3986 §2.1).
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit =
                    |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(rest.next()?)? * 16 + digit(rest.next()?)?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Whether `text` is an address that can be published to.
pub fn is_address(text: &str) -> bool {
    Target::parse(text).is_some()
}

/// Whether an exchange can be called so.
pub fn is_exchange(name: &str) -> bool {
    !name.is_empty() && name.len() <= LONGEST_NAME && !name.starts_with("amq.")
}

/// The client.
pub struct Broker {
    target: Target,
    exchange: String,
    tls: Option<Arc<rustls::ClientConfig>>,
    line: Mutex<Option<Line>>,
}

impl Broker {
    /// The client that publishes to an `exchange` at this address; none without one. Nothing is connected to yet.
    ///
    /// # Errors
    /// A sentence, when the address cannot be read or TLS cannot be set up.
    pub fn configured(address: &str, exchange: &str) -> Result<Option<Self>, String> {
        if address.is_empty() {
            return Ok(None);
        }
        let target =
            Target::parse(address).ok_or("events.amqp is not an address that can be published to")?;
        let tls = match target.is_tls {
            true => Some(Arc::new(tls::client().map_err(|error| error.to_string())?)),
            false => None,
        };
        Ok(Some(Self { target, exchange: exchange.to_owned(), tls, line: Mutex::default() }))
    }

    /// Has the broker keep a message, for whoever has a queue bound to it.
    ///
    /// # Errors
    /// Why it may not have it.
    pub async fn publish(&self, message: Published<'_>) -> Result<(), Trouble> {
        let mut kept = self.line.lock().await;
        // It is put back only when its conversation is at its end.
        let line = match kept.take().filter(Line::is_open) {
            Some(line) => line,
            None => match timeout(PATIENCE, self.connect()).await {
                Ok(line) => line.map_err(Trouble::failed)?,
                Err(_) => return Err(Trouble::failed("the broker did not let us in in time")),
            },
        };
        let mut line = line;
        let published = timeout(PATIENCE, line.publish(&self.exchange, message)).await;
        let published =
            published.unwrap_or_else(|_| Err(Trouble::failed("the broker did not confirm in time")));
        if matches!(published, Ok(()) | Err(Trouble::NoQueue(_))) {
            *kept = Some(line);
        }
        published
    }

    async fn connect(&self) -> Result<Line, Error> {
        let Target { host, port, user, password, virtual_host, .. } = &self.target;
        let mut arguments = OpenConnectionArguments::new(host, *port, user, password);
        arguments.virtual_host(virtual_host).connection_name("vestibule");
        if let Some(config) = &self.tls {
            let connector = tokio_rustls::TlsConnector::from(config.clone());
            arguments.tls_adaptor(TlsAdaptor::new(connector, host.clone()));
        }
        let connection = Connection::open(&arguments.finish()).await?;
        let mut line = Line::of(connection).await?;
        if let Some(channel) = &line.channel {
            let (told, heard) = mpsc::channel(16);
            channel.register_callback(Ears(told)).await?;
            let exchange = ExchangeDeclareArguments::new(&self.exchange, "topic").durable(true).finish();
            channel.exchange_declare(exchange).await?;
            channel.confirm_select(ConfirmSelectArguments::default()).await?;
            line.heard = Some(heard);
        }
        Ok(line)
    }
}

/// What the broker told.
enum Told {
    /// It has the message of this number (or all up to it), or not.
    Confirmed(u64, bool),
    /// No queue wants the message.
    Returned(String),
    /// It wants no more of us.
    Closed(String),
}

/// A connection that is open.
struct Line {
    connection: Option<Connection>,
    channel: Option<Channel>,
    heard: Option<mpsc::Receiver<Told>>,
    sent: u64,
    runtime: Handle,
}

impl Line {
    async fn of(connection: Connection) -> Result<Self, Error> {
        let runtime = Handle::current();
        let mut line = Self { connection: Some(connection), channel: None, heard: None, sent: 0, runtime };
        if let Some(connection) = &line.connection {
            line.channel = Some(connection.open_channel(None).await?);
        }
        Ok(line)
    }

    fn is_open(&self) -> bool {
        self.connection.as_ref().is_some_and(Connection::is_open)
            && self.channel.as_ref().is_some_and(Channel::is_open)
    }

    async fn publish(&mut self, exchange: &str, message: Published<'_>) -> Result<(), Trouble> {
        let (Some(channel), Some(heard)) = (&self.channel, &mut self.heard) else {
            return Err(Trouble::failed("the connection is closed"));
        };
        let properties = BasicProperties::default()
            .with_content_type("application/json")
            .with_delivery_mode(DELIVERY_MODE_PERSISTENT)
            .with_message_id(message.id)
            .with_message_type(message.kind)
            .with_timestamp(u64::try_from(message.at.as_millis() / 1_000).unwrap_or_default())
            .with_app_id("vestibule")
            .finish();
        // Mandatory: what no queue takes comes back, instead of being lost without a word.
        let to = BasicPublishArguments::new(exchange, message.kind).mandatory(true).finish();
        self.sent += 1;
        let sent = channel.basic_publish(properties, message.body.as_bytes().to_vec(), to).await;
        sent.map_err(Trouble::failed)?;
        let mut returned = None;
        loop {
            match heard.recv().await {
                // A return comes before the confirmation of the same message.
                Some(Told::Returned(why)) => returned = Some(why),
                Some(Told::Confirmed(number, is_taken)) if number >= self.sent => {
                    return match (is_taken, returned) {
                        (true, None) => Ok(()),
                        (true, Some(why)) => Err(Trouble::NoQueue(why)),
                        (false, _) => Err(Trouble::failed("the broker did not take it")),
                    };
                }
                Some(Told::Confirmed(..)) => {}
                Some(Told::Closed(why)) => return Err(Trouble::Failed(why)),
                None => return Err(Trouble::failed("the connection ended")),
            }
        }
    }
}

impl Drop for Line {
    /// Saying good-bye takes a task, and this may be dropped where there is no runtime.
    fn drop(&mut self) {
        let _inside = self.runtime.enter();
        self.channel = None;
        self.connection = None;
    }
}

/// Passes on what the broker says of a channel.
struct Ears(mpsc::Sender<Told>);

impl Ears {
    async fn pass_on(&self, told: Told) {
        // Nobody listens any more: the line is being closed.
        let _ = self.0.send(told).await;
    }
}

#[async_trait]
impl ChannelCallback for Ears {
    async fn close(&mut self, _: &Channel, close: CloseChannel) -> Result<(), Error> {
        self.pass_on(Told::Closed(format!("{} {}", close.reply_code(), close.reply_text()))).await;
        Ok(())
    }

    async fn cancel(&mut self, _: &Channel, _: Cancel) -> Result<(), Error> {
        Ok(())
    }

    async fn flow(&mut self, _: &Channel, is_active: bool) -> Result<bool, Error> {
        Ok(is_active)
    }

    async fn publish_ack(&mut self, _: &Channel, ack: Ack) {
        self.pass_on(Told::Confirmed(ack.delivery_tag(), true)).await;
    }

    async fn publish_nack(&mut self, _: &Channel, nack: Nack) {
        self.pass_on(Told::Confirmed(nack.delivery_tag(), false)).await;
    }

    async fn publish_return(&mut self, _: &Channel, back: Return, _: BasicProperties, _: Vec<u8>) {
        self.pass_on(Told::Returned(format!("{} {}", back.reply_code(), back.reply_text()))).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_or_refused() {
        let read = |text: &str| {
            Target::parse(text).map(|to| (to.host, to.port, to.user, to.password, to.virtual_host))
        };
        let told = |host: &str, port, user: &str, password: &str, path: &str| {
            Some((host.to_owned(), port, user.to_owned(), password.to_owned(), path.to_owned()))
        };
        assert_eq!(read("amqp://localhost"), told("localhost", 5672, "guest", "guest", "/"));
        assert_eq!(
            read("amqps://u:p%40%2F@mq.example:1/%2Fa%C3%A9"),
            told("mq.example", 1, "u", "p@/", "/aé")
        );
        assert_eq!(read("amqps://[::1]/"), told("::1", 5671, "guest", "guest", "/"));
        for text in [
            "",
            "http://x",
            "amqp://",
            "amqp:x",
            "amqp://x/a/b",
            "amqp://x/?heartbeat=1",
            "amqp://x/%",
            "amqp://x/%zz",
            "amqp://x/%ff",
            "amqp://u:%4@x",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert!(!is_address(&format!("amqp://x/{}", "a".repeat(256))));
        assert!(
            is_exchange("vestibule")
                && !is_exchange("")
                && !is_exchange("amq.topic")
                && !is_exchange(&"x".repeat(256))
        );
    }
}
