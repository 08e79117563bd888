//! The `[egress]` section.

use std::path::PathBuf;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Requests to addresses that users name, such as webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EgressConfig {
    /// Networks in CIDR form that may be called although they are not public, such as `10.20.0.0/16`. Whoever may
    /// administer a workspace can then send requests there.
    #[schemars(with = "Vec<String>")]
    pub allow: Vec<IpNet>,
    /// Also `http://` URLs. What is sent can then be read and changed on the way.
    pub allow_http: bool,
    /// Ports that may be called.
    pub ports: Vec<u16>,
    /// Longest time for the look-up of a name and for one connection, seconds.
    pub connect_timeout_seconds: u64,
    /// PEM file of authorities to trust besides the known ones, for receivers with certificates of one's own.
    pub ca_file: Option<PathBuf>,
}

impl Default for EgressConfig {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            allow_http: false,
            ports: vec![80, 443, 8080, 8443],
            connect_timeout_seconds: 5,
            ca_file: None,
        }
    }
}

impl EgressConfig {
    /// Everything that is wrong with the section, each as one sentence.
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.ports.is_empty() || self.ports.contains(&0) {
            problems.push("egress.ports: name at least one port, and none that is 0".to_owned());
        }
        if !(1..=60).contains(&self.connect_timeout_seconds) {
            problems.push("egress.connect_timeout_seconds: must lie between 1 and 60".to_owned());
        }
        problems
    }
}
