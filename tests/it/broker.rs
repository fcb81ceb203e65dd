//! Events in a real RabbitMQ of the suite's own, which is killed and comes back: nothing is lost.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use amqprs::channel::{
    BasicAckArguments, BasicGetArguments, Channel, ExchangeDeclareArguments, QueueBindArguments,
    QueueDeclareArguments,
};
use amqprs::connection::{Connection, OpenConnectionArguments};
use serde_json::Value as Json;
use vestibule::audit::{Event, Outgoing};
use vestibule::secret::Secret;
use vestibule::store::Query;

use crate::scripted::{Scripted, answer};
use crate::told;
use crate::world::World;

/// Where `scripts/test` found the server; without it, this is left out.
const SERVER: &str = "VESTIBULE_TEST_RABBITMQ";

/// A server with its data in a folder of its own, ended with all that it started.
struct Rabbit {
    server: PathBuf,
    home: PathBuf,
    ports: [u16; 3],
    child: Option<Child>,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Rabbit {
    fn new(server: PathBuf) -> Self {
        let name = format!("vestibule-rabbit-{}-{}", std::process::id(), free_port());
        let home = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&home).unwrap();
        std::fs::write(home.join("plugins"), "[].").unwrap();
        std::fs::write(home.join("environment"), "").unwrap();
        Self { server, home, ports: [free_port(), free_port(), free_port()], child: None }
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let [port, cluster, names] = self.ports.map(|port| port.to_string());
        let place = |name: &str| self.home.join(name);
        let mut command = Command::new(program);
        command.env("HOME", &self.home).current_dir(&self.home);
        command.env("ERL_EPMD_PORT", names).env("ERL_EPMD_ADDRESS", "127.0.0.1");
        command.env("RABBITMQ_NODENAME", "vestibule@localhost").env("RABBITMQ_DIST_PORT", cluster);
        command.env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1").env("RABBITMQ_NODE_PORT", port);
        command.env("RABBITMQ_MNESIA_BASE", place("data")).env("RABBITMQ_LOG_BASE", place("log"));
        command.env("RABBITMQ_LOGS", "-").env("RABBITMQ_CONFIG_FILE", place("none"));
        command.env("RABBITMQ_CONF_ENV_FILE", place("environment"));
        command.env("RABBITMQ_ENABLED_PLUGINS_FILE", place("plugins")).env("RABBITMQ_PID_FILE", place("pid"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    async fn start(&mut self) {
        let start = Instant::now();
        self.child = Some(self.command(&self.server).spawn().unwrap());
        while self.connect().await.is_none() {
            assert!(start.elapsed() < Duration::from_secs(120), "RabbitMQ does not start");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        told::figure(format_args!("RabbitMQ: there after {} s", start.elapsed().as_secs()));
    }

    /// As a power cut would. The pid is that of the server, which its launcher became the parent of.
    fn kill(&mut self) {
        if let Ok(pid) = std::fs::read_to_string(self.home.join("pid")) {
            let _ = Command::new("kill").args(["-9", pid.trim()]).status();
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_file(self.home.join("pid"));
    }

    async fn connect(&self) -> Option<(Connection, Channel)> {
        let to = OpenConnectionArguments::new("127.0.0.1", self.ports[0], "guest", "guest");
        let connection =
            tokio::time::timeout(Duration::from_secs(10), Connection::open(&to)).await.ok()?.ok()?;
        let channel = connection.open_channel(None).await.ok()?;
        Some((connection, channel))
    }

    /// Declares the queue and what comes into it, as a consumer does whenever it comes back: a binding that was
    /// confirmed a moment before the broker was killed may be gone, though its queue and messages are not.
    async fn listen(&self) {
        let (connection, channel) = self.connect().await.expect("RabbitMQ");
        let exchange = ExchangeDeclareArguments::new("vestibule", "topic").durable(true).finish();
        channel.exchange_declare(exchange).await.expect("a durable topic exchange");
        channel.queue_declare(QueueDeclareArguments::durable_client_named(QUEUE)).await.unwrap();
        channel.queue_bind(QueueBindArguments::new(QUEUE, "vestibule", "#")).await.unwrap();
        channel.close().await.unwrap();
        connection.close().await.unwrap();
    }

    /// Everything in the queue, taken out.
    async fn messages(&self) -> Vec<Message> {
        let (connection, channel) = self.connect().await.expect("RabbitMQ");
        let mut found = Vec::new();
        while let Some((get, properties, body)) =
            channel.basic_get(BasicGetArguments::new(QUEUE)).await.unwrap()
        {
            channel.basic_ack(BasicAckArguments::new(get.delivery_tag(), false)).await.unwrap();
            found.push(Message {
                key: get.routing_key().clone(),
                id: properties.message_id().unwrap().to_string(),
                lasts: properties.delivery_mode() == Some(2),
                body: serde_json::from_slice(&body).unwrap(),
            });
        }
        channel.close().await.unwrap();
        connection.close().await.unwrap();
        found
    }
}

impl Drop for Rabbit {
    fn drop(&mut self) {
        self.kill();
        // The names' server of this node alone: it has a port of its own.
        let _ = self.command("epmd").arg("-kill").status();
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

const QUEUE: &str = "of-the-test";

struct Message {
    key: String,
    id: String,
    lasts: bool,
    body: Json,
}

async fn events(world: &World) -> Vec<String> {
    let query = Query::<Event>::along(Event::BY_TIME).limit(1_000);
    world.app.store.find(query).await.unwrap().items.into_iter().map(|event| event.id.to_string()).collect()
}

async fn waiting(world: &World) -> Vec<Outgoing> {
    let query = Query::<Outgoing>::along(Outgoing::BY_STATE).limit(1_000);
    let items = world.app.store.find(query).await.unwrap().items;
    items.into_iter().map(|seen| seen.into_inner()).filter(|row| row.due_at.is_some()).collect()
}

async fn run(world: &World) -> usize {
    vestibule::events::run_due(&world.ctx()).await.unwrap()
}

/// Runs until nothing waits; what fails waits for its time.
async fn drain(world: &World) {
    for _ in 0..100 {
        while run(world).await > 0 {}
        if waiting(world).await.is_empty() {
            return;
        }
        // A broker that has just come back brings its queues back one by one.
        tokio::time::sleep(Duration::from_millis(200)).await;
        world.advance(Duration::from_secs(600));
    }
    panic!("something is never told: {:?}", waiting(world).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_in_the_broker_although_it_was_killed_and_nobody_listened_at_first() {
    let Some(server) = std::env::var_os(SERVER) else {
        told::left_out(format_args!("{SERVER} names no RabbitMQ."));
        return;
    };
    let mut rabbit = Rabbit::new(server.into());
    let address = format!("amqp://guest:guest@127.0.0.1:{}", rabbit.ports[0]);
    let world = World::plan().config(move |config| config.events.amqp = Secret::new(&address)).build().await;

    // The broker is not there yet: events wait, and nobody who signs up does.
    world.member().await;
    assert_eq!(run(&world).await, 0);
    let rows = waiting(&world).await;
    assert_eq!(rows.len(), events(&world).await.len());
    assert!(rows.iter().any(|row| row.attempts == 1 && row.trouble.is_some() && !row.published), "{rows:?}");

    // It is there, and no queue wants them: they are not lost either.
    rabbit.start().await;
    world.advance(Duration::from_secs(60));
    assert_eq!(run(&world).await, 0);
    let rows = waiting(&world).await;
    let is_given_back = |row: &Outgoing| row.trouble.as_ref().is_some_and(|why| why.contains("no queue"));
    assert!(rows.len() > 1 && rows.iter().all(is_given_back), "one kind keeps no other waiting: {rows:?}");

    rabbit.listen().await;
    drain(&world).await;
    let before = events(&world).await;

    // Killed in the middle, with what it has confirmed in it; comes back with it.
    world.advance(Duration::from_secs(1));
    let mut user = world.member().await;
    rabbit.kill();
    user.signs_in().await;
    assert_eq!(run(&world).await, 0);
    assert!(!waiting(&world).await.is_empty());
    rabbit.start().await;
    rabbit.listen().await;
    drain(&world).await;

    let (messages, happened) = (rabbit.messages().await, events(&world).await);
    assert!(happened.len() > before.len());
    for id in &happened {
        assert!(messages.iter().any(|message| message.id == *id), "{id} is lost");
    }
    for message in &messages {
        assert!(message.lasts && message.body["id"] == message.id, "{}", message.body);
        assert_eq!(message.body["type"], message.key);
        assert!(happened.contains(&message.id));
    }
    // While all is well, each once and in order.
    world.advance(Duration::from_secs(1));
    user.post("/api/v1/auth/logout", serde_json::json!({})).await;
    drain(&world).await;
    let ids: Vec<_> = rabbit.messages().await.into_iter().map(|message| message.id).collect();
    assert_eq!(ids, events(&world).await[happened.len()..]);
}

/// Whose events go to this receiver, and to a broker that is not there.
async fn house(receiver: &Scripted) -> World {
    let (url, allowed) = (receiver.url(), receiver.address.to_string());
    let plan = World::plan().config(move |config| {
        config.events.url = url;
        config.events.secret = Secret::new("0123456789abcdef0123456789abcdef");
        // Nobody listens there.
        config.events.amqp = Secret::new(format!("amqp://127.0.0.1:{}", free_port()));
        config.server.outbound_allow.push(allowed);
    });
    plan.build().await
}

/// Both are told, and neither twice because the other has trouble.
#[tokio::test]
async fn who_has_an_event_is_not_told_again_because_the_broker_is_away() {
    let receiver = Scripted::new([answer(204, "")]).await;
    let world = house(&receiver).await;
    world.member().await;
    for _ in 0..30 {
        run(&world).await;
        world.advance(Duration::from_secs(3_600));
    }
    let mut told: Vec<_> = receiver.requests().into_iter().map(|request| request.body).collect();
    let times = told.len();
    told.sort();
    told.dedup();
    assert!(times > 0 && told.len() == times, "{told:?}");
    let query = Query::<Outgoing>::along(Outgoing::BY_STATE).limit(100);
    let rows = world.app.store.find(query).await.unwrap().items;
    assert!(rows.iter().all(|row| !row.published) && rows.iter().any(|row| row.posted), "{rows:?}");
}

/// Each is left alone by itself; what it was not asked for is not given up meanwhile.
#[tokio::test]
async fn the_webhook_is_told_everything_at_once_while_the_broker_is_away() {
    let receiver = Scripted::new([answer(204, "")]).await;
    let world = house(&receiver).await;
    for _ in 0..4 {
        world.member().await;
    }
    let due = waiting(&world).await.len();
    assert!(due > 7, "{due}");
    let tried = async || waiting(&world).await.iter().map(|row| row.attempts).sum::<u32>();
    for _ in 0..20 {
        assert_eq!(run(&world).await, 0);
    }
    assert_eq!((receiver.requests().len(), tried().await), (due, 5));
    for hour in 1..=10 {
        world.advance(Duration::from_secs(3_600));
        for _ in 0..3 {
            assert_eq!(run(&world).await, 0);
        }
        // One finds out whether the broker is back.
        assert_eq!(tried().await, 5 + hour);
    }
    let rows = waiting(&world).await;
    assert!(rows.len() == due && rows.iter().all(|row| row.posted && !row.published), "{rows:?}");
    assert_eq!(receiver.requests().len(), due);
}
