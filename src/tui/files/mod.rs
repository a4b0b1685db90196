//! Folders and files as the file browser shows them. They are read on a separate thread, so that a slow drive never blocks the app.

mod about;
mod folder;
mod goal;

pub use about::{FileAbout, about, about_if_newest, ticket};
pub use folder::{FileRow, FileRowKind, Folder, read};
pub use goal::FileGoal;
