//! `spin:postgres@4.2.0`.
//!
//! A `connection` resource is a right to use an address, not a connection: each statement takes
//! one from the pool that all components share for that address, and gives it back. So an idle
//! component holds nothing, and a statement cannot leave anything behind for the next; what
//! would (a transaction, a setting) is refused.

#![allow(
    clippy::result_large_err,
    reason = "the error is the interface's own type, and boxing it would only move it twice"
)]

mod parameters;
mod pool;
mod query;
mod values;

use std::sync::Arc;

use wasmtime::component::{Access, Accessor, FutureReader, Resource, StreamReader};

use crate::imports::bindings::spin::postgres::postgres::{
    Column, DbValue, Error, Host, HostConnection, HostConnectionBuilder,
    HostConnectionBuilderWithStore, HostConnectionWithStore, ParameterValue, RowSet,
};
use crate::imports::instance::{ComponentContext, InstanceData, InstanceState, calling_span};
use crate::postgres_tls;
use crate::traces::{self, OpenSpan, SpanKind};

pub use pool::PostgresOptions;
pub(crate) use pool::{AddressPool, PostgresPools};

/// The `connection` resource.
pub struct Connection(Arc<AddressPool>);

/// The `connection-builder` resource.
pub struct ConnectionBuilder {
    address: String,
    /// A certificate in PEM form that the server's must be signed by.
    root_certificate: Option<String>,
}

/// Columns, rows, and how the rows ended.
type StreamedRows = (
    Vec<Column>,
    StreamReader<Vec<DbValue>>,
    FutureReader<Result<(), Error>>,
);

async fn open(
    component: &ComponentContext,
    address: &str,
    root_certificate: Option<&str>,
) -> Result<Connection, Error> {
    let pools = &component.services.postgres;
    let pool = pools.address(&component.allowed_hosts, address, root_certificate)?;
    // Spin connects here, so an unreachable server must show here as well.
    pool.connect().await?;
    Ok(Connection(pool))
}

fn no_handle(error: wasmtime::component::ResourceTableError) -> Error {
    Error::ConnectionFailed(format!("no connection found: {error}"))
}

impl InstanceState {
    fn pool(&self, connection: &Resource<Connection>) -> Result<Arc<AddressPool>, Error> {
        let connection = self.table.get(connection).map_err(no_handle)?;
        Ok(Arc::clone(&connection.0))
    }

    fn keep(&mut self, connection: Connection) -> Result<Resource<Connection>, Error> {
        self.table
            .push(connection)
            .map_err(|_| Error::ConnectionFailed("too many connections".to_owned()))
    }

    fn builder(
        &self,
        builder: &Resource<ConnectionBuilder>,
    ) -> Result<(String, Option<String>), Error> {
        let builder = self.table.get(builder).map_err(no_handle)?;
        Ok((builder.address.clone(), builder.root_certificate.clone()))
    }
}

impl Host for InstanceState {}

impl HostConnectionBuilder for InstanceState {
    fn new(&mut self, address: String) -> wasmtime::Result<Resource<ConnectionBuilder>> {
        Ok(self.table.push(ConnectionBuilder {
            address,
            root_certificate: None,
        })?)
    }

    fn set_ca_root(
        &mut self,
        builder: Resource<ConnectionBuilder>,
        certificate: String,
    ) -> wasmtime::Result<Result<(), Error>> {
        if let Err(error) = postgres_tls::parse_certificates(&certificate) {
            let message = format!("invalid root certificate: {error:#}");
            return Ok(Err(Error::Other(message)));
        }
        self.table.get_mut(&builder)?.root_certificate = Some(certificate);
        Ok(Ok(()))
    }

    async fn build(
        &mut self,
        builder: Resource<ConnectionBuilder>,
    ) -> Result<Resource<Connection>, Error> {
        let (address, root_certificate) = self.builder(&builder)?;
        let connection = open(&self.component, &address, root_certificate.as_deref()).await?;
        self.keep(connection)
    }

    fn drop(&mut self, builder: Resource<ConnectionBuilder>) -> wasmtime::Result<()> {
        self.table.delete(builder)?;
        Ok(())
    }
}

impl<T: Send> HostConnectionBuilderWithStore<T> for InstanceData {
    async fn build_async(
        accessor: &Accessor<T, Self>,
        builder: Resource<ConnectionBuilder>,
    ) -> Result<Resource<Connection>, Error> {
        let (component, (address, root_certificate)) = accessor.with(|mut access| {
            let instance = access.get();
            Ok::<_, Error>((Arc::clone(&instance.component), instance.builder(&builder)?))
        })?;
        let connection = open(&component, &address, root_certificate.as_deref()).await?;
        accessor.with(|mut access| access.get().keep(connection))
    }
}

impl HostConnection for InstanceState {
    async fn open(&mut self, address: String) -> Result<Resource<Connection>, Error> {
        let connection = open(&self.component, &address, None).await?;
        self.keep(connection)
    }

    async fn query(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> Result<RowSet, Error> {
        let answer = query::query(&*self.pool(&connection)?, &statement, &parameters).await?;
        answer.outcome?;
        Ok(RowSet {
            columns: answer.columns,
            rows: answer.rows,
        })
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> Result<u64, Error> {
        query::execute(&*self.pool(&connection)?, &statement, &parameters).await
    }

    fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

/// Begins the span of a statement, while traces are on. It has the statement's text, which has
/// none of its parameters.
fn statement_span<T: Send + 'static>(
    access: &mut Access<'_, T, InstanceData>,
    statement: &str,
) -> Option<OpenSpan> {
    let parent = calling_span(access)?;
    let traces = &access.get().component.services.traces;
    let mut span = traces.begin(parent, SpanKind::Client)?;
    span.set_name(traces::statement_name(statement).to_owned());
    span.set("db.system.name", "postgresql");
    span.set("db.query.text", statement);
    Some(span)
}

fn end_span(span: Option<OpenSpan>, is_ok: bool) {
    if let Some(mut span) = span
        && !is_ok
    {
        span.fail();
    }
}

impl<T: Send> HostConnectionWithStore<T> for InstanceData {
    async fn open_async(
        accessor: &Accessor<T, Self>,
        address: String,
    ) -> Result<Resource<Connection>, Error> {
        let component = accessor.with(|mut access| Arc::clone(&access.get().component));
        let connection = open(&component, &address, None).await?;
        accessor.with(|mut access| access.get().keep(connection))
    }

    async fn query_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> wasmtime::Result<Result<StreamedRows, Error>> {
        let (pool, span) = accessor.with(|mut access| {
            let span = statement_span(&mut access, &statement);
            (access.get().pool(&connection), span)
        });
        let answer = match pool {
            Ok(pool) => query::query(&pool, &statement, &parameters).await,
            Err(error) => Err(error),
        };
        end_span(
            span,
            answer.as_ref().is_ok_and(|answer| answer.outcome.is_ok()),
        );
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(error)),
        };
        // All rows are here already: they go over in one piece, and how they ended is known.
        accessor.with(|mut access| {
            let outcome = std::future::ready(wasmtime::error::Ok(answer.outcome));
            Ok(Ok((
                answer.columns,
                StreamReader::new(&mut access, answer.rows)?,
                FutureReader::new(&mut access, outcome)?,
            )))
        })
    }

    async fn execute_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> Result<u64, Error> {
        let (pool, span) = accessor.with(|mut access| {
            let span = statement_span(&mut access, &statement);
            (access.get().pool(&connection), span)
        });
        let outcome = query::execute(&*pool?, &statement, &parameters).await;
        end_span(span, outcome.is_ok());
        outcome
    }
}
