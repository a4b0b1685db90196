//! Immutable copies of the states of stepped methods.

use anyhow::{Result, bail};
use rhai::{Array, Dynamic, Map};

/// Returns a copy of a method's state that shares no storage with the script, so that a stored step never changes. Errors if the
/// state holds a function.
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
