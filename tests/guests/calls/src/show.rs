//! Values of the bindings to JSON, see the crate's head.

use std::any::type_name;
use std::fmt::Display;

use serde::ser::{self, Serialize, Serializer};
use serde_json::{Map, Number, Value};

use crate::name::defined;

/// A value as lines show it.
pub fn show<T: Serialize + ?Sized>(value: &T) -> Value {
    value
        .serialize(Show)
        .unwrap_or_else(|error| Value::String(format!("not to be shown: {error}")))
}

#[derive(Debug)]
pub struct NotShown(String);

impl Display for NotShown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotShown {}

impl ser::Error for NotShown {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

struct Show;

type Shown = Result<Value, NotShown>;

/// Not a number in JSON: by name.
fn float(value: f64) -> Value {
    Number::from_f64(value).map_or_else(|| Value::String(value.to_string()), Value::Number)
}

fn one(name: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(defined(name), value)]))
}

impl Serializer for Show {
    type Ok = Value;
    type Error = NotShown;
    type SerializeSeq = Sequence;
    type SerializeTuple = Sequence;
    type SerializeTupleStruct = Sequence;
    type SerializeTupleVariant = Sequence;
    type SerializeMap = ser::Impossible<Value, NotShown>;
    type SerializeStruct = Members;
    type SerializeStructVariant = ser::Impossible<Value, NotShown>;

    fn serialize_bool(self, value: bool) -> Shown {
        Ok(value.into())
    }

    fn serialize_i8(self, value: i8) -> Shown {
        Ok(value.into())
    }

    fn serialize_i16(self, value: i16) -> Shown {
        Ok(value.into())
    }

    fn serialize_i32(self, value: i32) -> Shown {
        Ok(value.into())
    }

    fn serialize_i64(self, value: i64) -> Shown {
        Ok(value.into())
    }

    fn serialize_u8(self, value: u8) -> Shown {
        Ok(value.into())
    }

    fn serialize_u16(self, value: u16) -> Shown {
        Ok(value.into())
    }

    fn serialize_u32(self, value: u32) -> Shown {
        Ok(value.into())
    }

    fn serialize_u64(self, value: u64) -> Shown {
        Ok(value.into())
    }

    fn serialize_f32(self, value: f32) -> Shown {
        // The shortest text that names it: 0.1, not 0.10000000149.
        Ok(float(value.to_string().parse().unwrap_or(f64::from(value))))
    }

    fn serialize_f64(self, value: f64) -> Shown {
        Ok(float(value))
    }

    fn serialize_char(self, value: char) -> Shown {
        Ok(value.to_string().into())
    }

    fn serialize_str(self, value: &str) -> Shown {
        Ok(value.into())
    }

    fn serialize_bytes(self, value: &[u8]) -> Shown {
        Ok(bytes(value))
    }

    fn serialize_none(self) -> Shown {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Shown {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Shown {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Shown {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, case: &'static str) -> Shown {
        Ok(defined(case).into())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Shown {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        case: &'static str,
        value: &T,
    ) -> Shown {
        Ok(one(case, value.serialize(Show)?))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Sequence, NotShown> {
        Ok(Sequence::default())
    }

    fn serialize_tuple(self, _: usize) -> Result<Sequence, NotShown> {
        Ok(Sequence {
            tuple: true,
            ..Sequence::default()
        })
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<Sequence, NotShown> {
        self.serialize_tuple(length)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Sequence, NotShown> {
        Err(ser::Error::custom("a case of several values"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, NotShown> {
        Err(ser::Error::custom("a map"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Members, NotShown> {
        Ok(Members(Map::new()))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, NotShown> {
        Err(ser::Error::custom("a case with members"))
    }
}

/// Bytes as text, or as `0x…` where they are none.
fn bytes(value: &[u8]) -> Value {
    match std::str::from_utf8(value) {
        Ok(text) if !text.starts_with("0x") => text.into(),
        _ => {
            let digits: Vec<_> = value.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("0x{}", digits.concat()).into()
        }
    }
}

/// A list, or a tuple. A list of bytes gathers apart: it is shown as text.
#[derive(Default)]
pub struct Sequence {
    values: Vec<Value>,
    bytes: Vec<u8>,
    tuple: bool,
}

impl Sequence {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotShown> {
        let shown = show(value);
        // Numbers of one byte are bytes in a list; there is no other list of them in the definitions.
        let is_byte = matches!(type_name::<T>(), "u8" | "&u8");
        match shown.as_u64() {
            Some(byte) if is_byte && !self.tuple => self.bytes.push(byte as u8),
            _ => self.values.push(shown),
        }
        Ok(())
    }

    fn shown(self) -> Value {
        if self.bytes.is_empty() {
            self.values.into()
        } else {
            bytes(&self.bytes)
        }
    }
}

macro_rules! sequence {
    ($($kind:ident $add:ident),*) => {$(
        impl ser::$kind for Sequence {
            type Ok = Value;
            type Error = NotShown;

            fn $add<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotShown> {
                self.push(value)
            }

            fn end(self) -> Shown {
                Ok(self.shown())
            }
        }
    )*};
}

sequence!(
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
);

/// The members of a record.
pub struct Members(Map<String, Value>);

impl ser::SerializeStruct for Members {
    type Ok = Value;
    type Error = NotShown;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), NotShown> {
        self.0.insert(defined(name), show(value));
        Ok(())
    }

    fn end(self) -> Shown {
        Ok(Value::Object(self.0))
    }
}
