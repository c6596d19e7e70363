//! A checkpoint of the audit log, as it is written to a file: lines of JSON.
//!
//! The first line says when it was taken and how many chains it has. Then comes a line for each
//! chain, and the last line signs all lines before it.

use std::fmt::Write as _;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use shared::auth::checkpoint_key::{CheckpointKey, PublicCheckpointKey};
use shared::ids::OrganizationId;

/// The form of the file. Another one has another number.
const FORM: u32 = 1;

/// The newest event of one chain when a checkpoint was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainEnd {
    /// Whose chain it is.
    pub organization: OrganizationId,
    /// The event's number in it.
    pub sequence: i64,
    /// The event's hash, which covers all events before it.
    pub hash: [u8; 32],
}

/// What a signed file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// When it was taken, in RFC 3339.
    pub taken_at: String,
    /// The end of each chain, by organization.
    pub ends: Vec<ChainEnd>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct First {
    turnpike_audit_checkpoint: u32,
    taken_at: String,
    chains: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Chain {
    organization: OrganizationId,
    sequence: i64,
    hash: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Last {
    public_key: String,
    signature: String,
}

impl Checkpoint {
    /// The text of the file, signed.
    ///
    /// # Errors
    /// When a line cannot be written, which plain data always can.
    pub fn signed(&self, key: &CheckpointKey) -> Result<String> {
        let mut text = String::new();
        line(
            &mut text,
            &First {
                turnpike_audit_checkpoint: FORM,
                taken_at: self.taken_at.clone(),
                chains: self.ends.len(),
            },
        )?;
        for end in &self.ends {
            line(
                &mut text,
                &Chain {
                    organization: end.organization,
                    sequence: end.sequence,
                    hash: hex(&end.hash),
                },
            )?;
        }
        let last = Last {
            public_key: key.public().to_string(),
            signature: key.sign(&text),
        };
        line(&mut text, &last)?;
        Ok(text)
    }

    /// Reads a file, if `key` signed it. The key that the file names itself is only for people:
    /// anybody can sign with a key of their own.
    ///
    /// # Errors
    /// It is another file, was cut or changed, or was signed with another key.
    pub fn read(text: &str, key: &PublicCheckpointKey) -> Result<Self> {
        let body = text.strip_suffix('\n').context("its last line is cut")?;
        let (signed, last) = match body.rfind('\n') {
            Some(end) => body.split_at(end + 1),
            None => bail!("it has no signature"),
        };
        let last: Last = serde_json::from_str(last).context("its last line is no signature")?;
        if !key.verify(signed, &last.signature) {
            ensure!(
                last.public_key == key.to_string(),
                "it was signed with the key {}, and not with {key}",
                last.public_key
            );
            bail!("its signature is wrong: it was changed after it was signed");
        }
        let mut lines = signed.lines();
        let first = lines.next().unwrap_or_default();
        let first: First = serde_json::from_str(first).context("its first line is not known")?;
        ensure!(
            first.turnpike_audit_checkpoint == FORM,
            "its form {} is not known here: use the release that wrote it",
            first.turnpike_audit_checkpoint
        );
        let ends = lines.map(chain_end).collect::<Result<Vec<_>>>()?;
        ensure!(
            ends.len() == first.chains,
            "it has {} chains and says that it has {}",
            ends.len(),
            first.chains
        );
        Ok(Self {
            taken_at: first.taken_at,
            ends,
        })
    }
}

fn line(text: &mut String, value: &impl Serialize) -> Result<()> {
    text.push_str(&serde_json::to_string(value)?);
    text.push('\n');
    Ok(())
}

fn chain_end(line: &str) -> Result<ChainEnd> {
    let chain: Chain = serde_json::from_str(line).context("a line is no chain")?;
    Ok(ChainEnd {
        organization: chain.organization,
        sequence: chain.sequence,
        hash: bytes(&chain.hash).context("a line has no SHA-256")?,
    })
}

fn hex(hash: &[u8; 32]) -> String {
    hash.iter().fold(String::new(), |mut text, byte| {
        // A text can always be written to.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bytes(hex: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if hex.len() != 2 * hash.len() || !hex.is_ascii() {
        return None;
    }
    for (index, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let end = |byte: u8| ChainEnd {
            organization: OrganizationId::new(u64::from(byte), &[byte; 10]),
            sequence: i64::from(byte),
            hash: [byte; 32],
        };
        Checkpoint {
            taken_at: "2026-11-21T09:30:00Z".to_owned(),
            ends: vec![end(1), end(0xab)],
        }
    }

    #[test]
    fn a_file_is_read_back() {
        let key = CheckpointKey::derive(b"master");
        for checkpoint in [
            checkpoint(),
            Checkpoint {
                ends: Vec::new(),
                ..checkpoint()
            },
        ] {
            let text = checkpoint.signed(&key).expect("plain data");
            assert_eq!(text.lines().count(), checkpoint.ends.len() + 2);
            let read = Checkpoint::read(&text, &key.public()).expect("it was just signed");
            assert_eq!(read, checkpoint);
        }
    }

    #[test]
    fn a_file_that_was_changed_is_refused() {
        let key = CheckpointKey::derive(b"master");
        let text = checkpoint().signed(&key).expect("plain data");
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let without = |index: usize| {
            let mut kept = lines.clone();
            kept.remove(index);
            kept.concat()
        };
        let by_another = checkpoint()
            .signed(&CheckpointKey::derive(b"another"))
            .expect("plain data");
        let swapped = [lines[0], lines[2], lines[1], lines[3]].concat();
        let table = [
            (String::new(), "cut"),
            ("\n".to_owned(), "no signature"),
            (text[..text.len() - 1].to_owned(), "cut"),
            (without(3), "no signature"),
            (without(2), "signature is wrong"),
            (without(0), "signature is wrong"),
            (swapped, "signature is wrong"),
            (
                text.replace("\"sequence\":1,", "\"sequence\":2,"),
                "signature is wrong",
            ),
            (text.replace("0101", "0102"), "signature is wrong"),
            (text.replace("09:30", "09:31"), "signature is wrong"),
            (format!("{text}\n"), "no signature"),
            (by_another, "signed with the key"),
        ];
        for (text, reason) in table {
            let error = Checkpoint::read(&text, &key.public()).expect_err("it must be refused");
            let error = format!("{error:#}");
            assert!(
                error.contains(reason),
                "{reason:?} for\n{text}\nand not: {error}"
            );
        }
    }

    #[test]
    fn every_byte_is_signed() {
        let key = CheckpointKey::derive(b"master");
        let text = checkpoint().signed(&key).expect("plain data");
        for position in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[position] = if bytes[position] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(bytes).expect("ASCII stays ASCII");
            let read = Checkpoint::read(&changed, &key.public());
            // The key that it names is for people, and not what it is verified with.
            let is_name = read.as_ref().is_ok_and(|read| *read == checkpoint())
                && changed
                    .rfind("\"signature\"")
                    .is_some_and(|end| position < end);
            assert!(read.is_err() || is_name, "byte {position} of\n{changed}");
        }
    }
}
