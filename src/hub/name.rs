//! What the name of a file says: its quantization, its part of a split model.

/// The quantization that the name of a GGUF file states, in capitals, such as `Q4_K_M`, `UD-IQ2_XXS` or `BF16`: the
/// last one in it, of its folders too. `None` if there is none or it is no GGUF file.
pub fn quantization(name: &str) -> Option<String> {
    let stem = gguf_stem(name)?;
    let words: Vec<&str> = stem.split(['/', '-', '.', ' ']).collect();
    let (at, label) = words.iter().enumerate().rev().find_map(|(at, word)| Some((at, label_of(word)?)))?;
    let dynamic = at.checked_sub(1).is_some_and(|before| words[before] == "UD");
    Some(if dynamic { format!("UD-{label}") } else { label.to_owned() })
}

/// The label that `word` is or ends with after a `_`.
fn label_of(word: &str) -> Option<&str> {
    let starts = std::iter::once(0).chain(word.match_indices('_').map(|(at, _)| at + 1));
    // No label has more parts than this, and the bound keeps a long name from costing its square.
    let starts: Vec<usize> = starts.collect();
    let last = &starts[starts.len().saturating_sub(4)..];
    last.iter().map(|&start| &word[start..]).find(|rest| is_label(rest))
}

fn is_label(word: &str) -> bool {
    if matches!(word, "F16" | "BF16" | "F32" | "FP16" | "FP32" | "MXFP4" | "MXFP4_MOE" | "NVFP4") {
        return true;
    }
    let Some(rest) = word.strip_prefix(['I', 'T']).unwrap_or(word).strip_prefix('Q') else { return false };
    let mut parts = rest.split('_');
    let bits = parts.next().unwrap_or_default();
    (1..=2).contains(&bits.len())
        && bits.bytes().all(|byte| byte.is_ascii_digit())
        && parts.all(|part| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Whether `wanted`, in capitals, stands in the name of a GGUF file between separators.
pub(super) fn carries(name: &str, wanted: &str) -> bool {
    let Some(stem) = gguf_stem(name) else { return false };
    let ends = |c: char, also: char| matches!(c, '/' | '-' | '.' | ' ') || c == also;
    stem.match_indices(wanted).any(|(at, _)| {
        // `_` may come before, as in MODEL_Q4_K_M, but after Q4_K it makes another one of it.
        stem[..at].chars().next_back().is_none_or(|c| ends(c, '_'))
            && stem[at + wanted.len()..].chars().next().is_none_or(|c| ends(c, '/'))
    })
}

/// The name without extension and number of the part, in capitals; `None` if it is no GGUF file.
fn gguf_stem(name: &str) -> Option<String> {
    let stem = stem(name, "gguf")?;
    Some(part_of(stem).map_or(stem, |(stem, ..)| stem).to_ascii_uppercase())
}

pub(super) fn stem<'a>(name: &'a str, extension: &str) -> Option<&'a str> {
    has_extension(name, extension).then(|| &name[..name.len() - extension.len() - 1])
}

/// What `-00002-of-00003` at the end of a stem says: the rest, the number and the count.
pub(super) fn part_of(stem: &str) -> Option<(&str, usize, usize)> {
    let (rest, count) = stem.rsplit_once("-of-")?;
    let (rest, number) = rest.rsplit_once('-')?;
    let five = |digits: &str| digits.len() == 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !five(number) || !five(count) {
        return None;
    }
    let (number, count) = (number.parse().ok()?, count.parse().ok()?);
    (1..=count).contains(&number).then_some((rest, number, count))
}

/// Whether a GGUF file is no language model but goes with one: a projector for images, or an importance matrix.
pub(super) fn is_companion(name: &str) -> bool {
    let Some(stem) = gguf_stem(name.rsplit('/').next().unwrap_or(name)) else { return false };
    let mut words = stem.split(['-', '.', '_', ' ']);
    words.clone().any(|word| word == "MMPROJ") || (words.any(|word| word == "IMATRIX") && quantization(name).is_none())
}

/// Whether a file of that name has this extension, in any case.
pub(super) fn has_extension(name: &str, extension: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, last)| last.eq_ignore_ascii_case(extension))
}
