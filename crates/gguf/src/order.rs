//! Places of rows and columns, where a file has another order than a folder.

use crate::architecture::{DeltaNet, Other, Shape};

/// Finds the place in a file of a folder's row or column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Rows of queries and keys, in heads of `dim`. llama.cpp rotates neighbouring pairs for the llama
    /// architecture, and Hugging Face the halves of a head.
    Pairs { dim: usize },
    /// Heads of values, each of `size`, after `skip` others. A folder has the `each` heads of a key's head
    /// side by side, and a file has the first ones of all `groups` first.
    Dealt { skip: usize, size: usize, groups: usize, each: usize },
}

impl Order {
    /// Returns the place in the file.
    pub(crate) fn source(self, at: usize) -> usize {
        match self {
            Self::Pairs { dim } => {
                let (head, within) = (at / dim, at % dim);
                // Row `p · dim/2 + i` of the halves is row `2 i + p` of the pairs.
                let (half, pair) = (within / (dim / 2), within % (dim / 2));
                head * dim + 2 * pair + half
            }
            Self::Dealt { skip, size, groups, each } => {
                let Some(behind) = at.checked_sub(skip) else { return at };
                let (head, within) = (behind / size, behind % size);
                skip + (head % each * groups + head / each) * size + within
            }
        }
    }
}

/// Orders of the rows and of the columns of a tensor.
pub(crate) type Orders = (Option<Order>, Option<Order>);

impl Shape {
    /// Returns the orders in which a tensor of the file differs from the folder's.
    pub(crate) fn orders(&self, gguf: &str) -> Orders {
        let part = gguf.split('.').nth(2).unwrap_or_default();
        if self.architecture.interleaved && matches!(part, "attn_q" | "attn_k") {
            return (Some(Order::Pairs { dim: self.dim }), None);
        }
        match self.others.as_ref().map(|others| others.kind) {
            Some(Other::DeltaNet(delta)) => delta.orders(part),
            _ => (None, None),
        }
    }
}

impl DeltaNet {
    fn orders(self, part: &str) -> Orders {
        let (groups, each) = (self.key_heads, self.value_heads / self.key_heads);
        let dealt = |skip, size| Some(Order::Dealt { skip, size, groups, each });
        match part {
            "attn_qkv" | "ssm_conv1d" => (dealt(2 * self.key_heads * self.key_dim, self.value_dim), None),
            "attn_gate" => (dealt(0, self.value_dim), None),
            "ssm_beta" | "ssm_alpha" | "ssm_a" | "ssm_dt" => (dealt(0, 1), None),
            "ssm_out" => (None, dealt(0, self.value_dim)),
            _ => (None, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_one_source() {
        let check = |order: Order, count: usize, expect: &[usize]| {
            let found: Vec<usize> = (0..count).map(|at| order.source(at)).collect();
            assert_eq!(&found[..expect.len()], expect, "{order:?}");
            let mut all = found;
            all.sort_unstable();
            assert!(all.into_iter().eq(0..count), "{order:?}");
        };
        check(Order::Pairs { dim: 4 }, 8, &[0, 2, 1, 3, 4, 6, 5, 7]);
        // Heads 0 and 1 belong to the first key, 2 and 3 to the second.
        check(Order::Dealt { skip: 0, size: 1, groups: 2, each: 2 }, 4, &[0, 2, 1, 3]);
        check(Order::Dealt { skip: 3, size: 2, groups: 2, each: 2 }, 11, &[0, 1, 2, 3, 4, 7, 8, 5, 6, 9, 10]);
        check(Order::Dealt { skip: 0, size: 1, groups: 2, each: 3 }, 6, &[0, 2, 4, 1, 3, 5]);
    }
}
