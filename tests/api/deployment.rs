//! The manifests of `deploy/`: each has the fields that it may have, and what they say fits the
//! application and each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use turnpike_host::manifest::Manifest;
use turnpike_tests::description::Description;
use turnpike_tests::environment::project_root;

/// What a scheduler has to call.
const JOBS: [&str; 5] = [
    "/api/v1/cache/warm",
    "/api/v1/outbox/deliveries",
    "/api/v1/retention/purges",
    "/api/v1/subscriptions/advance",
    "/api/v1/usage/upkeep",
];

fn deploy() -> PathBuf {
    project_root().join("deploy")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What is in a folder, by name.
fn files_of(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder can be read");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the folder can be read").path())
        .collect();
    paths.sort();
    paths
}

/// The documents of a YAML file.
fn documents(path: &Path) -> Vec<Value> {
    let text = read(path);
    let documents = serde_saphyr::from_multiple::<Value>(&text);
    documents.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn compose() -> Value {
    documents(&deploy().join("compose.yaml")).remove(0)
}

/// The manifests of Kubernetes, with the files that they are in.
fn manifests() -> Vec<(PathBuf, Value)> {
    let mut paths = files_of(&deploy().join("kubernetes"));
    paths.push(deploy().join("kustomization.yaml"));
    let of = |path: PathBuf| {
        documents(&path)
            .into_iter()
            .map(move |document| (path.clone(), document))
    };
    paths.into_iter().flat_map(of).collect()
}

fn manifest(kind: &str, name: &str) -> Value {
    let found = manifests()
        .into_iter()
        .map(|(_, manifest)| manifest)
        .find(|manifest| manifest["kind"] == kind && manifest["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("deploy/kubernetes has no {kind} {name}"))
}

fn schema(name: &str) -> Value {
    let path = project_root()
        .join("tests")
        .join("api")
        .join("deployment")
        .join("schemas")
        .join(name);
    serde_json::from_str(&read(&path)).expect("the schema is JSON")
}

/// Where a document is not what the schema says.
fn faults(schema: &Value, document: &Value) -> Vec<String> {
    let validator = jsonschema::draft202012::new(schema).expect("the schema is one");
    validator
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path().as_str()))
        .collect()
}

/// The same for a manifest of Kubernetes, by its kind.
fn faults_of_manifest(schema: &Value, manifest: &Value) -> Vec<String> {
    let kind = manifest["kind"].as_str().unwrap_or_default();
    if schema["$defs"][kind].is_null() {
        return vec![format!("there is no schema of the kind {kind:?}")];
    }
    let mut schema = schema.clone();
    schema["$ref"] = json!(format!("#/$defs/{kind}"));
    faults(&schema, manifest)
}

fn texts(value: &Value) -> BTreeSet<String> {
    let values = value.as_array().into_iter().flatten();
    let texts = values.filter_map(Value::as_str).map(str::to_owned);
    texts.collect()
}

#[test]
fn manifests_have_the_fields_that_they_may_have() {
    let schema_of_manifests = schema("kubernetes.json");
    let mut found = Vec::new();
    let mut kinds = BTreeSet::new();
    for (path, manifest) in manifests() {
        kinds.insert(manifest["kind"].as_str().unwrap_or_default().to_owned());
        for fault in faults_of_manifest(&schema_of_manifests, &manifest) {
            found.push(format!("{}: {fault}", path.display()));
        }
    }
    let schema_of_compose = schema("compose.json");
    for fault in faults(&schema_of_compose, &compose()) {
        found.push(format!("compose.yaml: {fault}"));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    for kind in [
        "CronJob",
        "Deployment",
        "HorizontalPodAutoscaler",
        "Job",
        "Kustomization",
        "NetworkPolicy",
        "Service",
        "SpinApp",
    ] {
        assert!(kinds.contains(kind), "deploy/ has no {kind}: {kinds:?}");
    }
}

/// What is misspelt, missing or not safe is no manifest.
#[test]
fn faulty_manifests_are_refused() {
    let schema_of_manifests = schema("kubernetes.json");
    let spin_app = manifest("SpinApp", "turnpike");
    let redis = manifest("Deployment", "turnpike-redis");
    let job = manifest("CronJob", "turnpike-usage-upkeep");
    let policy = manifest("NetworkPolicy", "turnpike");
    let autoscaler = manifest("HorizontalPodAutoscaler", "turnpike");
    for (manifest, pointer, value) in [
        (&spin_app, "/spec/image", json!("turnpike:latest")),
        (&spin_app, "/spec/image", json!("turnpike")),
        (&spin_app, "/spec/replicas", json!(2)),
        (&spin_app, "/spec/replica", json!(2)),
        (
            &spin_app,
            "/apiVersion",
            json!("core.spinoperator.dev/v1alpha1"),
        ),
        (&spin_app, "/spec/resources/limits/memory", json!("512MB")),
        (&spin_app, "/spec/variables/0/value", json!("in the clear")),
        (
            &spin_app,
            "/spec/checks/liveness/httpGet/path",
            json!("health"),
        ),
        (
            &redis,
            "/spec/template/spec/securityContext/runAsNonRoot",
            json!(false),
        ),
        (
            &redis,
            "/spec/template/spec/containers/0/resources",
            json!({}),
        ),
        (
            &redis,
            "/spec/template/spec/containers/0/securityContext/privileged",
            json!(true),
        ),
        (&redis, "/spec/selector", json!({})),
        (&job, "/spec/schedule", json!("hourly")),
        (
            &job,
            "/spec/jobTemplate/spec/template/spec/restartPolicy",
            json!("Always"),
        ),
        (&policy, "/spec/policyTypes", json!(["Ingress"])),
        (&policy, "/spec/ingress/0/from", json!([{}])),
        (
            &autoscaler,
            "/spec/metrics/0/resource/target/averageUtilization",
            json!(170),
        ),
        (&autoscaler, "/kind", json!("Autoscaler")),
    ] {
        let mut faulty = manifest.clone();
        let (parent, member) = pointer.rsplit_once('/').expect("a pointer has a member");
        let parent = faulty
            .pointer_mut(parent)
            .expect("the manifest has the place");
        parent[member] = value.clone();
        assert!(
            !faults_of_manifest(&schema_of_manifests, &faulty).is_empty(),
            "{value} as {pointer} must be refused"
        );
    }
    let schema_of_compose = schema("compose.json");
    for (pointer, value) in [
        ("/services/redis/image", json!("redis")),
        ("/services/redis/ports", json!(["6379:6379"])),
        ("/services/redis/retart", json!("no")),
        ("/services/host-1/mem_limit", json!("lots")),
        ("/version", json!("3")),
    ] {
        let mut faulty = compose();
        let (parent, member) = pointer.rsplit_once('/').expect("a pointer has a member");
        let parent = faulty.pointer_mut(parent).expect("the file has the place");
        parent[member] = value.clone();
        assert!(
            !faults(&schema_of_compose, &faulty).is_empty(),
            "{value} as {pointer} must be refused"
        );
    }
}

/// Every variable exists, and what has no default is set.
#[test]
fn variables_are_those_of_the_application() {
    let manifest_of_spin =
        Manifest::read(&project_root().join("spin.toml")).expect("spin.toml can be read");
    let text = read(&project_root().join("spin.toml"));
    let declared: BTreeSet<String> = manifest_of_spin.variables.keys().cloned().collect();
    assert!(declared.contains("db_url"), "{declared:?}");
    let is_secret = |name: &str| {
        text.lines()
            .any(|line| line.starts_with(&format!("{name} = ")) && line.contains("secret = true"))
    };
    let spin_app = manifest("SpinApp", "turnpike");
    let mut set = BTreeSet::new();
    for variable in spin_app["spec"]["variables"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let name = variable["name"].as_str().unwrap_or_default();
        assert!(declared.contains(name), "spin.toml has no variable {name}");
        assert_eq!(
            variable.get("valueFrom").is_some(),
            is_secret(name),
            "{name}: what is secret comes from a Secret, and nothing else"
        );
        set.insert(name.to_owned());
    }
    for name in [
        "db_url",
        "db_host",
        "db_port",
        "master_secret",
        "password_pepper",
        "public_url",
    ] {
        assert!(set.contains(name), "the SpinApp does not set {name}");
    }
    let mut hosts = 0;
    for (service, of_service) in compose()["services"].as_object().into_iter().flatten() {
        for name in of_service["environment"].as_object().into_iter().flatten() {
            if let Some(variable) = name.0.strip_prefix("SPIN_VARIABLE_") {
                let variable = variable.to_lowercase();
                assert!(
                    declared.contains(&variable),
                    "{service}: spin.toml has no variable {variable}"
                );
            }
        }
        hosts += usize::from(service.starts_with("host-"));
    }
    assert_eq!(hosts, 2, "the compose file has two hosts");
}

/// What is needed of resources and replicas.
#[test]
fn the_application_grows_within_its_bounds() {
    let autoscaler = manifest("HorizontalPodAutoscaler", "turnpike");
    let spec = &autoscaler["spec"];
    assert_eq!(
        (&spec["minReplicas"], &spec["maxReplicas"]),
        (&json!(3), &json!(10))
    );
    let resource = &spec["metrics"][0]["resource"];
    assert_eq!(
        (&resource["name"], &resource["target"]["averageUtilization"]),
        (&json!("cpu"), &json!(70))
    );
    let spin_app = manifest("SpinApp", "turnpike");
    assert_eq!(spec["scaleTargetRef"]["name"], spin_app["metadata"]["name"]);
    assert_eq!(spin_app["spec"]["enableAutoscaling"], true);
    assert_eq!(spin_app["spec"]["resources"]["limits"]["memory"], "512Mi");
    for host in ["host-1", "host-2"] {
        assert_eq!(compose()["services"][host]["mem_limit"], "512m");
    }
}

/// Each path is one that the application answers.
#[test]
fn paths_are_described() {
    let description = Description::read(&project_root()).expect("openapi.json can be read");
    let described: BTreeMap<String, BTreeSet<String>> =
        description
            .operations()
            .fold(BTreeMap::new(), |mut all, (path, method, _)| {
                all.entry(path.to_owned())
                    .or_insert_with(BTreeSet::new)
                    .insert(method.to_lowercase());
                all
            });
    let answers = |method: &str, path: &str| {
        let methods = described.get(path);
        assert!(
            methods.is_some_and(|methods| methods.contains(method)),
            "{method} {path} is not described"
        );
    };
    let spin_app = manifest("SpinApp", "turnpike");
    for probe in ["liveness", "readiness"] {
        let path = spin_app["spec"]["checks"][probe]["httpGet"]["path"].as_str();
        answers("get", path.unwrap_or_default());
    }
    let compose = compose();
    let check = texts(&compose["services"]["host-1"]["healthcheck"]["test"]);
    let path = check
        .iter()
        .find_map(|word| word.strip_prefix("http://127.0.0.1:3000"));
    answers("get", path.unwrap_or_default());

    let jobs: BTreeSet<String> = JOBS.map(str::to_owned).into();
    for path in &jobs {
        answers("post", path);
    }
    let called = manifests()
        .iter()
        .filter(|(_, manifest)| manifest["kind"] == "CronJob")
        .flat_map(|(_, job)| {
            let pod = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"];
            texts(&pod["containers"][0]["args"])
        })
        .filter_map(|word| word.strip_prefix("http://turnpike").map(str::to_owned))
        .collect::<BTreeSet<_>>();
    assert_eq!(called, jobs, "jobs.yaml");
    // A dash in the instance of a unit is a slash of the path.
    let timers: BTreeSet<String> = files_of(&deploy().join("systemd"))
        .iter()
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?;
            let job = name.strip_prefix("turnpike-job@")?.strip_suffix(".timer")?;
            Some(format!("/api/v1/{}", job.replace('-', "/")))
        })
        .collect();
    assert_eq!(timers, jobs, "the timers");
    let script = texts(&compose["services"]["jobs"]["command"]);
    for path in &jobs {
        let call = format!("call {path}");
        assert!(
            script.iter().any(|text| text.contains(&call)),
            "the service jobs lacks {path}"
        );
    }
    let readme = read(&deploy().join("README.md"));
    for path in &jobs {
        assert!(
            readme.contains(&format!("`POST {path}`")),
            "README.md lacks {path}"
        );
    }
}

/// The labels that a selector asks for.
fn labels_of(selector: &Value) -> BTreeSet<(String, String)> {
    let matched = selector["matchLabels"].as_object().into_iter().flatten();
    let mut labels: BTreeSet<_> = matched
        .map(|(label, value)| (label.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect();
    for expression in selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let label = expression["key"].as_str().unwrap_or_default();
        let values = texts(&expression["values"]).into_iter();
        labels.extend(values.map(|value| (label.to_owned(), value)));
    }
    labels
}

/// Policies, services and pods speak of each other by labels, ports and names that are there.
#[test]
fn labels_ports_and_files_fit() {
    let all = manifests();
    let mut labels: BTreeSet<(String, String)> = BTreeSet::from([(
        // The operator gives it to the pods of a SpinApp.
        "core.spinkube.dev/app-name".to_owned(),
        "turnpike".to_owned(),
    )]);
    for (_, manifest) in &all {
        let template = match manifest["kind"].as_str() {
            Some("Deployment" | "Job") => &manifest["spec"]["template"],
            Some("CronJob") => &manifest["spec"]["jobTemplate"]["spec"]["template"],
            _ => continue,
        };
        for (label, value) in template["metadata"]["labels"]
            .as_object()
            .into_iter()
            .flatten()
        {
            labels.insert((label.clone(), value.as_str().unwrap_or_default().to_owned()));
        }
    }
    let (mut selected, mut protected) = (BTreeSet::new(), BTreeSet::new());
    for (_, manifest) in &all {
        let spec = &manifest["spec"];
        match manifest["kind"].as_str() {
            Some("Deployment") => selected.extend(labels_of(&spec["selector"])),
            Some("Service") => {
                selected.extend(labels_of(&json!({"matchLabels": spec["selector"]})));
            }
            Some("NetworkPolicy") => {
                protected.extend(labels_of(&spec["podSelector"]));
                for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
                    for rule in spec[direction].as_array().into_iter().flatten() {
                        for peer in rule[peers].as_array().into_iter().flatten() {
                            selected.extend(labels_of(&peer["podSelector"]));
                        }
                    }
                }
            }
            _ => {}
        }
    }
    let strays: Vec<_> = selected.difference(&labels).collect();
    assert!(strays.is_empty(), "no pod has these labels: {strays:?}");
    assert_eq!(protected, labels, "there is a policy for every pod");

    // Where the application looks for its servers.
    let spin_app = manifest("SpinApp", "turnpike");
    let value = |name: &str| {
        let variables = spin_app["spec"]["variables"].as_array();
        let found = variables
            .into_iter()
            .flatten()
            .find(|one| one["name"] == name);
        found.map_or(Value::Null, |one| one["value"].clone())
    };
    let pooler = manifest("Service", "turnpike-pgbouncer");
    assert_eq!(value("db_host"), pooler["metadata"]["name"]);
    assert_eq!(
        value("db_port"),
        pooler["spec"]["ports"][0]["port"].to_string()
    );
    let redis = manifest("Service", "turnpike-redis");
    let runtime = read(&deploy().join("spin").join("runtime-config.toml"));
    let address = format!(
        "redis://{}:{}/0",
        redis["metadata"]["name"].as_str().unwrap_or_default(),
        redis["spec"]["ports"][0]["port"]
    );
    assert!(
        runtime.contains(&address),
        "the cache is at {address}: {runtime}"
    );
    assert!(runtime.contains("[key_value_store.default]") && runtime.contains("type = \"redis\""));

    // Everything is applied, and what is generated is mounted.
    let (_, kustomization) = all
        .iter()
        .find(|(_, manifest)| manifest["kind"] == "Kustomization")
        .expect("there is one");
    let applied = texts(&kustomization["resources"]);
    let present: BTreeSet<String> = all
        .iter()
        .filter(|(_, manifest)| manifest["kind"] != "Kustomization")
        .filter_map(|(path, _)| Some(format!("kubernetes/{}", path.file_name()?.to_str()?)))
        .collect();
    assert_eq!(applied, present);
    for generated in kustomization["configMapGenerator"]
        .as_array()
        .into_iter()
        .flatten()
    {
        for file in texts(&generated["files"]) {
            assert!(deploy().join(&file).is_file(), "{file} is not there");
        }
        let is_mounted = all.iter().any(|(_, manifest)| {
            let volumes = manifest["spec"]["template"]["spec"]["volumes"].as_array();
            let mut volumes = volumes.into_iter().flatten();
            volumes.any(|volume| volume["configMap"]["name"] == generated["name"])
        });
        assert!(is_mounted, "{generated} is mounted nowhere");
    }
}

/// What files of `deploy/` that the compose file mounts, and the networks and volumes that it names.
#[test]
fn the_compose_file_names_what_is_there() {
    let compose = compose();
    let names = |member: &str| -> BTreeSet<String> {
        let of_member = compose[member].as_object();
        of_member
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .collect()
    };
    let (services, networks, volumes) = (names("services"), names("networks"), names("volumes"));
    let mut used = BTreeSet::new();
    for (service, of_service) in compose["services"].as_object().into_iter().flatten() {
        for network in texts(&of_service["networks"]) {
            assert!(networks.contains(&network), "{service}: {network}");
        }
        for (other, _) in of_service["depends_on"].as_object().into_iter().flatten() {
            assert!(services.contains(other), "{service} depends on {other}");
        }
        for mount in texts(&of_service["volumes"]) {
            let source = mount.split(':').next().unwrap_or_default();
            if source.starts_with("./") {
                assert!(deploy().join(source).exists(), "{service} mounts {source}");
            } else {
                used.insert(source.to_owned());
            }
        }
    }
    assert_eq!(used, volumes, "every volume is used");
    let scraped = documents(&deploy().join("prometheus").join("prometheus.yml")).remove(0);
    let targets = texts(&scraped["scrape_configs"][0]["static_configs"][0]["targets"]);
    let command = texts(&compose["services"]["host-1"]["command"]);
    for target in targets {
        let (host, port) = target.split_once(':').unwrap_or_default();
        assert!(services.contains(host), "nobody is called {host}");
        assert!(
            command.contains(&format!("0.0.0.0:{port}")),
            "{command:?} has no port {port}"
        );
    }
    for file in texts(&scraped["rule_files"]) {
        let path = deploy().join("prometheus").join(&file);
        assert!(path.is_file(), "prometheus.yml names {file}");
        documents(&path);
    }
}

/// What docs/cache.md asks of Redis, and docs/operations.md of PgBouncer.
#[test]
fn servers_are_configured_as_documented() {
    for (file, lines) in [
        (
            "redis/redis.conf",
            &[
                "save \"\"",
                "appendonly no",
                "maxmemory 256mb",
                "maxmemory-policy allkeys-lru",
            ][..],
        ),
        (
            "pgbouncer/pgbouncer.ini",
            &[
                "[pgbouncer]",
                "pool_mode = transaction",
                "max_prepared_statements = 500",
                "listen_port = 6432",
            ],
        ),
    ] {
        let text = read(&deploy().join(file));
        for line in lines {
            assert!(
                text.lines().any(|one| one == *line),
                "{file} lacks {line:?}"
            );
        }
    }
}

/// The output of a program, or that it is not there.
fn output(program: &str, arguments: &[&str]) -> Option<std::process::Output> {
    let output = Command::new(program).args(arguments).output();
    if output.is_err() {
        println!("deployment: NOT TESTED with {program}, which is not installed");
    }
    output.ok()
}

/// The machine's own tools agree, where it has them.
#[test]
fn tools_of_the_machine_agree() {
    let folder = deploy();
    let folder = folder.to_str().expect("the project's path is text");
    if let Some(output) = output("kubectl", &["kustomize", folder]) {
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl kustomize: {errors}");
        let text = String::from_utf8_lossy(&output.stdout);
        for part in [
            "kind: SpinApp",
            "kind: NetworkPolicy",
            "maxmemory-policy allkeys-lru",
        ] {
            assert!(text.contains(part), "kubectl kustomize leaves out {part}");
        }
    }
    let has_compose = output("docker", &["compose", "version"]);
    if has_compose.is_some_and(|output| output.status.success()) {
        let file = format!("{folder}/compose.yaml");
        let output = Command::new("docker")
            .args([
                "compose",
                "--file",
                &file,
                "--profile",
                "jobs",
                "config",
                "--quiet",
            ])
            .envs(["POSTGRES_PASSWORD", "MASTER_SECRET", "PASSWORD_PEPPER"].map(|name| (name, "x")))
            .output()
            .expect("docker was there a moment ago");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker compose config: {errors}");
    } else {
        println!("deployment: NOT TESTED with docker compose, which is not installed");
    }
    verify_units();
}

/// `systemd-analyze verify` asks for the programs of units, which are not installed here: so it is
/// shown copies with programs that every machine has.
fn verify_units() {
    if output("systemd-analyze", &["--version"]).is_none() {
        return;
    }
    let copies = std::env::temp_dir().join(format!("turnpike-units-{}", std::process::id()));
    std::fs::create_dir_all(&copies).expect("a temporary folder can be made");
    let copy = |from: &Path, to: &Path| {
        let text = read(from)
            .replace("/opt/turnpike/turnpike up", "/bin/sh up")
            .replace("/usr/bin/curl", "/bin/sh");
        std::fs::write(to, text).expect("it can be written");
    };
    let mut units = Vec::new();
    for path in files_of(&deploy().join("systemd")) {
        let name = path.file_name().expect("a file has a name");
        let name = name.to_str().expect("names are text");
        if path.is_dir() {
            // Settings of one job's unit.
            let folder = copies.join(name);
            std::fs::create_dir_all(&folder).expect("a temporary folder can be made");
            for path in files_of(&path) {
                copy(
                    &path,
                    &folder.join(path.file_name().expect("a file has a name")),
                );
            }
            continue;
        }
        // A template is verified as the unit of each job.
        if name.contains("@.") {
            units.extend(JOBS.map(|job| {
                let job = job.replacen("/api/v1/", "", 1).replace('/', "-");
                name.replacen("@.", &format!("@{job}."), 1)
            }));
        } else {
            units.push(name.to_owned());
        }
        copy(&path, &copies.join(name));
    }
    for unit in &units {
        let template = unit.split('@').next().unwrap_or_default();
        let template = copies.join(format!("{template}@.service"));
        let path = copies.join(unit);
        if !path.is_file() {
            std::fs::copy(template, &path).expect("it can be copied");
        }
        let output = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(&path)
            .output()
            .expect("systemd-analyze was there a moment ago");
        let errors = String::from_utf8_lossy(&output.stderr);
        // It also tells of what is wrong with other units of the machine.
        let own: Vec<&str> = errors
            .lines()
            .filter(|line| line.contains("turnpike"))
            .collect();
        assert!(own.is_empty(), "systemd-analyze verify {unit}: {errors}");
    }
    std::fs::remove_dir_all(&copies).expect("it was made a moment ago");
}
