//! An answer as a body that grows while its tokens are sampled. A client that goes away drops it, and with it
//! the call.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use hyper::body::Frame;
use tokio::time::{Sleep, sleep};

use super::too_slow;
use crate::call::Call;
use crate::dialect::{Dialect, Stream};

/// Streams a call.
pub(super) struct Told {
    /// The call, until it is told.
    call: Option<Call>,
    stream: Box<dyn Stream>,
    begun: bool,
    time: Duration,
    deadline: Pin<Box<Sleep>>,
}

impl Told {
    pub(super) fn new(call: Call, dialect: &dyn Dialect, time: Duration) -> Self {
        let stream = dialect.stream(call.head().clone());
        Self { call: Some(call), stream, begun: false, time, deadline: Box::pin(sleep(time)) }
    }

    /// Appends the events that are due.
    fn due(&mut self, context: &mut Context<'_>, out: &mut String) {
        if !self.begun {
            self.begun = true;
            self.stream.begin(out);
        }
        while let Some(call) = &mut self.call {
            if self.deadline.as_mut().poll(context).is_ready() {
                self.stream.failed(&too_slow(self.time), out);
                self.call = None;
                return;
            }
            let Poll::Ready((choice, event)) = call.poll(context) else { return };
            match call.take(choice, event) {
                Ok(piece) => self.stream.piece(&piece, out),
                Err(refusal) => {
                    self.stream.failed(&refusal, out);
                    self.call = None;
                    return;
                }
            }
            if let Some(ended) = call.ended(choice) {
                self.stream.ended(ended, out);
            }
            if call.is_done() {
                let answer = call.answer();
                // The session is free before the client knows the answer.
                self.call = None;
                self.stream.done(&answer, out);
            }
        }
    }
}

impl HttpBody for Told {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut out = String::new();
        self.due(context, &mut out);
        match (out.is_empty(), self.call.is_none()) {
            (false, _) => Poll::Ready(Some(Ok(Frame::data(out.into())))),
            (true, true) => Poll::Ready(None),
            (true, false) => Poll::Pending,
        }
    }
}
