//! What a column holds, from PostgreSQL's binary form.

use std::error::Error as StdError;

use postgres_protocol::types as wire;
use tokio_postgres::fallible_iterator::FallibleIterator;
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Column as ServerColumn, Row as ServerRow};
use uuid::Uuid;

use super::value::{Bound, Column, DataType, Interval, Range, Row, Value};
use super::{json, moment, numeric};

/// The version that a binary JSONB begins with.
const JSONB_VERSION: u8 = 1;
const EXCLUSIVE_ZERO: &str = "0";

/// Bytes that are no value of their type.
#[derive(Debug, thiserror::Error)]
#[error("the server sent a malformed value")]
pub(super) struct Malformed;

/// Why a value can't be shown to the guest.
#[derive(Debug, thiserror::Error)]
pub(super) enum DecodeError {
    #[error("column \"{column}\" of type {sql_type} is not in the range of the interface's type")]
    OutOfRange { column: String, sql_type: String },
    #[error("column \"{column}\" is an array of more than one dimension")]
    Dimensions { column: String },
    #[error("column \"{column}\" of type {sql_type} can't be read")]
    Malformed { column: String, sql_type: String },
}

/// The same before it is known whose column it is.
enum Reason {
    OutOfRange,
    Dimensions,
    Malformed,
}

type Decoded<T> = Result<T, Reason>;

impl From<Malformed> for Reason {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl From<moment::OutOfRange> for Reason {
    fn from(_: moment::OutOfRange) -> Self {
        Self::OutOfRange
    }
}

/// What `postgres_protocol` says of bytes that it can't read.
impl From<Box<dyn StdError + Sync + Send>> for Reason {
    fn from(_: Box<dyn StdError + Sync + Send>) -> Self {
        Self::Malformed
    }
}

pub(super) fn columns(columns: &[ServerColumn]) -> Vec<Column> {
    let column = |column: &ServerColumn| Column {
        name: column.name().to_owned(),
        data_type: data_type(column.type_()),
    };
    columns.iter().map(column).collect()
}

pub(super) fn row(row: &ServerRow) -> Result<Row, DecodeError> {
    let mut values = Vec::with_capacity(row.len());
    for (index, column) in row.columns().iter().enumerate() {
        let name = || column.name().to_owned();
        let sql_type = || column.type_().name().to_owned();
        let decoded = match row.try_get::<_, Option<Raw<'_>>>(index) {
            Ok(Some(Raw(raw))) => value(column.type_(), raw),
            Ok(None) => Ok(Value::Null),
            Err(_) => Err(Reason::Malformed),
        };
        values.push(decoded.map_err(|reason| match reason {
            Reason::OutOfRange => DecodeError::OutOfRange {
                column: name(),
                sql_type: sql_type(),
            },
            Reason::Dimensions => DecodeError::Dimensions { column: name() },
            Reason::Malformed => DecodeError::Malformed {
                column: name(),
                sql_type: sql_type(),
            },
        })?);
    }
    Ok(values)
}

/// The bytes of any type.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn data_type(sql_type: &Type) -> DataType {
    match *sql_type {
        Type::BOOL => DataType::Boolean,
        Type::INT2 => DataType::Int16,
        Type::INT4 => DataType::Int32,
        Type::INT8 => DataType::Int64,
        Type::FLOAT4 => DataType::Floating32,
        Type::FLOAT8 => DataType::Floating64,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR => DataType::Str,
        Type::BYTEA => DataType::Binary,
        Type::DATE => DataType::Date,
        Type::TIME => DataType::Time,
        Type::TIMESTAMP | Type::TIMESTAMPTZ => DataType::Datetime,
        Type::UUID => DataType::Uuid,
        Type::JSONB => DataType::Jsonb,
        Type::NUMERIC => DataType::Decimal,
        Type::INT4_RANGE => DataType::RangeInt32,
        Type::INT8_RANGE => DataType::RangeInt64,
        Type::NUM_RANGE => DataType::RangeDecimal,
        Type::INT4_ARRAY => DataType::ArrayInt32,
        Type::INT8_ARRAY => DataType::ArrayInt64,
        Type::NUMERIC_ARRAY => DataType::ArrayDecimal,
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY => DataType::ArrayStr,
        Type::INTERVAL => DataType::Interval,
        _ => DataType::Other(sql_type.name().to_owned()),
    }
}

fn value(sql_type: &Type, raw: &[u8]) -> Decoded<Value> {
    Ok(match *sql_type {
        Type::BOOL => Value::Boolean(wire::bool_from_sql(raw)?),
        Type::INT2 => Value::Int16(wire::int2_from_sql(raw)?),
        Type::INT4 => Value::Int32(int4(raw)?),
        Type::INT8 => Value::Int64(int8(raw)?),
        Type::FLOAT4 => Value::Floating32(wire::float4_from_sql(raw)?),
        Type::FLOAT8 => Value::Floating64(wire::float8_from_sql(raw)?),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR => Value::Str(text(raw)?),
        Type::BYTEA => Value::Binary(raw.to_vec()),
        Type::DATE => Value::Date(moment::date_of(wire::date_from_sql(raw)?)?),
        Type::TIME => Value::Time(moment::time_of(wire::time_from_sql(raw)?)?),
        // A moment with a zone is kept as UTC, whatever zone the session shows it in.
        Type::TIMESTAMP | Type::TIMESTAMPTZ => {
            Value::Datetime(moment::datetime_of(wire::timestamp_from_sql(raw)?)?)
        }
        Type::UUID => Value::Uuid(Uuid::from_bytes(wire::uuid_from_sql(raw)?).to_string()),
        Type::JSONB => match raw.split_first() {
            Some((&JSONB_VERSION, text)) => Value::Jsonb(json::compact(text)),
            _ => return Err(Reason::Malformed),
        },
        Type::NUMERIC => Value::Decimal(numeric::decode(raw)?),
        Type::INT4_RANGE => Value::RangeInt32(range(raw, int4, || 0)?),
        Type::INT8_RANGE => Value::RangeInt64(range(raw, int8, || 0)?),
        Type::NUM_RANGE => Value::RangeDecimal(range(raw, decimal, || EXCLUSIVE_ZERO.to_owned())?),
        Type::INT4_ARRAY => Value::ArrayInt32(array(raw, int4)?),
        Type::INT8_ARRAY => Value::ArrayInt64(array(raw, int8)?),
        Type::NUMERIC_ARRAY => Value::ArrayDecimal(array(raw, decimal)?),
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY => Value::ArrayStr(array(raw, text)?),
        Type::INTERVAL => Value::Interval(interval(raw)?),
        _ => Value::Unsupported(raw.to_vec()),
    })
}

fn int4(raw: &[u8]) -> Decoded<i32> {
    Ok(wire::int4_from_sql(raw)?)
}

fn int8(raw: &[u8]) -> Decoded<i64> {
    Ok(wire::int8_from_sql(raw)?)
}

fn text(raw: &[u8]) -> Decoded<String> {
    Ok(wire::text_from_sql(raw)?.to_owned())
}

fn decimal(raw: &[u8]) -> Decoded<String> {
    Ok(numeric::decode(raw)?)
}

/// An empty range has no bounds, and two absent bounds would mean everything. So it is shown as what nothing can be
/// inside of, which PostgreSQL also reads as empty: more than zero and less than zero.
fn range<T>(raw: &[u8], item: impl Fn(&[u8]) -> Decoded<T>, zero: impl Fn() -> T) -> Decoded<Range<T>> {
    let bound = |bound: wire::RangeBound<Option<&[u8]>>| match bound {
        wire::RangeBound::Unbounded => Ok(None),
        wire::RangeBound::Inclusive(Some(raw)) => Ok(Some((item(raw)?, Bound::Inclusive))),
        wire::RangeBound::Exclusive(Some(raw)) => Ok(Some((item(raw)?, Bound::Exclusive))),
        wire::RangeBound::Inclusive(None) | wire::RangeBound::Exclusive(None) => Err(Reason::Malformed),
    };
    Ok(match wire::range_from_sql(raw)? {
        wire::Range::Empty => (Some((zero(), Bound::Exclusive)), Some((zero(), Bound::Exclusive))),
        wire::Range::Nonempty(lower, upper) => (bound(lower)?, bound(upper)?),
    })
}

fn array<T>(raw: &[u8], item: impl Fn(&[u8]) -> Decoded<T>) -> Decoded<Vec<Option<T>>> {
    let array = wire::array_from_sql(raw)?;
    if array.dimensions().count()? > 1 {
        return Err(Reason::Dimensions);
    }
    let mut items = Vec::new();
    let mut values = array.values();
    while let Some(value) = values.next()? {
        items.push(value.map(&item).transpose()?);
    }
    Ok(items)
}

fn interval(raw: &[u8]) -> Decoded<Interval> {
    let (micros, rest) = raw.split_first_chunk().ok_or(Reason::Malformed)?;
    let (days, rest) = rest.split_first_chunk().ok_or(Reason::Malformed)?;
    let months = rest.try_into().map_err(|_| Reason::Malformed)?;
    Ok(Interval {
        micros: i64::from_be_bytes(*micros),
        days: i32::from_be_bytes(*days),
        months: i32::from_be_bytes(months),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(sql_type: &Type, raw: &[u8]) -> Value {
        value(sql_type, raw).unwrap_or_else(|_| panic!("{sql_type} {raw:?}"))
    }

    /// A length, and so many bytes.
    fn item(bytes: &[u8]) -> Vec<u8> {
        let length = i32::try_from(bytes.len()).unwrap().to_be_bytes();
        [&length[..], bytes].concat()
    }

    fn array_of(items: &[Option<&[u8]>], dimensions: &[i32]) -> Vec<u8> {
        let mut raw = Vec::new();
        raw.extend(i32::try_from(dimensions.len()).unwrap().to_be_bytes());
        raw.extend(1_i32.to_be_bytes());
        raw.extend(0_u32.to_be_bytes());
        for dimension in dimensions {
            raw.extend(dimension.to_be_bytes());
            raw.extend(1_i32.to_be_bytes());
        }
        for bytes in items {
            match bytes {
                Some(bytes) => raw.extend(item(bytes)),
                None => raw.extend((-1_i32).to_be_bytes()),
            }
        }
        raw
    }

    #[test]
    fn arrays_keep_their_nulls() {
        let raw = array_of(
            &[Some(&7_i32.to_be_bytes()), None, Some(&(-1_i32).to_be_bytes())],
            &[3],
        );
        assert_eq!(
            decoded(&Type::INT4_ARRAY, &raw),
            Value::ArrayInt32(vec![Some(7), None, Some(-1)])
        );
        let raw = array_of(&[Some(b""), None, Some("ü".as_bytes())], &[3]);
        assert_eq!(
            decoded(&Type::VARCHAR_ARRAY, &raw),
            Value::ArrayStr(vec![Some(String::new()), None, Some("ü".into())])
        );
        assert_eq!(
            decoded(&Type::INT8_ARRAY, &array_of(&[], &[])),
            Value::ArrayInt64(Vec::new())
        );
    }

    #[test]
    fn an_array_of_arrays_has_no_form_in_the_interface() {
        let raw = array_of(&[None, None], &[1, 2]);
        assert!(matches!(value(&Type::INT4_ARRAY, &raw), Err(Reason::Dimensions)));
    }

    #[test]
    fn ranges_have_every_kind_of_end() {
        let (one, nine) = (1_i32.to_be_bytes(), 9_i32.to_be_bytes());
        let closed = [&[0x02 | 0x04][..], &item(&one), &item(&nine)].concat();
        let open = [&[0x00][..], &item(&one), &item(&nine)].concat();
        let below = [&[0x08][..], &item(&nine)].concat();
        assert_eq!(
            decoded(&Type::INT4_RANGE, &closed),
            Value::RangeInt32((Some((1, Bound::Inclusive)), Some((9, Bound::Inclusive))))
        );
        assert_eq!(
            decoded(&Type::INT4_RANGE, &open),
            Value::RangeInt32((Some((1, Bound::Exclusive)), Some((9, Bound::Exclusive))))
        );
        assert_eq!(
            decoded(&Type::INT4_RANGE, &below),
            Value::RangeInt32((None, Some((9, Bound::Exclusive))))
        );
        assert_eq!(
            decoded(&Type::NUM_RANGE, &[0x08 | 0x10]),
            Value::RangeDecimal((None, None))
        );
    }

    #[test]
    fn an_empty_range_is_not_everything() {
        assert_eq!(
            decoded(&Type::INT8_RANGE, &[0x01]),
            Value::RangeInt64((Some((0, Bound::Exclusive)), Some((0, Bound::Exclusive))))
        );
    }

    #[test]
    fn intervals_keep_their_three_parts() {
        let raw = [
            &(-5_i64).to_be_bytes()[..],
            &6_i32.to_be_bytes(),
            &(-7_i32).to_be_bytes(),
        ]
        .concat();
        let interval = Interval {
            micros: -5,
            days: 6,
            months: -7,
        };
        assert_eq!(decoded(&Type::INTERVAL, &raw), Value::Interval(interval));
    }

    #[test]
    fn what_has_no_case_is_shown_as_it_came() {
        assert_eq!(decoded(&Type::JSON, b"{}"), Value::Unsupported(b"{}".to_vec()));
        assert_eq!(data_type(&Type::JSON), DataType::Other("json".into()));
        assert_eq!(data_type(&Type::CHAR), DataType::Other("char".into()));
        assert_eq!(data_type(&Type::INT2_ARRAY), DataType::Other("_int2".into()));
    }

    #[test]
    fn malformed_bytes_of_any_type_are_an_error() {
        for sql_type in [
            Type::INT4,
            Type::FLOAT8,
            Type::DATE,
            Type::TIME,
            Type::TIMESTAMPTZ,
            Type::UUID,
            Type::JSONB,
            Type::NUMERIC,
            Type::INT4_RANGE,
            Type::NUM_RANGE,
            Type::INT8_ARRAY,
            Type::INTERVAL,
        ] {
            assert!(
                matches!(value(&sql_type, &[0x07]), Err(Reason::Malformed)),
                "{sql_type}"
            );
        }
        assert!(matches!(value(&Type::TEXT, &[0xFF]), Err(Reason::Malformed)));
    }

    #[test]
    fn infinity_is_out_of_range() {
        assert!(matches!(
            value(&Type::DATE, &i32::MAX.to_be_bytes()),
            Err(Reason::OutOfRange)
        ));
        assert!(matches!(
            value(&Type::TIMESTAMPTZ, &i64::MIN.to_be_bytes()),
            Err(Reason::OutOfRange)
        ));
    }
}
