//! Writes a report, a list of blocks, as HTML or Markdown.

use std::fmt::Write;

/// Holds a part of a report.
pub(super) enum Block {
    Heading(String),
    Text(String),
    Table(Table),
    /// A picture with the stem of its file name.
    Picture {
        name: String,
        svg: String,
    },
}

/// Holds cells of text; the first column names the row.
pub(super) struct Table {
    pub(super) heads: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

/// Returns the heads of a table.
pub(super) fn heads(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

/// Holds a finished report.
pub struct Report {
    pub(super) title: String,
    pub(super) blocks: Vec<Block>,
}

const STYLE: &str = include_str!("report.css");

impl Report {
    /// Returns one HTML file that includes its pictures. It loads nothing and runs nothing.
    pub fn html(&self) -> String {
        let mut out = vec![format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n",
            title = escape(&self.title)
        )];
        for block in &self.blocks {
            match block {
                Block::Heading(text) => out.push(format!("<h2>{}</h2>\n", escape(text))),
                Block::Text(text) => out.push(format!("<p>{}</p>\n", escape(text))),
                Block::Picture { svg, .. } => out.push(format!("<figure>{svg}</figure>\n")),
                Block::Table(table) => table.html(&mut out),
            }
        }
        out.push("</main>\n</body>\n</html>\n".into());
        out.concat()
    }

    /// Returns Markdown that shows the [`Report::pictures`] from its own folder.
    pub fn markdown(&self) -> String {
        let mut out = vec![format!("# {}\n", line(&self.title))];
        for block in &self.blocks {
            out.push("\n".into());
            match block {
                Block::Heading(text) => out.push(format!("## {}\n", line(text))),
                Block::Text(text) => out.push(format!("{}\n", line(text))),
                Block::Picture { name, .. } => {
                    out.push(format!("![{}]({name}.svg)\n", name.replace('-', " ")));
                }
                Block::Table(table) => table.markdown(&mut out),
            }
        }
        out.concat()
    }

    /// Returns file name and SVG of every picture.
    pub fn pictures(&self) -> impl Iterator<Item = (String, &str)> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Picture { name, svg } => Some((format!("{name}.svg"), svg.as_str())),
            _ => None,
        })
    }
}

impl Table {
    fn html(&self, out: &mut Vec<String>) {
        let cells = |cells: &[String], name: &str| -> String {
            cells.iter().fold(String::new(), |mut text, cell| {
                write!(text, "<{name}>{}</{name}>", escape(cell)).expect("a string takes any text");
                text
            })
        };
        out.push("<div class=\"scroll\"><table>\n<thead><tr>".into());
        out.push(cells(&self.heads, "th"));
        out.push("</tr></thead>\n<tbody>\n".into());
        for row in &self.rows {
            let (name, rest) = row.split_first().expect("a row has a name");
            out.push(format!("<tr><th>{}</th>{}</tr>\n", escape(name), cells(rest, "td")));
        }
        out.push("</tbody>\n</table></div>\n".into());
    }

    fn markdown(&self, out: &mut Vec<String>) {
        let row = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| line(cell)).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        out.push(row(&self.heads));
        out.push(format!("|{}\n", "---|".repeat(self.heads.len())));
        for cells in &self.rows {
            out.push(row(cells));
        }
    }
}

/// Escapes text for HTML.
pub(super) fn escape(text: &str) -> String {
    let named = |out: String, (mark, name): (char, &str)| out.replace(mark, name);
    [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;")].into_iter().fold(text.to_string(), named)
}

/// Escapes text for one line of Markdown.
fn line(text: &str) -> String {
    let mut out = String::new();
    for letter in text.replace(['\n', '\r'], " ").chars() {
        if matches!(letter, '\\' | '|' | '<' | '`' | '*' | '_' | '[' | ']') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}
