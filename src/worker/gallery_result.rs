//! A result of the gallery.

use crate::script::session::Session;
use crate::script::summary::Frame;

/// The result of a method for a class.
pub(super) struct GalleryResult {
    /// The session that computed the result.
    pub session: Session,
    /// The figures of the method at its last step.
    pub frame: Frame,
    /// Title of the method.
    pub title: String,
    /// Name of the class.
    pub class: String,
}
