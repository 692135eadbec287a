//! The configuration as its users meet it: rules, layers, files, examples and documents.

mod rules;
mod support;
