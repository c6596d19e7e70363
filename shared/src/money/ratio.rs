//! Exact multiplication by a fraction of two integers.

/// `value * numerator / denominator` as the whole quotient and the remainder,
/// without losing a digit in between.
///
/// Nothing when the quotient exceeds a `u128`, or when the denominator is zero or at
/// least 2^127.
pub(super) fn mul_div(value: u128, numerator: u128, denominator: u128) -> Option<(u128, u128)> {
    if denominator == 0 || denominator >> 127 != 0 {
        return None;
    }
    let (low, high) = value.carrying_mul(numerator, 0);
    if high == 0 {
        return Some((low / denominator, low % denominator));
    }
    if high >= denominator {
        return None;
    }
    // Long division of 256 bits by 127, a bit at a time. The remainder stays
    // below the denominator, so doubling it fits.
    let mut remainder = high;
    let mut quotient = 0;
    for bit in (0..u128::BITS).rev() {
        remainder = (remainder << 1) | ((low >> bit) & 1);
        if remainder >= denominator {
            remainder -= denominator;
            quotient |= 1 << bit;
        }
    }
    Some((quotient, remainder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_are_exact_or_refused() {
        let check = |value, numerator, denominator, expected: Option<(u128, u128)>| {
            assert_eq!(
                mul_div(value, numerator, denominator),
                expected,
                "{value} * {numerator} / {denominator}: fix mul_div or this row"
            );
        };
        let largest_denominator = (1 << 127) - 1;
        for (value, numerator, denominator, expected) in [
            (0, 5, 7, Some((0, 0))),
            (100, 10, 31, Some((32, 8))),
            (u128::MAX, 1, 1, Some((u128::MAX, 0))),
            // Past 128 bits in between.
            (u128::MAX, 3, 4, Some((u128::MAX / 4 * 3 + 2, 1))),
            (1 << 100, 1 << 100, 1 << 120, Some((1 << 80, 0))),
            (
                (1 << 100) + 1,
                1 << 100,
                1 << 120,
                Some((1 << 80, 1 << 100)),
            ),
            (
                largest_denominator,
                largest_denominator - 1,
                largest_denominator,
                Some((largest_denominator - 1, 0)),
            ),
            (u128::MAX, 2, 1, None),
            (1, 1, 0, None),
            (1, 1, 1 << 127, None),
        ] {
            check(value, numerator, denominator, expected);
        }
    }
}
