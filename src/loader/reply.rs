//! A [`Reply`] as the canonical ABI wants it: bytes in the stub's memory, or one flat value.

use wit_parser::{Int, Resolve, SizeAlign, Type, TypeDefKind};

use super::capability::Reply;

/// Bytes of one `string` or `list` in memory: its pointer and its length.
const POINTER: usize = 4;

/// What a result is made of. Everything else stays zero.
enum Value {
    /// The first of these cases that the type has, with its payload.
    Case(Vec<&'static str>, Option<Box<Value>>),
    Text(String),
    /// The string that is the function's first argument.
    FirstArgument,
    /// An empty list, or the absent case of an option.
    Zero,
}

/// Where the result is.
pub(super) enum Answer {
    /// At this address.
    Stored(u32),
    /// At this address, but the string at the second is the function's first argument.
    StoredWithArgument(u32, u32),
    /// This is the result's only flat value.
    Flat(i32),
}

/// Builds the memory of one stub.
pub(super) struct Image<'a> {
    resolve: &'a Resolve,
    sizes: SizeAlign,
    base: u32,
    bytes: Vec<u8>,
    /// Where the pending first argument goes.
    argument: Option<u32>,
}

impl<'a> Image<'a> {
    /// An empty memory whose first byte will be at `base`, which is aligned for everything.
    pub(super) fn new(resolve: &'a Resolve, base: u32) -> Image<'a> {
        let mut sizes = SizeAlign::default();
        sizes.fill(resolve);
        Image {
            resolve,
            sizes,
            base,
            bytes: Vec::new(),
            argument: None,
        }
    }

    /// The bytes, to be put at the base.
    pub(super) fn bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The first address behind the image.
    pub(super) fn end(&self) -> u32 {
        self.base + self.bytes.len() as u32
    }

    /// The reply as a value of type `ty`; `None` when the type has no room for it. `stored`: results are returned by
    /// address, as the function's signature says. `interface` is named in texts.
    pub(super) fn answer(
        &mut self,
        reply: Reply,
        ty: &Type,
        stored: bool,
        interface: &str,
    ) -> Option<Answer> {
        let value = value(reply, interface)?;
        if !stored {
            return self.flat(ty, &value).map(Answer::Flat);
        }
        let at = self.allocate(
            self.sizes.size(ty).size_wasm32(),
            self.sizes.align(ty).align_wasm32(),
        );
        self.argument = None;
        self.place(ty, &value, at)?;
        let address = self.base + at as u32;
        Some(match self.argument {
            Some(argument) => Answer::StoredWithArgument(address, argument),
            None => Answer::Stored(address),
        })
    }

    fn allocate(&mut self, size: usize, align: usize) -> usize {
        let at = self.bytes.len().next_multiple_of(align.max(1));
        self.bytes.resize(at + size, 0);
        at
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// A value of one flat part: a discriminant without payload.
    fn flat(&self, ty: &Type, value: &Value) -> Option<i32> {
        let Value::Case(names, None) = value else {
            return None;
        };
        let (index, ..) = self.find_case(ty, names)?;
        i32::try_from(index).ok()
    }

    fn place(&mut self, ty: &Type, value: &Value, at: usize) -> Option<()> {
        let ty = self.resolved(ty);
        match value {
            Value::Zero => match self.kind(&ty)? {
                TypeDefKind::List(_) | TypeDefKind::Option(_) => Some(()),
                _ => None,
            },
            Value::Case(names, payload) => {
                let (index, tag, offset, payload_ty) = self.find_case(&ty, names)?;
                let width = match tag {
                    Int::U8 => 1,
                    Int::U16 => 2,
                    Int::U32 | Int::U64 => 4,
                };
                self.write(at, &index.to_le_bytes()[..width]);
                match (payload, payload_ty) {
                    (None, None) => Some(()),
                    (Some(payload), Some(ty)) => self.place(&ty, payload, at + offset),
                    _ => None,
                }
            }
            // Some texts are optional.
            Value::Text(_) | Value::FirstArgument if ty != Type::String => {
                let TypeDefKind::Option(inner) = self.kind(&ty)? else {
                    return None;
                };
                let inner = *inner;
                let offset = self
                    .sizes
                    .payload_offset(Int::U8, [None, Some(&inner)])
                    .size_wasm32();
                self.write(at, &[1]);
                self.place(&inner, value, at + offset)
            }
            Value::Text(text) => {
                let length = text.len();
                let text_at = self.allocate(length, 1);
                self.write(text_at, text.as_bytes());
                let address = self.base + text_at as u32;
                self.write(at, &address.to_le_bytes());
                self.write(at + POINTER, &(length as u32).to_le_bytes());
                Some(())
            }
            Value::FirstArgument => {
                self.argument = Some(self.base + at as u32);
                Some(())
            }
        }
    }

    /// Index, tag, payload's offset and payload of the first named case that `ty` has.
    fn find_case(&self, ty: &Type, names: &[&str]) -> Option<(usize, Int, usize, Option<Type>)> {
        let ty = self.resolved(ty);
        let (tag, cases): (Int, Vec<(&str, Option<Type>)>) = match self.kind(&ty)? {
            TypeDefKind::Result(result) => (Int::U8, vec![("ok", result.ok), ("err", result.err)]),
            TypeDefKind::Enum(e) => (e.tag(), e.cases.iter().map(|c| (c.name.as_str(), None)).collect()),
            TypeDefKind::Variant(v) => (v.tag(), v.cases.iter().map(|c| (c.name.as_str(), c.ty)).collect()),
            _ => return None,
        };
        let index = names
            .iter()
            .find_map(|name| cases.iter().position(|(case, _)| case == name))?;
        let offset = self
            .sizes
            .payload_offset(tag, cases.iter().map(|(_, ty)| ty.as_ref()))
            .size_wasm32();
        Some((index, tag, offset, cases[index].1))
    }

    fn kind(&self, ty: &Type) -> Option<&'a TypeDefKind> {
        match ty {
            Type::Id(id) => Some(&self.resolve.types[*id].kind),
            _ => None,
        }
    }

    /// The type behind names.
    fn resolved(&self, ty: &Type) -> Type {
        let mut ty = *ty;
        while let Type::Id(id) = ty
            && let TypeDefKind::Type(inner) = self.resolve.types[id].kind
        {
            ty = inner;
        }
        ty
    }
}

fn value(reply: Reply, interface: &str) -> Option<Value> {
    let error = |payload| Value::Case(vec!["err"], Some(Box::new(payload)));
    Some(match reply {
        Reply::Case(cases) => error(Value::Case(cases.to_vec(), None)),
        Reply::NotPermitted(cases) => {
            let text = Value::Text(format!("\"{interface}\" is not permitted"));
            error(Value::Case(cases.to_vec(), Some(Box::new(text))))
        }
        Reply::UndefinedName => error(Value::Case(
            vec!["undefined"],
            Some(Box::new(Value::FirstArgument)),
        )),
        Reply::Success => Value::Case(vec!["ok"], None),
        Reply::Empty | Reply::Absent => Value::Zero,
        Reply::Handle | Reply::Return => return None,
    })
}
