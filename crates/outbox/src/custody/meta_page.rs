//! The store's id, commit number, schema cookie and length as the file itself has them, without its `-wal`.
//!
//! Every commit changes the row of `meta`, so every checkpoint brings the number of the newest commit that it moved: what the
//! file says can only grow. A file that says less, or names another store, is not what this process moved there. Neither is one
//! whose schema was changed when the store's was not: `VACUUM INTO` lays the pages out anew and counts that as a change.
//! Source: <https://www.sqlite.org/fileformat2.html>, sections 1.3 (header), 1.6 (b-tree pages) and 2.1 (records).

use std::{fs::File, io, os::unix::fs::FileExt as _};

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InFile {
    pub(crate) store_id: String,
    pub(crate) commits: i64,
    /// Grows with every change of the schema.
    pub(crate) cookie: u32,
    /// How many pages the file should have.
    pub(crate) pages: u32,
}

/// Where `meta` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The number of its page, from 1.
    pub(crate) page: u64,
    /// Bytes of a page.
    pub(crate) page_size: usize,
}

/// Reads it through `buffer`; `None` where there is no such row.
pub(crate) fn read(file: &File, place: Place, buffer: &mut Vec<u8>) -> io::Result<Option<InFile>> {
    let mut header = [0; COOKIE + 4];
    match file.read_exact_at(&mut header, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let number = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().expect("four bytes of the header"));
    buffer.resize(place.page_size, 0);
    let mut filled = 0;
    let offset = (place.page - 1) * place.page_size as u64;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64)? {
            0 => return Ok(None),
            read => filled += read,
        }
    }
    let row = parse(buffer);
    Ok(row.map(|(store_id, commits)| InFile { store_id, commits, cookie: number(COOKIE), pages: number(PAGES) }))
}

/// Where the length in pages is in the file, and where the schema cookie is.
const PAGES: usize = 28;
const COOKIE: usize = 40;

/// A leaf of a table, with cells.
const LEAF: u8 = 0x0d;
/// The header of a page that is not the first one.
const HEADER: usize = 8;

/// The only row of a leaf page: `(id INTEGER PRIMARY KEY, store_id TEXT, commit_seq INTEGER, …)`.
fn parse(page: &[u8]) -> Option<(String, i64)> {
    if *page.first()? != LEAF || page.get(3..5)? != [0, 1] {
        return None;
    }
    let cell = usize::from(u16::from_be_bytes(page.get(HEADER..HEADER + 2)?.try_into().ok()?));
    let mut rest = page.get(cell..)?;
    let _payload = varint(&mut rest)?;
    let _rowid = varint(&mut rest)?;
    let record = rest;
    let header = usize::try_from(varint(&mut rest)?).ok()?;
    let [id, store_id, commits] = [varint(&mut rest)?, varint(&mut rest)?, varint(&mut rest)?];
    // A key that is the row's number is stored as NULL; text is told by odd numbers from 13 on.
    let text = (id == 0 && store_id >= 13 && store_id % 2 == 1).then(|| (store_id - 13) / 2)?;
    let body = record.get(header..)?;
    let (text, body) = body.split_at_checked(usize::try_from(text).ok()?)?;
    Some((std::str::from_utf8(text).ok()?.to_owned(), integer(commits, body)?))
}

fn integer(kind: u64, body: &[u8]) -> Option<i64> {
    let bytes = match kind {
        8 => return Some(0),
        9 => return Some(1),
        1..=4 => usize::try_from(kind).ok()?,
        5 => 6,
        6 => 8,
        _ => return None,
    };
    let bytes = body.get(..bytes)?;
    let sign = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
    Some(bytes.iter().fold(sign, |number, byte| (number << 8) | i64::from(*byte)))
}

/// One to nine bytes, seven bits each but the ninth.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in 0..9 {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        if place == 8 {
            return Some((number << 8) | u64::from(*first));
        }
        number = (number << 7) | u64::from(first & 0x7f);
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::migrate;

    #[test]
    fn m13_id_and_number_are_read_from_the_file_as_sqlite_wrote_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.db");
        let mut connection = Connection::open(&path).unwrap();
        migrate::migrate(&mut connection, &path).unwrap();
        let place = place_of(&connection);
        let file = File::open(&path).unwrap();
        let store_id: String = connection.query_row("SELECT store_id FROM meta", [], |row| row.get(0)).unwrap();
        let mut buffer = Vec::new();
        let reason = "a reason ".repeat(60);
        for commits in [0, 1, 2, 127, 128, 255, 256, 40_000, 9_000_000, 3_000_000_000, 1 << 45, i64::MAX, -1, -70_000] {
            let set = "UPDATE meta SET commit_seq = ?1, reconcile_reason = ?2";
            connection.execute(set, rusqlite::params![commits, reason]).unwrap();
            let found = read(&file, place, &mut buffer).unwrap().unwrap();
            let says = |pragma: &str| connection.query_row(pragma, [], |row| row.get(0)).unwrap();
            let (cookie, pages) = (says("PRAGMA schema_version"), says("PRAGMA page_count"));
            assert_eq!(found, InFile { store_id: store_id.clone(), commits, cookie, pages });
        }
    }

    fn place_of(connection: &Connection) -> Place {
        super::super::look::place(connection).unwrap()
    }

    #[test]
    fn what_is_no_such_page_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        for bytes in [vec![], vec![0; 4096], vec![0; 8192], vec![0xff; 8192], vec![0x0d; 8192]] {
            std::fs::write(&path, &bytes).unwrap();
            let file = File::open(&path).unwrap();
            let place = Place { page: 2, page_size: 4096 };
            assert_eq!(read(&file, place, &mut Vec::new()).unwrap(), None, "{} bytes", bytes.len());
        }
    }

    #[test]
    fn a_page_cut_anywhere_never_makes_it_panic() {
        let mut page = vec![0_u8; 512];
        page[0] = LEAF;
        page[4] = 1;
        for cell in 0..=512_u16 {
            page[HEADER..HEADER + 2].copy_from_slice(&cell.to_be_bytes());
            for fill in [0x00, 0x0d, 0x7f, 0x80, 0xff] {
                page[10..].fill(fill);
                let _nothing = parse(&page);
            }
        }
        assert_eq!(varint(&mut &[0xff; 9][..]), Some(u64::MAX));
        assert_eq!(varint(&mut &[0x81, 0x00][..]), Some(128));
        assert_eq!(varint(&mut &[0x81][..]), None);
    }
}
