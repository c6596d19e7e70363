//! Who a caller is: passwords, second factors, sessions, signed tokens, and the
//! secrets behind them.

#[cfg(any(feature = "jwt", feature = "totp"))]
mod derived_key;
#[cfg(feature = "spin")]
pub mod hash_lease;
#[cfg(feature = "jwt")]
pub mod jwt;
pub mod lockout;
#[cfg(feature = "password")]
pub mod password;
#[cfg(feature = "totp")]
pub mod second_factor;
#[cfg(feature = "spin")]
pub mod secrets;
pub mod session;
#[cfg(feature = "totp")]
pub mod totp;
