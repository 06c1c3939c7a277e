//! Schemas that ask for multiples of a number: the automaton that finds them has a state for each remainder, and llguidance
//! sets no end to it.

use serde_json::{Deserializer, Number, Value};

/// Remainders at most; so many take tens of megabytes and half a second.
const MOST: u128 = 100_000;
/// Digits of a number that are looked at.
const MOST_DIGITS: usize = 18;

/// The largest `multipleOf` that may result from those of `schema`, if that is too large. Which of them apply to one number
/// is hard to say, so that all are taken together.
pub(super) fn too_large(schema: &Value) -> bool {
    let mut all = Vec::new();
    collect(schema, &mut all);
    let n_decimals = all.iter().map(|decimal| decimal.n_decimals).max().unwrap_or(0);
    let mut common = 1;
    for decimal in all {
        let whole = decimal.in_units_of(n_decimals);
        let next = whole.and_then(|whole| (common / greatest_divisor(common, whole)).checked_mul(whole));
        match next {
            Some(next) if next / 10u128.pow(n_decimals as u32) <= MOST => common = next,
            _ => return true,
        }
    }
    (0..n_decimals).for_each(|_| common = if common.is_multiple_of(10) { common / 10 } else { common });
    common > MOST
}

/// The same for the schemas within a grammar in Lark.
pub(super) fn too_large_in_lark(text: &str) -> bool {
    text.split("%json").skip(1).any(|rest| {
        let schema = Deserializer::from_str(rest).into_iter::<Value>().next();
        schema.is_some_and(|schema| schema.is_ok_and(|schema| too_large(&schema)))
    })
}

/// A number without a fraction in units of 10^-`n_decimals`.
#[derive(Clone, Copy)]
struct Decimal {
    digits: u128,
    n_decimals: usize,
}

impl Decimal {
    /// `None` for a number beyond all bounds.
    fn of(number: &Number) -> Option<Decimal> {
        let text = number.to_string();
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((&text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let fraction = fraction.trim_end_matches('0');
        let digits = format!("{}{fraction}", whole.trim_start_matches('-'));
        let n_decimals = fraction.len() as i64 - exponent.parse::<i64>().ok()?;
        let fits = digits.len() <= MOST_DIGITS && (0..=MOST_DIGITS as i64).contains(&n_decimals);
        fits.then_some(Decimal { digits: digits.parse().ok()?, n_decimals: n_decimals as usize })
    }

    fn in_units_of(self, n_decimals: usize) -> Option<u128> {
        self.digits.checked_mul(10u128.pow((n_decimals - self.n_decimals) as u32)).filter(|n| *n < 1 << 63)
    }
}

fn collect(schema: &Value, all: &mut Vec<Decimal>) {
    match schema {
        Value::Array(values) => values.iter().for_each(|value| collect(value, all)),
        Value::Object(fields) => {
            if let Some(Value::Number(number)) = fields.get("multipleOf") {
                let beyond = Decimal { digits: u128::MAX, n_decimals: 0 };
                let decimal = Decimal::of(number).unwrap_or(beyond);
                all.extend((decimal.digits > 0).then_some(decimal));
            }
            fields.values().for_each(|value| collect(value, all));
        }
        _ => {}
    }
}

fn greatest_divisor(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { greatest_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_would_take_too_many_states_is_found() {
        let of = |numbers: &[f64]| {
            let each = numbers.iter().map(|n| json!({ "type": "number", "multipleOf": n }));
            too_large(&json!({ "properties": { "a": { "allOf": each.collect::<Vec<_>>() } } }))
        };
        for fine in [
            &[1000.0][..],
            &[0.07, 0.01],
            &[5.0, 10.0, 250.0, 1000.0],
            &[0.001, 1000.0],
            &[0.000001, 0.5],
            &[0.0],
            &[1e-9],
            &[],
        ] {
            assert!(!of(fine), "{fine:?}");
        }
        for large in [
            &[2147483648.0][..],
            &[1e18],
            &[1e300],
            &[123456.789],
            &[99991.0, 99989.0],
            &[1e-300],
            &[-1e9],
            &[9e-18, 99999.0],
        ] {
            assert!(of(large), "{large:?}");
        }
        assert!(too_large_in_lark("start: a\na: %json { \"multipleOf\": 4294967296 }\n"));
        assert!(!too_large_in_lark("start: \"%json\" %json { \"multipleOf\": 4 } /x/"));
    }
}
