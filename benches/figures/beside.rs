//! Servers of our own beside the nodes, on loopback: a PostgreSQL, and a Valkey or Redis. They can be
//! stopped, killed and started again, and are gone with their data when they are dropped.
//!
//! Never the ones that the machine runs.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::server::{Res, free_address};

/// Names the program of a Valkey or Redis server; `scripts/test` sees to it.
const VALKEY: &str = "VESTIBULE_TEST_VALKEY";

/// Longest time for a server to answer.
const START: Duration = Duration::from_secs(30);

/// A folder under the machine's own for such things: a server that runs as another user must get there.
struct Home(PathBuf);

impl Home {
    fn new(owner: Option<u32>) -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("vestibule-beside-{}-{number}", std::process::id()));
        fs::create_dir_all(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
        if owner.is_some() {
            std::os::unix::fs::chown(&path, owner, None)?;
        }
        Ok(Self(path))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn signal(child: &Child, signal: Signal) -> Res<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or("no such process")?;
    Ok(kill_process(pid, signal)?)
}

// ---- PostgreSQL ----

/// A PostgreSQL with durable writes.
pub struct Postgres {
    child: Child,
    programs: PathBuf,
    owner: Option<u32>,
    home: Home,
    address: SocketAddr,
}

/// Where the newest PostgreSQL of this machine has its programs.
fn programs() -> Res<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    found.sort_by_key(|path| {
        let version = path.parent().and_then(|path| path.file_name()).and_then(|name| name.to_str());
        version.and_then(|version| version.parse::<u32>().ok())
    });
    let path = std::env::var_os("PATH").unwrap_or_default();
    found.splice(0..0, std::env::split_paths(&path));
    let found = found.into_iter().rev().find(|path| path.join("initdb").exists());
    found.ok_or_else(|| "PostgreSQL's initdb is not to be found: install the package postgresql".into())
}

/// Whom the server runs as when we are root, which it refuses.
fn owner() -> Option<u32> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let of = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        line.split(':').nth(2)?.parse().ok()
    };
    of("postgres").or_else(|| of("nobody"))
}

impl Postgres {
    /// Makes a cluster and starts it.
    pub async fn start() -> Res<Self> {
        let (programs, owner) = (programs()?, owner());
        let home = Home::new(owner)?;
        let data = home.0.join("data");
        let mut initdb = command(&programs.join("initdb"), owner, &home.0)?;
        initdb.args(["-U", "postgres", "--auth=trust", "--no-locale", "--encoding=UTF8", "--no-sync", "-D"]);
        let made = initdb.arg(&data).status()?;
        if !made.success() {
            return Err(format!("initdb: {made}").into());
        }
        let address = free_address()?;
        let child = Self::run(&programs, owner, &home, address)?;
        let mut this = Self { child, programs, owner, home, address };
        this.wait().await?;
        Ok(this)
    }

    fn run(programs: &Path, owner: Option<u32>, home: &Home, address: SocketAddr) -> Res<Child> {
        let mut server = command(&programs.join("postgres"), owner, &home.0)?;
        server.arg("-D").arg(home.0.join("data")).args(["-c", "listen_addresses=127.0.0.1"]);
        server.args(["-c", "max_connections=200", "-p"]).arg(address.port().to_string());
        Ok(server.arg("-k").arg(&home.0).spawn()?)
    }

    /// Its address, as `store.url` has it.
    pub fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres", self.address)
    }

    async fn wait(&mut self) -> Res<()> {
        let start = Instant::now();
        while start.elapsed() < START {
            if let Ok((client, connection)) =
                tokio_postgres::connect(&self.url(), tokio_postgres::NoTls).await
            {
                let mut driving = tokio::task::JoinSet::new();
                driving.spawn(connection);
                client.batch_execute("SELECT 1").await?;
                return Ok(());
            }
            if let Some(ended) = self.child.try_wait()? {
                return Err(format!("PostgreSQL: {ended}").into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Err("PostgreSQL does not answer".into())
    }

    /// Ends it as a crash would, without a word to anybody. What was committed is on the disk.
    pub fn crash(&mut self) -> Res<()> {
        signal(&self.child, Signal::QUIT)?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it again after a crash; returns when it takes connections.
    pub async fn again(&mut self) -> Res<()> {
        self.child = Self::run(&self.programs, self.owner, &self.home, self.address)?;
        self.wait().await
    }

    /// The server and everything that it has started.
    fn processes(&self) -> Res<Vec<Pid>> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")?.flatten() {
            let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
            // After the name in brackets: the state and the parent (proc(5)).
            let parent =
                stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse::<u32>().ok());
            let is_ours = u32::try_from(id) == Ok(self.child.id()) || parent == Some(self.child.id());
            found.extend(Pid::from_raw(id).filter(|_| is_ours));
        }
        Ok(found)
    }

    /// Its processes that listen for words of other nodes.
    pub async fn listeners(&self) -> Res<Vec<Pid>> {
        let (client, connection) = tokio_postgres::connect(&self.url(), tokio_postgres::NoTls).await?;
        let mut driving = tokio::task::JoinSet::new();
        driving.spawn(connection);
        let listening =
            "SELECT pid FROM pg_stat_activity WHERE query LIKE '%vestibule_beat_%' AND pid <> $1::int";
        let own: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await?.try_get(0)?;
        let rows = client.query(listening, &[&own]).await?;
        Ok(rows.iter().filter_map(|row| Pid::from_raw(row.try_get(0).ok()?)).collect())
    }

    /// Makes these of its processes hang, and no other.
    pub fn silence(&self, processes: &[Pid]) -> Res<()> {
        processes.iter().try_for_each(|process| Ok(kill_process(*process, Signal::STOP)?))
    }

    /// Makes it hang: connections stay open, nobody answers.
    pub fn hang(&self) -> Res<()> {
        // The parent first, so that it starts no other.
        signal(&self.child, Signal::STOP)?;
        for process in self.processes()? {
            let _ = kill_process(process, Signal::STOP);
        }
        Ok(())
    }

    /// Lets it go on.
    pub fn go_on(&self) -> Res<()> {
        for process in self.processes()? {
            let _ = kill_process(process, Signal::CONT);
        }
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.go_on();
        let _ = self.crash();
    }
}

/// A program as `owner`, whose words go to a file.
fn command(program: &Path, owner: Option<u32>, home: &Path) -> io::Result<Command> {
    let log = File::options().create(true).append(true).open(home.join("log"))?;
    let mut command = Command::new(program);
    command.current_dir(home).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    if let Some(owner) = owner {
        command.uid(owner);
    }
    Ok(command)
}

// ---- Valkey or Redis ----

/// A Valkey or Redis with a password, which keeps nothing on the disk.
pub struct Valkey {
    child: Child,
    program: PathBuf,
    home: Home,
    address: SocketAddr,
    more: Vec<String>,
}

impl Valkey {
    /// Whether there is a program to start, and somebody has named it.
    pub fn program() -> Option<PathBuf> {
        std::env::var_os(VALKEY).filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    /// The same, or one that lies where programs do.
    fn found() -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let names = ["valkey-server", "redis-server", "redis-check-rdb"];
        let find =
            |name| std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.exists());
        Self::program().or_else(|| names.into_iter().find_map(find))
    }

    /// Starts it.
    pub async fn start() -> Res<Self> {
        Self::start_with(Vec::new()).await
    }

    /// The same, with these words more on its command line.
    pub async fn start_with(more: Vec<String>) -> Res<Self> {
        let program = Self::found().ok_or_else(|| format!("{VALKEY} names no Valkey or Redis server"))?;
        let home = Home::new(None)?;
        let address = free_address()?;
        let child = Self::run(&program, &home, address, &more)?;
        let mut this = Self { child, program, home, address, more };
        this.wait().await?;
        Ok(this)
    }

    fn run(program: &Path, home: &Home, address: SocketAddr, more: &[String]) -> Res<Child> {
        let mut server = command(program, None, &home.0)?;
        // In Debian one program is the server, and the tool that checks its files, by its name.
        server.arg0("redis-server");
        server.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--requirepass", "secret"]);
        Ok(server
            .arg("--port")
            .arg(address.port().to_string())
            .arg("--dir")
            .arg(&home.0)
            .args(more)
            .spawn()?)
    }

    /// Its address, as `shared.url` has it.
    pub fn url(&self) -> String {
        format!("redis://:secret@{}/", self.address)
    }

    fn tell(&self, word: &str) -> Res<()> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_connection_with_timeout(Duration::from_secs(1))?;
        Ok(redis::cmd(word).exec(&mut connection)?)
    }

    async fn wait(&mut self) -> Res<()> {
        let start = Instant::now();
        while self.tell("PING").is_err() {
            if let Some(ended) = self.child.try_wait()? {
                return Err(format!("the Valkey: {ended}").into());
            }
            if start.elapsed() > START {
                return Err("the Valkey does not answer".into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Makes it forget everything.
    pub fn flush(&self) -> Res<()> {
        self.tell("FLUSHALL")
    }

    /// Ends it at once. It has kept nothing.
    pub fn kill(&mut self) -> Res<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it again, empty; returns when it answers.
    pub async fn again(&mut self) -> Res<()> {
        self.child = Self::run(&self.program, &self.home, self.address, &self.more)?;
        self.wait().await
    }

    /// Makes it hang: connections stay open, nobody answers.
    pub fn hang(&self) -> Res<()> {
        signal(&self.child, Signal::STOP)
    }

    /// Lets it go on.
    pub fn go_on(&self) -> Res<()> {
        signal(&self.child, Signal::CONT)
    }
}

impl Drop for Valkey {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
