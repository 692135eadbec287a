//! Properties and attributes of the system: named texts in its database.

use std::collections::BTreeMap;

use crate::client::error::ClientError;
use crate::client::replicas::AnsweredBy;
use crate::client::retry::Policy;
use crate::client::{Client, wire};

impl Client {
    /// Sets properties of the system.
    ///
    /// # Errors
    /// What the service answered, e.g. to an unknown name, or why it could not be reached.
    pub async fn set_properties(
        &self,
        properties: &BTreeMap<String, String>,
    ) -> Result<(), ClientError> {
        self.ask_management("SystemSetProp", Policy::COMMON, |connection| {
            wire::system::set_properties(connection, self.system(), properties.clone())
        })
        .await
    }

    /// Reads properties of the system: the named ones, or all of them when `names` is empty.
    ///
    /// # Errors
    /// As [`Client::set_properties`].
    pub async fn properties(
        &self,
        names: &[String],
    ) -> Result<BTreeMap<String, String>, ClientError> {
        self.ask_management("SystemGetProp", Policy::LOOK_UP, |connection| {
            wire::system::properties(connection, self.system(), names.to_vec())
        })
        .await
    }

    /// The same with the replica that answered, which may be out of date; `None` where the server cannot say.
    ///
    /// # Errors
    /// As [`Client::set_properties`].
    pub async fn properties_with_source(
        &self,
        names: &[String],
    ) -> Result<(BTreeMap<String, String>, Option<AnsweredBy>), ClientError> {
        self.ask_management("SystemGetProp", Policy::LOOK_UP, |connection| {
            let told = wire::system::properties(connection.clone(), self.system(), names.to_vec());
            wire::replicas::with_source(connection, self.system(), told)
        })
        .await
    }

    /// Sets attributes of the system; an empty value deletes.
    ///
    /// # Errors
    /// As [`Client::set_properties`].
    pub async fn set_attributes(
        &self,
        attributes: &BTreeMap<String, String>,
    ) -> Result<(), ClientError> {
        self.ask_management("SystemSetAttr", Policy::COMMON, |connection| {
            wire::system::set_attributes(connection, self.system(), attributes.clone())
        })
        .await
    }

    /// Reads attributes of the system: the named ones, or all of them when `names` is empty.
    ///
    /// # Errors
    /// As [`Client::set_properties`].
    pub async fn attributes(
        &self,
        names: &[String],
    ) -> Result<BTreeMap<String, String>, ClientError> {
        self.ask_management("SystemGetAttr", Policy::LOOK_UP, |connection| {
            wire::system::attributes(connection, self.system(), names.to_vec())
        })
        .await
    }

    /// The same with the replica that answered, which may be out of date; `None` where the server cannot say.
    ///
    /// # Errors
    /// As [`Client::set_properties`].
    pub async fn attributes_with_source(
        &self,
        names: &[String],
    ) -> Result<(BTreeMap<String, String>, Option<AnsweredBy>), ClientError> {
        self.ask_management("SystemGetAttr", Policy::LOOK_UP, |connection| {
            let told = wire::system::attributes(connection.clone(), self.system(), names.to_vec());
            wire::replicas::with_source(connection, self.system(), told)
        })
        .await
    }
}
