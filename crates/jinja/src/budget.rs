//! Limits the cost of one rendering. A template is an untrusted program: it can't loop forever, and it can't
//! use more memory than a conversation needs.

/// Steps of one rendering, besides those that grow with its input.
const STEPS: u64 = 20_000_000;

/// Bytes that one rendering may write, besides those that grow with its input.
const BYTES: u64 = 64 << 20;

/// How often a rendering may write its whole input.
const COPIES: u64 = 256;

/// Deepest nesting of calls, loops and expressions while a template runs.
const CALLS: u32 = 1500;

/// Deepest nesting of values.
pub(crate) const NESTED: u32 = 200;

/// Says why a rendering ends early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) message: String,
    /// Whether the template itself refuses the conversation.
    pub(crate) refused: bool,
}

pub(crate) type Outcome<T> = Result<T, Failure>;

pub(crate) fn fail<T>(message: impl Into<String>) -> Outcome<T> {
    Err(Failure { message: message.into(), refused: false })
}

/// Holds the remaining budget.
#[derive(Debug)]
pub(crate) struct Budget {
    steps: u64,
    bytes: u64,
    depth: u32,
}

impl Budget {
    /// Returns the budget of a rendering with `given` bytes of input.
    pub(crate) fn new(given: usize) -> Self {
        let given = given as u64;
        let bytes = BYTES.saturating_add(COPIES.saturating_mul(given));
        Self { steps: STEPS.saturating_add(COPIES.saturating_mul(given) / 64), bytes, depth: 0 }
    }

    /// Spends steps.
    pub(crate) fn spend(&mut self, steps: usize) -> Outcome<()> {
        match self.steps.checked_sub(steps as u64) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => fail("the template takes far more steps than the conversation needs"),
        }
    }

    /// Spends bytes before they are written. Reading and writing them are steps too.
    pub(crate) fn write(&mut self, bytes: usize) -> Outcome<()> {
        self.spend(1 + bytes / 64)?;
        match self.bytes.checked_sub(bytes as u64) {
            Some(left) => {
                self.bytes = left;
                Ok(())
            }
            None => fail("the template writes far more than the conversation holds"),
        }
    }

    /// Enters one level of nesting.
    pub(crate) fn enter(&mut self) -> Outcome<()> {
        self.spend(1)?;
        self.depth += 1;
        if self.depth > CALLS {
            fail("calls, loops and expressions lie too deep in each other")
        } else {
            Ok(())
        }
    }

    /// Leaves a level of nesting.
    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }
}
