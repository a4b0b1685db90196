//! Makes closures read those captured variables by value that are never assigned, so that a closure may use the object whose
//! method it is passed to.
//!
//! rhai keeps a captured variable in a cell and locks the cell while a method of the variable runs, so `cx.model.layers.map(|l|
//! cx.model.layer(l))` would be reported as a data race. If no function changes a value in place and no statement assigns its
//! variable, then a copy is as good as the original. Such values are therefore copied, which costs a few pointers, and nothing is
//! locked.

use crate::script::api::types::is_immutable;
use rhai::{AST, ASTNode, Dynamic, Engine, EvalContext, Expr, ImmutableString, Stmt};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The names of the variables that closures in a script capture, and of those that its statements assign.
#[derive(Clone, Debug, Default)]
pub(in crate::script) struct Captures {
    captured: BTreeSet<ImmutableString>,
    assigned: BTreeSet<ImmutableString>,
}

/// The names of variables that closures capture and no statement assigns; attached as the tag to each call into a script.
#[derive(Clone, Debug, Default)]
pub(in crate::script) struct Constants(Arc<BTreeSet<ImmutableString>>);

impl Captures {
    /// Collects the captured and assigned names of a compiled script, without its libraries.
    pub fn of(ast: &AST) -> Self {
        let mut all = Self::default();
        ast.walk(&mut |path| {
            match path.last() {
                Some(ASTNode::Stmt(Stmt::Share(names))) => {
                    all.captured.extend(names.iter().map(|(name, _)| name.name.clone()));
                }
                Some(ASTNode::Stmt(Stmt::Assignment(assignment))) => all.assigned.extend(root(&assignment.1.lhs)),
                _ => {}
            }
            true
        });
        all
    }

    /// Adds the captured and assigned names of a library.
    pub fn add(&mut self, other: &Self) {
        self.captured.extend(other.captured.iter().cloned());
        self.assigned.extend(other.assigned.iter().cloned());
    }

    /// The captured variables that no statement assigns.
    pub fn constants(&self) -> Constants {
        Constants(Arc::new(self.captured.difference(&self.assigned).cloned().collect()))
    }
}

/// The variable that an assignment to `expr` changes: `x` for both `x` and `x.y[0]`.
fn root(expr: &Expr) -> Option<ImmutableString> {
    match expr {
        Expr::Variable(variable, ..) => Some(variable.1.clone()),
        Expr::Dot(chain, ..) | Expr::Index(chain, ..) => root(&chain.lhs),
        _ => None,
    }
}

/// Makes an engine read the variables in a call's [`Constants`] by value.
pub(super) fn register(engine: &mut Engine) {
    #[allow(deprecated, reason = "rhai deprecates items that may change between versions; its version is pinned")]
    engine.on_var(|name, _, context| Ok(copy(name, &context)));
}

fn copy(name: &str, context: &EvalContext) -> Option<Dynamic> {
    let constants = context.tag().read_lock::<Constants>()?;
    if !constants.0.contains(name) {
        return None;
    }
    let variable = context.scope().get(name).filter(|value| value.is_shared())?;
    let value = variable.read_lock::<Dynamic>()?;
    is_immutable(&value).then(|| value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn constants(text: &str) -> Vec<String> {
        let ast = Engine::new().compile(text).unwrap();
        Captures::of(&ast).constants().0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_constant_is_captured_and_never_assigned() {
        assert_eq!(constants("fn f(a, b) { let g = |x| x + a; b = 1; g.call(b) }"), ["a"]);
        assert_eq!(constants("fn f(a) { || || a }"), ["a"]);
        for assigned in ["a = 1", "a += 1", "a[0] = 1", "a.b.c = 1", "if true { a[0].b = 1; }"] {
            assert!(constants(&format!("fn f(a) {{ let g = |x| x + a; {assigned} }}")).is_empty(), "{assigned}");
            assert!(constants(&format!("fn f(a) {{ let g = |x| {{ {assigned}; }}; }}")).is_empty(), "{assigned}");
        }
    }
}
