//! Sessions: exact tokens over turns, trees, rewards, the record.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::scene::Scene;
use crate::script::{END, decode, encode};

fn tools() -> Value {
    let parameters = json!({"type": "object", "properties": {}});
    json!([{"type": "function", "function": {"name": "look", "parameters": parameters}}])
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).expect("token ids")
}

/// Asks with token ids; returns the answer's message, the prompt and the sampled tokens.
fn ask(scene: &Scene, session: &str, messages: &[Value]) -> (Value, Vec<u32>, Vec<u32>) {
    let request = json!({"messages": messages, "tools": tools(), "return_token_ids": true});
    let answer = scene.chat(session, &request);
    let choice = &answer["choices"][0];
    (choice["message"].clone(), ids(&answer["prompt_token_ids"]), ids(&choice["token_ids"]))
}

/// A call in other tokens than its text is encoded in, which the model may well sample.
fn odd_call() -> Vec<u32> {
    let text = "<tool_call>\n{\"name\": \"look\", \"arguments\": {}}\n</tool_call>";
    let mut tokens: Vec<u32> = text.chars().flat_map(|letter| encode(&letter.to_string())).collect();
    assert_ne!(tokens, encode(text));
    tokens.push(END);
    tokens
}

#[test]
fn an_answer_that_comes_back_continues_its_tokens_and_so_does_the_output_after_it() {
    let mut scene = Scene::new();
    scene.script.samples(&odd_call()).says("It is 4.").says("Bye.");
    let mut messages = vec![json!({"role": "user", "content": "Look."})];
    let (said, prompt, sampled) = ask(&scene, "s", &messages);
    assert_eq!(sampled, odd_call());
    let id = said["tool_calls"][0]["id"].clone();
    messages.extend([said, json!({"role": "tool", "tool_call_id": id, "content": "4"})]);
    let (said, second, answer) = ask(&scene, "s", &messages);
    let so_far = [prompt, sampled].concat();
    assert_eq!(second[..so_far.len()], so_far[..], "not tokenised again");
    let observation =
        "\n<|im_start|>user\n<tool_response>\n4\n</tool_response><|im_end|>\n<|im_start|>assistant\n";
    assert_eq!(decode(&second[so_far.len()..]), observation);
    // Programs send what they like: other ids, parts, empty keys.
    messages[1]["tool_calls"][0]["id"] = "mine".into();
    messages[2]["tool_call_id"] = "mine".into();
    let content = json!([{"type": "text", "text": said["content"]}]);
    messages.extend([
        json!({"role": "assistant", "content": content, "refusal": null, "audio": null}),
        json!({"role": "user", "content": "Thanks."}),
    ]);
    let (_, third, _) = ask(&scene, "s", &messages);
    let so_far = [second, answer].concat();
    assert_eq!(third[..so_far.len()], so_far[..]);
    let counts = scene.end();
    assert_eq!((counts.sessions, counts.calls, counts.diverged), (1, 3, 0));
    let [line] = &scene.lines()[..] else { panic!("a line per session") };
    let parents: Vec<&Value> = line["calls"].as_array().unwrap().iter().map(|call| &call["parent"]).collect();
    assert_eq!(parents, [&Value::Null, &json!(0), &json!(1)]);
    assert_eq!((&line["session"], &line["done"]), (&json!("s"), &json!(false)));
}

#[test]
fn a_turn_that_a_limit_cut_is_closed_as_context() {
    let scene = Scene::new();
    scene.script.says("one two three").says("Yes.");
    let mut messages = vec![json!({"role": "user", "content": "Count."})];
    let first = scene.chat("s", &json!({"messages": messages, "max_tokens": 3, "return_token_ids": true}));
    let so_far = [ids(&first["prompt_token_ids"]), ids(&first["choices"][0]["token_ids"])].concat();
    messages.extend([first["choices"][0]["message"].clone(), json!({"role": "user", "content": "On."})]);
    let second = scene.chat("s", &json!({"messages": messages, "return_token_ids": true}));
    let second = ids(&second["prompt_token_ids"]);
    assert_eq!(second[..so_far.len()], so_far[..]);
    let rest = "<|im_end|>\n<|im_start|>user\nOn.<|im_end|>\n<|im_start|>assistant\n";
    assert_eq!(decode(&second[so_far.len()..]), rest);
}

#[test]
fn a_history_that_was_rewritten_is_the_templates_and_is_counted() {
    let mut scene = Scene::new();
    scene.script.says("It is 4. ");
    let user = |text: &str| json!({"role": "user", "content": text});
    let assistant = |text: &str| json!({"role": "assistant", "content": text});
    ask(&scene, "s", &[user("2 + 2?")]);
    // Without the blank at its end. Then as context of another session, and in the same tokens after another
    // question.
    ask(&scene, "s", &[user("2 + 2?"), assistant("It is 4."), user("Sure?")]);
    ask(&scene, "t", &[user("2 + 2?"), assistant("It is 4. "), user("Sure?")]);
    ask(&scene, "s", &[user("2 + 3?"), assistant("It is 4. "), user("Sure?")]);
    // A sub-agent and a question again are new sequences, and nothing was lost.
    ask(&scene, "s", &[user("Sum up.")]);
    ask(&scene, "s", &[user("2 + 2?")]);
    let (_, prompt, _) = ask(&scene, "s", &[user("2 + 2?"), assistant("It is 4. "), user("Sure?")]);
    assert!(decode(&prompt).contains("It is 4. <|im_end|>"));
    let counts = scene.end();
    assert_eq!((counts.sessions, counts.calls, counts.diverged), (2, 7, 1));
    let lines = scene.lines();
    let line = lines.iter().find(|line| line["session"] == "s").expect("a line of the session");
    let calls = line["calls"].as_array().unwrap();
    let diverged: Vec<bool> = calls.iter().map(|call| call["diverged"] == true).collect();
    assert_eq!(diverged, [false, true, false, false, false, false]);
    assert_eq!((&calls[1]["parent"], &calls[5]["parent"]), (&Value::Null, &json!(0)));
    assert!(calls[0].get("diverged").is_none());
}

/// Returns which calls of the only session diverged, and the parents of all.
fn diverged(scene: &mut Scene) -> (Vec<bool>, Vec<Option<u64>>) {
    let counts = scene.end();
    let calls = scene.lines()[0]["calls"].as_array().unwrap().clone();
    let diverged: Vec<bool> = calls.iter().map(|call| call["diverged"] == true).collect();
    assert_eq!(counts.diverged, diverged.iter().filter(|diverged| **diverged).count());
    (diverged, calls.iter().map(|call| call["parent"].as_u64()).collect())
}

#[test]
fn an_answer_that_was_edited_behind_one_that_was_kept_is_counted() {
    let mut scene = Scene::new();
    let call = "<tool_call>\n{\"name\": \"look\", \"arguments\": {}}\n</tool_call>";
    scene.script.says(call).says("Yes.");
    let assistant = |text: &str| json!({"role": "assistant", "content": text});
    // The call as text: another message, in the same tokens.
    let first = [user("Look."), assistant(call), user("Sure?")];
    let then = |last: &str| [&first[..], &[assistant(last), user("Really?")]].concat();
    for messages in [&first[..1], &first, &then("Yes."), &then("No.")] {
        ask(&scene, "s", messages);
    }
    let (diverged, parents) = diverged(&mut scene);
    assert_eq!(parents, [None, Some(0), Some(1), Some(0)]);
    assert_eq!(diverged, [false, false, false, true]);
}

#[test]
fn a_prompt_that_repeats_an_answer_in_other_tokens_is_counted_without_messages_too() {
    let mut scene = Scene::new();
    let apart = |text: &str| text.chars().flat_map(|letter| encode(&letter.to_string())).collect::<Vec<_>>();
    let whole = encode("print");
    assert_ne!(apart("print"), whole);
    for tokens in [&whole, &apart("print"), &vec![END]] {
        scene.script.samples(&[&tokens[..], &[END]].concat());
    }
    let complete = |prompt: &Value| {
        let request = json!({"prompt": prompt, "max_tokens": 9, "return_token_ids": true});
        let answer = scene.ask("s", "/completions", &request);
        [ids(&answer["prompt_token_ids"]), ids(&answer["choices"][0]["token_ids"])].concat()
    };
    let path = complete(&json!("1\n"));
    let other = complete(&json!("2\n"));
    // Nothing was sampled there.
    complete(&json!("3\n"));
    // Its tokens, with the end that its text lacks.
    complete(&json!([&path[..], &encode("\n")].concat()));
    // The same texts, without it.
    complete(&json!("1\nprint(1)"));
    complete(&json!([&other[..other.len() - 1], &encode("(1)")].concat()));
    complete(&json!("2\nprint(1)"));
    // Questions again, and others.
    for prompt in ["1\n", "1\npr", "3\n\n", "12\nprint"] {
        complete(&json!(prompt));
    }
    let (diverged, parents) = diverged(&mut scene);
    assert_eq!((parents[3], parents[4]), (Some(0), None));
    let expect = [false, false, false, false, true, true, true, false, false, false, false];
    assert_eq!(diverged, expect);
}

#[test]
fn prompts_of_tokens_are_a_tree_too() {
    let mut scene = Scene::new();
    scene.script.says("a").says("b");
    let complete = |prompt: &[u32]| {
        let request = json!({"prompt": prompt, "max_tokens": 9, "return_token_ids": true});
        ids(&scene.ask("s", "/completions", &request)["choices"][0]["token_ids"])
    };
    let sampled = complete(&[5, 6]);
    let next = [vec![5, 6], sampled, vec![7]].concat();
    complete(&next);
    complete(&[5, 6, 7]);
    scene.end();
    let calls = scene.lines()[0]["calls"].clone();
    let parents: Vec<&Value> = calls.as_array().unwrap().iter().map(|call| &call["parent"]).collect();
    assert_eq!(parents, [&Value::Null, &json!(0), &Value::Null]);
    assert_eq!(ids(&calls[1]["prompt_token_ids"]), next);
    let lengths = |call: &Value| (ids(&call["token_ids"]).len(), call["logprobs"].as_array().unwrap().len());
    assert!(calls.as_array().unwrap().iter().all(|call| lengths(call).0 == lengths(call).1));
}

#[test]
fn rewards_belong_to_turns_and_a_session_that_is_done_is_written() {
    let mut scene = Scene::new();
    for _ in 0..2 {
        ask(&scene, "run 7".replace(' ', "-").as_str(), &[json!({"role": "user", "content": "?"})]);
    }
    let reward = |body: Value| scene.send("/sessions/run-7/reward", &[], &body.to_string());
    assert_eq!(reward(json!({"rewards": {"progress": 0.5}, "turn": 0})).json()["turn"], 0);
    assert_eq!(reward(json!({"rewards": {"progress": 0.25, "tidy": 1}, "turn": 0})).json()["turn"], 0);
    assert_eq!(reward(json!({"rewards": {"acc": 1.0}})).json()["turn"], 1, "the last one");
    assert!(reward(json!({"rewards": {"acc": 1.0}, "turn": 2})).refusal(400).contains("no answered call 2"));
    assert!(reward(json!({"rewards": {"acc": "much"}})).refusal(400).starts_with("rewards.acc: a text"));
    let beyond = reward(json!({"rewards": {"acc": 1.5}})).refusal(400);
    assert!(beyond.contains("is 1.5, expected a grade from 0 to 1"), "{beyond}");
    let twice = scene.send("/sessions/run-7/reward", &[], r#"{"rewards":{"acc":1,"acc":0}}"#).refusal(400);
    assert_eq!(twice, "the key \"acc\" stands twice");
    assert!(
        reward(json!({"rewards": {"acc": 1}, "turns": 1})).refusal(400).starts_with("turns: isn't supported")
    );
    let many: serde_json::Map<String, Value> = (0..64).map(|n| (n.to_string(), json!(1))).collect();
    assert!(reward(json!({"rewards": many, "turn": 0})).refusal(400).contains("64 names"));
    for large in [1e308, 2e100, -2e100] {
        let refused = reward(json!({"rewards": {"big": large}, "turn": 0})).refusal(400);
        assert!(refused.contains("expected a number from -1e100 to 1e100"), "{refused}");
    }
    for (name, why) in [("", "a name has 1 to 64 bytes"), ("a\u{7}", "no control"), ("fmt", "turnwise's own")]
    {
        assert!(reward(json!({"rewards": {name: 1}, "turn": 0})).refusal(400).contains(why), "{name:?}");
    }
    reward(json!({"rewards": {"big": 5e99}, "turn": 0})).json();
    reward(json!({"rewards": {"big": 5e99}, "turn": 0})).json();
    let sum = reward(json!({"rewards": {"big": 1e90}, "turn": 0})).refusal(400);
    assert!(sum.contains("a sum of rewards is above 1e100"), "{sum}");
    for _ in 0..2 {
        reward(json!({"rewards": {"big": -5e99}, "turn": 0})).json();
    }
    assert!(reward(json!({})).refusal(400).starts_with("rewards: is missing"));
    assert!(!scene.record().exists() || scene.lines().is_empty());
    assert_eq!(reward(json!({"rewards": {"acc": 1.0}, "done": true})).json()["done"], true);
    let [line] = &scene.lines()[..] else { panic!("it is written at once") };
    assert_eq!(line["calls"][0]["rewards"], json!({"big": 0.0, "progress": 0.75, "tidy": 1.0}));
    assert_eq!(line["calls"][1]["rewards"], json!({"acc": 2.0}));
    assert_eq!((&line["session"], &line["done"]), (&json!("run-7"), &json!(true)));
    let again = reward(json!({"rewards": {"acc": 1.0}}));
    assert!(again.refusal(404).contains("no such session"));
    scene.end();
    assert_eq!(scene.lines().len(), 1);
}

#[test]
fn sessions_that_end_while_calls_arrive_record_what_was_answered() {
    let mut scene = Scene::new();
    let (seen, over) = (Mutex::new(HashSet::new()), AtomicBool::new(false));
    std::thread::scope(|threads| {
        let askers: Vec<_> = (0..4)
            .map(|asker| {
                let (scene, seen) = (&scene, &seen);
                threads.spawn(move || {
                    for round in 0..60 {
                        let session = format!("s{}", round % 2);
                        let text = ["a", "a longer question", "b"][(asker + round) % 3];
                        let question = json!({"role": "user", "content": text});
                        scene.script.says(["x", "y y y", "z"][round % 3]);
                        let (said, prompt, sampled) = ask(scene, &session, std::slice::from_ref(&question));
                        seen.lock().unwrap().insert((prompt, sampled));
                        let (_, prompt, sampled) = ask(scene, &session, &[question, said, user("again")]);
                        seen.lock().unwrap().insert((prompt, sampled));
                    }
                })
            })
            .collect();
        for session in ["s0", "s1"] {
            let (scene, over) = (&scene, &over);
            threads.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    scene.send(&format!("/sessions/{session}/reward"), &[], r#"{"done": true}"#);
                }
            });
        }
        let ended: Vec<_> = askers.into_iter().map(|asker| asker.join().is_ok()).collect();
        over.store(true, Ordering::Relaxed);
        assert_eq!(ended, [true; 4]);
    });
    let counts = scene.end();
    assert_eq!(counts.calls, 480);
    let seen = seen.into_inner().unwrap();
    let lines = scene.lines();
    assert!(lines.len() > 2, "sessions ended between calls");
    for line in &lines {
        let mut paths: HashMap<u64, Vec<u32>> = HashMap::new();
        for call in line["calls"].as_array().unwrap() {
            let (prompt, sampled) = (ids(&call["prompt_token_ids"]), ids(&call["token_ids"]));
            if let Some(parent) = call["parent"].as_u64() {
                assert!(prompt.starts_with(&paths[&parent]), "a parent is of the same session");
            }
            paths.insert(call["call"].as_u64().unwrap(), [prompt.clone(), sampled.clone()].concat());
            assert!(seen.contains(&(prompt, sampled)), "the record has the tokens of the answer");
        }
    }
}

#[test]
fn a_request_without_a_session_is_one() {
    let mut scene = Scene::new();
    scene.script.says("a").says("b");
    for _ in 0..2 {
        scene.send("/chat/completions", &[], r#"{"messages": [{"role": "user", "content": "?"}]}"#).json();
    }
    let keyed = scene.send("/completions", &[("x-api-key", "k")], r#"{"prompt": [5]}"#);
    keyed.json();
    let draws = scene.script.draws();
    assert!(draws[0] != draws[1]);
    scene.end();
    let done: Vec<(Value, Value)> =
        scene.lines().iter().map(|line| (line["session"].clone(), line["done"].clone())).collect();
    let expected = [("single 0", true), ("single 1", true), ("k", false)];
    assert_eq!(done, expected.map(|(name, done)| (json!(name), json!(done))));
}
