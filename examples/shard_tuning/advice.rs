//! The advice that follows from the medians.

/// The least speed-up that justifies more shards, as each is an actor with a map of its own.
pub(crate) const TOLERANCE: f64 = 1.1;

pub(crate) struct Advice {
    /// Time per join as a multiple of the best count's under the same shape: by count, by shape.
    pub(crate) relative: Vec<Vec<f64>>,
    /// The geometric mean of each count's multiples.
    pub(crate) overall: Vec<f64>,
    /// The index of the recommended count.
    pub(crate) choice: usize,
}

impl Advice {
    /// From the medians, by count in ascending order and by shape.
    pub(crate) fn of(medians: &[Vec<f64>]) -> Self {
        let best = |column: usize| least(medians.iter().map(|row| row[column]));
        let relative: Vec<Vec<f64>> = medians
            .iter()
            .map(|row| row.iter().enumerate().map(|(column, median)| median / best(column)).collect())
            .collect();
        let overall: Vec<f64> = relative.iter().map(|row| geometric_mean(row)).collect();
        let mut advice = Self { relative, overall, choice: 0 };
        advice.choice = (0..medians.len()).find(|row| advice.is_near_the_best(*row)).unwrap_or(0);
        advice
    }

    pub(crate) fn is_near_the_best(&self, row: usize) -> bool {
        self.overall[row] <= least(self.overall.iter().copied()) * TOLERANCE
    }
}

fn least(numbers: impl Iterator<Item = f64>) -> f64 {
    numbers.fold(f64::INFINITY, f64::min)
}

fn geometric_mean(numbers: &[f64]) -> f64 {
    (numbers.iter().map(|number| number.ln()).sum::<f64>() / numbers.len() as f64).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(medians: &[&[f64]]) -> usize {
        Advice::of(&medians.iter().map(|row| row.to_vec()).collect::<Vec<_>>()).choice
    }

    #[test]
    fn the_smallest_within_tolerance_is_recommended() {
        assert_eq!(choice(&[&[109.0], &[100.0], &[105.0]]), 0);
        assert_eq!(choice(&[&[111.0], &[105.0], &[100.0]]), 1);
        assert_eq!(choice(&[&[400.0], &[200.0], &[100.0]]), 2);
    }

    #[test]
    fn every_shape_has_the_same_weight() {
        // Twice as fast in one and half as fast in the other: no difference, so the smaller.
        assert_eq!(choice(&[&[10.0, 2_000.0], &[20.0, 1_000.0]]), 0);
        assert_eq!(choice(&[&[10.0, 3_000.0], &[20.0, 1_000.0]]), 1);
    }

    #[test]
    fn the_best_of_a_column_is_one() {
        let advice = Advice::of(&[vec![10.0, 3.0], vec![20.0, 1.0]]);
        assert_eq!(advice.relative, [[1.0, 3.0], [2.0, 1.0]]);
        assert!((advice.overall[0] - 3.0_f64.sqrt()).abs() < 1e-9);
    }
}
