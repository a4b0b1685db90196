//! The arguments of ATen operators in a `.pt2` file.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::HashMap;

/// An operator of an exported program, with its arguments by name.
pub struct Call<'a> {
    /// The operator, such as `conv2d.default`.
    pub target: &'a str,
    arguments: HashMap<&'a str, &'a Value>,
    /// Names of the operator's outputs.
    pub outputs: Vec<String>,
    /// Path of the module that calls the operator.
    pub module: String,
    /// Values of symbolic sizes.
    symbols: &'a HashMap<String, i64>,
}

impl<'a> Call<'a> {
    /// Reads an operator of the program.
    pub fn of(node: &'a Value, symbols: &'a HashMap<String, i64>) -> Result<Self> {
        let target = node["target"].as_str().context("an operator has no name")?;
        let inputs = node["inputs"].as_array().into_iter().flatten();
        let arguments = inputs.filter_map(|i| Some((i["name"].as_str()?, &i["arg"]))).collect();
        let outputs = node["outputs"].as_array().into_iter().flatten().flat_map(names).collect();
        // `KEY,PATH,CLASS;…`, the innermost module last.
        let stack = node["metadata"]["nn_module_stack"].as_str().unwrap_or_default();
        let module = stack.rsplit(';').next().and_then(|last| last.split(',').nth(1)).unwrap_or_default();
        // A repeated call of the same module has a suffix.
        let module = module.split('@').next().unwrap_or_default().into();
        Ok(Self { target: target.trim_start_matches("torch.ops.aten."), arguments, outputs, module, symbols })
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.arguments.get(name).copied().filter(|arg| arg["as_none"].as_bool() != Some(true))
    }

    /// The name of a tensor argument; `None` if it is absent.
    pub fn tensor(&self, name: &str) -> Option<String> {
        let arg = self.get(name)?;
        let name =
            arg["as_tensor"]["name"].as_str().or_else(|| arg["as_optional_tensor"]["as_tensor"]["name"].as_str());
        name.map(String::from)
    }

    /// The name of a required tensor argument.
    pub fn needed(&self, name: &str) -> Result<String> {
        self.tensor(name).with_context(|| format!("the tensor \"{name}\" is missing"))
    }

    /// The names of the tensors in a list argument; `None` for omitted tensors.
    pub fn tensors(&self, name: &str) -> Vec<Option<String>> {
        let Some(arg) = self.get(name) else { return vec![] };
        let all = arg["as_tensors"].as_array().or_else(|| arg["as_optional_tensors"].as_array());
        let one = |v: &Value| v["name"].as_str().or_else(|| v["as_tensor"]["name"].as_str()).map(String::from);
        all.into_iter().flatten().map(one).collect()
    }

    /// The names of all tensors among the arguments.
    pub fn all_tensors(&self) -> Vec<String> {
        let one = |name: &&str| self.tensor(name).into_iter().chain(self.tensors(name).into_iter().flatten()).collect();
        self.arguments.keys().flat_map(|name| -> Vec<String> { one(name) }).collect()
    }

    /// The value of an integer argument, or `default` if it is absent.
    pub fn int(&self, name: &str, default: i64) -> Result<i64> {
        self.get(name).map_or(Ok(default), |arg| self.integer(arg))
    }

    fn integer(&self, arg: &Value) -> Result<i64> {
        if let Some(n) = arg["as_int"].as_i64().or_else(|| arg.as_i64()) {
            return Ok(n);
        }
        let symbol = arg["as_sym_int"]["as_name"].as_str().or_else(|| arg["as_name"].as_str());
        match symbol.and_then(|name| self.symbols.get(name)) {
            Some(n) => Ok(*n),
            None => match arg["as_sym_int"]["as_int"].as_i64() {
                Some(n) => Ok(n),
                None => bail!("expected an integer, got {arg}"),
            },
        }
    }

    /// The value of an argument that is a list of integers; `None` if it is absent. A single integer becomes a list of length 1.
    pub fn ints(&self, name: &str) -> Result<Option<Vec<i64>>> {
        let Some(arg) = self.get(name) else { return Ok(None) };
        match arg["as_ints"].as_array().or_else(|| arg["as_sym_ints"].as_array()) {
            Some(all) => all.iter().map(|v| self.integer(v)).collect::<Result<_>>().map(Some),
            None => Ok(Some(vec![self.integer(arg)?])),
        }
    }

    /// The value of a numeric argument, or `default` if it is absent.
    pub fn float(&self, name: &str, default: f64) -> f64 {
        self.number(name).unwrap_or(default)
    }

    /// The value of a numeric argument, which may be serialized as an integer or a float; `None` if it is absent.
    pub fn number(&self, name: &str) -> Option<f64> {
        let arg = self.get(name)?;
        arg["as_float"].as_f64().or_else(|| arg["as_int"].as_f64())
    }

    /// The value of a boolean argument, or `default` if it is absent.
    pub fn bool(&self, name: &str, default: bool) -> bool {
        self.get(name).and_then(|arg| arg["as_bool"].as_bool()).unwrap_or(default)
    }

    /// The value of a string argument; `None` if it is absent.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.get(name).and_then(|arg| arg["as_string"].as_str())
    }
}

/// The names of the values in an output, which may be a tensor or a list of tensors.
fn names(output: &Value) -> Vec<String> {
    let one = |v: &Value| v["name"].as_str().unwrap_or_default().to_string();
    if output["as_tensor"].is_object() {
        return vec![one(&output["as_tensor"])];
    }
    if let Some(all) = output["as_tensors"].as_array() {
        return all.iter().map(one).collect();
    }
    vec![output["as_sym_int"]["as_name"].as_str().unwrap_or_default().to_string()]
}
