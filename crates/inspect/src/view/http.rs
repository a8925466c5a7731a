//! Serves connections of browsers on the same machine, limited in number and time.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::Semaphore;

/// Most connections at a time; one more waits.
const CONNECTIONS: usize = 256;
/// Longest request head in bytes. A browser's is under 2 KiB.
const HEAD: usize = 16 * 1024;
/// Time for a request's head.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Time for a connection, which carries one request.
const WHOLE_TIME: Duration = Duration::from_mins(1);
/// Pause after a connection that the system refused, for example because all descriptors are taken.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts and answers connections until the process ends.
///
/// # Errors
/// The system's, if it can't watch the listener.
pub(super) async fn serve(listener: TcpListener, router: Router) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = free.clone().acquire_owned().await.expect("nobody closes the semaphore");
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let _place = place;
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIME)
                .max_buf_size(HEAD)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            // A broken connection is ignored, and the next one may be fine.
            let _ = tokio::time::timeout(WHOLE_TIME, connection).await;
        });
    }
}
