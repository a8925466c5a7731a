//! Cosines and sines of all positions so far, on the device.

use cubecl::client::Client;
use cubecl::prelude::CubeElement;

use super::bridge::Buffer;
use crate::layers::rope::{angle, frequencies};
use crate::rope_config::RopeConfig;

/// Positions of the first table.
const POSITIONS: usize = 256;

/// Holds the rotation of every position below a bound.
pub(super) struct Table {
    pub(super) rope: RopeConfig,
    positions: usize,
    pub(super) buffer: Buffer,
}

impl Table {
    pub(super) fn new(rope: &RopeConfig, client: &Client) -> Self {
        let buffer = upload(rope, POSITIONS, client);
        Self { rope: rope.clone(), positions: POSITIONS, buffer }
    }

    /// Makes sure that positions below `positions` are in the table.
    pub(super) fn reach(&mut self, positions: usize, client: &Client) {
        if positions > self.positions {
            self.positions = positions.next_power_of_two();
            self.buffer = upload(&self.rope, self.positions, client);
        }
    }
}

fn upload(rope: &RopeConfig, positions: usize, client: &Client) -> Buffer {
    Buffer::new(client.create_from_slice(f32::as_bytes(&values(rope, positions))))
}

/// Returns cosines, sines and the factor of queries for each position, `2·pairs + 1` numbers.
fn values(rope: &RopeConfig, positions: usize) -> Vec<f32> {
    let gain = rope.attention_factor();
    let mut of_position = frequencies(rope, 1);
    let mut values = Vec::with_capacity(positions * (rope.rotated + 1));
    for position in 0..positions {
        if rope.depends_on_length() {
            of_position = frequencies(rope, position + 1);
        }
        let angles = || of_position.iter().map(|&frequency| angle(position, frequency));
        values.extend(angles().map(|angle| (gain * angle.cos()) as f32));
        values.extend(angles().map(|angle| (gain * angle.sin()) as f32));
        values.push(rope.growth(position) as f32);
    }
    values
}
