//! Draws differences with their intervals, one a line.

use std::fmt::Write;

use super::paired::Difference;

const WIDTH: f64 = 720.0;
const LEFT: f64 = 240.0;
const RIGHT: f64 = 24.0;
const ROW: f64 = 26.0;
const TOP: f64 = 40.0;

/// Draws percentage points from left to right, with the t interval as a line, as an SVG.
pub(super) fn forest(title: &str, found: &[Difference]) -> String {
    let reach = found.iter().flat_map(|d| [d.t.low.abs(), d.t.high.abs()]).fold(0.01, f64::max);
    // Whole points per tick, five ticks to a side at most.
    let tick = (100.0 * reach / 5.0).ceil();
    let ticks = (100.0 * reach / tick).ceil() as i32;
    let x = |points: f64| {
        let half = (WIDTH - LEFT - RIGHT) / 2.0;
        LEFT + half + half * points / (f64::from(ticks) * tick)
    };
    let height = TOP + ROW * found.len() as f64 + 40.0;
    let bottom = height - 34.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\" role=\"img\">\n\
         <title>{title}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"16\" y=\"20\" font-size=\"14\" fill=\"#222\">{title}</text>\n"
    );
    for at in -ticks..=ticks {
        let points = f64::from(at) * tick;
        let colour = if at == 0 { "#444" } else { "#ddd" };
        let sign = ["−", "", "+"][(at.signum() + 1) as usize];
        write!(
            out,
            "<path d=\"M{:.1} {:.1}V{bottom:.1}\" stroke=\"{colour}\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">{sign}{:.0}</text>\n",
            x(points),
            TOP - 8.0,
            x(points),
            bottom + 16.0,
            points.abs()
        )
        .expect("a string takes any text");
    }
    for (row, d) in found.iter().enumerate() {
        let y = TOP + ROW * (row as f64 + 0.5);
        let [low, middle, high] = [d.t.low, d.points, d.t.high].map(|share| x(100.0 * share));
        write!(
            out,
            "<text x=\"16\" y=\"{:.1}\" fill=\"#222\">{}: {}</text>\n\
             <path d=\"M{low:.1} {y:.1}H{high:.1}\" stroke=\"#1f5fb0\" stroke-width=\"2.5\"/>\n\
             <circle cx=\"{middle:.1}\" cy=\"{y:.1}\" r=\"4.5\" fill=\"#1f5fb0\"/>\n",
            y + 4.0,
            d.family,
            d.name
        )
        .expect("a string takes any text");
    }
    write!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">percentage points of held-out avg@8, 95 % t interval</text>\n</svg>\n",
        x(0.0),
        height - 4.0
    )
    .expect("a string takes any text");
    out
}
