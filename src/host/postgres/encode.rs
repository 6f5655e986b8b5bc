//! Parameters to what is sent for a placeholder, whose type the server has inferred.

use std::error::Error as StdError;
use std::fmt;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type, WrongType};
use uuid::Uuid;

use super::error::with_causes;
use super::value::{Bound, Parameter, Range};
use super::{json, moment, numeric};

/// The version that a binary JSONB begins with.
const JSONB_VERSION: u8 = 1;

type BoxError = Box<dyn StdError + Sync + Send>;

/// A parameter that is no value of its own type.
#[derive(Debug, thiserror::Error)]
enum Invalid {
    #[error("invalid date y={0}, m={1}, d={2}")]
    Date(i32, u8, u8),
    #[error("invalid time {0}:{1}:{2}:{3}")]
    Time(u8, u8, u8, u32),
    #[error("invalid epoch timestamp {0}")]
    Timestamp(i64),
    #[error("invalid decimal {0}")]
    Decimal(String),
    #[error("invalid UUID {0}")]
    Uuid(String, #[source] uuid::Error),
    #[error("invalid JSON {0}")]
    Json(String, #[source] serde_json::Error),
}

/// A parameter that is a value, whatever the type of its placeholder.
pub(super) struct Argument(Form);

enum Form {
    Null,
    Boolean(bool),
    Int8(i8),
    Int16(i16),
    Int32(i32),
    Int64(i64),
    Floating32(f32),
    Floating64(f64),
    Str(String),
    Binary(Vec<u8>),
    Uuid(Uuid),
    Jsonb(Vec<u8>),
    ArrayInt32(Vec<Option<i32>>),
    ArrayInt64(Vec<Option<i64>>),
    ArrayStr(Vec<Option<String>>),
    /// Already in the binary form of the types that `accepts` tells.
    Bytes {
        accepts: fn(&Type) -> bool,
        bytes: Vec<u8>,
    },
    /// For the server to read: no digit of a number is lost, and there is one reader of ranges.
    Text {
        accepts: fn(&Type) -> bool,
        text: String,
    },
}

/// All of a call. The error is what the guest is told.
pub(super) fn arguments(parameters: Vec<Parameter>) -> Result<Vec<Argument>, String> {
    let argument = |parameter| form(parameter).map(Argument);
    let arguments = parameters
        .into_iter()
        .map(argument)
        .collect::<Result<_, Invalid>>();
    arguments.map_err(|invalid| with_causes(&invalid))
}

fn form(parameter: Parameter) -> Result<Form, Invalid> {
    Ok(match parameter {
        Parameter::Null => Form::Null,
        Parameter::Boolean(value) => Form::Boolean(value),
        Parameter::Int8(value) => Form::Int8(value),
        Parameter::Int16(value) => Form::Int16(value),
        Parameter::Int32(value) => Form::Int32(value),
        Parameter::Int64(value) => Form::Int64(value),
        Parameter::Floating32(value) => Form::Floating32(value),
        Parameter::Floating64(value) => Form::Floating64(value),
        Parameter::Str(value) => Form::Str(value),
        Parameter::Binary(value) => Form::Binary(value),
        Parameter::Date(date) => {
            let days = moment::days(date).ok_or(Invalid::Date(date.0, date.1, date.2))?;
            bytes(|sql_type| *sql_type == Type::DATE, days.to_be_bytes())
        }
        Parameter::Time(time) => {
            let (hour, minute, second, nanos) = time;
            let micros = moment::micros(time).ok_or(Invalid::Time(hour, minute, second, nanos))?;
            bytes(|sql_type| *sql_type == Type::TIME, micros.to_be_bytes())
        }
        Parameter::Datetime(datetime) => {
            let (year, month, day, hour, minute, second, nanos) = datetime;
            moment::days((year, month, day)).ok_or(Invalid::Date(year, month, day))?;
            let micros = moment::datetime_micros(datetime);
            bytes(
                is_moment,
                micros
                    .ok_or(Invalid::Time(hour, minute, second, nanos))?
                    .to_be_bytes(),
            )
        }
        Parameter::Timestamp(seconds) => {
            let micros = moment::timestamp_micros(seconds).ok_or(Invalid::Timestamp(seconds))?;
            bytes(is_moment, micros.to_be_bytes())
        }
        Parameter::Uuid(text) => match Uuid::parse_str(&text) {
            Ok(uuid) => Form::Uuid(uuid),
            Err(error) => return Err(Invalid::Uuid(text, error)),
        },
        Parameter::Jsonb(text) => match json::check(&text) {
            Ok(()) => Form::Jsonb(text),
            Err(error) => return Err(Invalid::Json(String::from_utf8_lossy(&text).into_owned(), error)),
        },
        Parameter::Decimal(number) => text(|sql_type| *sql_type == Type::NUMERIC, decimal(number)?),
        Parameter::RangeInt32(range) => text(
            |sql_type| *sql_type == Type::INT4_RANGE,
            range_text(range, |end| Ok(end.to_string()))?,
        ),
        Parameter::RangeInt64(range) => text(
            |sql_type| *sql_type == Type::INT8_RANGE,
            range_text(range, |end| Ok(end.to_string()))?,
        ),
        Parameter::RangeDecimal(range) => text(
            |sql_type| *sql_type == Type::NUM_RANGE,
            range_text(range, decimal)?,
        ),
        Parameter::ArrayInt32(items) => Form::ArrayInt32(items),
        Parameter::ArrayInt64(items) => Form::ArrayInt64(items),
        Parameter::ArrayStr(items) => Form::ArrayStr(items),
        Parameter::ArrayDecimal(items) => {
            let item = |item: Option<String>| item.map_or(Ok("NULL".into()), decimal);
            let items = items.into_iter().map(item).collect::<Result<Vec<_>, _>>()?;
            text(
                |sql_type| *sql_type == Type::NUMERIC_ARRAY,
                format!("{{{}}}", items.join(",")),
            )
        }
        Parameter::Interval(interval) => {
            let mut parts = interval.micros.to_be_bytes().to_vec();
            parts.extend(interval.days.to_be_bytes());
            parts.extend(interval.months.to_be_bytes());
            bytes(|sql_type| *sql_type == Type::INTERVAL, parts)
        }
    })
}

fn bytes(accepts: fn(&Type) -> bool, bytes: impl Into<Vec<u8>>) -> Form {
    Form::Bytes {
        accepts,
        bytes: bytes.into(),
    }
}

fn text(accepts: fn(&Type) -> bool, text: String) -> Form {
    Form::Text { accepts, text }
}

/// A moment is UTC where the column has a zone, so that what was read can be written.
fn is_moment(sql_type: &Type) -> bool {
    matches!(*sql_type, Type::TIMESTAMP | Type::TIMESTAMPTZ)
}

/// A number has no character that a range or an array would need quoted.
fn decimal(text: String) -> Result<String, Invalid> {
    if numeric::is_number(&text) {
        Ok(text)
    } else {
        Err(Invalid::Decimal(text))
    }
}

fn range_text<T>(range: Range<T>, end: impl Fn(T) -> Result<String, Invalid>) -> Result<String, Invalid> {
    let (lower, upper) = range;
    let lower = match lower {
        None => "(".into(),
        Some((value, Bound::Inclusive)) => format!("[{}", end(value)?),
        Some((value, Bound::Exclusive)) => format!("({}", end(value)?),
    };
    let upper = match upper {
        None => ")".into(),
        Some((value, Bound::Inclusive)) => format!("{}]", end(value)?),
        Some((value, Bound::Exclusive)) => format!("{})", end(value)?),
    };
    Ok(format!("{lower},{upper}"))
}

/// What a domain is made of: its values are sent as that.
fn base(sql_type: &Type) -> &Type {
    match sql_type.kind() {
        Kind::Domain(inner) => base(inner),
        _ => sql_type,
    }
}

/// Guests' values are no business of a log.
impl fmt::Debug for Argument {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("…")
    }
}

impl ToSql for Argument {
    fn to_sql(&self, sql_type: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        self.to_sql_checked(sql_type, out)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(&self, sql_type: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        let sql_type = base(sql_type);
        match &self.0 {
            Form::Null => Ok(IsNull::Yes),
            Form::Boolean(value) => value.to_sql_checked(sql_type, out),
            Form::Int8(value) => value.to_sql_checked(sql_type, out),
            Form::Int16(value) => value.to_sql_checked(sql_type, out),
            Form::Int32(value) => value.to_sql_checked(sql_type, out),
            Form::Int64(value) => value.to_sql_checked(sql_type, out),
            Form::Floating32(value) => value.to_sql_checked(sql_type, out),
            Form::Floating64(value) => value.to_sql_checked(sql_type, out),
            Form::Str(value) => value.to_sql_checked(sql_type, out),
            Form::Binary(value) => value.to_sql_checked(sql_type, out),
            Form::Uuid(value) => value.to_sql_checked(sql_type, out),
            Form::ArrayInt32(items) => items.to_sql_checked(sql_type, out),
            Form::ArrayInt64(items) => items.to_sql_checked(sql_type, out),
            Form::ArrayStr(items) => items.to_sql_checked(sql_type, out),
            Form::Jsonb(text) => {
                match *sql_type {
                    Type::JSONB => out.put_u8(JSONB_VERSION),
                    Type::JSON => {}
                    _ => return Err(wrong_type(sql_type)),
                }
                out.put_slice(text);
                Ok(IsNull::No)
            }
            Form::Bytes { accepts, bytes } if accepts(sql_type) => {
                out.put_slice(bytes);
                Ok(IsNull::No)
            }
            Form::Text { accepts, text } if accepts(sql_type) => {
                out.put_slice(text.as_bytes());
                Ok(IsNull::No)
            }
            Form::Bytes { .. } | Form::Text { .. } => Err(wrong_type(sql_type)),
        }
    }

    fn encode_format(&self, _: &Type) -> Format {
        match self.0 {
            Form::Text { .. } => Format::Text,
            _ => Format::Binary,
        }
    }
}

fn wrong_type(sql_type: &Type) -> BoxError {
    Box::new(WrongType::new::<Argument>(sql_type.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(parameter: Parameter, sql_type: &Type) -> Result<Vec<u8>, String> {
        let arguments = arguments(vec![parameter])?;
        let mut out = BytesMut::new();
        arguments[0]
            .to_sql_checked(sql_type, &mut out)
            .map_err(|error| error.to_string())?;
        Ok(out.to_vec())
    }

    fn text_of(parameter: Parameter, sql_type: &Type) -> String {
        assert!(matches!(
            arguments(vec![parameter.clone()]).unwrap()[0].encode_format(sql_type),
            Format::Text
        ));
        String::from_utf8(sent(parameter, sql_type).unwrap()).unwrap()
    }

    #[test]
    fn ranges_and_numbers_go_as_text() {
        let range = (Some((i64::MIN, Bound::Inclusive)), Some((7, Bound::Exclusive)));
        assert_eq!(
            text_of(Parameter::RangeInt64(range), &Type::INT8_RANGE),
            "[-9223372036854775808,7)"
        );
        assert_eq!(
            text_of(Parameter::RangeInt32((None, None)), &Type::INT4_RANGE),
            "(,)"
        );
        let range = (
            Some(("1.50".into(), Bound::Exclusive)),
            Some(("1e3".into(), Bound::Inclusive)),
        );
        assert_eq!(
            text_of(Parameter::RangeDecimal(range), &Type::NUM_RANGE),
            "(1.50,1e3]"
        );
        let items = vec![Some("1.0".into()), None, Some("-0".into())];
        assert_eq!(
            text_of(Parameter::ArrayDecimal(items), &Type::NUMERIC_ARRAY),
            "{1.0,NULL,-0}"
        );
        assert_eq!(
            text_of(Parameter::ArrayDecimal(Vec::new()), &Type::NUMERIC_ARRAY),
            "{}"
        );
        assert_eq!(
            text_of(Parameter::Decimal("00.10".into()), &Type::NUMERIC),
            "00.10"
        );
    }

    #[test]
    fn what_is_no_value_is_told_before_anything_is_sent() {
        let told = |parameter| arguments(vec![parameter]).unwrap_err();
        assert_eq!(
            told(Parameter::Date((2023, 2, 29))),
            "invalid date y=2023, m=2, d=29"
        );
        assert_eq!(told(Parameter::Time((25, 0, 0, 0))), "invalid time 25:0:0:0");
        assert_eq!(
            told(Parameter::Datetime((2024, 1, 1, 1, 60, 0, 0))),
            "invalid time 1:60:0:0"
        );
        assert_eq!(
            told(Parameter::Timestamp(i64::MAX)),
            "invalid epoch timestamp 9223372036854775807"
        );
        assert_eq!(told(Parameter::Decimal("1}".into())), "invalid decimal 1}");
        assert!(told(Parameter::Uuid("x".into())).starts_with("invalid UUID x\n\nCaused by:\n    "));
        assert!(told(Parameter::Jsonb(b"{".to_vec())).starts_with("invalid JSON {\n\nCaused by:\n    "));
        assert_eq!(
            told(Parameter::ArrayDecimal(vec![Some("{".into())])),
            "invalid decimal {"
        );
    }

    #[test]
    fn a_value_is_not_sent_for_another_type() {
        for (parameter, sql_type) in [
            (Parameter::Int32(1), Type::INT8),
            (Parameter::Str("1".into()), Type::INT4),
            (Parameter::Date((2024, 1, 1)), Type::TIMESTAMP),
            (Parameter::Decimal("1".into()), Type::FLOAT8),
            (Parameter::ArrayInt32(vec![]), Type::INT4),
            (Parameter::Jsonb(b"1".to_vec()), Type::TEXT),
        ] {
            assert!(
                sent(parameter, &sql_type)
                    .unwrap_err()
                    .starts_with("cannot convert"),
                "{sql_type}"
            );
        }
        assert_eq!(sent(Parameter::Null, &Type::POINT), Ok(Vec::new()));
    }

    #[test]
    fn a_moment_fits_columns_with_and_without_a_zone() {
        let moment = Parameter::Datetime((2000, 1, 1, 0, 0, 0, 1_999));
        assert_eq!(
            sent(moment.clone(), &Type::TIMESTAMP).unwrap(),
            1_i64.to_be_bytes()
        );
        assert_eq!(sent(moment, &Type::TIMESTAMPTZ).unwrap(), 1_i64.to_be_bytes());
        assert_eq!(
            sent(Parameter::Timestamp(946_684_800), &Type::TIMESTAMPTZ).unwrap(),
            [0; 8]
        );
    }

    #[test]
    fn a_domain_takes_what_its_base_type_takes() {
        let domain = Type::new(
            "positive".into(),
            99_999,
            Kind::Domain(Type::INT4),
            "public".into(),
        );
        assert_eq!(sent(Parameter::Int32(5), &domain).unwrap(), 5_i32.to_be_bytes());
    }

    #[test]
    fn json_goes_to_both_of_its_types() {
        assert_eq!(
            sent(Parameter::Jsonb(b"[1]".to_vec()), &Type::JSONB).unwrap(),
            b"\x01[1]"
        );
        assert_eq!(
            sent(Parameter::Jsonb(b"[1]".to_vec()), &Type::JSON).unwrap(),
            b"[1]"
        );
    }

    #[test]
    fn a_log_of_arguments_shows_no_value() {
        assert_eq!(
            format!("{:?}", arguments(vec![Parameter::Str("secret".into())]).unwrap()),
            "[…]"
        );
    }
}
