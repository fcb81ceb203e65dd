//! The real server as a child process: a place for its data, its settings, its start, its end.
//!
//! Loopback only. A child is ended by its own handle when it is dropped, and its data go with it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::load::{Answer, Connection, request};

/// Whatever went wrong, with a sentence.
pub type Res<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The paths that are asked here, in one place.
pub mod path {
    pub const HEALTH: &str = "/health";
    pub const SIGN_UP: &str = "/api/v1/users";
    pub const SIGN_IN: &str = "/api/v1/auth/login";
    pub const VERIFY: &str = "/api/v1/auth/verify-code";
    pub const REFRESH: &str = "/api/v1/auth/refresh";
    pub const AUTHENTICATED: &str = "/api/v1/auth/authenticated";
    pub const MESSAGES: &str = "/dev/messages";
}

/// The setting that names a policy file, in the environment.
pub const POLICY: &str = "VESTIBULE_POLICY";

/// What limits nobody, over the default policy. Time, disk and hashing alone are to set the pace.
pub const UNLIMITED: &str = r#"
[limits]
sign_in_identifier = { limit = 1000000, window = "1m" }
sign_in_account_day = { limit = 1000000, window = "24h" }
sign_in_account_month = { limit = 1000000, window = "30d" }
sign_in_address = { limit = 1000000, window = "1m" }
sign_up_address = { limit = 1000000, window = "1m" }
code_try_address = { limit = 1000000, window = "1m" }
send_number_short = { limit = 1000000, window = "1m" }
send_number_day = { limit = 1000000, window = "1m" }
send_stranger_short = { limit = 1000000, window = "1m" }
send_stranger_day = { limit = 1000000, window = "1m" }
send_block = { limit = 1000000, window = "1m" }
unproven_block = { limit = 1000000, window = "1m" }
send_others_short = { limit = 1000000, window = "1m" }
send_others_day = { limit = 1000000, window = "1m" }
send_address = { limit = 1000000, window = "1m" }
recover_identifier = { limit = 1000000, window = "1m" }
recover_address = { limit = 1000000, window = "1m" }
recover_device = { limit = 1000000, window = "1m" }
send_recovery = { limit = 1000000, window = "1m" }
send_recovery_number = { limit = 1000000, window = "1m" }
send_recovery_network = { limit = 1000000, window = "1m" }
send_recovery_number_network = { limit = 1000000, window = "1m" }
send_recovery_number_day = { limit = 1000000, window = "1m" }
"#;

/// When a second factor is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Second {
    /// At every sign-in: everybody has a telephone.
    Always,
    /// At none: a user name is enough.
    Never,
}

impl Second {
    fn policy(self) -> String {
        let (required, when) = match self {
            Self::Always => (r#"["username", "mobile"]"#, "always"),
            Self::Never => (r#"["username"]"#, "never"),
        };
        format!("[sign_up]\nrequired = {required}\n[sign_in.second]\nwhen = \"{when}\"\n{UNLIMITED}")
    }
}

/// A folder of its own on the disk that holds the build (not in memory: durable writes are measured
/// here), removed when it is dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new, empty folder.
    pub fn new() -> io::Result<Self> {
        Self::within(Path::new(env!("CARGO_TARGET_TMPDIR")))
    }

    /// One in `parent`.
    pub fn within(parent: &Path) -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("vestibule-{}-{number}", std::process::id());
        let folder = parent.join(name);
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A loopback port that nobody listens on at this moment.
pub fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// The program, started where no `.env` lies, and without settings of whoever runs this.
pub fn bare_vestibule(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vestibule"));
    command.current_dir(home);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("VESTIBULE_") {
            command.env_remove(name);
        }
    }
    command
}

/// A running child that answers on loopback.
pub struct Process {
    child: Child,
    log: PathBuf,
    /// Where it answers.
    pub address: SocketAddr,
    /// From its start to its first 200.
    pub ready_after: Duration,
}

impl Process {
    /// Vestibule in development mode over the data in `home`.
    ///
    /// # Errors
    /// When it does not answer in time; with what it wrote last.
    pub async fn vestibule(home: &Path, second: Second, settings: &[(&str, &str)]) -> Res<Self> {
        let policy = home.join("policy.toml");
        fs::write(&policy, second.policy())?;
        let address = free_address()?;
        let mut command = bare_vestibule(home);
        command.arg("--listen").arg(address.to_string()).arg("--data").arg(home.join("data"));
        command.env(POLICY, &policy).envs(settings.iter().copied());
        Self::start(command, address, path::HEALTH, &home.join("server.log")).await
    }

    /// One node of several, as in production: its settings are all in `settings`, its policy in `policy`.
    ///
    /// # Errors
    /// When it does not answer in time; with what it wrote last.
    pub async fn node(home: &Path, policy: &str, settings: &[(&str, &str)]) -> Res<Self> {
        fs::write(home.join("policy.toml"), policy)?;
        let address = free_address()?;
        let mut command = bare_vestibule(home);
        command.args(["serve", "--listen", &address.to_string()]);
        command.env(POLICY, home.join("policy.toml")).envs(settings.iter().copied());
        Self::start(command, address, path::HEALTH, &home.join("server.log")).await
    }

    /// Another process in the place of one that has ended.
    ///
    /// # Errors
    /// As [`Process::node`].
    pub async fn node_again(&mut self, home: &Path, settings: &[(&str, &str)]) -> Res<()> {
        let mut command = bare_vestibule(home);
        command.args(["serve", "--listen", &self.address.to_string()]);
        command.env(POLICY, home.join("policy.toml")).envs(settings.iter().copied());
        *self = Self::start(command, self.address, path::HEALTH, &home.join("server.log")).await?;
        Ok(())
    }

    /// This very program again, with `arguments` before the address to listen on.
    pub async fn again(arguments: &[&OsStr], health: &str, home: &Path) -> Res<Self> {
        let address = free_address()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).arg(address.to_string());
        Self::start(command, address, health, &home.join("bare.log")).await
    }

    async fn start(mut command: Command, address: SocketAddr, health: &str, log: &Path) -> Res<Self> {
        let output = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let start = Instant::now();
        let child = command.spawn()?;
        let mut process = Self { child, log: log.to_owned(), address, ready_after: Duration::ZERO };
        process.ready_after = process.wait_until_ready(start, health).await?;
        Ok(process)
    }

    /// Asks again and again until it answers 200.
    async fn wait_until_ready(&mut self, start: Instant, health: &str) -> Res<Duration> {
        let ask = request("GET", health, None, None);
        let mut connection = Connection::new(self.address);
        loop {
            if connection.send(&ask).await.is_ok_and(|answer| answer.status == 200) {
                return Ok(start.elapsed());
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || start.elapsed() > Duration::from_secs(15) {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                let tail: Vec<_> = log.lines().rev().take(20).collect();
                let tail: Vec<_> = tail.into_iter().rev().collect();
                let how = ended.map_or("does not answer".to_owned(), |status| status.to_string());
                return Err(format!("the server did not start ({how}):\n{}", tail.join("\n")).into());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Ends it at once, as a power cut would (SIGKILL), and waits until it is gone.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// A line of `/proc/PID/status` in KiB, such as `VmRSS` (resident now) or `VmHWM` (at most so far).
    pub fn memory_kib(&self, line: &str) -> Res<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        let number = found.and_then(|text| text.split_whitespace().next());
        Ok(number.ok_or_else(|| format!("no {line} in /proc"))?.parse()?)
    }

    /// The processor time that it has used, to the hundredth of a second.
    pub fn cpu(&self) -> Res<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name in brackets may hold spaces: count from its end (proc(5): utime and stime are 14 and 15).
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks = rest.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        let ticks: u64 = ticks.sum::<Result<_, _>>()?;
        Ok(Duration::from_millis(ticks * 10))
    }

    /// One request on a connection of its own.
    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        bearer: Option<&str>,
        body: Option<&Json>,
    ) -> Res<Answer> {
        Ok(Connection::new(self.address).send(&request(method, path, bearer, body)).await?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

impl Answer {
    /// Itself, when it has this status.
    pub fn must_be(self, status: u16) -> Res<Self> {
        if self.status == status {
            return Ok(self);
        }
        Err(format!("expected {status}, got {}: {}", self.status, self.json()).into())
    }
}

/// The password of everybody here: long enough, and on no list.
pub const PASSWORD: &str = "seven grey herons at low tide";

/// What signs `username` in.
pub fn sign_in_body(username: &str) -> Json {
    json!({"username": username, "password": PASSWORD, "session": "bearer"})
}

/// Signs up `count` users by way of the API, one after the other; returns their names.
pub async fn sign_up_many(server: &Process, count: usize) -> Res<Vec<String>> {
    let names: Vec<_> = (0..count).map(|number| format!("load{number:05}")).collect();
    for name in &names {
        let body = json!({"username": name, "password": PASSWORD});
        server.ask("POST", path::SIGN_UP, None, Some(&body)).await?.must_be(201)?;
    }
    Ok(names)
}

/// A user with a telephone signs up, signs in, reads the code on the phone page and types it: a token.
pub async fn token_by_code(server: &Process, username: &str, mobile: &str) -> Res<String> {
    let signed_in = signed_in_by_code(server, username, mobile, "bearer").await?;
    signed_in.text("/token").ok_or_else(|| format!("no token: {}", signed_in.json()).into())
}

/// The answer to the sign-in of a new user, whose session is carried as `carry`.
pub async fn signed_in_by_code(server: &Process, username: &str, mobile: &str, carry: &str) -> Res<Answer> {
    let body = json!({"username": username, "mobile": mobile, "password": PASSWORD});
    let signed_up = server.ask("POST", path::SIGN_UP, None, Some(&body)).await?.must_be(201)?;
    let inbox = format!("{}?to={}&wait=10", path::MESSAGES, mobile.replace('+', "%2B"));
    // Sign-up may have sent a code of its own, which is not the one that signs in.
    let mut after = String::new();
    if signed_up.text("/verification/id").is_some() {
        let messages = server.ask("GET", &inbox, None, None).await?;
        after = messages.text("/items/0/id").map_or(String::new(), |id| format!("&after={id}"));
    }
    let wanted = json!({"username": username, "password": PASSWORD, "session": carry});
    let asked = server.ask("POST", path::SIGN_IN, None, Some(&wanted)).await?.must_be(200)?;
    let messages = server.ask("GET", &format!("{inbox}{after}"), None, None).await?.must_be(200)?;
    let code = messages
        .text("/items/0/code")
        .ok_or_else(|| format!("no code on the phone page: {}", messages.json()))?;
    let body = json!({"challenge": asked.text("/challenge/id"), "code": code});
    server.ask("POST", path::VERIFY, None, Some(&body)).await?.must_be(200)
}

/// Allows as many open files as the system lets us have: a load has many connections. Children inherit it.
pub fn many_files() -> Res<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}
