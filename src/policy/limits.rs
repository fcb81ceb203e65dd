//! Every limit by its name, and the policy's one table of their numbers.

use serde::Deserialize;

use super::check::DAY;
use crate::config::{Layers, Period};
use crate::store::text_enum;

/// `[limits]`: the one table of numbers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Wrong passwords for one identifier, and for one account by whatever identifiers.
    pub sign_in_identifier: Budget,
    /// Wrong passwords for one account in a day.
    pub sign_in_account_day: Budget,
    /// The same in the long run.
    pub sign_in_account_month: Budget,
    /// Wrong passwords from one known device.
    pub sign_in_device: Budget,
    /// The same in a day.
    pub sign_in_device_day: Budget,
    /// Sign-ins tried from one address.
    pub sign_in_address: Budget,
    /// Failed sign-ins of people unknown here that are each kept as an event.
    pub note_unknown: Budget,
    /// Sign-ups from one address.
    pub sign_up_address: Budget,
    /// Passwords whose strength is asked for from one address.
    pub password_strength_address: Budget,
    /// Codes tried from one address.
    pub code_try_address: Budget,
    /// Codes tried for sign-ins that one known device began.
    pub code_try_device: Budget,
    /// Recoveries that one network begins for one identifier.
    pub recover_identifier: Budget,
    /// Recoveries begun on one known device.
    pub recover_device: Budget,
    /// Recoveries begun from one address.
    pub recover_address: Budget,
    /// Refresh tokens shown from one address.
    pub refresh_address: Budget,
    /// Wrong client secrets from one address.
    pub client_failures_address: Budget,
    /// Requests of one API key or one registered client.
    pub service_requests: Budget,
    /// Messages and calls to one number in a short time, whoever asks for them.
    pub send_number_short: Budget,
    /// Messages and calls to one number in a day, whoever asks for them.
    pub send_number_day: Budget,
    /// Of the messages to one number in a short time, those for which nobody has shown a password.
    pub send_stranger_short: Budget,
    /// Of the messages to one number in a day, those for which nobody has shown a password.
    pub send_stranger_day: Budget,
    /// Of the messages to one number in a short time, those for which nobody has shown it to be theirs.
    pub send_others_short: Budget,
    /// Of the messages to one number in a day, those for which nobody has shown it to be theirs.
    pub send_others_day: Budget,
    /// Messages that one address causes.
    pub send_address: Budget,
    /// Messages to one number or e-mail address that tell of one kind of event.
    pub send_notice: Budget,
    /// Calls that one user asks for.
    pub call_user: Budget,
    /// Calls to one number.
    pub call_number: Budget,
    /// Calls that one address asks for.
    pub call_address: Budget,
    /// Requests of one user that may change something.
    pub change_user: Budget,
    /// The same in a day.
    pub change_user_day: Budget,
    /// Exports of all that is held about one user.
    pub export_user: Budget,
    /// Organisations that one user founds.
    pub organization_user: Budget,
    /// Invitations that one user sends.
    pub invitation_user: Budget,
    /// Recovery codes to one e-mail address.
    pub send_recovery: Budget,
    /// Recovery codes to one e-mail address that one network asks for.
    pub send_recovery_network: Budget,
    /// Recovery codes to one number or e-mail address that known devices, or known places, ask for.
    pub send_recovery_known: Budget,
    /// Recovery codes to one number in a short time.
    pub send_recovery_number: Budget,
    /// Recovery codes to one number in a day.
    pub send_recovery_number_day: Budget,
    /// Recovery codes to one number that one network asks for.
    pub send_recovery_number_network: Budget,
    /// Messages to one block of a thousand numbers that strangers ask for.
    pub send_block: Budget,
    /// Messages to one country abroad that strangers ask for.
    pub send_country: Budget,
    /// Codes that strangers had sent to one block of numbers and that nobody gave back.
    pub unproven_block: Budget,
    /// The same for one country abroad.
    pub unproven_country: Budget,
    /// Consecutive wrong codes before a factor must be bound anew (NIST SP 800-63B-4 §3.2.2).
    pub factor_failures: u32,
    /// Consecutive wrong codes in recoveries before a factor cannot be shown in one any more.
    pub recovery_failures: u32,
    /// Consecutive wrong passwords before a password must be recovered (NIST SP 800-63B-4 §3.2.2).
    pub password_failures: u32,
    /// How many of those are left to known devices, and how many make a device unknown.
    pub device_failures: u32,
    /// `[limits.wider]`
    pub wider: Wider,
}

/// `[limits.wider]`: how many times the budget of one address a wider network has.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wider {
    /// An IPv4 /24.
    pub ipv4_24: u32,
    /// An IPv6 /56.
    pub ipv6_56: u32,
    /// An IPv6 /48.
    pub ipv6_48: u32,
}

/// At most `limit` in each `window`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// How many.
    pub limit: u32,
    /// In what time.
    pub window: Period,
}

text_enum! {
    /// Every limit.
    pub enum Limit {
        /// Wrong passwords for one identifier, whoever tries and however it is spelt; and, again, for
        /// one account, by whichever of its identifiers.
        SignInIdentifier = "sign-in-identifier",
        /// Wrong passwords for one account in a day.
        SignInAccountDay = "sign-in-account-day",
        /// The same in the long run.
        SignInAccountMonth = "sign-in-account-month",
        /// Wrong passwords from one known device, or within one session.
        SignInDevice = "sign-in-device",
        /// The same in a day.
        SignInDeviceDay = "sign-in-device-day",
        /// Sign-ins tried from one address.
        SignInAddress = "sign-in-address",
        /// Failed sign-ins of people unknown here that are each kept as an event.
        NoteUnknown = "note-unknown",
        /// Accounts made from one address.
        SignUpAddress = "sign-up-address",
        /// Passwords whose strength is asked for from one address.
        PasswordStrengthAddress = "password-strength-address",
        /// Codes tried from one address.
        CodeTryAddress = "code-try-address",
        /// Codes tried for sign-ins that one known device began.
        CodeTryDevice = "code-try-device",
        /// Recoveries that one network begins for one identifier, known or not.
        RecoverIdentifier = "recover-identifier",
        /// Recoveries begun on one known device.
        RecoverDevice = "recover-device",
        /// Recoveries begun from one address.
        RecoverAddress = "recover-address",
        /// Refresh tokens that are none, from one address; and those of one session.
        RefreshAddress = "refresh-address",
        /// Wrong client secrets from one address.
        ClientFailuresAddress = "client-failures-address",
        /// Requests of one API key or one registered client.
        ServiceRequests = "service-requests",
        /// Messages and calls to one number in a short time, whoever asks for them.
        SendNumberShort = "send-number-short",
        /// Messages and calls to one number in a day, whoever asks for them.
        SendNumberDay = "send-number-day",
        /// Messages to one number in a short time for which nobody has shown a password.
        SendStrangerShort = "send-stranger-short",
        /// Messages to one number in a day for which nobody has shown a password.
        SendStrangerDay = "send-stranger-day",
        /// Messages to one number in a short time for which nobody has shown it to be theirs.
        SendOthersShort = "send-others-short",
        /// Messages to one number in a day for which nobody has shown it to be theirs.
        SendOthersDay = "send-others-day",
        /// Messages asked for from one address.
        SendAddress = "send-address",
        /// Messages to one address or number in a day that tell of one kind of event.
        SendNotice = "send-notice",
        /// Calls that one user asks for.
        CallUser = "call-user",
        /// Calls to one number.
        CallNumber = "call-number",
        /// Calls that one address asks for.
        CallAddress = "call-address",
        /// Requests of one user that may change something.
        ChangeUser = "change-user",
        /// The same in a day.
        ChangeUserDay = "change-user-day",
        /// Exports of all that is held about one user.
        ExportUser = "export-user",
        /// Organisations that one user founds.
        OrganizationUser = "organization-user",
        /// Invitations that one user sends.
        InvitationUser = "invitation-user",
        /// Recovery codes to one address.
        SendRecovery = "send-recovery",
        /// Recovery codes to one address that one network asks for.
        SendRecoveryNetwork = "send-recovery-network",
        /// Recovery codes to one number or address that known devices ask for; and, again, known places.
        SendRecoveryKnown = "send-recovery-known",
        /// Recovery codes to one number in a short time.
        SendRecoveryNumber = "send-recovery-number",
        /// Recovery codes to one number in a day.
        SendRecoveryNumberDay = "send-recovery-number-day",
        /// Recovery codes to one number that one network asks for.
        SendRecoveryNumberNetwork = "send-recovery-number-network",
        /// Messages to one block of a thousand numbers that strangers ask for.
        SendBlock = "send-block",
        /// Messages to one country abroad that strangers ask for.
        SendCountry = "send-country",
        /// Codes that strangers had sent to one block of numbers and that nobody gave back.
        UnprovenBlock = "unproven-block",
        /// The same for one country abroad.
        UnprovenCountry = "unproven-country",
    }
}

impl Limit {
    /// Its number in the policy.
    pub fn budget(self, limits: &Limits) -> Budget {
        match self {
            Self::SignInIdentifier => limits.sign_in_identifier,
            Self::SignInAccountDay => limits.sign_in_account_day,
            Self::SignInAccountMonth => limits.sign_in_account_month,
            Self::SignInDevice => limits.sign_in_device,
            Self::SignInDeviceDay => limits.sign_in_device_day,
            Self::SignInAddress => limits.sign_in_address,
            Self::NoteUnknown => limits.note_unknown,
            Self::SignUpAddress => limits.sign_up_address,
            Self::PasswordStrengthAddress => limits.password_strength_address,
            Self::CodeTryAddress => limits.code_try_address,
            Self::CodeTryDevice => limits.code_try_device,
            Self::RecoverIdentifier => limits.recover_identifier,
            Self::RecoverDevice => limits.recover_device,
            Self::RecoverAddress => limits.recover_address,
            Self::RefreshAddress => limits.refresh_address,
            Self::ClientFailuresAddress => limits.client_failures_address,
            Self::ServiceRequests => limits.service_requests,
            Self::SendNumberShort => limits.send_number_short,
            Self::SendNumberDay => limits.send_number_day,
            Self::SendStrangerShort => limits.send_stranger_short,
            Self::SendStrangerDay => limits.send_stranger_day,
            Self::SendOthersShort => limits.send_others_short,
            Self::SendOthersDay => limits.send_others_day,
            Self::SendAddress => limits.send_address,
            Self::SendNotice => limits.send_notice,
            Self::CallUser => limits.call_user,
            Self::CallNumber => limits.call_number,
            Self::CallAddress => limits.call_address,
            Self::ChangeUser => limits.change_user,
            Self::ChangeUserDay => limits.change_user_day,
            Self::ExportUser => limits.export_user,
            Self::OrganizationUser => limits.organization_user,
            Self::InvitationUser => limits.invitation_user,
            Self::SendRecovery => limits.send_recovery,
            Self::SendRecoveryNetwork => limits.send_recovery_network,
            Self::SendRecoveryKnown => limits.send_recovery_known,
            Self::SendRecoveryNumberNetwork => limits.send_recovery_number_network,
            Self::SendRecoveryNumber => limits.send_recovery_number,
            Self::SendRecoveryNumberDay => limits.send_recovery_number_day,
            Self::SendBlock => limits.send_block,
            Self::SendCountry => limits.send_country,
            Self::UnprovenBlock => limits.unproven_block,
            Self::UnprovenCountry => limits.unproven_country,
        }
    }
}

impl Limits {
    pub(super) fn check(&self, layers: &mut Layers) {
        for limit in Limit::ALL {
            let (name, budget) = (limit.as_str().replace('-', "_"), limit.budget(self));
            layers.must(
                budget.limit > 0,
                &format!("limits.{name}.limit"),
                "must be above 0, or nobody could ever pass",
            );
            let window = !budget.window.is_zero() && *budget.window <= DAY * 30;
            layers.must(window, &format!("limits.{name}.window"), "must be longer than 0s and at most 30d");
        }
        for (name, failures) in [
            ("factor_failures", self.factor_failures),
            ("recovery_failures", self.recovery_failures),
            ("password_failures", self.password_failures),
            ("device_failures", self.device_failures),
        ] {
            layers.must(
                (1..=100).contains(&failures),
                &format!("limits.{name}"),
                "must be between 1 and 100 (NIST SP 800-63B-4)",
            );
        }
        layers.must_with(
            self.factor_failures.saturating_add(self.recovery_failures) <= 100,
            "limits.recovery_failures",
            "limits.factor_failures",
            format_args!("must be together with limits.factor_failures at most 100 (NIST SP 800-63B-4)"),
        );
        layers.must_with(
            self.device_failures < self.password_failures,
            "limits.device_failures",
            "limits.password_failures",
            format_args!("must be below limits.password_failures, which is {}", self.password_failures),
        );
        let month = self.sign_in_account_month.limit;
        if self.password_failures.saturating_sub(self.device_failures) <= month {
            layers.warn(
                "limits.password_failures",
                format_args!(
                    "is {}, and without limits.device_failures not above limits.sign_in_account_month.limit, which is \
                     {month}: an account is closed to devices that are not known before that limit makes anybody wait",
                    self.password_failures
                ),
            );
        }
        let Wider { ipv4_24, ipv6_56, ipv6_48 } = self.wider;
        for (name, times) in [("ipv4_24", ipv4_24), ("ipv6_56", ipv6_56), ("ipv6_48", ipv6_48)] {
            let path = format!("limits.wider.{name}");
            layers.must(times > 0, &path, "must be above 0, or nobody could ever pass");
        }
        layers.must_with(
            ipv6_56 <= ipv6_48,
            "limits.wider.ipv6_56",
            "limits.wider.ipv6_48",
            format_args!("must not be above limits.wider.ipv6_48, which is {ipv6_48}"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    #[test]
    fn a_limit_is_called_in_the_policy_as_it_is_here() {
        for limit in Limit::ALL {
            let path = format!("limits.{}.limit", limit.as_str().replace('-', "_"));
            let policy = Policy::from_toml(&format!("{path} = 4321")).unwrap();
            assert_eq!(limit.budget(&policy.limits).limit, 4321, "{path}");
        }
    }
}
