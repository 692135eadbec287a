//! The one table layout (contract 8.5): a row of titles, a row of dashes as long as each title, columns left-aligned
//! with one blank after each, `None` for what is missing.

use std::fmt::Write;

const MISSING: &str = "None";
/// Where lines of text are broken, so that they fit into 100 columns; a word that is longer stays whole.
pub const WIDTH: usize = 96;

/// A table in the making.
pub struct Table {
    titles: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
}

impl Table {
    pub fn new<T: Into<String>>(titles: impl IntoIterator<Item = T>) -> Self {
        Self { titles: titles.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row; cells beyond the titles are not shown, missing ones print as `None`.
    pub fn row<C: Into<String>>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.rows.push(cells.into_iter().map(|cell| Some(one_line(&cell.into()))).collect());
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The text, each line preceded by `indent` blanks.
    pub fn text(&self, indent: usize) -> String {
        let dashes = self.titles.iter().map(|title| Some("-".repeat(width(title)))).collect();
        let titles = self.titles.iter().cloned().map(Some).collect();
        let lines: Vec<&Vec<Option<String>>> =
            [&titles, &dashes].into_iter().chain(&self.rows).collect();
        let cell = |line: &Vec<Option<String>>, column: usize| -> String {
            line.get(column).cloned().flatten().unwrap_or_else(|| MISSING.to_owned())
        };
        let widths: Vec<usize> = (0..self.titles.len())
            .map(|column| lines.iter().map(|line| width(&cell(line, column))).max().unwrap_or(0))
            .collect();
        let mut out = String::new();
        for line in lines {
            out.push_str(&" ".repeat(indent));
            for (column, wide) in widths.iter().enumerate() {
                let text = cell(line, column);
                let pad = wide - width(&text) + 1;
                let _ = write!(out, "{text}{:pad$}", "");
            }
            out.push('\n');
        }
        out
    }
}

/// Texts come from other hosts: what would break the row, or command the terminal, becomes a blank.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `text` after `first`, broken between words so that lines end before `wide`; further lines start with `indent`
/// blanks. A word that is longer than that stays whole: paths are there to be copied.
pub fn wrapped(first: &str, text: &str, indent: usize, wide: usize) -> String {
    let (mut out, mut line, mut words) = (String::new(), first.to_owned(), 0);
    for word in one_line(text).split_whitespace() {
        if words > 0 && width(&line) + 1 + width(word) > wide {
            out.push_str(&line);
            out.push('\n');
            (line, words) = (" ".repeat(indent), 0);
        }
        if words > 0 {
            line.push(' ');
        }
        line.push_str(word);
        words += 1;
    }
    out + &line + "\n"
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// A text between two lines of dashes of its length.
pub fn banner(text: &str, indent: usize) -> String {
    let (blanks, dashes) = (" ".repeat(indent), "-".repeat(width(text)));
    format!("{blanks}{dashes}\n{blanks}{text}\n{blanks}{dashes}\n")
}

#[cfg(test)]
mod tests {
    use super::{Table, banner, wrapped};

    /// Contract 8.5: dashes as long as titles, one blank after every column, the last included.
    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(["Rank", "State"]);
        table.row(["[0-3,5]", "Joined"]);
        table.row(["7"]);
        assert_eq!(
            table.text(0),
            "Rank    State  \n----    -----  \n[0-3,5] Joined \n7       None   \n"
        );
        assert_eq!(Table::new(["A"]).text(2), "  A \n  - \n");
    }

    #[test]
    fn texts_of_other_hosts_cannot_break_out_of_their_cell() {
        let mut table = Table::new(["A"]);
        table.row(["one\ntwo\u{1b}[2J"]);
        assert_eq!(table.text(0).lines().last(), Some("one two [2J "));
    }

    #[test]
    fn long_texts_are_broken_between_words() {
        assert_eq!(wrapped("a: ", "one two three", 3, 10), "a: one two\n   three\n");
        assert_eq!(
            wrapped("", "/very/long/path of\nwords", 2, 8),
            "/very/long/path\n  of\n  words\n"
        );
        assert_eq!(wrapped("a", "", 2, 8), "a\n");
    }

    #[test]
    fn a_banner_is_as_wide_as_its_text() {
        assert_eq!(banner("n[1-2]", 0), "------\nn[1-2]\n------\n");
    }
}
