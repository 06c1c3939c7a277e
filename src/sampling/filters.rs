//! Filters on the candidates for the next token. Each leaves at least one, and those it leaves likeliest first.

use super::Candidate;
use std::cmp::Ordering;

/// Likeliest first; of equals the lower token, so that the order does not depend on how it was sorted.
fn likelier(a: &Candidate, b: &Candidate) -> Ordering {
    b.logit.total_cmp(&a.logit).then(a.token.cmp(&b.token))
}

/// Logits that are looked at together; most such parts of a vocabulary have none of the likeliest.
const PART: usize = 64;

/// Makes `candidates` the `k` likeliest tokens under `logits`; all of them if `k` is 0. What is no number is left out.
pub(super) fn top_k(logits: &[f32], k: usize, candidates: &mut Vec<Candidate>) {
    candidates.clear();
    let k = if k == 0 { logits.len() } else { k };
    // What the last of the `k` likeliest so far has.
    let mut least = f32::NEG_INFINITY;
    for (part, first) in logits.chunks(PART).zip((0..).step_by(PART)) {
        // All are compared, since that goes in vectors.
        if part.iter().filter(|&&logit| logit >= least).count() == 0 {
            continue;
        }
        let tokens = part.iter().zip(first..).filter(|&(&logit, _)| logit >= least);
        candidates.extend(tokens.map(|(&logit, token)| Candidate { token, logit }));
        if candidates.len() >= k.saturating_mul(2) {
            candidates.select_nth_unstable_by(k - 1, likelier);
            candidates.truncate(k);
            least = candidates[k - 1].logit;
        }
    }
    candidates.sort_unstable_by(likelier);
    candidates.truncate(k);
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
        let mut kept = Vec::new();
        top_k(&[0.1, 0.4, f32::NAN, 0.2, 0.2, 0.1], 3, &mut kept);
        assert_eq!(tokens(&kept), [1, 3, 4]);
        top_k(&[0.1, f32::NEG_INFINITY, f32::NAN, 0.5], 0, &mut kept);
        assert_eq!(tokens(&kept), [3, 0, 1]);
    }

    #[test]
    fn top_k_of_a_vocabulary_is_what_sorting_all_of_it_gives() {
        // Rising, falling and mixed, with many equals.
        let mixed = |i: u32| (i.wrapping_mul(2_654_435_761) >> 20) as f32;
        let orders: [&dyn Fn(u32) -> f32; 4] = [&|i| i as f32, &|i| -(i as f32), &mixed, &|_| 1.0];
        for logit in orders {
            let logits: Vec<f32> = (0..5000).map(logit).collect();
            let mut all: Vec<u32> = (0..5000).collect();
            all.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]).then(a.cmp(&b)));
            for k in [1, 2, 40, 63, 64, 65, 4999, 5000, 6000] {
                let mut kept = Vec::new();
                top_k(&logits, k, &mut kept);
                assert_eq!(tokens(&kept), all[..k.min(5000)], "k = {k}");
            }
        }
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
