//! Whom a route is open to.

/// Whom a route lets in. What a line of the router does not open stays closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Whoever has a session.
    Session,
    /// Anybody.
    Public,
    /// A provider that signs what it sends: the handler checks the signature. No browser sends it,
    /// so the guard against other sites stands aside.
    Webhook,
}
