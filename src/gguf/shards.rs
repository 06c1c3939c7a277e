//! The parts of a split model: their names and whether they belong together.

use super::error::GgufError;
use super::metadata::Metadata;
use std::path::{Path, PathBuf};

/// What a part says about its place in a split model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// From 0.
    pub(super) number: usize,
    pub(super) count: usize,
}

impl Place {
    /// The place that `metadata` states; a model in one file is part 0 of 1.
    pub(super) fn of(metadata: &Metadata) -> Result<Place, GgufError> {
        let number = metadata.usize("split.no")?.unwrap_or(0);
        let count = metadata.usize("split.count")?.unwrap_or(1).max(1);
        Ok(Place { number, count })
    }
}

/// Where the parts after the first are: beside it, with their number in its place.
pub(super) fn siblings(first: &Path, count: usize) -> Result<Vec<PathBuf>, GgufError> {
    let name = first.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some(stem) = name.strip_suffix(&ending(1, count)) else {
        let reason = format!(
            "is part 1 of {count}, but the others cannot be found unless its name ends in `{}`",
            ending(1, count)
        );
        return Err(GgufError::Split { origin: format!("`{}`", first.display()), reason });
    };
    Ok((2..=count).map(|number| first.with_file_name(format!("{stem}{}", ending(number, count)))).collect())
}

fn ending(number: usize, count: usize) -> String {
    format!("-{number:05}-of-{count:05}.gguf")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siblings_differ_in_their_number_only() {
        let paths = siblings(Path::new("a/m-Q4-00001-of-00003.gguf"), 3).expect("named as the specification says");
        assert_eq!(paths, [Path::new("a/m-Q4-00002-of-00003.gguf"), Path::new("a/m-Q4-00003-of-00003.gguf")]);
        assert!(siblings(Path::new("a/m.gguf"), 3).is_err());
    }
}
