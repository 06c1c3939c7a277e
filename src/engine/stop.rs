//! Stop strings: ends an answer before any of them, without ever showing a part of one.

/// Looks for stop strings in text that comes in pieces.
#[derive(Clone, Debug)]
pub(super) struct StopStrings {
    stops: Vec<String>,
    /// Text that may turn out to begin a stop string.
    held: String,
}

impl StopStrings {
    /// Empty strings are left out: they would stop everything.
    pub(super) fn new(stops: &[String]) -> StopStrings {
        StopStrings { stops: stops.iter().filter(|stop| !stop.is_empty()).cloned().collect(), held: String::new() }
    }

    /// Adds `text`; gives what may be shown, and whether a stop string has come.
    pub(super) fn push(&mut self, text: &str) -> (String, bool) {
        self.held.push_str(text);
        if let Some(at) = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min() {
            self.held.truncate(at);
            return (std::mem::take(&mut self.held), true);
        }
        let keep_from = self.held.len() - self.longest_beginning();
        let kept = self.held.split_off(keep_from);
        (std::mem::replace(&mut self.held, kept), false)
    }

    /// What is held back when the answer ends without a stop string.
    pub(super) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Bytes at the end of `held` that begin a stop string.
    fn longest_beginning(&self) -> usize {
        let begins = |stop: &String| {
            let most = stop.len().min(self.held.len() + 1).saturating_sub(1);
            (1..=most).rev().find(|&n| self.held.as_bytes().ends_with(&stop.as_bytes()[..n]))
        };
        let longest = self.stops.iter().filter_map(begins).max().unwrap_or(0);
        // A beginning may cut a character of the stop string, but not of the text.
        (longest..=self.held.len()).find(|n| self.held.is_char_boundary(self.held.len() - n)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(stops: &[&str], pieces: &[&str]) -> (String, bool) {
        let mut strings = StopStrings::new(&stops.iter().map(|&stop| stop.to_owned()).collect::<Vec<_>>());
        let mut all = String::new();
        for piece in pieces {
            let (text, stopped) = strings.push(piece);
            all += &text;
            if stopped {
                return (all, true);
            }
        }
        (all + &strings.finish(), false)
    }

    #[test]
    fn a_stop_string_across_pieces_is_never_shown() {
        assert_eq!(shown(&["END"], &["ab E", "N", "D cd"]), ("ab ".into(), true));
        assert_eq!(shown(&["END"], &["ab E", "N", "T"]), ("ab ENT".into(), false));
        assert_eq!(shown(&["END"], &["ab EN"]), ("ab EN".into(), false));
    }

    #[test]
    fn the_earliest_of_several_counts() {
        assert_eq!(shown(&["yy", "x"], &["a x yy"]), ("a ".into(), true));
        assert_eq!(shown(&["", "é"], &["aè", "é"]), ("aè".into(), true));
    }

    #[test]
    fn what_cannot_begin_a_stop_string_is_shown_at_once() {
        let mut strings = StopStrings::new(&["\n\n".into()]);
        assert_eq!(strings.push("one\n"), ("one".into(), false));
        assert_eq!(strings.push("two"), ("\ntwo".into(), false));
    }
}
