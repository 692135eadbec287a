//! Asks a system who its members are, as `dmg system query` does, from code of your own.
//!
//! Run: `cargo run -p daos-examples --bin query_system -- localhost:10001 [SYSTEM_NAME]`

use daos_control::client::{Client, ClientConfig, ClientError, HostSet, SystemQuery, Transport};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let hosts = arguments.next().unwrap_or_else(|| "localhost:10001".to_owned());
    let name = arguments.next().unwrap_or_else(|| "daos_server".to_owned());
    let config = ClientConfig {
        system_name: name,
        transport: Transport::Insecure,
        ..ClientConfig::default()
    };
    let client = Client::new(&config)?.with_hosts(HostSet::parse(&hosts)?);
    match client.system_query(&SystemQuery::default()).await {
        Ok(system) => {
            for member in system.members {
                println!("rank {} at {}: {}", member.rank, member.address, member.state);
            }
        }
        Err(ClientError::Call(told)) if told.is_not_ready() => println!("no system yet: {told}"),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
