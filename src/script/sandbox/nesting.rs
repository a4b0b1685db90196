//! Limits the nesting depth of values. Arrays, maps, and closures with captured variables each add a level.

use rhai::{Array, Dynamic, FnPtr, Map};
use std::collections::HashMap;

/// Maximum nesting depth of a script's results and states.
pub(in crate::script) const DEEPEST: usize = 48;

/// Whether a value is nested at most [`DEEPEST`] levels deep; false for closures with cyclic captures.
pub(in crate::script) fn is_shallow(value: &Dynamic) -> bool {
    height(value, DEEPEST, &mut HashMap::new()).is_some()
}

/// The number of nesting levels below a value; `None` if more than `left`. `known` maps the address of each captured variable to
/// its number of levels, or to `None` while the variable is being visited.
fn height(value: &Dynamic, left: usize, known: &mut HashMap<*const Dynamic, Option<usize>>) -> Option<usize> {
    if value.is_shared() {
        let inner = value.read_lock::<Dynamic>()?;
        let place = &raw const *inner;
        if let Some(height) = known.get(&place) {
            return height.filter(|&height| height <= left);
        }
        known.insert(place, None);
        let height = height(&inner, left, known)?;
        known.insert(place, Some(height));
        return Some(height);
    }
    let mut below = |values: &mut dyn Iterator<Item = &Dynamic>| {
        let (left, mut most) = (left.checked_sub(1)?, 0);
        for value in values {
            most = most.max(1 + height(value, left, known)?);
        }
        Some(most)
    };
    if let Some(array) = value.read_lock::<Array>() {
        return below(&mut array.iter());
    }
    if let Some(map) = value.read_lock::<Map>() {
        return below(&mut map.values());
    }
    match value.read_lock::<FnPtr>() {
        Some(closure) if closure.is_curried() => below(&mut closure.curry().iter()),
        _ => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> Dynamic {
        (0..levels).fold(Dynamic::UNIT, |value, _| Dynamic::from(vec![value]))
    }

    #[test]
    fn values_are_shallow_up_to_the_limit_whatever_holds_them() {
        assert!(is_shallow(&nested(DEEPEST)));
        assert!(!is_shallow(&nested(DEEPEST + 1)));
        let engine = rhai::Engine::new();
        let value = |text: &str| engine.eval::<Dynamic>(text).unwrap();
        assert!(is_shallow(&value("let a = [1, #{ x: [2.0, \"t\"] }]; let b = [a, || a]; b")));
        let loops = [
            "let f = 0; for i in 0..60 { let g = f; f = || g; } f",
            "let f = 0; for i in 0..30 { let g = [f]; f = #{ f: || g }; } f",
            "let c = 0; let f = || c; c = [f]; f",
            // Every cell is first reached by a short path.
            "let all = []; let c = 0; for i in 0..60 { let d = c; c = || d; all.insert(0, c); } all",
        ];
        for text in loops {
            assert!(!is_shallow(&value(text)), "{text}");
        }
        // The number of paths doubles at each level.
        assert!(is_shallow(&value("let f = 0; for i in 0..20 { let g = f; f = [|| g, || g]; } f")));
    }
}
