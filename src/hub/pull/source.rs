//! Where the bytes of a file come from.

use super::client::{Answer, Client, shown};
use super::digest::Digest;
use super::error::PullError;
use super::refusal::{Asked, accept};
use super::retry::Failure;
use std::{
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};
use ureq::http::{StatusCode, Uri};

/// A file of a repository at the Hub.
pub(super) struct Source<'a> {
    pub(super) client: &'a Client,
    pub(super) asked: Asked<'a>,
    pub(super) address: Uri,
    pub(super) size_bytes: u64,
    pub(super) digest: &'a Digest,
    /// Where the Hub redirects to, so that it is not asked again for each part.
    pub(super) storage: Mutex<Option<Uri>>,
}

impl Source<'_> {
    /// The answer with exactly these bytes in its body, as far as its head tells; all of them without a range.
    pub(super) fn open(&self, range: Option<Range<u64>>) -> Result<Answer, Failure> {
        let storage = self.storage().clone();
        let opened = self.open_at(storage.as_ref().unwrap_or(&self.address), range);
        // After a failure the Hub may know a better place.
        *self.storage() = match &opened {
            Ok(answer) if !self.client.is_endpoint(&answer.uri) => Some(answer.uri.clone()),
            _ => None,
        };
        opened
    }

    fn open_at(&self, address: &Uri, range: Option<Range<u64>>) -> Result<Answer, Failure> {
        let answer = self.client.get(address, range.clone())?;
        let answer = accept(self.client, answer, &self.asked)?;
        self.check_promise(&answer)?;
        self.check(&answer, range)?;
        Ok(answer)
    }

    fn storage(&self) -> MutexGuard<'_, Option<Uri>> {
        self.storage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses content that the Hub itself says is another than it has listed.
    fn check_promise(&self, answer: &Answer) -> Result<(), Failure> {
        let promised = answer.linked.as_deref().map(|etag| etag.trim_start_matches("W/").trim_matches('"'));
        let expected = self.digest.text();
        match promised.filter(|promised| promised.len() == expected.len() && *promised != expected) {
            Some(promised) => {
                let reason =
                    format!("it offers the content {promised} now, but has listed {expected}\nhint: try again");
                Err(PullError::Network { what: shown(&answer.uri), reason }.into())
            }
            None => Ok(()),
        }
    }

    fn check(&self, answer: &Answer, range: Option<Range<u64>>) -> Result<(), Failure> {
        let named_page = self.asked.file.is_some_and(|name| name.ends_with(".html") || name.ends_with(".htm"));
        if answer.is_page() && !named_page {
            return Err(Failure::again(format!("{} answers with a web page in place of the file", shown(&answer.uri))));
        }
        let announced = answer.body.content_length();
        match (answer.status, range) {
            (StatusCode::PARTIAL_CONTENT, Some(range)) => {
                let expected = range.end - range.start;
                let right = answer.header("content-range").is_some_and(|text| self.is_range(text, &range));
                let fits = announced.is_none_or(|announced| announced == expected);
                if right && fits { Ok(()) } else { Err(Failure::NoRanges) }
            }
            (StatusCode::OK, Some(_)) => Err(Failure::NoRanges),
            (StatusCode::OK, None) => match announced.filter(|&announced| announced != self.size_bytes) {
                Some(announced) => {
                    let (from, size) = (shown(&answer.uri), self.size_bytes);
                    Err(Failure::again(format!("{from} announces {announced} bytes, but the Hub lists {size}")))
                }
                None => Ok(()),
            },
            _ => Err(Failure::again(format!("{} answers {}", shown(&answer.uri), answer.status))),
        }
    }

    /// Whether a header `Content-Range` says what was asked for.
    ///
    /// Source: RFC 9110, section 14.4.
    fn is_range(&self, text: &str, range: &Range<u64>) -> bool {
        let expected = format!("{}-{}", range.start, range.end - 1);
        let Some((unit, (bytes, size))) =
            text.split_once(' ').and_then(|(unit, rest)| Some((unit, rest.split_once('/')?)))
        else {
            return false;
        };
        unit.eq_ignore_ascii_case("bytes")
            && bytes.trim() == expected
            && (size == "*" || size == self.size_bytes.to_string())
    }
}
