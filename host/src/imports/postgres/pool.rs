//! One pool of connections for each address, shared by all components of a host.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts};
use tokio_postgres::NoTls;
use tokio_postgres::config::{Config, Host, SslMode};

use crate::imports::bindings::spin::postgres::postgres::Error;
use crate::manifest::allowed_hosts::AllowedHosts;
use crate::metrics::PoolFigures;
use crate::postgres_tls::RustlsConnector;

/// Distinct addresses a host keeps pools for. A component has one or two; the bound keeps one
/// that makes addresses up from opening connections without end.
const MAX_ADDRESSES: usize = 64;

/// Statements kept prepared on one connection. A function has a handful; one that writes values
/// into its SQL would otherwise fill the memory of host and server.
const MAX_PREPARED_STATEMENTS: usize = 1_000;

/// How long a connection whose statement was abandoned may take to finish it before it is
/// closed instead of reused.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

/// Limits of the pools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostgresOptions {
    /// Connections to one address at most.
    pub pool_size: usize,
    /// How long a statement waits for a free connection, and how long an attempt to connect may
    /// take, each.
    pub connect_timeout: Duration,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            // Enough to keep several cores of Postgres busy, few enough that three hosts fit in
            // its usual limit of 100.
            pool_size: 32,
            connect_timeout: Duration::from_secs(1),
        }
    }
}

type PoolKey = (String, Option<String>);

/// All pools of a host.
pub(crate) struct PostgresPools {
    options: PostgresOptions,
    pools: Mutex<HashMap<PoolKey, Arc<AddressPool>>>,
}

/// The pool for one address.
pub(crate) struct AddressPool {
    pool: Pool,
}

impl PostgresPools {
    pub(crate) fn new(options: PostgresOptions) -> Self {
        Self {
            options,
            pools: Mutex::default(),
        }
    }

    /// The pool for `address`, if the component may connect there.
    ///
    /// # Errors
    /// The address is malformed or not allowed, or there are too many addresses already.
    pub(crate) fn address(
        &self,
        allowed: &AllowedHosts,
        address: &str,
        root_certificate: Option<&str>,
    ) -> Result<Arc<AddressPool>, Error> {
        let config: Config = address
            .parse()
            .map_err(|error| Error::ConnectionFailed(format!("{error}")))?;
        check_allowed(allowed, &config)?;
        let key = (address.to_owned(), root_certificate.map(str::to_owned));
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(&key) {
            return Ok(Arc::clone(pool));
        }
        if pools.len() >= MAX_ADDRESSES {
            return Err(Error::ConnectionFailed(format!(
                "too many connections: this host already serves {MAX_ADDRESSES} addresses"
            )));
        }
        let pool = create_pool(config, root_certificate, self.options)
            .map_err(|error| Error::ConnectionFailed(format!("{error:#}")))?;
        let pool = Arc::new(AddressPool { pool });
        pools.insert(key, Arc::clone(&pool));
        Ok(pool)
    }

    /// The connections of all pools.
    pub(crate) fn figures(&self) -> PoolFigures {
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let mut figures = PoolFigures::default();
        for address in pools.values() {
            let status = address.pool.status();
            figures.in_use += status.size.saturating_sub(status.available);
            figures.idle += status.available;
            figures.max += status.max_size;
            figures.waiting += status.waiting;
        }
        figures
    }

    /// Closes all connections; no statement succeeds any more.
    pub(crate) fn close(&self) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, address) in pools.drain() {
            address.pool.close();
        }
    }
}

fn check_allowed(allowed: &AllowedHosts, config: &Config) -> Result<(), Error> {
    let ports = config.get_ports();
    let port_of = |index: usize| match ports {
        [only] => Some(*only),
        ports => ports.get(index).copied(),
    };
    let check = |host: &str, port: Option<u16>| {
        if allowed.allows("postgres", host, port) {
            return Ok(());
        }
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        Err(Error::ConnectionFailed(format!(
            "address postgres://{host}{port} is not permitted"
        )))
    };
    for (index, host) in config.get_hosts().iter().enumerate() {
        match host {
            Host::Tcp(host) => check(host, port_of(index))?,
            #[cfg(unix)]
            Host::Unix(_) => {
                return Err(Error::ConnectionFailed(
                    "Unix sockets are not supported on WebAssembly".to_owned(),
                ));
            }
        }
    }
    // An explicit address is what is connected to, whatever host name stands beside it.
    for (index, address) in config.get_hostaddrs().iter().enumerate() {
        check(&address.to_string(), port_of(index))?;
    }
    Ok(())
}

fn create_pool(
    config: Config,
    root_certificate: Option<&str>,
    options: PostgresOptions,
) -> anyhow::Result<Pool> {
    let manager_config = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let manager = if config.get_ssl_mode() == SslMode::Disable {
        Manager::from_config(config, NoTls, manager_config)
    } else {
        let connector = RustlsConnector::new(root_certificate)?;
        Manager::from_config(config, connector, manager_config)
    };
    Pool::builder(manager)
        .max_size(options.pool_size)
        .runtime(Runtime::Tokio1)
        .timeouts(Timeouts {
            wait: Some(options.connect_timeout),
            create: Some(options.connect_timeout),
            recycle: None,
        })
        .build()
        .context("establishing PostgreSQL connection pool")
}

impl AddressPool {
    /// One connection for the host's own statements, which the components cannot take away from it.
    ///
    /// # Errors
    /// The address is malformed.
    pub(crate) fn for_host(address: &str, connect_timeout: Duration) -> anyhow::Result<Self> {
        let options = PostgresOptions {
            pool_size: 1,
            connect_timeout,
        };
        let pool = create_pool(address.parse()?, None, options)?;
        Ok(Self { pool })
    }

    /// What a statement of the host's own answers in one text.
    ///
    /// # Errors
    /// Postgres does not answer in time, or with something else.
    pub(crate) async fn read_text(
        &self,
        statement: &str,
        within: Duration,
    ) -> anyhow::Result<String> {
        let read = async {
            let mut checkout = self.connect().await.map_err(|error| anyhow!("{error:?}"))?;
            checkout.started();
            let client = checkout.client().context("there is no connection")?;
            let prepared = client.prepare_cached(statement).await?;
            let row = client.query_one(&prepared, &[]).await?;
            checkout.finished();
            Ok(row.try_get(0)?)
        };
        tokio::time::timeout(within, read)
            .await
            .context("Postgres took too long")?
    }

    /// A connection for one statement.
    ///
    /// # Errors
    /// [`Error::ConnectionFailed`] when the server refuses, or when none is free or connected in
    /// time.
    pub(super) async fn connect(&self) -> Result<Checkout, Error> {
        let object = self.pool.get().await.map_err(|error| {
            Error::ConnectionFailed(format!("{:#}", anyhow::Error::from(error)))
        })?;
        if object.statement_cache.size() > MAX_PREPARED_STATEMENTS {
            object.statement_cache.clear();
        }
        Ok(Checkout {
            object: Some(object),
            state: CheckoutState::Unused,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CheckoutState {
    /// Nothing is under way on the connection.
    Unused,
    /// A statement may be.
    Busy,
    /// The connection is of no more use.
    Broken,
}

/// A connection taken from the pool. It goes back when this is dropped, unless it broke.
pub(super) struct Checkout {
    /// `Some` until dropped.
    object: Option<Object>,
    state: CheckoutState,
}

impl Checkout {
    /// The connection.
    pub(super) fn client(&self) -> Option<&Object> {
        self.object.as_ref()
    }

    /// Says that something is sent from here on, until [`Checkout::finished`].
    pub(super) fn started(&mut self) {
        self.state = CheckoutState::Busy;
    }

    /// Says that everything sent has been answered.
    pub(super) fn finished(&mut self) {
        self.state = CheckoutState::Unused;
    }

    /// Closes the connection rather than giving it back.
    pub(super) fn discard(mut self) {
        self.state = CheckoutState::Broken;
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else {
            return;
        };
        match self.state {
            CheckoutState::Unused => drop(object),
            CheckoutState::Broken => drop(Object::take(object)),
            // The component no longer wants the answer, but it will come. Whoever got this
            // connection now would wait for it, so it goes back when it has come.
            CheckoutState::Busy => match tokio::runtime::Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn(settle(object))),
                Err(_) => drop(Object::take(object)),
            },
        }
    }
}

async fn settle(object: Object) {
    // Answers arrive in order: an empty statement's comes after that of the abandoned one.
    let answered = tokio::time::timeout(SETTLE_TIMEOUT, object.simple_query("")).await;
    if !matches!(answered, Ok(Ok(_))) {
        drop(Object::take(object));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, expected: Result<(), &str>) {
        let allowed = AllowedHosts::parse(&["postgres://db:5432", "postgres://127.0.0.1:*"])
            .unwrap_or_else(|error| panic!("{error:#}"));
        let outcome = PostgresPools::new(PostgresOptions::default())
            .address(&allowed, address, None)
            .map(drop);
        match (outcome, expected) {
            (Ok(()), Ok(())) => {}
            (Err(Error::ConnectionFailed(message)), Err(part)) => assert!(
                message.contains(part),
                "{address:?}: {message:?} must say {part:?}"
            ),
            (outcome, expected) => panic!("{address:?}: {outcome:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn only_allowed_addresses_get_a_pool() {
        check("postgres://u:p@db/x", Ok(()));
        check("postgres://u:p@db:5432/x", Ok(()));
        check("host=db user=u", Ok(()));
        check("postgres://u:p@127.0.0.1:7777/x?sslmode=disable", Ok(()));
        check(
            "postgres://u:p@db:5433/x",
            Err("postgres://db:5433 is not permitted"),
        );
        check(
            "postgres://u:p@evil/x",
            Err("postgres://evil:5432 is not permitted"),
        );
        check(
            "postgres://u:p@db,evil/x",
            Err("postgres://evil:5432 is not permitted"),
        );
        check(
            "host=db hostaddr=10.0.0.1 user=u",
            Err("10.0.0.1 is not permitted"),
        );
        check(
            "host=/run/postgresql user=u",
            Err("Unix sockets are not supported"),
        );
        check("nonsense", Err("invalid connection string"));
    }
}
