//! Draws differences with their intervals, one a line.

use std::fmt::Write;

use turnwise_stats::Interval;

use super::paired::Difference;

const WIDTH: f64 = 720.0;
const LEFT: f64 = 240.0;
const RIGHT: f64 = 24.0;
const ROW: f64 = 26.0;
const TOP: f64 = 40.0;

/// A line of the picture: a difference, or a heading over those that follow.
pub(super) enum Row {
    Heading(&'static str),
    Difference { label: String, points: f64, t: Interval },
}

impl Row {
    /// Draws a difference under a label.
    pub(super) fn labelled(label: String, difference: &Difference) -> Self {
        Self::Difference { label, points: difference.points, t: difference.t }
    }

    /// Draws a difference under its family and methods.
    pub(super) fn of(difference: &Difference) -> Self {
        Self::labelled(format!("{}: {}", difference.family, difference.name), difference)
    }

    fn ends(&self) -> Option<[f64; 2]> {
        match self {
            Self::Heading(_) => None,
            Self::Difference { t, .. } => Some([t.low, t.high]),
        }
    }

    /// Adds the line at height `y`. `x` maps points to the picture.
    fn draw(&self, out: &mut String, y: f64, x: &dyn Fn(f64) -> f64) {
        let text = y + 4.0;
        match self {
            Self::Heading(heading) => writeln!(
                out,
                "<text x=\"16\" y=\"{text:.1}\" font-weight=\"bold\" fill=\"#222\">{heading}</text>"
            ),
            Self::Difference { label, points, t } => {
                let [low, middle, high] = [t.low, *points, t.high].map(|share| x(100.0 * share));
                writeln!(
                    out,
                    "<text x=\"16\" y=\"{text:.1}\" fill=\"#222\">{label}</text>\n\
                     <path d=\"M{low:.1} {y:.1}H{high:.1}\" stroke=\"#1f5fb0\" stroke-width=\"2.5\"/>\n\
                     <circle cx=\"{middle:.1}\" cy=\"{y:.1}\" r=\"4.5\" fill=\"#1f5fb0\"/>"
                )
            }
        }
        .expect("a string takes any text");
    }
}

/// Marks a range of differences behind the rows, such as that of a published claim.
pub(super) struct Band {
    pub(super) label: &'static str,
    /// Both ends, as shares.
    pub(super) ends: [f64; 2],
}

/// Draws percentage points from left to right, with the t interval as a line, as an SVG.
pub(super) fn forest(title: &str, rows: &[Row], band: Option<&Band>) -> String {
    let shown = rows.iter().filter_map(Row::ends).chain(band.map(|band| band.ends)).flatten();
    let reach = shown.map(f64::abs).fold(0.01, f64::max);
    // Whole points per tick, five ticks to a side at most.
    let tick = (100.0 * reach / 5.0).ceil();
    let ticks = (100.0 * reach / tick).ceil() as i32;
    let x = |points: f64| {
        let half = (WIDTH - LEFT - RIGHT) / 2.0;
        LEFT + half + half * points / (f64::from(ticks) * tick)
    };
    let height = TOP + ROW * rows.len() as f64 + 40.0;
    let bottom = height - 34.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\" role=\"img\">\n\
         <title>{title}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"16\" y=\"20\" font-size=\"14\" fill=\"#222\">{title}</text>\n"
    );
    if let Some(Band { label, ends }) = band {
        let [low, high] = ends.map(|share| x(100.0 * share));
        write!(
            out,
            "<path d=\"M{low:.1} {TOP:.1}H{high:.1}V{bottom:.1}H{low:.1}Z\" fill=\"#cfe8d5\"/>\n\
             <text x=\"{:.1}\" y=\"20\" text-anchor=\"end\" fill=\"#2e7d4f\">{label}</text>\n",
            WIDTH - RIGHT
        )
        .expect("a string takes any text");
    }
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
    for (place, row) in rows.iter().enumerate() {
        let y = TOP + ROW * (place as f64 + 0.5);
        row.draw(&mut out, y, &x);
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
