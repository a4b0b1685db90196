//! Opens lists with a preview: pictures with thumbnails, and the reference of script functions.

use crate::tui::effect::{Effect, ask};
use crate::tui::state::{Choice, Item, Picker, Popup, State};
use crate::worker::message::Command;
use image::RgbImage;
use std::path::Path;
use std::sync::Arc;

/// Names of the synthetic data sets, and the number of pictures to list from each.
const OWN: [(&str, usize); 5] = [("welcome", 1), ("shapes", 10), ("digits", 10), ("waves", 4), ("words", 4)];

/// Opens the list of pictures and starts searching for picture files.
pub fn open(state: &mut State) -> Vec<Effect> {
    let present = state.picture.as_ref().map_or("", |p| &p.source).to_owned();
    let made = |(name, count): (&str, usize)| (0..count).map(move |i| format!("made:{name}[{i}]")).collect::<Vec<_>>();
    let own: Vec<_> = OWN.into_iter().flat_map(made).map(|name| Item::new(&name, &name, "synthetic")).collect();
    state.popup = Some(Popup::Picker(Picker::new(Choice::Picture, "picture or path", own, &present)));
    let beside = Path::new(&present).parent().filter(|folder| folder.is_absolute() || folder.starts_with(".."));
    vec![Effect::FindPictures(beside.map(Path::to_owned))]
}

/// Appends the picture files found by the search to the open list.
pub fn found(state: &mut State, names: &[String]) {
    let about = |name: &str| {
        let folder = Path::new(name).parent().map_or(String::new(), |p| p.to_string_lossy().into_owned());
        let file = Path::new(name).file_name().map_or(name.to_owned(), |n| n.to_string_lossy().into_owned());
        Item::new(name, &file, &folder)
    };
    if let Some(Popup::Picker(picker)) = &mut state.popup
        && picker.of == Choice::Picture
    {
        picker.extend(names.iter().map(|name| about(name)).collect());
    }
}

/// Stores the thumbnail of a picture if the open list or the scatter plot still needs it.
pub fn preview(state: &mut State, name: &str, image: Option<Arc<RgbImage>>) {
    if let Some(Popup::Picker(Picker { preview: Some((wanted, seen)), .. })) = &mut state.popup
        && wanted == name
    {
        *seen = image.clone();
    }
    if let Some((_, seen)) = state.pointed.iter_mut().find(|(wanted, _)| wanted == name) {
        *seen = image;
    }
}

/// The effect that requests the thumbnail of the picture under the cursor, if the cursor has moved to a different picture.
pub fn follow_cursor(state: &mut State) -> Option<Effect> {
    let Some(Popup::Picker(picker)) = &mut state.popup else { return None };
    let name = picker.chosen().filter(|_| picker.of == Choice::Picture)?.value.clone();
    if picker.preview.as_ref().is_some_and(|(present, _)| *present == name) {
        return None;
    }
    let before = picker.preview.take().and_then(|(_, image)| image);
    picker.preview = Some((name.clone(), before));
    Some(Effect::Preview(name))
}

/// Opens the reference of script functions, requesting it from the worker if necessary.
pub fn open_reference(state: &mut State) -> Vec<Effect> {
    if state.reference.is_empty() {
        return ask(Command::Reference);
    }
    let row = |(name, text): &(String, String)| Item { value: text.clone(), label: name.clone(), detail: text.clone() };
    let items = state.reference.iter().map(row).collect();
    state.popup = Some(Popup::Picker(Picker::new(Choice::Reference, "script functions", items, "")));
    Vec::new()
}
