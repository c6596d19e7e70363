//! Who a caller is: passwords, second factors, sessions, signed tokens, and the
//! secrets behind them.

#[cfg(feature = "spin")]
pub mod api_key_use;
#[cfg(feature = "jwt")]
pub mod checkpoint_key;
#[cfg(any(feature = "device", feature = "jwt", feature = "totp"))]
mod derived_key;
#[cfg(feature = "device")]
pub mod device;
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
