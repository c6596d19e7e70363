//! What all tests of one process share: the built functions, the loaded components, the
//! Postgres server with its template database, and the description of the API.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, Result};
use tokio::runtime::{Builder, Runtime};
use turnpike_host::function_build::{BuiltFunction, Progress};
use turnpike_host::{LoadedApp, Manifest, function_build};

use crate::database::Databases;
use crate::description::Description;

/// What is prepared once.
pub struct Environment {
    /// The folder of `spin.toml`.
    pub root: PathBuf,
    /// The components, compiled.
    pub app: Arc<LoadedApp>,
    /// Where each test gets a database from.
    pub databases: Databases,
    /// `openapi.json`.
    pub description: Arc<Description>,
    /// Outlives every test, and with it the connection that creates and drops their databases.
    runtime: Runtime,
}

static ENVIRONMENT: OnceLock<Result<Environment, String>> = OnceLock::new();

/// The shared environment, prepared by whoever asks first. Must not be called from async code.
///
/// # Panics
/// When it cannot be prepared, with the reason, in every test.
pub fn environment() -> &'static Environment {
    let prepared =
        ENVIRONMENT.get_or_init(|| Environment::prepare().map_err(|error| format!("{error:#}")));
    match prepared {
        Ok(environment) => environment,
        Err(reason) => panic!("the tests cannot start: {reason}"),
    }
}

/// The folder of `spin.toml`.
pub fn project_root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// The components, compiled. The first run after a change compiles for minutes, later ones find
/// the results in `.turnpike`.
///
/// # Errors
/// When a component cannot be loaded.
pub async fn load_app(root: &Path) -> Result<Arc<LoadedApp>> {
    let cache = root.join(".turnpike").join("wasmtime-cache");
    LoadedApp::load(&root.join("spin.toml"), Some(&cache), |_, _, _| {}).await
}

/// The `.wasm` of a component of `tests/components`, built. Must not be called from async code.
///
/// # Panics
/// When it cannot be built.
pub fn test_component(id: &str) -> PathBuf {
    built(id, &test_components())
}

/// The `.wasm` of an example of `docs/examples`, built. `tests/components/spin.toml` has its
/// stanza. Must not be called from async code.
///
/// # Panics
/// When it cannot be built.
pub fn example_component(id: &str) -> PathBuf {
    built(id, &project_root().join("docs").join("examples"))
}

fn test_components() -> PathBuf {
    project_root().join("tests").join("components")
}

/// Builds a component whose crate is in `folder`.
fn built(id: &str, folder: &Path) -> PathBuf {
    let build = || -> Result<Vec<BuiltFunction>> {
        let mut manifest = Manifest::read(&test_components().join("spin.toml"))?;
        manifest.root = folder.to_owned();
        let wanted = [id.to_owned()];
        let building = function_build::build_with(&manifest, Some(&wanted), Progress::Shown);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(building)
    };
    match build().as_deref() {
        Ok([function]) => function.path.clone(),
        Ok(_) => panic!("building {id} made no component"),
        Err(error) => panic!("{id} cannot be built: {error:#}"),
    }
}

impl Environment {
    fn prepare() -> Result<Self> {
        let root = project_root();
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("test-environment")
            .enable_all()
            .build()
            .context("cannot start the runtime of the test environment")?;
        let (app, databases) = runtime.block_on(async {
            let app = async {
                function_build::build(&root, None).await?;
                load_app(&root).await
            };
            tokio::try_join!(app, Databases::prepare(&root))
        })?;
        let description = Arc::new(Description::read(&root)?);
        Ok(Self {
            root,
            app,
            databases,
            description,
            runtime,
        })
    }

    /// Runs something that must outlive the test which started it.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }
}
