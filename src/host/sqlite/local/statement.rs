//! A prepared statement that owns its connection.
//!
//! `rusqlite`'s statements borrow their connection, refuse text after the first statement, and panic at a column name
//! that is not UTF-8. Here several statements of one connection are under way at once, only the first of a text counts,
//! and a guest's database may hold anything. So these few calls go to SQLite itself.

use std::ffi::{CStr, c_int};
use std::ptr;
use std::rc::Rc;

use rusqlite::{Connection, ffi};

use super::super::connection::{RowResult, Value};

/// Not `Send`, by its `Rc`: statements and their connection stay on one thread, as SQLite is told when the connection is
/// opened.
pub(super) struct Statement {
    connection: Rc<Connection>,
    /// Null for a text without a statement, which SQLite's functions take as one that can't be run. Finalized by `drop`
    /// alone, while `connection` still lives.
    raw: *mut ffi::sqlite3_stmt,
    sql: Box<str>,
}

impl Statement {
    /// The first statement of `sql`. Errors are texts for the guest, here and below.
    pub(super) fn prepare(connection: &Rc<Connection>, sql: &str) -> Result<Self, String> {
        let Ok(length) = c_int::try_from(sql.len()) else {
            return Err(text_of(ffi::SQLITE_TOOBIG));
        };
        let mut raw = ptr::null_mut();
        // SAFETY: the handle is open as long as the connection; `sql` has `length` bytes, and SQLite keeps a copy.
        let code = unsafe {
            ffi::sqlite3_prepare_v3(
                connection.handle(),
                sql.as_ptr().cast(),
                length,
                ffi::SQLITE_PREPARE_PERSISTENT,
                &raw mut raw,
                ptr::null_mut(),
            )
        };
        if code != ffi::SQLITE_OK {
            return Err(syntax_error(connection, code, sql));
        }
        Ok(Self {
            connection: connection.clone(),
            raw,
            sql: sql.into(),
        })
    }

    /// The text that it was prepared from.
    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    /// Whether it leaves the database, and its locks for writing, alone.
    pub(super) fn is_readonly(&self) -> bool {
        // SAFETY: `raw` is null, which changes nothing, or prepared.
        unsafe { ffi::sqlite3_stmt_readonly(self.raw) != 0 }
    }

    pub(super) fn columns(&self) -> Result<Vec<String>, String> {
        // SAFETY: `raw` is null or prepared.
        let count = unsafe { ffi::sqlite3_column_count(self.raw) };
        (0..count).map(|index| self.column(index)).collect()
    }

    fn column(&self, index: c_int) -> Result<String, String> {
        // SAFETY: a name is a C string that lives until the next call for this statement, and is copied before.
        let name = unsafe {
            let name = ffi::sqlite3_column_name(self.raw, index);
            if name.is_null() {
                return Err(text_of(ffi::SQLITE_NOMEM));
            }
            CStr::from_ptr(name)
        };
        let name = name.to_str();
        name.map(str::to_owned)
            .map_err(|error| format!("the name of column {index} is not UTF-8: {error}"))
    }

    /// Gives every parameter its value.
    pub(super) fn bind(&mut self, parameters: &[Value]) -> Result<(), String> {
        // SAFETY: `raw` is null or prepared.
        let needed = unsafe { ffi::sqlite3_bind_parameter_count(self.raw) };
        if usize::try_from(needed) != Ok(parameters.len()) {
            let got = parameters.len();
            return Err(format!(
                "Wrong number of parameters passed to query. Got {got}, needed {needed}"
            ));
        }
        for (index, value) in (1..).zip(parameters) {
            let code = self.bind_one(index, value);
            if code != ffi::SQLITE_OK {
                return Err(error_text(&self.connection, code));
            }
        }
        Ok(())
    }

    fn bind_one(&mut self, index: c_int, value: &Value) -> c_int {
        let raw = self.raw;
        // SAFETY: `raw` is prepared, since it has parameters; pointers come with their lengths, and SQLite copies what
        // is marked transient before it returns.
        unsafe {
            match value {
                Value::Null => ffi::sqlite3_bind_null(raw, index),
                Value::Integer(integer) => ffi::sqlite3_bind_int64(raw, index, *integer),
                Value::Real(real) => ffi::sqlite3_bind_double(raw, index, *real),
                Value::Text(text) => ffi::sqlite3_bind_text64(
                    raw,
                    index,
                    text.as_ptr().cast(),
                    text.len() as u64,
                    ffi::SQLITE_TRANSIENT(),
                    ffi::SQLITE_UTF8 as u8,
                ),
                // An empty vector's pointer is not null, which would mean NULL.
                Value::Blob(blob) => ffi::sqlite3_bind_blob64(
                    raw,
                    index,
                    blob.as_ptr().cast(),
                    blob.len() as u64,
                    ffi::SQLITE_TRANSIENT(),
                ),
            }
        }
    }

    /// The next row; none at the end.
    pub(super) fn step(&mut self) -> Result<Option<RowResult>, String> {
        // SAFETY: `raw` is null, for which SQLite has an error, or prepared.
        match unsafe { ffi::sqlite3_step(self.raw) } {
            ffi::SQLITE_ROW => self.row().map(Some),
            ffi::SQLITE_DONE => Ok(None),
            code => Err(error_text(&self.connection, code)),
        }
    }

    fn row(&self) -> Result<RowResult, String> {
        // SAFETY: the statement stands at a row.
        let count = unsafe { ffi::sqlite3_data_count(self.raw) };
        let values = (0..count).map(|index| self.value(index));
        Ok(RowResult {
            values: values.collect::<Result<_, _>>()?,
        })
    }

    fn value(&self, index: c_int) -> Result<Value, String> {
        let raw = self.raw;
        // SAFETY: the statement stands at a row that has this column.
        unsafe {
            Ok(match ffi::sqlite3_column_type(raw, index) {
                ffi::SQLITE_INTEGER => Value::Integer(ffi::sqlite3_column_int64(raw, index)),
                ffi::SQLITE_FLOAT => Value::Real(ffi::sqlite3_column_double(raw, index)),
                ffi::SQLITE_TEXT => {
                    let text = ffi::sqlite3_column_text(raw, index);
                    let text = self.bytes(index, text)?;
                    let text = String::from_utf8(text);
                    Value::Text(text.map_err(|error| {
                        let error = error.utf8_error();
                        format!("the text in column {index} is not UTF-8: {error}")
                    })?)
                }
                ffi::SQLITE_BLOB => {
                    let blob = ffi::sqlite3_column_blob(raw, index);
                    // Null stands for an empty blob as well as for a lack of memory.
                    if blob.is_null() && ffi::sqlite3_errcode(self.connection.handle()) != ffi::SQLITE_NOMEM {
                        return Ok(Value::Blob(Vec::new()));
                    }
                    Value::Blob(self.bytes(index, blob.cast())?)
                }
                _ => Value::Null,
            })
        }
    }

    /// Copies what `pointer`, which SQLite just gave for the column, points to.
    ///
    /// # Safety
    /// No other function has been called for the column since.
    unsafe fn bytes(&self, index: c_int, pointer: *const u8) -> Result<Vec<u8>, String> {
        if pointer.is_null() {
            return Err(text_of(ffi::SQLITE_NOMEM));
        }
        // SAFETY: the pointer is valid for this many bytes until the next call for the statement.
        Ok(unsafe {
            let length = ffi::sqlite3_column_bytes(self.raw, index);
            std::slice::from_raw_parts(pointer, usize::try_from(length).unwrap_or(0)).to_vec()
        })
    }

    /// Ready for another run, with no values.
    pub(super) fn reset(&mut self) {
        // SAFETY: `raw` is null, which both ignore, or prepared. What reset returns is the error that `step` returned.
        unsafe {
            ffi::sqlite3_reset(self.raw);
            if !self.raw.is_null() {
                ffi::sqlite3_clear_bindings(self.raw);
            }
        }
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        // SAFETY: `raw` is null, which is ignored, or prepared and finalized nowhere else.
        unsafe { ffi::sqlite3_finalize(self.raw) };
    }
}

/// With the place in the text, where SQLite knows it (`docs/contract/host-interfaces.md §5.3`).
fn syntax_error(connection: &Connection, code: c_int, sql: &str) -> String {
    let text = error_text(connection, code);
    // SAFETY: the handle is open.
    let offset = unsafe { ffi::sqlite3_error_offset(connection.handle()) };
    if code & 0xff == ffi::SQLITE_ERROR && offset >= 0 {
        format!("{text} in {sql} at offset {offset}")
    } else {
        text
    }
}

fn error_text(connection: &Connection, code: c_int) -> String {
    // SAFETY: the handle is open; the message is copied before another call could change it.
    unsafe {
        let handle = connection.handle();
        // What the connection remembers is about another call when its code is another one: misuse leaves it as it is.
        if ffi::sqlite3_extended_errcode(handle) != code {
            return text_of(code);
        }
        CStr::from_ptr(ffi::sqlite3_errmsg(handle))
            .to_string_lossy()
            .into_owned()
    }
}

fn text_of(code: c_int) -> String {
    // SAFETY: SQLite's texts for codes are static C strings.
    let text = unsafe { CStr::from_ptr(ffi::sqlite3_errstr(code)) };
    text.to_string_lossy().into_owned()
}
