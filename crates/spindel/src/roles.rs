//! What a node does of a Spindel that runs on several: all of it, unless `--roles` names less.

use std::{fmt, str::FromStr};

/// At least one of them is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Takes webhooks.
    pub ingest: bool,
    /// Plans events and carries deliveries.
    pub worker: bool,
    /// Polls systems that send no webhooks, and tends the store.
    pub sync: bool,
    /// Shows people what happens.
    pub console: bool,
}

const NAMES: [&str; 4] = ["ingest", "worker", "sync", "console"];

impl Roles {
    pub const ALL: Self = Self { ingest: true, worker: true, sync: true, console: true };
    const NONE: Self = Self { ingest: false, worker: false, sync: false, console: false };

    fn switch(&mut self, name: &str) -> Option<&mut bool> {
        match name {
            "ingest" => Some(&mut self.ingest),
            "worker" => Some(&mut self.worker),
            "sync" => Some(&mut self.sync),
            "console" => Some(&mut self.console),
            _ => None,
        }
    }
}

impl Default for Roles {
    fn default() -> Self {
        Self::ALL
    }
}

/// Names separated by commas, in any order; one named twice is one.
impl FromStr for Roles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut roles = Self::NONE;
        for name in text.split(',').map(str::trim) {
            match roles.switch(name) {
                Some(on) => *on = true,
                None if name.is_empty() => return Err(format!("a name is missing; the roles are {}", NAMES.join(","))),
                None => return Err(format!("`{name}` is not a role; the roles are {}", NAMES.join(","))),
            }
        }
        Ok(roles)
    }
}

/// As [`FromStr`] reads it.
impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = [self.ingest, self.worker, self.sync, self.console];
        let names: Vec<&str> = NAMES.into_iter().zip(on).filter_map(|(name, on)| on.then_some(name)).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_named_in_any_order_and_once_or_twice() {
        let roles: Roles = " sync,ingest, sync".parse().unwrap();
        assert_eq!(roles, Roles { ingest: true, sync: true, ..Roles::NONE });
        assert_eq!(roles.to_string(), "ingest,sync");
    }

    #[test]
    fn every_name_switches_one_role_and_all_of_them_are_the_default() {
        for name in NAMES {
            assert_eq!(name.parse::<Roles>().unwrap().to_string(), name);
        }
        assert_eq!(NAMES.join(",").parse(), Ok(Roles::default()));
    }

    #[test]
    fn an_unknown_or_missing_name_is_refused_with_the_choices() {
        assert_eq!(
            "worker,ingset".parse::<Roles>().unwrap_err(),
            "`ingset` is not a role; the roles are ingest,worker,sync,console"
        );
        for empty in ["", "worker,", ",worker"] {
            let error = empty.parse::<Roles>().unwrap_err();
            assert!(error.starts_with("a name is missing") && error.contains("ingest,worker"), "{empty:?}: {error}");
        }
    }
}
