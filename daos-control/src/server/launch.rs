//! From configuration to the command that starts an engine: what is known only on this host, put together once.
//!
//! Used by `deeds`. The rules themselves are in `engine_command`.

use std::ffi::OsString;
use std::path::PathBuf;

use super::options::StartOptions;
use crate::config::{DataPlane, EngineConfig, HostMemory, ServerConfig, sizing};
use crate::engine_command::{
    EnvironmentInput, Launch, Placement, argv, binary_name, environment, placement,
};
use crate::fault::{Fault, code};
use crate::network::{Network, domain_of};
use crate::scan::SystemMemory;
use crate::supervisor::{EngineLaunch, StopLimits, find_program};

/// What an engine's command needs beside the configuration.
#[derive(Debug)]
pub struct LaunchFacts {
    /// Environment of the server.
    pub environment: Vec<(OsString, OsString)>,
    /// Proxy variables are passed on.
    pub allow_proxy: bool,
    program: PathBuf,
    places: Vec<Placement>,
    domains: Vec<Option<String>>,
    memory: HostMemory,
    cores: u32,
}

impl LaunchFacts {
    /// Looks for the program and at the network.
    ///
    /// # Errors
    /// A missing engine program (design: no silent fallback) where one is needed, or an interface that does not fit its provider with
    /// a real data plane.
    pub fn gather(
        config: &ServerConfig,
        options: &StartOptions,
        needs_program: bool,
    ) -> Result<Self, Fault> {
        let (environment, network) = (options.environment.clone(), &options.host.network);
        let path =
            environment.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.clone());
        let running = std::env::current_exe().unwrap_or_default();
        let name = binary_name(config.data_plane);
        let program = match find_program(name, path.as_deref(), &running) {
            Err(missing) if needs_program => return Err(Fault::from(missing)),
            found => found.unwrap_or_else(|_| PathBuf::from(name)),
        };
        let nodes: Vec<_> = config
            .engines
            .iter()
            .map(|engine| network.interface(&engine.fabric.interface).map(|found| found.numa_node))
            .collect();
        let domains = config
            .engines
            .iter()
            .map(|engine| domain(config.data_plane, network, engine))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            environment,
            allow_proxy: options.allow_proxy,
            program,
            places: placement(&config.engines, &nodes),
            domains,
            memory: options.host.memory,
            cores: options.host.cores,
        })
    }

    /// The same with the huge pages that there are now.
    #[must_use]
    pub fn with_hugepages(mut self, memory: &SystemMemory) -> Self {
        self.memory.hugepages_total = memory.hugepages_total;
        self.memory.hugepages_free = memory.hugepages_free;
        self
    }

    /// The command of one engine.
    ///
    /// # Errors
    /// A variable that does not fit the engine.
    pub fn command(
        &self,
        config: &ServerConfig,
        engine: &EngineConfig,
        device_config: Option<PathBuf>,
    ) -> Result<EngineLaunch, Fault> {
        let position = engine.index as usize;
        let place = self.places.get(position).copied().unwrap_or_default();
        let needs_pages = engine.has_bdevs() && config.data_plane == DataPlane::Engine;
        let launch = Launch {
            device_config,
            dma_mib: if needs_pages { self.dma_mib(config, engine) } else { 0 },
            hugepage_mib: if needs_pages { self.memory.hugepage_mib() } else { 0 },
            first_core: place.first_core,
            numa_node: place.numa_node,
            checker: false,
        };
        let input = EnvironmentInput {
            launching: &self.environment,
            allow_proxy: self.allow_proxy,
            domain: self.domains.get(position).and_then(Option::as_deref),
        };
        let variables = environment(engine, &input).map_err(|error| Fault::from(&error))?;
        Ok(EngineLaunch {
            index: engine.index,
            program: self.program.clone(),
            arguments: argv(config, engine, &launch),
            environment: variables.into_iter().collect(),
            working_dir: None,
            limits: StopLimits::default(),
        })
    }
}

impl LaunchFacts {
    fn dma_mib(&self, config: &ServerConfig, engine: &EngineConfig) -> u64 {
        let free_mib = self.memory.hugepages_free * u64::from(self.memory.hugepage_mib());
        sizing::dma_mib(config, engine, self.cores, free_mib)
    }
}

/// The name under which the provider opens the interface (contract 4.3). Only a real data plane needs it.
fn domain(
    plane: DataPlane,
    network: &Network,
    engine: &EngineConfig,
) -> Result<Option<String>, Fault> {
    let found = domain_of(network, &engine.fabric.interface, &engine.fabric.provider);
    match (plane, found) {
        (_, Ok(Some(domain))) => Ok(Some(domain)),
        (DataPlane::Emulated, Ok(None) | Err(_)) => Ok(None),
        (DataPlane::Engine, Err(error)) => Err(Fault::from(error)),
        (DataPlane::Engine, Ok(None)) => Err(Fault::new(
            "serverconfig",
            code::SERVER_FABRIC_UNUSABLE,
            format!(
                "engine {}: interface {} is not there or does not work with provider {}",
                engine.index, engine.fabric.interface, engine.fabric.provider
            ),
            "choose an interface and a provider from 'daos_server network scan'",
        )),
    }
}
