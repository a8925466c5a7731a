//! Decides which rows go through the model together.

/// Groups rows into micro-batches of at most `budget` tokens and returns their indices. The budget counts
/// padding unless rows are packed. Rows of similar length share a micro-batch; a longer row than the budget
/// is alone. At least `at_least` micro-batches are made where there are enough rows, so that no worker is
/// idle.
pub(crate) fn plan(lengths: &[usize], budget: usize, at_least: usize, packed: bool) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&row| (std::cmp::Reverse(lengths[row]), row));
    let share = lengths.iter().sum::<usize>().div_ceil(at_least.max(1));
    let budget = budget.min(share.max(1));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut filled = 0;
    for row in order {
        // Rows come longest first, so the first row of a micro-batch is its width.
        let width = |batch: &[usize]| if packed { lengths[row] } else { lengths[batch[0]] };
        match batches.last_mut() {
            Some(batch) if filled + width(batch) <= budget => {
                filled += width(batch);
                batch.push(row);
            }
            _ => {
                filled = lengths[row];
                batches.push(vec![row]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_once_within_the_budget() {
        let lengths = [5, 100, 7, 30, 31, 29, 6, 0];
        for (budget, packed) in
            [1, 64, 90, 1000].into_iter().flat_map(|budget| [(budget, false), (budget, true)])
        {
            let batches = plan(&lengths, budget, 1, packed);
            let mut rows: Vec<usize> = batches.concat();
            rows.sort_unstable();
            assert_eq!(rows, (0..lengths.len()).collect::<Vec<_>>());
            for batch in &batches {
                let width = batch.iter().map(|&row| lengths[row]).max().unwrap();
                let tokens: usize = batch.iter().map(|&row| lengths[row]).sum();
                let tokens = if packed { tokens } else { batch.len() * width };
                assert!(batch.len() == 1 || tokens <= budget);
            }
        }
        assert_eq!(plan(&[10; 8], 1000, 2, true).len(), 2);
        assert_eq!(plan(&[], 10, 2, true), Vec::<Vec<usize>>::new());
    }
}
