//! The table as bars: one block per size and work, the fastest backend's bar at full length.

use std::fmt::Write;

use crate::row::Row;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 150.0;
const LONGEST: f64 = 460.0;
const LINE: f64 = 18.0;

/// Bars of tokens per second, as SVG.
pub(crate) fn picture(rows: &[Row]) -> String {
    let mut body = String::new();
    let mut y = 34.0;
    let mut rest = rows.iter().filter(|row| row.refused.is_none()).collect::<Vec<_>>();
    while let Some(first) = rest.first().copied() {
        let together = |row: &&Row| row.size == first.size && row.work == first.work;
        let block: Vec<&Row> = rest.iter().copied().filter(together).collect();
        rest.retain(|row| !together(row));
        let best = block.iter().map(|row| row.tokens_per_second).fold(f64::MIN_POSITIVE, f64::max);
        y += LINE;
        text(&mut body, (12.0, y), "#222222", &format!("{}, {}", first.size, first.work));
        for row in block {
            y += LINE;
            let length = LONGEST * row.tokens_per_second / best;
            text(&mut body, (24.0, y), "#555555", &row.backend);
            let top = y - 11.0;
            let _ = writeln!(
                body,
                "<rect x=\"{LEFT}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"13\" fill=\"#4477aa\"/>"
            );
            let speed = format!("{} tokens/s", Rounded(row.tokens_per_second));
            text(&mut body, (LEFT + length + 6.0, y), "#222222", &speed);
        }
    }
    let height = y + 16.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"12\" y=\"22\" font-size=\"14\" fill=\"#222222\">Tokens per second, by size, work and backend</text>\n\
         {body}</svg>\n"
    )
}

/// Whole numbers from 100 on, three digits below.
struct Rounded(f64);

impl std::fmt::Display for Rounded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = if self.0 >= 100.0 {
            0
        } else if self.0 >= 10.0 {
            1
        } else {
            2
        };
        write!(f, "{:.digits$}", self.0)
    }
}

fn text(body: &mut String, (x, y): (f64, f64), colour: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(body, "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{colour}\">{text}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_in_proportion_and_refusals_have_none() {
        let row = |backend: &str, speed: f64, refused: Option<String>| Row {
            size: "8.4M".into(),
            work: "train",
            backend: backend.into(),
            refused,
            first: 1.0,
            wall: 1.0,
            cpu: 1.0,
            tokens_per_second: speed,
            share_of_bandwidth: None,
            share_of_matrix_rate: None,
        };
        let rows = [row("a", 200.0, None), row("b<", 50.0, None), row("c", 0.0, Some("no".into()))];
        let svg = picture(&rows);
        assert!(svg.contains("width=\"460.0\"") && svg.contains("width=\"115.0\""), "{svg}");
        assert_eq!(svg.matches("<rect x=").count(), 2);
        assert!(svg.contains("b&lt;") && !svg.contains("b<"));
    }
}
