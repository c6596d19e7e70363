//! Rust traits for the interfaces under `wit/`, generated at compile time.

wasmtime::component::bindgen!({
    path: "../wit",
    world: "turnpike:host/host",
    imports: {
        // Only what creates a resource or a stream can fail for a reason of the host's own.
        "spin:key-value/key-value.[method]store.get-keys": trappable,
        "spin:postgres/postgres.[constructor]connection-builder": trappable,
        "spin:postgres/postgres.[method]connection.query-async": trappable,
        "spin:postgres/postgres.[drop]connection": trappable,
        "spin:postgres/postgres.[drop]connection-builder": trappable,
        "spin:postgres/postgres.[method]connection-builder.set-ca-root": trappable,
        default: async,
    },
    with: {
        "spin:postgres/postgres.connection": crate::imports::postgres::Connection,
        "spin:postgres/postgres.connection-builder": crate::imports::postgres::ConnectionBuilder,
    },
    require_store_data_send: true,
});
