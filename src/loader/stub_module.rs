//! The core module of a stub: each function gives its one answer.

use std::collections::BTreeSet;

use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, EntityType, ExportKind, ExportSection, Function, FunctionSection,
    GlobalSection, GlobalType, ImportSection, MemArg, MemorySection, MemoryType, Module, TypeSection,
    ValType,
};
use wit_parser::abi::{WasmSignature, WasmType};

use super::reply::{Answer, Image};

/// Address of the first result: not 0, aligned for everything.
pub(super) const IMAGE_BASE: u32 = 16;
const PAGE_BYTES: u64 = 65536;

/// One exported function of the stub.
pub(super) struct Stubbed {
    pub(super) export: String,
    pub(super) signature: WasmSignature,
    pub(super) body: Body,
}

/// What it does.
pub(super) enum Body {
    Trap,
    Return,
    Answer(Answer),
    /// Calls the intrinsic that makes a handle, with this module and name.
    Handle(String, String),
}

/// The module that exports these functions, with the image in its memory.
pub(super) fn assemble(functions: &[Stubbed], image: Image<'_>) -> Vec<u8> {
    let mut types = TypeSection::new();
    let mut imports = ImportSection::new();
    let mut declared = FunctionSection::new();
    let mut exports = ExportSection::new();
    let mut code = CodeSection::new();

    types.ty().function([ValType::I32], [ValType::I32]);
    let makers: BTreeSet<(&str, &str)> = functions
        .iter()
        .filter_map(|f| match &f.body {
            Body::Handle(module, name) => Some((module.as_str(), name.as_str())),
            _ => None,
        })
        .collect();
    for (module, name) in &makers {
        imports.import(module, name, EntityType::Function(0));
    }

    let heap = image.end().next_multiple_of(IMAGE_BASE);
    let mut index = makers.len() as u32;
    types.ty().function([ValType::I32; 4], [ValType::I32]);
    declared.function(1);
    exports.export("cabi_realloc", ExportKind::Func, index);
    code.function(&allocator());
    for function in functions {
        index += 1;
        types.ty().function(
            flat(&function.signature.params),
            flat(&function.signature.results),
        );
        declared.function(types.len() - 1);
        exports.export(&function.export, ExportKind::Func, index);
        let maker = |module: &str, name: &str| makers.iter().position(|m| *m == (module, name));
        code.function(&body(&function.body, heap, maker));
    }

    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: u64::from(heap) / PAGE_BYTES + 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    exports.export("memory", ExportKind::Memory, 0);
    let mut globals = GlobalSection::new();
    let top = GlobalType {
        val_type: ValType::I32,
        mutable: true,
        shared: false,
    };
    globals.global(top, &ConstExpr::i32_const(heap as i32));
    let mut data = DataSection::new();
    data.active(0, &ConstExpr::i32_const(IMAGE_BASE as i32), image.bytes());

    let mut module = Module::new();
    module
        .section(&types)
        .section(&imports)
        .section(&declared)
        .section(&memories)
        .section(&globals)
        .section(&exports)
        .section(&code)
        .section(&data);
    module.finish()
}

fn flat(types: &[WasmType]) -> Vec<ValType> {
    types
        .iter()
        .map(|ty| match ty {
            WasmType::I64 | WasmType::PointerOrI64 => ValType::I64,
            WasmType::F32 => ValType::F32,
            WasmType::F64 => ValType::F64,
            WasmType::I32 | WasmType::Pointer | WasmType::Length => ValType::I32,
        })
        .collect()
}

/// The only memory that is ever asked for holds arguments. A call's results are read before the next call's arguments
/// are written, so [`body`] takes all of it back each time, and this only moves up.
fn allocator() -> Function {
    const OLD: u32 = 0;
    const OLD_SIZE: u32 = 1;
    const ALIGN: u32 = 2;
    const SIZE: u32 = 3;
    const AT: u32 = 4;
    let mut f = Function::new([(1, ValType::I32)]);
    let mut i = f.instructions();
    // at = (top + align - 1) & -align
    i.global_get(0).local_get(ALIGN).i32_add().i32_const(1).i32_sub();
    i.i32_const(0).local_get(ALIGN).i32_sub().i32_and().local_set(AT);
    // top = at + size, which must not wrap
    i.local_get(AT).local_get(SIZE).i32_add().global_set(0);
    i.global_get(0).local_get(AT).i32_lt_u();
    i.if_(wasm_encoder::BlockType::Empty).unreachable().end();
    // The memory grows up to `top`.
    i.global_get(0).memory_size(0).i32_const(16).i32_shl().i32_gt_u();
    i.if_(wasm_encoder::BlockType::Empty);
    i.global_get(0).memory_size(0).i32_const(16).i32_shl().i32_sub();
    i.i32_const(16).i32_shr_u().i32_const(1).i32_add().memory_grow(0);
    i.i32_const(-1).i32_eq();
    i.if_(wasm_encoder::BlockType::Empty).unreachable().end();
    i.end();
    // A block that grows, as text that is transcoded does, keeps what it has; one that shrinks keeps what fits.
    i.local_get(AT).local_get(OLD);
    i.local_get(OLD_SIZE).local_get(SIZE);
    i.local_get(OLD_SIZE).local_get(SIZE).i32_lt_u().select();
    i.memory_copy(0, 0);
    i.local_get(AT).end();
    f
}

fn body(body: &Body, heap: u32, maker: impl Fn(&str, &str) -> Option<usize>) -> Function {
    let mut f = Function::new([]);
    let mut i = f.instructions();
    i.i32_const(heap as i32).global_set(0);
    match body {
        Body::Trap => {
            i.unreachable();
        }
        Body::Return => {}
        Body::Answer(Answer::Flat(value)) => {
            i.i32_const(*value);
        }
        Body::Answer(Answer::Stored(address)) => {
            i.i32_const(*address as i32);
        }
        Body::Answer(Answer::StoredWithArgument(address, string)) => {
            let at = |offset| MemArg {
                offset,
                align: 2,
                memory_index: 0,
            };
            i.i32_const(*string as i32).local_get(0).i32_store(at(0));
            i.i32_const(*string as i32).local_get(1).i32_store(at(4));
            i.i32_const(*address as i32);
        }
        Body::Handle(module, name) => match maker(module, name) {
            Some(index) => {
                // What the handle stands for is never asked.
                i.i32_const(1).call(index as u32);
            }
            None => {
                i.unreachable();
            }
        },
    }
    i.end();
    f
}

#[cfg(test)]
mod tests {
    use wasmtime::{Engine, Instance, Module, Store};
    use wit_parser::Resolve;

    use super::*;

    #[test]
    fn memory_that_is_allocated_again_keeps_its_content() {
        let resolve = Resolve::default();
        let engine = Engine::default();
        let module = Module::new(&engine, assemble(&[], Image::new(&resolve, IMAGE_BASE))).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let realloc = instance
            .get_typed_func::<(i32, i32, i32, i32), i32>(&mut store, "cabi_realloc")
            .unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        let old = realloc.call(&mut store, (0, 0, 1, 4)).unwrap();
        memory.write(&mut store, old as usize, b"text").unwrap();

        let larger = realloc
            .call(&mut store, (old, 4, 1, 2 * PAGE_BYTES as i32))
            .unwrap();
        let smaller = realloc.call(&mut store, (larger, 4, 1, 2)).unwrap();
        let after = realloc.call(&mut store, (0, 0, 1, 1)).unwrap();
        let data = memory.data(&store);
        assert_eq!(&data[larger as usize..][..4], b"text");
        assert_eq!(&data[smaller as usize..][..2], b"te");
        assert_eq!(after, smaller + 2);
    }
}
