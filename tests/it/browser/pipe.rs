//! The wire to the browser: the Chrome DevTools Protocol over two pipes, so that no port is opened and
//! the browser ends with the process that started it, whatever happens to that.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};
use tokio::sync::{mpsc, oneshot};

/// The browser reads commands from descriptor 3 and writes to 4. It is not replaced by the browser:
/// what the browser kept is taken away when it has ended, which it does when the pipe is closed.
const START: &str = r#"kept=$1; shift; "$@" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null; rm -rf "$kept""#;

type Answers = Mutex<HashMap<u64, oneshot::Sender<Result<Json, String>>>>;
type Listeners = Mutex<HashMap<String, mpsc::UnboundedSender<Json>>>;

/// A running browser.
pub struct Pipe {
    commands: Mutex<ChildStdin>,
    next: AtomicU64,
    answers: Arc<Answers>,
    listeners: Arc<Listeners>,
}

impl Pipe {
    /// Starts `browser`.
    pub fn start(browser: &str) -> Self {
        let kept = std::env::temp_dir().join(format!("vestibule-browser-{}", std::process::id()));
        let mut command = Command::new("sh");
        command.args(["-c", START, "browser"]).arg(&kept).arg(browser);
        command.args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--no-default-browser-check",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-extensions",
            "--hide-scrollbars",
            "--force-color-profile=srgb",
            "--remote-debugging-pipe",
        ]);
        command.arg(format!("--user-data-dir={}", kept.display())).arg("about:blank");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (commands, told) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (answers, listeners) = (Arc::<Answers>::default(), Arc::<Listeners>::default());
        std::thread::spawn({
            let (answers, listeners) = (answers.clone(), listeners.clone());
            move || {
                listen(told, &answers, &listeners);
                let _ = child.wait();
            }
        });
        Self { commands: Mutex::new(commands), next: AtomicU64::new(1), answers, listeners }
    }

    /// Sends a command to the browser, or to the tab that `session` names.
    pub async fn ask(&self, session: Option<&str>, method: &str, params: Json) -> Result<Json, String> {
        let id = self.next.fetch_add(1, Ordering::SeqCst);
        let (tell, told) = oneshot::channel();
        self.answers.lock().unwrap().insert(id, tell);
        self.send(id, session, method, params);
        told.await.unwrap_or_else(|_| Err("the browser has ended".to_owned()))
    }

    /// Sends a command whose answer nobody waits for.
    pub fn tell(&self, method: &str, params: Json) {
        self.send(self.next.fetch_add(1, Ordering::SeqCst), None, method, params);
    }

    fn send(&self, id: u64, session: Option<&str>, method: &str, params: Json) {
        let mut command = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        let mut bytes = command.to_string().into_bytes();
        bytes.push(0);
        let mut commands = self.commands.lock().unwrap();
        // A browser that has ended is told of by whoever waits for its answer.
        let _ = commands.write_all(&bytes).and_then(|()| commands.flush());
    }

    /// What happens in a tab, from now on.
    pub fn listen(&self, session: &str) -> mpsc::UnboundedReceiver<Json> {
        let (tell, told) = mpsc::unbounded_channel();
        self.listeners.lock().unwrap().insert(session.to_owned(), tell);
        told
    }

    pub fn forget(&self, session: &str) {
        self.listeners.lock().unwrap().remove(session);
    }
}

fn listen(told: ChildStdout, answers: &Answers, listeners: &Listeners) {
    let mut told = BufReader::new(told);
    let mut bytes = Vec::new();
    while told.read_until(0, &mut bytes).is_ok_and(|read| read > 0) {
        let message: Json = serde_json::from_slice(bytes.strip_suffix(&[0]).unwrap_or(&bytes)).unwrap();
        bytes.clear();
        if let Some(id) = message["id"].as_u64() {
            let Some(waiting) = answers.lock().unwrap().remove(&id) else { continue };
            let answer = match message.get("error") {
                Some(error) => Err(error.to_string()),
                None => Ok(message["result"].clone()),
            };
            let _ = waiting.send(answer);
        } else if let Some(session) = message["sessionId"].as_str()
            && let Some(listener) = listeners.lock().unwrap().get(session)
        {
            let _ = listener.send(message);
        }
    }
    // Nobody shall wait for a browser that has ended.
    answers.lock().unwrap().clear();
    listeners.lock().unwrap().clear();
}
