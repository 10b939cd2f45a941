//! Tables without borders, at most 100 columns wide.

use comfy_table::{CellAlignment, ContentArrangement, presets};

use super::human::plain_text;

/// A table for people is never wider.
const WIDTH: u16 = 100;
/// Stand for colours while the layout is made: they have no width, and [`plain_text`] lets none through.
const MARKS: [(char, &str); 6] = [
    ('\u{2061}', "\u{1b}[32m"),
    ('\u{2062}', "\u{1b}[33m"),
    ('\u{2063}', "\u{1b}[31m"),
    ('\u{2064}', "\u{1b}[2m"),
    ('\u{206a}', "\u{1b}[1m"),
    ('\u{206b}', "\u{1b}[0m"),
];
const END: char = '\u{206b}';

/// What a text means to its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Nothing in particular.
    Plain,
    /// As it should be.
    Good,
    /// Not settled, or worth a look.
    Notice,
    /// Somebody has to do something.
    Bad,
    /// Of less interest.
    Faint,
    /// A heading.
    Strong,
}

impl Tone {
    const fn mark(self) -> Option<char> {
        match self {
            Self::Plain => None,
            Self::Good => Some('\u{2061}'),
            Self::Notice => Some('\u{2062}'),
            Self::Bad => Some('\u{2063}'),
            Self::Faint => Some('\u{2064}'),
            Self::Strong => Some('\u{206a}'),
        }
    }

    /// `text` in this tone, where colours are wanted.
    #[must_use]
    pub fn paint(self, text: &str, color: bool) -> String {
        dress(&self.marked(text), color)
    }

    fn marked(self, text: &str) -> String {
        match self.mark() {
            // Each word for itself: the layout may break the text between them.
            Some(_) if text.is_empty() => String::new(),
            Some(mark) => text.split(' ').map(|word| format!("{mark}{word}{END}")).collect::<Vec<_>>().join(" "),
            None => text.to_owned(),
        }
    }
}

/// One column.
#[derive(Clone, Debug)]
pub struct Column {
    header: &'static str,
    alignment: CellAlignment,
}

impl Column {
    /// For text.
    #[must_use]
    pub const fn left(header: &'static str) -> Self {
        Self { header, alignment: CellAlignment::Left }
    }

    /// For numbers.
    #[must_use]
    pub const fn right(header: &'static str) -> Self {
        Self { header, alignment: CellAlignment::Right }
    }
}

/// One cell, line by line. Its text may come from anywhere.
#[derive(Clone, Debug)]
pub struct Cell(Vec<String>);

impl Cell {
    /// One line of text.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self::toned(text, Tone::Plain)
    }

    /// One line of text with a meaning.
    pub fn toned(text: impl AsRef<str>, tone: Tone) -> Self {
        Self(vec![tone.marked(&plain_text(text.as_ref()))])
    }

    /// What is missing.
    #[must_use]
    pub fn none() -> Self {
        Self::new("-")
    }

    /// Text, or `-` where there is none.
    pub fn maybe(text: Option<impl AsRef<str>>) -> Self {
        text.map_or_else(Self::none, Self::new)
    }

    /// Another line below.
    #[must_use]
    pub fn below(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    fn text(&self) -> String {
        self.0.join("\n")
    }
}

/// A table.
#[derive(Debug)]
pub struct Table(comfy_table::Table);

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new<const N: usize>(columns: [Column; N]) -> Self {
        let mut table = plain();
        table.set_header(columns.iter().map(|column| Tone::Strong.marked(column.header)).collect::<Vec<_>>());
        lay_out(&mut table, &columns.map(|column| column.alignment));
        Self(table)
    }

    /// Names and values side by side; what has no value has no line.
    #[must_use]
    pub fn facts<const N: usize>(facts: [(&str, Option<String>); N]) -> Self {
        let mut table = plain();
        for (name, value) in facts {
            if let Some(value) = value {
                table.add_row([Cell::toned(name, Tone::Faint).text(), Cell::new(value).text()]);
            }
        }
        lay_out(&mut table, &[CellAlignment::Left, CellAlignment::Left]);
        Self(table)
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.0.add_row(cells.map(|cell| cell.text()));
    }

    /// The table as text, a line break after each line and no blanks before it.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        self.0.lines().map(|line| dress(line.trim_end(), color) + "\n").collect()
    }
}

fn plain() -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table
}

/// Two blanks between columns.
fn lay_out(table: &mut comfy_table::Table, alignments: &[CellAlignment]) {
    for (column, alignment) in table.column_iter_mut().zip(alignments) {
        column.set_cell_alignment(*alignment);
        column.set_padding((0, if column.index + 1 < alignments.len() { 2 } else { 0 }));
    }
}

/// Colours in place of marks, or nothing.
fn dress(text: &str, color: bool) -> String {
    let mut dressed = String::with_capacity(text.len());
    for character in text.chars() {
        match MARKS.iter().find(|(mark, _)| *mark == character) {
            Some((_, code)) if color => dressed.push_str(code),
            Some(_) => {}
            None => dressed.push(character),
        }
    }
    dressed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new([Column::left("NAME"), Column::right("AMOUNT"), Column::left("WORDS")]);
        table.row([Cell::toned("good", Tone::Good), Cell::new("Rp 10"), Cell::new("few")]);
        let words = "many words that together are so long that they cannot stand on one line of this table, by far";
        table.row([Cell::new("one").below(Cell::new("two")), Cell::none(), Cell::toned(words, Tone::Bad)]);
        table
    }

    fn without_colours(text: &str) -> String {
        MARKS.iter().fold(text.to_owned(), |text, (_, code)| text.replace(code, ""))
    }

    #[test]
    fn it_is_aligned_and_at_most_a_hundred_columns_wide() {
        let text = table().render(false);
        assert_eq!(
            text,
            "NAME  AMOUNT  WORDS\n\
             good   Rp 10  few\n\
             one        -  many words that together are so long that they cannot stand on one line of this table,\n\
             two           by far\n"
        );
        assert!(text.lines().all(|line| line.chars().count() <= 100));
    }

    #[test]
    fn colours_change_nothing_but_the_colour() {
        let coloured = table().render(true);
        assert!(coloured.contains("\u{1b}[32mgood\u{1b}[0m"), "{coloured:?}");
        assert_eq!(without_colours(&coloured), table().render(false));
    }

    #[test]
    fn foreign_text_cannot_bring_colours_or_lines() {
        let mut table = Table::new([Column::left("NAME")]);
        table.row([Cell::new("a\u{1b}[31m\u{2063}b\nc")]);
        assert_eq!(table.render(true).lines().count(), 2);
        assert!(table.render(true).ends_with("a�[31m�b�c\n"));
    }
}
