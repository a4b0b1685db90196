//! Layer names, derived from the names of the PyTorch modules they come from.

/// Whether a name could be that of a parameter in a `state_dict`, rather than a name that an exporter generated.
pub fn is_parameter_name(name: &str) -> bool {
    let invented = name.contains(['/', ':', ' ']) || name.starts_with("val_") || name.starts_with("_to_copy");
    let segments =
        |name: &str| name.split('.').all(|s| !s.is_empty() && s.chars().all(|c| c.is_alphanumeric() || c == '_'));
    !invented && !name.is_empty() && !name.bytes().all(|b| b.is_ascii_digit()) && segments(name)
}

/// The module that has the parameter `name`: `layer1.0.conv1` for `layer1.0.conv1.weight`; `None` if an exporter generated the
/// name.
pub fn module_of(name: &str) -> Option<&str> {
    let (module, parameter) = name.rsplit_once('.')?;
    (is_parameter_name(name) && ["weight", "bias"].contains(&parameter)).then_some(module)
}

/// The module path in a list of nested scopes. Scopes are either full paths (`layer1`, `layer1.0`, `layer1.0.conv1`) or names
/// within their parent, where an item of a list repeats the list's name (`layer1`, `layer1.0`, `conv1`).
pub fn joined<'a>(scopes: impl IntoIterator<Item = &'a str>) -> String {
    let mut path = String::new();
    for scope in scopes.into_iter().filter(|scope| !scope.is_empty()) {
        // The longest suffix of the path that the scope repeats.
        let starts = std::iter::once(0).chain(path.match_indices('.').map(|(at, _)| at + 1));
        let repeats = |&at: &usize| {
            let end = &path[at..];
            !end.is_empty() && scope.strip_prefix(end).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        match starts.clone().find(repeats) {
            Some(at) => path.replace_range(at.., scope),
            None if path.is_empty() => path = scope.into(),
            None => {
                path.push('.');
                path.push_str(scope);
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_of_both_exporters_give_the_path_of_the_module() {
        for (scopes, path) in [
            (&["layer1", "layer1.0", "conv1"][..], "layer1.0.conv1"),
            (&["", "layer1", "layer1.0", "layer1.0.conv1"], "layer1.0.conv1"),
            (&["features", "features.0", "features.0.0"], "features.0.0"),
            (&["blocks", "blocks.11", "attn", "qkv"], "blocks.11.attn.qkv"),
            (&["layers", "layers.0", "blocks", "blocks.1", "mlp"], "layers.0.blocks.1.mlp"),
            (&["", "encoder", "encoder.layers", "encoder.layers.encoder_layer_0"], "encoder.layers.encoder_layer_0"),
            (&[], ""),
        ] {
            assert_eq!(joined(scopes.iter().copied()), path);
        }
    }

    #[test]
    fn names_made_up_by_exporters_are_no_parameters() {
        for name in ["layer1.0.conv1.weight", "pos_embed", "fc.bias", "cls_token", "w"] {
            assert!(is_parameter_name(name), "{name}");
        }
        for name in ["onnx::Conv_196", "/layer1/Constant_output_0", "val_13", "1059", "", "a b", "a..b"] {
            assert!(!is_parameter_name(name), "{name}");
        }
        assert_eq!(module_of("layer1.0.conv1.weight"), Some("layer1.0.conv1"));
        assert_eq!((module_of("pos_embed"), module_of("onnx::Conv_1.weight")), (None, None));
    }
}
