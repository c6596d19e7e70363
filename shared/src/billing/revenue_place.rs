//! Where a page of organizations starts. They are listed by what they bring, so that
//! their places are no numbers of the database, as they are in other lists.

use rust_decimal::Decimal;
use uuid::Uuid;

use crate::http::pagination::Place;
use crate::ids::OrganizationId;

/// Bytes of a decimal and of a UUID.
const DECIMAL_BYTES: usize = 16;
const PLACE_BYTES: usize = DECIMAL_BYTES + 16;

/// The place after an organization: its monthly recurring revenue, and among
/// equals its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevenuePlace {
    /// The monthly recurring revenue.
    pub mrr: Decimal,
    /// The organization.
    pub organization_id: OrganizationId,
}

impl Place for RevenuePlace {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.mrr.serialize().to_vec();
        bytes.extend(self.organization_id.as_uuid().as_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; PLACE_BYTES] = bytes.try_into().ok()?;
        let (mrr, organization_id) = bytes.split_first_chunk::<DECIMAL_BYTES>()?;
        let place = Self {
            mrr: Decimal::deserialize(*mrr),
            organization_id: OrganizationId::from_uuid(Uuid::from_slice(organization_id).ok()?),
        };
        let is_ours = place.to_bytes() == bytes && place.mrr >= Decimal::ZERO;
        is_ours.then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_round_trip() {
        for mrr in ["0", "0.000000000", "12.5", "999999999999999999.999999999"] {
            let place = RevenuePlace {
                mrr: mrr.parse().expect("the table holds decimals"),
                organization_id: OrganizationId::new(7, &[3; crate::ids::RANDOM_BYTES]),
            };
            assert_eq!(RevenuePlace::from_bytes(&place.to_bytes()), Some(place));
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        let written = |flags: [u8; 4], length: usize| {
            let mut bytes = flags.to_vec();
            bytes.resize(length, 0);
            bytes
        };
        assert!(RevenuePlace::from_bytes(&written([0; 4], PLACE_BYTES)).is_some());
        let table = [
            written([0; 4], 0),
            written([0; 4], 8),
            written([0; 4], PLACE_BYTES - 1),
            written([0; 4], PLACE_BYTES + 1),
            // A scale beyond what a decimal has.
            written([0, 0, 255, 0], PLACE_BYTES),
        ];
        for bytes in table {
            assert_eq!(RevenuePlace::from_bytes(&bytes), None, "{bytes:?}");
        }
        let negative = RevenuePlace {
            mrr: Decimal::NEGATIVE_ONE,
            organization_id: OrganizationId::new(7, &[3; crate::ids::RANDOM_BYTES]),
        };
        assert_eq!(RevenuePlace::from_bytes(&negative.to_bytes()), None);
    }
}
