//! Organisations of people who never were: with owners, administrators and members, some of them in two, and with
//! invitations that nobody has answered.

use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::{FIRST, Made, plain};
use crate::app::{Ctx, Moment};
use crate::audit::{What, note};
use crate::clock::Timestamp;
use crate::identifiers::Name;
use crate::organizations::{Invitation, Member, Organization, Role};
use crate::policy::IdentifierKind;
use crate::random::{Random, Seed};
use crate::secret::{Token, TokenKind};
use crate::store::Change;

const NAMES: &[&str] = &[
    "Alder",
    "Beacon",
    "Cobalt",
    "Delta",
    "Ember",
    "Fjord",
    "Granite",
    "Harbour",
    "Indigo",
    "Juniper",
    "Kestrel",
    "Lumen",
    "Meridian",
    "Northwind",
    "Orchard",
    "Pioneer",
];
const TRADES: &[&str] = &["Analytics", "Bakery", "Clinic", "Energy", "Foods", "Labs", "Logistics", "Studio"];
const FORMS: &[&str] = &["Ltd", "GmbH", "S.A.", "Cooperative", "Inc."];

/// Who may be a member, as far as it matters here.
pub(super) struct Candidate {
    pub user: Uuid,
    pub created_at: Timestamp,
    pub sessions_from: Timestamp,
    pub is_active: bool,
}

/// Fewest and most people of one organisation.
const SIZES: [u64; 2] = [3, 9];

struct Founding<'a> {
    ctx: &'a Ctx,
    seed: Seed,
    changes: Vec<Change>,
    made: &'a mut Made,
}

/// Organisations of some of `people`: the first of them who may sign in founds the first.
pub(super) fn found(ctx: &Ctx, people: &[Candidate], seed: &Seed, made: &mut Made) -> Vec<Change> {
    let mut founding = Founding { ctx, seed: seed.clone(), changes: Vec::new(), made };
    let (mut rest, mut before) = (people, None);
    let [least, most] = SIZES;
    for number in 0_u64.. {
        let size = least + founding.below(&format!("size:{number}"), most - least + 1);
        let size = usize::try_from(size).unwrap_or_default().min(rest.len());
        let (Some((inside, left)), true) = (rest.split_at_checked(size), size >= 3) else { break };
        founding.organization(number, inside, before);
        before = inside.iter().rev().find(|one| one.is_active);
        // Not everybody belongs to somebody.
        let apart = usize::try_from(founding.below(&format!("apart:{number}"), 5)).unwrap_or_default();
        rest = left.get(apart..).unwrap_or_default();
    }
    founding.changes
}

impl Founding<'_> {
    fn below(&self, label: &str, below: u64) -> u64 {
        u64::from_le_bytes(self.seed.bytes(label)) % below.max(1)
    }

    fn pick(&self, label: &str, list: &[&'static str]) -> &'static str {
        let at = usize::try_from(self.below(label, list.len() as u64)).unwrap_or_default();
        list.get(at).copied().unwrap_or_default()
    }

    /// A moment between `from` and now, with a seed of its own: ids and tokens are made of it.
    fn moment(&self, label: &str, from: Timestamp) -> Moment {
        let span = self.ctx.now.since(from).as_secs();
        let now = from + Duration::from_secs(self.below(&format!("when:{label}"), span));
        let seed = Random::seeded(self.below(label, u64::MAX)).seed();
        Moment::new(now, seed)
    }

    fn put(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// One with these people, and `guest`, who is in another one as well.
    fn organization(&mut self, number: u64, people: &[Candidate], guest: Option<&Candidate>) {
        let Some(owner) = people.iter().find(|one| one.is_active) else { return };
        let label = format!("organization:{number}");
        let moment = self.moment(&label, owner.created_at);
        let words =
            [self.pick(&format!("name:{label}"), NAMES), self.pick(&format!("trade:{label}"), TRADES)];
        let [name, trade] = words;
        let organization = Organization {
            id: moment.uuid("organization"),
            name: format!("{name} {trade} {}", self.pick(&format!("form:{label}"), FORMS)),
            created_at: moment.now,
            updated_at: moment.now,
            ended_at: None,
        };
        self.put(Change::insert(&organization));
        let detail = json!({"organization": organization.id});
        self.put(Change::insert(&note(What::OrganizationMade).user(owner.user).detail(detail).at(&moment)));
        self.made.organizations += 1;
        let guest = guest.filter(|_| self.below(&format!("guest:{label}"), 3) == 0);
        let mut has_admin = false;
        for (at, person) in people.iter().chain(guest).enumerate() {
            let is_owner = person.user == owner.user;
            let role = match (is_owner, !has_admin && person.is_active) {
                (true, _) => Role::Owner,
                (false, true) => {
                    has_admin = true;
                    Role::Admin
                }
                (false, false) => Role::Member,
            };
            let label = format!("member:{number}:{at}");
            let joined = match is_owner {
                true => {
                    Moment { now: organization.created_at, ..self.moment(&label, organization.created_at) }
                }
                false => self.moment(&label, organization.created_at.latest(person.created_at)),
            };
            self.put(Change::insert(&Member {
                id: joined.uuid("member"),
                organization_id: organization.id,
                user_id: person.user,
                role,
                created_at: joined.now,
            }));
            if !is_owner {
                let detail = json!({"organization": organization.id, "role": role});
                let event = note(What::MemberJoined).user(person.user).detail(detail).at(&joined);
                self.put(Change::insert(&event));
            }
        }
        for at in 0..1 + self.below(&format!("invitations:{label}"), 2) {
            self.invitation(&format!("invitation:{number}:{at}"), &organization, owner, name);
        }
    }

    /// Somebody from outside is asked to join, and has not answered yet. Nothing is sent.
    fn invitation(&mut self, label: &str, organization: &Organization, owner: &Candidate, company: &str) {
        let lasts = *self.ctx.policy.invitations.organization;
        // Open for some hours more at least.
        let from = (self.ctx.now - lasts.saturating_sub(lasts / 8)).latest(organization.created_at);
        let moment = self.moment(label, from);
        let who = plain(self.pick(&format!("who:{label}"), FIRST));
        let email = format!("{who}.{}@{}.example", self.below(label, 1_000), company.to_lowercase());
        let Ok(name) = Name::parse(IdentifierKind::Email, &email) else { return };
        let id = moment.uuid("invitation");
        let role = if self.below(&format!("role:{label}"), 4) == 0 { Role::Admin } else { Role::Member };
        self.put(Change::insert(&Invitation {
            id,
            digest: Token::new(TokenKind::Invitation, id, &moment.seed).digest(),
            organization_id: organization.id,
            email,
            canonical: name.canonical(),
            role,
            invited_by: Some(owner.user),
            counts_from: Some(owner.sessions_from),
            created_at: moment.now,
            expires_at: moment.now + lasts,
        }));
        let detail = json!({"organization": organization.id, "invitation": id, "role": role});
        let event = note(What::Invited).actor(Some(owner.user)).detail(detail).at(&moment);
        self.put(Change::insert(&event));
        self.made.invitations += 1;
    }
}
