//! What each command does: arguments to client calls to an `Outcome`. Nothing here writes to the terminal but the
//! confirmation.

mod config_generate;
mod network;
mod partial;
mod server;
mod storage_format;
mod storage_prepare;
mod storage_scan;
mod stream;
mod system_erase;
mod system_events;
mod system_ms;
mod system_preflight;
mod system_query;
mod system_ranks;
mod system_settings;
mod system_wait;
mod system_watch;
mod version;

use crate::cli::{
    Command, ConfigCommand, NetworkCommand, ServerCommand, StorageCommand, SystemCommand,
};
use crate::outcome::{Failure, Outcome};
use crate::session::Session;

/// Runs one command to its end.
pub async fn execute(session: &Session, command: Command) -> Outcome {
    let result = match command {
        Command::Storage(command) => storage(session, command).await,
        Command::Network(NetworkCommand::Scan(options)) => network::scan(session, options).await,
        Command::System(command) => system(session, command).await,
        Command::Config(ConfigCommand::Generate(options)) => {
            config_generate::run(session, options).await
        }
        Command::Server(ServerCommand::SetLogmasks(options)) => {
            server::set_log_masks(session, options).await
        }
        Command::Version => Ok(version::show()),
    };
    result.unwrap_or_else(Outcome::failed)
}

async fn storage(session: &Session, command: StorageCommand) -> Result<Outcome, Failure> {
    match command {
        StorageCommand::Scan(options) => storage_scan::run(session, options).await,
        StorageCommand::Prepare(options) => storage_prepare::run(session, options).await,
        StorageCommand::Format(options) => storage_format::run(session, options).await,
    }
}

async fn system(session: &Session, command: SystemCommand) -> Result<Outcome, Failure> {
    match command {
        SystemCommand::Query(options) if options.watch => system_watch::run(session, options).await,
        SystemCommand::Query(options) => system_query::members(session, &options).await,
        SystemCommand::Preflight(options) => system_preflight::run(session, options).await,
        SystemCommand::Wait(options) => system_wait::run(session, options).await,
        SystemCommand::Events(options) => system_events::run(session, options).await,
        SystemCommand::LeaderQuery(options) => system_query::leader(session, options).await,
        SystemCommand::Ms(command) => system_ms::run(session, command).await,
        SystemCommand::ListPools(options) => system_query::pools(session, options).await,
        SystemCommand::Stop(options) => system_ranks::stop(session, options).await,
        SystemCommand::Start(options) => system_ranks::start(session, options).await,
        SystemCommand::Exclude(options) => system_ranks::exclude(session, options).await,
        SystemCommand::ClearExclude(options) => system_ranks::clear_exclude(session, options).await,
        SystemCommand::Drain(options) => system_ranks::drain(session, options, false).await,
        SystemCommand::Reintegrate(options) => system_ranks::drain(session, options, true).await,
        SystemCommand::Cleanup(options) => system_ranks::cleanup(session, options).await,
        SystemCommand::Erase(options) => system_erase::run(session, options).await,
        SystemCommand::SetProp(pairs) => {
            system_settings::set_properties(session, &pairs.pairs).await
        }
        SystemCommand::GetProp(names) => {
            system_settings::properties(session, names.names.as_deref()).await
        }
        SystemCommand::SetAttr(pairs) => {
            system_settings::set_attributes(session, &pairs.pairs).await
        }
        SystemCommand::GetAttr(names) => {
            system_settings::attributes(session, names.names.as_deref()).await
        }
        SystemCommand::DelAttr(names) => {
            system_settings::delete_attributes(session, &names.names).await
        }
    }
}

/// The command as it is named in its failures.
pub fn name(command: &Command) -> &'static str {
    match command {
        Command::Storage(StorageCommand::Scan(_)) => "storage scan",
        Command::Storage(StorageCommand::Prepare(_)) => "storage prepare",
        Command::Storage(StorageCommand::Format(_)) => "storage format",
        Command::Network(NetworkCommand::Scan(_)) => "network scan",
        Command::Config(ConfigCommand::Generate(_)) => "config generate",
        Command::Server(ServerCommand::SetLogmasks(_)) => "server set-logmasks",
        Command::Version => "version",
        Command::System(command) => match command {
            SystemCommand::Query(_) => "system query",
            SystemCommand::Preflight(_) => "system preflight",
            SystemCommand::Wait(_) => "system wait",
            SystemCommand::Events(_) => "system events",
            SystemCommand::LeaderQuery(_) => "leader query",
            SystemCommand::Ms(_) => "system ms",
            SystemCommand::ListPools(_) => "system list-pools",
            SystemCommand::Stop(_) => "system stop",
            SystemCommand::Start(_) => "system start",
            SystemCommand::Exclude(_) => "system exclude",
            SystemCommand::ClearExclude(_) => "system clear-exclude",
            SystemCommand::Drain(_) => "system drain",
            SystemCommand::Reintegrate(_) => "system reintegrate",
            SystemCommand::Cleanup(_) => "system cleanup",
            SystemCommand::Erase(_) => "system erase",
            SystemCommand::SetProp(_) => "system set-prop",
            SystemCommand::GetProp(_) => "system get-prop",
            SystemCommand::SetAttr(_) => "system set-attr",
            SystemCommand::GetAttr(_) => "system get-attr",
            SystemCommand::DelAttr(_) => "system del-attr",
        },
    }
}
