//! One token of each sequence: its input and its result.

/// Holds the token that a sequence reads in a decoding step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DecodeFeed {
    /// The token.
    pub token: u32,
    /// How the next token is drawn on the device; unset, the step returns scores.
    pub draw: Option<Draw>,
}

/// Draws a token from the whole distribution, without truncation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draw {
    /// A number from 0 to 1, at which the inverse cumulative distribution is taken. Unset, the first of the
    /// likeliest tokens is taken.
    pub uniform: Option<f64>,
    /// Factor of the logits: 1 over the temperature.
    pub factor: f32,
}

/// Holds the result of a decoding step for one sequence.
#[derive(Debug, Clone, PartialEq)]
pub enum Decoded {
    /// A token that the device drew.
    Drawn {
        /// The token.
        token: u32,
        /// `log_softmax(factor · logits)` at the token, in nats.
        logprob: f32,
    },
    /// The logits, `V` of them.
    Logits(Vec<f32>),
}

impl DecodeFeed {
    /// Returns what the kernels read of it: token, slot, position, uniform number and factor.
    pub(super) fn words(&self, slot: usize, position: usize) -> [u32; 5] {
        let draw = self.draw.unwrap_or(Draw { uniform: None, factor: 1.0 });
        // A negative number stands for the likeliest.
        let uniform = draw.uniform.map_or(-1.0, |uniform| uniform as f32);
        [self.token, slot as u32, position as u32, uniform.to_bits(), draw.factor.to_bits()]
    }
}
