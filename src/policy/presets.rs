//! Policies that are shipped, one for each kind of backend that is replaced: laid over the built-in
//! policy, below the operator's own file.

/// Every preset: its name and its text.
pub const PRESETS: &[(&str, &str)] = &[
    ("sms-2fa", include_str!("../../policies/sms-2fa.toml")),
    ("bearer", include_str!("../../policies/bearer.toml")),
    ("sessions", include_str!("../../policies/sessions.toml")),
    ("optional-otp", include_str!("../../policies/optional-otp.toml")),
    ("calls", include_str!("../../policies/calls.toml")),
];

/// The text of the preset `name`.
pub fn preset(name: &str) -> Option<&'static str> {
    PRESETS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    #[test]
    fn every_preset_is_sound() {
        for (name, text) in PRESETS {
            let mut layers = Policy::layers();
            layers.lay_file(name, text);
            assert!(Policy::read(&mut layers).is_some() && layers.faults.is_empty(), "{:?}", layers.faults);
        }
        assert_eq!(preset("none"), None);
    }

    #[test]
    fn a_preset_that_is_weaker_than_nist_asks_for_says_so() {
        let warned = |name: &str| {
            let mut layers = Policy::layers();
            layers.lay_file(name, preset(name).unwrap());
            Policy::read(&mut layers).unwrap();
            layers.warnings
        };
        for name in ["bearer", "optional-otp"] {
            let told = warned(name).join("\n");
            assert!(told.contains("password.min_length is 4") && told.contains("at least 15"), "{told}");
            assert!(told.contains("password.refuse_common is false") && told.contains("stolen"), "{told}");
        }
        let told = warned("calls").join("\n");
        assert!(told.contains("calls.users is \"anybody\"") && !told.contains("password"), "{told}");
        let told = warned("sms-2fa");
        assert!(told.len() == 1 && told[0].contains("session.idle is 12h"), "{told:?}");
        assert_eq!(warned("sessions"), Vec::<String>::new());
    }
    #[test]
    fn whatever_sends_a_code_or_a_link_by_mail_needs_a_mail_server() {
        let needs = |text: &str| Policy::from_toml(text).unwrap().needs().email;
        for (name, text) in PRESETS {
            assert!(needs(text), "{name}");
        }
        let without = "sign_up.required = [\"username\", \"mobile\"]\nrecovery.channels = [\"sms\"]\n\
            operation.\"user.email.change\".never = true\n";
        assert!(!needs(without) && Policy::from_toml(without).unwrap().needs().notices);
        for (from, to) in [
            ("never = true", "never = false"),
            ("[\"sms\"]", "[\"sms\", \"email\"]"),
            ("[\"username\", \"mobile\"]", "[\"username\", \"mobile\", \"email\"]"),
        ] {
            assert!(needs(&without.replace(from, to)), "{to}");
        }
        assert!(needs(&format!("{without}sign_in.second.factors = [\"sms\", \"email\"]")));
    }
}
