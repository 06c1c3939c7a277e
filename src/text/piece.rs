//! The bytes of text that a token stands for, from the string that a vocabulary writes it as.

use super::vocabulary::TokenKind;
use std::borrow::Cow;

/// How a vocabulary writes text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// A printable character for each byte, as GPT-2 has it.
    ByteLevel,
    /// UTF-8 with `▁` for a space, and tokens like `<0x0A>` for bytes.
    Spaces,
    /// UTF-8 with `##` before what continues a word.
    Hashes,
}

/// How SentencePiece writes a space.
pub(crate) const SPACE: &str = "▁";

/// The bytes that the token of `kind` written `text` stands for.
pub(crate) fn bytes(text: Cow<'_, [u8]>, kind: TokenKind, spelling: Spelling) -> Cow<'_, [u8]> {
    match kind {
        TokenKind::Control | TokenKind::Unknown | TokenKind::UserDefined => text,
        TokenKind::Unused => Cow::Borrowed(&[]),
        TokenKind::Byte => byte(&text).map_or(text, |byte| Cow::Owned(vec![byte])),
        TokenKind::Normal => match spelling {
            Spelling::ByteLevel => Cow::Owned(byte_level(&text)),
            Spelling::Spaces if text.windows(SPACE.len()).any(|part| part == SPACE.as_bytes()) => {
                Cow::Owned(String::from_utf8_lossy(&text).replace(SPACE, " ").into_bytes())
            }
            Spelling::Spaces => text,
            Spelling::Hashes => Cow::Owned(match text.strip_prefix(b"##") {
                Some(rest) => rest.to_vec(),
                None => [b" ", &*text].concat(),
            }),
        },
    }
}

/// The byte that `<0x0A>` names.
pub(crate) fn byte(text: &[u8]) -> Option<u8> {
    let digits = text.strip_prefix(b"<0x")?.strip_suffix(b">")?;
    let [high, low] = digits else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()
}

/// Appends to `out` the character by which GPT-2's vocabulary writes `byte`.
pub(crate) fn write_byte_level(byte: u8, out: &mut Vec<u8>) {
    let c = CHARACTERS[byte as usize];
    // All lie below U+0800: one byte or two.
    if c < 0x80 {
        out.push(c as u8);
    } else {
        out.extend([0xC0 | (c >> 6) as u8, 0x80 | (c & 0x3F) as u8]);
    }
}

fn byte_level(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for c in String::from_utf8_lossy(text).chars() {
        match BYTES.get(c as usize) {
            Some(Some(byte)) => bytes.push(*byte),
            _ => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    bytes
}

/// Printable characters of Latin-1 stand for themselves, the others for 256 and up in order.
const CHARACTERS: [u16; 256] = {
    let mut characters = [0; 256];
    let (mut byte, mut next) = (0, 256);
    while byte < 256 {
        if matches!(byte as u8, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF) {
            characters[byte] = byte as u16;
        } else {
            characters[byte] = next;
            next += 1;
        }
        byte += 1;
    }
    characters
};

/// The inverse of [`CHARACTERS`].
const BYTES: [Option<u8>; 324] = {
    let mut bytes = [None; 324];
    let mut byte = 0;
    while byte < 256 {
        bytes[CHARACTERS[byte] as usize] = Some(byte as u8);
        byte += 1;
    }
    bytes
};

#[cfg(test)]
mod tests {
    use super::{Spelling, byte, bytes, write_byte_level};
    use crate::text::TokenKind;

    fn normal(text: &str, spelling: Spelling) -> Vec<u8> {
        bytes(text.as_bytes().into(), TokenKind::Normal, spelling).into_owned()
    }

    #[test]
    fn every_byte_survives_being_written_as_a_character() {
        for byte in 0..=255 {
            let mut text = Vec::new();
            write_byte_level(byte, &mut text);
            let text = String::from_utf8(text).expect("UTF-8");
            assert_eq!(text.chars().count(), 1);
            assert_eq!(normal(&text, Spelling::ByteLevel), [byte]);
        }
    }

    #[test]
    fn tokens_stand_for_the_bytes_that_their_spelling_says() {
        assert_eq!(normal("ĠworldĊ", Spelling::ByteLevel), b" world\n");
        assert_eq!(normal("▁a▁b", Spelling::Spaces), b" a b");
        assert_eq!(normal("##ing", Spelling::Hashes), b"ing");
        assert_eq!(normal("go", Spelling::Hashes), b" go");
        assert_eq!(bytes(b"<0xE2>"[..].into(), TokenKind::Byte, Spelling::Spaces)[..], [0xE2]);
        assert_eq!(bytes("Ġ<s>".as_bytes().into(), TokenKind::Control, Spelling::ByteLevel)[..], *"Ġ<s>".as_bytes());
    }

    #[test]
    fn a_byte_token_that_names_no_byte_is_not_one() {
        for text in ["<0x>", "<0x1>", "<0x123>", "<0xGG>", "<0x+1>", "0x41", ""] {
            assert_eq!(byte(text.as_bytes()), None, "{text}");
        }
    }
}
