//! Clients of panels that others have written, for tests that show that a double is not just what our own client expects.
//!
//! They are Python packages. `BERTH_TEST_PYTHON` names an interpreter that has them; without it they are installed into an
//! environment of the test's own, which needs `python3` with `venv` and a package index. Where neither works the test says so
//! and passes, unless `BERTH_TEST_DOUBLES=required`.

use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt as _, process::Command};

/// An interpreter that has the packages.
pub(crate) struct Python {
    program: PathBuf,
    _environment: Option<TempDir>,
}

impl Python {
    /// With these packages, each as pip takes it, such as `requests==2.32.5`; `module` is one that they bring.
    pub(crate) async fn with(module: &str, packages: &[&str]) -> Option<Self> {
        match Self::find(module, packages).await {
            Ok(python) => Some(python),
            Err(why) if env::var_os("BERTH_TEST_DOUBLES").is_some_and(|value| value == "required") => {
                panic!("BERTH_TEST_DOUBLES=required, and {why}")
            }
            Err(why) => {
                println!("oracle: {}: skip: {why}", packages.join(" "));
                None
            }
        }
    }

    async fn find(module: &str, packages: &[&str]) -> Result<Self, String> {
        if let Some(program) = env::var_os("BERTH_TEST_PYTHON") {
            let program = PathBuf::from(program);
            run(&program, &["-c", &format!("import {module}")], "").await?;
            return Ok(Self { program, _environment: None });
        }
        let environment = TempDir::new().map_err(|error| error.to_string())?;
        let venv = environment.path().to_str().ok_or("the temporary directory's path is not UTF-8")?;
        run(Path::new("python3"), &["-m", "venv", venv], "").await?;
        let program = environment.path().join("bin/python");
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run(&program, &[&install, packages].concat(), "").await?;
        Ok(Self { program, _environment: Some(environment) })
    }

    /// What a script prints as JSON that reads `input` as JSON.
    pub(crate) async fn run(&self, script: &str, input: &Value) -> Value {
        let printed = run(&self.program, &["-c", script], &input.to_string()).await.unwrap();
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
    }
}

async fn run(program: &Path, arguments: &[&str], input: &str) -> Result<String, String> {
    let failed = |why: String| format!("`{} {}` failed: {why}", program.display(), arguments.join(" "));
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).await.map_err(|error| failed(error.to_string()))?;
    }
    let output = child.wait_with_output().await.map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()))
}
