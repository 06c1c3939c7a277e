//! Pins: which commit and which bytes a reference stands for, kept in a file beside the scripts that use it.

mod error;
mod text;

pub use error::PinError;

use super::{
    cache::Resolved,
    error::quote,
    name::{part_of, stem},
    reference::HubReference,
    select::{ListedFile, Selection, select},
};
use crate::hash::{Algorithm, Hashed};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

/// The models that a lock file pins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins {
    /// By reference, each once.
    pub models: Vec<PinnedModel>,
}

/// What a reference stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedModel {
    /// The reference in its canonical form.
    pub reference: String,
    /// Owner and name.
    pub repo: String,
    /// The commit.
    pub commit: String,
    /// By name, each once.
    pub files: Vec<PinnedFile>,
}

/// A file of a pinned model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedFile {
    /// Path within the repository, with `/` between folders.
    pub name: String,
    /// Its length.
    pub size_bytes: u64,
    /// Of its content, in lower case hexadecimal digits.
    pub sha256: String,
}

/// Far more than a hand could review.
const LONGEST_FILE: u64 = 4 << 20;

impl Pins {
    /// Reads a lock file.
    ///
    /// # Errors
    /// [`PinError`] when it cannot be read or is not as [`Pins::write`] leaves it; line ends may be those of Windows.
    pub fn read(path: &Path) -> Result<Pins, PinError> {
        let io = |source| PinError::Io { what: "read", path: path.into(), source };
        let mut bytes = Vec::new();
        File::open(path).and_then(|file| file.take(LONGEST_FILE + 1).read_to_end(&mut bytes)).map_err(io)?;
        if bytes.len() as u64 > LONGEST_FILE {
            return Err(PinError::Malformed { line: 1, reason: "the file is too long to be a lock file".into() });
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|&&b| b == b'\n').count();
            PinError::Malformed { line, reason: "is not UTF-8 text".into() }
        })?;
        Pins::parse(&text)
    }

    /// Understands the text of a lock file.
    ///
    /// # Errors
    /// [`PinError::Malformed`] with the line.
    pub fn parse(text: &str) -> Result<Pins, PinError> {
        text::parse(text)
    }

    /// The text of a lock file: the same pins give the same bytes.
    pub fn to_text(&self) -> String {
        text::to_text(self)
    }

    /// Writes a lock file; whoever reads it meanwhile finds the old one or the new one, whole.
    ///
    /// # Errors
    /// [`PinError::Io`] when the system refuses.
    pub fn write(&self, path: &Path) -> Result<(), PinError> {
        let io = |source| PinError::Io { what: "write", path: path.into(), source };
        // A link stays one.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.into());
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        let temporary = target.with_file_name(name);
        let written = File::create(&temporary)
            .and_then(|mut file| file.write_all(self.to_text().as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&temporary, &target));
        written.map_err(|error| {
            // What is left is of no use, and the first error tells more.
            let _ = fs::remove_file(&temporary);
            io(error)
        })
    }

    /// What `reference` is pinned to.
    ///
    /// # Errors
    /// [`PinError::NotPinned`] when it is not.
    pub fn find(&self, reference: &HubReference) -> Result<&PinnedModel, PinError> {
        let reference = reference.to_string();
        let found = self.models.iter().find(|model| model.reference == reference);
        found.ok_or_else(|| PinError::NotPinned { reference, pinned: self.enumerate() })
    }

    /// Pins a model, instead of what its reference was pinned to before.
    pub fn set(&mut self, model: PinnedModel) {
        match self.models.binary_search_by(|it| it.reference.cmp(&model.reference)) {
            Ok(at) => self.models[at] = model,
            Err(at) => self.models.insert(at, model),
        }
    }

    /// Refuses what lies at `path`, a GGUF file or a folder with safetensors, unless each of its files is pinned, all for
    /// the same model.
    ///
    /// # Errors
    /// [`PinError::Extra`] with the file that is not, [`PinError::Io`] when one cannot be read.
    pub fn check_path(&self, path: &Path, progress: &mut dyn FnMut(u64)) -> Result<(), PinError> {
        let mut candidates: Vec<&PinnedModel> = self.models.iter().collect();
        for file in local_files(path)? {
            let sha256 = sha256(&file, progress)?.hex;
            candidates.retain(|model| model.files.iter().any(|pinned| pinned.sha256 == sha256));
            if candidates.is_empty() {
                let (model, name) = (path.display().to_string(), file.display().to_string());
                return Err(PinError::Extra { model, name, sha256 });
            }
        }
        Ok(())
    }

    fn enumerate(&self) -> String {
        super::error::enumerate(self.models.iter().map(|model| quote(&model.reference)))
    }
}

impl PinnedModel {
    /// What `reference` stands for now; reads all of its files.
    ///
    /// # Errors
    /// [`PinError::Io`] when one cannot be read.
    pub fn of(
        reference: &HubReference,
        resolved: &Resolved,
        progress: &mut dyn FnMut(u64),
    ) -> Result<PinnedModel, PinError> {
        let mut files = Vec::with_capacity(resolved.files.len());
        for file in &resolved.files {
            let Hashed { size_bytes, hex } = sha256(&file.path, progress)?;
            files.push(PinnedFile { name: file.name.clone(), size_bytes, sha256: hex });
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let (repo, commit) = (reference.repo().to_owned(), resolved.revision.clone());
        Ok(PinnedModel { reference: reference.to_string(), repo, commit, files })
    }

    /// The reference at the pinned commit: wherever its branch has gone since.
    ///
    /// # Errors
    /// [`PinError::Hub`] when the commit could not be that of a reference.
    pub fn at_commit(&self, reference: &HubReference) -> Result<HubReference, PinError> {
        Ok(reference.at_revision(&self.commit)?)
    }

    /// Refuses a model other than the pinned one; reads all of its files.
    ///
    /// # Errors
    /// [`PinError`] that names the commit, or the file with both hashes, or what is missing or too much.
    pub fn check(&self, resolved: &Resolved, progress: &mut dyn FnMut(u64)) -> Result<(), PinError> {
        if resolved.revision != self.commit {
            let (found, pinned) = (resolved.revision.clone(), self.commit.clone());
            return Err(PinError::OtherCommit { repo: self.repo.clone(), found, pinned });
        }
        let there: BTreeSet<&str> = resolved.files.iter().map(|file| file.name.as_str()).collect();
        if let Some(missing) = self.files.iter().find(|file| !there.contains(file.name.as_str())) {
            let (name, sha256) = (missing.name.clone(), missing.sha256.clone());
            return Err(PinError::Lacks { model: self.reference.clone(), name, sha256 });
        }
        for file in &resolved.files {
            let Hashed { size_bytes, hex } = sha256(&file.path, progress)?;
            let (model, name) = (self.reference.clone(), file.name.clone());
            let Some(pinned) = self.files.iter().find(|pinned| pinned.name == file.name) else {
                return Err(PinError::Extra { model, name, sha256: hex });
            };
            if pinned.sha256 != hex || pinned.size_bytes != size_bytes {
                return Err(PinError::OtherContent {
                    model,
                    name,
                    found: hex,
                    found_bytes: size_bytes,
                    pinned: pinned.sha256.clone(),
                    pinned_bytes: pinned.size_bytes,
                });
            }
        }
        Ok(())
    }
}

fn sha256(path: &Path, progress: &mut dyn FnMut(u64)) -> Result<Hashed, PinError> {
    Algorithm::Sha256.hash(path, progress).map_err(|source| PinError::Io { what: "read", path: path.into(), source })
}

/// The files that opening `path` reads: the parts of a GGUF model, or what is of a model in safetensors.
fn local_files(path: &Path) -> Result<Vec<PathBuf>, PinError> {
    let io = |source| PinError::Io { what: "read", path: path.into(), source };
    if !path.is_dir() {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let parts = stem(name, "gguf").and_then(|stem| Some((part_of(stem)?, &name[stem.len()..])));
        let Some(((stem, _, count), extension)) = parts else { return Ok(vec![path.into()]) };
        let part = |number| path.with_file_name(format!("{stem}-{number:05}-of-{count:05}{extension}"));
        return Ok((1..=count).map(part).collect());
    }
    let mut listed = Vec::new();
    for entry in fs::read_dir(path).map_err(io)? {
        let name = entry.map_err(io)?.file_name().to_string_lossy().into_owned();
        // A folder is opened for its safetensors, whatever else is in it.
        if stem(&name, "gguf").is_none() {
            listed.push(ListedFile { name, size_bytes: None });
        }
    }
    match select(&listed, None) {
        Ok(Selection::Safetensors(files) | Selection::Gguf(files)) => {
            Ok(files.iter().map(|file| path.join(&file.name)).collect())
        }
        Err(source) => Err(io(io::Error::new(io::ErrorKind::InvalidData, format!("it {source}")))),
    }
}
