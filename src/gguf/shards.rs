//! The parts of a split model: their names and whether they belong together.

use super::error::GgufError;
use super::metadata::Metadata;
use std::path::{Path, PathBuf};

/// File names have five digits for it.
const MAX_PARTS: usize = 99_999;

/// What a part says about its place in a split model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// From 0.
    pub(super) number: usize,
    pub(super) count: usize,
}

impl Place {
    /// The place that `metadata` states; a model in one file is part 0 of 1.
    pub(super) fn of(metadata: &Metadata, origin: &str) -> Result<Place, GgufError> {
        let number = metadata.usize("split.no")?.unwrap_or(0);
        let count = metadata.usize("split.count")?.unwrap_or(1).max(1);
        if number >= count || count > MAX_PARTS {
            let reason =
                format!("has `split.no` {number} of `split.count` {count}, expected less, of at most {MAX_PARTS}");
            return Err(GgufError::Split { origin: origin.into(), reason });
        }
        Ok(Place { number, count })
    }
}

/// Where part `number` of `count` is, counted from 0: beside the first, with its number in the name.
pub(super) fn path_of(number: usize, count: usize, first: &Path) -> Result<PathBuf, GgufError> {
    let name = first.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match name.strip_suffix(&ending(0, count)) {
        Some(stem) => Ok(first.with_file_name(format!("{stem}{}", ending(number, count)))),
        None => {
            let ending = ending(0, count);
            let reason = format!("is part 1 of {count}, whose name must end in `{ending}` for the others to be found");
            Err(GgufError::Split { origin: format!("`{}`", first.display()), reason })
        }
    }
}

fn ending(number: usize, count: usize) -> String {
    format!("-{:05}-of-{count:05}.gguf", number + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_differ_in_their_number_only() {
        let third = path_of(2, 3, Path::new("a/m-Q4-00001-of-00003.gguf")).expect("named as the specification says");
        assert_eq!(third, Path::new("a/m-Q4-00003-of-00003.gguf"));
        assert!(path_of(2, 3, Path::new("a/m.gguf")).is_err());
    }
}
