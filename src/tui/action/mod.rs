//! Handlers of actions, commands and worker messages: functions that change the state and return effects.

pub mod branches;
pub mod comparison;
pub mod copy;
pub mod file_browser;
pub mod filter;
pub mod gallery;
pub mod lens_actions;
pub mod param_step;
pub mod parameters;
pub mod pickers;
pub mod model_picker;
pub mod picture_picker;
pub mod pointed;
pub mod request;
pub mod session;
pub mod steps;
pub mod units;
pub mod views;
pub mod visible;
pub mod worker_updates;
