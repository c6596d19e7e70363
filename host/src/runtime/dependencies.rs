//! Links a component's imports to the exports of other components, as Spin composes them.
//!
//! Nothing is composed here: each imported function is a function of the host that calls the
//! dependency's export in an instance of its own, see [`sandbox`]. So only plain values can cross:
//! a resource, a stream or a future would belong to an instance that has ended.

mod sandbox;
#[cfg(test)]
mod tests;
mod ticker;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use wasmtime::component::types::{ComponentFunc, ComponentInstance, ComponentItem, Type};
use wasmtime::component::{
    Component, ComponentExportIndex, InstancePre, Linker, LinkerInstance, ResourceType, Val,
};

use crate::imports::instance::InstanceState;
use crate::manifest::{Dependency, Manifest};

pub(crate) use sandbox::Sandbox;
use sandbox::{Function, SandboxState};

/// Interfaces of these packages are there for a dependency too, though they lead nowhere: the
/// standard library imports them whether it needs them or not.
const WASI_PACKAGES: [&str; 6] = [
    "wasi:cli",
    "wasi:clocks",
    "wasi:filesystem",
    "wasi:io",
    "wasi:random",
    "wasi:sockets",
];

/// Dependencies of one component, found and not yet compiled.
pub(crate) struct Dependencies(Vec<Found>);

struct Found {
    dependency: Dependency,
    label: String,
    path: std::path::PathBuf,
}

/// A dependency ready to be called.
struct Loaded {
    label: Arc<str>,
    sandbox: Arc<Sandbox>,
    component: Component,
    instance: InstancePre<SandboxState>,
}

impl Dependencies {
    /// # Errors
    /// A component is not in the manifest.
    pub(crate) fn find(manifest: &Manifest, dependencies: &[Dependency]) -> Result<Self> {
        dependencies
            .iter()
            .map(|dependency| {
                let (path, label) = manifest.dependency_source(dependency)?;
                Ok(Found {
                    dependency: dependency.clone(),
                    label,
                    path: path.to_owned(),
                })
            })
            .collect::<Result<_>>()
            .map(Self)
    }

    /// Defines in `linker` what `component` imports from its dependencies.
    ///
    /// # Errors
    /// A dependency cannot be loaded, none of the imports is meant by its name, it does not export
    /// what is imported, or something else than a plain value would have to cross.
    pub(crate) fn link(
        &self,
        sandbox: &Arc<Sandbox>,
        component: &Component,
        linker: &mut Linker<InstanceState>,
    ) -> Result<()> {
        let component_type = component.component_type();
        let imports: Vec<(String, ComponentItem)> = component_type
            .imports(component.engine())
            .map(|(name, import)| (name.to_owned(), import.ty))
            .collect();
        for (import, _) in &imports {
            let mut named = self.0.iter().map(|found| &found.dependency.name);
            let mut named = named.by_ref().filter(|name| name.matches(import));
            if let (Some(first), Some(second)) = (named.next(), named.next()) {
                bail!("the dependencies {first} and {second} both stand for the import {import}");
            }
        }
        for found in &self.0 {
            let name = &found.dependency.name;
            let context = || format!("the dependency {name} ({})", found.label);
            let matching: Vec<_> = imports
                .iter()
                .filter(|(import, _)| name.matches(import))
                .collect();
            ensure!(
                !matching.is_empty(),
                "{}: the component has no such import, only {}",
                context(),
                list(imports.iter().map(|(import, _)| import.as_str()))
            );
            let loaded = Loaded::new(sandbox, found.label.as_str().into(), &found.path)
                .with_context(context)?;
            for (import, item) in matching {
                let export = found.dependency.export.as_deref().unwrap_or(import);
                loaded
                    .link(linker, import, item, export)
                    .with_context(context)?;
            }
        }
        Ok(())
    }
}

impl Loaded {
    fn new(sandbox: &Arc<Sandbox>, label: Arc<str>, path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| {
            format!(
                "cannot read {}: build the component first, with its build command",
                path.display()
            )
        })?;
        let component = Component::new(sandbox.engine(), &bytes)
            .map_err(|error| anyhow!(error))
            .with_context(|| format!("{} is not a component", path.display()))?;
        let mut linker = Linker::new(sandbox.engine());
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)
            .and_then(|()| wasmtime_wasi::p3::add_to_linker(&mut linker))
            .and_then(|()| refuse_other_imports(&mut linker, &component))
            .map_err(|error| anyhow!(error))?;
        let instance = linker
            .instantiate_pre(&component)
            .map_err(|error| anyhow!(error))
            .context("it imports what no dependency is given")?;
        Ok(Self {
            label,
            sandbox: Arc::clone(sandbox),
            component,
            instance,
        })
    }

    /// Defines one import by one export.
    fn link(
        &self,
        linker: &mut Linker<InstanceState>,
        import: &str,
        item: &ComponentItem,
        export: &str,
    ) -> Result<()> {
        let component_type = self.component.component_type();
        let engine = self.sandbox.engine();
        let exported = component_type.get_export(engine, export);
        let index = self.component.get_export_index(None, export);
        let (Some(exported), Some(index)) = (exported, index) else {
            bail!(
                "it does not export {export}, only {}",
                list(component_type.exports(engine).map(|(name, _)| name))
            );
        };
        match (item, exported.ty) {
            (ComponentItem::ComponentFunc(wanted), ComponentItem::ComponentFunc(given)) => {
                check_function(import, wanted, &given)?;
                self.define(&mut linker.root(), import, import.to_owned(), wanted, index)
            }
            (ComponentItem::ComponentInstance(wanted), ComponentItem::ComponentInstance(given)) => {
                let main = linker.engine().clone();
                let mut instance = linker.instance(import).map_err(|error| anyhow!(error))?;
                for (name, wanted) in functions(&main, wanted, import)? {
                    let full_name = format!("{import}#{name}");
                    let given = given.get_export(engine, &name).map(|given| given.ty);
                    let Some(ComponentItem::ComponentFunc(given)) = given else {
                        bail!("its {export} has no function {name}");
                    };
                    check_function(&full_name, &wanted, &given)?;
                    let index = self
                        .component
                        .get_export_index(Some(&index), name.as_str())
                        .with_context(|| format!("its {export} has no function {name}"))?;
                    self.define(&mut instance, &name, full_name, &wanted, index)?;
                }
                Ok(())
            }
            _ => bail!("its export {export} is not of the same kind as the import {import}"),
        }
    }

    fn define(
        &self,
        linker: &mut LinkerInstance<'_, InstanceState>,
        name: &str,
        full_name: String,
        function_type: &ComponentFunc,
        export: ComponentExportIndex,
    ) -> Result<()> {
        let function = Arc::new(Function {
            dependency: Arc::clone(&self.label),
            name: full_name,
            sandbox: Arc::clone(&self.sandbox),
            instance: self.instance.clone(),
            export,
        });
        let defined = if function_type.async_() {
            linker.func_new_concurrent(name, move |accessor, _, params, results| {
                let function = Arc::clone(&function);
                let log = accessor.with(|mut store| store.get().component.services.log.clone());
                Box::pin(async move {
                    let returned = function.call(params.to_vec(), results.len(), log).await?;
                    put(returned, results);
                    Ok(())
                })
            })
        } else {
            linker.func_new_async(name, move |store, _, params, results| {
                let function = Arc::clone(&function);
                let log = store.data().component.services.log.clone();
                Box::new(async move {
                    let returned = function.call(params.to_vec(), results.len(), log).await?;
                    put(returned, results);
                    Ok(())
                })
            })
        };
        defined.map_err(|error| anyhow!(error))
    }
}

fn put(returned: Vec<Val>, results: &mut [Val]) {
    for (place, value) in results.iter_mut().zip(returned) {
        *place = value;
    }
}

/// The functions of an interface.
///
/// # Errors
/// It has something else too, other than types.
fn functions(
    engine: &wasmtime::Engine,
    interface: &ComponentInstance,
    name: &str,
) -> Result<Vec<(String, ComponentFunc)>> {
    let mut functions = Vec::new();
    for (member, item) in interface.exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(function) => functions.push((member.to_owned(), function)),
            ComponentItem::Type(_) => {}
            ComponentItem::Resource(_) => bail!(
                "{name} has the resource {member}, and only plain values can cross to a dependency"
            ),
            _ => bail!("{name} has {member}, which is neither a function nor a type"),
        }
    }
    Ok(functions)
}

/// Checks that an export has the type of the import it stands for, and that both ends of a call
/// can end separately.
fn check_function(name: &str, wanted: &ComponentFunc, given: &ComponentFunc) -> Result<()> {
    let same = wanted.async_() == given.async_()
        && wanted.params().eq(given.params())
        && wanted.results().eq(given.results());
    ensure!(same, "its {name} has another type than the import");
    let mut types = wanted.params().map(|(_, ty)| ty).chain(wanted.results());
    ensure!(
        types.all(|ty| is_plain(&ty)),
        "{name} takes or returns a resource, a stream or a future, and only plain values can cross \
         to a dependency"
    );
    Ok(())
}

fn is_plain(ty: &Type) -> bool {
    match ty {
        Type::Own(_) | Type::Borrow(_) | Type::Future(_) | Type::Stream(_) | Type::ErrorContext => {
            false
        }
        Type::List(list) => is_plain(&list.ty()),
        Type::FixedLengthList(list) => is_plain(&list.ty()),
        Type::Map(map) => is_plain(&map.key()) && is_plain(&map.value()),
        Type::Record(record) => record.fields().all(|field| is_plain(&field.ty)),
        Type::Tuple(tuple) => tuple.types().all(|ty| is_plain(&ty)),
        Type::Variant(variant) => variant
            .cases()
            .all(|case| case.ty.is_none_or(|ty| is_plain(&ty))),
        Type::Option(option) => is_plain(&option.ty()),
        Type::Result(result) => [result.ok(), result.err()]
            .into_iter()
            .flatten()
            .all(|ty| is_plain(&ty)),
        Type::Bool
        | Type::S8
        | Type::U8
        | Type::S16
        | Type::U16
        | Type::S32
        | Type::U32
        | Type::S64
        | Type::U64
        | Type::Float32
        | Type::Float64
        | Type::Char
        | Type::String
        | Type::Enum(_)
        | Type::Flags(_) => true,
    }
}

/// Has a dependency trap when it calls an import that is not WASI's. That it has one is no error,
/// because in Spin it is none.
fn refuse_other_imports(
    linker: &mut Linker<SandboxState>,
    component: &Component,
) -> wasmtime::Result<()> {
    let engine = component.engine().clone();
    for (import, item) in component.component_type().imports(&engine) {
        let package = import.split('/').next().unwrap_or_default();
        if WASI_PACKAGES.contains(&package) {
            continue;
        }
        match item.ty {
            ComponentItem::ComponentFunc(function) => {
                refuse(&mut linker.root(), import, import.to_owned(), &function)?;
            }
            ComponentItem::ComponentInstance(interface) => {
                let mut instance = linker.instance(import)?;
                for (name, member) in interface.exports(&engine) {
                    match member.ty {
                        ComponentItem::ComponentFunc(function) => {
                            let full_name = format!("{import}#{name}");
                            refuse(&mut instance, name, full_name, &function)?;
                        }
                        ComponentItem::Resource(_) => {
                            let nothing = ResourceType::host::<()>();
                            instance.resource(name, nothing, |_, _| Ok(()))?;
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn refuse(
    linker: &mut LinkerInstance<'_, SandboxState>,
    name: &str,
    full_name: String,
    function: &ComponentFunc,
) -> wasmtime::Result<()> {
    if function.async_() {
        linker.func_new_concurrent(name, move |_, _, _, _| {
            let error = not_given(&full_name);
            Box::pin(async move { Err(error) })
        })
    } else {
        linker.func_new(name, move |_, _, _, _| Err(not_given(&full_name)))
    }
}

fn not_given(name: &str) -> wasmtime::Error {
    wasmtime::format_err!("it called {name}, which no dependency is given")
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.collect();
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    }
}
