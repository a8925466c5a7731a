//! Claims about every run on disk. The fuzz target and the replay of its corpus check the same.

use std::path::Path;

use turnwise_inspect::report::{curve, report};
use turnwise_inspect::{Filter, Query, Run, Sort};

/// Reads the bytes as the rollouts, metrics and evaluation of a run. Fails if a reader breaks, or if a line
/// that the index takes is neither readable in full nor named.
pub(crate) fn hold(bytes: &[u8], folder: &Path) {
    std::fs::create_dir_all(folder.join("rollouts")).expect("a temporary folder");
    for name in ["rollouts/step_0.jsonl", "metrics.jsonl", "evaluation.json"] {
        std::fs::write(folder.join(name), bytes).expect("a temporary file");
    }
    std::fs::write(folder.join("config.toml"), "seed = 1\n").expect("a temporary file");
    let run = Run::open(folder).expect("a run");
    let index = run.refresh(&|_, _| {}).expect("readable files");
    let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
    assert_eq!(index.groups() + index.bad().count(), lines, "a line is a group or named");
    for row in index.rows() {
        assert!(index.siblings(row).iter().any(|sibling| sibling.id == row.id));
        assert!(index.of_task(&row.task).any(|other| other.id == row.id));
        if let Ok(group) = index.group(row.group) {
            assert!((row.at as usize) < group.trajectories.len());
        }
    }
    for (_, filter) in Filter::ALL {
        for (_, sort) in Sort::ALL {
            let query = Query { filter, sort, ..Query::default() };
            assert!(query.run(&run).expect("nothing is read").len() <= index.rows().len());
        }
    }
    let _ = Query { text: "a".into(), ..Query::default() }.run(&run);
    let _ = (run.metrics(), run.evaluation(), run.config(), curve(&run));
    if let Ok(report) = report(&[run]) {
        let _ = (report.markdown(), report.html());
    }
}
