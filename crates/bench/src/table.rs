//! Plain tables: two blanks between columns; words to the left, figures to the right.

/// A table that is being filled.
#[derive(Debug)]
pub(crate) struct Table {
    words: usize,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these headings; the first of its columns holds words.
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self { words: 1, rows: vec![headings.iter().map(|&heading| heading.to_owned()).collect()] }
    }

    /// The same, with so many columns of words.
    pub(crate) fn with_words(self, words: usize) -> Self {
        Self { words, ..self }
    }

    /// Adds a row; a cell that is missing stays empty.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// As text, a line each.
    pub(crate) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let gap = widths[column].saturating_sub(cell.chars().count());
                let (before, after) = if column < self.words { (0, gap) } else { (gap, 0) };
                let between = if column == 0 { 0 } else { 2 };
                line.push_str(&" ".repeat(between + before));
                line.push_str(cell);
                line.push_str(&" ".repeat(after));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let mut table = Table::new(&["who", "n"]);
        table.row(["worker".to_owned(), "1".to_owned()]);
        table.row(["b".to_owned(), "1000–".to_owned()]);
        assert_eq!(table.render(), "who         n\nworker      1\nb       1000–\n");
    }
}
