//! Plain tables: two blanks between columns, the first to the left, the others to the right.

/// A table that is being filled.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these headings.
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|&heading| heading.to_owned()).collect()] }
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
                if column == 0 {
                    line.push_str(cell);
                    line.push_str(&" ".repeat(gap));
                } else {
                    line.push_str("  ");
                    line.push_str(&" ".repeat(gap));
                    line.push_str(cell);
                }
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
