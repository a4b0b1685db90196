//! Immutable copies of stepped methods' states.

use anyhow::{Result, bail};
use rhai::{Array, Dynamic, Map};

/// Returns a copy of a method's state that shares no storage with the script, so that stored steps never change. Errors if the
/// state contains a function.
pub(in crate::script) fn freeze(value: Dynamic) -> Result<Dynamic> {
    let value = value.flatten();
    if value.is_fnptr() {
        bail!(
            "a state cannot contain functions: steps persist across versions of the script, but functions belong to one version"
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
