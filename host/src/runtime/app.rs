//! An application whose components are compiled and ready to be instantiated.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use crate::imports::instance::{InstanceState, linker};
use crate::manifest::{DependencySource, Manifest};
use crate::runtime::dependencies::{Dependencies, Sandbox};
use crate::runtime::engine;
use crate::runtime::handler::HandlerPre;

/// Where compiled code is kept unless told otherwise, in the manifest's directory.
pub const DEFAULT_CACHE_DIR: &str = ".turnpike/wasmtime-cache";

/// Instances there may be at once: below the allocator's 1,000, because it refuses what does not
/// fit, where this lets a request wait, and because an instance that ends occupies its place a
/// moment longer than its permit.
const INSTANCE_SLOTS: usize = engine::POOLED_INSTANCES as usize - 100;

/// Those among them that may be of components which call others: half, so that there is always
/// room for the ones they wait for.
const CHAINING_SLOTS: usize = INSTANCE_SLOTS / 2;

/// A manifest with its components compiled. Several hosts can serve it at once.
pub struct LoadedApp {
    manifest: Manifest,
    tools: Arc<Tools>,
    components: BTreeMap<String, HandlerPre>,
}

/// What components are compiled with, and where their instances live.
struct Tools {
    engine: Engine,
    linker: Linker<InstanceState>,
    sandbox: Arc<Sandbox>,
    slots: Arc<Semaphore>,
    chaining_slots: Arc<Semaphore>,
}

impl LoadedApp {
    /// Reads the manifest and compiles the components its triggers lead to and their
    /// dependencies, or takes them from the cache in `cache_dir` (default:
    /// [`DEFAULT_CACHE_DIR`]).
    ///
    /// `progress` is called with the number of components loaded, their total, and the id of the
    /// one just loaded.
    ///
    /// # Errors
    /// The manifest is unusable, a component is not built, it imports something that this host
    /// does not have, or a dependency does not export what it is there for.
    pub async fn load(
        manifest: &Path,
        cache_dir: Option<&Path>,
        progress: impl Fn(usize, usize, &str),
    ) -> Result<Arc<Self>> {
        let manifest = Manifest::read(manifest)?;
        let default_cache_dir = manifest.root.join(DEFAULT_CACHE_DIR);
        let cache_dir = cache_dir.unwrap_or(&default_cache_dir);
        let engine = engine::create(cache_dir)?;
        let tools = Arc::new(Tools {
            linker: linker(&engine)?,
            engine,
            sandbox: Sandbox::new(cache_dir)?,
            slots: Arc::new(Semaphore::new(INSTANCE_SLOTS)),
            chaining_slots: Arc::new(Semaphore::new(CHAINING_SLOTS)),
        });
        let components = compile_all(&tools, &manifest, |_| true, progress).await?;
        Ok(Arc::new(Self {
            manifest,
            tools,
            components,
        }))
    }

    /// The same application with other files for some components, by id. Only these and the
    /// components that depend on them are compiled.
    ///
    /// # Errors
    /// There is no such component, or as for [`LoadedApp::load`].
    pub async fn with_sources(&self, sources: &BTreeMap<String, PathBuf>) -> Result<Arc<Self>> {
        let mut manifest = self.manifest.clone();
        for (id, source) in sources {
            manifest
                .components
                .get_mut(id)
                .with_context(|| format!("there is no [component.{id}]"))?
                .source
                .clone_from(source);
        }
        let changed: BTreeSet<String> = manifest
            .components
            .values()
            .filter(|component| {
                let depends = component.dependencies.iter().any(|dependency| {
                    matches!(&dependency.source,
                        DependencySource::Component(id) if sources.contains_key(id))
                });
                depends || sources.contains_key(&component.id)
            })
            .map(|component| component.id.clone())
            .collect();
        let compiled = compile_all(
            &self.tools,
            &manifest,
            |id| changed.contains(id),
            |_, _, _| {},
        )
        .await?;
        let mut components = self.components.clone();
        components.extend(compiled);
        Ok(Arc::new(Self {
            manifest,
            tools: Arc::clone(&self.tools),
            components,
        }))
    }

    /// The manifest the application was loaded from.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The components that are asked by `wasi:http/handler` alone, because they do not export
    /// `turnpike:http/plain`.
    pub fn without_plain_export(&self) -> BTreeSet<&str> {
        let components = self.components.iter();
        let without = components.filter(|(_, component)| !component.has_plain());
        without.map(|(id, _)| id.as_str()).collect()
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.tools.engine
    }

    /// Places for instances.
    pub(crate) fn slots(&self) -> &Arc<Semaphore> {
        &self.tools.slots
    }

    /// The places that instances of components may take which call other components.
    pub(crate) fn chaining_slots(&self) -> &Arc<Semaphore> {
        &self.tools.chaining_slots
    }

    pub(crate) fn component(&self, id: &str) -> Result<&HandlerPre> {
        self.components
            .get(id)
            .with_context(|| format!("the component {id} was not loaded"))
    }
}

/// Compiles the components that a trigger leads to and `wanted` names.
async fn compile_all(
    tools: &Arc<Tools>,
    manifest: &Manifest,
    wanted: impl Fn(&str) -> bool,
    progress: impl Fn(usize, usize, &str),
) -> Result<BTreeMap<String, HandlerPre>> {
    // Each takes tens of megabytes while it is compiled, and what is done is kept for the next start.
    let at_once = std::thread::available_parallelism().map_or(2, usize::from);
    let places = Arc::new(Semaphore::new(at_once));
    let mut loading = JoinSet::new();
    for component in manifest.triggered_components() {
        if !wanted(&component.id) {
            continue;
        }
        let id = component.id.clone();
        let source = component.source.clone();
        let dependencies = Dependencies::find(manifest, &component.dependencies)
            .with_context(|| format!("[component.{id}]"))?;
        let tools = Arc::clone(tools);
        let places = Arc::clone(&places);
        loading.spawn(async move {
            let _place = places.acquire_owned().await?;
            let compiled = tokio::task::spawn_blocking(move || {
                compile(&tools, &source, &dependencies)
                    .with_context(|| format!("[component.{id}]"))
                    .map(|pre| (id, pre))
            });
            compiled.await?
        });
    }
    let total = loading.len();
    let mut components = BTreeMap::new();
    while let Some(loaded) = loading.join_next().await {
        let (id, pre) = loaded??;
        progress(components.len() + 1, total, &id);
        components.insert(id, pre);
    }
    Ok(components)
}

fn compile(tools: &Tools, source: &Path, dependencies: &Dependencies) -> Result<HandlerPre> {
    let bytes = std::fs::read(source).with_context(|| {
        format!(
            "cannot read {}: build the component first, with its build command",
            source.display()
        )
    })?;
    let component = Component::new(&tools.engine, &bytes)
        .map_err(|error| anyhow!(error))
        .with_context(|| format!("{} is not a component", source.display()))?;
    let mut linker = tools.linker.clone();
    dependencies.link(&tools.sandbox, &component, &mut linker)?;
    let pre = linker
        .instantiate_pre(&component)
        .map_err(|error| anyhow!(error))
        .context("it imports what this host does not have")?;
    HandlerPre::new(&component, pre)
}

impl std::fmt::Debug for LoadedApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LoadedApp({} components)", self.components.len())
    }
}
