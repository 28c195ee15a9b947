//! The text around a key: PEM, with the headers of old files (RFC 1421). Knows nothing of what is inside, and keeps
//! no copy of it that is not wiped.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use super::envelope::Bytes;
use super::import::Error;

/// One block of a PEM file.
#[derive(Debug)]
pub(super) struct Pem<'a> {
    /// What stands between `-----BEGIN ` and `-----`.
    pub(super) label: &'a str,
    /// `DEK-Info`'s value, if the body is encrypted in the old way.
    pub(super) dek_info: Option<&'a str>,
    /// The body.
    pub(super) body: Bytes,
}

/// Finds the one private key in `text`. Explanations before it and the parameters of a curve are skipped, as OpenSSL writes them.
pub(super) fn private_key(text: &str) -> Result<Pem<'_>, Error> {
    // Line ends of any system; a byte order mark comes from editors.
    let mut lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let mut begun = false;
    let label = loop {
        let line = lines.next().ok_or(if begun { Error::Incomplete } else { Error::NotAKey })?;
        match line.strip_prefix("-----BEGIN ").and_then(|l| l.strip_suffix("-----")) {
            Some("EC PARAMETERS") => begun = true,
            Some(label) if label.ends_with("PUBLIC KEY") || label == "CERTIFICATE" => return Err(Error::PublicKeyGiven),
            Some(label) => break label,
            None if line.starts_with("---- BEGIN SSH2 PUBLIC KEY") => return Err(Error::PublicKeyGiven),
            None if line.starts_with("---- BEGIN SSH2 ") => return Err(Error::UnsupportedFormat("the format of SSH Communications")),
            None => {}
        }
    };
    let mut dek_info = None;
    let mut encoded = Zeroizing::new(Vec::with_capacity(text.len()));
    loop {
        let line = lines.next().ok_or(Error::Incomplete)?;
        if let Some(end) = line.strip_prefix("-----END ").and_then(|l| l.strip_suffix("-----")) {
            if end != label {
                return Err(Error::Incomplete);
            }
            break;
        }
        match line.split_once(':') {
            Some(("DEK-Info", value)) => dek_info = Some(value.trim()),
            Some(_) => {}
            None => encoded.extend_from_slice(line.as_bytes()),
        }
    }
    if lines.any(|line| !line.is_empty()) {
        return Err(Error::MoreThanOne);
    }
    let mut body = Zeroizing::new(vec![0u8; encoded.len() / 4 * 3]);
    let length = Base64::decode(encoded.as_slice(), &mut body).map_err(|_| Error::Damaged)?.len();
    body.truncate(length);
    Ok(Pem { label, dek_info, body })
}
