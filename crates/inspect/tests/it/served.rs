//! Answers of the server, without a browser.

use std::io::Write;
use std::net::TcpStream;
use std::time::Instant;

use serde_json::Value;
use turnwise_inspect::{Filter, Query, Run, Sort};

use crate::made;

fn text(url: &str) -> (u16, String) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut response = agent.get(url).call().expect("an answer");
    (response.status().as_u16(), response.body_mut().read_to_string().expect("text"))
}

fn json(url: &str) -> Value {
    let (status, body) = text(url);
    assert_eq!(status, 200, "{url}: {body}");
    serde_json::from_str(&body).expect("JSON")
}

#[test]
fn a_violation_is_the_flag_of_its_turn_and_in_older_records_the_sign_of_its_reward() {
    let folder = tempfile::tempdir().unwrap();
    made::small(folder.path(), "one");
    let path = folder.path().join("rollouts/step_00000.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let flagged = text.replace("\"correct\":", "\"violations\":[false,true],\"correct\":");
    assert_ne!(text, flagged);
    std::fs::write(&path, flagged).unwrap();
    let url = made::serve(&[folder.path()]);
    let total = |query: &str| json(&format!("{url}api/list?{query}"))["total"].as_u64().unwrap();
    assert_eq!(total("filter=violations&step=0"), 8);
    assert_eq!(total("filter=violations&step=1"), 2);
}

#[test]
fn lists_are_filtered_ordered_and_cut_into_pages() {
    let folder = tempfile::tempdir().unwrap();
    made::small(folder.path(), "one");
    let url = made::serve(&[folder.path()]);
    let total = |query: &str| json(&format!("{url}api/list?{query}"))["total"].as_u64().unwrap();
    assert_eq!(total(""), 24);
    assert_eq!(total("filter=wrong"), 12);
    assert_eq!(total("filter=violations"), 6);
    assert_eq!(total("filter=tool_errors&step=1"), 2);
    assert_eq!(total("filter=mixed"), 24);
    assert_eq!(total("filter=dropped"), 0);
    assert_eq!(total("task=task/a"), 12);
    assert_eq!(total("q=DIVISION"), 6, "tool output, letters in either case");
    assert_eq!(total("q=what+is+task/a"), 12, "the prompt");
    assert_eq!(
        total("q=%3Cscript%3E&task=task/a"),
        9,
        "text, message and output; not the fourth, which is plain"
    );
    assert_eq!(total("q=nowhere"), 0);
    let ids = |query: &str| -> Vec<u64> {
        let list = json(&format!("{url}api/list?{query}"));
        list["rows"].as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()).collect()
    };
    assert_eq!(ids("offset=3&limit=2"), [3, 4]);
    assert_eq!(ids("sort=latest&limit=1"), [16]);
    assert_eq!(ids("sort=advantage&limit=1&task=task/a"), [3], "1 - 0 - 3/10 away from 0");
    let list = json(&format!("{url}api/list?filter=wrong&find=5&limit=1"));
    assert_eq!(list["found"], 2, "the third of the wrong ones");
}

#[test]
fn a_rollout_has_its_tokens_its_credit_and_its_group() {
    let folder = tempfile::tempdir().unwrap();
    made::small(folder.path(), "one");
    let url = made::serve(&[folder.path()]);
    let one = json(&format!("{url}api/rollout?run=0&id=2"));
    let turn = &one["turns"][0];
    let pieces: String =
        turn["sampled"]["pieces"].as_array().unwrap().iter().map(|piece| piece.as_str().unwrap()).collect();
    assert_eq!(pieces, "x = 1; x = 1; print(2+0)");
    assert_eq!(turn["logprobs"].as_array().unwrap().len(), turn["sampled"]["ids"].as_array().unwrap().len());
    assert_eq!((&turn["advantage"], &turn["return"]), (&0.5.into(), &0.9.into()));
    assert_eq!(turn["calls"][0]["executed"]["output"]["status"], "error");
    assert_eq!((one["group"].as_array().unwrap().len(), &one["expected"]), (4, &"4".into()));
    let task = json(&format!("{url}api/task?run=0&task=task/a&step=7"));
    assert_eq!((&task["steps"], &task["rows"][0]["step"]), (&serde_json::json!([0, 1, 2]), &2.into()));
}

#[test]
fn strangers_and_nonsense_are_turned_away() {
    let folder = tempfile::tempdir().unwrap();
    made::small(folder.path(), "one");
    let url = made::serve(&[folder.path()]);
    for (path, status) in [
        ("api/rollout?run=0&id=99", 404),
        ("api/rollout?run=7&id=1", 404),
        ("api/list?run=x", 400),
        ("api/list?sort=sideways", 400),
        ("../config.toml", 404),
        ("config.toml", 404),
    ] {
        assert_eq!(text(&format!("{url}{path}")).0, status, "{path}");
    }
    // The page of another site that has its name point here: its requests carry that name.
    let foreign = ureq::get(&url).header("Host", "evil.example").call().unwrap_err();
    assert!(matches!(foreign, ureq::Error::StatusCode(403)), "{foreign}");
    let posted = ureq::post(&url).send("x").unwrap_err();
    assert!(matches!(posted, ureq::Error::StatusCode(405)), "{posted}");
    let page = ureq::get(&url).call().unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
}

#[test]
fn a_run_that_goes_on_is_followed_and_torn_lines_are_named() {
    let folder = tempfile::tempdir().unwrap();
    made::small(folder.path(), "one");
    let run = Run::open(folder.path()).unwrap();
    assert_eq!(run.index().rows().len(), 0);
    assert_eq!(run.refresh(&|_, _| {}).unwrap().rows().len(), 24);
    let step = std::fs::read_to_string(folder.path().join("rollouts/step_00002.jsonl")).unwrap();
    let torn = format!("{step}{}", &step[..100]);
    std::fs::write(folder.path().join("rollouts/step_00003.jsonl"), torn).unwrap();
    let index = run.refresh(&|_, _| {}).unwrap();
    assert_eq!(index.rows().len(), 32);
    let bad: Vec<_> = index.bad().collect();
    assert_eq!((bad.len(), bad[0].line), (1, 3));
    assert!(bad[0].message.starts_with("the JSON ends"), "{}", bad[0].message);
    let error = Run::open(&folder.path().join("rollouts")).err().unwrap().to_string();
    assert!(error.contains("this is no run directory: there is no config.toml\n  hint: "), "{error}");
}

#[test]
fn a_hundred_thousand_rollouts_are_listed_at_once() {
    let folder = tempfile::tempdir().unwrap();
    made::large(folder.path(), 100_000);
    let run = Run::open(folder.path()).unwrap();
    let clock = Instant::now();
    assert_eq!(run.refresh(&|_, _| {}).unwrap().rows().len(), 100_000);
    let indexed = clock.elapsed();
    let clock = Instant::now();
    let query = Query { filter: Filter::Wrong, sort: Sort::Advantage, ..Query::default() };
    assert_eq!(query.run(&run).unwrap().len(), 50_000);
    let listed = clock.elapsed();
    let clock = Instant::now();
    let query = Query { text: "HayStack".into(), ..Query::default() };
    assert_eq!(query.run(&run).unwrap().len(), 8);
    let searched = clock.elapsed();
    // A busy machine needs a tenth of these in the release profile.
    println!("indexed in {indexed:?}, listed in {listed:?}, searched in {searched:?}");
    assert!(indexed.as_secs() < 30 && listed.as_millis() < 1000 && searched.as_secs() < 30);
}

#[test]
fn slow_clients_hold_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    made::small(folder.path(), "one");
    let url = made::serve(&[folder.path()]);
    let address = url.trim_start_matches("http://").trim_end_matches('/').to_string();
    let slow: Vec<TcpStream> = (0..64)
        .map(|client| {
            let mut stream = TcpStream::connect(&address).unwrap();
            let part = ["", "GET", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "][client % 3];
            stream.write_all(part.as_bytes()).unwrap();
            stream
        })
        .collect();
    assert_eq!(json(&format!("{url}api/list"))["total"], 24);
    drop(slow);
}

#[test]
fn whatever_a_record_holds_every_request_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    made::small(folder.path(), "one");
    let conversation = |played: &str| {
        format!(
            "{{\"task\":\"a\",\"level\":1,\"correct\":true,\"rewards\":[],\"messages\":[],\"played\":{played}}}"
        )
    };
    let deep = "[".repeat(100_000);
    let lines = [
        conversation("7"),
        conversation("[]"),
        conversation("{\"turns\":7}"),
        conversation("{\"turns\":[7]}"),
        conversation(&deep),
        "{\"task\":".to_string(),
        "\u{0}\u{1b}]0;x\u{7}".to_string(),
        "{\"group\":\"g\",\"step\":18446744073709551615}".to_string(),
    ];
    std::fs::write(folder.path().join("rollouts/step_00009.jsonl"), lines.join("\n") + "\n").unwrap();
    std::fs::write(folder.path().join("metrics.jsonl"), "{\"step\":0}\n[1\n").unwrap();
    std::fs::write(folder.path().join("evaluation.json"), &deep).unwrap();
    let url = made::serve(&[folder.path()]);
    let runs = json(&format!("{url}api/runs?refresh=1"));
    assert_eq!(runs[0]["bad"].as_array().unwrap().len(), lines.len());
    assert_eq!(runs[0]["unreadable"].as_array().unwrap().len(), 2, "{runs}");
    assert!(json(&format!("{url}api/list?q=x"))["total"].is_u64());
    // A file that changes behind the page's back.
    std::fs::write(folder.path().join("rollouts/step_00000.jsonl"), "").unwrap();
    assert_eq!(text(&format!("{url}api/rollout?run=0&id=0")).0, 500);
    assert_eq!(json(&format!("{url}api/list"))["total"], 24);
}

#[test]
fn turns_of_a_tree_have_their_sequences_and_the_context_of_their_branches() {
    let folder = tempfile::tempdir().unwrap();
    made::branched(folder.path());
    let url = made::serve(&[folder.path()]);
    let one = json(&format!("{url}api/rollout?run=0&id=0"));
    let turns = one["turns"].as_array().unwrap();
    let of = |key: &str| turns.iter().map(|turn| turn[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("sequence"), [0, 0, 1, 2]);
    let pieces = |tokens: &Value| -> String {
        tokens["pieces"].as_array().unwrap().iter().map(|piece| piece.as_str().unwrap()).collect()
    };
    assert_eq!(pieces(&turns[2]["branch"]["context"]), "helper: ");
    assert_eq!(pieces(&turns[3]["sampled"]), "again");
    assert_eq!(
        (&turns[2]["branch"]["parent"], &turns[3]["branch"]["parent"]),
        (&Value::Null, &Value::from(0))
    );
    let all: u64 = turns
        .iter()
        .flat_map(|turn| [&turn["sampled"], &turn["observation"], &turn["branch"]["context"]])
        .filter_map(|tokens| Some(tokens["ids"].as_array()?.len() as u64))
        .sum();
    let prompt = one["prompt"]["ids"].as_array().unwrap().len() as u64;
    assert_eq!(one["row"]["tokens"], all + prompt);
    // A record whose turns are no tree is shown without its sequences.
    let path = folder.path().join("rollouts/step_00000.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"parent\":0", "\"parent\":7")).unwrap();
    let url = made::serve(&[folder.path()]);
    let one = json(&format!("{url}api/rollout?run=0&id=0"));
    assert_eq!(one["turns"][3]["sequence"], 0);
}
