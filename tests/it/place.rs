//! Where a house under test keeps its records: a temporary directory, or a schema of its own.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio_postgres::{Client, NoTls};

/// A place that is gone when it is dropped.
pub struct Place {
    pub url: String,
    directory: Option<PathBuf>,
    schema: Option<(String, String)>,
}

static NEXT: AtomicU64 = AtomicU64::new(0);

fn name() -> String {
    format!("w{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst))
}

/// Whether the suite has run before, on the other engine: `scripts/test` says so. A test that no engine has a part in,
/// and that takes seconds, returns at once then: it would show the same again. Never one whose way to the store says
/// something, and never a preset's journey.
pub fn second_round() -> bool {
    std::env::var_os("VESTIBULE_TEST_SECOND_ROUND").is_some()
}

impl Place {
    /// By `VESTIBULE_TEST_STORE`: `sqlite` (the default) or `postgres`.
    pub async fn new() -> Self {
        match std::env::var("VESTIBULE_TEST_STORE").as_deref() {
            Ok("postgres") => Self::postgres().await,
            _ => Self::sqlite(),
        }
    }

    pub fn sqlite() -> Self {
        let directory = std::env::temp_dir().join(format!("vestibule-{}", name()));
        std::fs::create_dir_all(&directory).unwrap();
        let url = format!("sqlite:{}", directory.join("vestibule.db").display());
        Self { url, directory: Some(directory), schema: None }
    }

    pub async fn postgres() -> Self {
        let server =
            std::env::var("VESTIBULE_TEST_POSTGRES").expect("VESTIBULE_TEST_POSTGRES names a server");
        let schema = name();
        run(&server, &format!("CREATE SCHEMA {schema}")).await;
        let mark = if server.contains('?') { '&' } else { '?' };
        let url = format!("{server}{mark}options=-csearch_path%3D{schema}");
        Self { url, directory: None, schema: Some((server, schema)) }
    }

    /// Statements by hand, past the program.
    pub async fn by_hand(&self, sql: &str) {
        match self.url.strip_prefix("sqlite:") {
            Some(path) => rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap(),
            None => run(&self.url, sql).await,
        }
    }

    /// Statements by hand that are begun before `meanwhile` and come true after it: what it commits of the same
    /// records waits.
    pub async fn by_hand_around(&self, sql: &str, meanwhile: impl Future<Output = ()>) {
        let begin = |begin| format!("{begin}; {sql}");
        match self.url.strip_prefix("sqlite:") {
            Some(path) => {
                let connection = rusqlite::Connection::open(path).unwrap();
                connection.execute_batch(&begin("BEGIN IMMEDIATE")).unwrap();
                meanwhile.await;
                connection.execute_batch("COMMIT").unwrap();
            }
            None => {
                let held = async move |client: &Client| {
                    client.batch_execute(&begin("BEGIN")).await.unwrap();
                    meanwhile.await;
                    client.batch_execute("COMMIT").await.unwrap();
                };
                with(&self.url, held).await;
            }
        }
    }
}

async fn run(server: &str, sql: &str) {
    with(server, async |client: &Client| client.batch_execute(sql).await.unwrap()).await;
}

async fn with(server: &str, act: impl AsyncFnOnce(&Client)) {
    let (client, connection) = tokio_postgres::connect(server, NoTls).await.unwrap();
    let pump = tokio::spawn(connection);
    act(&client).await;
    drop(client);
    pump.await.unwrap().unwrap();
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(directory) = &self.directory {
            let _ = std::fs::remove_dir_all(directory);
        }
        if let Some((server, schema)) = self.schema.take() {
            // Dropping happens outside of any runtime that could wait for it: a thread of its own does.
            let done = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(run(&server, &format!("DROP SCHEMA {schema} CASCADE")));
            });
            let _ = done.join();
        }
    }
}
