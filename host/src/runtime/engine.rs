//! The WebAssembly engine: how components are compiled and where their instances live.

use std::path::Path;

use anyhow::{Context as _, Result};
use wasmtime::{
    Cache, CacheConfig, Config, Enabled, Engine, InstanceAllocationStrategy,
    PoolingAllocationConfig,
};

/// Instances the allocator has room for, for the whole application, as in Spin.
pub(crate) const POOLED_INSTANCES: u32 = 1_000;

/// The compilation cache holds at most this: some 40 components of 2 MB compiled, for each of a
/// dozen versions of them a developer goes back and forth between.
const CACHE_BYTES: u64 = 1 << 30;

/// The longest table of any component; Spin's figure, generous for what is 8 bytes an element.
const TABLE_ELEMENTS: usize = 100_000;

/// Bookkeeping of one instance at most: Spin's figure, far above any real component's.
const INSTANCE_BYTES: usize = 10 << 20;

/// Memory an instance's place keeps for the next one: clearing so much is cheaper than giving
/// it back to the system and faulting it in again. Where the system tells which pages were used,
/// these are a few hundred kilobytes; where it does not, nothing is kept, because all of it would
/// be cleared and so be there, in every place that ever had an instance.
const KEEP_RESIDENT_BYTES: usize = 2 << 20;

/// The same for a table: half a megabyte.
const KEEP_TABLE_BYTES: usize = 512 << 10;

/// An engine that keeps compiled code in `cache_dir`.
///
/// Its instances are pooled unless the system refuses the address space: 1,000 memories of 4 GiB
/// and their guards are 6 TiB, 42 bits, which some systems do not have.
///
/// # Errors
/// The cache's directory cannot be used.
pub(crate) fn create(cache_dir: &Path) -> Result<Engine> {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    config.cache(Some(open_cache(cache_dir)?));
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pooling()));
    match Engine::new(&config) {
        Ok(engine) => Ok(engine),
        Err(error) => {
            tracing::warn!("instances are not pooled, because the system refused: {error:#}");
            config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
            Ok(Engine::new(&config)?)
        }
    }
}

/// An engine whose code can be interrupted while it computes, which costs a check in each loop. Its
/// instances are few and not pooled.
///
/// # Errors
/// The cache's directory cannot be used.
pub(crate) fn create_interruptible(cache_dir: &Path) -> Result<Engine> {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    config.cache(Some(open_cache(cache_dir)?));
    config.epoch_interruption(true);
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Ok(Engine::new(&config)?)
}

fn open_cache(cache_dir: &Path) -> Result<Cache> {
    std::fs::create_dir_all(cache_dir)
        .with_context(|| format!("cannot create the directory {}", cache_dir.display()))?;
    // The cache wants a path without links and dots.
    let cache_dir = cache_dir
        .canonicalize()
        .with_context(|| format!("cannot resolve the directory {}", cache_dir.display()))?;
    let mut config = CacheConfig::new();
    config
        .with_directory(cache_dir)
        .with_files_total_size_soft_limit(CACHE_BYTES);
    Ok(Cache::new(config)?)
}

fn pooling() -> PoolingAllocationConfig {
    let mut pooling = PoolingAllocationConfig::default();
    pooling
        .total_component_instances(POOLED_INSTANCES)
        .total_memories(POOLED_INSTANCES)
        .total_stacks(POOLED_INSTANCES)
        // A component is several core modules, with a table or two and one memory between them.
        .total_tables(2 * POOLED_INSTANCES)
        .total_core_instances(4 * POOLED_INSTANCES)
        .table_elements(TABLE_ELEMENTS)
        .max_component_instance_size(INSTANCE_BYTES)
        .max_core_instance_size(INSTANCE_BYTES)
        .max_core_instances_per_component(200)
        .max_tables_per_component(64)
        .max_memories_per_component(32)
        .max_tables_per_module(2)
        .max_memories_per_module(2);
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pooling
            .pagemap_scan(Enabled::Yes)
            .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
            .table_keep_resident(KEEP_TABLE_BYTES);
    }
    pooling
}
