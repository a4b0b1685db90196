//! Handlers of actions, commands and worker messages: functions from `&mut State` to effects.

pub mod branches;
pub mod filter;
pub mod lens_actions;
pub mod param_step;
pub mod parameters;
pub mod pickers;
pub mod picture_picker;
pub mod pointed;
pub mod request;
pub mod session;
pub mod steps;
pub mod views;
pub mod worker_updates;
