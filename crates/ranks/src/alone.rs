//! One process that is a whole run.

use crate::ranks::Ranks;

/// Is the only rank.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Ranks for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn gather_all(&self, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        vec![bytes]
    }

    fn exchange(&self, values: Vec<f32>, _counts: &[usize], _expected: &[usize]) -> Vec<f32> {
        values
    }

    fn share_out(&self, mine: Vec<f32>, _counts: &[usize]) -> Vec<f32> {
        mine
    }

    fn say(&self, bytes: Vec<u8>) -> Vec<u8> {
        bytes
    }

    fn hand_over(&self, _from: usize, bytes: Vec<u8>) -> Vec<u8> {
        bytes
    }

    fn finish(&self) {}

    fn abort(&self, status: i32) -> ! {
        std::process::exit(status)
    }
}
