//! Whether the system is whole, and whether everything that was promised is there.

use std::sync::Arc;

use super::World;
use crate::simulation::host::Host;
use crate::simulation::server::Server;

impl World {
    /// Why the system is not whole; nothing when it is.
    pub(super) fn unhealed(&self) -> Vec<String> {
        let mut why = Vec::new();
        let servers = || self.hosts.iter().filter_map(Host::server);
        let leaders: Vec<_> = servers().filter(|server| server.replica().leads()).collect();
        let [leader] = leaders.as_slice() else {
            return vec![format!("{} leaders", leaders.len())];
        };
        let Some(service) = leader.replica().service() else {
            return vec!["no service".to_owned()];
        };
        let wanted = service.view().read(|system| system.wanted_replicas().len());
        let voters = leader.replica().voters();
        if voters.len() != wanted {
            why.push(format!("{wanted} replicas are wanted, {} vote", voters.len()));
        }
        let votes = |server: &Arc<Server>| {
            server.replica().seat().is_some_and(|(id, _, _)| voters.contains(&id))
        };
        let present = servers().filter(|server| votes(server)).count();
        if present != voters.len() {
            why.push(format!("{present} of {} replicas are there", voters.len()));
        }
        let version = service.data_version();
        for server in servers().filter(|server| votes(server)) {
            if let Some(other) = server.replica().service().map(|other| other.data_version())
                && other != version
            {
                why.push(format!("a replica is at {other}, the leader at {version}"));
            }
        }
        let wanted = self.setting.hosts * self.setting.engines as usize;
        let running: usize = servers().map(|server| server.running()).sum();
        let joined = service.members().iter().filter(|member| member.is_available()).count();
        if running != wanted || joined != wanted {
            why.push(format!("{running} of {wanted} engines run, {joined} are joined"));
        }
        let newest = service.group_map().borrow().version();
        let behind: usize = servers().map(|server| server.fabric().behind(newest)).sum();
        if behind > 0 {
            why.push(format!("{behind} engines have an older map than {newest}"));
        }
        why
    }

    /// What costs too much to look at all the time.
    pub(super) fn look_at_everything(&mut self) {
        self.log.judge(&self.record);
        let expected = self.log.system().snapshot().encode();
        let leader =
            self.hosts.iter().filter_map(Host::server).find(|server| server.replica().leads());
        let voters = leader.map(|leader| leader.replica().voters()).unwrap_or_default();
        for (id, host) in self.hosts.iter().enumerate() {
            let Some(replica) = host.server().map(|server| server.replica()) else { continue };
            let votes = replica.seat().is_some_and(|(id, _, _)| voters.contains(&id));
            let Some(service) = replica.service().filter(|_| votes) else { continue };
            let state = service.view().read(|system| system.snapshot().encode());
            if state != expected {
                self.record.broke(format!("the state of host {id} is not what the log makes"));
            }
            self.log.compare_again(id, &self.setting.disk(id).replica(), &self.record);
        }
    }
}
