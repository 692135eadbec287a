//! The rules of a data plane without data: which calls it takes when, and with which status it refuses.
//!
//! Pure: a call in, an answer and an effect out. The statuses are those that real engines were seen to give.

use super::script::{Answer, Script};
use crate::drpc::{
    EngineDevice, EngineDeviceHealth, GroupUpdate, LogMasks, Method, SetRank, Status, encode_status,
};
use crate::fault::Der;

/// A stand-in engine that is ready and is being told what to do.
#[derive(Debug, Clone, Default)]
pub struct Engine {
    script: Script,
    rank: Option<SetRank>,
    up: bool,
    /// Version and size of the last group map.
    group: Option<(u32, usize)>,
    /// The last one that a call brought.
    update: Option<GroupUpdate>,
    masks: Option<LogMasks>,
    devices: Vec<StandInDevice>,
}

/// A block device of a stand-in engine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StandInDevice {
    /// What it tells of it.
    pub device: EngineDevice,
    /// Bytes in all.
    pub bytes: u64,
    /// Bytes that nothing is written to.
    pub free: u64,
}

/// What comes of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The answer; `None` is never.
    pub answer: Option<Result<Vec<u8>, Status>>,
    /// What happens once it is sent.
    pub effect: Effect,
}

/// What happens to the engine after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that shows.
    None,
    /// It serves from now on and announces itself (R14).
    Up,
    /// It aborts: it was set up twice, or its script says so.
    Abort,
    /// It reports event 5 with a newer incarnation and kills itself.
    SelfTerminate,
    /// Its log levels changed; see [`Engine::masks`].
    Masks,
    /// It was told its rank.
    Ranked,
    /// It was told a newer group map; see [`Engine::take_group_update`].
    Group,
}

impl Engine {
    /// An engine that follows a script.
    #[must_use]
    pub fn new(script: Script) -> Self {
        Self { script, ..Self::default() }
    }

    /// The same with block devices.
    #[must_use]
    pub fn with_devices(self, devices: Vec<StandInDevice>) -> Self {
        Self { devices, ..self }
    }

    /// Its rank, once it was told.
    #[must_use]
    pub fn rank(&self) -> Option<u32> {
        self.rank.map(|set| set.rank)
    }

    /// Whether it serves.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// Ranks in the last group map; itself alone before there was one.
    #[must_use]
    pub fn system_size(&self) -> usize {
        self.group.map_or(1, |(_, size)| size)
    }

    /// The version of the group map that first has it, once it was told.
    #[must_use]
    pub fn joined_at(&self) -> Option<u32> {
        self.rank.map(|set| set.map_version)
    }

    /// The newest group map that a call brought, once.
    #[must_use]
    pub fn take_group_update(&mut self) -> Option<GroupUpdate> {
        self.update.take()
    }

    /// Takes note of a group map that came on another way; older ones change nothing.
    pub fn learn_group(&mut self, version: u32, size: usize) {
        if self.group.is_none_or(|(has, _)| version > has) {
            self.group = Some((version, size));
        }
    }

    /// Version of the last group map; none before there was one.
    #[must_use]
    pub fn group_version(&self) -> Option<u32> {
        self.group.map(|(version, _)| version)
    }

    /// The last log levels it was told.
    #[must_use]
    pub fn masks(&self) -> Option<&LogMasks> {
        self.masks.as_ref()
    }

    /// Takes a call of the management module.
    pub fn handle(&mut self, method: Method, body: &[u8]) -> Answered {
        match method {
            Method::SetRank => self.scripted(self.script.set_rank, |engine| engine.set_rank(body)),
            Method::SetUp => self.scripted(self.script.set_up, Self::set_up),
            Method::GroupUpdate => {
                self.scripted(self.script.group_update, |engine| engine.update_group(body))
            }
            Method::PingRank | Method::PrepareShutdown => status(0),
            Method::SetLogMasks => match LogMasks::decode(body) {
                Ok(masks) => {
                    self.masks = Some(masks);
                    Answered { effect: Effect::Masks, ..status(0) }
                }
                Err(_unreadable) => refused(Status::UnreadableBody),
            },
            Method::SmdListDevices => {
                let devices: Vec<_> = self.devices.iter().map(|each| each.device.clone()).collect();
                answered(EngineDevice::encode_list(&devices))
            }
            Method::BioHealthQuery => match EngineDeviceHealth::asked(body) {
                Ok(uuid) => answered(self.health_of(&uuid)),
                Err(_unreadable) => refused(Status::UnreadableBody),
            },
            _ => refused(Status::UnknownMethod),
        }
    }

    /// Nothing is ever read or written, so nothing ever failed.
    fn health_of(&self, uuid: &str) -> Vec<u8> {
        let found = self.devices.iter().find(|each| each.device.uuid == uuid);
        let sizes = found.map(|each| (each.bytes, each.free));
        EngineDeviceHealth::encode(uuid, sizes.ok_or(Der::NONEXIST.value()))
    }

    fn scripted(&mut self, answer: Answer, honest: impl FnOnce(&mut Self) -> Answered) -> Answered {
        match answer {
            Answer::Honest => honest(self),
            Answer::Status(number) => status(number),
            Answer::Fail => refused(Status::Failure),
            // A field number without its value.
            Answer::Garbage => Answered { answer: Some(Ok(vec![0x08])), effect: Effect::None },
            Answer::Hang => Answered { answer: None, effect: Effect::None },
        }
    }

    fn set_rank(&mut self, body: &[u8]) -> Answered {
        match SetRank::decode(body) {
            Err(_unreadable) => refused(Status::UnreadableBody),
            Ok(_) if self.rank.is_some() => status(Der::INVAL.value()),
            Ok(set) if set.rank == u32::MAX => status(Der::INVAL.value()),
            Ok(set) => {
                self.rank = Some(set);
                Answered { effect: Effect::Ranked, ..status(0) }
            }
        }
    }

    fn set_up(&mut self) -> Answered {
        let effect = match (self.rank, self.up) {
            (None, _) => return status(Der::PROTO.value()),
            (Some(_), true) => Effect::Abort,
            (Some(_), false) if self.script.crash_after_set_up => Effect::Abort,
            (Some(_), false) if self.script.self_terminate => Effect::SelfTerminate,
            (Some(_), false) => Effect::Up,
        };
        self.up = true;
        Answered { effect, ..status(0) }
    }

    fn update_group(&mut self, body: &[u8]) -> Answered {
        let Ok(update) = GroupUpdate::decode(body) else {
            return refused(Status::UnreadableBody);
        };
        if update.members.is_empty() {
            return status(Der::INVAL.value());
        }
        let Some(set) = self.rank else { return status(Der::GRPVER.value()) };
        let has = self.group.map_or(set.map_version, |(version, _)| version);
        if update.map_version <= has && self.group.is_some() {
            return status(0);
        }
        self.group = Some((update.map_version, update.members.len()));
        self.update = Some(update);
        Answered { effect: Effect::Group, ..status(0) }
    }
}

fn status(number: i32) -> Answered {
    Answered { answer: Some(Ok(encode_status(number))), effect: Effect::None }
}

fn answered(body: Vec<u8>) -> Answered {
    Answered { answer: Some(Ok(body)), effect: Effect::None }
}

fn refused(status: Status) -> Answered {
    Answered { answer: Some(Err(status)), effect: Effect::None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drpc::{GroupMember, decode_status};

    fn told(engine: &mut Engine, method: Method, body: &[u8]) -> (i32, Effect) {
        let answered = engine.handle(method, body);
        (decode_status(&answered.answer.unwrap().unwrap()).unwrap(), answered.effect)
    }

    fn rank(rank: u32) -> Vec<u8> {
        SetRank { rank, map_version: 1 }.encode()
    }

    fn group(map_version: u32, ranks: u32) -> Vec<u8> {
        let member = |rank| GroupMember { rank, uri: "u".into(), incarnation: 1 };
        GroupUpdate { map_version, members: (0..ranks).map(member).collect() }.encode()
    }

    #[test]
    fn refuses_what_comes_too_early_or_twice_as_real_engines_do() {
        let mut engine = Engine::default();
        assert_eq!(told(&mut engine, Method::SetUp, &[]), (-1014, Effect::None));
        assert_eq!(told(&mut engine, Method::GroupUpdate, &group(1, 1)), (-1036, Effect::None));
        assert_eq!(told(&mut engine, Method::SetRank, &rank(0)), (0, Effect::Ranked));
        assert_eq!(told(&mut engine, Method::SetRank, &rank(0)), (-1003, Effect::None));
        assert_eq!(told(&mut engine, Method::GroupUpdate, &group(2, 0)), (-1003, Effect::None));
        assert_eq!(told(&mut engine, Method::GroupUpdate, &group(2, 3)), (0, Effect::Group));
        assert_eq!(told(&mut engine, Method::SetUp, &[]), (0, Effect::Up));
        assert_eq!(told(&mut engine, Method::SetUp, &[]), (0, Effect::Abort));
    }

    #[test]
    fn an_older_group_map_is_accepted_and_ignored() {
        let mut engine = Engine::default();
        assert_eq!(engine.system_size(), 1);
        told(&mut engine, Method::SetRank, &rank(0));
        for (version, ranks, size) in [(3, 3, 3), (3, 1, 3), (2, 1, 3), (4, 2, 2)] {
            assert_eq!(told(&mut engine, Method::GroupUpdate, &group(version, ranks)).0, 0);
            assert_eq!(engine.system_size(), size, "after version {version}");
            assert_eq!(engine.group_version(), Some(version.max(3)));
        }
        assert_eq!(engine.take_group_update().map(|update| update.map_version), Some(4));
        assert_eq!(engine.take_group_update(), None);
        engine.learn_group(4, 9);
        assert_eq!(engine.system_size(), 2, "the same version is nothing new");
        engine.learn_group(5, 9);
        assert_eq!(engine.system_size(), 9);
    }

    #[test]
    fn other_methods_are_unknown() {
        let mut engine = Engine::default();
        for method in [Method::PoolCreate, Method::NotifyReady, Method::KillRank] {
            let answer = engine.handle(method, &[]).answer;
            assert_eq!(answer, Some(Err(Status::UnknownMethod)));
        }
        let unreadable = engine.handle(Method::SetRank, &[0x08]).answer;
        assert_eq!(unreadable, Some(Err(Status::UnreadableBody)));
    }

    #[test]
    fn devices_are_told_with_their_health() {
        let device = EngineDevice { uuid: "u".into(), ..EngineDevice::default() };
        let known = StandInDevice { device: device.clone(), bytes: 9, free: 5 };
        let mut engine = Engine::default().with_devices(vec![known]);
        let mut body = |method, question: &[u8]| {
            let answered = engine.handle(method, question);
            answered.answer.unwrap().unwrap()
        };
        let list = body(Method::SmdListDevices, &[]);
        assert_eq!(EngineDevice::decode_list(&list).unwrap(), (0, vec![device]));
        let health = body(Method::BioHealthQuery, &EngineDeviceHealth::question("u"));
        let (status, health) = EngineDeviceHealth::decode(&health).unwrap();
        assert_eq!((status, health.total_bytes, health.available_bytes), (0, 9, 5));
        let none = body(Method::BioHealthQuery, &EngineDeviceHealth::question("other"));
        assert_eq!(EngineDeviceHealth::decode(&none).unwrap().0, Der::NONEXIST.value());
    }

    #[test]
    fn follows_its_script() {
        let script = "set-rank=-1003,group-update=fail,set-up=hang".parse().unwrap();
        let mut engine = Engine::new(script);
        assert_eq!(told(&mut engine, Method::SetRank, &rank(0)), (-1003, Effect::None));
        let answer = engine.handle(Method::GroupUpdate, &group(1, 1)).answer;
        assert_eq!(answer, Some(Err(Status::Failure)));
        assert_eq!(engine.handle(Method::SetUp, &[]).answer, None);
        assert_eq!(engine.rank(), None);
    }
}
