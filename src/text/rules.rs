//! The rules that pre-tokenizers cut text by, each with the regular expression that it stands for.

use super::character::Kind;
use super::pattern::{Case, Rule, Set, Split, Step, any, exactly, maybe, one, some};

const NOTHING: Set = Set::of(&[]);
const BLANK: Set = NOTHING.and(&[(' ', ' ')]);
const NEWLINE: Set = NOTHING.and(&[('\r', '\r'), ('\n', '\n')]);
const NEWLINE_OR_SLASH: Set = NOTHING.and(&[('\r', '\r'), ('\n', '\n'), ('/', '/')]);
const SPACE: Set = Set::of(&[Kind::Space]);
const NUMBER: Set = Set::of(&[Kind::Number]);
const PUNCTUATION: Set = Set::of(&[Kind::Punctuation]);
const SIGN: Set = Set::of(&[Kind::Punctuation, Kind::Symbol]);
const LETTER_OR_MARK: Set = Set::of(&[
    Kind::Uppercase,
    Kind::Lowercase,
    Kind::Titlecase,
    Kind::Modifier,
    Kind::Ideograph,
    Kind::OtherLetter,
    Kind::Mark,
]);
const LETTER: Set =
    Set::of(&[Kind::Uppercase, Kind::Lowercase, Kind::Titlecase, Kind::Modifier, Kind::Ideograph, Kind::OtherLetter]);
/// `[^\s\p{L}\p{N}]`
const OTHER: Set = Set::of(&[Kind::Mark, Kind::Punctuation, Kind::Symbol, Kind::Control, Kind::Unassigned]);
/// `[^\s\p{L}\p{M}\p{N}]`
const OTHER_BUT_MARK: Set = Set::of(&[Kind::Punctuation, Kind::Symbol, Kind::Control, Kind::Unassigned]);
/// `[^\r\n\p{L}\p{N}]`, what may stand before a word and belong to it.
const LEAD: Set = Set::of(&[
    Kind::Uppercase,
    Kind::Lowercase,
    Kind::Titlecase,
    Kind::Modifier,
    Kind::Ideograph,
    Kind::OtherLetter,
    Kind::Number,
])
.and(&[('\r', '\r'), ('\n', '\n')])
.not();
/// `[^\r\n\p{L}\p{P}\p{S}]`
const LEAD_BUT_SIGN: Set = Set::of(&[
    Kind::Uppercase,
    Kind::Lowercase,
    Kind::Titlecase,
    Kind::Modifier,
    Kind::Ideograph,
    Kind::OtherLetter,
    Kind::Punctuation,
    Kind::Symbol,
])
.and(&[('\r', '\r'), ('\n', '\n')])
.not();
/// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`, the beginning of a word in CamelCase.
const HUMP: Set =
    Set::of(&[Kind::Uppercase, Kind::Titlecase, Kind::Modifier, Kind::Ideograph, Kind::OtherLetter, Kind::Mark]);
/// `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`, the rest of it.
const TAIL: Set = Set::of(&[Kind::Lowercase, Kind::Modifier, Kind::Ideograph, Kind::OtherLetter, Kind::Mark]);
const IDEOGRAPH: Set = Set::of(&[Kind::Ideograph]);
const HUMP_BUT_IDEOGRAPH: Set =
    Set::of(&[Kind::Uppercase, Kind::Titlecase, Kind::Modifier, Kind::OtherLetter, Kind::Mark]);
const TAIL_BUT_IDEOGRAPH: Set = Set::of(&[Kind::Lowercase, Kind::Modifier, Kind::OtherLetter, Kind::Mark]);
const ASCII_LETTER: Set = NOTHING.and(&[('A', 'Z'), ('a', 'z')]);
const ASCII_DIGIT: Set = NOTHING.and(&[('0', '9')]);
const ASCII_SIGN: Set = NOTHING.and(&[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]);
/// ``[\p{P}\$\+<=>\^~\|]``
const SIGN_BUT_GRAVE: Set = PUNCTUATION.and(&[('$', '$'), ('+', '+'), ('<', '>'), ('^', '^'), ('~', '~'), ('|', '|')]);
/// ``[\p{P}\$\+<=>\^~\|`]``
const SIGN_AND_GRAVE: Set =
    PUNCTUATION.and(&[('$', '$'), ('+', '+'), ('<', '>'), ('^', '^'), ('~', '~'), ('|', '|'), ('`', '`')]);
/// `[^(\s|.,!?…。，、।۔،)]`
const BLOOM_WORD: Set = SPACE
    .and(&[
        ('(', '('),
        ('|', '|'),
        ('.', '.'),
        (',', ','),
        ('!', '!'),
        ('?', '?'),
        ('…', '…'),
        ('。', '。'),
        ('，', '，'),
        ('、', '、'),
        ('।', '।'),
        ('۔', '۔'),
        ('،', '،'),
        (')', ')'),
    ])
    .not();

/// Each newline.
pub(super) const NEWLINES: Split = Split::Rules(&[&[one(NEWLINE)]]);
/// `\s?\p{L}+`
pub(super) const SPACED_WORDS: Split = Split::Rules(&[&[maybe(SPACE), some(LETTER)]]);
/// `\s?\p{P}+`
pub(super) const SPACED_PUNCTUATION: Split = Split::Rules(&[&[maybe(SPACE), some(PUNCTUATION)]]);
pub(super) const SIGNS_BUT_GRAVE: Split = Split::Rules(&[&[some(SIGN_BUT_GRAVE)]]);
pub(super) const SIGNS_AND_GRAVE: Split = Split::Rules(&[&[some(SIGN_AND_GRAVE)]]);
pub(super) const NUMBERS: Split = Split::Rules(&[&[some(NUMBER)]]);
pub(super) const SINGLE_NUMBERS: Split = Split::Rules(&[&[one(NUMBER)]]);
pub(super) const NUMBER_TRIPLES: Split = Split::Rules(&[&[UP_TO_3_NUMBERS]]);
pub(super) const ASCII_TRIPLES: Split = Split::Rules(&[&[exactly(3, ASCII_DIGIT)]]);
const UP_TO_3_NUMBERS: Step = Step::Repeat(NUMBER, 1, 3);

const CONTRACTION: Rule = &[Step::Contraction(Case::Any)];
/// `[^\r\n\p{L}\p{N}]?\p{L}+`
const WORD: Rule = &[maybe(LEAD), some(LETTER)];
/// ` ?[^\s\p{L}\p{N}]+[\r\n]*`
const SIGNS: Rule = &[maybe(BLANK), some(OTHER), any(NEWLINE)];
/// `\s*[\r\n]+`
const LINE_ENDS: Rule = &[any(SPACE), some(NEWLINE)];
/// `\s+(?!\S)`, all whitespace but what leads the next word.
const SPACES_BEFORE_LAST: Rule = &[some(SPACE), Step::NotBeforeWord];
const SPACES: Rule = &[some(SPACE)];

/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
pub(super) const GPT2: Split = Split::Rules(&[
    &[Step::Contraction(Case::Lower)],
    &[maybe(BLANK), some(LETTER)],
    &[maybe(BLANK), some(NUMBER)],
    &[maybe(BLANK), some(OTHER)],
    SPACES_BEFORE_LAST,
    SPACES,
]);

/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
pub(super) const LLAMA3: Split =
    Split::Rules(&[CONTRACTION, WORD, &[UP_TO_3_NUMBERS], SIGNS, LINE_ENDS, SPACES_BEFORE_LAST, SPACES]);

/// As [`LLAMA3`] with single digits.
pub(super) const QWEN2: Split =
    Split::Rules(&[CONTRACTION, WORD, &[one(NUMBER)], SIGNS, LINE_ENDS, SPACES_BEFORE_LAST, SPACES]);

/// As [`QWEN2`] without contractions, so that Turkish suffixes stay at their words.
pub(super) const UFAKZEKA: Split = Split::Rules(&[WORD, &[one(NUMBER)], SIGNS, LINE_ENDS, SPACES_BEFORE_LAST, SPACES]);

/// As [`QWEN2`] with marks in words.
pub(super) const QWEN35: Split = Split::Rules(&[
    CONTRACTION,
    &[maybe(LEAD), some(LETTER_OR_MARK)],
    &[one(NUMBER)],
    &[maybe(BLANK), some(OTHER_BUT_MARK), any(NEWLINE)],
    LINE_ENDS,
    SPACES_BEFORE_LAST,
    SPACES,
]);

/// As [`QWEN2`] without newlines after signs.
pub(super) const SEED_CODER: Split = Split::Rules(&[
    CONTRACTION,
    WORD,
    &[one(NUMBER)],
    &[maybe(BLANK), some(OTHER)],
    LINE_ENDS,
    SPACES_BEFORE_LAST,
    SPACES,
]);

/// As [`LLAMA3`] with whitespace in powers of two.
pub(super) const JAIS2: Split = Split::Rules(&[
    CONTRACTION,
    WORD,
    &[UP_TO_3_NUMBERS],
    SIGNS,
    LINE_ENDS,
    &[exactly(512, SPACE), Step::NotBeforeWord],
    &[exactly(256, SPACE), Step::NotBeforeWord],
    &[exactly(128, SPACE), Step::NotBeforeWord],
    &[exactly(64, SPACE), Step::NotBeforeWord],
    &[exactly(32, SPACE), Step::NotBeforeWord],
    &[exactly(16, SPACE), Step::NotBeforeWord],
    &[exactly(8, SPACE), Step::NotBeforeWord],
    &[exactly(4, SPACE), Step::NotBeforeWord],
    &[Step::Repeat(SPACE, 1, 2), Step::NotBeforeWord],
    &[one(SPACE)],
]);

/// Words that end where a capital follows a small letter.
const CAMEL: Rule = &[maybe(LEAD), any(HUMP), some(TAIL)];
const CAPITALS: Rule = &[maybe(LEAD), some(HUMP), any(TAIL)];
const CAMEL_AND_CONTRACTION: Rule = &[maybe(LEAD), any(HUMP), some(TAIL), Step::MaybeContraction];
const CAPITALS_AND_CONTRACTION: Rule = &[maybe(LEAD), some(HUMP), any(TAIL), Step::MaybeContraction];
/// ` ?[^\s\p{L}\p{N}]+[\r\n/]*`
const SIGNS_AND_SLASHES: Rule = &[maybe(BLANK), some(OTHER), any(NEWLINE_OR_SLASH)];

pub(super) const GPT4O: Split = Split::Rules(&[
    CAMEL_AND_CONTRACTION,
    CAPITALS_AND_CONTRACTION,
    &[UP_TO_3_NUMBERS],
    SIGNS_AND_SLASHES,
    LINE_ENDS,
    SPACES_BEFORE_LAST,
    SPACES,
]);

pub(super) const YOUTU: Split = Split::Rules(&[
    CAMEL_AND_CONTRACTION,
    CAPITALS_AND_CONTRACTION,
    &[one(NUMBER)],
    SIGNS_AND_SLASHES,
    LINE_ENDS,
    SPACES_BEFORE_LAST,
    SPACES,
]);

pub(super) const TEKKEN: Split =
    Split::Rules(&[CAMEL, CAPITALS, &[one(NUMBER)], SIGNS_AND_SLASHES, LINE_ENDS, SPACES_BEFORE_LAST, SPACES]);

/// As [`GPT4O`] with ideographs in words of their own.
pub(super) const KIMI_K2: Split = Split::Rules(&[
    &[some(IDEOGRAPH)],
    &[maybe(LEAD), any(HUMP_BUT_IDEOGRAPH), some(TAIL_BUT_IDEOGRAPH), Step::MaybeContraction],
    &[maybe(LEAD), some(HUMP_BUT_IDEOGRAPH), any(TAIL_BUT_IDEOGRAPH), Step::MaybeContraction],
    &[UP_TO_3_NUMBERS],
    SIGNS,
    LINE_ENDS,
    SPACES_BEFORE_LAST,
    SPACES,
]);

/// `[ASCII sign][A-Za-z]+`
const SIGN_AND_ASCII_LETTERS: Rule = &[one(ASCII_SIGN), some(ASCII_LETTER)];
/// `[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+`
const MARKED_WORD: Rule = &[maybe(LEAD_BUT_SIGN), some(LETTER_OR_MARK)];

pub(super) const DEEPSEEK3: Split = Split::Rules(&[
    SIGN_AND_ASCII_LETTERS,
    MARKED_WORD,
    &[maybe(BLANK), some(SIGN), any(NEWLINE)],
    LINE_ENDS,
    SPACES_BEFORE_LAST,
    SPACES,
]);

pub(super) const SPARK: Split = Split::Rules(&[
    SIGN_AND_ASCII_LETTERS,
    MARKED_WORD,
    &[maybe(BLANK), some(SIGN)],
    &[one(NEWLINE)],
    SPACES_BEFORE_LAST,
    SPACES,
]);

/// ` ?[^(\s|.,!?…。，、।۔،)]+`
pub(super) const BLOOM: Split = Split::Rules(&[&[maybe(BLANK), some(BLOOM_WORD)]]);
