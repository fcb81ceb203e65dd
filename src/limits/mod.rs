//! How often: every limit by name, with its number from the policy's one table.
//!
//! Always holds: what is counted is stored under a keyed hash, never as typed; what cannot be
//! counted is refused, never let through. A message or a call cannot be made without [`Postage`], and
//! postage is only had by counting it against the limits of its number and of its asker, and by paying, where somebody
//! carries such messages at all; what is decided with it and does not use it gives it back ([`decide`]).
//! What one number gets is counted exactly (`window`), in the store; all else in [`crate::shared`].

mod postage;
mod window;

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use uuid::Uuid;

use crate::app::Ctx;
use crate::config::Channel;
use crate::error::{Error, Problem, Result};
use crate::money::Way;
use crate::policy::{Budget, Limits, Wider};
use crate::shared::Claim;
use crate::spending::Destination;
use crate::store::{answer, refuse};

use postage::Taken;
use window::{Sent, Share};

pub use crate::policy::Limit;
pub use postage::{Postage, decide, give_back};
pub use window::Sends;

/// Takes one from the budget that `limit` keeps for `of`.
///
/// # Errors
/// [`Problem::LimitReached`] with the time to wait; the store's failure when nothing can be counted.
pub async fn take(ctx: &Ctx, limit: Limit, of: &str) -> Result<()> {
    take_each(ctx, &[(limit, of)]).await
}

/// Takes one from each of these budgets, in order, up to the first that has none: one round trip.
///
/// # Errors
/// As [`take`].
pub async fn take_each(ctx: &Ctx, limits: &[(Limit, &str)]) -> Result<()> {
    let budget = |limit: Limit| limit.budget(&ctx.policy.limits);
    let claims: Vec<_> = limits.iter().map(|(limit, of)| (*limit, *of, budget(*limit))).collect();
    take_of(ctx, &claims).await
}

async fn take_of(ctx: &Ctx, wanted: &[(Limit, &str, Budget)]) -> Result<()> {
    let app = &ctx.app;
    let claim = |(limit, of, budget): &(Limit, &str, Budget)| Claim {
        key: key(ctx, *limit, of),
        limit: budget.limit,
        window: *budget.window,
    };
    let claims: Vec<_> = wanted.iter().map(claim).collect();
    let taken = app.shared.take_each(&claims, ctx.now).await?;
    let Some(((limit, _, budget), refused)) = wanted.iter().zip(&taken).find(|(_, taken)| !taken.allowed)
    else {
        return Ok(());
    };
    app.metrics.limit_reached(limit.as_str());
    Err(reached(*limit, *budget, refused.wait))
}

fn reached(limit: Limit, budget: Budget, wait: Duration) -> Error {
    let (name, quota) =
        (Some(limit.as_str()), Some(Box::new((budget.limit, budget.window.as_secs().max(1)))));
    Error { limit: name, quota, ..Error::new(Problem::LimitReached).retry_after(wait) }
}

/// Takes one of what may be sent to `to`, in one commit of its own: of all that are taken at once, on
/// whatever nodes, no more pass than there are.
async fn take_send(ctx: &Ctx, to: &str, share: Share) -> Result<(String, Sent)> {
    let (limits, of) = (&ctx.policy.limits, key(ctx, Limit::SendNumberDay, to));
    let (of, by) = (&of, network(ctx).map(|network| tagged(ctx, &network)));
    ctx.decide(move |moment| async move {
        let seen = ctx.app.store.get::<Sends>(of.clone()).await?;
        let mut log = seen.as_ref().map(|seen| seen.log.clone()).unwrap_or_default();
        let sent = match log.take(to, share, by, limits, moment.now) {
            Ok(sent) => sent,
            Err(full) => {
                ctx.app.metrics.limit_reached(full.limit.as_str());
                let told = share.told(full.limit);
                let budget = told.budget(limits);
                // Strangers are not told when, either: it is when somebody else had something sent.
                let wait = match share {
                    Share::User | Share::Notice | Share::Device => full.until.since(moment.now),
                    Share::Newcomer | Share::Caller | Share::Stranger | Share::Recovery | Share::Place => {
                        *budget.window
                    }
                };
                return Ok(refuse(reached(told, budget, wait)));
            }
        };
        let expires_at = moment.now + window::longest(to, limits);
        Ok(answer((of.clone(), sent)).upsert(seen, Sends { of: of.clone(), log, expires_at }))
    })
    .await
}

/// Puts back one that was taken and does not count after all.
pub async fn put_back(ctx: &Ctx, limit: Limit, of: &str) {
    let budget = limit.budget(&ctx.policy.limits);
    ctx.app.shared.put_back(&key(ctx, limit, of), budget.limit, *budget.window).await;
}

/// Makes the budget that `limit` keeps for `of` whole again.
pub async fn clear(ctx: &Ctx, limit: Limit, of: &str) {
    let budget = limit.budget(&ctx.policy.limits);
    ctx.app.shared.clear(&key(ctx, limit, of), *budget.window).await;
}

fn key(ctx: &Ctx, limit: Limit, of: &str) -> String {
    let tag = ctx.app.keyring.tag("limit", format!("{limit}\0{of}").as_bytes());
    let half = tag.first_chunk().copied().unwrap_or_default();
    format!("{:032x}", u128::from_be_bytes(half))
}

/// A network as the record of a number has it.
fn tagged(ctx: &Ctx, network: &str) -> u32 {
    let tag = ctx.app.keyring.tag("network", network.as_bytes());
    u32::from_be_bytes(tag.first_chunk().copied().unwrap_or_default())
}

/// What guesses at the password of one account from unknown devices are counted by.
const ACCOUNT: [Limit; 3] = [Limit::SignInIdentifier, Limit::SignInAccountDay, Limit::SignInAccountMonth];

/// What guesses at the password are counted by on a known device, and from within a session.
const DEVICE: [Limit; 2] = [Limit::SignInDevice, Limit::SignInDeviceDay];

fn account(user: Uuid) -> String {
    format!("account:{user}")
}

/// Takes one guess at the password of `user` from a device that is not known.
///
/// # Errors
/// As [`take`].
pub async fn take_by_account(ctx: &Ctx, user: Uuid) -> Result<()> {
    let of = account(user);
    take_each(ctx, &ACCOUNT.map(|limit| (limit, of.as_str()))).await
}

/// Puts back one such guess, at which nobody looked.
pub async fn put_back_by_account(ctx: &Ctx, user: Uuid) {
    for limit in ACCOUNT {
        put_back(ctx, limit, &account(user)).await;
    }
}

/// Takes one guess at a password from a known `device`, or from within a session, which is at least as good: a lane
/// of its own, which nobody outside can use up.
///
/// # Errors
/// [`Problem::LimitReached`].
pub async fn take_by_device(ctx: &Ctx, device: Uuid) -> Result<()> {
    let of = device.to_string();
    take_each(ctx, &DEVICE.map(|limit| (limit, of.as_str()))).await
}

/// Puts back one such guess, at which nobody looked.
pub async fn put_back_by_device(ctx: &Ctx, device: Uuid) {
    for limit in DEVICE {
        put_back(ctx, limit, &device.to_string()).await;
    }
}

/// Makes whole what such guesses have used up: the password was shown, on the device or in the session.
pub async fn forgive_device(ctx: &Ctx, device: Uuid) {
    for limit in DEVICE {
        clear(ctx, limit, &device.to_string()).await;
    }
}

/// What came of a guess within `session`. When there was no room to look at it, it is put back.
///
/// # Errors
/// Those of `outcome`.
pub async fn looked_at<T>(ctx: &Ctx, session: Uuid, outcome: Result<T>) -> Result<T> {
    if outcome.as_ref().is_err_and(|error| error.problem == Problem::Busy) {
        put_back_by_device(ctx, session).await;
    }
    outcome
}

/// What whatever a user may change is counted by: each change is an event that is kept for long, and told.
pub const CHANGES: [Limit; 2] = [Limit::ChangeUser, Limit::ChangeUserDay];

/// Takes one change that `user` makes.
///
/// # Errors
/// As [`take`].
pub async fn take_change(ctx: &Ctx, user: Uuid) -> Result<()> {
    let of = user.to_string();
    take_each(ctx, &CHANGES.map(|limit| (limit, of.as_str()))).await
}

/// Makes whole what wrong guesses at the password of `user` have used up: it was shown, or is another now.
pub async fn forgive(ctx: &Ctx, user: Uuid) {
    for limit in ACCOUNT {
        clear(ctx, limit, &account(user)).await;
    }
}

/// Takes one from the budget that `limit` keeps for the asker's address, and from those of the networks
/// around it. Nothing puts it back: who signs in has not shown that the neighbours are no guessers.
///
/// # Errors
/// As [`take`].
pub async fn take_by_address(ctx: &Ctx, limit: Limit) -> Result<()> {
    take_by_address_and(ctx, limit, &[]).await
}

/// The same, and then one from each of `others`: one round trip for all.
///
/// # Errors
/// As [`take`].
pub async fn take_by_address_and(ctx: &Ctx, limit: Limit, others: &[(Limit, &str)]) -> Result<()> {
    let limits = &ctx.policy.limits;
    let networks = ctx.client.as_ref().map(|client| networks(client.address, &limits.wider));
    let networks = networks.unwrap_or_default();
    let budget = limit.budget(limits);
    let wider = |times: u32| Budget { limit: budget.limit.saturating_mul(times), ..budget };
    let by_address = networks.iter().map(|(network, times)| (limit, network.as_str(), wider(*times)));
    let others = others.iter().map(|(limit, of)| (*limit, *of, limit.budget(limits)));
    take_of(ctx, &by_address.chain(others).collect::<Vec<_>>()).await
}

/// Who asks, as far as an address tells: the IPv4 address, or the /64 of IPv6. Nobody within the house.
pub fn asker(ctx: &Ctx) -> Option<String> {
    let networks = networks(ctx.client.as_ref()?.address, &ctx.policy.limits.wider);
    networks.into_iter().next().map(|(network, _)| network)
}

/// The widest network around the asker that is counted. Nobody's within the house.
fn network(ctx: &Ctx) -> Option<String> {
    let networks = networks(ctx.client.as_ref()?.address, &ctx.policy.limits.wider);
    networks.into_iter().next_back().map(|(network, _)| network)
}

/// `name` as the asker's network asks for it: for the one, others use up nothing of it.
pub fn from_here(ctx: &Ctx, name: &str) -> String {
    format!("{}\0{name}", network(ctx).unwrap_or_default())
}

/// Whether the asker is where `address` was: at the same IPv4 address, or in the same /64 of IPv6.
pub fn is_here(ctx: &Ctx, address: &str) -> bool {
    let there = address.parse().ok().map(|address| networks(address, &ctx.policy.limits.wider));
    let there = there.and_then(|networks| networks.into_iter().next()).map(|(network, _)| network);
    there.is_some() && there == asker(ctx)
}

/// What an address is counted under, the narrowest first, and how many times the budget of one address
/// each has. One address has one spelling, however it was written.
fn networks(address: IpAddr, wider: &Wider) -> Vec<(String, u32)> {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            vec![(v4.to_string(), 1), (format!("{a}.{b}.{c}.0/24"), wider.ipv4_24)]
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            let of = |bits: u8, d: u16| format!("{}/{bits}", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0));
            vec![(of(64, d), 1), (of(56, d & 0xff00), wider.ipv6_56), (of(48, 0), wider.ipv6_48)]
        }
    }
}

/// The table of numbers as a document has it: every limit, what it counts, its number and its window.
pub fn table(limits: &Limits) -> String {
    let mut text = String::from("| limit | at most | in |\n|---|---|---|\n");
    for limit in Limit::ALL {
        let Budget { limit: number, window } = limit.budget(limits);
        text.push_str(&format!("| `{limit}` | {number} | {window} |\n"));
    }
    let Wider { ipv4_24, ipv6_56, ipv6_48 } = limits.wider;
    text.push_str(
        "\n| counted by address | IPv4 | /24 | IPv6 /64 | /56 | /48 | in |\n|---|---|---|---|---|---|---|\n",
    );
    for limit in Limit::ALL.iter().filter(|limit| limit.as_str().ends_with("-address")) {
        let Budget { limit: one, window } = limit.budget(limits);
        let [v4, v6_56, v6_48] = [ipv4_24, ipv6_56, ipv6_48].map(|times| one.saturating_mul(times));
        text.push_str(&format!("| `{limit}` | {one} | {v4} | {one} | {v6_56} | {v6_48} | {window} |\n"));
    }
    let Limits { password_failures, device_failures, factor_failures, recovery_failures, .. } = limits;
    text.push_str(&format!(
        "\n| consecutive failures | at most |\n|---|---|\n\
         | wrong passwords, before the password must be recovered | {password_failures} |\n\
         | those of them that are left to known devices | {device_failures} |\n\
         | wrong codes of one factor, before it must be bound anew | {factor_failures} |\n\
         | wrong codes of one factor in recoveries, before it cannot be shown in one | {recovery_failures} |\n"
    ));
    text
}

/// On whose behalf a message goes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sender {
    /// Somebody who has shown this user's password.
    User(Uuid),
    /// The same on a device where the user has signed in before, or in their session: no neighbour uses up anything of
    /// theirs.
    Device,
    /// The same, where nobody has shown the number to be theirs: anybody can make an account with a
    /// password and whatever number. Spends a stranger's money.
    Newcomer,
    /// Somebody who is signed in and calls a number that nobody has shown to be theirs. Counted as the one before;
    /// told which limit it was, and never to come back too soon.
    Caller,
    /// Anybody: they share a part of the number's budget, so that nobody who only knows a number can
    /// use up what its owner needs to sign in.
    Stranger,
    /// The house itself, telling its user of a kind of event. Each kind has a budget of its own, which
    /// no codes use up, and nobody else's network: so nobody can keep a user from being told of one
    /// thing by causing others. A number's phone rings no more often for that.
    Notice(&'static str),
    /// The same of something that cannot happen again before somebody has done something about it, which
    /// bounds it. A number's phone rings no more often for that.
    Once,
    /// Somebody who wants to get back into an account. A budget of its own, so that it neither uses up
    /// what the owner needs to sign in nor shows in what others may still send.
    Recovery(Whence),
}

/// From where somebody wants to get back into an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whence {
    /// A device on which its user has signed in, which only they can show: what others ask for uses up
    /// nothing of it.
    Device,
    /// An address from which its user has signed in. Whoever else is there shares it.
    Place,
    /// From anywhere: no network can use up all that there is.
    Anywhere,
}

impl Sender {
    /// Whoever has shown the password of `user`, on a device or in a session that is theirs, or elsewhere.
    pub fn user(user: Uuid, known: bool) -> Self {
        if known { Self::Device } else { Self::User(user) }
    }

    /// The same, to somewhere that was `verified` to be the user's own or not.
    pub fn to(self, verified: bool) -> Self {
        match self {
            Self::User(_) | Self::Device if !verified => Self::Newcomer,
            other => other,
        }
    }
}

/// Postage for one text message or mail to `to`, a number (E.164) or an e-mail address.
///
/// # Errors
/// [`Problem::LimitReached`]; [`Problem::NumberNotServed`], [`Problem::MessagesPaused`];
/// [`Problem::NotCarried`]. A notice without postage is left out; what it tells of goes on.
pub async fn postage(ctx: &Ctx, to: &str, sender: Sender) -> Result<Postage> {
    postage_by(ctx, to, Way::Text, sender).await
}

/// Postage for what goes to a number by this way.
///
/// # Errors
/// As [`postage`].
pub async fn postage_by(ctx: &Ctx, to: &str, way: Way, sender: Sender) -> Result<Postage> {
    if ctx.app.config.development.code_of(to).is_some() {
        return Ok(Postage::new(Taken::default()));
    }
    let destination = Destination::of(ctx, to, way)?;
    let channel = match (&destination, way) {
        (None, _) => Channel::Email,
        (Some(_), Way::Text) => Channel::Sms,
        (Some(_), Way::Call) => Channel::Call,
    };
    // A recovery looks for itself, and costs the same where nobody is known.
    let is_recovery = matches!(sender, Sender::Recovery(_));
    let country = destination.as_ref().map(|there| there.country.as_str());
    let config = &ctx.app.config;
    if !is_recovery && config.delivery.carriers(config, channel, to, country).is_empty() {
        return Err(Problem::NotCarried.into());
    }
    let budgets = count(ctx, to, sender).await?;
    let share = Share::of(sender);
    let Some(destination) = destination else {
        // A notice by mail waits for nobody and rings nowhere: its kind was counted, and that is all.
        return match share {
            Share::Notice => Ok(Postage::new(Taken::of(budgets))),
            _ => send(ctx, to, None, share, false, budgets).await,
        };
    };
    let known = matches!(
        sender,
        Sender::User(_)
            | Sender::Device
            | Sender::Notice(_)
            | Sender::Once
            | Sender::Recovery(Whence::Device)
    );
    if !matches!(sender, Sender::Stranger | Sender::Newcomer) {
        return send(ctx, to, Some(destination), share, known, budgets).await;
    }
    let budgets = strangers(&destination);
    count_strangers(ctx, &budgets).await?;
    send(ctx, to, Some(destination), share, known, budgets).await
}

/// Pays, and takes one of what may be sent to `to`: the one that costs a commit comes last. What is refused uses up
/// nothing of the `budgets` from which it has taken: who asks for one number again and again closes nobody else's
/// block or country with it, and whoever comes back when they were told is not refused again.
async fn send(
    ctx: &Ctx,
    to: &str,
    at: Option<Destination>,
    share: Share,
    known: bool,
    budgets: Vec<(Limit, String)>,
) -> Result<Postage> {
    let mut taken = Taken::of(budgets);
    match taken.send(ctx, to, at, share, known).await {
        Ok(()) => Ok(Postage::new(taken)),
        Err(error) => {
            taken.give_back(ctx).await;
            Err(error)
        }
    }
}

async fn count(ctx: &Ctx, to: &str, sender: Sender) -> Result<Vec<(Limit, String)>> {
    match sender {
        Sender::Notice(what) => {
            let of = format!("{what}\0{to}");
            take(ctx, Limit::SendNotice, &of).await?;
            return Ok(vec![(Limit::SendNotice, of)]);
        }
        Sender::Once | Sender::Device | Sender::Recovery(Whence::Device) => {}
        _ => take_by_address(ctx, Limit::SendAddress).await?,
    }
    Ok(Vec::new())
}

/// What a message to `to` that a stranger asks for is counted by.
fn strangers(to: &Destination) -> Vec<(Limit, String)> {
    let mut limits = vec![(Limit::SendBlock, to.block.clone()), (Limit::UnprovenBlock, to.block.clone())];
    if to.abroad {
        let country = || to.country.clone();
        limits.extend([(Limit::SendCountry, country()), (Limit::UnprovenCountry, country())]);
    }
    limits
}

async fn count_strangers(ctx: &Ctx, limits: &[(Limit, String)]) -> Result<()> {
    let limits: Vec<_> = limits.iter().map(|(limit, of)| (*limit, of.as_str())).collect();
    let counted = take_each(ctx, &limits).await;
    if let Err(Error { limit: Some(full), .. }) = &counted {
        // What is refused uses up nothing: or what is closed would be kept closed by asking, which costs nothing.
        for (limit, of) in limits.iter().take_while(|(limit, _)| limit.as_str() != *full) {
            put_back(ctx, *limit, of).await;
        }
    }
    counted
}

/// How many codes that did not come back are forgiven for one that did.
const FORGIVEN: u32 = 5;

/// Notes that a code which a stranger had sent to `to` came back right: people live there.
pub async fn came_back(ctx: &Ctx, to: &str) {
    let Ok(Some(to)) = Destination::of(ctx, to, Way::Text) else { return };
    for _ in 0..FORGIVEN {
        put_back(ctx, Limit::UnprovenBlock, &to.block).await;
        if to.abroad {
            put_back(ctx, Limit::UnprovenCountry, &to.country).await;
        }
    }
}

/// Postage for one call that a `user` who is signed in asks for, as `sender`.
///
/// # Errors
/// As [`postage`].
pub async fn postage_for_call(ctx: &Ctx, user: Uuid, to: &str, sender: Sender) -> Result<Postage> {
    if ctx.app.config.development.code_of(to).is_some() {
        return Ok(Postage::new(Taken::default()));
    }
    let destination = Destination::of(ctx, to, Way::Call)?;
    let user = user.to_string();
    let others = [(Limit::CallUser, &*user), (Limit::CallNumber, to)];
    take_by_address_and(ctx, Limit::CallAddress, &others).await?;
    let (share, known) = (Share::of(sender), matches!(sender, Sender::User(_)));
    let budgets = others.map(|(limit, of)| (limit, of.to_owned())).to_vec();
    send(ctx, to, destination, share, known, budgets).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    impl Postage {
        /// For tests of what is made with it.
        pub fn of_a_test() -> Self {
            Self::new(Taken::default())
        }
    }

    fn counted(address: &str) -> Vec<String> {
        let wider = Policy::from_toml("").unwrap().limits.wider;
        networks(address.parse().unwrap(), &wider).into_iter().map(|(network, _)| network).collect()
    }

    #[test]
    fn t14_an_address_is_counted_with_its_networks_and_in_one_spelling() {
        assert_eq!(counted("203.0.113.77"), ["203.0.113.77", "203.0.113.0/24"]);
        assert_eq!(
            counted("2001:db8:1:2345::9"),
            ["2001:db8:1:2345::/64", "2001:db8:1:2300::/56", "2001:db8:1::/48"]
        );
        for (one, other) in [
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("::ffff:102:304", "1.2.3.4"),
            ("2001:DB8:0001:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
        ] {
            assert_eq!(counted(one), counted(other), "{one}");
        }
        assert_ne!(counted("2001:db8:1:2::1")[0], counted("2001:db8:1:3::1")[0]);
        assert_eq!(counted("2001:db8:1:2::1")[1..], counted("2001:db8:1:3::1")[1..]);
        assert_ne!(counted("2001:db8:1::1")[2], counted("2001:db8:2::1")[2]);
    }
}
