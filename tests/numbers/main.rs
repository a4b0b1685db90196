//! Numbers: weights, data sets, training and methods against PyTorch, Captum, torchattacks and other implementations.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod attention;
mod attnlrp;
mod cases;
mod concept_relevance;
mod data_set_formats;
mod data_sets;
mod fab;
mod features;
mod formats;
mod interpolation;
mod maco;
mod making;
mod onnx;
mod patching;
mod reference;
mod reference_attacks;
mod reference_resnet;
mod trained;
mod training;
mod vision_transformers;
mod zoo;
mod zoo_shared;
