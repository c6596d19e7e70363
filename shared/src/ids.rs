//! Prefixed identifiers.
//!
//! An id reads `usr_` followed by the 32 lower-case hexadecimal digits of a
//! UUID version 7 (RFC 9562, section 5.7), so that ids sort by creation time
//! and a reader sees what an id names. Each kind is its own type: a user's id
//! cannot be passed where an organization's is wanted.
//!
//! The id of something that an organization owns ends with the last two bytes of the
//! organization's: its slot. So the id alone leads to the database that has the
//! organization, once there are several. That leaves 58 random bits for each millisecond.

use std::fmt;

use uuid::Uuid;

/// A version 7 UUID has 74 random bits: 128 less 48 of time, 4 of version and 2 of
/// variant. They fit in ten bytes.
pub const RANDOM_BYTES: usize = 10;

/// Bytes of an organization's slot: 65,536 of them, by which a directory finds the database
/// of an organization, and of whatever the organization owns.
pub const SLOT_BYTES: usize = 2;

/// The text is not an id of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidId {
    /// The prefix that the wanted kind carries, with its underscore.
    pub prefix: &'static str,
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "must be \"{}\" followed by 32 lower-case hexadecimal digits",
            self.prefix
        )
    }
}

impl std::error::Error for InvalidId {}

fn parse_hex(prefix: &'static str, text: &str) -> Result<Uuid, InvalidId> {
    let invalid = InvalidId { prefix };
    let hex = text.strip_prefix(prefix).ok_or(invalid)?;
    let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if hex.len() != 32 || !hex.bytes().all(lower_hex) {
        return Err(invalid);
    }
    Uuid::try_parse(hex).map_err(|_| invalid)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// What every id of this kind starts with.
            pub const PREFIX: &'static str = $prefix;

            /// A new id from the wall clock in milliseconds since 1970 and ten random
            /// bytes. The caller supplies both.
            pub fn new(unix_millis: u64, random: &[u8; RANDOM_BYTES]) -> Self {
                Self(uuid::Builder::from_unix_timestamp_millis(unix_millis, random).into_uuid())
            }

            /// A new id of something that `organization` owns, as [`Self::new`] makes it, with
            /// the organization's slot in its last two bytes in place of random ones.
            pub fn owned(
                organization: OrganizationId,
                unix_millis: u64,
                random: &[u8; RANDOM_BYTES],
            ) -> Self {
                let mut random = *random;
                random[RANDOM_BYTES - SLOT_BYTES..].copy_from_slice(&organization.slot());
                Self::new(unix_millis, &random)
            }

            /// The id that wraps `uuid`, as read from the database.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID inside, as stored.
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $prefix, self.0.simple())
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse_hex($prefix, text).map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// A person who signs in.
    UserId,
    "usr_"
);
id!(
    /// An organization: the tenant that data belongs to.
    OrganizationId,
    "org_"
);

impl OrganizationId {
    /// In place of an organization where there is none: the nil UUID, which no organization
    /// has. Sessions of somebody in no organization carry it, and mail about their account.
    pub const NONE: Self = Self(Uuid::nil());

    /// The last two bytes. They are random, so that slots hold equally many organizations.
    pub fn slot(&self) -> [u8; SLOT_BYTES] {
        let [.., high, low] = *self.0.as_bytes();
        [high, low]
    }
}

id!(
    /// One sign-in of a user, from login to logout or expiry.
    SessionId,
    "ses_"
);
id!(
    /// A key by which a program signs in as its user.
    ApiKeyId,
    "key_"
);
id!(
    /// An invitation to join an organization.
    InvitationId,
    "ivt_"
);
id!(
    /// A message in the outbox, sent or not.
    OutboxMessageId,
    "msg_"
);
id!(
    /// A device that a user has signed in from.
    DeviceId,
    "dev_"
);
id!(
    /// One guess at a code.
    GuessId,
    "gss_"
);
id!(
    /// The right to hash one password.
    HashLeaseId,
    "hsl_"
);
id!(
    /// The credits of one user in one currency.
    CreditAccountId,
    "cac_"
);
id!(
    /// One transaction in the credit ledger.
    CreditTransactionId,
    "ctx_"
);
id!(
    /// A grant: credits that are given together, and are spent, expire or are voided
    /// together.
    CreditGrantId,
    "cgr_"
);
id!(
    /// A meter: what counts as usage of an organization, and how.
    MeterId,
    "mtr_"
);
id!(
    /// A usage alert: whom to tell, and at which usage.
    UsageAlertId,
    "ual_"
);
id!(
    /// An entitlement: a feature that a subject or an organization may use.
    EntitlementId,
    "ent_"
);
id!(
    /// A plan of the platform's catalog.
    PlanId,
    "pln_"
);
id!(
    /// One version of a plan's prices.
    PlanVersionId,
    "plv_"
);
id!(
    /// An account: who is billed. That of an organization has the UUID of the organization.
    BillingAccountId,
    "acc_"
);
id!(
    /// A subscription: a plan that an account has.
    SubscriptionId,
    "sub_"
);
id!(
    /// Credits that are reserved for an operation that is under way.
    CreditHoldId,
    "hld_"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_sort_by_time() {
        let earlier = UserId::new(1_700_000_000_000, &[0xff; 10]);
        let later = UserId::new(1_700_000_000_001, &[0; 10]);
        assert!(earlier < later, "{earlier} must sort before {later}");
        for id in [earlier, later] {
            assert_eq!(id.to_string().parse(), Ok(id));
            let json = serde_json::to_string(&id).expect("an id is a JSON string");
            assert_eq!(serde_json::from_str::<UserId>(&json).ok(), Some(id));
        }
    }

    #[test]
    fn an_owned_id_ends_with_the_slot_of_its_organization() {
        let organization = OrganizationId::new(1, &[0xab; 10]);
        let drawn = SessionId::new(7, &[5; 10]);
        let owned = SessionId::owned(organization, 7, &[5; 10]);
        assert_eq!(
            owned.as_uuid().as_bytes()[..14],
            drawn.as_uuid().as_bytes()[..14]
        );
        assert_eq!(owned.as_uuid().as_bytes()[14..], organization.slot());
    }

    #[test]
    fn anything_but_the_printed_form_is_refused() {
        let good = UserId::new(1, &[7; 10]).to_string();
        let table = [
            ("", "empty"),
            ("usr_", "prefix only"),
            (&good[4..], "no prefix"),
            (&good.replace("usr_", "org_"), "another kind's prefix"),
            (&good.to_uppercase(), "upper case"),
            (&good[..good.len() - 1], "a digit short"),
            (&format!("{good}0"), "a digit long"),
            (&format!("{good} "), "trailing space"),
            (&good.replace(&good[10..11], "g"), "not hexadecimal"),
            ("usr_0190b3a4-7c6e-7def-8abc-0123456789ab", "hyphens"),
            ("usr_é0190b3a47c6e7def8abc0123456789a", "not ASCII"),
        ];
        for (text, why) in table {
            assert!(
                text.parse::<UserId>().is_err(),
                "{text:?} was accepted: {why}"
            );
        }
    }
}
