//! An application whose components are compiled and ready to be instantiated.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime_wasi_http::p3::bindings::ServicePre;

use crate::engine;
use crate::instance::{InstanceState, linker};
use crate::manifest::Manifest;

/// Where compiled code is kept unless told otherwise, in the manifest's directory.
pub const DEFAULT_CACHE_DIR: &str = ".turnpike/wasmtime-cache";

/// Instances there may be at once: below the allocator's 1,000, because it refuses what does not
/// fit, where this lets a request wait, and because an instance that ends occupies its place a
/// moment longer than its permit.
const INSTANCE_SLOTS: usize = engine::POOLED_INSTANCES as usize - 100;

/// A manifest with its components compiled. Several hosts can serve it at once.
pub struct LoadedApp {
    manifest: Manifest,
    engine: Engine,
    components: BTreeMap<String, ServicePre<InstanceState>>,
    slots: Arc<Semaphore>,
}

impl LoadedApp {
    /// Reads the manifest and compiles the components its triggers lead to, or takes them from
    /// the cache in `cache_dir` (default: [`DEFAULT_CACHE_DIR`]).
    ///
    /// `progress` is called with the number of components loaded, their total, and the id of the
    /// one just loaded.
    ///
    /// # Errors
    /// The manifest is unusable, a component is not built, or it imports something that this host
    /// does not have.
    pub async fn load(
        manifest: &Path,
        cache_dir: Option<&Path>,
        progress: impl Fn(usize, usize, &str),
    ) -> Result<Arc<Self>> {
        let manifest = Manifest::read(manifest)?;
        let default_cache_dir = manifest.root.join(DEFAULT_CACHE_DIR);
        let engine = engine::create(cache_dir.unwrap_or(&default_cache_dir))?;
        let linker = Arc::new(linker(&engine)?);
        let mut loading = JoinSet::new();
        let wanted = manifest.triggered_components();
        let total = wanted.len();
        for component in wanted {
            let id = component.id.clone();
            let source = component.source.clone();
            let engine = engine.clone();
            let linker = Arc::clone(&linker);
            loading.spawn_blocking(move || {
                let pre = compile(&engine, &linker, &source)
                    .with_context(|| format!("[component.{id}]"))?;
                Ok::<_, anyhow::Error>((id, pre))
            });
        }
        let mut components = BTreeMap::new();
        while let Some(loaded) = loading.join_next().await {
            let (id, pre) = loaded??;
            progress(components.len() + 1, total, &id);
            components.insert(id, pre);
        }
        Ok(Arc::new(Self {
            manifest,
            engine,
            components,
            slots: Arc::new(Semaphore::new(INSTANCE_SLOTS)),
        }))
    }

    /// The manifest the application was loaded from.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn slots(&self) -> &Arc<Semaphore> {
        &self.slots
    }

    pub(crate) fn component(&self, id: &str) -> Result<&ServicePre<InstanceState>> {
        self.components
            .get(id)
            .with_context(|| format!("the component {id} was not loaded"))
    }
}

fn compile(
    engine: &Engine,
    linker: &wasmtime::component::Linker<InstanceState>,
    source: &Path,
) -> Result<ServicePre<InstanceState>> {
    let bytes = std::fs::read(source).with_context(|| {
        format!(
            "cannot read {}: build the component first, with its build command",
            source.display()
        )
    })?;
    let component = Component::new(engine, &bytes)
        .map_err(|error| anyhow!(error))
        .with_context(|| format!("{} is not a component", source.display()))?;
    let pre = linker
        .instantiate_pre(&component)
        .map_err(|error| anyhow!(error))
        .context("it imports what this host does not have")?;
    ServicePre::new(pre)
        .map_err(|error| anyhow!(error))
        .context("it does not export wasi:http/handler@0.3.0: build it with spin-sdk 7")
}

impl std::fmt::Debug for LoadedApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LoadedApp({} components)", self.components.len())
    }
}
