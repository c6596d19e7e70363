//! `POST /bare-hash/<parameters>`: verifies one fixed hash. What a login takes
//! longer than this is what Turnpike adds to the hash.

use shared::auth::password::{self, Password};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};

/// The hashes by the last part of the path. Salt and output are random, as in
/// [`password::NOBODY`]: a verification that fails costs what one does that
/// succeeds.
const HASHES: [(&str, &str); 2] = [
    // 7 MiB, five passes: OWASP's choice for little memory, and Turnpike's.
    ("m7168-t5-p1", password::NOBODY),
    // 19 MiB, two passes: OWASP's first choice.
    (
        "m19456-t2-p1",
        "$argon2id$v=19$m=19456,t=2,p=1$\
         c3RhbmRzLWZvci1ub2JvZA$\
         xKq0m0H2cJ8Yw3n5Tz7r1vBdEo9uLsGfPiQ4aXhN6Vk",
    ),
];

async fn verify(_: &Context, request: &Request) -> Result<Reply, Problem> {
    let name = request.path().rsplit('/').next().unwrap_or_default();
    let (_, hash) = HASHES
        .iter()
        .find(|(parameters, _)| *parameters == name)
        .ok_or_else(|| Problem::not_found("No hash has these parameters."))?;
    let presented = Password::presented("correct horse battery");
    Reply::json(200, &[password::verify(&presented, hash, b"")])
}

shared::component!("bare-hash", "POST", verify);
