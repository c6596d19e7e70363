use std::sync::Arc;
use turnpike_host::*;
fn main() -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let args: Vec<String> = std::env::args().collect();
            let t = std::time::Instant::now();
            let app = LoadedApp::load(std::path::Path::new(&args[1]), None, |n, t, id| {
                eprintln!("{n}/{t} {id}")
            })
            .await?;
            eprintln!("loaded in {:?}", t.elapsed());
            let mut options = HostOptions {
                listen: args[2].parse()?,
                ..Default::default()
            };
            options
                .variables
                .insert("db_url".into(), std::env::var("DB_URL").unwrap_or_default());
            if let Ok(p) = std::env::var("KV_DISK") {
                options.key_value = KeyValueOptions::Disk { path: p.into() };
            }
            if let Ok(url) = std::env::var("KV_REDIS") {
                options.key_value = KeyValueOptions::Redis { url };
            }
            if let Ok(p) = std::env::var("REUSE") {
                options.reuse.max_requests = p.parse()?;
            }
            if let Ok(p) = std::env::var("CONC") {
                options.reuse.max_concurrent = p.parse()?;
            }
            let host = Host::start(Arc::clone(&app), options).await?;
            eprintln!("serving {}", host.address());
            tokio::signal::ctrl_c().await?;
            eprintln!("instances {}", host.instances());
            let t = std::time::Instant::now();
            let r = host.shutdown().await;
            eprintln!("shutdown {r:?} in {:?}", t.elapsed());
            Ok(())
        })
}
