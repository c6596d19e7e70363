//! What a component answers requests by: `wasi:http/handler`, and beside it, where it has it,
//! `turnpike:http/plain`, which takes a short request in one record.

mod plain;

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Empty, Full};
use wasmtime::Store;
use wasmtime::component::{
    Accessor, Component, ComponentNamedList, Func, InstancePre, Lift, Lower, TypedFunc,
};
use wasmtime_wasi_http::p3::Request as WasiRequest;
use wasmtime_wasi_http::p3::bindings::{Service, ServiceIndices};
use wasmtime_wasi_http::{Error, FieldMap, WasiBody};

use crate::imports::instance::InstanceState;
use crate::imports::outbound_http::InboundHeaders;
use crate::runtime::dispatcher::Reply;
use crate::runtime::response_body;
use crate::traces::SpanContext;
use plain::{PlainHandler, PlainHandlerIndices};

/// By which of its exports a component is asked, where it has both and the request fits both. The
/// answers are the same; tests compare them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum HandlerExport {
    /// turnpike:http/plain, which costs less
    #[default]
    Plain,
    /// wasi:http/handler, as in Spin
    WasiHttp,
}

/// The body of a request on its way to a component.
pub(crate) enum RequestBody {
    /// All of it.
    Whole(Bytes),
    /// As it comes from the client.
    Streamed(WasiBody),
}

impl RequestBody {
    fn into_wasi(self) -> WasiBody {
        match self {
            Self::Whole(bytes) if bytes.is_empty() => {
                Empty::new().map_err(Error::from).boxed_unsync()
            }
            Self::Whole(bytes) => Full::new(bytes).map_err(Error::from).boxed_unsync(),
            Self::Streamed(body) => body,
        }
    }
}

/// A component that is ready to be instantiated.
#[derive(Clone)]
pub(crate) struct HandlerPre {
    instance: InstancePre<InstanceState>,
    service: ServiceIndices,
    plain: Option<PlainHandlerIndices>,
}

impl HandlerPre {
    /// # Errors
    /// The component exports no `wasi:http/handler`, or a `turnpike:http/plain` of another shape.
    pub(crate) fn new(component: &Component, instance: InstancePre<InstanceState>) -> Result<Self> {
        let service = ServiceIndices::new(&instance)
            .map_err(|error| anyhow!(error))
            .context("it does not export wasi:http/handler@0.3.0: build it with spin-sdk 7")?;
        let has_plain = component.get_export_index(None, plain::NAME).is_some();
        let plain = has_plain
            .then(|| PlainHandlerIndices::new(&instance))
            .transpose()
            .map_err(|error| anyhow!(error))
            .with_context(|| format!("its {} is not that of wit/plain", plain::NAME))?;
        Ok(Self {
            instance,
            service,
            plain,
        })
    }

    /// Whether the component exports `turnpike:http/plain`.
    pub(crate) const fn has_plain(&self) -> bool {
        self.plain.is_some()
    }

    /// Creates an instance, which is asked by `export` where it can be.
    ///
    /// # Errors
    /// It traps when it starts, or there is no place for it.
    pub(crate) async fn instantiate(
        &self,
        store: &mut Store<InstanceState>,
        export: HandlerExport,
    ) -> wasmtime::Result<Handler> {
        let instance = self.instance.instantiate_async(&mut *store).await?;
        let plain = match (&self.plain, export) {
            (Some(plain), HandlerExport::Plain) => Some(plain.load(&mut *store, &instance)?),
            (None, _) | (_, HandlerExport::WasiHttp) => None,
        };
        Ok(Handler {
            service: self.service.load(&mut *store, &instance)?,
            plain,
        })
    }
}

/// An instance's exports.
pub(crate) struct Handler {
    service: Service,
    plain: Option<PlainHandler>,
}

impl Handler {
    /// A function of the instance, by which it can be asked whether it takes another call.
    pub(crate) fn func(&self) -> Func {
        *self.service.wasi_http_handler().func_handle().func()
    }

    /// Has the component answer. What it refuses is in the reply.
    ///
    /// # Errors
    /// The component trapped.
    pub(crate) async fn answer(
        &self,
        accessor: &Accessor<InstanceState>,
        request: Request<RequestBody>,
    ) -> wasmtime::Result<Reply> {
        let (mut head, body) = request.into_parts();
        let span = head.extensions.remove::<SpanContext>();
        match (&self.plain, body) {
            (Some(handler), RequestBody::Whole(body)) => {
                plain::answer(handler, accessor, head, body, span).await
            }
            (_, body) => {
                let body = body.into_wasi();
                self.answer_by_wasi(accessor, head, body, span).await
            }
        }
    }

    async fn answer_by_wasi(
        &self,
        accessor: &Accessor<InstanceState>,
        head: http::request::Parts,
        body: WasiBody,
        span: Option<SpanContext>,
    ) -> wasmtime::Result<Reply> {
        let head_only = head.method == Method::HEAD;
        let address = head.uri.into_parts();
        let (request, received) = WasiRequest::new(
            head.method,
            address.scheme,
            address.authority,
            address.path_and_query,
            FieldMap::new_immutable(&mut InboundHeaders, head.headers),
            None,
            body,
        );
        let request = accessor.with(|mut store| store.get().table.push(request))?;
        let function = self.service.wasi_http_handler().func_handle();
        let (answer,) = call(accessor, function, (request,), span).await?;
        Ok(match answer {
            Ok(response) => {
                let response: Response<WasiBody> = accessor.with(|mut store| {
                    let response = store.get().table.delete(response)?;
                    response.into_http(&mut store, received)
                })?;
                response_body::take(response, head_only).await
            }
            Err(code) => Err(wasmtime::Error::from(code)),
        })
    }
}

/// Calls a function of the instance. What it calls while it runs is known to be part of `span`.
///
/// # Errors
/// It trapped.
async fn call<P, R>(
    accessor: &Accessor<InstanceState>,
    function: TypedFunc<P, R>,
    parameters: P,
    span: Option<SpanContext>,
) -> wasmtime::Result<R>
where
    P: ComponentNamedList + Lower + Send + Sync + 'static,
    R: ComponentNamedList + Lift + Send + Sync + 'static,
{
    let Some(span) = span else {
        return function.call_concurrent(accessor, parameters).await;
    };
    let (call, task) = accessor.with(|mut store| {
        let call = function.start_call_concurrent(&mut store, parameters)?;
        let task = call.task();
        store.get().traced.insert(task, span);
        wasmtime::error::Ok((call, task))
    })?;
    let answer = function.finish_call_concurrent(accessor, call).await;
    accessor.with(|mut store| store.get().traced.remove(&task));
    answer
}
