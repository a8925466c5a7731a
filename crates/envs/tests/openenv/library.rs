//! The library of OpenEnv, in a virtual environment under `target/tools`.

use crate::installed::python_with;

/// Returns a Python with the library, without the parts that serve pages and models: they are most of its
/// weight.
pub(crate) fn python() -> Option<String> {
    let parts = ["fastapi==0.165.0", "fastmcp==3.4.11", "uvicorn==0.54.0", "websockets==17.4"];
    let parts = [&parts[..], &["pydantic==2.14.4", "requests==2.34.2", "packaging==26.4"]].concat();
    python_with("openenv.core", "openenv-0.10.0", &[&["--no-deps", "openenv==0.10.0"], &parts])
}
