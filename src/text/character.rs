//! Kinds of characters, as tokenizers tell them apart.
//!
//! Source: the general categories of the Unicode character database, in the tables that `regex-syntax` ships.

use std::sync::OnceLock;

/// What a character is. Each is of exactly one kind; whitespace goes before its category, ideographs before letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Uppercase,
    Lowercase,
    Titlecase,
    Modifier,
    Ideograph,
    OtherLetter,
    Mark,
    Number,
    Punctuation,
    Symbol,
    Space,
    Control,
    Unassigned,
}

/// The kind of `c`.
pub(crate) fn kind(c: char) -> Kind {
    match ASCII.get(c as usize) {
        Some(kind) => *kind,
        None if c.is_whitespace() => Kind::Space,
        None => beyond_ascii(c),
    }
}

const ASCII: [Kind; 128] = {
    let mut kinds = [Kind::Punctuation; 128];
    let mut i = 0;
    while i < 128 {
        kinds[i] = match i as u8 {
            b'A'..=b'Z' => Kind::Uppercase,
            b'a'..=b'z' => Kind::Lowercase,
            b'0'..=b'9' => Kind::Number,
            b' ' | b'\t'..=b'\r' => Kind::Space,
            0..=31 | 127 => Kind::Control,
            b'$' | b'+' | b'<' | b'=' | b'>' | b'^' | b'`' | b'|' | b'~' => Kind::Symbol,
            _ => Kind::Punctuation,
        };
        i += 1;
    }
    kinds
};

fn beyond_ascii(c: char) -> Kind {
    // Made at the first character that needs it, so that ASCII text starts at once.
    static RANGES: OnceLock<Vec<(char, char, Kind)>> = OnceLock::new();
    let ranges = RANGES.get_or_init(category_ranges);
    let after = ranges.partition_point(|range| range.0 <= c);
    match after.checked_sub(1).map(|i| ranges[i]) {
        Some((_, last, kind)) if c <= last => {
            if kind == Kind::OtherLetter && is_ideograph(c) {
                Kind::Ideograph
            } else {
                kind
            }
        }
        _ => Kind::Unassigned,
    }
}

/// First and last character and kind of each run of one category, ascending.
fn category_ranges() -> Vec<(char, char, Kind)> {
    let categories = [
        (r"\p{Lu}", Kind::Uppercase),
        (r"\p{Ll}", Kind::Lowercase),
        (r"\p{Lt}", Kind::Titlecase),
        (r"\p{Lm}", Kind::Modifier),
        (r"\p{Lo}", Kind::OtherLetter),
        (r"\p{M}", Kind::Mark),
        (r"\p{N}", Kind::Number),
        (r"\p{P}", Kind::Punctuation),
        (r"\p{S}", Kind::Symbol),
        (r"[\p{Cc}\p{Cf}\p{Co}]", Kind::Control),
    ];
    let mut ranges = Vec::with_capacity(4096);
    for (class, kind) in categories {
        let parsed = regex_syntax::parse(class).expect("a category that the tables have");
        if let regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(class)) = parsed.kind() {
            ranges.extend(class.iter().map(|range| (range.start(), range.end(), kind)));
        }
    }
    ranges.sort_unstable_by_key(|range| range.0);
    ranges
}

/// Whether `c` lies in a block of CJK ideographs.
pub(crate) fn is_ideograph(c: char) -> bool {
    matches!(c,
        '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{2A6DF}' | '\u{2A700}'..='\u{2EBEF}' | '\u{2F800}'..='\u{2FA1F}')
}

#[cfg(test)]
mod tests {
    use super::{Kind, kind};

    #[test]
    fn characters_are_of_the_kind_that_unicode_says() {
        let expected = [
            ('A', Kind::Uppercase),
            ('É', Kind::Uppercase),
            ('é', Kind::Lowercase),
            ('ǅ', Kind::Titlecase),
            ('ʰ', Kind::Modifier),
            ('中', Kind::Ideograph),
            ('あ', Kind::OtherLetter),
            ('\u{0301}', Kind::Mark),
            ('ि', Kind::Mark),
            ('٣', Kind::Number),
            ('½', Kind::Number),
            ('_', Kind::Punctuation),
            ('«', Kind::Punctuation),
            ('€', Kind::Symbol),
            ('😀', Kind::Symbol),
            ('\u{85}', Kind::Space),
            ('\u{3000}', Kind::Space),
            ('\u{1c}', Kind::Control),
            ('\u{200b}', Kind::Control),
            ('\u{378}', Kind::Unassigned),
        ];
        for (c, expected) in expected {
            assert_eq!(kind(c), expected, "{c:?}");
        }
    }

    #[test]
    fn the_ascii_table_agrees_with_the_category_tables() {
        for c in (0..128).filter_map(char::from_u32).filter(|c| !c.is_whitespace()) {
            assert_eq!(kind(c), super::beyond_ascii(c), "{c:?}");
        }
    }
}
