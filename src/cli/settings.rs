//! Settings and policy of one start, from every layer, with all their mistakes at once.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;

use crate::config::{Assignment, Config, Faults, Layers, Source, Variable, assignments, parse_dotenv};
use crate::policy::{PRESETS, Policy, preset as shipped};

/// What a start goes by.
pub struct Settings {
    /// The settings.
    pub config: Config,
    /// What each operation asks for.
    pub policy: Policy,
    /// What is allowed and unwise, a sentence each.
    pub warnings: Vec<String>,
}

/// The layers above the defaults, the lowest first.
#[derive(Clone, Default)]
pub struct Given<'a> {
    /// What a mode sets before anybody else does: path and value.
    pub mode: Vec<(&'static str, String)>,
    /// The operator's file.
    pub file: Option<&'a Path>,
    /// A file that stands in for the environment; it need not exist.
    pub dotenv: Option<&'a Path>,
    /// The environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Flags: their name, the path that they set, the value.
    pub flags: Vec<(&'static str, &'static str, String)>,
}

impl<'a> Given<'a> {
    /// The environment of this process, and `file`.
    pub fn new(file: Option<&'a Path>) -> Self {
        Self { file, environment: std::env::vars_os().collect(), ..Self::default() }
    }

    /// With the flag `--listen`, when it was given.
    pub fn listen(mut self, listen: Option<&str>) -> Self {
        self.flags.extend(listen.map(|listen| ("--listen", "server.listen", listen.to_owned())));
        self
    }

    /// With the flag `--preset`, when it was given.
    pub fn preset(mut self, preset: Option<&str>) -> Self {
        self.flags.extend(preset.map(|preset| ("--preset", "preset", preset.to_owned())));
        self
    }

    /// Reads and checks settings and policy.
    ///
    /// # Errors
    /// Everything that is wrong in any layer.
    pub fn load(self) -> Result<Settings, Faults> {
        let (mut config, mut policy, lines) = self.lay();
        if let Some(name) = config.text("preset").filter(|name| !name.is_empty()) {
            match shipped(name) {
                Some(text) => policy.lay_file(&format!("preset {name}"), text),
                None => {
                    let known: Vec<&str> = PRESETS.iter().map(|(name, _)| *name).collect();
                    let sentence = format!("`{name}` is not a preset; there are {}", known.join(", "));
                    config.fault("preset", sentence);
                }
            }
        }
        if let Some(file) = config.text("policy").filter(|file| !file.is_empty()) {
            lay_file(&mut policy, Path::new(file));
        }
        for Assignment { path, text, source, .. } in lines {
            policy.set(&path, &text, source);
        }
        finish(config, policy)
    }

    /// Where the server listens, and everything that is wrong with the settings: for what asks a server that runs,
    /// whatever its next start would say. None when that cannot be told: an address that nobody named is never taken
    /// for one that somebody did.
    pub fn peek(self) -> (Option<SocketAddr>, Vec<String>) {
        const LISTEN: &str = "server.listen";
        let (mut config, ..) = self.lay();
        let read = Config::read(&mut config);
        // What is wrong with a setting is told by its name.
        let is_wrong = config.faults.iter().any(|fault| fault.contains(LISTEN));
        let is_unknown = is_wrong || config.lacks_file && !config.is_said(LISTEN);
        (read.map(|read| read.server.listen).filter(|_| !is_unknown), config.faults)
    }

    /// Settings and policy with the layers over them, as far as no policy is named in them; and the lines of the policy
    /// that variables set, which lie above what is.
    fn lay(self) -> (Layers, Layers, Vec<Assignment>) {
        let (mut config, mut policy) = (Config::layers(), Policy::layers());
        config.beside(&policy, "is a line of the policy: put it into the file that `policy` names");
        policy.beside(&config, "is a setting: put it into the settings file, beside `policy`");
        for (path, value) in self.mode {
            config.set(path, &value, Source::Named("development mode".to_owned()));
        }
        if let Some(file) = self.file {
            lay_file(&mut config, file);
        }
        let (stand_in, mut faults) = self.dotenv.map(dotenv).unwrap_or_default();
        config.faults.append(&mut faults);
        let environment = self.environment.into_iter().map(|(name, value)| {
            let name = name.to_string_lossy().into_owned();
            Variable { source: Source::Named(name.clone()), value: value.into_string().ok(), name }
        });
        // The file of the policy may be named by a variable, and lies below the variables that set
        // single lines of it.
        let mut lines = Vec::new();
        for variables in [stand_in, environment.collect()] {
            let (found, mut faults) = assignments(&[&config, &policy], variables);
            config.faults.append(&mut faults);
            for assignment in found {
                match assignment.tree {
                    0 => config.set(&assignment.path, &assignment.text, assignment.source),
                    _ => lines.push(assignment),
                }
            }
        }
        for (flag, path, value) in self.flags {
            config.set(path, &value, Source::Named(flag.to_owned()));
        }
        (config, policy, lines)
    }
}

fn finish(mut config: Layers, mut policy: Layers) -> Result<Settings, Faults> {
    let read = (Config::read(&mut config), Policy::read(&mut policy));
    let faults = [config.faults, policy.faults].concat();
    match read {
        (Some(config_read), Some(policy_read)) if faults.is_empty() => Ok(Settings {
            config: config_read,
            policy: policy_read,
            warnings: [config.warnings, policy.warnings].concat(),
        }),
        _ => Err(Faults(faults)),
    }
}

fn lay_file(layers: &mut Layers, file: &Path) {
    match std::fs::read_to_string(file) {
        Ok(text) => layers.lay_file(&file.to_string_lossy(), &text),
        Err(error) => {
            layers.lacks_file = true;
            layers.faults.push(format!("The file {} cannot be read: {error}.", file.display()));
        }
    }
}

fn dotenv(file: &Path) -> (Vec<Variable>, Vec<String>) {
    match std::fs::read_to_string(file) {
        Ok(text) => parse_dotenv(&file.to_string_lossy(), &text),
        Err(error) if error.kind() == ErrorKind::NotFound => Default::default(),
        Err(error) => (Vec::new(), vec![format!("The file {} cannot be read: {error}.", file.display())]),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use super::*;

    /// A directory that is gone when it is dropped.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("vestibule-settings-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            std::fs::write(&path, text).unwrap();
            path
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn environment(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn file_then_stand_in_then_environment_then_flags() {
        let scratch = Scratch::new("order");
        let file = scratch.file("v.toml", "[server]\nlisten = \"127.0.0.1:1\"\nmax_connections = 1\nbody_limit = 2001\n[store]\nconnections = 1\n");
        let dotenv = scratch.file(".env", "VESTIBULE_LISTEN=127.0.0.1:2\nVESTIBULE_SERVER_MAX_CONNECTIONS=2\nVESTIBULE_STORE_CONNECTIONS=2\n");
        let given = Given {
            mode: vec![("server.body_limit", "2000".into()), ("store.url", "sqlite:preset.db".into())],
            file: Some(&file),
            dotenv: Some(&dotenv),
            environment: environment(&[
                ("VESTIBULE_SERVER_LISTEN", "127.0.0.1:3"),
                ("VESTIBULE_SERVER_MAX_CONNECTIONS", "3"),
            ]),
            ..Given::default()
        };
        let settings = given.listen(Some("127.0.0.1:4")).load().unwrap();
        let server = &settings.config.server;
        assert_eq!((server.listen.port(), server.max_connections, server.body_limit), (4, 3, 2001));
        assert_eq!(settings.config.store.connections, 2);
        assert_eq!(settings.config.store.sqlite_path(), Some("preset.db"));
        assert_eq!(settings.warnings, Vec::<String>::new());
    }

    #[test]
    fn a_policy_file_lies_below_the_variables_that_set_its_lines() {
        let scratch = Scratch::new("policy");
        let file =
            scratch.file("p.toml", "sign_up.open = false\npassword.min_length = 9\n[code]\ndigits = 8\n");
        for name in ["VESTIBULE_POLICY", "VESTIBULE_POLICY_FILE"] {
            let pairs = [("VESTIBULE_POLICY_CODE_DIGITS", "7"), (name, file.to_str().unwrap())];
            let policy =
                Given { environment: environment(&pairs), ..Given::default() }.load().unwrap().policy;
            assert_eq!((policy.sign_up.open, policy.password.min_length, policy.code.digits), (false, 9, 7));
        }
    }

    #[test]
    fn the_mistakes_of_every_layer_are_told_together() {
        let scratch = Scratch::new("faults");
        let file = scratch.file("v.toml", "[server]\nlisen = 1\nbody_limit = 1\n");
        let dotenv = scratch.file(".env", "hush\nVESTIBULE_ORIGN=x\n");
        let policy = scratch.file("p.toml", "code.digits = 5\n");
        let pairs = [
            ("VESTIBULE_POLICY", policy.to_str().unwrap()),
            ("VESTIBULE_POLICI_CODE_DIGITS", "7"),
            ("VESTIBULE_LISTEN", "here"),
        ];
        let given = Given {
            file: Some(&file),
            dotenv: Some(&dotenv),
            environment: environment(&pairs),
            ..Given::default()
        };
        let faults = given.load().err().unwrap().to_string().replace(scratch.0.to_str().unwrap(), "");
        assert_eq!(
            faults.lines().collect::<Vec<_>>(),
            [
                "/v.toml line 2: server.lisen is not a setting; did you mean server.listen?",
                "/.env line 1: this is not KEY=value.",
                "/.env line 2: VESTIBULE_ORIGN is not a setting; did you mean VESTIBULE_ORIGIN?",
                "VESTIBULE_POLICI_CODE_DIGITS is not a setting; did you mean VESTIBULE_POLICY_CODE_DIGITS?",
                "VESTIBULE_LISTEN: server.listen: `here` is not an address and port such as 127.0.0.1:8080.",
                "/v.toml line 3: server.body_limit must be between 1024 and 16777216 bytes.",
                "/p.toml line 1: code.digits must be between 6 and 10 (NIST SP 800-63B-4).",
            ]
        );
    }

    #[test]
    fn an_address_that_nobody_named_is_not_taken_for_one_that_somebody_did() {
        let scratch = Scratch::new("peek");
        let file = |name: &str, text: &str| Some(scratch.file(name, text));
        let peek = |file: Option<PathBuf>, pairs: &[(&str, &str)]| {
            let given = Given { file: file.as_deref(), environment: environment(pairs), ..Given::default() };
            let (listen, faults) = given.peek();
            assert!(listen.is_some() || !faults.is_empty());
            listen.map(|listen| listen.to_string())
        };
        let named = [("VESTIBULE_LISTEN", "127.0.0.1:2")];
        let told = |text: &str| Some(text.to_owned());
        assert_eq!(peek(None, &[]), told("127.0.0.1:8080"));
        assert_eq!(peek(file("a", "server.listen = \"127.0.0.1:3\"\ncode = 7\n"), &[]), told("127.0.0.1:3"));
        for (file, pairs) in [
            (Some(scratch.0.join("missing")), &[][..]),
            (file("b", "server.listen = \"127.0.0.1:3\"\nthis is no TOML"), &[]),
            (file("c", "server.listen = \"here\""), &[]),
            (file("d", "server.lisen = \"127.0.0.1:3\""), &[]),
            (None, &[("VESTIBULE_LISTEN", "8080")]),
            (None, &[named[0], ("VESTIBULE_SERVER_LISTEN", "127.0.0.1:3")]),
            (None, &[("VESTIBULE_LISTEN_FILE", "/nowhere/at/all")]),
        ] {
            assert_eq!(peek(file.clone(), pairs), None, "{file:?} {pairs:?}");
        }
        // The environment wins over what the file may say.
        assert_eq!(peek(Some(scratch.0.join("missing")), &named), told("127.0.0.1:2"));
    }

    #[test]
    fn a_line_in_the_wrong_file_is_told_where_it_belongs() {
        let scratch = Scratch::new("elsewhere");
        let file = scratch.file(
            "v.toml",
            "[calls]\ncountries = []\n[password]\nmin_length = 9\n[session]\nidle = \"2h\"\n[sign_up]\nopen = false\n",
        );
        let policy = scratch.file("p.toml", "[server]\nlisten = \"x\"\n");
        let pairs = [("VESTIBULE_POLICY", policy.to_str().unwrap()), ("VESTIBULE_PASSWORD_MIN_LENGTH", "9")];
        let given = Given { file: Some(&file), environment: environment(&pairs), ..Given::default() };
        let faults = given.load().err().unwrap().to_string().replace(scratch.0.to_str().unwrap(), "");
        let there = "is a line of the policy: put it into the file that `policy` names.";
        assert_eq!(
            faults.lines().collect::<Vec<_>>(),
            [
                &format!("/v.toml line 2: calls.countries {there}"),
                &format!("/v.toml line 4: password.min_length {there}"),
                &format!("/v.toml line 5: session {there}"),
                &format!("/v.toml line 7: sign_up {there}"),
                "VESTIBULE_PASSWORD_MIN_LENGTH is not a setting; did you mean VESTIBULE_POLICY_PASSWORD_MIN_LENGTH?",
                "/p.toml line 1: server is a setting: put it into the settings file, beside `policy`.",
            ]
        );
    }

    #[test]
    fn a_missing_file_is_a_mistake_and_a_missing_stand_in_is_none() {
        let nowhere = Path::new("/nowhere/at/all");
        assert!(Given { dotenv: Some(nowhere), ..Given::default() }.load().is_ok());
        let faults = Given { file: Some(nowhere), ..Given::default() }.load().err().unwrap();
        assert_eq!(
            faults.0,
            ["The file /nowhere/at/all cannot be read: No such file or directory (os error 2)."]
        );
    }

    /// Every variable, with how many settings it may set.
    fn variables() -> BTreeMap<String, usize> {
        let mut count = BTreeMap::new();
        for (name, _) in [Config::layers().variables(), Policy::layers().variables()].concat() {
            *count.entry(name).or_default() += 1;
        }
        count
    }

    #[test]
    fn every_variable_sets_one_setting_only() {
        let known = variables();
        for (name, count) in &known {
            assert_eq!(*count, 1, "{name}");
            // VESTIBULE_POLICY_FILE is meant to be the path itself.
            let clash = known.contains_key(&format!("{name}_FILE")) && name != "VESTIBULE_POLICY";
            assert!(!clash, "{name}_FILE could be read in two ways");
        }
    }

    #[test]
    fn the_example_environment_names_real_settings() {
        let known = variables();
        let text = include_str!("../../.env.example").replace("\n#VESTIBULE_", "\nVESTIBULE_");
        let (example, faults) = parse_dotenv(".env.example", &text);
        assert!(faults.is_empty() && example.len() > 10, "{faults:?}");
        for variable in example {
            let base = variable.name.strip_suffix("_FILE").unwrap_or(&variable.name);
            assert!(known.contains_key(&variable.name) || known.contains_key(base), "{}", variable.name);
        }
    }
}
