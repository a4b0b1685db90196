//! What a test is about: a network, a picture, and the result of a method.

use crate::render::{Array, Body, ClassRow, Figure};
use crate::script::api::options::{CallOptions, text};
use crate::script::program::Setting;
use crate::script::session::Session;
use crate::script::session::checkpoint::Checkpoint;
use crate::script::summary::Frame;
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;

/// The subject of a test.
pub(super) struct Subject<'a> {
    /// The functions of the test's file.
    pub setting: &'a Setting,
    /// Whether golden maps are written instead of compared with.
    pub update: bool,
    /// The network, the picture and the method.
    pub session: Session,
    /// The result of the method; `None` if the test names no method.
    frame: Option<Frame>,
    /// Title of the figure to judge; `None` for the first map.
    figure: Option<String>,
}

impl<'a> Subject<'a> {
    /// Opens the network and the picture, and runs the method to its end if there is one.
    pub fn new(setting: &'a Setting, update: bool, options: &CallOptions) -> Result<Self> {
        let method = options.raw("method").map(text).transpose()?;
        let mut session = setting.session(method.as_deref(), options)?;
        session.watched_by(setting.desk.observer());
        let frame = method.map(|_| {
            let mut checkpoint = Checkpoint::new(None::<&Path>, false, &mut session)?;
            setting.to_the_end(&mut session, options, &mut checkpoint)
        });
        let figure = options.raw("figure").map(text).transpose()?;
        Ok(Self { setting, update, frame: frame.transpose()?, session, figure })
    }

    /// The figures of the method; empty if there is none.
    pub fn figures(&self) -> &[Figure] {
        self.frame.as_ref().map_or(&[], |frame| &frame.figures)
    }

    /// The map to judge, `(H, W)`: the figure named by `figure`, or the first map.
    ///
    /// Errors if there is no method or no such map, or if a value is not finite.
    pub fn map(&self) -> Result<Array> {
        ensure!(self.frame.is_some(), "it needs a map; add `method`, such as method: \"gradcam\"");
        let figure = match &self.figure {
            None => self.figures().iter().find(|figure| matches!(figure.body, Body::Map { .. })),
            Some(title) => self.figures().iter().find(|figure| figure.title == *title),
        };
        let titles: Vec<_> = self.figures().iter().map(|figure| figure.title.as_str()).collect();
        let figure = figure.with_context(|| match &self.figure {
            Some(title) => format!("the method has no figure \"{title}\"; it has {}", titles.join(", ")),
            None => format!("the method has no map; its figures are {}", titles.join(", ")),
        })?;
        let (Body::Map { values, .. } | Body::Image { pixels: values }) = &figure.body else {
            bail!("the figure \"{}\" is not a map", figure.title)
        };
        let plane = values.plane(figure.quantity.channels);
        ensure!(
            plane.shape.len() == 2,
            "the figure \"{}\" is not a map: its shape is {:?}",
            figure.title,
            values.shape
        );
        let wrong = plane.data.iter().filter(|value| !value.is_finite()).count();
        ensure!(wrong == 0, "{wrong} of {} values of the map \"{}\" are not finite", plane.data.len(), figure.title);
        Ok(plane)
    }

    /// The `count` most likely classes of the picture or, after an attack, of the attacked picture, most likely first; empty if the scores
    /// are not finite.
    pub fn scores(&self, count: usize) -> Result<Vec<ClassRow>> {
        let host = &self.setting.host;
        let attacked = self.session.attacked_classes(host, count)?;
        attacked.map_or_else(|| self.session.classes(host, count), Ok)
    }

    /// Whether the method is an attack that fooled the network; `None` if it is not an attack.
    pub fn fooled(&self) -> Option<bool> {
        self.figures().iter().find_map(|figure| match &figure.body {
            Body::Badge { text, .. } if text == "fooled" => Some(true),
            Body::Badge { text, .. } if text == "not fooled" => Some(false),
            _ => None,
        })
    }
}
