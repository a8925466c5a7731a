//! Rewards, shaping and advantages against numbers of other programs.

mod code;
mod estimators;
mod reference;
