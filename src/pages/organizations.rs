//! Organisations as pages: for their members, and, framed as the console's, for staff.

use axum::http::HeaderMap;
use axum::response::Response;
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Deserialize;
use uuid::Uuid;

use super::Sent;
use super::acting::{self, Begin};
use crate::app::Ctx;
use crate::error::{Error, FieldError, Problem, Result};
use crate::http::extract::{Params, Search};
use crate::http::listing::{List, Listing};
use crate::http::visit::Visit;
use crate::organizations::actions::{self, Asker};
use crate::organizations::{InvitationView, MemberView, Role};
use crate::policy::operation;
use crate::sessions::Caller;
use crate::step_up::permit;

/// Where one's own are.
const OWN: &str = "/account/organizations";

/// How many entries a page has.
const ENTRIES: usize = 20;

/// Who looks at organisations, and in which frame.
pub struct Place<'a> {
    /// The request.
    pub ctx: &'a Ctx,
    /// The page.
    pub visit: &'a Visit,
    /// By which right.
    pub asker: Asker<'a>,
    /// Where these pages begin.
    pub start: &'static str,
    /// What the frame needs.
    pub frame: Value,
    /// What staff may do: as much as an owner, or nothing. Members do what their membership says.
    pub rank: Option<Role>,
}

/// Where a list begins.
#[derive(Default, Deserialize)]
pub struct After {
    /// Where the page before ended.
    pub after: Option<String>,
    /// The same of the invitations.
    pub invited: Option<String>,
}

impl After {
    fn place(after: Option<String>) -> Listing {
        Listing { limit: Some(ENTRIES), after }
    }
}

/// A new organisation.
#[derive(Default, Deserialize)]
pub struct Found {
    /// What it is called.
    #[serde(default)]
    pub name: String,
    /// Who owns it: for staff.
    #[serde(default)]
    pub owner: String,
}

/// What is done to an organisation.
#[derive(Default, Deserialize)]
pub struct Deed {
    /// Which: `rename`, `end`, `role`, `remove`, `invite` or `uninvite`.
    #[serde(default, rename = "do")]
    pub deed: String,
    /// The new name.
    #[serde(default)]
    pub name: String,
    /// Which member.
    #[serde(default)]
    pub user: String,
    /// What a member is from now on.
    #[serde(default)]
    pub role: String,
    /// Who is invited.
    #[serde(default)]
    pub email: String,
    /// Which invitation.
    #[serde(default)]
    pub invitation: String,
}

fn id(text: &str) -> Result<Uuid> {
    text.parse().map_err(|_| Problem::NotFound.into())
}

fn role(word: &str) -> Result<Role> {
    Role::of_word(word)
        .ok_or_else(|| Error::from(FieldError::new("role", "invalid", "There is no such role.")))
}

/// What a member is called.
fn known(member: &MemberView) -> Option<String> {
    [&member.name, &member.username, &member.email].into_iter().flatten().next().cloned()
}

impl Place<'_> {
    fn shows(&self, error: Option<Error>, file: &str, title: &str, given: Value) -> Result<Response> {
        let given = context! { start => self.visit.to(self.start), ..given };
        let given = context! { ..given, ..self.frame.clone() };
        self.visit.answers(error, file, title, given)
    }

    /// The list.
    ///
    /// # Errors
    /// Those of [`Asker::reads`]; the store's.
    pub async fn list(&self, after: After, asked: &Found, error: Option<Error>) -> Result<Response> {
        self.asker.reads(self.ctx).await?;
        let place = After::place(after.after);
        let (cursor, limit) = (place.cursor(self.ctx)?, place.limit()?);
        let page = match self.asker {
            Asker::Member(caller) => actions::own(self.ctx, caller, cursor, limit).await?,
            Asker::Staff(_) => actions::all(self.ctx, cursor, limit).await?,
        };
        let is_staff = matches!(self.asker, Asker::Staff(_));
        let page = List::of(self.ctx, page, |one| {
            let href = self.visit.to(&format!("{}/{}", self.start, one.id));
            context! { href, name => one.name, role => one.role.map(Role::as_str), created_at => one.created_at.to_string() }
        });
        let next = page.next.map(|next| self.visit.with(self.start, &[("after", &next)]));
        let founds = match self.asker {
            Asker::Member(caller) => super::leads_to(self.ctx, caller, operation::ORGANIZATION_CREATE),
            Asker::Staff(_) => self.rank.is_some(),
        };
        let given = context! {
            items => page.items, next, is_staff, founds, name => asked.name.clone(), owner => asked.owner.clone(),
        };
        self.shows(error, "organizations.html", &self.visit.say("nav.organizations"), given)
    }

    /// One organisation.
    ///
    /// # Errors
    /// [`Problem::NotFound`]; those of [`Asker::reads`].
    pub async fn show(
        &self,
        organization: Uuid,
        after: After,
        asked: &Deed,
        error: Option<Error>,
    ) -> Result<Response> {
        let (ctx, visit) = (self.ctx, self.visit);
        self.asker.reads(ctx).await?;
        let entered = actions::enter(ctx, self.asker, organization).await?;
        let (own, me, staff) = match self.asker {
            Asker::Member(caller) => (Some(entered.role), Some(caller.user.id), None),
            Asker::Staff(caller) => (self.rank, None, Some(caller.user.id)),
        };
        let leads = |operation| match self.asker {
            Asker::Member(caller) => super::leads_to(ctx, caller, operation),
            // What staff may do, their rank has said.
            Asker::Staff(_) => true,
        };
        let administers = own.filter(|role| *role >= Role::Admin);
        let joins = leads(operation::ORGANIZATION_MEMBERS);
        let acts = me.is_some() && leads(operation::ORGANIZATION_ACT);
        let here = format!("{}/{organization}", self.start);
        let members = After::place(after.after);
        let page =
            actions::members(ctx, self.asker, organization, members.cursor(ctx)?, members.limit()?).await?;
        let members = List::of(ctx, page, |one| {
            let is_over = administers.is_some_and(|role| role.is_over(one.role)) && staff != Some(one.user);
            let act = (acts && is_over && me != Some(one.user))
                .then(|| visit.to(&format!("{here}/members/{}/act", one.user)));
            context! {
                user => one.user.to_string(), act,
                is_over => joins && is_over,
                leaves => joins && me == Some(one.user),
                is_self => me == Some(one.user),
                known => known(&one),
                username => one.username, email => one.email, role => one.role.as_str(),
                joined_at => one.joined_at.to_string(),
            }
        });
        let invitations = match administers.or(me.is_none().then_some(Role::Owner)) {
            None => None,
            Some(_) => {
                let place = After::place(after.invited);
                let page =
                    actions::invitations(ctx, self.asker, organization, place.cursor(ctx)?, place.limit()?);
                Some(List::of(ctx, page.await?, |one| Value::from(Serde(&InvitationView::from(&*one)))))
            }
        };
        let invited = invitations.as_ref().and_then(|list| list.next.as_deref());
        let gives: Vec<_> =
            Role::ALL.iter().copied().filter(|role| own.is_some_and(|own| own.is_over(*role))).collect();
        let gives: Vec<_> = gives.into_iter().map(Role::as_str).collect();
        let view = entered.view();
        let given = context! {
            next => members.next.as_deref().map(|next| visit.with(&here, &[("after", next)])),
            next_invited => invited.map(|next| visit.with(&here, &[("invited", next)])),
            owns => own == Some(Role::Owner) && leads(operation::ORGANIZATION_CHANGE),
            administers => joins && administers.is_some(),
            created_at => view.created_at.to_string(),
            members => members.items,
            invitations => invitations.map(|list| list.items),
            gives, name => view.name, role => view.role.map(Role::as_str),
            typed => context! {
                name => asked.name.clone(), email => asked.email.clone(), role => asked.role.clone(),
            },
        };
        self.shows(error, "organization.html", &entered.organization.name, given)
    }

    /// Does what a form asks for.
    ///
    /// # Errors
    /// What the page cannot show: among them that it needs a step-up.
    pub async fn does(&self, organization: Uuid, form: Deed) -> Result<Response> {
        let (ctx, asker) = (self.ctx, self.asker);
        let (mut on, mut word) = (format!("{}/{organization}", self.start), "done");
        let done = async {
            // What is somebody else's is not there, before anything that was typed is looked at.
            asker.reads(ctx).await?;
            actions::enter(ctx, asker, organization).await?;
            match form.deed.as_str() {
                "rename" => actions::rename(ctx, asker, organization, &form.name).await.map(drop),
                "end" => {
                    self.start.clone_into(&mut on);
                    actions::end(ctx, asker, organization).await
                }
                "role" => {
                    actions::set_role(ctx, asker, organization, id(&form.user)?, role(&form.role)?).await
                }
                "remove" => {
                    let user = id(&form.user)?;
                    if matches!(asker, Asker::Member(caller) if caller.user.id == user) {
                        self.start.clone_into(&mut on);
                    }
                    word = "removed";
                    actions::remove_member(ctx, asker, organization, user).await
                }
                "invite" => {
                    word = "invited";
                    let role = role(&form.role)?;
                    actions::invite(ctx, asker, organization, form.email.trim(), role).await.map(drop)
                }
                "uninvite" => {
                    word = "removed";
                    actions::uninvite(ctx, asker, organization, id(&form.invitation)?).await
                }
                _ => Err(Problem::MalformedBody.into()),
            }
        };
        match done.await {
            Ok(()) => Ok(self.visit.goes_saying(&on, word)),
            Err(error) if error.problem == Problem::StepUpRequired => Err(error),
            Err(error) => self.show(organization, After::default(), &form, Some(error)).await,
        }
    }
}

fn own<'a>(ctx: &'a Ctx, visit: &'a Visit, caller: &'a Caller) -> Place<'a> {
    let (asker, frame) = (Asker::Member(caller), context! { frame => "account.html" });
    Place { ctx, visit, asker, start: OWN, frame, rank: None }
}

/// `GET /account/organizations`
pub async fn list(ctx: Ctx, visit: Visit, caller: Caller, Search(after): Search<After>) -> Result<Response> {
    own(&ctx, &visit, &caller).list(after, &Found::default(), None).await
}

/// `POST /account/organizations`
pub async fn found(ctx: Ctx, visit: Visit, caller: Caller, Sent(form): Sent<Found>) -> Result<Response> {
    match actions::found(&ctx, &caller, &form.name).await {
        Ok(made) => Ok(visit.goes_saying(&format!("{OWN}/{}", made.id), "done")),
        Err(error) if error.problem == Problem::StepUpRequired => Err(error),
        Err(error) => own(&ctx, &visit, &caller).list(After::default(), &form, Some(error)).await,
    }
}

/// `GET /account/organizations/{id}`
pub async fn show(
    ctx: Ctx,
    visit: Visit,
    caller: Caller,
    Params(id): Params<Uuid>,
    Search(after): Search<After>,
) -> Result<Response> {
    own(&ctx, &visit, &caller).show(id, after, &Deed::default(), None).await
}

/// `POST /account/organizations/{id}`
pub async fn change(
    ctx: Ctx,
    visit: Visit,
    caller: Caller,
    Params(id): Params<Uuid>,
    Sent(form): Sent<Deed>,
) -> Result<Response> {
    own(&ctx, &visit, &caller).does(id, form).await
}

/// `GET /account/organizations/{id}/members/{user}/act`
pub async fn ask_act(
    ctx: Ctx,
    visit: Visit,
    caller: Caller,
    Params((id, user)): Params<(Uuid, Uuid)>,
) -> Result<Response> {
    let member = actions::member(&ctx, Asker::Member(&caller), id, user).await?;
    permit(&ctx, &caller, operation::ORGANIZATION_ACT).await?;
    asks_act(&ctx, &visit, id, &member, &Begin::default(), None)
}

fn asks_act(
    ctx: &Ctx,
    visit: &Visit,
    organization: Uuid,
    member: &MemberView,
    form: &Begin,
    error: Option<Error>,
) -> Result<Response> {
    let back = visit.to(&format!("{OWN}/{organization}"));
    let given =
        context! { deed => "act", frame => "account.html", back, whom => known(member), ..form.given(ctx) };
    let title = visit.say("console-user-act");
    visit.answers(error, "deed.html", &title, given)
}

/// `POST /account/organizations/{id}/members/{user}/act`
pub async fn act(
    ctx: Ctx,
    visit: Visit,
    caller: Caller,
    headers: HeaderMap,
    Params((id, user)): Params<(Uuid, Uuid)>,
    Sent(form): Sent<Begin>,
) -> Result<Response> {
    let member = actions::member(&ctx, Asker::Member(&caller), id, user).await?;
    let begun = async { actions::act(&ctx, &caller, id, user, &form.ask()?).await }.await;
    match begun {
        Ok((session, token)) => acting::begins(&ctx, &visit, &headers, &session, &token).await,
        Err(error) if error.problem == Problem::Invalid => {
            asks_act(&ctx, &visit, id, &member, &form, Some(error))
        }
        Err(error) => Err(error),
    }
}
