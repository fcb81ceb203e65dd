//! Every limit by its name, and where the policy has its number.

use crate::policy::{Budget, Limits};
use crate::store::text_enum;

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
