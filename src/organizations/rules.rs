//! Who may do what in an organisation. Pure.

use super::{Member, Role};
use crate::error::{Problem, Result};

/// Refuses whoever is less than `least`: it is no secret to a member that the organisation is there.
pub(super) fn at_least(role: Role, least: Role) -> Result<()> {
    if role >= least { Ok(()) } else { Err(Problem::NotAllowed.into()) }
}

/// Whether somebody with `role` may change `member` into `into`: over both, so that nobody raises anybody
/// to where they could not touch them.
pub(super) fn may_change(role: Role, member: &Member, into: Role) -> Result<()> {
    at_least(role, Role::Admin)?;
    let may = role.is_over(member.role) && role.is_over(into);
    if may { Ok(()) } else { Err(Problem::NotAllowed.into()) }
}

/// Whether somebody with `role` may remove `member`; `is_self`: that is themselves, who may always leave.
pub(super) fn may_remove(role: Role, member: &Member, is_self: bool) -> Result<()> {
    if is_self || role >= Role::Admin && role.is_over(member.role) {
        Ok(())
    } else {
        Err(Problem::NotAllowed.into())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::clock::Timestamp;

    fn member(role: Role) -> Member {
        let (id, at) = (Uuid::from_u128(1), Timestamp::from_millis(0));
        Member { id, organization_id: id, user_id: id, role, created_at: at }
    }

    #[test]
    fn nobody_raises_anybody_to_their_own_height_but_an_owner() {
        for role in Role::ALL.iter().copied() {
            for now in Role::ALL.iter().copied() {
                for into in Role::ALL.iter().copied() {
                    let may = may_change(role, &member(now), into).is_ok();
                    let expected = match role {
                        Role::Owner => true,
                        Role::Admin => now == Role::Member && into == Role::Member,
                        Role::Member => false,
                    };
                    assert_eq!(may, expected, "{role} {now} {into}");
                }
                assert!(may_remove(role, &member(now), true).is_ok(), "everybody may leave");
                let may = may_remove(role, &member(now), false).is_ok();
                assert_eq!(may, role == Role::Owner || role == Role::Admin && now == Role::Member);
            }
        }
    }
}
