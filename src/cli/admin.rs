//! `vestibule admin`: the first administrator, and emergencies, on the machine that has the database.

use clap::{Args, Subcommand};

use super::{Outcome, Settings, house, say};
use crate::accounts::{self, Roles, User};
use crate::administration::actions::{self, Deed};
use crate::administration::api::users::{Make, read};
use crate::administration::users::{self, Filter, ManagedUser};
use crate::app::Ctx;
use crate::clock::Timestamp;
use crate::config::Period;
use crate::error::{Error, Problem, Result};
use crate::policy::{Gate, Holder, Rank, after_first_factor};
use crate::step_up::By;
use crate::store::Seen;

/// What to do.
#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

/// Whom it is about.
#[derive(Args)]
struct Whom {
    /// Their username or their id, or an e-mail address or mobile number that they have verified.
    identifier: String,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Subcommand)]
enum What {
    /// Make an account. It prints a link by which its owner sets a password, and sends it to their address.
    Create {
        /// A name to sign in with.
        #[arg(long)]
        username: Option<String>,
        /// An e-mail address.
        #[arg(long)]
        email: Option<String>,
        /// A mobile number in E.164.
        #[arg(long)]
        mobile: Option<String>,
        /// What they may do: `admin` or `support`.
        #[arg(long)]
        role: Option<String>,
        #[command(flatten)]
        settings: Settings,
    },
    /// Give somebody a role: `admin`, `support`, or one of the application's own.
    Grant {
        /// Their username or their id, or an e-mail address or mobile number that they have verified.
        identifier: String,
        /// The role.
        role: String,
        #[command(flatten)]
        settings: Settings,
    },
    /// Take a role away. The last administrator keeps theirs.
    Revoke {
        /// Their username or their id, or an e-mail address or mobile number that they have verified.
        identifier: String,
        /// The role.
        role: String,
        #[command(flatten)]
        settings: Settings,
    },
    /// Suspend somebody: whatever credential they hold is dead at once.
    Suspend {
        #[command(flatten)]
        whom: Whom,
        /// Why, for administrators.
        #[arg(long)]
        reason: String,
        /// For how long, such as 7d; until they are restored when left out.
        #[arg(long = "for", value_name = "PERIOD")]
        period: Option<String>,
    },
    /// Let somebody in again who was suspended or deleted.
    Restore(Whom),
    /// Make the link anew by which somebody sets their first password: it is printed, and sent to them where it can be.
    Link(Whom),
    /// Sign somebody out everywhere.
    EndSessions(Whom),
    /// Let the locked factors of a user take guesses again.
    Unlock(Whom),
    /// List who has a role.
    List(Settings),
}

/// Works on the database that the settings name, beside a server or without one.
pub async fn run(options: &Options) -> Outcome {
    match &options.what {
        What::Create { username, email, mobile, role, settings } => {
            let ctx = house::enter(settings).await?;
            let ask = Make {
                username: username.clone(),
                email: email.clone(),
                mobile: mobile.clone(),
                name: None,
                locale: None,
            };
            let (id, link) = create(&ctx, ask, role.as_deref()).await.map_err(sentence)?;
            say(&format!(
                "{id}  is made. To set a password, open within {}:",
                ctx.policy.invitations.account
            ))?;
            say(&ctx.app.origin.link(&link))?;
            let user = actions::user(&ctx, id).await.map_err(sentence)?;
            shut_out(&ctx, &user).await
        }
        What::Grant { identifier, role, settings } => {
            set_roles(&house::enter(settings).await?, identifier, Deed::Grant(role)).await
        }
        What::Revoke { identifier, role, settings } => {
            set_roles(&house::enter(settings).await?, identifier, Deed::Revoke(role)).await
        }
        What::Suspend { whom, reason, period } => {
            let ctx = house::enter(&whom.settings).await?;
            let period = period.as_deref().map(str::parse::<Period>).transpose()?;
            let until: Option<Timestamp> = period.map(|period| ctx.now + *period);
            let found = deed(&ctx, &whom.identifier, Deed::Suspend(until, reason)).await?;
            say(&match until {
                Some(until) => format!("{}  is suspended until {until}.", found.id),
                None => format!("{}  is suspended.", found.id),
            })
        }
        What::Restore(whom) => {
            let found = deed(&house::enter(&whom.settings).await?, &whom.identifier, Deed::Restore).await?;
            say(&format!("{}  can sign in.", found.id))
        }
        What::Link(whom) => {
            let ctx = house::enter(&whom.settings).await?;
            let made = async {
                let id = actions::named(&ctx, &whom.identifier).await?;
                Ok(ctx.app.origin.link(&actions::link(&ctx, &By::Operator, id).await?))
            };
            say(&made.await.map_err(sentence)?)
        }
        What::EndSessions(whom) => {
            let found =
                deed(&house::enter(&whom.settings).await?, &whom.identifier, Deed::EndSessions).await?;
            say(&format!("{}  is signed out everywhere.", found.id))
        }
        What::Unlock(whom) => {
            let unlocked = actions::unlock(&house::enter(&whom.settings).await?, &whom.identifier).await;
            say(&format!("Factors unlocked: {}.", unlocked.map_err(sentence)?))
        }
        What::List(settings) => list(&house::enter(settings).await?).await,
    }
}

async fn create(ctx: &Ctx, ask: Make, role: Option<&str>) -> Result<(uuid::Uuid, String)> {
    let roles = Roles(role.map(str::to_owned).into_iter().collect());
    let made = actions::create(ctx, &By::Operator, &read(ask)?, &roles).await?;
    Ok((made.user.id, made.link))
}

async fn deed(ctx: &Ctx, identifier: &str, deed: Deed<'_>) -> Result<Seen<User>, String> {
    let done = async {
        let id = actions::named(ctx, identifier).await?;
        actions::act(ctx, &By::Operator, id, deed).await?;
        actions::user(ctx, id).await
    };
    done.await.map_err(sentence)
}

async fn set_roles(ctx: &Ctx, identifier: &str, change: Deed<'_>) -> Outcome {
    let user = deed(ctx, identifier, change).await?;
    say(&line(ctx, &user).await?)?;
    shut_out(ctx, &user).await
}

/// Says it of whoever cannot sign in with the roles that they have.
async fn shut_out(ctx: &Ctx, user: &User) -> Outcome {
    let (_, held) = accounts::held_with(ctx, user, true).await.map_err(sentence)?;
    if after_first_factor(&ctx.policy.sign_in, &held.holder()) != Gate::NoFactor {
        return Ok(());
    }
    say(
        "They cannot sign in: the policy (sign_in.second) asks them for a second factor, and they have none that takes \
         codes.",
    )?;
    let without = Holder { roles: &[], ..held.holder() };
    match after_first_factor(&ctx.policy.sign_in, &without) {
        Gate::Open => {
            say("It asks for one by their role: after `vestibule admin revoke` they can sign in and add one.")
        }
        Gate::Ask(_) | Gate::NoFactor => Ok(()),
    }
}

/// One person with what they may do, and everything by which to see that it is the right one.
async fn line(ctx: &Ctx, user: &Seen<User>) -> Result<String, String> {
    let ManagedUser { user: view, status, .. } = users::view(ctx, user).await.map_err(sentence)?;
    let known = [view.username, view.email, view.mobile].into_iter().flatten().collect::<Vec<_>>();
    Ok(format!("{}  {}  {status}  {}", user.id, words(&user.roles), known.join(" ")))
}

fn words(roles: &Roles) -> String {
    if roles.0.is_empty() { "no roles".to_owned() } else { roles.0.join(", ") }
}

async fn list(ctx: &Ctx) -> Outcome {
    for rank in [Rank::Admin, Rank::Support] {
        let filter = Filter { rank: Some(rank), ..Filter::default() };
        let mut after = None;
        loop {
            let page = users::find(ctx, &filter, after, 100).await.map_err(sentence)?;
            for user in &page.items {
                say(&line(ctx, user).await?)?;
            }
            match page.next {
                None => break,
                next => after = next,
            }
        }
    }
    Ok(())
}

/// A failure of the house, for the operator.
fn sentence(error: Error) -> String {
    match error.problem {
        Problem::NotFound => "Nobody is known by that, or has shown that the address is theirs. \
                              Name them by their username or their id."
            .to_owned(),
        Problem::Invalid => {
            let told = error.fields.iter().map(|field| format!("{}: {}", field.field, field.message));
            told.collect::<Vec<_>>().join("\n")
        }
        _ => house::sentence(error),
    }
}
