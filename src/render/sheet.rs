//! Exports rows of values as CSV, or as the two TSV files for TensorBoard's projector.

use super::figure::Points;
use crate::words;
use std::fmt::Write;

/// Formats points as CSV with the columns `picture,group,name,x,y,…`, one row per point. Values are written with the fewest
/// digits that round-trip.
pub fn csv(points: &Points) -> String {
    let mut text = String::from(if points.files.is_empty() { "picture,group,name" } else { "picture,file,group,name" });
    for column in columns(points) {
        text.push(',');
        text += &column;
    }
    text.push('\n');
    for i in 0..points.count() {
        let group = points.group(i);
        let _ = write!(text, "{},", points.picture(i));
        if let Some(file) = points.files.get(i) {
            let _ = write!(text, "{},", quoted(&words::escaped(file)));
        }
        let _ = write!(text, "{group},{}", quoted(&words::escaped(&points.name(group))));
        for v in points.row(i) {
            let _ = write!(text, ",{v}");
        }
        text.push('\n');
    }
    text
}

/// Formats the values of points as tab-separated rows: the projector's `tensors.tsv`.
pub fn vectors(points: &Points) -> String {
    let mut text = String::new();
    for i in 0..points.count() {
        for (column, v) in points.row(i).iter().enumerate() {
            let tab = if column > 0 { "\t" } else { "" };
            let _ = write!(text, "{tab}{v}");
        }
        text.push('\n');
    }
    text
}

/// Formats a header and a row describing each point: the projector's `metadata.tsv`.
pub fn metadata(points: &Points) -> String {
    let cell = |text: &str| words::escaped(text).replace(['\t', '\n'], " ");
    let mut text = String::from(if points.files.is_empty() { "picture\tlabel\n" } else { "picture\tlabel\tfile\n" });
    for i in 0..points.count() {
        let _ = write!(text, "{}\t{}", points.picture(i), cell(&points.name(points.group(i))));
        if let Some(file) = points.files.get(i) {
            let _ = write!(text, "\t{}", cell(file));
        }
        text.push('\n');
    }
    text
}

fn columns(points: &Points) -> Vec<String> {
    let width = points.values.shape.get(1).copied().unwrap_or(0);
    match width {
        0..=3 => ["x", "y", "z"][..width].iter().map(|c| c.to_string()).collect(),
        _ => (0..width).map(|c| format!("x{c}")).collect(),
    }
}

fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::figure::Array;
    use super::*;

    fn points() -> Points {
        Points {
            values: Array::new(vec![2, 2], vec![0.1, -2.0, 1e-20, 3.5]).unwrap(),
            groups: vec![1, 0].into(),
            names: vec!["a\tb".to_string(), "say \"hi\", you".into()].into(),
            pictures: vec![7, 9].into(),
            files: [].into(),
            colors: [].into(),
        }
    }

    #[test]
    fn csv_has_a_header_and_quotes_names_with_commas() {
        let expected =
            "picture,group,name,x,y\n7,1,\"say \"\"hi\"\", you\",0.1,-2\n9,0,a\tb,0.00000000000000000001,3.5\n";
        assert_eq!(csv(&points()), expected);
    }

    #[test]
    fn pictures_of_a_folder_are_identified_by_their_files() {
        let files = vec!["cat/a,b.png".to_string(), "dog/\u{1b}[31m.png".into()].into();
        let points = Points { files, ..points() };
        assert_eq!(csv(&points).lines().nth(1), Some("7,\"cat/a,b.png\",1,\"say \"\"hi\"\", you\",0.1,-2"));
        assert_eq!(metadata(&points).lines().last(), Some("9\ta b\tdog/\\x1b[31m.png"));
        assert_eq!([points.title(0), self::points().title(1)], ["cat/a,b.png", "picture 9"]);
    }

    #[test]
    fn the_projector_gets_a_name_for_each_row_and_no_header_above_the_values() {
        assert_eq!(vectors(&points()), "0.1\t-2\n0.00000000000000000001\t3.5\n");
        assert_eq!(metadata(&points()), "picture\tlabel\n7\tsay \"hi\", you\n9\ta b\n");
    }
}
