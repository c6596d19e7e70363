//! The labels of the metrics, each with the values that it may have.

use std::fmt;
use std::sync::Arc;

use http::Method;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

/// The id of a component, as a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ComponentId(pub(super) Arc<str>);

impl EncodeLabelValue for ComponentId {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        (&*self.0).encode(encoder)
    }
}

/// Labels that are words of a list.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            pub(super) const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            pub(crate) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
                self.as_str().encode(encoder)
            }
        }
    };
}

words! {
    /// A request's method. Clients may make methods up, which are all one here.
    MethodLabel {
        Get = "GET",
        Head = "HEAD",
        Post = "POST",
        Put = "PUT",
        Patch = "PATCH",
        Delete = "DELETE",
        Options = "OPTIONS",
        Other = "other",
    }
}

words! {
    /// How the cache took part.
    CacheResult {
        Hit = "hit",
        Miss = "miss",
        Bypass = "bypass",
    }
}

words! {
    /// Why an instance ended.
    InstanceEnd {
        /// It answered as many requests as an instance may.
        UsedUp = "used_up",
        /// It had nothing to do, or the host stops.
        Idle = "idle",
        /// It trapped.
        Failed = "failed",
    }
}

words! {
    /// An operation of components on the key-value store.
    KeyValueOperation {
        Get = "get",
        Set = "set",
        Delete = "delete",
        Exists = "exists",
        Keys = "keys",
    }
}

words! {
    /// What became of an operation.
    Outcome {
        Ok = "ok",
        Failed = "failed",
    }
}

words! {
    /// What became of a span.
    SpanFate {
        Sent = "sent",
        Dropped = "dropped",
    }
}

words! {
    /// What a connection to Postgres does.
    ConnectionState {
        InUse = "in_use",
        Idle = "idle",
    }
}

impl MethodLabel {
    pub(crate) fn of(method: &Method) -> Self {
        match *method {
            Method::GET => Self::Get,
            Method::HEAD => Self::Head,
            Method::POST => Self::Post,
            Method::PUT => Self::Put,
            Method::PATCH => Self::Patch,
            Method::DELETE => Self::Delete,
            Method::OPTIONS => Self::Options,
            _ => Self::Other,
        }
    }
}

impl Outcome {
    pub(super) const fn of(is_ok: bool) -> Self {
        if is_ok { Self::Ok } else { Self::Failed }
    }
}

/// The status of an answer, or that there was none because the client went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum StatusLabel {
    Answered(u16),
    Aborted,
}

impl StatusLabel {
    pub(super) const fn is_success(self) -> bool {
        matches!(self, Self::Answered(200..=299))
    }
}

impl EncodeLabelValue for StatusLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        match self {
            Self::Answered(status @ 100..=599) => status.encode(encoder),
            Self::Answered(_) => "other".encode(encoder),
            Self::Aborted => "aborted".encode(encoder),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RequestLabels {
    pub(super) component: ComponentId,
    pub(super) method: MethodLabel,
    pub(super) status: StatusLabel,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ComponentLabels {
    pub(super) component: ComponentId,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CacheLabels {
    pub(super) component: ComponentId,
    pub(super) result: CacheResult,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct EndLabels {
    pub(super) component: ComponentId,
    pub(super) reason: InstanceEnd,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OperationLabels {
    pub(super) operation: KeyValueOperation,
    pub(super) outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StateLabels {
    pub(super) state: ConnectionState,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct SpanLabels {
    pub(super) outcome: SpanFate,
}
