//! Immutable copies of the states of stepped methods.

use anyhow::{Result, bail};
use rhai::{Array, Dynamic, Map};

/// A copy of a state that shares nothing with the script, so that a kept step never changes. Errors if it holds a function.
pub(in crate::script) fn freeze(value: Dynamic) -> Result<Dynamic> {
    let value = value.flatten();
    if value.is_fnptr() {
        bail!(
            "a state cannot hold functions: steps are kept across versions of the script, and functions belong to one version"
        );
    }
    if let Some(map) = value.read_lock::<Map>() {
        let frozen = map.iter().map(|(k, v)| Ok((k.clone(), freeze(v.clone())?))).collect::<Result<Map>>()?;
        return Ok(frozen.into());
    }
    if let Some(array) = value.read_lock::<Array>() {
        return Ok(array.iter().map(|v| freeze(v.clone())).collect::<Result<Array>>()?.into());
    }
    Ok(value)
}
