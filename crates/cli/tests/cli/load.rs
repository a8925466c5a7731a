//! `turnwise serve` under clients that disconnect, stall, send rubbish and huge bodies: no panic, nothing is
//! left behind, and the next answer is the one from before.

mod hostile;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::binary::arg;
use crate::serve::Served;
use hostile::{Random, act};

const CLIENTS: u64 = 200;
/// `TURNWISE_LOAD_REQUESTS` names another number.
const REQUESTS: u64 = 10_000;
/// Sequences that a server samples or lets wait.
const SEQUENCES: usize = 512;
/// Memory that a request of the second half may leave: its tokens in the tree of a session, and noise.
const LEFT: u64 = 4 << 10;
/// Memory that the allocator may grow by, whatever the number of requests: it keeps what is freed. Ten
/// thousand requests grew it by 4 to 18 MiB, and a thousand by 65 MB.
const NOISE: u64 = 128 << 20;
/// Most memory at the end, which is what the process held at its fullest.
const MOST: u64 = 768 << 20;

/// Counts what a process holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    descriptors: usize,
    threads: usize,
    memory: u64,
}

impl Held {
    fn by(process: u32) -> Self {
        let count = |folder: &str| {
            std::fs::read_dir(format!("/proc/{process}/{folder}")).expect("the process lives").count()
        };
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        Self { descriptors: count("fd"), threads: count("task"), memory: kib << 10 }
    }
}

/// Sends requests from all clients at once; counts the statuses. Status 0 is a connection without an answer.
fn wave(address: &str, requests: u64, seed: u64, statuses: &Mutex<BTreeMap<u16, usize>>) {
    std::thread::scope(|threads| {
        for client in 0..CLIENTS {
            threads.spawn(move || {
                let mut random = Random::new(seed, client);
                for _ in (client..requests).step_by(CLIENTS as usize) {
                    let status = act(address, &mut random);
                    *statuses.lock().unwrap().entry(status).or_default() += 1;
                }
            });
        }
    });
}

/// Waits until the server has closed the connections of clients that are gone.
#[track_caller]
fn settles(process: u32, before: Held) -> Held {
    let until = Instant::now() + Duration::from_mins(1);
    loop {
        let now = Held::by(process);
        if now.descriptors <= before.descriptors {
            return now;
        }
        assert!(Instant::now() < until, "{now:?}, {before:?} before");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Returns tokens, log-probabilities and the message of an answer to the same question.
fn answer(served: &Served, session: &str) -> Value {
    let messages = json!([{"role": "user", "content": "12+3-4"}]);
    let mut request = json!({"messages": messages, "seed": 5, "max_tokens": 40});
    request["logprobs"] = true.into();
    request["return_token_ids"] = true.into();
    served.ask(session, "/chat/completions", &request)["choices"][0].clone()
}

/// Fills every place at once. A lost place would refuse one of the requests.
#[track_caller]
fn every_place_is_free(served: &Served) {
    let request = json!({"messages": [{"role": "user", "content": "?"}], "n": 64, "max_tokens": 64});
    let statuses: Vec<u16> = std::thread::scope(|threads| {
        let (served, request) = (served, &request);
        let post = move |n: usize| served.post(&format!("all-{n}"), "/chat/completions", request).0;
        let posted: Vec<_> = (0..SEQUENCES / 64).map(|n| threads.spawn(move || post(n))).collect();
        posted.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
}

#[test]
fn hostile_clients_leave_nothing_behind_and_the_next_answer_is_right_at_once() {
    if !std::path::Path::new("/proc/self/fd").exists() {
        return eprintln!("left out: there is no /proc");
    }
    let named = std::env::var("TURNWISE_LOAD_REQUESTS").ok();
    let requests = named.map_or(REQUESTS, |text| text.parse().expect("TURNWISE_LOAD_REQUESTS is a number"));
    let folder = tempfile::tempdir().expect("a folder");
    let served = Served::tiny(&["--record", arg(&folder.path().join("record"))]);
    let address = served.url.strip_prefix("http://").unwrap().strip_suffix("/v1").unwrap();
    let before = answer(&served, "before");
    every_place_is_free(&served);
    let idle = Held::by(served.process());
    let statuses = Mutex::default();
    wave(address, requests / 2, 1, &statuses);
    let half = settles(served.process(), idle);
    wave(address, requests - requests / 2, 2, &statuses);
    let asked = Instant::now();
    let after = answer(&served, "after");
    let waited = asked.elapsed();
    assert_eq!(after, before);
    let end = settles(served.process(), idle);
    every_place_is_free(&served);
    let said = served.end();
    assert!(!said.contains("panicked"), "{said}");

    let statuses = statuses.into_inner().unwrap();
    eprintln!("{requests} requests: {statuses:?}; the answer after {waited:?}; {idle:?}, {half:?}, {end:?}");
    let known = [0, 200, 400, 401, 404, 405, 408, 409, 413, 431, 503];
    assert!(statuses.keys().all(|status| known.contains(status)), "{statuses:?}");
    assert!([200, 400, 413].iter().all(|status| statuses.contains_key(status)), "{statuses:?}");
    assert!(waited < Duration::from_secs(10), "the next answer took {waited:?}");
    assert!(end.threads <= half.threads.max(idle.threads + 8), "{idle:?}, {half:?}, {end:?}");
    let most = half.memory + NOISE + LEFT * (requests - requests / 2);
    assert!(end.memory <= most && end.memory <= MOST, "{idle:?}, {half:?}, {end:?}");
}
