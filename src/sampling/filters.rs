//! Filters on the candidates for the next token. Each leaves at least one, and those it leaves likeliest first.

use super::Candidate;
use std::cmp::Ordering;

/// Likeliest first; of equals the lower token, so that the order does not depend on how it was sorted.
fn likelier(a: &Candidate, b: &Candidate) -> Ordering {
    b.logit.total_cmp(&a.logit).then(a.token.cmp(&b.token))
}

/// Keeps the `k` likeliest; all of them if `k` is 0.
pub(super) fn top_k(candidates: &mut Vec<Candidate>, k: usize) {
    if k > 0 && k < candidates.len() {
        candidates.select_nth_unstable_by(k - 1, likelier);
        candidates.truncate(k);
    }
    candidates.sort_unstable_by(likelier);
}

/// Keeps the fewest of the likeliest whose probabilities add up to `p`. Expects likeliest first.
pub(super) fn top_p(candidates: &mut Vec<Candidate>, p: f32) {
    let Some(best) = candidates.first().map(|best| best.logit) else { return };
    if p >= 1.0 {
        return;
    }
    let weight = |candidate: &Candidate| f64::from(candidate.logit - best).exp();
    let wanted = f64::from(p) * candidates.iter().map(weight).sum::<f64>();
    let mut sum = 0.0;
    let n_below = candidates.iter().take_while(|candidate| {
        let goes_on = sum < wanted;
        sum += weight(candidate);
        goes_on
    });
    let n = n_below.count().max(1);
    candidates.truncate(n);
}

/// Keeps those at least `p` times as likely as the likeliest. Expects likeliest first.
pub(super) fn min_p(candidates: &mut Vec<Candidate>, p: f32) {
    let Some(best) = candidates.first().map(|best| best.logit) else { return };
    let least = best + p.ln();
    let n = candidates.partition_point(|candidate| candidate.logit >= least).max(1);
    candidates.truncate(n);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(probabilities: &[f32]) -> Vec<Candidate> {
        (0..).zip(probabilities).map(|(token, p)| Candidate { token, logit: p.ln() }).collect()
    }

    fn tokens(candidates: &[Candidate]) -> Vec<u32> {
        candidates.iter().map(|candidate| candidate.token).collect()
    }

    #[test]
    fn top_k_keeps_the_likeliest_in_order() {
        let mut some = candidates(&[0.1, 0.4, 0.2, 0.2, 0.1]);
        top_k(&mut some, 3);
        assert_eq!(tokens(&some), [1, 2, 3]);
        let mut all = candidates(&[0.1, 0.4, 0.5]);
        top_k(&mut all, 0);
        assert_eq!(tokens(&all), [2, 1, 0]);
    }

    #[test]
    fn top_p_keeps_what_is_needed_and_no_more() {
        for (p, kept) in [(0.0, 1), (0.45, 1), (0.55, 2), (0.85, 3), (1.0, 4)] {
            let mut some = candidates(&[0.5, 0.3, 0.15, 0.05]);
            top_p(&mut some, p);
            assert_eq!(some.len(), kept, "p = {p}");
        }
    }

    #[test]
    fn min_p_is_relative_to_the_likeliest() {
        for (p, kept) in [(0.0, 4), (0.2, 3), (0.5, 2), (1.0, 1)] {
            let mut some = candidates(&[0.5, 0.3, 0.15, 0.05]);
            min_p(&mut some, p);
            assert_eq!(some.len(), kept, "p = {p}");
        }
    }
}
