//! Every organisation, for staff: the pages that members have of theirs, in the console's frame.

use axum::response::Response;
use minijinja::context;
use uuid::Uuid;

use super::Desk;
use crate::administration::actions::named;
use crate::error::{Error, FieldError, Problem, Result};
use crate::http::extract::{Params, Search};
use crate::organizations::Role;
use crate::organizations::actions::{Asker, found_for};
use crate::pages::Sent;
use crate::pages::organizations::{After, Deed, Found, Place};
use crate::policy::operation as op;
use crate::step_up::staff;

/// Where these pages begin.
const START: &str = "/console/organizations";

impl Desk {
    fn organizations(&self) -> Place<'_> {
        Place {
            ctx: &self.ctx,
            visit: &self.visit,
            asker: Asker::Staff(&self.caller),
            start: START,
            frame: self.framed(context! { frame => "console.html" }),
            rank: self.may(op::ADMIN_ORGANIZATIONS).then_some(Role::Owner),
        }
    }
}

/// `GET /console/organizations`
pub async fn list(desk: Desk, Search(after): Search<After>) -> Result<Response> {
    desk.organizations().list(after, &Found::default(), None).await
}

/// `POST /console/organizations`
pub async fn found(desk: Desk, Sent(form): Sent<Found>) -> Result<Response> {
    match founded(&desk, &form).await {
        Ok(id) => Ok(desk.visit.goes_saying(&format!("{START}/{id}"), "done")),
        Err(error) if error.problem == Problem::StepUpRequired => Err(error),
        Err(error) => desk.organizations().list(After::default(), &form, Some(error)).await,
    }
}

async fn founded(desk: &Desk, form: &Found) -> Result<Uuid> {
    // Nobody learns who exists without the right to found one.
    staff(&desk.ctx, &desk.caller, op::ADMIN_ORGANIZATIONS).await?;
    let owner = named(&desk.ctx, form.owner.trim()).await.map_err(|error| match error.problem {
        Problem::NotFound => Error::from(FieldError::new("owner", "unknown", "There is no such user.")),
        _ => error,
    })?;
    Ok(found_for(&desk.ctx, &desk.caller, &form.name, owner).await?.id)
}

/// `GET /console/organizations/{id}`
pub async fn show(desk: Desk, Params(id): Params<Uuid>, Search(after): Search<After>) -> Result<Response> {
    desk.organizations().show(id, after, &Deed::default(), None).await
}

/// `POST /console/organizations/{id}`
pub async fn change(desk: Desk, Params(id): Params<Uuid>, Sent(form): Sent<Deed>) -> Result<Response> {
    desk.organizations().does(id, form).await
}
