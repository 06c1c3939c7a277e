//! What templates expect of Python where minijinja differs.

use super::error::{TemplateError, one_line};
use super::json::{float, to_json};
use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State};

/// Adds the filters, tests and functions.
pub(super) fn extend(environment: &mut Environment) {
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.set_formatter(print);
    environment.add_filter("tojson", to_json);
    environment.add_filter("string", |value: &Value| as_float(value).map_or_else(|| value.to_string(), float));
    environment.add_filter("length", length);
    environment.add_filter("count", length);
    environment.add_test("sequence", |value: &Value| has_kind(value, &[ValueKind::String, ValueKind::Map]));
    environment.add_test("iterable", |value: &Value| {
        has_kind(value, &[ValueKind::String, ValueKind::Map, ValueKind::Iterable, ValueKind::Undefined])
    });
    environment.add_function("raise_exception", raise_exception);
}

/// `{{ value }}`: minijinja writes values as Python's `str`, save floats far from 1.
fn print(out: &mut Output, _: &mut State, value: &Value) -> Result<(), Error> {
    match as_float(value) {
        Some(number) => out.write_str(&float(number))?,
        None => write!(out, "{value}")?,
    }
    Ok(())
}

fn as_float(value: &Value) -> Option<f64> {
    let is_float = value.is_number() && !value.is_integer();
    f64::try_from(value.clone()).ok().filter(|_| is_float)
}

/// The builtin, which refuses what is undefined.
fn length(value: &Value) -> Result<usize, Error> {
    match value.is_undefined() {
        true => Ok(0),
        false => minijinja::filters::length(value),
    }
}

fn has_kind(value: &Value, kinds: &[ValueKind]) -> bool {
    value.kind() == ValueKind::Seq || kinds.contains(&value.kind())
}

fn raise_exception(message: &Value) -> Result<Value, Error> {
    let raised = TemplateError::Raised(one_line(&message.to_string()));
    Err(Error::from(ErrorKind::InvalidOperation).with_source(raised))
}

/// Python's `strftime` in the C locale; without a time, now.
pub(super) fn strftime(format: &str, time: Option<jiff::civil::DateTime>) -> Result<String, Error> {
    let time = time.unwrap_or_else(|| jiff::Zoned::now().datetime());
    let config = jiff::fmt::strtime::Config::new().custom(jiff::fmt::strtime::PosixCustom::new()).lenient(true);
    jiff::fmt::strtime::BrokenDownTime::from(time)
        .to_string_with_config(&config, format)
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))
}
