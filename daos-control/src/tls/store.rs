//! The present credentials of this process. Files that were replaced are read again, without a restart.
//!
//! Asked for every new connection; looks at the files at most once a second. What is new and not right is reported
//! once, and the old credentials stay in use. Connections that exist are not touched.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::credentials::Credentials;
use super::error::TlsError;
use super::files::{CertificateFiles, Stamp};
use crate::fault::Fault;
use crate::wire::Component;

/// Files are looked at no more often than this.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// How the connections of this process are secured.
#[derive(Debug, Clone)]
pub enum Security {
    /// Not at all: plain text, and peers are what they say.
    Insecure,
    /// With certificates on both sides.
    Certificates(Arc<CredentialStore>),
}

impl Security {
    /// With the certificates of `component` in these files.
    ///
    /// # Errors
    /// As [`Credentials::load`].
    pub fn with_certificates(
        files: CertificateFiles,
        component: Component,
    ) -> Result<Self, TlsError> {
        Ok(Self::Certificates(Arc::new(CredentialStore::load(files, component)?)))
    }

    /// Whether peers are believed without proof.
    #[must_use]
    pub fn is_insecure(&self) -> bool {
        matches!(self, Self::Insecure)
    }

    /// The present credentials; `None` in insecure mode.
    pub async fn credentials(&self) -> Option<Arc<Credentials>> {
        match self {
            Self::Insecure => None,
            Self::Certificates(store) => Some(store.current().await),
        }
    }
}

/// Credentials that follow their files.
#[derive(Debug)]
pub struct CredentialStore {
    files: CertificateFiles,
    component: Component,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    current: Arc<Credentials>,
    seen: Stamps,
    looked: Instant,
    /// What was last reported about files that are not right.
    complaint: Option<String>,
}

type Stamps = [Option<Stamp>; 3];

impl CredentialStore {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// As [`Credentials::load`].
    pub fn load(files: CertificateFiles, component: Component) -> Result<Self, TlsError> {
        // Looked at before they are read: a change in between is found at the next look.
        let seen = stamps(&files);
        let current = Arc::new(Credentials::load(&files, component)?);
        let state = State { current, seen, looked: Instant::now(), complaint: None };
        Ok(Self { files, component, state: Mutex::new(state) })
    }

    /// The present credentials, read again when their files have changed.
    pub async fn current(self: &Arc<Self>) -> Arc<Credentials> {
        if self.is_due() {
            let store = Arc::clone(self);
            // A disk that hangs costs this one connection its time and no other.
            let _ended = tokio::task::spawn_blocking(move || store.look()).await;
        }
        self.last()
    }

    /// The credentials as they were at the last look.
    #[must_use]
    pub fn last(&self) -> Arc<Credentials> {
        Arc::clone(&self.lock().current)
    }

    fn is_due(&self) -> bool {
        let mut state = self.lock();
        let due = state.looked.elapsed() >= CHECK_EVERY;
        if due {
            state.looked = Instant::now();
        }
        due
    }

    /// Looks at the files now, and reads them if they have changed. Blocks.
    pub fn look(&self) {
        let seen = stamps(&self.files);
        {
            let state = self.lock();
            // Files that were not right are tried again: a clock may have moved, a second file may have followed.
            if state.seen == seen && state.complaint.is_none() {
                return;
            }
        }
        let read = Credentials::load(&self.files, self.component);
        let mut state = self.lock();
        match read {
            Ok(credentials) => {
                info!(
                    "the certificates of {} were read again, valid until {}",
                    self.component,
                    credentials
                        .certificates()
                        .map(super::Certificate::ends)
                        .min()
                        .unwrap_or_default()
                );
                state.current = Arc::new(credentials);
                state.seen = seen;
                state.complaint = None;
            }
            Err(error) => {
                let text = Fault::from(&error).to_string();
                if state.complaint.as_ref() != Some(&text) {
                    warn!("new certificates cannot be used, the old ones stay: {text}");
                    state.complaint = Some(text);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stamps(files: &CertificateFiles) -> Stamps {
    files.paths().map(Stamp::of)
}
