//! The host of scripts: methods in `plugins/`, architectures in `models/`.

pub mod message;
