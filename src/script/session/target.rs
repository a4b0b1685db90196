//! The target of a session: a class, or an expression of the network's output.

use super::Session;
use crate::exec::ScoresNotFinite;
use crate::model::Model;
use crate::model::target::{TargetExpression, TargetHead};
use anyhow::{Result, ensure};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// A target that the user selected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Target {
    /// A class, by its index.
    Class(usize),
    /// An expression, such as `cat - dog`; see [`TargetExpression`].
    Expression(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Class(class) => class.fmt(f),
            Self::Expression(text) => text.fmt(f),
        }
    }
}

/// The selected target of a session.
#[derive(Clone)]
pub(super) enum Selected {
    Class(usize),
    /// An expression, computed by a head that is added to the network.
    Expression(Arc<TargetHead>),
}

impl Selected {
    /// Carries the target over from the network `from` to the network `to` and the picture `input`; `None` if the classes differ or the
    /// expression does not apply.
    pub fn carried(self, from: &Model, to: &Model, input: &Tensor) -> Option<Self> {
        let head = match self {
            Self::Class(_) => {
                return Some(self).filter(|_| from.classes() == to.classes() && from.card.labels == to.card.labels);
            }
            Self::Expression(head) if Arc::ptr_eq(&from.graph, &to.graph) => head,
            Self::Expression(head) => to.with_target(&head.text).ok()?.into(),
        };
        head.check(input).is_ok().then_some(Self::Expression(head))
    }
}

impl Session {
    /// The target class: the class selected by the user, otherwise the predicted class; `None` if the target is an expression, the scores
    /// are not finite, or the network has no classes.
    pub fn target(&self) -> Option<usize> {
        match &self.target {
            Some(Selected::Class(class)) => Some(*class),
            Some(Selected::Expression(_)) => None,
            None => self.top.as_ref().ok().copied().flatten(),
        }
    }

    /// The target expression, if the target is one.
    pub fn expression(&self) -> Option<&TargetHead> {
        match &self.target {
            Some(Selected::Expression(head)) => Some(head),
            _ => None,
        }
    }

    /// The target selected by the user; `None` if the target is the predicted class.
    pub fn chosen(&self) -> Option<Target> {
        self.target.as_ref().map(|target| match target {
            Selected::Class(class) => Target::Class(*class),
            Selected::Expression(head) => Target::Expression(head.text.to_string()),
        })
    }

    /// The selected target, otherwise the predicted class.
    pub fn current_target(&self) -> Option<Target> {
        self.chosen().or_else(|| self.target().map(Target::Class))
    }

    /// Sets the target class; `None` for the predicted class. Errors if there is no such class.
    pub fn set_target(&mut self, target: Option<usize>) -> Result<()> {
        let classes = self.model.classes();
        if target.is_some() {
            self.model.graph.check_classes()?;
        }
        ensure!(
            target.is_none_or(|t| t < classes),
            "no class {}; the network has {classes} classes",
            target.unwrap_or_default()
        );
        self.target = target.map(Selected::Class);
        Ok(())
    }

    /// Sets the target: a class by index or name, otherwise an expression.
    ///
    /// Errors if there is no such class, or if the expression does not apply to the network or the picture.
    pub fn set_target_text(&mut self, text: &str) -> Result<()> {
        let classes = self.model.classes();
        match self.model.card.class(text, classes) {
            Ok(class) if classes > 0 => self.set_target(Some(class)),
            Err(error) if classes > 0 && !TargetExpression::is_more_than_a_class(text) => Err(error),
            _ => {
                let head = self.model.with_target(text)?;
                head.check(&self.input)?;
                self.target = Some(Selected::Expression(head.into()));
                Ok(())
            }
        }
    }

    /// The network that methods run: with the head of the target expression, if there is one.
    pub(super) fn asked_model(&self) -> &Model {
        self.expression().map_or(&self.model, |head| &head.model)
    }

    /// The class of [`asked_model`](Self::asked_model) that methods explain.
    pub(super) fn asked_class(&self) -> Result<Option<usize>, ScoresNotFinite> {
        match &self.target {
            Some(Selected::Class(class)) => Ok(Some(*class)),
            Some(Selected::Expression(head)) => Ok(Some(head.class)),
            None => self.top.clone(),
        }
    }
}
