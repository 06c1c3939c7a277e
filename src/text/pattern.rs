//! Splits text into words by rules made of character sets: what pre-tokenizers need of regular expressions.
//!
//! Rules are constants, so nothing is compiled when the program starts, and each is matched in time linear in the text:
//! a repetition gives back characters only until what follows it fits.

use super::character::{Kind, kind};

/// A set of characters: some kinds, and some ranges beside them.
#[derive(Clone, Copy)]
pub(crate) struct Set {
    kinds: u16,
    ranges: &'static [(char, char)],
    negated: bool,
}

impl Set {
    /// The characters of `kinds`.
    pub(crate) const fn of(kinds: &[Kind]) -> Set {
        let mut bits = 0;
        let mut i = 0;
        while i < kinds.len() {
            bits |= 1 << kinds[i] as u16;
            i += 1;
        }
        Set { kinds: bits, ranges: &[], negated: false }
    }

    /// These and the characters of `ranges`, whose ends are included.
    pub(crate) const fn and(self, ranges: &'static [(char, char)]) -> Set {
        Set { ranges, ..self }
    }

    /// All other characters.
    pub(crate) const fn not(self) -> Set {
        Set { negated: !self.negated, ..self }
    }

    fn contains(&self, c: char) -> bool {
        let kind = kind(c);
        let by_kind = self.kinds & (1 << kind as u16) != 0;
        // A range may run over whitespace beyond ASCII; llama.cpp, whose ids we match, takes that for whitespace only.
        let by_range = || self.ranges.iter().any(|&(first, last)| first <= c && c <= last);
        (by_kind || (c.is_ascii() || kind != Kind::Space) && by_range()) != self.negated
    }
}

/// A part of a rule.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    /// Between `min` and `max` characters of a set, as many as there are.
    Repeat(Set, u32, u32),
    /// An English contraction: 's 't 'm 'd 're 've 'll.
    Contraction(Case),
    /// A contraction in any case, or nothing.
    MaybeContraction,
    /// Nothing, where the text ends or whitespace follows.
    NotBeforeWord,
}

/// One of `set`.
pub(crate) const fn one(set: Set) -> Step {
    exactly(1, set)
}

/// One of `set` or nothing.
pub(crate) const fn maybe(set: Set) -> Step {
    Step::Repeat(set, 0, 1)
}

/// One or more of `set`.
pub(crate) const fn some(set: Set) -> Step {
    Step::Repeat(set, 1, u32::MAX)
}

/// Any number of `set`.
pub(crate) const fn any(set: Set) -> Step {
    Step::Repeat(set, 0, u32::MAX)
}

/// `n` of `set`.
pub(crate) const fn exactly(n: u32, set: Set) -> Step {
    Step::Repeat(set, n, n)
}

/// Which letters a contraction has.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Case {
    Lower,
    Any,
}

/// Steps one after the other.
pub(crate) type Rule = &'static [Step];

/// A way to split text. What no rule matches is a piece too, up to the next match.
#[derive(Clone, Copy)]
pub(crate) enum Split {
    /// At matches of the first rule that fits, from left to right.
    Rules(&'static [Rule]),
    /// Numbers into groups of three digits, counted from the right.
    DigitGroups,
    /// Runs of newlines from what is between them.
    Lines,
    /// Whitespace at the end from what is before it.
    TrailingSpace,
}

/// Hands to `word` the pieces of `text`, split by the first of `splits`, then each piece by the second, and so on.
pub(crate) fn split<'t>(splits: &[Split], text: &'t str, word: &mut dyn FnMut(&'t str)) {
    match splits.split_first() {
        _ if text.is_empty() => {}
        None => word(text),
        Some((Split::Rules(rules), rest)) => matches(rules, text, &mut |piece| split(rest, piece, word)),
        Some((Split::DigitGroups, rest)) => digit_groups(text, &mut |piece| split(rest, piece, word)),
        Some((Split::Lines, rest)) => runs(text, |c| c == '\n', &mut |piece, _| split(rest, piece, word)),
        Some((Split::TrailingSpace, rest)) => {
            let (head, tail) = text.split_at(text.trim_end().len());
            split(rest, head, word);
            split(rest, tail, word);
        }
    }
}

fn matches<'t>(rules: &[Rule], text: &'t str, piece: &mut dyn FnMut(&'t str)) {
    let (mut gap, mut at) = (0, 0);
    while let Some(c) = text[at..].chars().next() {
        match rules.iter().find_map(|rule| end_of_match(rule, text, at)) {
            Some(end) if end > at => {
                piece(&text[gap..at]);
                piece(&text[at..end]);
                (gap, at) = (end, end);
            }
            _ => at += c.len_utf8(),
        }
    }
    piece(&text[gap..]);
}

/// Where `steps` end if they match `text` from `at`.
fn end_of_match(steps: &[Step], text: &str, at: usize) -> Option<usize> {
    let Some((step, rest)) = steps.split_first() else { return Some(at) };
    match *step {
        Step::Repeat(set, min, max) => {
            let mut end = at;
            let mut n = 0;
            while n < max
                && let Some(c) = text[end..].chars().next()
                && set.contains(c)
            {
                end += c.len_utf8();
                n += 1;
            }
            while n >= min {
                if let Some(end) = end_of_match(rest, text, end) {
                    return Some(end);
                }
                n = n.checked_sub(1)?;
                end -= text[..end].chars().next_back()?.len_utf8();
            }
            None
        }
        Step::Contraction(case) => end_of_match(rest, text, at + contraction(&text.as_bytes()[at..], case)?),
        Step::MaybeContraction => {
            end_of_match(rest, text, at + contraction(&text.as_bytes()[at..], Case::Any).unwrap_or(0))
        }
        Step::NotBeforeWord => {
            let follows = text[at..].chars().next();
            if follows.is_none_or(char::is_whitespace) { end_of_match(rest, text, at) } else { None }
        }
    }
}

/// Length in bytes of the contraction that `text` begins with.
fn contraction(text: &[u8], case: Case) -> Option<usize> {
    let (b'\'', letters) = text.split_first()? else { return None };
    let letter = |i: usize| letters.get(i).map(|b| if case == Case::Any { b.to_ascii_lowercase() } else { *b });
    match (letter(0)?, letter(1)) {
        (b's' | b't' | b'm' | b'd', _) => Some(2),
        (b'r' | b'v', Some(b'e')) | (b'l', Some(b'l')) => Some(3),
        _ => None,
    }
}

fn digit_groups<'t>(text: &'t str, piece: &mut dyn FnMut(&'t str)) {
    runs(text, |c| kind(c) == Kind::Number, &mut |run, is_number| {
        if !is_number {
            return piece(run);
        }
        let first = run.chars().count() % 3;
        let mut start = 0;
        for (i, (at, _)) in run.char_indices().enumerate() {
            if i % 3 == first {
                piece(&run[start..at]);
                start = at;
            }
        }
        piece(&run[start..]);
    });
}

/// The longest runs of characters that are all `inside`, and of those that are not, each with whether it is.
fn runs<'t>(text: &'t str, inside: impl Fn(char) -> bool, run: &mut dyn FnMut(&'t str, bool)) {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let is_inside = inside(c);
        let end = rest.find(|c| inside(c) != is_inside).unwrap_or(rest.len());
        run(&rest[..end], is_inside);
        rest = &rest[end..];
    }
}
