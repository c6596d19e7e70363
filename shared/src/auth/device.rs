//! Devices that a user has signed in from.
//!
//! A sign-in that succeeds leaves a cookie with a signed note: this user signed in from
//! this device, at this moment. The note opens nothing. A later sign-in that shows it is
//! limited by the wrong guesses of that device alone, so that nobody else's wrong
//! guesses stand in its way.
//!
//! Each sign-in draws a new device id. A thief's copy of an earlier note then uses up
//! the guesses of that earlier id, and not those of the device's owner.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::auth::derived_key;
use crate::ids::{DeviceId, UserId};

/// The cookie that carries the note. As with those that carry tokens, the prefix makes
/// the browser insist on Secure, on path `/` and on no domain.
pub const DEVICE_COOKIE: &str = "__Host-turnpike_device";

/// How long a browser keeps the cookie, and how long the note is good: a year.
pub const DEVICE_TTL_SECS: i32 = 365 * 24 * 60 * 60;

/// What the text of a note begins with.
const PREFIX: &str = "tpd_";

/// What the signature is for. It keeps the key apart from others of the master secret.
const PURPOSE: &str = "turnpike known device v1";

const ID_BYTES: usize = 16;
const MOMENT_BYTES: usize = 8;
const SIGNED_BYTES: usize = 2 * ID_BYTES + MOMENT_BYTES;
const SIGNATURE_BYTES: usize = 32;
const NOTE_BYTES: usize = SIGNED_BYTES + SIGNATURE_BYTES;

/// Characters after the prefix: 72 bytes at 6 bits a character.
const NOTE_CHARS: usize = (NOTE_BYTES * 8).div_ceil(6);

/// A device that a user has signed in from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// Who signed in.
    pub user: UserId,
    /// Which sign-in it was.
    pub id: DeviceId,
    /// When it was, in microseconds since 1970 by the clock of the database.
    pub issued_micros: i64,
}

impl Device {
    /// The text of the note, signed with a key that is derived from `master`.
    pub fn sealed(&self, master: &[u8]) -> String {
        let mut note = [0u8; NOTE_BYTES];
        let (signed, signature) = note.split_at_mut(SIGNED_BYTES);
        signed.copy_from_slice(&self.signed_bytes());
        signature.copy_from_slice(&self.signature(master));
        let mut text = String::with_capacity(PREFIX.len() + NOTE_CHARS);
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(note, &mut text);
        text
    }

    /// Reads a note. `None` if it is none that was signed with `master`. Whether the user
    /// has ended it since, only the database knows.
    pub fn open(text: &str, master: &[u8]) -> Option<Self> {
        let encoded = encoded(text)?;
        let mut note = [0u8; NOTE_BYTES];
        let written = URL_SAFE_NO_PAD.decode_slice(encoded, &mut note).ok()?;
        if written != NOTE_BYTES {
            return None;
        }
        let (signed, signature) = note.split_at(SIGNED_BYTES);
        let (ids, moment) = signed.split_at(2 * ID_BYTES);
        let device = Self {
            user: UserId::from_uuid(Uuid::from_slice(&ids[..ID_BYTES]).ok()?),
            id: DeviceId::from_uuid(Uuid::from_slice(&ids[ID_BYTES..]).ok()?),
            issued_micros: i64::from_be_bytes(moment.try_into().ok()?),
        };
        bool::from(device.signature(master).ct_eq(signature)).then_some(device)
    }

    /// Whether the note is not older than a year at a time in milliseconds since 1970.
    pub fn is_current(&self, now_millis: u64) -> bool {
        let ttl_millis = i64::from(DEVICE_TTL_SECS) * 1_000;
        let expires_millis = (self.issued_micros / 1_000).saturating_add(ttl_millis);
        i64::try_from(now_millis).is_ok_and(|now| now < expires_millis)
    }

    /// Whether a text looks like a note, so that it is worth reading the master secret.
    pub fn may_be_sealed(text: &str) -> bool {
        encoded(text).is_some()
    }

    fn signed_bytes(&self) -> [u8; SIGNED_BYTES] {
        let mut signed = [0u8; SIGNED_BYTES];
        let (ids, moment) = signed.split_at_mut(2 * ID_BYTES);
        ids[..ID_BYTES].copy_from_slice(self.user.as_uuid().as_bytes());
        ids[ID_BYTES..].copy_from_slice(self.id.as_uuid().as_bytes());
        moment.copy_from_slice(&self.issued_micros.to_be_bytes());
        signed
    }

    fn signature(&self, master: &[u8]) -> [u8; SIGNATURE_BYTES] {
        derived_key::derive(master, PURPOSE, &[&self.signed_bytes()])
    }
}

/// What follows the prefix, if it has the right length.
fn encoded(text: &str) -> Option<&str> {
    text.strip_prefix(PREFIX)
        .filter(|encoded| encoded.len() == NOTE_CHARS)
}

/// The parameters by which the database knows a device: the user, the device and the
/// moment. All are null without one.
#[cfg(feature = "spin")]
pub fn parameters(device: Option<&Device>) -> [crate::store::db::Parameter; 3] {
    use crate::store::db::Parameter;

    match device {
        None => [Parameter::DbNull, Parameter::DbNull, Parameter::DbNull],
        Some(device) => [
            device.user.as_uuid().into(),
            device.id.as_uuid().into(),
            device.issued_micros.into(),
        ],
    }
}

/// The device that a request shows, if it shows one that this deployment signed.
///
/// # Errors
/// Those of [`crate::auth::secrets::master_secret`].
#[cfg(feature = "spin")]
pub async fn shown(
    context: &crate::http::context::Context,
    request: &crate::http::Request,
) -> Result<Option<Device>, crate::http::problem::Problem> {
    let Some(note) = request.cookie(DEVICE_COOKIE) else {
        return Ok(None);
    };
    if !Device::may_be_sealed(note) {
        return Ok(None);
    }
    let master = crate::auth::secrets::master_secret(context).await?;
    let device = Device::open(note, &master);
    Ok(device.filter(|device| device.is_current(context.now_millis())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASTER: &[u8] = b"a master secret";

    fn sample() -> Device {
        Device {
            user: UserId::new(1_700_000_000_000, &[1; 10]),
            id: DeviceId::new(1_700_000_000_001, &[2; 10]),
            issued_micros: 1_700_000_000_123_456,
        }
    }

    #[test]
    fn a_note_is_read_back() {
        let note = sample().sealed(MASTER);
        assert_eq!(note.len(), PREFIX.len() + NOTE_CHARS);
        assert_eq!(Device::open(&note, MASTER), Some(sample()));
    }

    #[test]
    fn every_other_byte_spoils_it() {
        let note = sample().sealed(MASTER);
        for position in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("ASCII stays ASCII");
            assert_eq!(Device::open(&changed, MASTER), None, "{changed}");
        }
    }

    #[test]
    fn it_is_good_for_a_year() {
        let issued = 1_700_000_000_123;
        let year = 365 * 24 * 60 * 60 * 1_000;
        let table = [
            (issued, true),
            (issued - 1_000, true),
            (issued + year - 1, true),
            (issued + year, false),
            (u64::MAX, false),
        ];
        for (now, is_current) in table {
            assert_eq!(sample().is_current(now), is_current, "{now}");
        }
    }

    #[test]
    fn other_texts_are_no_notes() {
        let note = sample().sealed(MASTER);
        let other = sample().sealed(b"another master secret");
        let long = format!("{note}A");
        let short = &note[..note.len() - 1];
        let padded = format!("{short}=");
        for text in ["", "tpd_", &other, &long, short, &padded, &note[1..]] {
            assert_eq!(Device::open(text, MASTER), None, "{text:?}");
        }
        assert_eq!(Device::open(&note, b""), None);
    }
}
