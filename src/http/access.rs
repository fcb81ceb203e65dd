//! Whom a route is open to.

/// Whom a route lets in. What a line of the router does not open stays closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Whoever has a session.
    Session,
    /// Whoever has a session of a user with the role `admin`. To others it is not there.
    Admin,
    /// Anybody.
    Public,
    /// A registered client, by HTTP Basic. No browser sends it. A line may also admit API keys, by a scope of
    /// theirs: [`super::route::Route::admits`].
    Client,
    /// A provider that signs what it sends: the handler checks the signature. No browser sends it,
    /// so the guard against other sites stands aside.
    Webhook,
}

impl Access {
    /// Whether a session is asked for.
    pub fn needs_session(self) -> bool {
        matches!(self, Self::Session | Self::Admin)
    }
}
