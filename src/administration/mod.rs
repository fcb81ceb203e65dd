//! What administrators see and do. Every route here is behind [`crate::http::access::Access::Admin`]:
//! to anybody else it is not there.

pub mod actions;
pub mod api;
