//! The secret of a key, which is shown once.

use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::token::{self, PresentedToken, TokenDigest, TokenKind};

/// Characters of a key that are kept in the clear, by which a person recognises it: the
/// last six. They are most of the checksum. An attacker who knows them still has to
/// guess 224 bits.
const HINT_CHARS: usize = 6;

/// A secret that was just drawn.
pub struct Secret {
    /// The key itself.
    pub key: String,
    /// The digest under which it is stored.
    pub digest: TokenDigest,
    /// The characters that are kept in the clear.
    pub hint: String,
}

impl Secret {
    /// For a key of the caller's organization and user.
    pub fn draw(context: &Context, caller: &PresentedToken) -> Result<Self, Problem> {
        let secret = context.random()?;
        let key = token::mint(
            TokenKind::ApiKey,
            caller.organization,
            caller.owner,
            &secret,
        );
        Ok(Self {
            digest: token::digest(&key),
            hint: key[key.len() - HINT_CHARS..].to_owned(),
            key,
        })
    }
}
