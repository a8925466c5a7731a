//! Accepts connections, limited in number and time.

use std::future::{Future, poll_fn};
use std::io;
use std::net::TcpListener;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::Semaphore;

/// Limits connections. Each carries one request.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Most connections at a time; one more waits.
    pub connections: usize,
    /// Longest request head in bytes.
    pub head: usize,
    /// Time for a request's head.
    pub head_time: Duration,
    /// Time for a connection, its request and its answer included.
    pub whole_time: Duration,
}

/// Pause after a connection that the system refused, for example because all descriptors are taken.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts and answers connections until `until` is ready. Then those that are left are dropped with the
/// runtime.
///
/// # Errors
/// The system's, if it can't watch the listener.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    until: impl Future<Output = ()>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let free = Arc::new(Semaphore::new(bounds.connections));
    let mut until = pin!(until);
    loop {
        let next = async {
            let place = free.clone().acquire_owned().await.expect("nobody closes the semaphore");
            (place, listener.accept().await)
        };
        let Some((place, accepted)) = before(until.as_mut(), next).await else { return Ok(()) };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        // Events are small, and a client waits for each.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let _place = place;
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(bounds.head_time)
                .max_buf_size(bounds.head)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            // A broken connection is ignored, and the next one may be fine.
            let _ = tokio::time::timeout(bounds.whole_time, connection).await;
        });
    }
}

/// Returns the output of `work`, or none if `until` is ready first.
async fn before<T>(
    mut until: Pin<&mut impl Future<Output = ()>>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|context| match until.as_mut().poll(context) {
        Poll::Ready(()) => Poll::Ready(None),
        Poll::Pending => work.as_mut().poll(context).map(Some),
    })
    .await
}
