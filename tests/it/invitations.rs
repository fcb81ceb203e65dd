//! Invitations: open for as long as whoever made them could make them now.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use uuid::Uuid;
use vestibule::accounts::Roles;
use vestibule::audit::{Event, What};
use vestibule::organizations::{Invitation, Member, Role};
use vestibule::store::{Change, Query};

use crate::administration::{id_of, put, with_roles};
use crate::matrix::{browser, plan, rewrite};
use crate::organizations::{code_at, founded, invites, joins, verified};
use crate::recovery::{recovers, sets};
use crate::world::{Answer, PASSWORD, Person, World};

/// What somebody is in an organisation, changed behind everybody's back.
async fn membership(world: &World, organization: Uuid, user: Uuid, role: Option<Role>) {
    let query = Query::along(Member::BY_BOTH).equal(organization).equal(user);
    let member: vestibule::store::Seen<Member> = world.app.store.first(query).await.unwrap().unwrap();
    let change = match role {
        Some(role) => Change::update(&member.with(|member| member.role = role)),
        None => Change::delete(&member),
    };
    world.app.store.commit(vec![change]).await.unwrap();
}

async fn accepts(person: &Person<'_>, code: &str) -> Answer {
    person.post("/api/v1/organizations/accept", json!({"invitation": code})).await
}

async fn accepts_by_page(person: &Person<'_>, code: &str) -> Answer {
    let form = format!("token={code}").into_bytes();
    person.send("POST", "/invitation", Some(("application/x-www-form-urlencoded", form))).await
}

async fn signs_up(person: &Person<'_>, code: &str) -> Answer {
    let mut body = person.account();
    body["invitation"] = json!(code);
    person.post("/api/v1/users", body).await
}

/// What becomes of whoever has invited.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Fate {
    Stays,
    Suspended,
    Restored,
    SessionsEnded,
    PasswordChanged,
    Recovered,
    Deleted,
    DeletedByAdmin,
    Lowered,
    Removed,
    RolesGone,
}

impl Fate {
    async fn befalls(self, inviter: &Person<'_>, admin: &Person<'_>, organization: Uuid) {
        let (id, world) = (id_of(inviter).await, inviter.world);
        let path = |rest: &str| format!("/api/v1/admin/users/{id}/{rest}");
        let done = async |rest: &str| {
            let body = if rest == "suspend" { json!({"reason": "Ticket 4711"}) } else { json!({}) };
            admin.post(&path(rest), body).await.expect(StatusCode::NO_CONTENT);
        };
        match self {
            Self::Stays => {}
            Self::Suspended => done("suspend").await,
            Self::Restored => {
                done("suspend").await;
                done("restore").await;
            }
            Self::SessionsEnded => done("end-sessions").await,
            Self::PasswordChanged => {
                let body = json!({"current_password": PASSWORD, "new_password": "quite another long phrase"});
                sets(inviter, body).await.expect(StatusCode::NO_CONTENT);
            }
            Self::Recovered => recovers(inviter).await,
            Self::Deleted => {
                inviter.delete("/api/v1/users/me").await.expect(StatusCode::NO_CONTENT);
            }
            Self::DeletedByAdmin => {
                admin.delete(&format!("/api/v1/admin/users/{id}")).await.expect(StatusCode::NO_CONTENT);
            }
            Self::Lowered => membership(world, organization, id, Some(Role::Member)).await,
            Self::Removed => membership(world, organization, id, None).await,
            Self::RolesGone => rewrite(inviter, |user| user.set_roles(Roles::default())).await,
        }
    }
}

/// Whether an invitation that an owner or staff has made can be used after what became of them: in every way in
/// which one is used.
async fn outlives(world: &World, admin: &Person<'_>, is_staff: bool, fate: Fate) {
    let (owner, other) = (verified(world).await, verified(world).await);
    let id = founded(&owner, "Harbour").await;
    joins(&owner, id, &other, "owner").await;
    let staff = with_roles(world, if is_staff { &["admin"] } else { &[] }).await;
    let inviter = if is_staff { &staff } else { &owner };
    let mount = if is_staff { "/api/v1/admin/organizations" } else { "/api/v1/organizations" };
    let (grace, late, new) = (verified(world).await, verified(world).await, world.stranger());
    let mut codes = Vec::new();
    for (who, role) in [(&grace, "owner"), (&late, "member"), (&new, "admin")] {
        let body = json!({"email": who.email(), "role": role});
        inviter.post(&format!("{mount}/{id}/invitations"), body).await.expect(StatusCode::CREATED);
        codes.push(code_at(world, &who.email()).await);
    }
    fate.befalls(inviter, admin, id).await;
    let listed = other.get(&format!("/api/v1/organizations/{id}/invitations")).await.body;
    let open = listed["items"].as_array().unwrap().len();
    let late = browser(&late).await;
    let answers = [
        accepts(&grace, &codes[0]).await,
        accepts_by_page(&late, &codes[1]).await,
        signs_up(&new, &codes[2]).await,
    ];
    let statuses = answers.map(|answer| answer.status.as_u16());
    let (expected, left) = if fate == Fate::Stays { ([200, 200, 201], 3) } else { ([401; 3], 0) };
    assert_eq!((statuses, open), (expected, left), "staff: {is_staff}, {fate:?}");
    // What counts no more keeps nobody from asking anew.
    if left == 0 {
        invites(&other, id, &grace.email(), "member").await.expect(StatusCode::CREATED);
        accepts(&grace, &code_at(world, &grace.email()).await).await.expect(StatusCode::OK);
    }
}

#[tokio::test]
async fn an_invitation_ends_with_what_its_owner_lost() {
    let world = plan().build().await;
    let admin = with_roles(&world, &["admin"]).await;
    for fate in [
        Fate::Stays,
        Fate::Suspended,
        Fate::Restored,
        Fate::SessionsEnded,
        Fate::PasswordChanged,
        Fate::Recovered,
        Fate::Deleted,
        Fate::DeletedByAdmin,
        Fate::Lowered,
        Fate::Removed,
    ] {
        outlives(&world, &admin, false, fate).await;
    }
}

#[tokio::test]
async fn an_invitation_of_staff_ends_with_what_they_lost() {
    let world = plan().build().await;
    let admin = with_roles(&world, &["admin"]).await;
    for fate in [Fate::Stays, Fate::Suspended, Fate::SessionsEnded, Fate::DeletedByAdmin, Fate::RolesGone] {
        outlives(&world, &admin, true, fate).await;
    }
}

/// Whoever loses what they invite by while the invitation is accepted: one of the two does not happen.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_joins_by_whom_is_suspended_meanwhile() {
    let world = plan().build().await;
    let owner = verified(&world).await;
    let (id, owner_id) = (founded(&owner, "Harbour").await, id_of(&owner).await);
    let grace = verified(&world).await;
    invites(&owner, id, &grace.email(), "owner").await.expect(StatusCode::CREATED);
    let code = code_at(&world, &grace.email()).await;
    let suspended =
        format!("UPDATE users SET status = 'suspended', revision = revision + 1 WHERE id = '{owner_id}'");
    let answer = grace.waits_while(accepts(&grace, &code), &suspended).await;
    answer.problem(401, "code-gone");
}

/// Whoever is suspended while they accept joins nothing: what is read again is asked again whether it stands.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_joins_who_is_suspended_meanwhile() {
    let world = plan().build().await;
    let owner = verified(&world).await;
    let id = founded(&owner, "Harbour").await;
    let grace = verified(&world).await;
    invites(&owner, id, &grace.email(), "member").await.expect(StatusCode::CREATED);
    let code = code_at(&world, &grace.email()).await;
    let grace_id = id_of(&grace).await;
    let suspended =
        format!("UPDATE users SET status = 'suspended', revision = revision + 1 WHERE id = '{grace_id}'");
    let answer = grace.waits_while(accepts(&grace, &code), &suspended).await;
    answer.problem(401, "unauthenticated");
    assert_eq!(world.count::<Member>(Member::BY_ORGANIZATION).await, 1);
}

/// Nor who loses the address, or the session, while they accept: both are what it is accepted by.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_joins_by_what_they_lose_meanwhile() {
    let world = plan().build().await;
    let owner = verified(&world).await;
    let id = founded(&owner, "Harbour").await;
    for (table, status, slug) in [
        ("identifiers WHERE kind = 'email' AND", 403, "not-allowed"),
        ("sessions WHERE", 401, "unauthenticated"),
    ] {
        let grace = verified(&world).await;
        invites(&owner, id, &grace.email(), "member").await.expect(StatusCode::CREATED);
        let code = code_at(&world, &grace.email()).await;
        let lost = format!("DELETE FROM {table} user_id = '{}'", id_of(&grace).await);
        grace.waits_while(accepts(&grace, &code), &lost).await.problem(status, slug);
    }
    assert_eq!(world.count::<Member>(Member::BY_ORGANIZATION).await, 1);
}

#[tokio::test]
async fn nobody_accepts_what_they_offered_themselves() {
    let world = plan().build().await;
    let (owner, staff) = (verified(&world).await, verified(&world).await);
    let id = founded(&owner, "Harbour").await;
    crate::step_up::promote(&world, &staff, &["admin"]).await;
    let path = format!("/api/v1/admin/organizations/{id}/invitations");
    // It becomes theirs afterwards.
    let body = json!({"email": "elsewhere@example.com", "role": "owner"});
    staff.post(&path, body).await.expect(StatusCode::CREATED);
    let code = code_at(&world, "elsewhere@example.com").await;
    let rename = "UPDATE identifiers SET canonical = 'email:elsewhere@example.com', owned = 'email:elsewhere@example.com', \
                  value = 'elsewhere@example.com'";
    world.place.by_hand(&format!("{rename} WHERE canonical = 'email:{}'", staff.email())).await;
    accepts(&staff, &code).await.problem(403, "not-allowed");
    put(
        &owner,
        &format!("/api/v1/organizations/{id}/members/{}", id_of(&staff).await),
        json!({"role": "owner"}),
    )
    .await
    .problem(404, "not-found");
}

/// Whoever is removed, lowered or leaves does not come back by what was offered to them before.
#[tokio::test]
async fn nobody_comes_back_by_an_older_invitation() {
    let world = plan().build().await;
    let (owner, grace) = (verified(&world).await, verified(&world).await);
    let id = founded(&owner, "Harbour").await;
    let grace_id = id_of(&grace).await;
    let member = format!("/api/v1/organizations/{id}/members/{grace_id}");
    let rewrites = async |canonical: &str| {
        let sql = "UPDATE invitations SET revision = revision + 1, canonical =";
        world.place.by_hand(&format!("{sql} '{canonical}'")).await;
    };
    for removes in [true, false] {
        joins(&owner, id, &grace, "member").await;
        invites(&owner, id, &grace.email(), "owner").await.problem(422, "invalid");
        // It went to an address that became theirs afterwards.
        invites(&owner, id, "elsewhere@example.com", "admin").await.expect(StatusCode::CREATED);
        let code = code_at(&world, "elsewhere@example.com").await;
        rewrites(&format!("email:{}", grace.email())).await;
        if removes {
            owner.delete(&member).await.expect(StatusCode::NO_CONTENT);
        } else {
            put(&owner, &member, json!({"role": "admin"})).await.expect(StatusCode::NO_CONTENT);
            assert_eq!(
                world.count::<Invitation>(Invitation::BY_ORGANIZATION).await,
                1,
                "no more than they are"
            );
            put(&owner, &member, json!({"role": "member"})).await.expect(StatusCode::NO_CONTENT);
        }
        assert_eq!(world.count::<Invitation>(Invitation::BY_ORGANIZATION).await, 0);
        accepts(&grace, &code).await.problem(401, "code-gone");
    }
    // What went to an address that is not known to be theirs is somebody else's.
    invites(&owner, id, "other@example.com", "admin").await.expect(StatusCode::CREATED);
    grace.delete(&member).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(world.count::<Invitation>(Invitation::BY_ORGANIZATION).await, 1);
}

/// Staff who are members do nothing to themselves by the right of staff, so whoever was raised was raised by somebody
/// who is named.
#[tokio::test]
async fn staff_do_nothing_to_themselves_in_an_organisation() {
    let world = plan().build().await;
    let (owner, staff, other) = (verified(&world).await, verified(&world).await, verified(&world).await);
    crate::step_up::promote(&world, &staff, &["admin"]).await;
    let id = founded(&owner, "Harbour").await;
    joins(&owner, id, &staff, "member").await;
    joins(&owner, id, &other, "member").await;
    let (staff_id, other_id) = (id_of(&staff).await, id_of(&other).await);
    let path = format!("/api/v1/admin/organizations/{id}");
    let member = |user: Uuid| format!("{path}/members/{user}");
    put(&staff, &member(staff_id), json!({"role": "owner"})).await.problem(403, "not-allowed");
    staff.delete(&member(staff_id)).await.problem(403, "not-allowed");
    let body = json!({"email": staff.email(), "role": "owner"});
    staff.post(&format!("{path}/invitations"), body).await.problem(403, "not-allowed");
    let body = json!({"name": "Pier", "owner": staff_id});
    staff.post("/api/v1/admin/organizations", body).await.problem(403, "not-allowed");
    put(&staff, &member(other_id), json!({"role": "owner"})).await.expect(StatusCode::NO_CONTENT);
    let raised = staff.get("/api/v1/admin/audit?what=member_changed").await.expect(StatusCode::OK).body;
    let named: Vec<_> = raised["items"].as_array().unwrap().iter().map(|one| &one["actor"]).collect();
    assert_eq!(named, [&json!(staff_id)]);
    // By the right of a member one still leaves.
    let own = format!("/api/v1/organizations/{id}/members/{staff_id}");
    staff.delete(&own).await.expect(StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn whoever_has_not_shown_the_address_to_be_theirs_does_not_join_by_it() {
    let world = plan().build().await;
    let (owner, grace) = (verified(&world).await, world.alice().await);
    let id = founded(&owner, "Harbour").await;
    invites(&owner, id, &grace.email(), "admin").await.expect(StatusCode::CREATED);
    let code = code_at(&world, &grace.email()).await;
    // The account names it, as any account may; the link may have come from whoever reads the mails.
    accepts(&grace, &code).await.problem(403, "not-allowed");
    assert_eq!(accepts_by_page(&browser(&grace).await, &code).await.status, StatusCode::FORBIDDEN);
    grace.get(&format!("/api/v1/organizations/{id}")).await.problem(404, "not-found");
    crate::recovery::shows_email(&grace).await;
    accepts(&grace, &code).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn an_invitation_that_did_not_go_out_is_news_of_nobody() {
    let world = plan().build().await;
    let founder = verified(&world).await;
    let organization = founded(&founder, "Analytical Engines").await;
    invites(&founder, organization, "guest@example.org", "member").await.expect(StatusCode::CREATED);
    // Nobody has read the mail when it is too old to be sent.
    world.advance(Duration::from_secs(4 * 86_400));
    world.run_due().await;
    let failed = Query::<Event>::along(Event::BY_WHAT).equal(What::MessageFailed).limit(10);
    let failed = world.app.store.find(failed).await.unwrap().items;
    let told: Vec<_> = failed.iter().map(|event| (&event.detail["purpose"], event.user_id)).collect();
    assert_eq!(told, [(&json!("invited"), None)]);
}

/// What is refused after it was counted is not missing to somebody else.
#[tokio::test]
async fn what_is_refused_uses_up_nothing_of_what_an_address_may_be_told() {
    let world = plan().policy(|policy| policy.limits.send_notice.limit = 2).build().await;
    let (owner, lower, other) = (verified(&world).await, verified(&world).await, verified(&world).await);
    let (harbour, lights) = (founded(&owner, "Harbour").await, founded(&other, "Lights").await);
    joins(&owner, harbour, &lower, "admin").await;
    for _ in 0..3 {
        invites(&lower, harbour, "guest@example.org", "admin").await.problem(403, "not-allowed");
    }
    invites(&other, lights, "guest@example.org", "member").await.expect(StatusCode::CREATED);

    let admin = with_roles(&world, &["admin"]).await;
    let make = async |name: &str| {
        let body = json!({"username": name, "email": "new@example.org", "mobile": "+4915112340987"});
        admin.post("/api/v1/admin/users", body).await
    };
    for _ in 0..3 {
        make(&owner.username).await.problem(409, "identifier-taken");
    }
    make("newcomer").await.expect(StatusCode::CREATED);
}
