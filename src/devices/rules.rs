//! When a device is known, and when it is trusted.

use uuid::Uuid;

use super::{Device, Under};
use crate::accounts::User;
use crate::app::Moment;
use crate::clock::Timestamp;
use crate::factors::Factor;
use crate::policy;
use crate::secret::{Token, TokenKind};
use crate::store::{Change, Seen};

impl Device {
    /// Whether `user` has signed in on it and that still counts at `now`.
    pub fn stands(&self, user: &User, now: Timestamp) -> bool {
        self.user_id == user.id && self.counts_from >= user.sessions_from && now < self.known_until
    }

    /// Whether it does without the second factor at `now`, of the user's `factors`. Not while another
    /// factor is bound, removed or locked: what was trusted was the set.
    pub fn is_trusted(&self, factors: &[Seen<Factor>], policy: &policy::Devices, now: Timestamp) -> bool {
        let under = under(factors);
        policy.trust
            && self.trusted_until.is_some_and(|until| now < until)
            && !under.0.is_empty()
            && self.trusted_under == under
    }

    /// Whether it was trusted under others than the user's `factors`. Whoever sees that takes the trust away
    /// ([`distrust`]), so that it does not come back with the set.
    pub fn outlives_trust(&self, factors: &[Seen<Factor>]) -> bool {
        self.trusted_until.is_some() && self.trusted_under != under(factors)
    }

    /// Lets it do without the second factor for as long as the policy says.
    pub fn trusted(&mut self, factors: &[Seen<Factor>], policy: &policy::Devices, now: Timestamp) {
        if policy.trust {
            self.trusted_under = under(factors);
            self.trusted_until = Some(now + *policy.trusted);
        }
    }
}

fn under(factors: &[Seen<Factor>]) -> Under {
    let mut ids: Vec<Uuid> =
        factors.iter().filter(|factor| factor.is_able()).map(|factor| factor.id).collect();
    ids.sort_unstable();
    Under(ids)
}

/// A device at a sign-in that has come to its end: as it is to be written, in the commit that opens the
/// session.
#[derive(Debug)]
pub struct Arrival {
    /// Which.
    pub id: Uuid,
    /// Its token, shown once, when it was not known before: the time to tell the user.
    pub token: Option<Token>,
    /// What is written.
    pub change: Change,
}

/// Signs `user` in on a `known` device, or on a new one. `trust`: under which factors it shall be
/// trusted, when it shall.
pub fn arrive(
    known: Option<Seen<Device>>,
    user: &User,
    trust: Option<&[Seen<Factor>]>,
    policy: &policy::Devices,
    moment: &Moment,
) -> Arrival {
    let client = moment.client.as_ref();
    let used = |device: &mut Device| {
        device.user_agent = client.and_then(|client| client.user_agent.clone());
        device.address = client.map(|client| client.address.to_string());
        device.failures = 0;
        device.used_at = moment.now;
        device.known_until = moment.now + *policy.known;
        if let Some(factors) = trust {
            device.trusted(factors, policy, moment.now);
        }
    };
    if let Some(device) = known {
        let device = device.with(used);
        return Arrival { id: device.id, token: None, change: Change::update(&device) };
    }
    let id = moment.uuid("device");
    let token = Token::new(TokenKind::Device, id, &moment.seed);
    let mut device = Device {
        id,
        digest: token.digest(),
        user_id: user.id,
        user_agent: None,
        address: None,
        failures: 0,
        trusted_under: Under::default(),
        trusted_until: None,
        created_at: moment.now,
        counts_from: user.sessions_from,
        used_at: moment.now,
        known_until: moment.now,
    };
    used(&mut device);
    Arrival { id, token: Some(token), change: Change::insert(&device) }
}

/// The device in use as it is to be written where its user ends everything else at `now`, as a change
/// of the password does: still known, and no longer trusted.
pub fn keep(device: Seen<Device>, now: Timestamp) -> Seen<Device> {
    device.with(|device| {
        device.counts_from = now;
        device.trusted_until = None;
    })
}

/// The device without the trust that it [has outlived](Device::outlives_trust).
pub fn distrust(device: Seen<Device>) -> Change {
    Change::update(&device.with(|device| device.trusted_until = None))
}

/// A wrong password on a known device: counted, and after as many as `limit` in a row the device is
/// known no more.
pub fn failed(device: Seen<Device>, limit: u32) -> Change {
    let device = device.with(|device| device.failures = device.failures.saturating_add(1));
    if device.failures >= limit { Change::delete(&device) } else { Change::update(&device) }
}
