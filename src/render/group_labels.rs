//! Places the names of groups at the medians of their points, so that they do not overlap.

use super::figure::Points;

/// The name of a group, and where it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupLabel {
    /// Index of the group.
    pub group: usize,
    /// The name, shortened to fit.
    pub text: String,
    /// Column and row of its first character.
    pub at: (usize, usize),
}

/// Number of groups above which names are left out, because they would cover the points.
const MOST: usize = 40;
/// Part of the plot that names may cover, as one over this number.
const COVERED: usize = 12;
/// Maximum length of a name in characters.
const LENGTH: usize = 16;

/// Places the names of the groups in a plot with this many columns and rows. `place` returns the position of a point as fractions of the
/// plot's width and height; groups whose median lies outside `[0, 1)` are left out, as are names that find no free place near the median,
/// and names of small groups in a small plot.
pub fn group_labels(
    points: &Points,
    (columns, rows): (usize, usize),
    place: impl Fn(usize) -> (f32, f32),
) -> Vec<GroupLabel> {
    let count = points.group_count();
    if points.groups.is_empty() || count > MOST {
        return vec![];
    }
    let mut places = vec![vec![]; count];
    for i in (0..points.count()).filter(|&i| points.is_finite(i)) {
        places[points.group(i)].push(place(i));
    }
    let mut order: Vec<_> = (0..count).filter(|&g| !places[g].is_empty()).collect();
    order.sort_by_key(|&g| std::cmp::Reverse(places[g].len()));
    let mut labels: Vec<GroupLabel> = vec![];
    for group in order {
        let (x, y) = (median(places[group].iter().map(|p| p.0)), median(places[group].iter().map(|p| p.1)));
        if !((0.0..1.0).contains(&x) && (0.0..1.0).contains(&y)) {
            continue;
        }
        let text = shortened(&points.name(group), LENGTH.min(columns));
        let length = text.chars().count();
        let covered: usize = labels.iter().map(|other| other.text.chars().count()).sum();
        if covered + length > columns * rows / COVERED {
            continue;
        }
        let middle = ((x * columns as f32) as usize, (y * rows as f32) as usize);
        let left = middle.0.saturating_sub(length / 2).min(columns - length);
        let free = |row: &usize| labels.iter().all(|other| !overlap(other, (left, *row), length));
        if let Some(row) = nearby(middle.1, rows).find(free) {
            labels.push(GroupLabel { group, text, at: (left, row) });
        }
    }
    labels
}

/// Rows within two rows of `row`, nearest first.
fn nearby(row: usize, rows: usize) -> impl Iterator<Item = usize> {
    [0, 1, -1, 2, -2].into_iter().filter_map(move |by| row.checked_add_signed(by)).filter(move |row| *row < rows)
}

/// Whether a label and another one of `length` characters at `(left, row)` touch.
fn overlap(label: &GroupLabel, (left, row): (usize, usize), length: usize) -> bool {
    let (from, end) = (label.at.0, label.at.0 + label.text.chars().count());
    label.at.1 == row && left < end + 1 && from < left + length + 1
}

fn median(values: impl Iterator<Item = f32>) -> f32 {
    let mut all: Vec<f32> = values.collect();
    let middle = all.len() / 2;
    *all.select_nth_unstable_by(middle, f32::total_cmp).1
}

fn shortened(name: &str, most: usize) -> String {
    match name.chars().count() <= most {
        true => name.to_owned(),
        false => name.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::figure::Array;
    use super::*;

    fn points(places: &[(f32, f32, u32)]) -> Points {
        let numbers: Vec<f32> = places.iter().flat_map(|p| [p.0, p.1]).collect();
        Points {
            values: Array::new(vec![places.len(), 2], numbers).unwrap(),
            groups: places.iter().map(|p| p.2).collect(),
            names: ["cat".to_owned(), "a name that is far too long".to_owned()].into(),
            pictures: [].into(),
            files: [].into(),
            colors: [].into(),
        }
    }

    fn labels(points: &Points) -> Vec<(String, (usize, usize))> {
        let labels = group_labels(points, (40, 10), |i| points.place(i));
        labels.into_iter().map(|label| (label.text, label.at)).collect()
    }

    #[test]
    fn a_name_is_at_the_median_of_its_group_whatever_outliers_there_are() {
        let all = points(&[
            (0.5, 0.5, 0),
            (0.5, 0.5, 0),
            (0.5, 0.5, 0),
            (0.99, 0.01, 0),
            (0.01, 0.99, 0),
            (f32::NAN, 0.0, 0),
        ]);
        assert_eq!(labels(&all), [("cat".into(), (19, 5))]);
    }

    #[test]
    fn names_at_the_same_place_are_moved_apart_and_stay_inside() {
        let all = points(&[(0.98, 0.98, 0), (0.98, 0.98, 0), (0.98, 0.98, 1)]);
        assert_eq!(labels(&all), [("cat".into(), (37, 9)), ("a name that is …".into(), (24, 8))]);
        let crowded: Vec<_> = (0..30).map(|g| (0.5, 0.5, g)).collect();
        let found = labels(&points(&crowded));
        assert_eq!(found.len(), 5, "the others find no place");
        let small = group_labels(&all, (20, 3), |i| all.place(i));
        assert_eq!(
            small.iter().map(|label| &*label.text).collect::<Vec<_>>(),
            ["cat"],
            "names do not cover a small plot"
        );
    }

    #[test]
    fn groups_outside_the_visible_part_and_ungrouped_points_have_no_names() {
        assert!(labels(&points(&[(1.5, 0.5, 0), (0.5, -0.1, 1)])).is_empty());
        let ungrouped = Points { groups: [].into(), ..points(&[(0.5, 0.5, 0)]) };
        assert!(labels(&ungrouped).is_empty() && labels(&points(&[])).is_empty());
    }
}
