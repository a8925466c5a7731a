//! The learning curve as a picture: an SVG with one thin line per raw series and a thick one for its moving mean.

use std::fmt::Write;

/// Steps that the moving mean looks back.
const WINDOW: usize = 5;
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 40.0;

/// Lines and labels behind the curves.
fn grid(line: &mut impl FnMut(String), last: f64, x: &impl Fn(f64) -> f64, y: &impl Fn(f64) -> f64) {
    for tick in 0..=5 {
        let value = f64::from(tick) / 5.0;
        let at = y(value);
        line(format!("<path d=\"M{LEFT} {at:.1}H{:.1}\" stroke=\"#dddddd\"/>", WIDTH - RIGHT));
        let label = format!("{:.0} %", value * 100.0);
        line(format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#555555\">{label}</text>",
            LEFT - 6.0,
            at + 4.0
        ));
    }
    for tick in 0..=4 {
        let step = last * f64::from(tick) / 4.0;
        line(format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555555\">{step:.0}</text>",
            x(step),
            HEIGHT - BOTTOM + 18.0
        ));
    }
    let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
    line(format!(
        "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555555\">step</text>",
        HEIGHT - 6.0
    ));
}

/// A curve of values between 0 and 1 over training steps. `marks` are held-out evaluations: steps done, value.
pub fn svg(title: &str, values: &[f64], marks: &[(usize, f64)]) -> String {
    let last = values.len().max(marks.iter().map(|(step, _)| *step).max().unwrap_or(1)).max(1) as f64;
    let x = |step: f64| LEFT + (WIDTH - LEFT - RIGHT) * step / last;
    let y = |value: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - value);
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    line(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">"
    ));
    line("<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>".into());
    line(format!("<text x=\"{LEFT}\" y=\"20\" font-size=\"14\" fill=\"#222222\">{}</text>", escape(title)));
    grid(&mut line, last, &x, &y);
    let smooth: Vec<f64> = (0..values.len())
        .map(|i| {
            let seen = &values[i.saturating_sub(WINDOW - 1)..=i];
            seen.iter().sum::<f64>() / seen.len() as f64
        })
        .collect();
    for (series, style) in
        [(values, "stroke=\"#a8c4e8\""), (&smooth, "stroke=\"#1f5fb0\" stroke-width=\"2.5\"")]
    {
        let mut path = String::new();
        for (step, value) in series.iter().enumerate() {
            let command = if step == 0 { 'M' } else { 'L' };
            write!(path, "{command}{:.1} {:.1}", x(step as f64 + 0.5), y(*value))
                .expect("a string takes any text");
        }
        line(format!("<path d=\"{path}\" fill=\"none\" {style}/>"));
    }
    for (step, value) in marks {
        let (cx, cy) = (x(*step as f64), y(*value));
        line(format!("<circle cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"5\" fill=\"#d04a1f\"/>"));
        let anchor = if *step == 0 { "start" } else { "end" };
        let label = format!("held out {:.1} %", value * 100.0);
        line(format!(
            "<text x=\"{cx:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" fill=\"#d04a1f\">{label}</text>",
            cy - 10.0
        ));
    }
    line("</svg>".into());
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn higher_values_lie_higher_and_text_is_escaped() {
        let picture = svg("a<b", &[0.0, 1.0], &[(0, 0.25), (2, 0.75)]);
        assert!(picture.contains("a&lt;b") && !picture.contains("a<b"));
        let heights: Vec<f64> = picture
            .split("cy=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(heights.len(), 2);
        assert!(heights[1] < heights[0]);
        assert!(svg("empty", &[], &[]).ends_with("</svg>\n"));
    }
}
