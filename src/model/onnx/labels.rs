//! Names nodes after the modules that their operators come from.

use super::program::{Node, Program};
use crate::model::import::module_of;
use std::collections::{HashMap, HashSet};

/// The modules that operators come from.
pub struct Names {
    /// Modules that contain other modules.
    parents: HashSet<String>,
    /// Modules that operators are named after.
    modules: HashSet<String>,
    /// For each value, the modules of the operators that read it.
    readers: HashMap<String, Vec<String>>,
}

impl Names {
    pub fn of(program: &Program) -> Self {
        let modules = program.nodes.iter().map(|node| program.label(node));
        let parents = modules.flat_map(|module| {
            let ends: Vec<_> = module.match_indices('.').map(|(at, _)| module[..at].to_string()).collect();
            ends
        });
        let parents = parents.collect();
        let modules = program.nodes.iter().map(|node| program.label(node)).collect();
        let mut readers: HashMap<_, Vec<_>> = HashMap::new();
        for node in &program.nodes {
            for input in &node.inputs {
                readers.entry(input.clone()).or_default().push(node.module.clone());
            }
        }
        Self { parents, modules, readers }
    }

    /// Whether a value is an output of its operator's module, that is, whether operators outside the module read it.
    pub fn leaves_module(&self, node: &Node, value: &str) -> bool {
        let inside = |reader: &String| {
            reader.strip_prefix(&node.module).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        !node.module.is_empty() && self.readers.get(value).is_some_and(|readers| !readers.iter().all(inside))
    }

    /// The batch norm that an exporter folded into a convolution: the convolution is labeled with the module of the norm, but its weight
    /// belongs to another module.
    pub fn folded_norm<'a>(&self, node: &'a Node) -> Option<&'a str> {
        let weight = node.inputs.get(1).and_then(|name| module_of(name)).filter(|_| node.op == "Conv")?;
        let other = !node.module.is_empty() && node.module != weight && !self.parents.contains(&node.module);
        let norm = other && !weight.starts_with(&format!("{}.", node.module)) && !self.modules.contains(&node.module);
        norm.then_some(node.module.as_str())
    }

    /// The name of a node: its module if that has no submodules, otherwise the module and the operator.
    pub fn label(&self, program: &Program, node: &Node) -> String {
        let module = program.label(node);
        let op = node.op.trim_start_matches("activation.").to_lowercase();
        match module.as_str() {
            "" => op,
            module if self.parents.contains(module) => format!("{module}.{op}"),
            module => module.into(),
        }
    }
}
