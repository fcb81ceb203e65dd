//! Following the feed: a stream while there is one, one batch after the other where streams are held back.

use std::convert::Infallible;
use std::time::Duration;

use http::header;
use tokio::time::{sleep, timeout};

use super::Verifier;
use super::feed::Batch;
use crate::jwt::Purpose;
use crate::random::Random;

/// How long nothing may be heard of a stream whose heart beats every 5 seconds.
const SILENCE: Duration = Duration::from_secs(15);
/// How long one batch is waited for there, in seconds.
const WAIT: u64 = 20;
/// How many streams may end without a word before batches are asked for instead.
const MUTE: u32 = 2;
/// How many batches are asked for before a stream is tried again.
const BATCHES: u32 = 30;
/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The longest batch: 500 entries of 120 bytes, many times over.
const LONGEST: usize = 1 << 20;

/// What came of listening.
enum Heard {
    /// Something that counted.
    Something,
    /// Nothing.
    Nothing,
}

impl Verifier {
    /// Follows the feed for as long as it is polled: spawn it beside the service, or select on it.
    pub async fn follow(&self) -> Infallible {
        let (mut mute, mut batches, mut failures) = (0, 0, 0_u32);
        loop {
            self.refresh_keys().await;
            let by_batch = batches > 0;
            let heard = if by_batch {
                batches -= 1;
                self.ask().await
            } else {
                self.listen().await
            };
            match heard {
                Heard::Something => (mute, failures) = (0, 0),
                Heard::Nothing => {
                    failures = failures.saturating_add(1);
                    if !by_batch {
                        mute += 1;
                    }
                    if mute >= MUTE {
                        (mute, batches) = (0, BATCHES);
                    }
                }
            }
            if !(by_batch && failures == 0) {
                sleep(pause(failures)).await;
            }
        }
    }

    fn request(&self, wait: Option<u64>) -> reqwest::RequestBuilder {
        let settings = &self.0.settings;
        let mut query: Vec<(&str, String)> = Vec::new();
        query.extend(self.cursor().map(|cursor| ("after", cursor.to_string())));
        query.extend(wait.map(|wait| ("wait", wait.to_string())));
        let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let address = format!("{}/api/v1/revocations?{}", settings.server, query.join("&"));
        self.0.http.get(address).bearer_auth(settings.key.expose())
    }

    /// Listens to one stream until it ends.
    async fn listen(&self) -> Heard {
        let asked = self.request(None).header(header::ACCEPT, "text/event-stream");
        let mut answer = match timeout(SILENCE, asked.send()).await {
            Ok(Ok(answer)) if answer.status().is_success() => answer,
            Ok(Ok(answer)) => return silent(&format!("it answered {}", answer.status())),
            Ok(Err(error)) => return silent(&error.without_url().to_string()),
            Err(_) => return silent("it did not answer in time"),
        };
        let mut heard = Heard::Nothing;
        let mut text = Vec::new();
        loop {
            let Ok(Ok(Some(chunk))) = timeout(SILENCE, answer.chunk()).await else { return heard };
            text.extend_from_slice(&chunk);
            while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = text.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                if let Some(batch) = line.strip_prefix("data:") {
                    if !self.take(batch.trim()).await {
                        return heard;
                    }
                    heard = Heard::Something;
                }
            }
            if text.len() > LONGEST {
                return heard;
            }
        }
    }

    /// Asks for one batch, and waits for it.
    async fn ask(&self) -> Heard {
        let asked = self.request(Some(WAIT)).timeout(Duration::from_secs(WAIT) + SILENCE);
        let answer = async { asked.send().await?.error_for_status()?.text().await };
        match answer.await {
            Ok(batch) if batch.len() <= LONGEST && self.take(batch.trim()).await => Heard::Something,
            Ok(_) => Heard::Nothing,
            Err(error) => silent(&error.without_url().to_string()),
        }
    }

    /// Takes a batch as it came. False when it does not count.
    async fn take(&self, batch: &str) -> bool {
        self.refresh_keys().await;
        let now = self.0.clock.now();
        let payload = self.open(Purpose::Revocations, batch, now).await;
        let batch = payload.ok().and_then(|payload| serde_json::from_slice::<Batch>(&payload).ok());
        let Some(batch) = batch else {
            tracing::warn!("the feed of revocations said something that is not signed as it should be");
            return false;
        };
        let taken = self.known().take(&self.0.settings.issuer, batch, now);
        taken
            .inspect_err(|why| tracing::warn!(why, "a batch of the feed of revocations is not taken"))
            .is_ok()
    }
}

fn silent(why: &str) -> Heard {
    tracing::warn!(why, "the feed of revocations cannot be followed");
    Heard::Nothing
}

/// A tenth of a second, twice as long after each failure, by chance up to half as long again: those who lost
/// the same server do not come back at once.
fn pause(failures: u32) -> Duration {
    let whole = Duration::from_millis(100).saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE);
    let [chance] = Random::System.bytes::<1>();
    whole + whole / 2 * u32::from(chance) / 255
}
