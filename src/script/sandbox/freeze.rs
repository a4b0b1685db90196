//! States of steppers, kept so that nothing changes them.

use anyhow::{Result, bail};
use rhai::{Array, Dynamic, Map};

/// A state that shares nothing with the script that made it, so that a kept step never changes.
pub(in crate::script) fn freeze(value: Dynamic) -> Result<Dynamic> {
    let value = value.flatten();
    if value.is_fnptr() {
        bail!(
            "a state holds values, not functions: steps are kept and shown again, functions belong to one version of the script"
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
