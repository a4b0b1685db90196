//! Commands that change how heatmaps are displayed.

use super::spec::{CommandSpec, Complete, required};
use crate::render::{Colormap, Rescale};
use crate::tui::palette::Palette;
use crate::tui::state::State;

/// The command `colors NAME`.
pub const COLORS: CommandSpec = CommandSpec {
    name: "colors",
    alias: None,
    arguments: "NAME",
    summary: "set the colormap",
    complete: &[Complete::Names(colormaps)],
    execute: |state, rest| {
        let name = required(rest)?;
        let known = || Colormap::ALL.map(Colormap::name).join(", ");
        let colors = Colormap::named(&name);
        state.lens.overlay.colors =
            colors.ok_or_else(|| format!("no colormap named \"{name}\"; expected one of {}", known()))?;
        Ok(Vec::new())
    },
};

/// The command `scale NAME`.
pub const SCALE: CommandSpec = CommandSpec {
    name: "scale",
    alias: None,
    arguments: "NAME",
    summary: "set the map scale: own, range, symmetric, percentile, shared",
    complete: &[Complete::Names(scales)],
    execute: |state, rest| {
        let name = required(rest)?;
        let known = || Rescale::ALL.map(Rescale::name).join(", ");
        let scale = Rescale::named(&name);
        state.lens.scale = scale.ok_or_else(|| format!("no scale named \"{name}\"; expected one of {}", known()))?;
        Ok(Vec::new())
    },
};

/// The command `theme NAME`.
pub const THEME: CommandSpec = CommandSpec {
    name: "theme",
    alias: None,
    arguments: "NAME",
    summary: "set the colors of the app: terminal, dark, light",
    complete: &[Complete::Names(palettes)],
    execute: |state, rest| {
        state.palette = Palette::named(&required(rest)?)?;
        Ok(Vec::new())
    },
};

fn palettes(_: &State) -> Vec<String> {
    Palette::ALL.iter().map(|palette| palette.name().to_owned()).collect()
}

fn colormaps(_: &State) -> Vec<String> {
    Colormap::ALL.iter().map(|c| c.name().to_owned()).collect()
}

fn scales(_: &State) -> Vec<String> {
    Rescale::ALL.iter().map(|s| s.name().to_owned()).collect()
}
