//! What one rendering may cost. A template is somebody else's program: it can't loop for ever, and it can't ask for more
//! memory than a conversation needs.

/// Steps that one rendering may take besides those that grow with what it is given.
const STEPS: u64 = 20_000_000;

/// Bytes that one rendering may write besides those that grow with what it is given.
const BYTES: u64 = 64 << 20;

/// How often what is given may be written over.
const COPIES: u64 = 256;

/// How deep calls, loops and expressions may lie in each other while a template runs.
const CALLS: u32 = 1500;

/// How deep values may lie in each other.
pub(super) const NESTED: u32 = 200;

/// Why a rendering ends early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) message: String,
    /// The template itself says so.
    pub(super) refused: bool,
}

pub(super) type Outcome<T> = Result<T, Failure>;

pub(super) fn fail<T>(message: impl Into<String>) -> Outcome<T> {
    Err(Failure { message: message.into(), refused: false })
}

/// What is left.
#[derive(Debug)]
pub(super) struct Budget {
    steps: u64,
    bytes: u64,
    depth: u32,
}

impl Budget {
    /// The budget of a rendering that is given so many bytes.
    pub(super) fn new(given: usize) -> Self {
        let given = given as u64;
        let bytes = BYTES.saturating_add(COPIES.saturating_mul(given));
        Self { steps: STEPS.saturating_add(COPIES.saturating_mul(given) / 64), bytes, depth: 0 }
    }

    /// Takes steps.
    pub(super) fn spend(&mut self, steps: usize) -> Outcome<()> {
        match self.steps.checked_sub(steps as u64) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => fail("the template takes far more steps than the conversation needs"),
        }
    }

    /// Takes bytes, before they are written. Reading and writing them are steps too.
    pub(super) fn write(&mut self, bytes: usize) -> Outcome<()> {
        self.spend(1 + bytes / 64)?;
        match self.bytes.checked_sub(bytes as u64) {
            Some(left) => {
                self.bytes = left;
                Ok(())
            }
            None => fail("the template writes far more than the conversation holds"),
        }
    }

    /// Takes the bytes of so many values.
    pub(super) fn values(&mut self, values: usize) -> Outcome<()> {
        self.spend(values)?;
        self.write(values.saturating_mul(size_of::<super::value::Value>()))
    }

    /// Goes one level deeper.
    pub(super) fn enter(&mut self) -> Outcome<()> {
        self.spend(1)?;
        self.depth += 1;
        if self.depth > CALLS {
            fail("calls, loops and expressions lie too deep in each other")
        } else {
            Ok(())
        }
    }

    /// Comes back.
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }
}
