//! Draws ratatui's frames by ANSI escape sequences on stdout.
//!
//! It replaces the usual backend, which would switch on features of crates that the tensor library is built
//! with, and have it compiled a second time.

use std::io::{self, Write};

use console::Term;
use ratatui::backend::{Backend, ClearType, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use ratatui::style::{Color, Modifier};

/// Draws into memory; [`Ansi::take`] returns the sequences for the terminal.
#[derive(Default)]
pub(super) struct Ansi {
    out: Vec<u8>,
}

impl Ansi {
    /// Returns the sequences since the last call.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }
}

impl Backend for Ansi {
    type Error = io::Error;

    fn draw<'a, I: Iterator<Item = (u16, u16, &'a Cell)>>(&mut self, content: I) -> io::Result<()> {
        let (mut next, mut style) = (None, None);
        for (x, y, cell) in content {
            if next != Some((x, y)) {
                write!(self.out, "\x1b[{};{}H", y + 1, x + 1)?;
            }
            let wanted = (cell.modifier.contains(Modifier::BOLD), foreground(cell.fg));
            if style != Some(wanted) {
                let (bold, colour) = wanted;
                let bold = if bold { ";1" } else { "" };
                let colour = colour.map_or(String::new(), |colour| format!(";{colour}"));
                write!(self.out, "\x1b[0{bold}{colour}m")?;
                style = Some(wanted);
            }
            write!(self.out, "{}", cell.symbol())?;
            // A wide character moves the cursor by two, so the next cell sets its position.
            next = cell.symbol().is_ascii().then_some((x + 1, y));
        }
        if style.is_some() { write!(self.out, "\x1b[0m") } else { Ok(()) }
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        write!(self.out, "\x1b[?25l")
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        write!(self.out, "\x1b[?25h")
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(Position::ORIGIN)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        let Position { x, y } = position.into();
        write!(self.out, "\x1b[{};{}H", y + 1, x + 1)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.clear_region(ClearType::All)
    }

    fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
        let code = match region {
            ClearType::All => "2J",
            ClearType::AfterCursor => "0J",
            ClearType::BeforeCursor => "1J",
            ClearType::CurrentLine => "2K",
            ClearType::UntilNewLine => "0K",
        };
        write!(self.out, "\x1b[{code}")
    }

    fn size(&self) -> io::Result<Size> {
        // The order is rows, columns.
        let (height, width) = Term::stdout().size_checked().unwrap_or((24, 80));
        Ok(Size { width, height })
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize { columns_rows: self.size()?, pixels: Size::ZERO })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the code of a foreground colour; none for the terminal's default.
fn foreground(colour: Color) -> Option<u8> {
    Some(match colour {
        Color::Red => 31,
        Color::Yellow => 33,
        Color::Magenta => 35,
        Color::Cyan => 36,
        Color::DarkGray => 90,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use ratatui::style::Style;

    use super::*;

    #[test]
    fn cells_become_text_at_their_places() {
        let mut ansi = Ansi::default();
        let mut cells = ["a", "b", "…", "c"].map(Cell::new);
        cells[1].set_style(Style::new().fg(Color::Red).add_modifier(Modifier::BOLD));
        let places = [(0, 0), (1, 0), (2, 0), (3, 0)];
        ansi.draw(places.iter().zip(&cells).map(|(&(x, y), cell)| (x, y, cell))).unwrap();
        ansi.draw(std::iter::empty()).unwrap();
        ansi.show_cursor().unwrap();
        let text = String::from_utf8(ansi.take()).unwrap();
        assert_eq!(text, "\x1b[1;1H\x1b[0ma\x1b[0;1;31mb\x1b[0m…\x1b[1;4Hc\x1b[0m\x1b[?25h");
    }
}
