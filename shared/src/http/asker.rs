//! Who asks: what the events of the audit log say about the request.

use std::cell::{Cell, OnceCell};

use crate::token::TokenDigest;

/// Who asks, as far as it was found out. The request finds it out, and the statements that
/// are sent for it pass it on, so both have it.
#[derive(Debug, Default)]
pub(crate) struct Asker {
    /// The client's address. Only an operation that is audited asks for it.
    address: OnceCell<String>,
    /// The token that was presented last, whether it is a good one or not.
    credential: Cell<Option<TokenDigest>>,
}

impl Asker {
    pub(crate) fn note_address(&self, address: String) {
        // The first is kept: there is one for each request.
        let _ = self.address.set(address);
    }

    pub(crate) fn note_credential(&self, credential: TokenDigest) {
        self.credential.set(Some(credential));
    }

    /// The client's address and the credential, for an operation that is audited.
    pub(crate) fn audited(&self) -> Option<(&str, Option<TokenDigest>)> {
        let address = self.address.get()?;
        Some((address, self.credential.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_passed_on_before_the_address_is_known() {
        let digest = TokenDigest([7; 48]);
        let asker = Asker::default();
        asker.note_credential(digest);
        assert_eq!(asker.audited(), None);
        asker.note_address("192.0.2.1".to_owned());
        assert_eq!(asker.audited(), Some(("192.0.2.1", Some(digest))));
    }
}
