//! Keys derived from the deployment's master secret, so that the database
//! holds no secret that it could leak.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// HMAC-SHA256 (RFC 2104) of `purpose` and then `parts`, keyed with `master`.
///
/// `purpose` keeps keys for different uses apart: no purpose may begin with another
/// one. All `parts` but the last must have a fixed length, because nothing separates
/// them.
pub(crate) fn derive(master: &[u8], purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(master)
        .expect("HMAC takes a key of any length (RFC 2104, section 2)");
    mac.update(purpose.as_bytes());
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_4231_test_case_2() {
        let expected = [
            0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95,
            0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9,
            0x64, 0xec, 0x38, 0x43,
        ];
        let got = derive(b"Jefe", "what do ya want ", &[b"for ", b"nothing?"]);
        assert_eq!(
            got, expected,
            "what is derived from the same master changed"
        );
    }
}
