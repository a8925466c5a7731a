//! Draws a run: progress on top, curves and turns below, a rollout and messages at the bottom.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Paragraph, Wrap};

use super::state::State;
use super::{curves, turns};

/// Draws the state into a frame of any size.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State) {
    let rows = [
        Constraint::Length(1),
        Constraint::Fill(3),
        Constraint::Fill(2),
        Constraint::Length(5),
        Constraint::Length(1),
    ];
    let [top, middle, below, said, keys] = Layout::vertical(rows).areas(frame.area());
    frame.render_widget(progress(state), top);
    curves::draw(frame, middle, state);
    let [left, right] =
        Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(below);
    turns::draw(frame, left, state);
    frame.render_widget(rollout(state), right);
    frame.render_widget(messages(state, said), said);
    let hint = if state.stopping {
        "stopping after this step, with a checkpoint; q or Ctrl-C once more stops at once".yellow()
    } else {
        "q or Ctrl-C: stop after this step, with a checkpoint".dark_gray()
    };
    frame.render_widget(Line::from(hint), keys);
}

fn progress(state: &State) -> Line<'static> {
    let mut spans = vec![plain(&state.run).bold()];
    for (number, phase) in state.phases.iter().enumerate() {
        let text = format!("  {} {}/{}", phase.name, phase.done, phase.total);
        spans.push(if number == state.current { text.cyan() } else { text.into() });
    }
    Line::from(spans)
}

fn rollout(state: &State) -> Paragraph<'static> {
    let lines: Vec<Line<'_>> = state.rollout.lines().map(|line| Line::from(plain(line))).collect();
    let block = Block::bordered().title(" a rollout of this step ").border_style(Color::DarkGray);
    Paragraph::new(Text::from(lines)).wrap(Wrap { trim: false }).block(block)
}

/// Returns the newest messages that fit.
fn messages(state: &State, area: Rect) -> Paragraph<'static> {
    let rows = usize::from(area.height.saturating_sub(2));
    let first = state.messages.len().saturating_sub(rows);
    let line = |text: &String| {
        let style = if text.starts_with("guard ") { Style::new().red() } else { Style::new() };
        Line::styled(plain(text), style)
    };
    let lines: Vec<Line<'_>> = state.messages.iter().skip(first).map(line).collect();
    Paragraph::new(Text::from(lines))
        .block(Block::bordered().title(" messages ").border_style(Color::DarkGray))
}

/// Returns text without control characters: output of a model must not move the cursor or colour the
/// terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c == '\t' {
                ' '
            } else if crate::terminal::is_control(c) || c == '\n' {
                '·'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    /// Two steps of a real run, from its `metrics.jsonl`.
    const METRICS: &str = include_str!("../../../run/src/metrics.jsonl");

    fn screen(width: u16, height: u16, state: &State) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, state)).unwrap();
        terminal.backend().to_string()
    }

    fn run() -> State {
        let mut state = State { run: "runs/first".into(), ..State::default() };
        state.metrics = METRICS.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        state.phase("steps", 20);
        state.advance(2);
        state.phase("rollouts", 64);
        state.advance(17);
        state.say("guard entropy at step 2: entropy 0.001 nats per token, 0.074 at first\n  hint: lower optimizer.lr");
        state.rollout = "print(37-3)\n→ 34\nAnswer: \u{1b}[2J32\u{202e}".into();
        state
    }

    #[test]
    fn a_run_is_drawn_with_its_curves_turns_rollout_and_messages() {
        let shown = screen(120, 40, &run());
        for part in [
            "runs/first  steps 2/20  rollouts 17/64",
            "right answers, %",
            "reward",
            "entropy",
            "KL",
            "a rollout of this step",
            "print(37-3)",
            "→ 34",
            "guard entropy at step 2",
            "hint: lower optimizer.lr",
            "q or Ctrl-C: stop after this step",
        ] {
            assert!(shown.contains(part), "{part:?} is not in\n{shown}");
        }
        assert!(shown.contains("Answer: ·[2J32") && !shown.contains(['\u{1b}', '\u{202e}']), "{shown}");
        // The first turn of the last line: the number of trajectories, and their mean reward.
        let turn = run().metrics[1].by_turn[0].credit;
        let row = shown.lines().skip_while(|line| !line.contains(" by turn ")).nth(2).unwrap();
        assert!(row.contains("│1 "), "{row}");
        assert!(row.contains(&turn.turns.to_string()), "{row}");
        assert!(row.contains(&format!("{:.3}", turn.reward.value().unwrap())), "{row}");
    }

    #[test]
    fn any_size_and_any_state_can_be_drawn() {
        for (width, height) in [(1, 1), (7, 3), (40, 12), (300, 100)] {
            screen(width, height, &run());
            screen(width, height, &State::default());
        }
        let mut state = run();
        state.stopping = true;
        assert!(screen(120, 40, &state).contains("once more stops at once"));
        state.metrics[1].entropy = f64::NAN.into();
        state.metrics[1].by_turn.clear();
        screen(120, 40, &state);
    }
}
