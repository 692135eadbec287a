//! The configuration as its users meet it: rules, layers, files, examples and documents.

mod bytes;
mod conversion;
mod documents;
mod examples;
mod host;
mod layers;
mod rules;
mod support;
