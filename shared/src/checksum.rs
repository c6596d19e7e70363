//! CRC-32, as gzip and Ethernet have it: it finds what was damaged or mistyped, and is no
//! protection against anybody who means to deceive.

/// The checksum of bytes that are given in parts.
pub fn crc32(parts: &[&[u8]]) -> u32 {
    let mut state = u32::MAX;
    for part in parts {
        let (words, rest) = part.as_chunks::<4>();
        for word in words {
            let [first, second, third, fourth] = (state ^ u32::from_le_bytes(*word)).to_le_bytes();
            state = TABLES[3][usize::from(first)]
                ^ TABLES[2][usize::from(second)]
                ^ TABLES[1][usize::from(third)]
                ^ TABLES[0][usize::from(fourth)];
        }
        for byte in rest {
            let [lowest, ..] = state.to_le_bytes();
            state = (state >> 8) ^ TABLES[0][usize::from(lowest ^ byte)];
        }
    }
    !state
}

/// `TABLES[n][byte]` is what a byte leaves behind when `n` zero bytes follow it. Four tables take
/// four bytes at a time, and 4 KiB of every component.
static TABLES: [[u32; 256]; 4] = tables();

/// The polynomial, its bits in reverse.
const POLYNOMIAL: u32 = 0xedb8_8320;

const fn tables() -> [[u32; 256]; 4] {
    let mut tables = [[0_u32; 256]; 4];
    let mut byte = 0;
    while byte < 256 {
        let mut state = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            let carry = state & 1;
            state >>= 1;
            if carry == 1 {
                state ^= POLYNOMIAL;
            }
            bit += 1;
        }
        tables[0][byte] = state;
        byte += 1;
    }
    let mut byte = 0;
    while byte < 256 {
        let mut zeros = 1;
        while zeros < 4 {
            let before = tables[zeros - 1][byte];
            tables[zeros][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            zeros += 1;
        }
        byte += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_checksums() {
        let table: [(&[&[u8]], u32); 6] = [
            (&[], 0),
            (&[b""], 0),
            (&[b"a"], 0xe8b7_be43),
            (&[b"123456789"], 0xcbf4_3926),
            (&[b"1234", b"", b"56789"], 0xcbf4_3926),
            (&[&[0xff; 32]], 0xff6c_ab0b),
        ];
        for (parts, expected) in table {
            assert_eq!(crc32(parts), expected, "{parts:?}");
        }
    }

    proptest! {
        /// As another implementation has it, wherever the bytes are cut.
        #[test]
        fn checksums_are_those_of_others(bytes: Vec<u8>, cut: prop::sample::Index) {
            let mut other = flate2::Crc::new();
            other.update(&bytes);
            let (head, tail) = bytes.split_at(cut.index(bytes.len() + 1));
            prop_assert_eq!(crc32(&[&bytes]), other.sum());
            prop_assert_eq!(crc32(&[head, tail]), other.sum());
        }
    }
}
