//! The measuring program measures.

use std::process::Command;

#[test]
fn every_work_has_a_row_and_what_takes_too_long_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let run = |out: &str, patience: &str| {
        let out = folder.path().join(out);
        let mut bench = Command::new(env!("CARGO_BIN_EXE_turnwise-bench"));
        bench.args([
            "backends",
            "--sizes",
            "tiny",
            "--devices",
            "flex",
            "--rounds",
            "1",
            "--patience",
            patience,
        ]);
        let done = bench.arg("--out").arg(&out).output().unwrap();
        let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
        let rows: Vec<serde_json::Value> = serde_json::from_str(&read("backends.json")).unwrap();
        assert!(read("backends.svg").ends_with("</svg>\n"));
        assert_eq!(read("backends.md").lines().count(), 2 + rows.len());
        (rows, done.status.success())
    };
    let (rows, done) = run("a", "300");
    let works: Vec<&str> = rows.iter().map(|row| row["work"].as_str().unwrap()).collect();
    assert!(done && works == ["prefill", "decode 1", "decode 8", "loss", "train", "gtpo"], "{works:?}");
    for row in &rows {
        assert!(row["refused"].is_null() && row["tokens_per_second"].as_f64().unwrap() > 0.0, "{row}");
        let share = row["share_of_matrix_rate"].as_f64();
        assert_eq!(share.is_some(), ["loss", "train"].contains(&row["work"].as_str().unwrap()), "{row}");
    }
    let (rows, done) = run("b", "0");
    assert!(!done && rows[0]["refused"].as_str().unwrap().contains("stopped at"), "{rows:?}");
}
