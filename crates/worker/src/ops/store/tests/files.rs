//! What is told of files that are not what was named.

use std::path::Path;

use super::*;

#[tokio::test]
async fn what_cannot_be_put_back_is_told_with_a_hint_about_that_file() {
    let filled = fixture::filled().await;
    filled.store.close().await;
    let folder = filled.path.parent().unwrap();
    let [text, none] = ["notes.txt", "nowhere.db"].map(|name| folder.join(name));
    std::fs::write(
        &text,
        "these are words, and they are longer than the header of a file of SQLite; so they are read\n".repeat(9),
    )
    .unwrap();
    let strange = folder.join("strange.db");
    rusqlite::Connection::open(&strange).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    let empty = folder.join("empty.db");
    std::fs::write(&empty, "").unwrap();
    for file in [text, none, strange, empty] {
        let error = put_in_place(&filled, &file, acting()).await.0.unwrap_err();
        let report = error.report(false);
        assert_eq!(error.exit(), Exit::Usage, "{report}");
        assert!(report.contains(&file.display().to_string()), "{report}");
        assert!(report.contains("hint: name a file that `worker store backup` has made"), "{report}");
    }
}

#[tokio::test]
async fn a_copy_into_a_folder_that_is_not_there_names_the_folder() {
    let filled = fixture::filled().await;
    let args = StoreBackupArgs { to: Path::new("/nodir/sub/x.db").to_owned() };
    let output = Output::captured(Format::Json);
    let error = backup::run(&args, &config_of(&filled), &Clock::start(), &output).unwrap_err();
    let report = error.report(false);
    assert_eq!(error.exit(), Exit::Usage, "{report}");
    assert!(report.contains("/nodir/sub has to be") && !report.contains("the store and its folder"), "{report}");
}
