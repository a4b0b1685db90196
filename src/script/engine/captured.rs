//! Lets closures read captured variables by value if they are never assigned, so that a closure passed to a method of an object can use the
//! object itself.
//!
//! rhai stores a captured variable in a cell and locks the cell while a method of the variable runs, so
//! `cx.model.layers.map(|l| cx.model.layer(l))` would be reported as a data race. If no function mutates a value in place and no statement
//! assigns its variable, a copy is equivalent to the original. Such variables are therefore read without locking, by copying their value,
//! which is only a few pointers.

use crate::script::api::types::is_immutable;
use rhai::{AST, ASTNode, Dynamic, Engine, EvalContext, Expr, ImmutableString, Stmt};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The names of variables captured by closures in a script, and of variables assigned by its statements.
#[derive(Clone, Debug, Default)]
pub(in crate::script) struct Captures {
    captured: BTreeSet<ImmutableString>,
    assigned: BTreeSet<ImmutableString>,
}

/// The names of variables that are captured by closures and never assigned. Attached as a tag to each call into a script.
#[derive(Clone, Debug, Default)]
pub(in crate::script) struct Constants(Arc<BTreeSet<ImmutableString>>);

impl Captures {
    /// Collects the captured and assigned names of a compiled script, excluding its libraries.
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

    /// The captured variables that are never assigned.
    pub fn constants(&self) -> Constants {
        Constants(Arc::new(self.captured.difference(&self.assigned).cloned().collect()))
    }
}

/// The variable changed by an assignment to `expr`: `x` for both `x` and `x.y[0]`.
fn root(expr: &Expr) -> Option<ImmutableString> {
    match expr {
        Expr::Variable(variable, ..) => Some(variable.1.clone()),
        Expr::Dot(chain, ..) | Expr::Index(chain, ..) => root(&chain.lhs),
        _ => None,
    }
}

/// Configures an engine to read the variables in a call's [`Constants`] by value.
pub(super) fn register(engine: &mut Engine) {
    #[allow(
        deprecated,
        reason = "rhai deprecates items that may change between versions; the version of rhai is pinned"
    )]
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
