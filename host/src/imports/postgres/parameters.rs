//! Parameters on their way to the server: each WIT value as exactly one Rust type, so that the
//! driver accepts it for the same Postgres types as in Spin and no others.

use std::error::Error as StdError;

use anyhow::{Context as _, Result};
use bytes::{BufMut as _, BytesMut};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use rust_decimal::Decimal;
use tokio_postgres::types::{IsNull, ToSql, Type, WrongType};

use super::values::RANGE_EMPTY;
use super::values::{
    RANGE_LOWER_INCLUSIVE, RANGE_LOWER_UNBOUNDED, RANGE_UPPER_INCLUSIVE, RANGE_UPPER_UNBOUNDED,
};
use crate::imports::bindings::spin::postgres::postgres::{
    Interval, ParameterValue, RangeBoundKind,
};

type BoxError = Box<dyn StdError + Sync + Send>;
type Bounds<T> = (Option<(T, RangeBoundKind)>, Option<(T, RangeBoundKind)>);

/// A parameter ready to be sent; text and bytes stay where the component's call left them.
#[derive(Debug)]
pub(super) enum SqlParameter<'a> {
    Null,
    Boolean(bool),
    Int8(i8),
    Int16(i16),
    Int32(i32),
    Int64(i64),
    Floating32(f32),
    Floating64(f64),
    Str(&'a str),
    Binary(&'a [u8]),
    Date(NaiveDate),
    Time(NaiveTime),
    Datetime(NaiveDateTime),
    Timestamp(DateTime<Utc>),
    Uuid(uuid::Uuid),
    Jsonb(serde_json::Value),
    Decimal(Decimal),
    RangeInt32(Bounds<i32>),
    RangeInt64(Bounds<i64>),
    RangeDecimal(Bounds<Decimal>),
    ArrayInt32(&'a [Option<i32>]),
    ArrayInt64(&'a [Option<i64>]),
    ArrayDecimal(Vec<Option<Decimal>>),
    ArrayStr(&'a [Option<String>]),
    Interval(Interval),
}

impl<'a> SqlParameter<'a> {
    /// Converts all of a call's parameters.
    ///
    /// # Errors
    /// A date, time, UUID, decimal or JSON text is malformed.
    pub(super) fn convert_all(values: &'a [ParameterValue]) -> Result<Vec<Self>> {
        values.iter().map(Self::convert).collect()
    }

    fn convert(value: &'a ParameterValue) -> Result<Self> {
        Ok(match value {
            ParameterValue::Boolean(v) => Self::Boolean(*v),
            ParameterValue::Int8(v) => Self::Int8(*v),
            ParameterValue::Int16(v) => Self::Int16(*v),
            ParameterValue::Int32(v) => Self::Int32(*v),
            ParameterValue::Int64(v) => Self::Int64(*v),
            ParameterValue::Floating32(v) => Self::Floating32(*v),
            ParameterValue::Floating64(v) => Self::Floating64(*v),
            ParameterValue::Str(v) => Self::Str(v),
            ParameterValue::Binary(v) => Self::Binary(v),
            ParameterValue::Date((y, m, d)) => Self::Date(date(*y, *m, *d)?),
            ParameterValue::Time((h, m, s, ns)) => Self::Time(time(*h, *m, *s, *ns)?),
            ParameterValue::Datetime((y, mon, d, h, m, s, ns)) => Self::Datetime(
                NaiveDateTime::new(date(*y, *mon, *d)?, time(*h, *m, *s, *ns)?),
            ),
            ParameterValue::Timestamp(v) => Self::Timestamp(
                DateTime::from_timestamp(*v, 0)
                    .with_context(|| format!("invalid epoch timestamp {v}"))?,
            ),
            ParameterValue::Uuid(v) => {
                Self::Uuid(uuid::Uuid::parse_str(v).with_context(|| format!("invalid UUID {v}"))?)
            }
            ParameterValue::Jsonb(v) => Self::Jsonb(
                serde_json::from_slice(v)
                    .with_context(|| format!("invalid JSON {}", String::from_utf8_lossy(v)))?,
            ),
            ParameterValue::Decimal(v) => Self::Decimal(decimal(v)?),
            ParameterValue::RangeInt32(v) => Self::RangeInt32(*v),
            ParameterValue::RangeInt64(v) => Self::RangeInt64(*v),
            ParameterValue::RangeDecimal((lower, upper)) => {
                let bound = |bound: &Option<(String, RangeBoundKind)>| {
                    bound
                        .as_ref()
                        .map(|(text, kind)| Ok::<_, anyhow::Error>((decimal(text)?, *kind)))
                        .transpose()
                };
                Self::RangeDecimal((bound(lower)?, bound(upper)?))
            }
            ParameterValue::ArrayInt32(v) => Self::ArrayInt32(v),
            ParameterValue::ArrayInt64(v) => Self::ArrayInt64(v),
            ParameterValue::ArrayDecimal(v) => Self::ArrayDecimal(
                v.iter()
                    .map(|text| text.as_deref().map(decimal).transpose())
                    .collect::<Result<_>>()?,
            ),
            ParameterValue::ArrayStr(v) => Self::ArrayStr(v),
            ParameterValue::Interval(v) => Self::Interval(*v),
            ParameterValue::DbNull => Self::Null,
        })
    }
}

fn date(year: i32, month: u8, day: u8) -> Result<NaiveDate> {
    NaiveDate::from_ymd_opt(year, month.into(), day.into())
        .with_context(|| format!("invalid date y={year}, m={month}, d={day}"))
}

fn time(hour: u8, minute: u8, second: u8, nanosecond: u32) -> Result<NaiveTime> {
    NaiveTime::from_hms_nano_opt(hour.into(), minute.into(), second.into(), nanosecond)
        .with_context(|| format!("invalid time {hour}:{minute}:{second}:{nanosecond}"))
}

fn decimal(text: &str) -> Result<Decimal> {
    Decimal::from_str_exact(text).with_context(|| format!("invalid decimal {text}"))
}

impl ToSql for SqlParameter<'_> {
    // The driver asks only `to_sql_checked`, which each variant answers for itself.
    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        self.to_sql_checked(ty, out)
    }

    fn to_sql_checked(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        match self {
            // NULL fits every type, so it does not ask which one this is.
            Self::Null => Ok(IsNull::Yes),
            Self::Boolean(v) => v.to_sql_checked(ty, out),
            Self::Int8(v) => v.to_sql_checked(ty, out),
            Self::Int16(v) => v.to_sql_checked(ty, out),
            Self::Int32(v) => v.to_sql_checked(ty, out),
            Self::Int64(v) => v.to_sql_checked(ty, out),
            Self::Floating32(v) => v.to_sql_checked(ty, out),
            Self::Floating64(v) => v.to_sql_checked(ty, out),
            Self::Str(v) => v.to_sql_checked(ty, out),
            Self::Binary(v) => v.to_sql_checked(ty, out),
            Self::Date(v) => v.to_sql_checked(ty, out),
            Self::Time(v) => v.to_sql_checked(ty, out),
            Self::Datetime(v) => v.to_sql_checked(ty, out),
            Self::Timestamp(v) => v.to_sql_checked(ty, out),
            Self::Uuid(v) => v.to_sql_checked(ty, out),
            Self::Jsonb(v) => v.to_sql_checked(ty, out),
            Self::Decimal(v) => v.to_sql_checked(ty, out),
            Self::ArrayInt32(v) => v.to_sql_checked(ty, out),
            Self::ArrayInt64(v) => v.to_sql_checked(ty, out),
            Self::ArrayDecimal(v) => v.to_sql_checked(ty, out),
            Self::ArrayStr(v) => v.to_sql_checked(ty, out),
            Self::RangeInt32(v) if *ty == Type::INT4_RANGE => {
                write_range(v, out, |value, out| value.to_sql(&Type::INT4, out))
            }
            Self::RangeInt64(v) if *ty == Type::INT8_RANGE => {
                write_range(v, out, |value, out| value.to_sql(&Type::INT8, out))
            }
            Self::RangeDecimal(v) if *ty == Type::NUM_RANGE => {
                write_range(v, out, |value, out| value.to_sql(&Type::NUMERIC, out))
            }
            Self::Interval(v) if *ty == Type::INTERVAL => {
                out.put_i64(v.micros);
                out.put_i32(v.days);
                out.put_i32(v.months);
                Ok(IsNull::No)
            }
            Self::RangeInt32(_) | Self::RangeInt64(_) | Self::RangeDecimal(_) => {
                Err(Box::new(WrongType::new::<Bounds<Decimal>>(ty.clone())))
            }
            Self::Interval(_) => Err(Box::new(WrongType::new::<Interval>(ty.clone()))),
        }
    }
}

/// Writes a range as its receive function reads it: a byte of flags, then each finite bound as
/// its length and its value.
fn write_range<T: PartialOrd>(
    (lower, upper): &Bounds<T>,
    out: &mut BytesMut,
    write: impl Fn(&T, &mut BytesMut) -> Result<IsNull, BoxError>,
) -> Result<IsNull, BoxError> {
    let mut flags = 0;
    match lower {
        None => flags |= RANGE_LOWER_UNBOUNDED,
        Some((_, RangeBoundKind::Inclusive)) => flags |= RANGE_LOWER_INCLUSIVE,
        Some((_, RangeBoundKind::Exclusive)) => {}
    }
    match upper {
        None => flags |= RANGE_UPPER_UNBOUNDED,
        Some((_, RangeBoundKind::Inclusive)) => flags |= RANGE_UPPER_INCLUSIVE,
        Some((_, RangeBoundKind::Exclusive)) => {}
    }
    if let (Some((low, low_kind)), Some((high, high_kind))) = (lower, upper) {
        let both_inclusive =
            *low_kind == RangeBoundKind::Inclusive && *high_kind == RangeBoundKind::Inclusive;
        // The driver Spin uses turns bounds that hold nothing into the empty range, where the
        // server would refuse them.
        if low > high || (low == high && !both_inclusive) {
            out.put_u8(RANGE_EMPTY);
            return Ok(IsNull::No);
        }
    }
    out.put_u8(flags);
    for (value, _) in [lower, upper].into_iter().flatten() {
        let length_at = out.len();
        out.put_i32(0);
        write(value, out)?;
        let length = i32::try_from(out.len() - length_at - size_of::<i32>())?;
        out[length_at..length_at + size_of::<i32>()].copy_from_slice(&length.to_be_bytes());
    }
    Ok(IsNull::No)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: ParameterValue, ty: &Type, expected: Result<&[u8], &str>) {
        let shown = format!("{value:?} as {ty}");
        let mut out = BytesMut::new();
        let values = [value];
        let outcome = SqlParameter::convert_all(&values)
            .map_err(|error| format!("{error:#}"))
            .and_then(|parameters| {
                parameters[0]
                    .to_sql_checked(ty, &mut out)
                    .map(drop)
                    .map_err(|error| error.to_string())
            });
        match (outcome, expected) {
            (Ok(()), Ok(bytes)) => assert_eq!(&out[..], bytes, "{shown}"),
            (Err(message), Err(part)) => {
                assert!(
                    message.contains(part),
                    "{shown}: {message:?} must say {part:?}"
                );
            }
            (outcome, expected) => panic!("{shown}: {outcome:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn types_are_strict() {
        use ParameterValue as P;
        check(P::Int32(1), &Type::INT4, Ok(&[0, 0, 0, 1]));
        check(P::Int32(1), &Type::INT8, Err("cannot convert"));
        check(P::Int64(1), &Type::INT4, Err("cannot convert"));
        check(P::Int64(1), &Type::NUMERIC, Err("cannot convert"));
        check(P::Int8(1), &Type::CHAR, Ok(&[1]));
        check(P::Boolean(true), &Type::BOOL, Ok(&[1]));
        check(P::Str("a".into()), &Type::TEXT, Ok(b"a"));
        check(P::Str("a".into()), &Type::VARCHAR, Ok(b"a"));
        check(P::Str("a".into()), &Type::UUID, Err("cannot convert"));
        check(P::Str("a".into()), &Type::INT4, Err("cannot convert"));
        check(P::Binary(vec![1]), &Type::BYTEA, Ok(&[1]));
        check(P::Jsonb(b"1".to_vec()), &Type::JSONB, Ok(b"\x011"));
        check(P::Timestamp(0), &Type::TIMESTAMP, Err("cannot convert"));
        check(P::DbNull, &Type::UUID_ARRAY, Ok(&[]));
        check(
            P::Interval(Interval {
                micros: 1,
                days: 2,
                months: 3,
            }),
            &Type::INTERVAL,
            Ok(&[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]),
        );
        check(
            P::Interval(Interval {
                micros: 1,
                days: 2,
                months: 3,
            }),
            &Type::INT4,
            Err("cannot convert"),
        );
    }

    #[test]
    fn malformed_values_are_refused() {
        use ParameterValue as P;
        check(P::Uuid("x".into()), &Type::UUID, Err("invalid UUID x"));
        check(
            P::Decimal("1.2.3".into()),
            &Type::NUMERIC,
            Err("invalid decimal 1.2.3"),
        );
        check(P::Jsonb(b"{".to_vec()), &Type::JSONB, Err("invalid JSON {"));
        check(P::Date((2023, 2, 29)), &Type::DATE, Err("invalid date"));
        check(P::Time((24, 0, 0, 0)), &Type::TIME, Err("invalid time"));
        check(
            P::Timestamp(i64::MAX),
            &Type::TIMESTAMPTZ,
            Err("invalid epoch timestamp"),
        );
    }

    #[test]
    fn ranges_have_the_servers_form() {
        use ParameterValue as P;
        use RangeBoundKind::{Exclusive, Inclusive};
        let int4 = &Type::INT4_RANGE;
        check(P::RangeInt32((None, None)), int4, Ok(&[0b1_1000]));
        check(
            P::RangeInt32((Some((1, Inclusive)), Some((2, Exclusive)))),
            int4,
            Ok(&[0b0010, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 2]),
        );
        check(
            P::RangeInt32((None, Some((2, Inclusive)))),
            int4,
            Ok(&[0b0_1100, 0, 0, 0, 4, 0, 0, 0, 2]),
        );
        check(
            P::RangeInt32((Some((3, Inclusive)), Some((2, Inclusive)))),
            int4,
            Ok(&[1]),
        );
        check(
            P::RangeInt32((None, None)),
            &Type::INT8_RANGE,
            Err("cannot convert"),
        );
    }
}
