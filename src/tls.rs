//! TLS towards other servers: by which provider, which certificates are trusted.

use std::sync::Arc;

/// Makes aws-lc-rs the one provider of TLS for this process. Called once, before anything connects;
/// again does nothing.
pub fn install_crypto() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// A client that trusts whom this machine trusts.
///
/// # Errors
/// When the provider of cryptography has no protocol version in common with us.
pub fn client() -> Result<rustls::ClientConfig, rustls::Error> {
    let mut roots = rustls::RootCertStore::empty();
    // What cannot be read is not trusted; a server that it vouched for will then be refused by name.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config =
        rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
