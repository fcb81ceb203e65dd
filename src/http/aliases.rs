//! The paths of the systems that this replaces. An alias is a method and a path, and the line of the
//! router that it means; it has no rule of its own.

use super::route::Route;

/// Another way to reach a route.
#[derive(Clone, Copy, Debug)]
pub struct Alias {
    /// The method, as clients of old send it.
    pub method: &'static str,
    /// The path, as clients of old send it.
    pub path: &'static str,
    /// The method and the path of the line that is meant.
    pub means: (&'static str, &'static str),
}

const fn alias(method: &'static str, path: &'static str, means: (&'static str, &'static str)) -> Alias {
    Alias { method, path, means }
}

/// Every alias below `/api/v1` and `/api`.
pub const ALIASES: &[Alias] = &[
    alias("POST", "/users/register", ("POST", "/users")),
    alias("PUT", "/users/me", ("PATCH", "/users/me")),
    alias("PUT", "/users/update", ("PATCH", "/users/me")),
    alias("POST", "/login", ("POST", "/auth/login")),
    alias("POST", "/logout", ("POST", "/auth/logout")),
    alias("PATCH", "/users/update-password", ("PUT", "/users/me/password")),
];

/// The aliases of `route`.
pub fn of(route: &Route) -> impl Iterator<Item = &'static Alias> {
    let line = (route.method.to_string(), route.path);
    ALIASES.iter().filter(move |alias| alias.means == (line.0.as_str(), line.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::router::routes;

    #[test]
    fn no_alias_hides_a_route_or_another_alias() {
        let mut taken: Vec<_> = routes().iter().map(|route| (route.method.to_string(), route.path)).collect();
        taken.extend(ALIASES.iter().map(|alias| (alias.method.to_owned(), alias.path)));
        let count = taken.len();
        taken.sort_unstable();
        taken.dedup();
        assert_eq!(taken.len(), count);
    }

    #[test]
    fn every_alias_means_a_route() {
        for alias in ALIASES {
            assert!(
                routes().iter().any(|route| of(route).any(|other| other.path == alias.path)),
                "{alias:?}"
            );
        }
    }
}
