//! TLS to database servers.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::DbError;
use super::config::{DbConfig, SslMode};

/// Certificates of the authorities to trust: `ca_file`, else the system's.
pub(super) fn roots(ca_file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, DbError> {
    let Some(file) = ca_file else {
        return Ok(rustls_native_certs::load_native_certs().certs);
    };
    let cannot = |error| DbError::Other(format!("database.ca_file: {}: {error}", file.display()));
    let certificates: Vec<_> = CertificateDer::pem_file_iter(file)
        .map_err(cannot)?
        .collect::<Result<_, _>>()
        .map_err(cannot)?;
    if certificates.is_empty() {
        return Err(DbError::Other(format!("database.ca_file: {} holds no certificate", file.display())));
    }
    Ok(certificates)
}

/// Whether the server has to prove who it is.
pub(super) const fn verifies(mode: SslMode, config: &DbConfig) -> bool {
    matches!(mode, SslMode::VerifyFull) || config.ca_file.is_some()
}

pub(super) fn client_config(mode: SslMode, config: &DbConfig) -> Result<ClientConfig, DbError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| DbError::Other(format!("TLS: {error}")))?;
    if !verifies(mode, config) {
        let verifier = Arc::new(AnyCertificate(provider));
        return Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth());
    }
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots(config.ca_file.as_deref())?);
    Ok(builder.with_root_certificates(store).with_no_client_auth())
}

/// `sslmode=prefer` and `require` as libpq defines them: the line is encrypted, the server's name is not checked.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
