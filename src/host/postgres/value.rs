//! Values as the host has them between PostgreSQL's wire and the versions of the interface
//! (`docs/contract/host-interfaces.md §5.7`). The newest version has a case for each; older ones have fewer.

use std::mem::size_of;

/// Year (astronomical: 0 is 1 BC), month, day.
pub(super) type Date = (i32, u8, u8);
/// Hour, minute, second, nanosecond.
pub(super) type Time = (u8, u8, u8, u32);
/// A date, and a time of that day.
pub(super) type Datetime = (i32, u8, u8, u8, u8, u8, u32);
/// Lower and upper end; `None` is unbounded.
pub(super) type Range<T> = (Option<(T, Bound)>, Option<(T, Bound)>);

/// Whether an end of a range belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    Inclusive,
    Exclusive,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interval {
    pub(super) micros: i64,
    pub(super) days: i32,
    pub(super) months: i32,
}

/// The type of a column. There is no case for what no column can yield (8-bit integers, seconds since the epoch).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DataType {
    Boolean,
    Int16,
    Int32,
    Int64,
    Floating32,
    Floating64,
    Str,
    Binary,
    Date,
    Time,
    Datetime,
    Uuid,
    Jsonb,
    Decimal,
    RangeInt32,
    RangeInt64,
    RangeDecimal,
    ArrayInt32,
    ArrayInt64,
    ArrayDecimal,
    ArrayStr,
    Interval,
    /// With PostgreSQL's name for it.
    Other(String),
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Boolean(bool),
    Int16(i16),
    Int32(i32),
    Int64(i64),
    Floating32(f32),
    Floating64(f64),
    Str(String),
    Binary(Vec<u8>),
    Date(Date),
    Time(Time),
    Datetime(Datetime),
    Uuid(String),
    /// JSON text without white space.
    Jsonb(Vec<u8>),
    Decimal(String),
    RangeInt32(Range<i32>),
    RangeInt64(Range<i64>),
    RangeDecimal(Range<String>),
    ArrayInt32(Vec<Option<i32>>),
    ArrayInt64(Vec<Option<i64>>),
    ArrayDecimal(Vec<Option<String>>),
    ArrayStr(Vec<Option<String>>),
    Interval(Interval),
    Null,
    /// Of a type without a case of its own: PostgreSQL's binary form.
    Unsupported(Vec<u8>),
}

/// One value for a placeholder.
#[derive(Clone, PartialEq)]
pub(super) enum Parameter {
    Boolean(bool),
    Int8(i8),
    Int16(i16),
    Int32(i32),
    Int64(i64),
    Floating32(f32),
    Floating64(f64),
    Str(String),
    Binary(Vec<u8>),
    Date(Date),
    Time(Time),
    Datetime(Datetime),
    /// Seconds since the epoch.
    Timestamp(i64),
    Uuid(String),
    /// JSON text.
    Jsonb(Vec<u8>),
    Decimal(String),
    RangeInt32(Range<i32>),
    RangeInt64(Range<i64>),
    RangeDecimal(Range<String>),
    ArrayInt32(Vec<Option<i32>>),
    ArrayInt64(Vec<Option<i64>>),
    ArrayDecimal(Vec<Option<String>>),
    ArrayStr(Vec<Option<String>>),
    Interval(Interval),
    Null,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) data_type: DataType,
}

pub(super) type Row = Vec<Value>;

#[derive(Debug, Default)]
pub(super) struct RowSet {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
}

impl Value {
    /// Bytes that it takes in the host's memory.
    pub(super) fn size(&self) -> usize {
        let texts = |items: &[Option<String>]| {
            let bytes: usize = items.iter().flatten().map(String::len).sum();
            bytes + size_of_val(items)
        };
        let owned = match self {
            Value::Str(text) | Value::Uuid(text) | Value::Decimal(text) => text.len(),
            Value::Binary(bytes) | Value::Jsonb(bytes) | Value::Unsupported(bytes) => bytes.len(),
            Value::RangeDecimal((lower, upper)) => [lower, upper]
                .into_iter()
                .flatten()
                .map(|(text, _)| text.len())
                .sum(),
            Value::ArrayInt32(items) => size_of_val(&**items),
            Value::ArrayInt64(items) => size_of_val(&**items),
            Value::ArrayDecimal(items) | Value::ArrayStr(items) => texts(items),
            _ => 0,
        };
        size_of::<Value>() + owned
    }
}
