//! Rules of class ram: which of its two forms, and what may be done to what is there.

use super::{Draft, Intent, ScmStep, Wish, place};
use crate::ScmError;
use crate::model::{
    DirectoryFacts, Entries, MountFacts, MountPointState, MountRight, ParentFacts, RamFacts,
    RamForm, RamSpec, ScmForm,
};

const PAGE: u64 = 4096;
const GIB: u64 = 1 << 30;

pub(super) fn decide(
    wish: Wish<'_>,
    spec: &RamSpec,
    at: &MountPointState,
    ram: &RamFacts,
) -> Result<Draft, ScmError> {
    let rules = Rules { wish, spec, ram };
    let mut draft = match at {
        MountPointState::MountPoint(mount) => rules.mounted(mount),
        MountPointState::Directory(directory) => rules.directory(directory),
        MountPointState::Missing { parent } => rules.missing(parent),
        // Refused before by `place::usable`; said again so that no state falls through to a format.
        MountPointState::Symlink { .. }
        | MountPointState::NotADirectory { .. }
        | MountPointState::Unreadable { .. } => Err(rules.unsuitable(place::describe(at))),
    }?;
    draft.content = place::describe(at);
    Ok(draft)
}

/// The data options of a tmpfs (contract 7.3), and what had to be left out of them.
pub(crate) fn tmpfs_options(spec: &RamSpec, ram: &RamFacts) -> (String, Vec<String>) {
    let mut options = Vec::new();
    let mut notices = Vec::new();
    match spec.numa {
        Some(node) if !ram.numa_nodes.contains(&node) => {
            notices.push(format!("NUMA node {node} has no memory here, the tmpfs prefers no node"))
        }
        Some(node) if ram.numa_nodes.len() > 1 => options.push(format!("mpol=prefer:{node}")),
        Some(_) | None => {}
    }
    if let Some(bytes) = spec.size_bytes {
        options.push(match bytes % GIB {
            0 => format!("size={}g", bytes / GIB),
            _ => format!("size={bytes}"),
        });
    }
    if spec.hugepages {
        if ram.huge_supported {
            options.push("huge=always".to_owned());
        } else {
            notices.push("this kernel has no huge pages for tmpfs, using none".to_owned());
        }
    }
    // Nobody else may enter between the mount and the change of owner.
    options.push("mode=0700".to_owned());
    (options.join(","), notices)
}

/// Bytes a tmpfs of the configured size has: whole pages.
pub(crate) fn whole_pages(bytes: u64) -> u64 {
    bytes.div_ceil(PAGE).saturating_mul(PAGE)
}

#[derive(Clone, Copy)]
struct Rules<'a> {
    wish: Wish<'a>,
    spec: &'a RamSpec,
    ram: &'a RamFacts,
}

impl Rules<'_> {
    /// Something is mounted exactly there.
    fn mounted(self, mount: &MountFacts) -> Result<Draft, ScmError> {
        let wish = self.wish;
        if mount.fs_type != "tmpfs" {
            return Err(ScmError::TargetMounted {
                mount_point: wish.target.mount_point().to_owned(),
                what: format!("{} from {}, not a tmpfs", mount.fs_type, mount.source),
            });
        }
        if wish.intent == Intent::Plain && !mount.erasing {
            self.refuse_formatted()?;
        }
        wish.refuse_running()?;
        let blank = mount.entries.only(&wish.facts.leftovers);
        let identity = format!("tmpfs of {} bytes mounted there", mount.size_bytes);
        if wish.intent == Intent::Reformat && mount.whole && self.may_replace() {
            let mut draft = self.new_tmpfs(false);
            draft.identity = identity;
            let mount_point = wish.target.mount_point().to_owned();
            let loses_content = !mount.entries.is_empty();
            draft.steps.insert(0, ScmStep::Unmount { mount_point, loses_content });
            draft.destroys = loss("tmpfs", wish, &mount.entries.to_string(), loses_content);
            return Ok(draft);
        }
        self.refuse_oversized(mount)?;
        self.keep(ScmForm::Tmpfs, identity, mount.erasing, blank, &mount.entries)
    }

    /// A directory on which nothing is mounted.
    fn directory(self, directory: &DirectoryFacts) -> Result<Draft, ScmError> {
        let wish = self.wish;
        let on_tmpfs = directory.fs_type == "tmpfs";
        if on_tmpfs && wish.intent == Intent::Plain && !directory.erasing {
            self.refuse_formatted()?;
        }
        wish.refuse_running()?;
        let untouched = directory.entries.is_empty() && !directory.erasing;
        if untouched && self.may_replace() {
            return Ok(self.new_tmpfs(false));
        }
        if self.spec.form == RamForm::Tmpfs || !on_tmpfs {
            return Err(self.not_a_tmpfs(directory, untouched));
        }
        let blank = directory.entries.only(&wish.facts.leftovers);
        if !blank && !wish.facts.superblock_seen && !directory.erasing {
            // W1: nothing says that these files are ours, so no flag removes them.
            return Err(self.holds(&directory.entries));
        }
        let identity = "directory on a tmpfs mounted further up".to_owned();
        self.keep(ScmForm::Directory, identity, directory.erasing, blank, &directory.entries)
    }

    fn missing(self, parent: &ParentFacts) -> Result<Draft, ScmError> {
        self.wish.refuse_running()?;
        if self.may_replace() {
            return Ok(self.new_tmpfs(true));
        }
        if self.spec.form == RamForm::Tmpfs {
            return Err(self.may_not_mount());
        }
        let suitable = parent.direct && parent.is_mount_point && parent.fs_type == "tmpfs";
        if !suitable {
            return Err(match self.spec.form {
                RamForm::Directory => self.unsuitable(format!(
                    "its parent is not the mount point of a tmpfs ({} on {})",
                    parent.path, parent.fs_type
                )),
                RamForm::Auto | RamForm::Tmpfs => self.may_not_mount(),
            });
        }
        let mut steps = vec![self.wish.create_directory()];
        steps.extend(self.wish.own_and_verify());
        Ok(Draft {
            form: ScmForm::Directory,
            identity: format!("new directory on the tmpfs at {}", parent.path),
            content: String::new(),
            steps,
            destroys: Vec::new(),
            notices: self.size_notice(),
        })
    }

    /// Stay with the mount or directory there is: adopt it when empty, else erase its content.
    fn keep(
        self,
        form: ScmForm,
        identity: String,
        erasing: bool,
        blank: bool,
        entries: &Entries,
    ) -> Result<Draft, ScmError> {
        let wish = self.wish;
        let path = wish.target.mount_point().to_owned();
        if !blank && wish.intent == Intent::Plain {
            return Err(match erasing {
                true => ScmError::EraseInterrupted { path },
                false => self.holds(entries),
            });
        }
        let wanted = wish.intent == Intent::Reformat && !entries.is_empty();
        let mut steps = Vec::new();
        if wanted && !erasing {
            steps.push(ScmStep::MarkErase { path: path.clone() });
        }
        if wanted || erasing {
            steps.push(ScmStep::EraseContent { path });
        }
        steps.extend(wish.own_and_verify());
        let notices = match form {
            ScmForm::Directory => self.size_notice(),
            _ => Vec::new(),
        };
        let destroys = loss(&form.to_string(), wish, &entries.to_string(), wanted);
        Ok(Draft { form, identity, content: String::new(), steps, destroys, notices })
    }

    fn new_tmpfs(self, create: bool) -> Draft {
        let wish = self.wish;
        let (options, notices) = tmpfs_options(self.spec, self.ram);
        let mut steps = Vec::new();
        if create {
            steps.push(wish.create_directory());
        }
        let mount_point = wish.target.mount_point().to_owned();
        steps.push(ScmStep::MountTmpfs { mount_point, options });
        steps.extend(wish.own_and_verify());
        let identity = match self.spec.size_bytes {
            Some(bytes) => format!("new tmpfs of {} bytes", whole_pages(bytes)),
            None => "new tmpfs of the kernel's default size".to_owned(),
        };
        Draft {
            form: ScmForm::Tmpfs,
            identity,
            content: String::new(),
            steps,
            destroys: Vec::new(),
            notices,
        }
    }

    /// Whether a tmpfs of our own can be mounted, as far as form and rights go.
    fn may_replace(self) -> bool {
        self.spec.form != RamForm::Directory && self.ram.may_mount == MountRight::Allowed
    }

    fn refuse_formatted(self) -> Result<(), ScmError> {
        if self.wish.facts.superblock_seen {
            return Err(self.wish.already_formatted("superblock present"));
        }
        Ok(())
    }

    fn refuse_oversized(self, mount: &MountFacts) -> Result<(), ScmError> {
        match self.spec.size_bytes {
            Some(configured) if mount.size_bytes > whole_pages(configured) => {
                Err(ScmError::RamdiskTooBig {
                    mount_point: self.wish.target.mount_point().to_owned(),
                    actual: mount.size_bytes,
                    configured,
                })
            }
            _ => Ok(()),
        }
    }

    fn size_notice(self) -> Vec<String> {
        match self.spec.size_bytes {
            Some(bytes) => vec![format!(
                "a directory shares the tmpfs it is on; the configured {bytes} bytes are not enforced"
            )],
            None => Vec::new(),
        }
    }

    fn not_a_tmpfs(self, directory: &DirectoryFacts, untouched: bool) -> ScmError {
        if !untouched {
            return self.holds(&directory.entries);
        }
        match self.spec.form {
            RamForm::Directory => {
                self.unsuitable(format!("it lies on {}, not on a tmpfs", directory.fs_type))
            }
            RamForm::Auto | RamForm::Tmpfs => self.may_not_mount(),
        }
    }

    fn may_not_mount(self) -> ScmError {
        let why = match &self.ram.may_mount {
            MountRight::Refused { why } => why.clone(),
            MountRight::Allowed => "it is told not to".to_owned(),
        };
        ScmError::MayNotMount { mount_point: self.wish.target.mount_point().to_owned(), why }
    }

    fn holds(self, entries: &Entries) -> ScmError {
        let path = self.wish.target.mount_point().to_owned();
        ScmError::HoldsContent { path, entries: entries.clone() }
    }

    fn unsuitable(self, why: String) -> ScmError {
        ScmError::UnsuitablePath { path: self.wish.target.mount_point().to_owned(), why }
    }
}

fn loss(what: &str, wish: Wish<'_>, entries: &str, any: bool) -> Vec<String> {
    if !any {
        return Vec::new();
    }
    vec![format!("content of the {what} at {}: {entries}", wish.target.mount_point().display())]
}
