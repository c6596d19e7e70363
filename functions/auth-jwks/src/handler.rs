//! The public halves are derived anew for each request: there are two or three of
//! them, and whoever asks keeps the answer for five minutes.

use shared::auth::jwt::{self, SigningKey};
use shared::auth::secrets;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};

use crate::operations::{CACHE_CONTROL, Jwks};
use crate::queries;

/// The public keys that `kids` name under `master`.
fn public_keys(master: &[u8], kids: &[String]) -> Result<Jwks, jwt::InvalidKeyId> {
    let keys = kids
        .iter()
        .map(|kid| SigningKey::derive(master, kid).map(|key| key.public_jwk()))
        .collect::<Result<_, _>>()?;
    Ok(Jwks { keys })
}

pub async fn list(context: &Context, _: &Request) -> Result<Reply, Problem> {
    let kids = queries::published(context).await?;
    let master = secrets::master_secret(context).await?;
    let jwks = public_keys(&master, &kids).map_err(|error| {
        context.log(
            "error",
            &format!("a signing key is stored wrongly: {error}"),
        );
        Problem::internal()
    })?;
    Ok(Reply::json(200, &jwks)?.with_cache_control(CACHE_CONTROL))
}

#[cfg(test)]
mod tests {
    use shared::auth::jwt::PublicJwk;

    use super::*;

    #[test]
    fn a_list_names_every_key_and_no_secret() {
        let kids = ["one".to_owned(), "two".to_owned()];
        let jwks = public_keys(b"master", &kids).expect("good ids");
        let named: Vec<_> = jwks.keys.iter().map(PublicJwk::kid).collect();
        assert_eq!(named, ["one", "two"]);
        assert_ne!(jwks.keys[0].x(), jwks.keys[1].x());
        let other = public_keys(b"another", &kids).expect("good ids");
        assert_ne!(
            jwks.keys[0].x(),
            other.keys[0].x(),
            "another secret is other keys"
        );
        let reply = Reply::json(200, &jwks).expect("plain data");
        let text = String::from_utf8(reply.body).expect("JSON is UTF-8");
        assert!(
            !text.contains(r#""d":"#),
            "a private key was listed: {text}"
        );
        assert!(public_keys(b"master", &["a b".to_owned()]).is_err());
    }
}
