//! How far two distributions over the next token are apart.

/// Log-probabilities of logits, in nats.
pub(crate) fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().fold(f64::NEG_INFINITY, |largest, &logit| largest.max(logit.into()));
    let sum: f64 = logits.iter().map(|&logit| (f64::from(logit) - largest).exp()).sum();
    logits.iter().map(|&logit| f64::from(logit) - largest - sum.ln()).collect()
}

/// The Kullback-Leibler divergence of `q` from `p`, in nats, where both are logits; not a number if any of them is not.
pub(crate) fn divergence(p: &[f32], q: &[f32]) -> f64 {
    assert_eq!(p.len(), q.len(), "distributions over the same tokens");
    let (p, q) = (log_softmax(p), log_softmax(q));
    p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum()
}

/// The largest difference between values at the same place; not a number if any of them is not.
pub(crate) fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "as many values");
    // `f32::max` would drop what is not a number.
    let larger = |x: f32, y: f32| if x.is_nan() || x > y { x } else { y };
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, larger)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_divergence_is_what_its_definition_gives() {
        // Probabilities 1/4 and 3/4 against halves.
        let (p, q) = ([0.0, 3f32.ln()], [5.0, 5.0]);
        let expected = 0.25 * 0.5f64.ln() + 0.75 * 1.5f64.ln();
        assert!((divergence(&p, &q) - expected).abs() < 1e-7);
        assert_eq!(divergence(&p, &p), 0.0);
    }

    #[test]
    fn what_is_not_a_number_is_never_close() {
        let broken = [f32::NAN, 1.0];
        assert!(largest_difference(&[0.0, 1.0], &broken).is_nan());
        assert!(divergence(&[0.0, 1.0], &broken).is_nan());
        assert!(log_softmax(&broken)[1].is_nan());
    }
}
