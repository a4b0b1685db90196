//! Formats figures as text for a terminal of a given width.

use super::figure::{Body, Figure};
use super::number::brief;
use super::quantity::Quantity;
use super::scale::range;
use crate::words;

/// Formats the one-line caption of a figure: title, range of the values, scale, reduction of channels, number of non-finite values, and
/// the note, if any. Example: `cam  -0.12 to 0.83, from zero, 3 of 49 not finite`.
pub fn caption(figure: &Figure) -> String {
    let measured = measured(figure);
    match &figure.body {
        Body::Map { note, .. } if !note.is_empty() => format!("{measured}; {}", words::line(note)),
        _ => measured,
    }
}

fn measured(figure: &Figure) -> String {
    let Quantity { unit, channels } = &figure.quantity;
    let ends = figure.values().and_then(|v| v.range()).map(|(low, high)| match unit {
        Some(unit) => unit.range(low, high),
        None => format!("{} to {}", brief(low), brief(high)),
    });
    let reduction = match &figure.body {
        Body::Map { values, .. } => channels.reduction(&values.shape),
        _ => None,
    };
    let scale = match range(figure) {
        Some(range) => (!range.is_empty()).then_some(range.chosen),
        None => matches!(figure.body, Body::Montage { .. }).then_some("each tile on its own scale"),
    };
    let about = [ends, scale.map(String::from), reduction, figure.part(), figure.warning()]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ");
    let title = words::name(&figure.title);
    if about.is_empty() { title.into_owned() } else { format!("{title}  {about}") }
}

/// Formats a figure as text: bars at most `width` columns wide, a table, or the figure's own text if it is a text figure. Returns `None`
/// for pictures and scatter plots.
pub fn text(figure: &Figure, width: usize) -> Option<String> {
    match &figure.body {
        Body::Map { .. } | Body::Image { .. } | Body::Montage { .. } | Body::Scatter { .. } => None,
        Body::Sheet { points } => {
            let width = points.values.shape.get(1).copied().unwrap_or(0);
            Some(format!("{} rows of {width} values; save them with --out", points.count()))
        }
        Body::Classes { rows, .. } => {
            let rows = rows.iter().map(|r| {
                (
                    format!("{:>4} {}", r.class, words::name(&r.label)),
                    format!("{:6.2}%", r.probability * 100.0),
                    r.probability,
                )
            });
            Some(amounts(&rows.collect::<Vec<_>>(), width))
        }
        Body::Bars { bars } => {
            let finite = bars.iter().map(|b| b.value.abs()).filter(|v| v.is_finite());
            let most = finite.fold(f32::MIN_POSITIVE, f32::max);
            let part = |v: f32| if v.is_finite() { v.abs() / most } else { 0.0 };
            let rows = bars.iter().map(|b| (words::name(&b.label).into_owned(), brief(b.value), part(b.value)));
            Some(amounts(&rows.collect::<Vec<_>>(), width))
        }
        Body::Line { axis, series } => {
            let mut columns = vec![axis.clone()];
            columns.extend(series.iter().map(|s| s.label.clone()));
            let xs = series.first().map(|s| s.points.iter().map(|p| p.0)).into_iter().flatten();
            let row = |(i, x): (usize, f32)| {
                let ys = series.iter().map(|s| s.points.get(i).map_or(String::new(), |p| brief(p.1)));
                std::iter::once(brief(x)).chain(ys).collect()
            };
            Some(table(&columns, &xs.enumerate().map(row).collect::<Vec<_>>()))
        }
        Body::Table { columns, rows } => Some(table(columns, rows)),
        Body::Text { text } => Some(words::text(text).into_owned()),
        Body::Badge { text, good } => Some(format!("{} {}", if *good { "+" } else { "!" }, words::line(text))),
    }
}

/// Formats rows that consist of a label, an amount and a bar, aligned in columns. The third field of a row is the length of its bar as a
/// fraction of the full length.
fn amounts(rows: &[(String, String, f32)], width: usize) -> String {
    let label = rows.iter().map(|r| cells(&r.0)).max().unwrap_or(0).min(width / 2);
    let amount = rows.iter().map(|r| cells(&r.1)).max().unwrap_or(0);
    let bar = width.saturating_sub(label + amount + 4).min(40);
    let row = |(name, value, part): &(String, String, f32)| {
        let filled = (part.clamp(0.0, 1.0) * bar as f32).round() as usize;
        format!("{}  {}{value}  {}", padded(name, label), " ".repeat(amount - cells(value)), "█".repeat(filled))
    };
    rows.iter().map(|r| row(r).trim_end().to_string()).collect::<Vec<_>>().join("\n")
}

fn table(columns: &[String], rows: &[Vec<String>]) -> String {
    let columns: Vec<_> = columns.iter().map(|c| words::name(c).into_owned()).collect();
    let rows: Vec<Vec<_>> = rows.iter().map(|r| r.iter().map(|c| short(c)).collect()).collect();
    let all = || std::iter::once(&columns[..]).chain(rows.iter().map(Vec::as_slice));
    let widths: Vec<_> =
        (0..columns.len()).map(|c| all().filter_map(|r| r.get(c)).map(|t| cells(t)).max().unwrap_or(0)).collect();
    let row = |r: &[String]| {
        let parts = r.iter().zip(&widths).map(|(t, &w)| padded(t, w)).collect::<Vec<_>>();
        parts.join("  ").trim_end().to_string()
    };
    all().map(row).collect::<Vec<_>>().join("\n")
}

/// Display width of a string in terminal columns. Wide characters count as two.
fn cells(text: &str) -> usize {
    text.chars().map(|c| 1 + usize::from(matches!(c as u32, 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0x1f300..=0x1faff))).sum()
}

/// Pads or truncates a string to exactly `width` columns.
fn padded(text: &str, width: usize) -> String {
    if cells(text) <= width {
        return format!("{text}{}", " ".repeat(width - cells(text)));
    }
    let mut kept = String::new();
    for c in text.chars() {
        if cells(&kept) + 2 >= width {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    padded(&kept, width.max(cells(&kept)))
}

/// Formats a table cell for display: fractions are rounded to six significant digits, and other cells are only escaped.
pub fn short(cell: &str) -> String {
    match cell.parse::<f64>() {
        Ok(v) if cell.len() > 7 && v.fract() != 0.0 => match format!("{v:.5e}").parse::<f64>() {
            Ok(v) => format!("{v:?}"),
            Err(_) => cell.into(),
        },
        _ => words::line(cell).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::figure::{Array, Cells, ClassRow, Scale};
    use super::*;

    #[test]
    fn a_caption_says_range_and_scale() {
        let values = Array::new(vec![1, 2], vec![-0.5, 20.0]).unwrap();
        let figure = Figure::new(
            "cam",
            Body::Map { values, scale: Scale::Positive, over: None, note: String::new(), cells: Cells::default() },
        );
        assert_eq!(caption(&figure), "cam  -0.500 to 20.00, from zero");
    }

    #[test]
    fn classes_are_aligned_in_columns_with_bars() {
        let row = |class, label: &str, probability| ClassRow { class, label: label.into(), probability, logit: 0.0 };
        let figure =
            Figure::new("classes", Body::Classes { rows: vec![row(3, "cat", 0.75), row(12, "dog", 0.25)], of: 20 });
        let expected = "   3 cat   75.00%  ███████\n  12 dog   25.00%  ██";
        assert_eq!(text(&figure, 28).unwrap(), expected);
        assert_eq!(caption(&figure), "classes  2 of 20");
    }

    #[test]
    fn cells_show_six_significant_digits() {
        assert_eq!(
            ["0.6666666666666666", "99.1", "-1.2345678e-5", "1234567.0", "star 12345678"].map(short),
            ["0.666667", "99.1", "-1.23457e-5", "1234567.0", "star 12345678"]
        );
    }

    #[test]
    fn long_labels_are_cut_to_their_column() {
        assert_eq!(padded("abcdefgh", 5), "abc… ");
        assert_eq!(padded("ab", 4), "ab  ");
    }
}
