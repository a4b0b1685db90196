//! The comparison of branches: their figures side by side, what differs between them, and how far apart their maps are.

use super::views::{self, present};
use crate::render::{Array, Body, Cells, Figure, Quantity, Scale};
use crate::tui::state::{BranchSettings, ShownBranch, State, View};
use crate::worker::letter;

/// Number of branches that are compared at once on a wide screen, and the width of a wide screen in columns.
const WALL: (usize, u16) = (4, 160);

/// The figures of the compared branches with their IDs, in the order of the branches' letters; of two branches, followed by the
/// difference. `None` if no branches are compared.
pub fn figures(state: &State) -> Option<Vec<(Figure, u64)>> {
    let branches = compared(state)?;
    let index = match present(state)? {
        View::One(index) | View::Bare(index) => index,
        View::All => 0,
        View::Input => return None,
    };
    let title = views::seen(state).get(index)?.title.clone();
    let figure = |branch: &ShownBranch| -> Option<Figure> {
        let figures = || views::shown(&branch.frame);
        let same = figures().find(|f| f.title == title);
        same.or_else(|| figures().next()).cloned()
    };
    let shown: Vec<_> = branches.iter().filter_map(|(at, branch)| Some((*at, branch, figure(branch)?))).collect();
    let settings: Vec<_> = branches.iter().map(|(_, branch)| &branch.settings).collect();
    let mut all = Vec::new();
    for (at, branch, figure) in &shown {
        let caption = format!("{} {}", letter(*at), short(&branch.settings, &settings));
        let figure = Figure { title: caption.clone(), caption, ..figure.clone() };
        all.push((figure, views::id(branch.id, index, false)));
    }
    if let [(_, a, first), (_, b, second)] = &shown[..]
        && let Some(difference) = difference(first, second, &differences(&a.settings, &b.settings))
    {
        all.push((difference, (views::id(a.id, index, false) << 24) ^ views::id(b.id, index, true)));
    }
    Some(all)
}

/// The compared branches with their indexes: the open one and the one that was open before; on a wide screen, all of up to four.
pub fn compared(state: &State) -> Option<Vec<(usize, &ShownBranch)>> {
    let branches = &state.branches;
    branches.beside()?;
    let all = branches.count <= WALL.0 && state.size.0 >= WALL.1;
    let wanted = |at: &usize| all || *at == branches.at || *at == branches.before;
    let shown = |at: usize| Some((at, branches.shown.get(at)?.as_ref()?));
    Some((0..branches.count).filter(wanted).filter_map(shown).collect()).filter(|shown: &Vec<_>| shown.len() > 1)
}

/// What distinguishes a branch from the other compared ones, such as `epsilon 8` or `LRP`.
fn short(own: &BranchSettings, all: &[&BranchSettings]) -> String {
    let differs = |get: fn(&BranchSettings) -> &str| all.iter().any(|other| get(other) != get(own));
    let mut parts = Vec::new();
    let names: [fn(&BranchSettings) -> &str; 3] = [|s| &s.model, |s| &s.picture, |s| &s.method];
    parts.extend(names.into_iter().filter(|name| differs(*name)).map(|name| name(own).to_owned()));
    if differs(|settings| &settings.target) {
        parts.push(format!("→ {}", own.target));
    }
    for (name, value) in &own.params {
        let same = |other: &&BranchSettings| other.method != own.method || other.param(name) == Some(value);
        if !all.iter().all(same) {
            parts.push(format!("{name} {value}"));
        }
    }
    if parts.is_empty() {
        parts.push(own.method.clone());
    }
    if own.stepped {
        parts.push(format!("step {}", own.step));
    }
    parts.join(", ")
}

/// What differs between two branches: `LRP ↔ Grad-CAM`, `epsilon 8 → 80`, or nothing.
fn differences(a: &BranchSettings, b: &BranchSettings) -> String {
    let mut parts = Vec::new();
    for (own, other) in [(&a.model, &b.model), (&a.picture, &b.picture), (&a.method, &b.method), (&a.target, &b.target)]
    {
        parts.extend((own != other).then(|| format!("{own} ↔ {other}")));
    }
    for (name, value) in a.params.iter().filter(|_| a.method == b.method) {
        let other = b.param(name).filter(|other| *other != value);
        parts.extend(other.map(|other| format!("{name} {value} → {other}")));
    }
    if a.step != b.step && parts.is_empty() {
        parts.push(format!("step {} → {}", a.step, b.step));
    }
    parts.join(", ")
}

/// The absolute difference of two maps or pictures of the same size, with their correlation; `None` for other figures.
fn difference(a: &Figure, b: &Figure, between: &str) -> Option<Figure> {
    let (first, second) = (plane(a)?, plane(b)?);
    if first.shape != second.shape {
        return None;
    }
    let apart: Vec<f32> = first.data.iter().zip(second.data.iter()).map(|(x, y)| (x - y).abs()).collect();
    let values = Array::new(first.shape.clone(), apart).ok()?;
    let note = match first.correlation(&second) {
        Some(r) => format!("correlation {r:.3}"),
        None => "correlation undefined: one of them is constant".to_owned(),
    };
    let caption = if between.is_empty() { "|A − B|".to_owned() } else { format!("|A − B|  {between}") };
    let body = Body::Map { values, scale: Scale::Positive, over: None, note, cells: Cells::default() };
    let quantity = if a.quantity == b.quantity { a.quantity.clone() } else { Quantity::default() };
    Some(Figure { caption, quantity, ..Figure::new("difference", body) })
}

/// The values of a map or a picture, with its leading dimensions reduced: `(H, W)`.
fn plane(figure: &Figure) -> Option<Array> {
    match &figure.body {
        Body::Map { values, .. } | Body::Image { pixels: values } => Some(values.plane(figure.quantity.channels)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(method: &str, params: &[(&str, &str)]) -> BranchSettings {
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        BranchSettings { method: method.into(), params, ..BranchSettings::default() }
    }

    fn map(shape: [usize; 3], data: &[f32]) -> Figure {
        let values = Array::new(shape.to_vec(), data.to_vec()).unwrap();
        Figure::new(
            "m",
            Body::Map { values, scale: Scale::Range, over: None, note: String::new(), cells: Cells::default() },
        )
    }

    #[test]
    fn the_caption_names_what_differs() {
        let (a, b) = (
            settings("FGSM", &[("epsilon", "8"), ("steps", "3")]),
            settings("FGSM", &[("epsilon", "80"), ("steps", "3")]),
        );
        assert_eq!(differences(&a, &b), "epsilon 8 → 80");
        assert_eq!([short(&a, &[&a, &b]), short(&b, &[&a, &b])], ["epsilon 8", "epsilon 80"]);
        let (a, b) = (settings("LRP", &[("rule", "zplus")]), settings("Grad-CAM", &[("layer", "relu4")]));
        assert_eq!(differences(&a, &b), "LRP ↔ Grad-CAM");
        assert_eq!([short(&a, &[&a, &b]), short(&b, &[&a, &b])], ["LRP", "Grad-CAM"]);
        assert_eq!([differences(&a, &a), short(&a, &[&a, &a])], ["", "LRP"]);
    }

    #[test]
    fn maps_are_compared_by_difference_and_correlation() {
        let a = map([1, 2, 2], &[0.0, 1.0, 2.0, 3.0]);
        let b = map([2, 2, 2], &[0.0, 1.0, 1.0, 2.0, 1.0, 1.0, 2.0, 2.0]);
        let of = |a: &Figure, b: &Figure| difference(a, b, "").map(|figure| figure.body);
        let Some(Body::Map { values, note, .. }) = of(&a, &b) else { panic!("maps of the same size are compared") };
        assert_eq!((&values.data[..], &*note), (&[1.0, 1.0, 1.0, 1.0][..], "correlation 1.000"));
        let Some(Body::Map { note, .. }) = of(&a, &map([1, 2, 2], &[1.0; 4])) else { panic!("a constant map too") };
        assert!(note.contains("constant"));
        assert!(of(&a, &map([1, 1, 4], &[0.0; 4])).is_none(), "shapes differ");
        assert!(
            of(&a, &map([1, 2, 2], &[3.0, 2.0, 1.0, 0.0]))
                .is_some_and(|body| matches!(body, Body::Map { note, .. } if note == "correlation -1.000"))
        );
    }
}
