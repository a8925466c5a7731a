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

/// Escapes text for HTML and SVG.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            hidden if is_hidden(hidden) => out.extend(hidden.escape_unicode()),
            other => out.push(other),
        }
    }
    out
}

/// Returns whether a character stands in no picture: XML 1.0 (section 2.2) lacks it, or it hides or reorders
/// the text around it.
fn is_hidden(letter: char) -> bool {
    let reorders =
        matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let breaks = matches!(letter, '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}');
    reorders || breaks || (letter.is_control() && !matches!(letter, '\n' | '\r' | '\t'))
}

/// Escapes text for one line of Markdown.
fn line(text: &str) -> String {
    let mut out = String::new();
    for letter in text.replace(['\n', '\r'], " ").chars() {
        if is_hidden(letter) {
            out.push('\\');
            out.extend(letter.escape_unicode());
            continue;
        }
        if matches!(letter, '\\' | '|' | '<' | '&' | '~' | '`' | '*' | '_' | '[' | ']') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_others_are_text_in_each_format() {
        let name = "a.b <b>&\"|_*~\u{1b}[2J\u{0}\u{9b}\u{202e}\u{ffff}\n\u{2028}é";
        let hidden = ['\u{1b}', '\u{0}', '\u{9b}', '\u{202e}', '\u{ffff}', '\u{2028}'];
        let markup = escape(name);
        assert_eq!(
            markup,
            "a.b &lt;b&gt;&amp;&quot;|_*~\\u{1b}[2J\\u{0}\\u{9b}\\u{202e}\\u{ffff}\n\\u{2028}é"
        );
        let line = line(name);
        assert!(
            !line.contains('\n') && line.starts_with("a.b \\<b>\\&\"\\|\\_\\*\\~\\\\u{1b}\\[2J"),
            "{line}"
        );
        assert!(hidden.iter().all(|hidden| !markup.contains(*hidden) && !line.contains(*hidden)));
    }
}
