//! Starts an executor's first zygote: with every layer, then without those that this machine refuses, one by
//! one.

use std::path::PathBuf;

use super::child::Child;
use super::config::PythonConfig;
use super::interpreter::Interpreter;
use super::isolation::{self, Achieved, Found, Hello};
use super::keeper::Keeper;
use super::sys::{self, Setup};
use super::zygote::{Lifetime, NotStarted, Programs, Recipe, Settings, Zygote};
use crate::executor::seccomp::Allowed;

/// Returns a zygote with all layers that this interpreter and this kernel support together, and the list of
/// these.
pub(super) fn first_zygote(
    keeper: &Keeper,
    interpreter: Interpreter,
    config: &PythonConfig,
    newest_landlock: i32,
) -> Result<(Recipe, Zygote, Achieved), String> {
    let mut found = Found::default();
    let readable = interpreter.readable(&config.readable);
    let ruleset = isolation::landlock_ruleset(&readable, newest_landlock);
    let ruleset = ruleset.map_err(|reason| found.no_landlock = Some(reason)).ok();
    let settings = settings(config, &readable, ruleset.is_some(), &mut found);
    let setup = Setup { drop_root: sys::is_root(), namespaces: true };
    let mut recipe = Recipe { interpreter, setup, ruleset, settings };
    loop {
        recipe.settings.namespaces(recipe.setup.namespaces);
        let refusal = match Zygote::start(keeper, &recipe) {
            Err(refusal) => refusal,
            Ok(mut zygote) => match first_child(&mut zygote) {
                Err(refusal) => refusal,
                Ok(hello) if recipe.ruleset.is_some() && hello.no_landlock().is_some() => {
                    // Without landlock, system calls must not open files for writing.
                    found.no_landlock = hello.no_landlock();
                    recipe.ruleset = None;
                    recipe.settings = self::settings(config, &readable, false, &mut found);
                    continue;
                }
                Ok(hello) => {
                    found.dropped_root = recipe.setup.drop_root;
                    let achieved = Achieved::new(&found, hello);
                    return Ok((recipe, zygote, achieved));
                }
            },
        };
        if !give_up(&refusal, &mut recipe.setup, &mut found) {
            return Err(refusal.to_string());
        }
    }
}

/// Returns the first child's report about its layers.
fn first_child(zygote: &mut Zygote) -> Result<Hello, NotStarted> {
    let opened = Child::open(zygote, Lifetime::Once);
    let (child, hello) = opened.map_err(|error| NotStarted::Other(format!("first child: {error}")))?;
    match child.can_be_signalled() {
        Ok(()) => Ok(hello),
        // Root without CAP_KILL.
        Err(error) => {
            child.let_go();
            Err(NotStarted::Signal(error))
        }
    }
}

/// Drops the layer that was refused. Returns false if there's none to drop.
fn give_up(refusal: &NotStarted, setup: &mut Setup, found: &mut Found) -> bool {
    let about_root = match refusal {
        NotStarted::Step(step, _) => step.drops_root(),
        NotStarted::Signal(_) => true,
        NotStarted::Python(_) | NotStarted::Other(_) => false,
    };
    let about_namespaces = match refusal {
        NotStarted::Step(step, _) => step.enters_namespaces(),
        // One of the layers may conflict with namespaces.
        NotStarted::Other(_) => true,
        NotStarted::Signal(_) | NotStarted::Python(_) => false,
    };
    if about_root && setup.drop_root {
        setup.drop_root = false;
        found.kept_root = Some(refusal.to_string());
        true
    } else if about_namespaces && setup.namespaces {
        setup.namespaces = false;
        found.no_namespaces = Some(refusal.to_string());
        true
    } else {
        false
    }
}

fn settings(config: &PythonConfig, readable: &[PathBuf], writes: bool, found: &mut Found) -> Settings {
    let allowed = |threads| Allowed { writes, scratch: config.scratch_mib > 0, threads };
    let programs = Programs::new(allowed).map_err(|reason| found.no_seccomp = Some(reason)).ok();
    Settings::new(config, readable, programs)
}
