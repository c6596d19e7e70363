//! Values on their way from the server, converted as Spin converts them.

use std::error::Error as StdError;

use anyhow::{Context as _, Result};
use bytes::Buf as _;
use chrono::{Datelike as _, NaiveDate, NaiveDateTime, NaiveTime, Timelike as _};
use rust_decimal::Decimal;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use crate::imports::bindings::spin::postgres::postgres::{
    DbDataType, DbValue, Interval, RangeBoundKind,
};

// The flags of a range's binary form, from rangetypes.h of the server.
pub(super) const RANGE_EMPTY: u8 = 0x01;
pub(super) const RANGE_LOWER_INCLUSIVE: u8 = 0x02;
pub(super) const RANGE_UPPER_INCLUSIVE: u8 = 0x04;
pub(super) const RANGE_LOWER_UNBOUNDED: u8 = 0x08;
pub(super) const RANGE_UPPER_UNBOUNDED: u8 = 0x10;

type BoxError = Box<dyn StdError + Sync + Send>;
type Bound<T> = Option<(T, RangeBoundKind)>;

/// The type a column is declared to have.
pub(super) fn convert_type(ty: &Type) -> DbDataType {
    match *ty {
        Type::BOOL => DbDataType::Boolean,
        Type::BYTEA => DbDataType::Binary,
        Type::FLOAT4 => DbDataType::Floating32,
        Type::FLOAT8 => DbDataType::Floating64,
        Type::INT2 => DbDataType::Int16,
        Type::INT4 => DbDataType::Int32,
        Type::INT8 => DbDataType::Int64,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR => DbDataType::Str,
        Type::TIMESTAMP | Type::TIMESTAMPTZ => DbDataType::Datetime,
        Type::DATE => DbDataType::Date,
        Type::TIME => DbDataType::Time,
        Type::UUID => DbDataType::Uuid,
        Type::JSONB => DbDataType::Jsonb,
        Type::NUMERIC => DbDataType::Decimal,
        Type::INT4_RANGE => DbDataType::RangeInt32,
        Type::INT8_RANGE => DbDataType::RangeInt64,
        Type::NUM_RANGE => DbDataType::RangeDecimal,
        Type::INT4_ARRAY => DbDataType::ArrayInt32,
        Type::INT8_ARRAY => DbDataType::ArrayInt64,
        Type::NUMERIC_ARRAY => DbDataType::ArrayDecimal,
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY => DbDataType::ArrayStr,
        Type::INTERVAL => DbDataType::Interval,
        _ => DbDataType::Other(ty.name().to_owned()),
    }
}

/// The values of one row.
///
/// # Errors
/// A value has no WIT form: a TIMESTAMPTZ, a number too large for a decimal, a year that does not
/// fit, or anything malformed.
pub(super) fn convert_row(row: &Row) -> Result<Vec<DbValue>> {
    row.columns()
        .iter()
        .enumerate()
        .map(|(index, column)| convert(row, index, column.type_()))
        .collect()
}

fn convert(row: &Row, index: usize, ty: &Type) -> Result<DbValue> {
    match *ty {
        Type::BOOL => plain(row, index, DbValue::Boolean),
        Type::BYTEA => plain(row, index, DbValue::Binary),
        Type::FLOAT4 => plain(row, index, DbValue::Floating32),
        Type::FLOAT8 => plain(row, index, DbValue::Floating64),
        Type::INT2 => plain(row, index, DbValue::Int16),
        Type::INT4 => plain(row, index, DbValue::Int32),
        Type::INT8 => plain(row, index, DbValue::Int64),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR => plain(row, index, DbValue::Str),
        // The driver gives no zoneless time for a TIMESTAMPTZ, so that one fails here, as in Spin.
        Type::TIMESTAMP | Type::TIMESTAMPTZ => fallible(row, index, datetime),
        Type::DATE => fallible(row, index, date),
        Type::TIME => fallible(row, index, time),
        Type::UUID => plain(row, index, |v: uuid::Uuid| DbValue::Uuid(v.to_string())),
        Type::JSONB => fallible(row, index, |v: serde_json::Value| {
            let text = serde_json::to_vec(&v).context("invalid JSON from database")?;
            Ok(DbValue::Jsonb(text))
        }),
        Type::NUMERIC => plain(row, index, |v: Decimal| DbValue::Decimal(v.to_string())),
        Type::INT4_RANGE => plain(row, index, |v: Range<i32>| {
            DbValue::RangeInt32((v.lower, v.upper))
        }),
        Type::INT8_RANGE => plain(row, index, |v: Range<i64>| {
            DbValue::RangeInt64((v.lower, v.upper))
        }),
        Type::NUM_RANGE => plain(row, index, |v: Range<Decimal>| {
            let text = |bound: Bound<Decimal>| bound.map(|(v, kind)| (v.to_string(), kind));
            DbValue::RangeDecimal((text(v.lower), text(v.upper)))
        }),
        Type::INT4_ARRAY => plain(row, index, DbValue::ArrayInt32),
        Type::INT8_ARRAY => plain(row, index, DbValue::ArrayInt64),
        Type::NUMERIC_ARRAY => plain(row, index, |v: Vec<Option<Decimal>>| {
            let texts = v.into_iter().map(|v| v.map(|v| v.to_string()));
            DbValue::ArrayDecimal(texts.collect())
        }),
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY => {
            plain(row, index, DbValue::ArrayStr)
        }
        Type::INTERVAL => plain(row, index, |v: SqlInterval| DbValue::Interval(v.0)),
        _ => plain(row, index, |v: Raw| DbValue::Unsupported(v.0)),
    }
}

fn plain<'a, T: FromSql<'a>>(
    row: &'a Row,
    index: usize,
    convert: impl FnOnce(T) -> DbValue,
) -> Result<DbValue> {
    let value: Option<T> = row.try_get(index)?;
    Ok(value.map_or(DbValue::DbNull, convert))
}

fn fallible<'a, T: FromSql<'a>>(
    row: &'a Row,
    index: usize,
    convert: impl FnOnce(T) -> Result<DbValue>,
) -> Result<DbValue> {
    let value: Option<T> = row.try_get(index)?;
    value.map_or(Ok(DbValue::DbNull), convert)
}

fn date(value: NaiveDate) -> Result<DbValue> {
    Ok(DbValue::Date((
        value.year(),
        value.month().try_into()?,
        value.day().try_into()?,
    )))
}

fn time(value: NaiveTime) -> Result<DbValue> {
    Ok(DbValue::Time((
        value.hour().try_into()?,
        value.minute().try_into()?,
        value.second().try_into()?,
        value.nanosecond(),
    )))
}

fn datetime(value: NaiveDateTime) -> Result<DbValue> {
    Ok(DbValue::Datetime((
        value.year(),
        value.month().try_into()?,
        value.day().try_into()?,
        value.hour().try_into()?,
        value.minute().try_into()?,
        value.second().try_into()?,
        value.nanosecond(),
    )))
}

/// The bytes of a value of whatever type.
struct Raw(Vec<u8>);

impl FromSql<'_> for Raw {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Self, BoxError> {
        Ok(Self(raw.to_owned()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

struct SqlInterval(Interval);

impl FromSql<'_> for SqlInterval {
    fn from_sql(_: &Type, mut raw: &[u8]) -> Result<Self, BoxError> {
        Ok(Self(Interval {
            micros: raw.try_get_i64()?,
            days: raw.try_get_i32()?,
            months: raw.try_get_i32()?,
        }))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::INTERVAL
    }
}

/// A range; an empty one has no bounds, as in Spin.
#[derive(Debug, PartialEq)]
struct Range<T> {
    lower: Bound<T>,
    upper: Bound<T>,
}

impl<'a, T: FromSql<'a>> FromSql<'a> for Range<T> {
    fn from_sql(ty: &Type, mut raw: &'a [u8]) -> Result<Self, BoxError> {
        let element = match *ty {
            Type::INT4_RANGE => Type::INT4,
            Type::INT8_RANGE => Type::INT8,
            _ => Type::NUMERIC,
        };
        let flags = raw.try_get_u8()?;
        let mut bound = |unbounded: u8, inclusive: u8| -> Result<Bound<T>, BoxError> {
            if flags & (unbounded | RANGE_EMPTY) != 0 {
                return Ok(None);
            }
            let length = usize::try_from(raw.try_get_i32()?)?;
            let value = raw.get(..length).ok_or("a range ends within a bound")?;
            raw.advance(length);
            let kind = if flags & inclusive != 0 {
                RangeBoundKind::Inclusive
            } else {
                RangeBoundKind::Exclusive
            };
            Ok(Some((T::from_sql(&element, value)?, kind)))
        };
        Ok(Self {
            lower: bound(RANGE_LOWER_UNBOUNDED, RANGE_LOWER_INCLUSIVE)?,
            upper: bound(RANGE_UPPER_UNBOUNDED, RANGE_UPPER_INCLUSIVE)?,
        })
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::INT4_RANGE | Type::INT8_RANGE | Type::NUM_RANGE)
    }
}

/// What a value occupies, for the limit of a result, in bytes.
pub(super) fn size_bytes(value: &DbValue) -> usize {
    let text =
        |text: &Option<String>| size_of::<Option<String>>() + text.as_ref().map_or(0, String::len);
    let beyond = match value {
        DbValue::Str(v) | DbValue::Uuid(v) | DbValue::Decimal(v) => v.len(),
        DbValue::Jsonb(v) | DbValue::Binary(v) | DbValue::Unsupported(v) => v.len(),
        DbValue::ArrayInt32(v) => size_of_val(v.as_slice()),
        DbValue::ArrayInt64(v) => size_of_val(v.as_slice()),
        DbValue::ArrayDecimal(v) | DbValue::ArrayStr(v) => v.iter().map(text).sum(),
        _ => 0,
    };
    size_of::<DbValue>() + beyond
}

#[cfg(test)]
mod tests {
    use super::*;
    use RangeBoundKind::{Exclusive, Inclusive};

    #[test]
    fn types_spin_does_not_know_keep_their_name() {
        for (ty, expected) in [
            (Type::INT4, DbDataType::Int32),
            (Type::TIMESTAMPTZ, DbDataType::Datetime),
            (Type::BPCHAR, DbDataType::Str),
            (Type::JSON, DbDataType::Other("json".to_owned())),
            (Type::TIMETZ, DbDataType::Other("timetz".to_owned())),
            (Type::BOOL_ARRAY, DbDataType::Other("_bool".to_owned())),
        ] {
            assert_eq!(
                format!("{:?}", convert_type(&ty)),
                format!("{expected:?}"),
                "for {ty}"
            );
        }
    }

    #[test]
    fn ranges_are_read() {
        type Case<'a> = (&'a [u8], Option<(Bound<i32>, Bound<i32>)>);
        let cases: [Case<'_>; 5] = [
            (&[RANGE_EMPTY], Some((None, None))),
            (&[0b1_1000], Some((None, None))),
            (
                &[0b0010, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 2],
                Some((Some((1, Inclusive)), Some((2, Exclusive)))),
            ),
            (&[0b0010, 0, 0, 0, 4, 0, 0], None),
            (&[], None),
        ];
        for (raw, expected) in cases {
            let read = Range::<i32>::from_sql(&Type::INT4_RANGE, raw)
                .ok()
                .map(|range| (range.lower, range.upper));
            assert_eq!(read, expected, "for {raw:?}");
        }
    }

    #[test]
    fn intervals_are_read() {
        let raw = [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        let read = SqlInterval::from_sql(&Type::INTERVAL, &raw).map(|v| v.0);
        assert!(
            matches!(
                read,
                Ok(Interval {
                    micros: 1,
                    days: 2,
                    months: 3
                })
            ),
            "got {read:?}"
        );
        assert!(SqlInterval::from_sql(&Type::INTERVAL, &raw[1..]).is_err());
    }

    #[test]
    fn dates_and_times_become_tuples() -> Result<()> {
        let day = NaiveDate::from_ymd_opt(2024, 2, 29).context("a day")?;
        let moment = day.and_hms_nano_opt(1, 2, 3, 4).context("a time")?;
        assert!(matches!(date(day)?, DbValue::Date((2024, 2, 29))));
        assert!(matches!(time(moment.time())?, DbValue::Time((1, 2, 3, 4))));
        assert!(matches!(
            datetime(moment)?,
            DbValue::Datetime((2024, 2, 29, 1, 2, 3, 4))
        ));
        Ok(())
    }

    #[test]
    fn sizes_count_what_is_behind_a_pointer() {
        let own = size_of::<DbValue>();
        for (value, beyond) in [
            (DbValue::DbNull, 0),
            (DbValue::Int64(1), 0),
            (DbValue::Str("abc".to_owned()), 3),
            (DbValue::Binary(vec![0; 10]), 10),
            (
                DbValue::ArrayInt32(vec![None, Some(1)]),
                2 * size_of::<Option<i32>>(),
            ),
        ] {
            assert_eq!(size_bytes(&value), own + beyond, "{value:?}");
        }
    }
}
