//! Headers that tell a browser what it must not do with a response.

use std::cell::Cell;

use spin_sdk::variables;

use crate::http::context::Context;

/// Nothing here is a page: a browser that shows a response loads nothing for it, runs
/// nothing in it, and puts it in no frame. And it takes a body for what `Content-Type`
/// says, whatever it looks like.
const FOR_EVERY_RESPONSE: [(&str, &str); 2] = [
    ("x-content-type-options", "nosniff"),
    (
        "content-security-policy",
        "default-src 'none'; frame-ancestors 'none'",
    ),
];

/// For a year a browser comes by TLS only.
const FOR_TLS: (&str, &str) = ("strict-transport-security", "max-age=31536000");

thread_local! {
    /// Whether clients come by TLS, after it was asked once.
    static IS_PUBLIC_URL_HTTPS: Cell<Option<bool>> = const { Cell::new(None) };
}

/// The headers, as name and value.
pub(super) async fn headers(
    context: &Context,
) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
    let tls = is_public_url_https(context).await.then_some(FOR_TLS);
    FOR_EVERY_RESPONSE.into_iter().chain(tls)
}

/// Whether the variable `public_url` says that clients come by TLS. Without the variable
/// they are told nothing, because a promise of TLS that does not hold shuts them out.
async fn is_public_url_https(context: &Context) -> bool {
    if let Some(is_https) = IS_PUBLIC_URL_HTTPS.get() {
        return is_https;
    }
    let is_https = match variables::get("public_url").await {
        Ok(url) => is_https(&url),
        Err(error) => {
            let reason = format!("the variable public_url cannot be read: {error}");
            context.log("error", &reason);
            return false;
        }
    };
    IS_PUBLIC_URL_HTTPS.set(Some(is_https));
    is_https
}

/// The scheme of a URL is written in any case (RFC 3986, section 3.1).
fn is_https(url: &str) -> bool {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes() {
        let table = [
            ("https://pay.example", true),
            ("HTTPS://pay.example/", true),
            ("http://127.0.0.1:3000", false),
            ("http://pay.example/?next=https://x", false),
            ("https:pay.example", false),
            ("pay.example", false),
            ("", false),
        ];
        for (url, expected) in table {
            assert_eq!(is_https(url), expected, "{url}");
        }
    }
}
