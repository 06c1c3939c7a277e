//! The `tojson` filter: Python's `json.dumps` with the arguments that `transformers` lets templates give.

use super::Capped;
use minijinja::value::{Kwargs, Value};
use minijinja::{Error, ErrorKind};
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use std::io::{self, Write};

/// The value as JSON; `indent`, `separators`, `sort_keys` and `ensure_ascii` mean what they mean in Python.
pub(super) fn to_json(value: &Value, ascii: Option<bool>, arguments: Kwargs) -> Result<String, Error> {
    let indent = match arguments.get::<Option<&Value>>("indent")?.filter(|indent| !indent.is_none()) {
        Some(indent) if indent.as_str().is_some() => Some(indent.to_string()),
        Some(width) => Some(" ".repeat(usize::from(u8::try_from(width.clone())?))),
        None => None,
    };
    let separators = arguments.get::<Option<Vec<String>>>("separators")?.unwrap_or_default();
    let [item, key] = <[String; 2]>::try_from(separators)
        .unwrap_or_else(|_| [if indent.is_some() { "," } else { ", " }.into(), ": ".into()]);
    let ascii = arguments.get::<Option<bool>>("ensure_ascii")?.or(ascii).unwrap_or(false);
    let sort_keys = arguments.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    arguments.assert_all_used()?;
    if value.is_undefined() {
        return Err(Error::new(ErrorKind::UndefinedError, "`tojson` does not take an undefined value"));
    }
    let style = Style { indent, item, key, ascii, level: 0, has_value: false };
    write(value, sort_keys, style).map_err(|error| match error.is_io() {
        true => Error::from(ErrorKind::WriteFailure),
        false => Error::new(ErrorKind::BadSerialization, error.to_string()),
    })
}

fn write(value: &Value, sort_keys: bool, style: Style) -> serde_json::Result<String> {
    let mut out = Capped::default();
    if sort_keys {
        serde_json::to_writer(&mut out, value)?;
        let mut tree: serde_json::Value = serde_json::from_slice(&std::mem::take(&mut out.0))?;
        tree.sort_all_objects();
        tree.serialize(&mut Serializer::with_formatter(&mut out, style))?;
    } else {
        value.serialize(&mut Serializer::with_formatter(&mut out, style))?;
    }
    Ok(String::from_utf8_lossy(&out.0).into_owned())
}

/// Python's layout.
struct Style {
    /// What one level is indented by; `None` writes everything on one line.
    indent: Option<String>,
    item: String,
    key: String,
    ascii: bool,
    level: usize,
    has_value: bool,
}

impl Style {
    fn open<W: ?Sized + Write>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.level += 1;
        self.has_value = false;
        out.write_all(bracket)
    }

    fn close<W: ?Sized + Write>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.level -= 1;
        if self.has_value {
            self.new_line(out)?;
        }
        out.write_all(bracket)
    }

    fn next<W: ?Sized + Write>(&self, out: &mut W, first: bool) -> io::Result<()> {
        if !first {
            out.write_all(self.item.as_bytes())?;
        }
        self.new_line(out)
    }

    fn new_line<W: ?Sized + Write>(&self, out: &mut W) -> io::Result<()> {
        let Some(indent) = &self.indent else { return Ok(()) };
        out.write_all(b"\n")?;
        (0..self.level).try_for_each(|_| out.write_all(indent.as_bytes()))
    }
}

impl Formatter for Style {
    fn write_f64<W: ?Sized + Write>(&mut self, out: &mut W, value: f64) -> io::Result<()> {
        out.write_all(float(value).as_bytes())
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, text: &str) -> io::Result<()> {
        if !self.ascii {
            return out.write_all(text.as_bytes());
        }
        text.encode_utf16().try_for_each(|unit| match u8::try_from(unit) {
            Ok(byte @ b' '..=b'~') => out.write_all(&[byte]),
            _ => write!(out, "\\u{unit:04x}"),
        })
    }

    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.next(out, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.next(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(self.key.as_bytes())
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }
}

/// Python's `repr` of a float: the fewest digits that read back as the same number.
pub(super) fn float(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() { "nan".into() } else { value.to_string() };
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse().unwrap_or(0) {
        -4..16 => format!("{value:?}"),
        exponent @ 0.. => format!("{digits}e+{exponent:02}"),
        exponent => format!("{digits}e-{:02}", -exponent),
    }
}
